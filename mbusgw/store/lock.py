"""One daemon per database: two would send every waiting message twice."""
from __future__ import annotations

import errno
import fcntl
import os
from contextlib import suppress
from pathlib import Path

from mbusgw.model.errors import StoreBusy, StoreError, StoreFull
from mbusgw.runtime.ownership import advice


class DatabaseLock:
    """A lock file beside the database, held as long as the process lives (flock(2)). The main thread only."""

    def __init__(self, database: Path) -> None:
        self._path = database.with_name(f"{database.name}.lock")
        self._file: int | None = None

    def acquire(self) -> None:
        """Takes the lock. Raises ``StoreBusy`` naming the process that has it, ``StoreError`` (``StoreFull``) if none
        can be made."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        except OSError as error:
            raise cannot_write(self._path, error) from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.read(file, 20).decode(errors="replace").strip() or "unknown"
            os.close(file)
            raise StoreBusy(
                f"another mbusgw (pid {holder}) uses the database of {self._path}",
                hint="stop that one, or give this one a storage.path of its own",
            ) from None
        with suppress(OSError):  # a full disk: who has the lock cannot be told, but has it
            os.ftruncate(file, 0)
            os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
        self._file = file

    def release(self) -> None:
        """Gives it back; the file stays, because removing it could remove the next holder's."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def cannot_write(path: Path, error: OSError) -> StoreError:
    """Our error for a file of ours that cannot be made. Any thread."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreFull(f"cannot write {path}: {error.strerror}", hint="make room on the disk; nothing kept is lost")
    hint = advice(path, error) or "set storage.path or use --state-dir DIR"
    return StoreError(f"cannot write {path}: {error.strerror}", hint=hint)
