"""A disk that can be filled: a file system in memory, in a mount namespace of its own. Nobody must be root for it."""
from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.wait import PATIENCE_S

SIZE = "64m"
#: Mounts, says so, and holds the namespace until its stdin ends.
_HOLD = 'mount -t tmpfs -o size="$1" none "$0" && echo mounted && exec cat'


class SmallDisk:
    """What is mounted at ``folder`` for processes that are started with ``within`` before their command."""

    def __init__(self, folder: Path, holder: subprocess.Popen[str]) -> None:
        self.within = ["nsenter", f"--target={holder.pid}", "--user", "--mount", "--preserve-credentials"]
        self._ballast = Path(f"/proc/{holder.pid}/root{folder}/ballast")

    def fill(self) -> None:
        """Takes all the room that is left."""
        with self._ballast.open("ab", buffering=0) as file:
            for size in (1 << 20, 1 << 12):
                try:
                    while file.write(b"\0" * size) == size:
                        pass
                except OSError:
                    continue

    def free(self) -> None:
        """Gives it back."""
        self._ballast.unlink()


@contextmanager
def small_disk(folder: Path) -> Iterator[SmallDisk]:
    """A disk at ``folder``; skips the test where the system allows nobody a mount namespace."""
    folder.mkdir()
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", _HOLD, str(folder), SIZE]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdin is not None and holder.stdout is not None and holder.stderr is not None
        if holder.stdout.readline() != "mounted\n":
            pytest.skip(f"no file system can be mounted here: {holder.stderr.read().strip()}")
        try:
            yield SmallDisk(folder, holder)
        finally:
            holder.stdin.close()
            holder.wait(PATIENCE_S)
