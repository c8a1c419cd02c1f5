"""Schema 8: a state that is replaced before it was sent leaves its reading behind."""
from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from mbusgw.store import database, outbox
from mbusgw.store.outbox import Message
from tests.fakes.clock import START


def test_messages_of_before_wait_on_and_are_replaced_as_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = database.migrations()
    with monkeypatch.context() as patch:
        patch.setattr(database, "migrations", lambda: [step for step in steps if step[0] < 8])
        with closing(database.open_writer(tmp_path / "old.db")) as connection:
            connection.execute("INSERT INTO mqtt_queue (topic, payload, retain, created_at) VALUES ('t', 'x', 1, '')")
            connection.execute("INSERT INTO mqtt_queue (topic, payload, retain, created_at) VALUES ('u', 'y', 0, '')")
    with closing(database.open_writer(tmp_path / "old.db")) as connection:
        assert connection.execute("PRAGMA user_version").fetchone()[0] >= 8
        outbox.put(connection, [Message("t", "new", retain=True)], START)
        assert [(one.topic, one.payload) for one in outbox.after(connection, 0, 10)] == [("u", "y"), ("t", "new")]
        assert dict(connection.execute("SELECT name, value FROM counters"))["spare"] == 0
