"""Schema 6: what the broker would not take is kept apart."""
from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from mbusgw.store import database, outbox


def test_a_database_of_before_gets_an_empty_table_and_keeps_its_messages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = database.migrations()
    with monkeypatch.context() as patch:
        patch.setattr(database, "migrations", lambda: [step for step in steps if step[0] < 6])
        with closing(database.open_writer(tmp_path / "old.db")) as connection:
            connection.execute("INSERT INTO mqtt_queue (topic, payload, retain, created_at) VALUES ('t', 'x', 0, '')")
    with closing(database.open_writer(tmp_path / "old.db")) as connection:
        assert connection.execute("PRAGMA user_version").fetchone()[0] >= 6
        assert outbox.set_aside(connection, 10) == []
        assert [message.topic for message in outbox.after(connection, 0, 10)] == ["t"]
