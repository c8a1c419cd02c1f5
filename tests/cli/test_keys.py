"""``mbusgw keys`` on a database that no gateway has open."""
from __future__ import annotations

import io
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest

from mbusgw.cli.main import main
from mbusgw.store import arrivals, telegrams
from mbusgw.store.telegrams import Status
from mbusgw.store.vault import fingerprint
from tests.fakes.stores import running_store, write
from tests.fakes.telegrams import received
from tests.wait import PATIENCE_S

KEY = "0102030405060708090A0B0C0D0E0F11"
MARK = fingerprint(bytes.fromhex(KEY))
OTHER = "AA" * 16

Run = Callable[..., int]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "mbusgw.yaml"
    file.write_text(f"http: {{listen: '127.0.0.1:1'}}\nstorage: {{path: {tmp_path}/keys.db}}\n")
    return file


@pytest.fixture
def run(file: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """``mbusgw keys ARGUMENTS`` with a text on standard input."""

    def keys(*arguments: str, given: str = "") -> int:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(given.encode())))
        return main(["keys", *arguments, "-c", str(file)])

    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    return keys


def stored(tmp_path: Path) -> list[tuple[str, str | None, str]]:
    with closing(sqlite3.connect(tmp_path / "keys.db")) as connection:
        return connection.execute("SELECT meter_id, manufacturer, key_hex FROM meter_keys ORDER BY 1").fetchall()


def test_a_key_is_read_from_standard_input_and_listed_by_its_fingerprint(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("set", "12345678", "--manufacturer", "els", given=f"{KEY}\n") == 0
    assert capsys.readouterr() == (f"the key of meter 12345678 ELS is set (fingerprint {MARK})\n", "")
    assert stored(tmp_path) == [("12345678", "ELS", KEY.lower())]
    assert run("list") == 0
    shown = capsys.readouterr().out
    assert f"12345678  ELS    {MARK}  20" in shown and KEY.lower() not in shown.lower()
    assert run("list", "--json") == 0
    assert json.loads(capsys.readouterr().out)["keys"][0]["fingerprint"] == MARK


def test_on_a_terminal_the_key_is_asked_for_and_not_shown(file: Path, tmp_path: Path) -> None:
    ours, theirs = os.openpty()
    command = [sys.executable, "-m", "mbusgw", "keys", "set", "*", "--manufacturer", "ELS", "-c", str(file)]
    child = subprocess.Popen(command, stdin=theirs, stdout=subprocess.PIPE, stderr=theirs, start_new_session=True)
    os.close(theirs)
    shown = b""
    while b"not shown): " not in shown:
        shown += os.read(ours, 1000)
    os.write(ours, f"{KEY[:16]} {KEY[16:]}\n".encode())
    written, _ = child.communicate(timeout=PATIENCE_S)
    os.set_blocking(ours, False)
    with suppress(OSError):
        shown += os.read(ours, 1000)
    os.close(ours)
    assert child.returncode == 0 and MARK in written.decode()
    assert KEY[:16].encode() not in shown + written
    assert stored(tmp_path) == [("*:ELS", "ELS", KEY.lower())]


@pytest.mark.parametrize(
    ("arguments", "given", "message"),
    [
        (("set", "1234567"), KEY, "8 digits"),
        (("set", "12345678", "--manufacturer", "E1S"), KEY, "three letters"),
        (("set", "*"), KEY, "needs its --manufacturer"),
        (("set", "12345678"), "", "this one has 0 characters"),
        (("set", "12345678"), KEY + "0", "this one has 33 characters"),
        (("set", "12345678"), KEY[:-1] + "Z", "this one holds another character"),
        (("set", "12345678"), "G" * 32, "32 hex digits (0-9, A-F)"),
    ],
)
def test_what_is_wrong_is_told_and_exits_2(
    run: Run, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], given: str, message: str
) -> None:
    assert run(*arguments, given=given) == 2
    captured = capsys.readouterr()
    assert message in captured.err and not captured.out and (not given or given not in captured.err)


@pytest.mark.parametrize("action", [("list",), ("remove", "12345678")])
def test_where_the_gateway_never_ran_that_is_told_and_no_database_made(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], action: tuple[str, ...]
) -> None:
    assert run(*action) == 1
    assert "no gateway answers on 127.0.0.1:1 (http.listen), and there is no database" in capsys.readouterr().err
    assert not (tmp_path / "keys.db").exists()


