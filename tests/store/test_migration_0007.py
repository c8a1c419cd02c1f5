"""Schema 7: no index over contents any more; what came before it is known as a duplicate all the same."""
from __future__ import annotations

from mbusgw.store import arrivals
from tests.fakes.clock import START
from tests.fakes.telegrams import received
from tests.store.conftest import Opened


def test_a_telegram_of_schema_6_is_known_again(opened: Opened) -> None:
    with opened(6) as connection:
        arrivals.insert(connection, [received("t1")], dedup_window_s=None)
    with opened(7) as connection:
        assert not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'telegrams_content'").fetchall()
        (answer,) = arrivals.insert(connection, [received("t2", at=START)], dedup_window_s=300)
        assert answer.duplicate_of == "t1"
