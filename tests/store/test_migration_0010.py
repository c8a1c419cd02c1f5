"""Schema 10: the differences of a telegram are found without looking at all of them."""
from __future__ import annotations

from tests.store.conftest import Opened


def test_differences_of_before_are_kept_and_found_by_their_telegram(opened: Opened) -> None:
    with opened(9) as connection:
        connection.execute(
            "INSERT INTO parse_differences (ingest_id, gateway_id, found_at, difference) VALUES ('t1', '', '', 'x')"
        )
    with opened() as connection:
        query = "SELECT difference FROM parse_differences WHERE ingest_id = 't1'"
        assert connection.execute(query).fetchall() == [("x",)]
        plan = " ".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {query}"))
        assert "parse_differences_telegram" in plan
