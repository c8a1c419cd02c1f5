"""Schema 8: a state that is replaced before it was sent leaves its reading behind."""
from __future__ import annotations

from mbusgw.store import outbox
from mbusgw.store.outbox import Message
from tests.fakes.clock import START
from tests.store.conftest import Opened


def test_messages_of_before_wait_on_and_are_replaced_as_ever(opened: Opened) -> None:
    with opened(7) as connection:
        connection.execute("INSERT INTO mqtt_queue (topic, payload, retain, created_at) VALUES ('t', 'x', 1, '')")
        connection.execute("INSERT INTO mqtt_queue (topic, payload, retain, created_at) VALUES ('u', 'y', 0, '')")
    with opened() as connection:
        assert connection.execute("PRAGMA user_version").fetchone()[0] >= 8
        outbox.put(connection, [Message("t", "new", retain=True)], START)
        assert [(one.topic, one.payload) for one in outbox.after(connection, 0, 10)] == [("u", "y"), ("t", "new")]
        assert dict(connection.execute("SELECT name, value FROM counters"))["spare"] == 0
