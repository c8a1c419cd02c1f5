"""One daemon per database: two would send every waiting message twice."""
from __future__ import annotations

import fcntl
import os
from pathlib import Path

from mbusgw.model.errors import StoreBusy, StoreError


class DatabaseLock:
    """A lock file beside the database, held as long as the process lives (flock(2)). The main thread only."""

    def __init__(self, database: Path) -> None:
        self._path = database.with_name(f"{database.name}.lock")
        self._file: int | None = None

    def acquire(self) -> None:
        """Takes the lock. Raises ``StoreBusy`` naming the process that has it, ``StoreError`` if none can be made."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        except OSError as error:
            raise StoreError(
                f"cannot write {self._path}: {error.strerror}", hint="set storage.path or use --state-dir DIR"
            ) from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.read(file, 20).decode(errors="replace").strip() or "unknown"
            os.close(file)
            raise StoreBusy(
                f"another mbusgw (pid {holder}) uses the database beside {self._path}",
                hint="stop that one, or give this one a storage.path of its own",
            ) from None
        os.ftruncate(file, 0)
        os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
        self._file = file

    def release(self) -> None:
        """Gives it back; the file stays, because removing it could remove the next holder's."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
