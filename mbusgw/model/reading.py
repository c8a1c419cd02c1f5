"""A reading: what one meter said at one time, with a stable name and a person's unit for every value."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from mbusgw.model.reception import Reception
from mbusgw.model.record import Record, Value
from mbusgw.model.telegram import Header
from mbusgw.model.wishes import RecordWish


class Lane(str, Enum):
    """How a reading reached us."""

    WIRED = "wired"
    WIRELESS = "wireless"


@dataclass(frozen=True, slots=True)
class Field:
    """One named value of a reading, in the unit a person expects (kWh, GJ, m³, …). **immutable**

    ``value`` is None where the meter sent none it stands by. ``record`` is where it
    came from; None for fields that are not from a data record (rssi). ``wish``: what a person wants otherwise with
    it; value and unit are as wanted, the record is as sent.
    """

    name: str
    value: Value | None
    unit: str
    record: Record | None = None
    wish: RecordWish | None = None

    @property
    def hidden(self) -> bool:
        """It has no topic and no entity."""
        return self.wish is not None and bool(self.wish.hidden)


@dataclass(frozen=True, slots=True)
class Reading:
    """What one meter said, whichever lane it came by. **immutable**

    ``fields`` keeps the order of the records. ``read_at`` is aware UTC: when the answer
    was complete, or when the radio telegram was received. ``manufacturer_data`` is kept raw.
    ``format_signature`` names a radio telegram's format. ``ingest_id`` is the radio telegram's;
    ``receptions`` by which gateways it came, that of ``gateway_id`` first. ``quarantined``: the fields whose values are
    not believed; None where nobody has judged them (it is not the newest).
    """

    device_id: str
    read_at: datetime
    lane: Lane
    header: Header
    fields: Mapping[str, Field]
    records: tuple[Record, ...] = ()
    manufacturer_data: bytes | None = None
    problems: tuple[str, ...] = ()
    gateway_id: str | None = None
    rssi_dbm: float | None = None
    ingest_id: str | None = None
    receptions: tuple[Reception, ...] = ()
    format_signature: int | None = None
    quarantined: frozenset[str] | None = None
