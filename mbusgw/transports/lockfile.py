"""UUCP lock files: how programs on one machine tell each other that a serial port is taken.

``/var/lock/LCK..ttyUSB0`` holds the owner's process id as text (HDB format: ten characters, right-aligned, and a
newline). We place it whole and at once, and keep a ``flock`` on it for as long as it is ours: so it never looks
half written, two of us never take the same stale one, and a holder whose process id we cannot see (another
container) is respected all the same. Programs that know nothing of the ``flock`` see a usual lock file.
"""
from __future__ import annotations

import fcntl
import os
import re
import stat
import sys
import tempfile
from pathlib import Path

from mbusgw.model.errors import BusLocked
from mbusgw.transports.enumerate import process_name

LOCK_DIRECTORY = Path("/var/lock")
#: Ports that have no lock file: pseudo terminals come and go with their process.
WITHOUT_LOCK = ("/dev/pts/",)
#: A file without a process id may be one that another program is writing just now; later than this it is not.
HALF_WRITTEN_S = 10.0
#: A lock that changes under our eyes is looked at anew, but not for ever.
TRIES = 5

#: Linux' PID_MAX_LIMIT (proc(5), pid_max); a greater number is no process.
MAX_PID = 1 << 22
_TEXT = re.compile(rb"\s*(\d{1,10})(?=[\s\0]|$)")
_LOOKED_AT = 128


class PortLock:
    """A port's lock file, or the reason why there is none. **own thread**

    ``warning`` is empty, unless the port should have a lock file and cannot.
    """

    def __init__(self, path: Path | None = None, descriptor: int = -1, *, warning: str = "") -> None:
        self.path = path
        self.warning = warning
        self._descriptor = descriptor

    def release(self) -> None:
        """Removes the lock file if it is still ours. Never raises; a second time does nothing."""
        descriptor, self._descriptor = self._descriptor, -1
        if self.path is None or descriptor < 0:
            return
        try:
            if _is_at(self.path, descriptor):
                self.path.unlink()
        except OSError:  # the directory is gone, or was taken away from us: what is left will be found stale
            pass
        finally:
            os.close(descriptor)


class LockDirectory:
    """Where lock files are. **any thread**

    Ports whose device begins with one of ``without`` have none.
    """

    def __init__(self, path: Path = LOCK_DIRECTORY, *, without: tuple[str, ...] = WITHOUT_LOCK) -> None:
        self.path = path
        self._without = without

    def take(self, port: str) -> PortLock:
        """The lock of ``port`` (a path; links are followed), taken over if its holder is gone.

        Raises ``BusLocked``, which names the holder. Where a lock file cannot be read, written or replaced, the
        result is one that holds nothing and says why in ``warning``. What does not exist or is no device
        needs no lock and gets none.
        """
        device = os.path.realpath(port)
        if device.startswith(self._without) or not _is_device(device):
            return PortLock()
        path = self.path / f"LCK..{os.path.basename(device)}"
        try:
            for _ in range(TRIES):
                descriptor = _attempt(path, port)
                if descriptor is not None:
                    return PortLock(path, descriptor)
        except OSError as error:
            return PortLock(warning=f"{port} has no lock file {path}: {error.strerror}")
        raise _locked(port, path, "another process")


def holder_pid(content: bytes) -> int | None:
    """The process id in a lock file, or None: as text (HDB; words may follow), or as four bytes (old UUCP)."""
    text = _TEXT.match(content)
    if text is None and len(content) != 4:
        return None
    pid = int(text[1]) if text else int.from_bytes(content, sys.byteorder, signed=True)
    return pid if 0 < pid <= MAX_PID else None


def is_alive(pid: int) -> bool:
    """Whether the process is there and not merely waiting to be buried by its parent."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0]
    except (OSError, IndexError):  # hidden from us, or gone just now: the next look will tell
        return True
    return state not in ("Z", "X")


# ------------------------------------------------------------------ one attempt
def _attempt(path: Path, port: str) -> int | None:
    """The descriptor of our lock file at ``path``; None if somebody was faster, so that it must be looked at anew."""
    found = _open(path)
    try:
        pid = None if found is None else _gone_holder(found, path, port)
        return _place(path, port, found, written=pid is not None)
    finally:
        if found is not None:
            os.close(found)


def _open(path: Path) -> int | None:
    try:  # anybody may write to the directory: neither a link nor a pipe there must lead us astray
        return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None


def _gone_holder(found: int, path: Path, port: str) -> int | None:
    """The process that left the lock file, None if it names none. Raises ``BusLocked`` if it is still held."""
    held = not _flock(found)
    content = os.read(found, _LOOKED_AT)
    pid = holder_pid(content)
    # Our own process id on a file that nobody holds is from an earlier life, as the same process of a container.
    if held or (pid is not None and pid != os.getpid() and is_alive(pid)):
        raise _locked(port, path, _holder(pid, content))
    return pid


def _place(path: Path, port: str, found: int | None, *, written: bool) -> int | None:
    """Puts our file at ``path``: where nothing is, or in the place of ``found``, whose ``flock`` we have."""
    ours, draft = _draft(path.parent)
    placed = False
    try:
        if found is None:
            os.link(draft, path)  # fails if there is one by now
            placed = True
        elif _is_at(path, found):
            # Both times are the file system's own, so that a wrong clock does not matter.
            if not written and abs(os.fstat(ours).st_mtime - os.fstat(found).st_mtime) < HALF_WRITTEN_S:
                raise _locked(port, path, "another process, which is just writing its lock file")
            os.rename(draft, path)
            placed = True
    except FileExistsError:
        pass
    finally:
        draft.unlink(missing_ok=True)
        if not placed:
            os.close(ours)
    return ours if placed else None


def _draft(directory: Path) -> tuple[int, Path]:
    """Our lock file, complete and with our ``flock``, but under another name."""
    descriptor, name = tempfile.mkstemp(prefix="LTMP.", dir=directory)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.write(descriptor, b"%10d\n" % os.getpid())
        os.fchmod(descriptor, 0o644)  # whatever our umask: the others must be able to read who we are
    except OSError:
        os.close(descriptor)
        os.unlink(name)
        raise
    return descriptor, Path(name)


# ------------------------------------------------------------------ small things
def _flock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(path: Path, descriptor: int) -> bool:
    """Whether ``path`` is still the file we have open."""
    try:
        return os.path.samestat(os.stat(path, follow_symlinks=False), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _is_device(path: str) -> bool:
    try:
        return stat.S_ISCHR(os.stat(path).st_mode)
    except OSError:
        return False


def _holder(pid: int | None, content: bytes) -> str:
    if pid is None:
        return "another process"
    if pid == os.getpid():
        return "another bus of this process"
    # Another user's processes may be hidden from us; some programs write their name behind the number.
    words = re.findall(r"[\w.+-]+", content.decode("ascii", "replace"))
    return f"{process_name(pid) or (words[1] if len(words) > 1 else 'another process')} (pid {pid})"


def _locked(port: str, path: Path, holder: str) -> BusLocked:
    hint = f"two programs cannot talk on one M-Bus; stop one of them (lock file {path})"
    return BusLocked(f"{port} is in use by {holder}", hint=hint)
