"""Schema 9: outputs have a place in the history."""
from __future__ import annotations

from mbusgw.store import outputs, readings
from tests.store.conftest import Opened


def test_a_reading_of_before_is_kept_and_no_output_gets_it(opened: Opened) -> None:
    with opened(8) as connection:
        connection.execute(
            "INSERT INTO readings (device_id, read_at, fields_json) VALUES ('meter_1', '2026-03-01T12:00:00.000Z',"
            """ '{"energy":["12.5","kWh"]}')"""
        )
    with opened() as connection:
        (old,) = readings.after(connection, 0, 10)
        assert old.meter is None and old.values == {"energy": ("12.5", "kWh")}
        assert readings.after(connection, outputs.enter("influx")(connection), 10) == []
