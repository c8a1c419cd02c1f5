"""Schema 7: no index over contents any more; what came before it is known as a duplicate all the same."""
from __future__ import annotations

from pathlib import Path

import pytest

from mbusgw.store import database, telegrams
from tests.fakes.clock import START
from tests.fakes.telegrams import received


def test_a_telegram_of_schema_6_is_known_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = database.migrations()
    monkeypatch.setattr(database, "migrations", lambda: steps[:6])
    connection = database.open_writer(tmp_path / "seven.db")
    telegrams.insert(connection, [received("t1")], dedup_window_s=None)
    connection.close()
    monkeypatch.setattr(database, "migrations", lambda: steps[:7])
    connection = database.open_writer(tmp_path / "seven.db")
    assert not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'telegrams_content'").fetchall()
    (answer,) = telegrams.insert(connection, [received("t2", at=START)], dedup_window_s=300)
    assert answer.duplicate_of == "t1"
    connection.close()
