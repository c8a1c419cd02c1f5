"""Schema 2: a telegram is known again by its content."""
from __future__ import annotations

import sqlite3

import pytest

from tests.store.conftest import Opened


def test_telegrams_of_schema_1_are_kept_and_new_ones_are_found_by_content(opened: Opened) -> None:
    with opened(1) as connection:
        connection.execute(
            "INSERT INTO telegrams (ingest_id, gateway_id, rx_time, raw_hex, status, created_at, digest)"
            " VALUES ('t1', 'gw', 'now', '00', 'received', 'now', x'00')"
        )
    with opened(2) as connection:
        assert connection.execute("SELECT ingest_id, content FROM telegrams").fetchall() == [("t1", None)]
        assert connection.execute("SELECT value FROM counters WHERE name = 'backlog'").fetchone()[0] == 1
        query = "SELECT 1 FROM telegrams WHERE content = x'00' AND created_at BETWEEN '1' AND '2'"
        plan = " ".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {query}"))
        assert "telegrams_content" in plan
        with pytest.raises(sqlite3.OperationalError):
            connection.execute("SELECT digest FROM telegrams")
