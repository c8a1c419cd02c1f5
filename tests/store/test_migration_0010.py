"""Schema 10: the differences of a telegram are found without looking at all of them."""
from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from mbusgw.store import database


def test_differences_of_before_are_kept_and_found_by_their_telegram(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = database.migrations()
    with monkeypatch.context() as patch:
        patch.setattr(database, "migrations", lambda: [step for step in steps if step[0] < 10])
        with closing(database.open_writer(tmp_path / "old.db")) as connection:
            connection.execute(
                "INSERT INTO parse_differences (ingest_id, gateway_id, found_at, difference) VALUES ('t1', '', '', 'x')"
            )
    with closing(database.open_writer(tmp_path / "old.db")) as connection:
        query = "SELECT difference FROM parse_differences WHERE ingest_id = 't1'"
        assert connection.execute(query).fetchall() == [("x",)]
        plan = " ".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {query}"))
        assert "parse_differences_telegram" in plan
