"""Schema 6: what the broker would not take is kept apart."""
from __future__ import annotations

from mbusgw.store import outbox
from tests.store.conftest import Opened


def test_a_database_of_before_gets_an_empty_table_and_keeps_its_messages(opened: Opened) -> None:
    with opened(5) as connection:
        connection.execute("INSERT INTO mqtt_queue (topic, payload, retain, created_at) VALUES ('t', 'x', 0, '')")
    with opened() as connection:
        assert connection.execute("PRAGMA user_version").fetchone()[0] >= 6
        assert outbox.set_aside(connection, 10) == []
        assert [message.topic for message in outbox.after(connection, 0, 10)] == ["t"]
