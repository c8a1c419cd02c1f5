"""A telegram comes, and something becomes of it."""
from __future__ import annotations

from datetime import datetime, timedelta

from mbusgw.model.submission import Accepted
from mbusgw.model.telegram import ReceivedTelegram
from mbusgw.store import arrivals, readings, telegrams
from mbusgw.store.readings import KeptReading
from mbusgw.store.writer import Store
from tests.fakes.clock import START
from tests.fakes.stores import write
from tests.store.conftest import Opened

KEY = bytes(range(16))
WINDOW_S = 300.0


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def insert(store: Store, telegram: ReceivedTelegram, window_s: float | None = WINDOW_S) -> Accepted:
    ((accepted,),) = write(store, lambda connection: arrivals.insert(connection, [telegram], dedup_window_s=window_s))
    assert isinstance(accepted, Accepted)
    return accepted


def load(store: Store, ingest_id: str = "t1") -> tuple[ReceivedTelegram, int] | None:
    reader = store.reader()
    try:
        return telegrams.load(reader, ingest_id)
    finally:
        reader.close()


def settle(store: Store, ingest_id: str, state: str, meter_id: str | None = None, at: datetime | None = None) -> None:
    write(store, telegrams.settle(ingest_id, state, meter_id=meter_id, retry_at=at))


def reading_of_schema(schema: int, opened: Opened) -> KeptReading:
    """A reading that was kept by a database of ``schema``, as it is read now."""
    with opened(schema) as connection:
        connection.execute(
            "INSERT INTO readings (device_id, read_at, fields_json)"
            " VALUES ('meter_1', '2026-03-01T12:00:00.000Z', '{}')"
        )
    with opened() as connection:
        (kept,) = readings.after(connection, 0, 10)
    return kept
