"""What was acknowledged is there afterwards: kill -9 in the middle, and a disk without room."""
from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mbusgw.store.writer import Store
from tests.fakes.stores import one, opened_store, rows
from tests.wait import PATIENCE_S


def writer(path: Path, *more: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "tests.store.writing_process", str(path), *more],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )


def check_books(store: Store) -> None:
    """The file is sound, nothing is half there, the counters are right."""
    assert one(store, "PRAGMA integrity_check") == "ok"
    assert rows(store, "PRAGMA foreign_key_check") == []
    query = "SELECT ingest_id FROM telegrams WHERE status = 'parsed' ORDER BY rowid"
    telegrams = [row[0] for row in rows(store, query)]
    messages = [row[0] for row in rows(store, "SELECT ingest_id FROM mqtt_queue ORDER BY id")]
    assert telegrams == messages
    assert len(telegrams) == one(store, "SELECT count(*) FROM telegrams")
    assert store.count("outbox") == store.count("telemetry") == len(messages)
    assert store.count("backlog") == 0


@pytest.mark.parametrize("lines", [1, 300, 1500])
def test_after_kill_9_everything_acknowledged_is_there_and_nothing_is_half_there(tmp_path: Path, lines: int) -> None:
    path = tmp_path / "mbusgw.db"
    with writer(path) as process:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(lines)]
        process.kill()
        said += process.stdout.readlines()
    acknowledged = {f"t{int(line)}" for line in said}
    assert len(acknowledged) >= lines
    with opened_store(path) as store:
        there = {row[0] for row in rows(store, "SELECT ingest_id FROM telegrams")}
        assert acknowledged <= there
        check_books(store)


def test_without_room_units_are_refused_what_was_accepted_stays_and_it_goes_on_by_itself(tmp_path: Path) -> None:
    path = tmp_path / "mbusgw.db"
    with writer(path, str(3_000_000)) as process:
        assert process.stdout is not None
        said = process.stdout.read().split("\n")[:-1]
        assert process.wait(PATIENCE_S) == 0
    assert said.count("full") == 3 and said[-1] == "999999"
    acknowledged = {f"t{line}" for line in said if line != "full"}
    assert len(acknowledged) > 50
    with opened_store(path) as store:
        assert {row[0] for row in rows(store, "SELECT ingest_id FROM telegrams")} == acknowledged
        check_books(store)
