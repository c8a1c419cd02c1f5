"""A radio telegram as a gateway hands it in, checked for form, and what it is answered."""
from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Submission:
    """One telegram of a POST. ``raw`` begins with the L field; times are aware UTC. **immutable**"""

    gateway_id: str
    raw: bytes
    rx_time: datetime | None = None
    rssi_dbm: float | None = None
    mode: str | None = None
    hint_meter_id: str | None = None
    hint_manufacturer: str | None = None
    key: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Accepted:
    """A telegram that is on disk. **immutable**"""

    ingest_id: str
    duplicate_of: str | None = None

    @property
    def duplicate(self) -> bool:
        """It was heard before."""
        return self.duplicate_of is not None
