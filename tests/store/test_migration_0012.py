"""Schema 12: which values of a reading were in quarantine is kept with it."""
from __future__ import annotations

from mbusgw.store import readings
from tests.store.conftest import Opened


def test_of_a_reading_of_before_it_is_not_known(opened: Opened) -> None:
    with opened(11) as connection:
        connection.execute(
            "INSERT INTO readings (device_id, read_at, fields_json)"
            " VALUES ('meter_1', '2026-03-01T12:00:00.000Z', '{}')"
        )
    with opened() as connection:
        (old,) = readings.after(connection, 0, 10)
        assert old.quarantined is None
