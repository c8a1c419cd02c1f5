"""``mbusgw keys rekey``: another master key, all or nothing."""
from __future__ import annotations

import json
import os
import random
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from mbusgw.cli.main import main
from mbusgw.store import arrivals, keys, telegrams
from mbusgw.store.keys import MeterKey
from mbusgw.store.vault import Vault, master_name
from tests.fakes.clock import START
from tests.fakes.stores import running_store, write
from tests.fakes.telegrams import received
from tests.wait import PATIENCE_S, wait_until

OLD, NEW, THIRD = bytes(32), bytes([1]) * 32, bytes([2]) * 32
METER_KEY = bytes(range(16))

Run = Callable[..., int]


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Two meters' keys and one that came with a telegram that waits, sealed with ``OLD``."""
    with running_store(tmp_path / "keys.db") as store:
        vault = Vault(OLD)
        known = [MeterKey("12345678", "ELS", METER_KEY), MeterKey("*", "KAM", METER_KEY[::-1])]
        write(
            store,
            lambda connection: keys.put(connection, known, START, vault),
            lambda connection: arrivals.insert(
                connection, [received("t1", key=METER_KEY)], dedup_window_s=None, vault=vault
            ),
        )
    return tmp_path / "keys.db"


@pytest.fixture
def run(tmp_path: Path, database: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    for name, master in (("old", OLD), ("new", NEW), ("third", THIRD)):
        (tmp_path / name).write_text(master.hex())
    file = tmp_path / "mbusgw.yaml"
    file.write_text(
        f"http: {{listen: '127.0.0.1:1'}}\nstorage: {{path: {database}, master_key_file: {tmp_path}/old}}\n"
    )
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: main(["keys", *arguments, "-c", str(file)])


def opened(path: Path, vault: Vault) -> list[bytes]:
    """Every key, as ``vault`` opens it."""
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        found = [vault.open(stored.text, stored.about) for stored in keys.everything(connection)]
        waiting = telegrams.load(connection, "t1", vault)
        assert waiting is not None and waiting[0].key is not None
        return [*found, waiting[0].key]


def test_every_key_opens_with_the_new_master_key_and_the_old_one_is_of_no_use_any_more(
    run: Run, database: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = [text for (text,) in _texts(database)]
    assert run("rekey", "--new", "new") == 0
    said = capsys.readouterr().out
    assert said.startswith(f"3 keys are encrypted with master key {master_name(NEW)} now\n")
    assert "before mbusgw starts: new takes the place of the old master key" in said
    assert opened(database, Vault(NEW)) == [METER_KEY[::-1], METER_KEY, METER_KEY]
    files = b"".join(path.read_bytes() for path in database.parent.glob("keys.db*"))
    assert not any(text.encode() in files for text in before), "the old texts are left in the file"
    assert METER_KEY.hex() not in said


def test_a_second_time_there_is_nothing_to_do(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("rekey", "--new", "new") == 0
    capsys.readouterr()
    assert run("rekey", "--new", "new", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["changed"], document["unchanged"], document["master_key"]) == (0, 3, master_name(NEW))


def test_to_plain_text_and_back(run: Run, database: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("rekey", "--plain") == 0
    assert "3 keys are kept in plain text now\nbefore mbusgw starts: take" in capsys.readouterr().out
    assert METER_KEY.hex() in [text for (text,) in _texts(database)]
    assert run("rekey", "--new", "third") == 0
    assert opened(database, Vault(THIRD)) == [METER_KEY[::-1], METER_KEY, METER_KEY]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--old", "third", "--new", "new"], "nothing was changed: the key of * KAM is encrypted with master key"),
        (["--old", "nowhere", "--new", "new"], "nowhere cannot be read"),
        (["--new", "nowhere"], "nowhere cannot be read"),
        (["--new", "bad"], "bad holds no key of 32 bytes"),
        (["--new", "."], ". cannot be read"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_changed(
    run: Run, tmp_path: Path, database: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    (tmp_path / "bad").write_text("0102")
    assert run("rekey", *arguments) == 1
    assert said in capsys.readouterr().err
    assert opened(database, Vault(OLD)) == [METER_KEY[::-1], METER_KEY, METER_KEY]


@pytest.mark.parametrize("arguments", [[], ["--new", "new", "--plain"]])
def test_what_is_meant_must_be_said(run: Run, arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run("rekey", *arguments)
    assert caught.value.code == 2


def test_one_key_that_does_not_open_stops_all(run: Run, database: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("UPDATE telegrams SET key_hex = substr(key_hex, 1, 40)")
        connection.commit()
    before = _texts(database)
    assert run("rekey", "--new", "new") == 1
    assert "the stored key of t1 is damaged" in capsys.readouterr().err
    assert _texts(database) == before


def test_a_gateway_that_runs_must_be_stopped_first(
    run: Run, database: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with running_store(database):
        assert run("rekey", "--new", "new") == 1
    assert "this needs a gateway that is stopped" in capsys.readouterr().err


def test_without_a_database_none_is_made(run: Run, database: Path, capsys: pytest.CaptureFixture[str]) -> None:
    database.unlink()
    assert run("rekey", "--new", "new") == 1
    assert "there is no database" in capsys.readouterr().err and not database.exists()


@pytest.mark.slow
def test_killed_at_any_moment_all_keys_are_under_the_one_or_all_under_the_other(run: Run, database: Path) -> None:
    many = [MeterKey(f"{number:08d}", "SIM", number.to_bytes(16, "big")) for number in range(8_000)]
    with running_store(database) as store:
        write(store, lambda connection: keys.put(connection, many, START, Vault(OLD)))
    command = [sys.executable, "-m", "mbusgw", "keys", "rekey", "-c", "mbusgw.yaml", "--old"]
    drawn, names = random.Random(4), {master_name(OLD): ("old", "new"), master_name(NEW): ("new", "old")}
    for _ in range(5):
        bytes_written = drawn.randrange(2 << 20)
        old, new = names[_sealed_by(database)]
        wal = database.with_name("keys.db-wal")
        child = subprocess.Popen([*command, old, "--new", new], stdout=subprocess.DEVNULL, env={**os.environ})
        wait_until(lambda: child.poll() is not None or (wal.exists() and wal.stat().st_size > bytes_written))
        child.kill()
        child.wait(PATIENCE_S)
        assert _sealed_by(database) in names


def _texts(path: Path) -> list[tuple[str]]:
    with closing(sqlite3.connect(path)) as connection:
        query = "SELECT key_hex FROM meter_keys UNION ALL SELECT key_hex FROM telegrams"
        return connection.execute(query).fetchall()


def _sealed_by(path: Path) -> str:
    """The name of the one master key that all are sealed with."""
    (name,) = {text.split(":")[1] for (text,) in _texts(path)}
    return name
