"""Changes of the configuration file: whole or not at all."""
from __future__ import annotations

import fcntl
import os
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from mbusgw.config import edit
from mbusgw.config.loader import load
from mbusgw.model.errors import ConfigError, ConfigUnchanged
from tests.wait import PATIENCE_S

BUSES = "buses: [{name: main, port: /dev/ttyUSB0}]\n"
TEXT = f"# Zähler im Keller\n{BUSES}devices:\n  - {{id: a, bus: main, address: 1}}  # der erste\n# Schluss\n"
NEW = {"id": "els_1", "bus": "main", "address": 5, "meter": "1234567824401007"}
ADDED = '  - {id: els_1, bus: main, address: 5, meter: "1234567824401007"}\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mbusgw.yaml"
    path.write_text(TEXT)
    return path


def add(path: Path, *entries: dict[str, str | int], **more: list[dict[str, str | int]]) -> None:
    edit.add(path, {**more, "devices": list(entries or (NEW,))}, {})


def folder_holds(path: Path) -> list[str]:
    return sorted(entry.name for entry in path.parent.iterdir())


def test_what_is_added_can_be_loaded_and_every_other_byte_stays(file: Path) -> None:
    add(file)
    assert file.read_text() == TEXT.replace("# Schluss", f"{ADDED}# Schluss")
    assert [str(device.meter) for device in load(file, {}).devices] == ["None", "1234567824401007"]
    assert folder_holds(file) == ["mbusgw.yaml"]


def test_mode_owner_and_byte_order_mark_stay(file: Path) -> None:
    file.write_bytes(b"\xEF\xBB\xBF" + TEXT.replace("\n", "\r\n").encode())
    file.chmod(0o604)
    if os.geteuid() == 0:
        os.chown(file, 12345, 23456)
    before = file.stat()
    add(file)
    after = file.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert after.st_mtime_ns >= before.st_mtime_ns and after.st_ino != before.st_ino
    data = file.read_bytes()
    assert data.startswith(b"\xEF\xBB\xBF#") and data.count(b"\n") == data.count(b"\r\n") == 6


def test_a_symbolic_link_stays_one(file: Path, tmp_path: Path) -> None:
    real = tmp_path / "elsewhere" / "real.yaml"
    real.parent.mkdir()
    file.rename(real)
    file.symlink_to(real)
    add(file)
    assert file.is_symlink() and len(load(real, {}).devices) == 2
    assert folder_holds(real) == ["real.yaml"]


def test_a_file_that_is_not_there_is_made_for_its_owner_and_group(tmp_path: Path) -> None:
    file = tmp_path / "new.yaml"
    add(file, buses=[{"name": "main", "port": "/dev/ttyUSB0"}])
    assert file.read_text() == (
        'buses:\n  - name: main\n    port: "/dev/ttyUSB0"\n\n'
        'devices:\n  - id: els_1\n    bus: main\n    address: 5\n    meter: "1234567824401007"\n'
    )
    assert stat.S_IMODE(file.stat().st_mode) == 0o640


