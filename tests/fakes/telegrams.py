"""Received telegrams and readings for tests that do not care what is in them."""
from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from types import MappingProxyType

from mbusgw.model.meter import MeterIdentity
from mbusgw.model.quantity import QUANTITIES
from mbusgw.model.reading import Field, Lane, Reading
from mbusgw.model.record import Record, Value
from mbusgw.model.telegram import Header, ReceivedTelegram
from tests.fakes.clock import START

METER = MeterIdentity("12345678", "ELS", 0x33, 0x03)


def received(
    ingest_id: str = "t1",
    *,
    gateway_id: str = "gw1",
    raw: bytes = bytes(range(24)),
    at: datetime = START,
    key: bytes | None = None,
    hint_meter_id: str | None = None,
) -> ReceivedTelegram:
    """A telegram as the intake makes it."""
    return ReceivedTelegram(
        ingest_id=ingest_id,
        gateway_id=gateway_id,
        raw=raw,
        rx_time=at,
        created_at=at,
        rssi_dbm=-71.5,
        mode="T1",
        hint_meter_id=hint_meter_id,
        hint_manufacturer="ELS",
        key=key,
    )


def field(name: str = "energy", value: Value | None = Decimal("12.345"), unit: str = "kWh") -> Field:
    """A field with the record it came from."""
    record = Record(QUANTITIES["energy"], "Wh", value, dib=b"\x0c", vib=b"\x06", data=b"\x45\x23\x01\xff")
    return Field(name, value, unit, record)


def reading(
    device_id: str = "meter_1",
    *,
    at: datetime = START,
    meter: MeterIdentity | None = METER,
    lane: Lane = Lane.WIRED,
    access_no: int = 1,
    **values: Value | None,
) -> Reading:
    """A reading with ``values`` as its fields."""
    return Reading(
        device_id=device_id,
        read_at=at,
        lane=lane,
        header=Header(0x72, meter=meter, access_no=access_no, status=0),
        fields=MappingProxyType({name: field(name, value) for name, value in values.items()}),
        manufacturer_data=b"\x01\xfe",
    )