def test_a_key_that_is_not_there_cannot_be_removed(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    run("set", "87654321", given=KEY)
    assert run("remove", "12345678") == 2
    assert "no key is stored for meter 12345678" in capsys.readouterr().err


def test_a_key_is_removed(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("set", "12345678", "--manufacturer", "ELS", given=KEY)
    assert run("remove", "12345678") == 0
    assert "the key of meter 12345678 ELS is removed" in capsys.readouterr().out
    assert stored(tmp_path) == []


def test_one_that_the_configuration_sets_again_is_said_so(
    run: Run, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("set", "12345678", given=KEY)
    file.write_text(file.read_text() + f"keys: [{{meter_id: '12345678', key: {KEY}}}]\n")
    assert run("remove", "12345678", "--json") == 0
    captured = capsys.readouterr()
    assert "sets it again" in captured.err and '"removed":"12345678"' in captured.out.replace(" ", "")


# ------------------------------------------------------------------ import
@pytest.fixture
def keys_csv(tmp_path: Path) -> Path:
    file = tmp_path / "keys.csv"
    file.write_text(f"serial;aes\n12345678;{KEY}\n1234;{KEY}\n87654321;{OTHER}\n87654322;12\n")
    return file


def test_a_file_with_bad_lines_is_not_imported_and_every_one_is_named(
    run: Run, tmp_path: Path, keys_csv: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("import", str(keys_csv)) == 1
    captured = capsys.readouterr()
    assert f"{keys_csv}:3: a meter's number has 8 digits" in captured.err
    assert f"{keys_csv}:5: a key is 32 hex digits; this one has 2" in captured.err
    assert "2 bad lines, so that nothing was imported" in captured.err and not captured.out
    assert not (tmp_path / "keys.db").exists() or stored(tmp_path) == []


def test_with_skip_bad_the_good_lines_are_imported(
    run: Run, tmp_path: Path, keys_csv: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("import", str(keys_csv), "--skip-bad") == 0
    captured = capsys.readouterr()
    assert "2 keys imported, 2 of them new or other than before, 2 bad lines left out" in captured.out
    assert ":3: " in captured.err and len(stored(tmp_path)) == 2
    assert run("import", str(keys_csv), "--skip-bad", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"keys": 2, "changed": 0, "bad": 2, "retried": 0}


def test_standard_input_is_imported_too(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("import", "-", given=json.dumps([{"id": "12345678", "key": KEY}])) == 0
    assert len(stored(tmp_path)) == 1
    assert run("import", "-", given="[{}]") == 1
    assert "standard input:1: " in capsys.readouterr().err


def test_a_file_that_is_not_there_is_told(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("import", str(tmp_path / "none.csv")) == 1
    assert "No such file" in capsys.readouterr().err


# ------------------------------------------------------------------ with what waits, and the master key
def test_what_waited_for_the_key_is_counted(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with running_store(tmp_path / "keys.db") as store:
        write(
            store,
            lambda connection: arrivals.insert(connection, [received("t1")], dedup_window_s=None),
            telegrams.settle("t1", Status.KEY_MISSING, meter_id="12345678", manufacturer="ELS"),
        )
    assert run("set", "12345678", given=KEY) == 0
    assert "1 telegram that waited for it is parsed" in capsys.readouterr().out


def test_with_a_master_key_it_is_sealed_and_without_it_nothing_is_set_beside_it(
    run: Run, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = file.read_text()
    (tmp_path / "master").write_text("11" * 32)
    file.write_text(plain.replace("storage: {", f"storage: {{master_key_file: {tmp_path}/master, "))
    assert run("set", "12345678", given=KEY) == 0
    assert stored(tmp_path)[0][2].startswith("gcm:")
    file.write_text(plain)
    assert run("set", "87654321", given=KEY) == 1
    assert "encrypted with another master key" in capsys.readouterr().err
    assert run("list") == 0
    captured = capsys.readouterr()
    assert MARK in captured.out and "1 key cannot be opened" in captured.err


def test_a_database_that_another_process_has_and_that_does_not_answer_is_told(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with running_store(tmp_path / "keys.db"):
        assert run("list") == 1
    assert "does not answer on 127.0.0.1:1 (http.listen)" in capsys.readouterr().err