def test_a_text_that_could_not_be_loaded_is_never_written(file: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        add(file, {"id": "b", "bus": "attic", "address": 300})
    assert {problem.key for problem in refused.value.problems} == {"devices[1].bus", "devices[1].address"}
    assert file.read_text() == TEXT and folder_holds(file) == ["mbusgw.yaml"]


def test_a_file_that_is_wrong_already_is_told_its_own_mistakes(file: Path) -> None:
    file.write_text(TEXT + "http: {port: 8080}\n")
    with pytest.raises(ConfigError) as refused:
        add(file)
    assert [problem.key for problem in refused.value.problems] == ["http.port"]


@pytest.mark.parametrize(
    "text",
    [
        f"x: &x [{{id: a, bus: main, address: 1}}]\n{BUSES}devices: *x\n",
        f"{BUSES}devices:\n  - {{id: a, bus: main, address: 1}}\n\t\n",
    ],
)
def test_what_cannot_be_added_to_is_refused_or_done_right(tmp_path: Path, text: str) -> None:
    file = tmp_path / "mbusgw.yaml"
    file.write_text(text)
    try:
        add(file)
    except (ConfigUnchanged, ConfigError):
        assert file.read_text() == text
    else:
        assert [device.id for device in load(file, {}).devices] == ["a", "els_1"]


@pytest.mark.parametrize("what", ["folder", "latin-1", "nowhere"])
def test_what_is_no_file_of_ours_is_refused(tmp_path: Path, what: str) -> None:
    path = tmp_path / "mbusgw.yaml"
    if what == "folder":
        path.mkdir()
    elif what == "latin-1":
        path.write_bytes(TEXT.encode("latin-1"))
    else:
        path = tmp_path / "no" / "such" / "mbusgw.yaml"
    with pytest.raises(ConfigUnchanged, match=str(path)):
        add(path)


def test_while_another_changes_it_nobody_else_does(file: Path) -> None:
    descriptor = os.open(file.parent, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        with pytest.raises(ConfigUnchanged, match="somebody else at the moment") as refused:
            add(file)
        assert refused.value.retryable
    finally:
        os.close(descriptor)
    add(file)


def test_a_change_of_somebody_who_does_not_ask_is_not_overwritten(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fsync = os.fsync

    def meanwhile(descriptor: int) -> None:
        file.write_text(TEXT + "# edited\n")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", meanwhile)
    with pytest.raises(ConfigUnchanged, match="changed by somebody else meanwhile"):
        add(file)
    assert file.read_text() == TEXT + "# edited\n" and folder_holds(file) == ["mbusgw.yaml"]


# ------------------------------------------------------------------ not by this user
SCRIPT = """
import os, sys
from pathlib import Path
from mbusgw.config import edit
from mbusgw.model.errors import ConfigNotWritable
"".encode("utf-8-sig")  # what is imported only when needed is there before the user changes
if len(sys.argv) > 3 and os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
entry = {"id": "n" + sys.argv[2], "bus": "main", "address": int(sys.argv[2])}
try:
    edit.add(Path(sys.argv[1]), {"devices": [entry]}, {})
except ConfigNotWritable as error:
    print(error, "|", error.hint)
    sys.exit(9)
"""


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that everybody may enter."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def as_nobody(path: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", SCRIPT, str(path), "5", "as nobody"],
        text=True,
        capture_output=True,
        timeout=PATIENCE_S,
        check=False,
    )


def test_who_may_not_write_the_folder_is_told_what_to_do(public: Path) -> None:
    path = public / "mbusgw.yaml"
    path.write_text(TEXT)
    public.chmod(0o555)
    told = as_nobody(path)
    assert told.returncode == 9, told.stderr
    assert f"{path} may not be changed by this user" in told.stdout and "sudo" in told.stdout
    assert path.read_text() == TEXT


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_owner_is_not_taken_away_from_him(public: Path) -> None:
    path = public / "mbusgw.yaml"
    path.write_text(TEXT)
    path.chmod(0o666)
    public.chmod(0o777)
    assert as_nobody(path).returncode == 9
    assert path.read_text() == TEXT and path.stat().st_uid == 0 and folder_holds(path) == ["mbusgw.yaml"]


# ------------------------------------------------------------------ killed in the middle
KILLED = SCRIPT.replace(", {})\n", ", {})\n    print('done', flush=True)\n").replace(
    "try:", "print('begins', flush=True)\ntry:"
)


@pytest.mark.slow
def test_a_kill_at_any_moment_leaves_a_whole_file(file: Path) -> None:
    complete = 0
    for number in range(10, 22):
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(file), str(number)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None and process.stdout.readline() == "begins\n"
        for _ in range((number - 10) * 30_000):
            pass  # another moment each time
        process.send_signal(signal.SIGKILL)
        process.wait(PATIENCE_S)
        process.stdout.close()
        devices = load(file, {}).devices
        assert len(devices) >= complete, "what was there stays there"
        complete = len(devices)
    add(file)
    assert len(load(file, {}).devices) == complete + 1 and folder_holds(file) == ["mbusgw.yaml"]
