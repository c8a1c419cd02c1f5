"""Schema 5: finds and the places of scans come to a database that has been used."""
from __future__ import annotations

from mbusgw.store import found
from tests.store.conftest import Opened


def test_a_database_of_before_gets_empty_tables(opened: Opened) -> None:
    with opened(4):
        pass
    with opened() as connection:
        assert connection.execute("PRAGMA user_version").fetchone()[0] >= 5
        assert found.load(connection) == [] and found.places(connection) == {}
