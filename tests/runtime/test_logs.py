"""What is logged where, in which form, and what is not."""
from __future__ import annotations

import io
import json
import logging
import os
import re
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mbusgw.model.errors import MbusgwError
from mbusgw.runtime import logs as logs_module
from mbusgw.runtime.logs import FILE_BYTES, OLD_FILES, TRAFFIC, Logs, LogSettings, configure, is_journal
from tests.wait import PATIENCE_S

log = logging.getLogger("mbusgw.wired.meter")
traffic = logging.getLogger(TRAFFIC)

Start = Callable[..., Logs]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts logging below ``tmp_path`` and ends it after the test."""
    started: list[Logs] = []

    def begin(**settings: object) -> Logs:
        started.append(configure(LogSettings(**{"directory": tmp_path / "log", **settings})))  # type: ignore[arg-type]
        return started[-1]

    yield begin
    for one in started:
        one.close()


def read(tmp_path: Path, name: str) -> str:
    return (tmp_path / "log" / name).read_text(encoding="utf-8")


def crash(text: str) -> None:
    try:
        raise ValueError(text)
    except ValueError:
        log.exception("it went wrong")


def test_a_line_tells_time_level_place_thread_and_message(start: Start, tmp_path: Path) -> None:
    start()
    log.info("meter_1 is online")
    line = read(tmp_path, "main.log")
    time, _, rest = line.partition(" ")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d", time)
    assert rest == "INFO    wired.meter [MainThread] meter_1 is online\n"


def test_the_level_decides_what_is_written(start: Start, tmp_path: Path) -> None:
    logs = start(level="WARNING")
    log.info("one")
    log.warning("two")
    logs.set_level("DEBUG")
    log.debug("three")
    text = read(tmp_path, "main.log")
    assert "one" not in text and "two" in text and "three" in text


def test_errors_have_their_traces_in_error_log_and_one_line_in_main_log(start: Start, tmp_path: Path) -> None:
    start()
    log.warning("only a warning")
    crash("the reason")
    errors, main = read(tmp_path, "error.log"), read(tmp_path, "main.log")
    assert "Traceback" in errors and "the reason" in errors and "only a warning" not in errors
    assert "Traceback" not in main and main.endswith("it went wrong (ValueError: the reason)\n")


def test_traffic_has_a_file_of_its_own_at_debug_only(start: Start, tmp_path: Path) -> None:
    logs = start(level="INFO")
    traffic.debug("main > 10 5B 01 5C 16")
    assert read(tmp_path, "mbus_comm.log") == ""
    logs.set_level("DEBUG")
    traffic.debug("main > 10 5B 01 5C 16")
    assert "10 5B 01" in read(tmp_path, "mbus_comm.log")
    assert "10 5B 01" not in read(tmp_path, "main.log")


def test_foreign_libraries_speak_from_warning_on(start: Start, tmp_path: Path) -> None:
    start(level="DEBUG")
    logging.getLogger("urllib3.connectionpool").debug("GET /api/meterData?key=%s", "ab" * 16)
    logging.getLogger("paho").info("sending CONNECT")
    logging.getLogger("urllib3.connectionpool").warning("Retrying /api/meterData?raw=00&key=%s", "ab" * 16)
    text = read(tmp_path, "main.log")
    assert "CONNECT" not in text and "GET" not in text
    assert "Retrying /api/meterData?raw=00&key=***" in text and "abab" not in text


def test_secrets_are_hidden_in_messages_and_traces_of_every_file(start: Start, tmp_path: Path) -> None:
    start(level="DEBUG", secrets=frozenset({"Hidden99"}))
    crash("login with Hidden99 failed")
    log.info("token %s", "Hidden99")
    traffic.debug("Hidden99")
    for name in OLD_FILES:
        assert "Hidden99" not in read(tmp_path, name)
        assert "***" in read(tmp_path, name)


@pytest.mark.parametrize("secret", ['quo"te\\99', "Umläut99"])
def test_json_lines_are_whole_documents_without_secrets(start: Start, tmp_path: Path, secret: str) -> None:
    start(format="json", secrets=frozenset({secret}))
    log.warning("two\nlines of %s", secret)
    crash(secret)
    first, second = [json.loads(line) for line in read(tmp_path, "main.log").splitlines()]
    assert first["message"] == "two\nlines of ***"
    assert (first["level"], first["logger"], first["thread"]) == ("WARNING", "mbusgw.wired.meter", "MainThread")
    assert first["time"][10] == "T"
    assert second["trace"].startswith("Traceback") and secret not in second["trace"]


def test_a_text_from_outside_cannot_pass_for_a_line_of_ours(start: Start, tmp_path: Path) -> None:
    start()
    log.info("gateway %s", "x\n2026-01-01T00:00:00 ERROR forged")
    assert len([line for line in read(tmp_path, "main.log").splitlines() if not line.startswith("  ")]) == 1


def test_all_files_together_stay_below_fifty_megabytes() -> None:
    assert sum(FILE_BYTES * (1 + old) for old in OLD_FILES.values()) <= 50_000_000


def test_files_rotate_and_the_oldest_goes(start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs_module, "FILE_BYTES", 1000)
    start()
    for number in range(200):
        log.error("line %d", number)
    sizes = {path.name: path.stat().st_size for path in (tmp_path / "log").iterdir()}
    assert {"main.log", "main.log.4", "error.log.1"} <= set(sizes)
    assert "main.log.5" not in sizes and "error.log.2" not in sizes
    assert all(size <= 1000 for size in sizes.values())
    assert "line 199" in read(tmp_path, "main.log")


def test_warnings_of_python_are_logged(start: Start, tmp_path: Path) -> None:
    start()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old habit", stacklevel=1)
    assert "old habit" in read(tmp_path, "main.log")


def test_the_death_of_a_thread_is_logged(start: Start, tmp_path: Path) -> None:
    start()

    def die() -> None:
        raise ValueError("unexpected end")

    thread = threading.Thread(target=die, name="somebody")
    thread.start()
    thread.join()
    assert "somebody ended by an exception" in read(tmp_path, "error.log")
    assert "unexpected end" in read(tmp_path, "error.log")


def test_a_folder_is_made_with_those_above_it(start: Start, tmp_path: Path) -> None:
    start(directory=tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b" / "main.log").exists()


def test_a_folder_that_cannot_be_made_is_one_clear_error(start: Start, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    before = logging.getLogger().handlers[:]
    with pytest.raises(MbusgwError, match=f"the log folder {tmp_path}/file/log cannot be written: Not a dir") as caught:
        start(directory=tmp_path / "file" / "log")
    assert "--state-dir DIR" in caught.value.hint
    assert logging.getLogger().handlers == before


def test_a_log_file_that_is_a_folder_is_the_same_clear_error(start: Start, tmp_path: Path) -> None:
    (tmp_path / "log" / "error.log").mkdir(parents=True)
    with pytest.raises(MbusgwError, match="cannot be written"):
        start()


def test_closing_leaves_logging_as_it_was(tmp_path: Path) -> None:
    hook, handlers = threading.excepthook, logging.getLogger().handlers[:]
    logs = configure(LogSettings(directory=tmp_path))
    logs.close()
    logs.close()
    assert (threading.excepthook, logging.getLogger().handlers) == (hook, handlers)
    assert traffic.handlers == [] and traffic.propagate


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_said_once_and_does_no_harm(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stderr = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stderr)
    start(level="INFO")
    (main,) = [h for h in logging.getLogger().handlers if getattr(h, "baseFilename", "").endswith("main.log")]
    assert isinstance(main, logging.FileHandler)
    good, main.stream = main.stream, open("/dev/full", "w")
    log.info("one")
    log.info("two")
    full, main.stream = main.stream, good
    log.info("three")
    with pytest.raises(OSError):
        full.close()
    said = [line for line in stderr.getvalue().splitlines() if line.startswith("mbusgw: ")]
    assert len(said) == 2
    assert "main.log cannot be written: [Errno 28]" in said[0]
    assert "can be written again, after 2 failures" in said[1]
    assert "three" in read(tmp_path, "main.log")


# ------------------------------------------------------------------ stderr
def run_python(code: str, **options: Any) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", f"import logging\nfrom mbusgw.runtime.logs import *\n{code}"]
    return subprocess.run(command, text=True, timeout=PATIENCE_S, check=False, **options)


SPEAK = "configure(LogSettings())\nlogging.getLogger('mbusgw.x').warning('one\\ntwo')"


def test_lines_go_to_stderr_as_well() -> None:
    assert "WARNING x [MainThread] one\n  two\n" in run_python(SPEAK, capture_output=True).stderr


def test_lines_for_the_journal_carry_their_priority_instead_of_the_time(tmp_path: Path) -> None:
    with open(tmp_path / "journal", "w") as journal:
        status = os.fstat(journal.fileno())
        environ = {**os.environ, "JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
        run_python(SPEAK, stderr=journal, env=environ)
    assert (tmp_path / "journal").read_text() == "<4>x [MainThread] one\n<4>  two\n"


def test_a_stderr_that_is_not_the_journal_is_none(tmp_path: Path) -> None:
    assert not is_journal({}, 2)
    assert not is_journal({"JOURNAL_STREAM": "1:2"}, 2)
    assert not is_journal({"JOURNAL_STREAM": "1:2"}, 9999)


def test_a_stderr_that_is_closed_does_no_harm() -> None:
    code = "import os\nos.close(2)\n" + SPEAK + "\nprint('goes on')"
    assert run_python(code, stdout=subprocess.PIPE).stdout == "goes on\n"
