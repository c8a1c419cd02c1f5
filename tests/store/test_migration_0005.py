"""Schema 5: finds and the places of scans come to a database that has been used."""
from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from mbusgw.store import database, found


def test_a_database_of_before_gets_empty_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = database.migrations()
    with monkeypatch.context() as patch:
        patch.setattr(database, "migrations", lambda: [step for step in steps if step[0] < 5])
        database.open_writer(tmp_path / "old.db").close()
    with closing(database.open_writer(tmp_path / "old.db")) as connection:
        assert connection.execute("PRAGMA user_version").fetchone()[0] >= 5
        assert found.load(connection) == [] and found.places(connection) == {}
