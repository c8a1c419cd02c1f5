"""Telegrams: as decoded (both lanes), and as received over HTTP (wireless lane)."""
from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from mbusgw.model.meter import MeterIdentity
from mbusgw.model.record import Record


@dataclass(frozen=True, slots=True)
class Header:
    """The transport layer header of a telegram (EN 13757-3, 5). **immutable**

    ``meter`` is None for CI fields that carry no header (78) on a wire. ``address``
    is the primary address of a wired frame. ``configuration`` is the configuration
    field (called signature on old wired meters).
    """

    ci: int
    meter: MeterIdentity | None = None
    address: int | None = None
    access_no: int | None = None
    status: int | None = None
    configuration: int | None = None


@dataclass(frozen=True, slots=True)
class DecodedTelegram:
    """What one telegram says. **immutable**

    ``manufacturer_data``: the bytes after DIF 0F/1F, None where there is no such DIF.
    ``more_records_follow``: DIF 1F was seen; the next telegram goes on.
    ``problems``: what went wrong without losing the rest, one sentence each.
    """

    header: Header
    records: tuple[Record, ...]
    manufacturer_data: bytes | None = None
    more_records_follow: bool = False
    structure: str = "variable"
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ReceivedTelegram:
    """A radio telegram as a gateway handed it in. **immutable**

    ``raw`` begins with the L field. ``key`` is the AES key of the request itself
    (16 bytes), never shown; ``key_locked``: it has one that cannot be opened now.
    ``rx_time`` and ``created_at`` are aware UTC.
    """

    ingest_id: str
    gateway_id: str
    raw: bytes
    rx_time: datetime
    created_at: datetime
    rssi_dbm: float | None = None
    mode: str | None = None
    hint_meter_id: str | None = None
    hint_manufacturer: str | None = None
    key: bytes | None = None
    key_locked: bool = False
    status: str = "received"

    def __repr__(self) -> str:
        return f"ReceivedTelegram({self.ingest_id}, gateway={self.gateway_id}, {len(self.raw)} bytes, {self.status})"
