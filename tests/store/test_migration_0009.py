"""Schema 9: outputs have a place in the history."""
from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from mbusgw.store import database, outputs, readings


def test_a_reading_of_before_is_kept_and_no_output_gets_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = database.migrations()
    with monkeypatch.context() as patch:
        patch.setattr(database, "migrations", lambda: [step for step in steps if step[0] < 9])
        with closing(database.open_writer(tmp_path / "old.db")) as connection:
            connection.execute(
                "INSERT INTO readings (device_id, read_at, fields_json) VALUES ('meter_1', '2026-03-01T12:00:00.000Z',"
                """ '{"energy":["12.5","kWh"]}')"""
            )
    with closing(database.open_writer(tmp_path / "old.db")) as connection:
        (old,) = readings.after(connection, 0, 10)
        assert old.meter is None and old.values == {"energy": ("12.5", "kWh")}
        assert readings.after(connection, outputs.enter("influx")(connection), 10) == []
