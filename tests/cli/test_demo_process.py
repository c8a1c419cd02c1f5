from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mbusgw.cli import demo_process
from mbusgw.cli.demo_process import Child, accepts, find_program, free_port
from mbusgw.model.errors import MbusgwError
from tests.mosquitto import free_port as other_free_port
from tests.wait import wait_until


def python(tmp_path: Path, program: str) -> Child:
    return Child("the program", [sys.executable, "-u", "-c", program], tmp_path / "output.txt")


def runs(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


def test_a_program_that_is_missing_is_named_with_advice(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(demo_process, "SYSTEM_PATH", str(tmp_path))
    with pytest.raises(MbusgwError, match="nosuch is not installed") as caught:
        find_program("nosuch", hint="apt install nosuch")
    assert caught.value.hint == "apt install nosuch"


def test_programs_of_the_system_are_found_outside_of_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "daemon").write_text("#!/bin/sh\n")
    (tmp_path / "daemon").chmod(0o755)
    monkeypatch.setattr(demo_process, "SYSTEM_PATH", str(tmp_path))
    assert find_program("daemon", hint="") == str(tmp_path / "daemon")


def test_an_address_that_is_not_ours_is_refused() -> None:
    with pytest.raises(MbusgwError, match="cannot listen on 192.0.2.1"):
        free_port("192.0.2.1")


def test_nobody_accepts_on_a_free_port() -> None:
    assert not accepts("127.0.0.1", other_free_port())


def test_a_child_that_has_ended_is_reported_with_its_last_words(tmp_path: Path) -> None:
    child = python(tmp_path, "import sys; print('line 1'); sys.exit('no such port')")
    child.start()

    def ended() -> str:
        try:
            child.check()
        except MbusgwError as error:
            return f"{error} {error.hint}"
        return ""

    assert wait_until(ended) == "the program has ended (exit code 1) line 1\n  no such port"


def test_a_child_ends_when_asked(tmp_path: Path) -> None:
    child = python(tmp_path, "import signal; signal.pause()")
    child.start()
    child.check()
    assert child.pid is not None and runs(child.pid)
    child.stop(10)
    assert not runs(child.pid)


def test_a_child_that_does_not_listen_is_ended_all_the_same(tmp_path: Path) -> None:
    child = python(
        tmp_path,
        "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready')\nwhile True: signal.pause()",
    )
    child.start()
    wait_until(lambda: child.last_words() == "ready")
    assert child.pid is not None
    child.stop(0.2)
    assert not runs(child.pid)


def test_a_child_that_never_started_needs_no_end(tmp_path: Path) -> None:
    python(tmp_path, "").stop(1)


@pytest.mark.skipif(not Path("/usr/bin/setpriv").exists(), reason="setpriv is not installed")
def test_a_child_ends_when_we_are_killed(tmp_path: Path) -> None:
    program = (
        "import signal, sys; from pathlib import Path; from mbusgw.cli.demo_process import Child\n"
        f"child = Child('x', [sys.executable, '-c', 'import signal; signal.pause()'], Path({str(tmp_path / 'o')!r}))\n"
        "child.start(); print(child.pid, flush=True); signal.pause()"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        # While a program is exchanged its command line is empty; once it is the child's, setpriv has done its work.
        wait_until(lambda: Path(f"/proc/{pid}/cmdline").read_bytes().startswith(sys.executable.encode()))
        assert runs(pid)
        os.kill(parent.pid, signal.SIGKILL)
    wait_until(lambda: not runs(pid))
