"""Lock files: what other programs see, who is respected, who is taken over, and that only one wins."""
from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mbusgw.model.errors import BusLocked, TransportLost, TransportOpenFailed
from mbusgw.transports import lockfile
from mbusgw.transports.lockfile import HALF_WRITTEN_S, MAX_PID, LockDirectory, PortLock, holder_pid, is_alive
from mbusgw.transports.serialport import open_port
from tests.wait import PATIENCE_S

ROOT = Path(__file__).parents[2]


@pytest.fixture
def pty() -> Iterator[str]:
    master, slave = os.openpty()
    yield os.ttyname(slave)
    for descriptor in (slave, master):
        os.close(descriptor)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "lock"
    made.mkdir()
    return made


@pytest.fixture
def locks(folder: Path) -> LockDirectory:
    """Lock files for pseudo terminals too, which usually have none."""
    return LockDirectory(folder, without=())


def lock_file(folder: Path, port: str) -> Path:
    return folder / f"LCK..{os.path.basename(os.path.realpath(port))}"


def files(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def gone_pid() -> int:
    """The id of a process that has just ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    return process.pid


@contextmanager
def another(code: str, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """Another Python process; it has said "ready" and waits for its stdin to be closed."""
    command = [sys.executable, "-c", code + "\nprint('ready', flush=True)\nsys.stdin.read()\n", *arguments]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, **pipes, text=True, cwd=ROOT) as process:  # type: ignore[call-overload]
        try:
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.stdin.close()


HOLDER = """
import sys
from pathlib import Path
from mbusgw.transports.lockfile import LockDirectory
from mbusgw.transports.serialport import open_port
port = open_port(sys.argv[1], baudrate=2400, locks=LockDirectory(Path(sys.argv[2]), without=()))
"""


# ------------------------------------------------------------------ the file
def test_the_file_is_what_other_programs_expect(pty: str, folder: Path, locks: LockDirectory) -> None:
    umask = os.umask(0o077)
    try:
        lock = locks.take(pty)
    finally:
        os.umask(umask)
    assert files(folder) == [lock_file(folder, pty).name]
    content = lock_file(folder, pty).read_bytes()
    assert content == str(os.getpid()).rjust(10).encode() + b"\n"
    assert lock_file(folder, pty).stat().st_mode & 0o777 == 0o644
    lock.release()
    assert files(folder) == []
    lock.release()


def test_the_file_is_there_while_the_port_is_open(pty: str, folder: Path, locks: LockDirectory) -> None:
    port = open_port(pty, baudrate=2400, locks=locks)
    assert lock_file(folder, pty).exists() and port.warning == ""
    port.close()
    assert files(folder) == []
    port.close()


def test_a_link_is_locked_by_the_name_of_the_device(pty: str, folder: Path, locks: LockDirectory) -> None:
    link = folder.parent / "usb-FTDI_FT232R_USB_UART_A1-if00-port0"
    link.symlink_to(pty)
    port = open_port(str(link), baudrate=2400, locks=locks)
    assert files(folder) == [f"LCK..{os.path.basename(pty)}"]
    with pytest.raises(BusLocked):
        open_port(pty, baudrate=2400, locks=locks)
    assert lock_file(folder, pty).exists()
    port.close()


def test_a_pseudo_terminal_has_no_lock_file(pty: str, folder: Path) -> None:
    port = open_port(pty, baudrate=2400, locks=LockDirectory(folder))
    assert files(folder) == [] and port.warning == ""
    port.close()


@pytest.mark.parametrize("name", ["/dev/ttyUSB77", "/etc/passwd", "/tmp"])
def test_what_is_no_device_is_not_locked(name: str, folder: Path, locks: LockDirectory) -> None:
    with pytest.raises(TransportOpenFailed):
        open_port(name, baudrate=2400, locks=locks)
    assert files(folder) == []


def test_a_port_that_cannot_be_opened_leaves_no_lock(folder: Path, locks: LockDirectory) -> None:
    with pytest.raises(TransportOpenFailed, match="is no serial port"):
        open_port("/dev/null", baudrate=2400, locks=locks)
    assert files(folder) == []


def test_a_port_that_is_pulled_out_gives_its_lock_back(folder: Path, locks: LockDirectory) -> None:
    master, slave = os.openpty()
    port = open_port(os.ttyname(slave), baudrate=2400, locks=locks)
    os.close(slave)
    os.close(master)
    with pytest.raises(TransportLost):
        port.read(1, 5)
    port.close()
    assert files(folder) == []


def test_no_descriptor_is_left_open(pty: str, folder: Path, locks: LockDirectory) -> None:
    before = len(os.listdir("/proc/self/fd"))
    lock_file(folder, pty).write_text(f"{gone_pid():10d}\n")
    locks.take(pty).release()
    lock_file(folder, pty).write_text("         1\n")
    with pytest.raises(BusLocked):
        locks.take(pty)
    lock_file(folder, pty).unlink()
    held = locks.take(pty)
    with pytest.raises(BusLocked):
        locks.take(pty)
    held.release()
    assert len(os.listdir("/proc/self/fd")) == before


# ------------------------------------------------------------------ somebody else's
def test_a_live_foreign_lock_is_respected_and_its_holder_named(pty: str, folder: Path, locks: LockDirectory) -> None:
    code = f"import sys; open({str(lock_file(folder, pty))!r}, 'w').write('%10d\\n' % __import__('os').getpid())"
    with another(code) as other:
        name = Path(f"/proc/{other.pid}/comm").read_text().strip()
        with pytest.raises(BusLocked, match=rf"in use by {re.escape(name)} \(pid {other.pid}\)") as caught:
            open_port(pty, baudrate=2400, locks=locks)
        assert str(lock_file(folder, pty)) in caught.value.hint
        assert int(lock_file(folder, pty).read_text()) == other.pid
        assert len(files(folder)) == 1
    port = open_port(pty, baudrate=2400, locks=locks)
    assert int(lock_file(folder, pty).read_text()) == os.getpid()
    port.close()


def test_the_holder_is_named_from_the_file_where_its_process_is_hidden(
    pty: str, folder: Path, locks: LockDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mbusgw.transports.lockfile.process_name", lambda pid: "")
    lock_file(folder, pty).write_text("         1 minicom root\n")
    with pytest.raises(BusLocked, match=r"minicom \(pid 1\)"):
        locks.take(pty)
    lock_file(folder, pty).write_text("         1\n")
    with pytest.raises(BusLocked, match=r"another process \(pid 1\)"):
        locks.take(pty)


def test_two_processes_on_one_port(pty: str, folder: Path, locks: LockDirectory) -> None:
    with another(HOLDER, pty, str(folder)) as other:
        with pytest.raises(BusLocked, match=rf"\(pid {other.pid}\)"):
            open_port(pty, baudrate=2400, locks=locks)
        assert int(lock_file(folder, pty).read_text()) == other.pid


def test_the_lock_of_a_process_that_was_killed_is_taken_over(pty: str, folder: Path, locks: LockDirectory) -> None:
    with another(HOLDER, pty, str(folder)) as other:
        other.send_signal(signal.SIGKILL)
        other.wait(PATIENCE_S)
        assert int(lock_file(folder, pty).read_text()) == other.pid, "kill -9 leaves the file"
        port = open_port(pty, baudrate=2400, locks=locks)
    assert lock_file(folder, pty).read_text() == f"{os.getpid():10d}\n"
    port.close()
    assert files(folder) == []


def test_a_killed_process_that_nobody_has_buried_holds_nothing(pty: str, folder: Path, locks: LockDirectory) -> None:
    with another(HOLDER, pty, str(folder)) as other:
        other.send_signal(signal.SIGKILL)
        os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
        assert not is_alive(other.pid)
        locks.take(pty).release()


def test_two_buses_of_one_process_do_not_share_a_port(pty: str, folder: Path, locks: LockDirectory) -> None:
    lock = locks.take(pty)
    with pytest.raises(BusLocked, match="another bus of this process"):
        locks.take(pty)
    assert lock_file(folder, pty).exists()
    lock.release()


def test_our_own_number_from_an_earlier_life_is_taken_over(pty: str, folder: Path, locks: LockDirectory) -> None:
    lock_file(folder, pty).write_text(f"{os.getpid():10d}\n")
    lock = locks.take(pty)
    assert isinstance(lock, PortLock) and lock.warning == ""
    lock.release()


def test_a_holder_whose_number_means_nothing_here_is_respected(pty: str, folder: Path, locks: LockDirectory) -> None:
    # As in another container that shares the lock directory: the file is held, the number is nobody's.
    path, gone = lock_file(folder, pty), gone_pid()
    code = f"""
import fcntl, sys
file = open({str(path)!r}, "w")
fcntl.flock(file, fcntl.LOCK_EX)
print("%10d" % {gone}, file=file, flush=True)
"""
    with another(code):
        with pytest.raises(BusLocked, match=rf"\(pid {gone}\)"):
            locks.take(pty)
    locks.take(pty).release()


def test_of_many_that_find_a_stale_lock_exactly_one_gets_it(pty: str, folder: Path) -> None:
    code = """
import sys
from pathlib import Path
from mbusgw.model.errors import BusLocked
from mbusgw.transports.lockfile import LockDirectory
print("ready", flush=True)
sys.stdin.readline()
try:
    lock = LockDirectory(Path(sys.argv[2]), without=()).take(sys.argv[1])
    print("locked" if not lock.warning else lock.warning, flush=True)
except BusLocked as error:
    print("refused", flush=True)
sys.stdin.read()
"""
    command = [sys.executable, "-c", code, pty, str(folder)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    racers = [subprocess.Popen(command, **pipes, text=True, cwd=ROOT) for _ in range(6)]  # type: ignore[call-overload]
    try:
        assert [racer.stdout.readline() for racer in racers] == ["ready\n"] * 6
        lock_file(folder, pty).write_text(f"{gone_pid():10d}\n")
        for racer in racers:
            racer.stdin.write("go\n")
            racer.stdin.flush()
        said = [racer.stdout.readline() for racer in racers]
        assert sorted(said) == ["locked\n"] + ["refused\n"] * 5
        winner = racers[said.index("locked\n")]
        assert int(lock_file(folder, pty).read_text()) == winner.pid
        assert len(files(folder)) == 1
    finally:
        for racer in racers:
            racer.communicate()


def test_who_is_late_at_a_stale_lock_does_not_take_it_from_who_was_faster(
    pty: str, folder: Path, locks: LockDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    faster: list[PortLock] = []
    really_flock = lockfile._flock

    def overtaken(descriptor: int) -> bool:
        monkeypatch.setattr(lockfile, "_flock", really_flock)
        faster.append(locks.take(pty))  # between our opening the stale file and our having its flock
        return really_flock(descriptor)

    lock_file(folder, pty).write_text(f"{gone_pid():10d}\n")
    monkeypatch.setattr(lockfile, "_flock", overtaken)
    with pytest.raises(BusLocked):
        locks.take(pty)
    assert len(faster) == 1 and len(files(folder)) == 1
    faster[0].release()
    assert files(folder) == []


def test_a_lock_that_is_no_longer_ours_is_left_alone(pty: str, folder: Path, locks: LockDirectory) -> None:
    lock = locks.take(pty)
    lock_file(folder, pty).unlink()
    lock_file(folder, pty).write_text("         1\n")
    lock.release()
    assert lock_file(folder, pty).read_text() == "         1\n"


# ------------------------------------------------------------------ wrong files
@pytest.mark.parametrize(
    ("content", "pid"),
    [
        (b"      1234\n", 1234),
        (b"1234", 1234),
        (b"1\n", 1),
        (b"      1234 minicom root\n", 1234),
        (b"      1234\0\0\0", 1234),
        ((70000).to_bytes(4, sys.byteorder), 70000),
        (b"", None),
        (b"\n", None),
        (b"hello world\n", None),
        (b"12x\n", None),
        (b"0000000000\n", None),
        (b"      -123\n", None),
        (b"\xff\xff\xff\xff", None),
        (b"99999999999999999999\n", None),
        (f"{MAX_PID + 1:10d}\n".encode(), None),
    ],
)
def test_a_process_id_is_read_in_every_form_and_garbage_is_none(content: bytes, pid: int | None) -> None:
    assert holder_pid(content) == pid


@pytest.mark.parametrize("content", [b"", b"garbage", b"\xff\xff\xff\xff", b"         0\n", os.urandom(4096)])
def test_garbage_is_respected_while_it_may_be_half_written_and_taken_over_later(
    content: bytes, pty: str, folder: Path, locks: LockDirectory
) -> None:
    path = lock_file(folder, pty)
    path.write_bytes(b"?" + content if content[:1].isdigit() else content)
    with pytest.raises(BusLocked, match="just writing its lock file"):
        locks.take(pty)
    assert files(folder) == [path.name]
    before = path.stat().st_mtime - HALF_WRITTEN_S - 1
    os.utime(path, (before, before))
    lock = locks.take(pty)
    assert path.read_text() == f"{os.getpid():10d}\n"
    lock.release()


@pytest.mark.parametrize("make", [Path.mkdir, lambda path: path.symlink_to("/etc/passwd")], ids=["folder", "link"])
def test_a_lock_that_is_no_file_is_said_and_left_alone(
    make: object, pty: str, folder: Path, locks: LockDirectory
) -> None:
    path = lock_file(folder, pty)
    make(path)  # type: ignore[operator]
    port = open_port(pty, baudrate=2400, locks=locks)
    assert str(path) in port.warning
    port.close()
    assert path.is_dir() or path.is_symlink()
    assert files(folder) == [path.name]


def test_a_pipe_in_the_place_of_a_lock_makes_nobody_wait(pty: str, folder: Path, locks: LockDirectory) -> None:
    os.mkfifo(lock_file(folder, pty))
    with pytest.raises(BusLocked, match="just writing"):
        locks.take(pty)


# ------------------------------------------------------------------ the directory
def test_without_a_lock_directory_the_port_is_opened_exclusively_and_it_is_said(pty: str, tmp_path: Path) -> None:
    locks = LockDirectory(tmp_path / "nothing", without=())
    port = open_port(pty, baudrate=2400, locks=locks)
    assert "LCK.." in port.warning and "No such file or directory" in port.warning
    with pytest.raises(BusLocked):
        open_port(pty, baudrate=2400, locks=locks)
    port.close()


READ_ONLY = """
import os, sys
from pathlib import Path
from mbusgw.model.errors import BusLocked
from mbusgw.transports.lockfile import LockDirectory
from tests.wait import PATIENCE_S
os.setgroups([]); os.setgid(65534); os.setuid(65534)
try:
    print("warning:", LockDirectory(Path(sys.argv[2]), without=()).take(sys.argv[1]).warning)
except BusLocked as error:
    print("refused:", error)
"""


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody who may not write")
@pytest.mark.parametrize(
    ("mode", "content", "expected"),
    [
        (0o755, None, "warning: .* has no lock file .*: Permission denied"),
        (0o755, "         1\n", r"refused: .* in use by .* \(pid 1\)"),
        (0o755, "gone", "warning: .* has no lock file .*: Permission denied"),
        (0o1777, "gone", "warning: .* has no lock file .*: Operation not permitted"),
        (0o1777, None, "warning: \n"),
    ],
    ids=["may not write", "a live lock in it", "a stale one in it", "a stale one of another user", "everybody may"],
)
def test_a_user_who_may_not_write_is_warned_but_respects_others(
    mode: int, content: str | None, expected: str, pty: str
) -> None:
    with tempfile.TemporaryDirectory() as name:  # tmp_path belongs to root alone: nobody else gets through
        folder = Path(name)
        folder.chmod(mode)
        if content is not None:
            text = f"{gone_pid():10d}\n" if content == "gone" else content
            lock_file(folder, pty).write_text(text)
        command = [sys.executable, "-c", READ_ONLY, pty, name]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=PATIENCE_S, check=False)
        assert re.match(expected, done.stdout), done.stdout + done.stderr
        assert not [entry for entry in files(folder) if entry.startswith("LTMP")]
