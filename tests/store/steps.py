"""A telegram comes, and something becomes of it."""
from __future__ import annotations

from datetime import datetime, timedelta

from mbusgw.model.submission import Accepted
from mbusgw.model.telegram import ReceivedTelegram
from mbusgw.store import arrivals, telegrams
from mbusgw.store.writer import Store
from tests.fakes.clock import START
from tests.fakes.stores import write

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
