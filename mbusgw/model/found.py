"""A meter that a scan has found."""
from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mbusgw.model.address import SecondaryAddress
from mbusgw.model.document import meter_document
from mbusgw.model.manufacturers import company
from mbusgw.model.meter import MeterIdentity


@dataclass(frozen=True, slots=True)
class FoundMeter:
    """Who answered where. **immutable**

    ``primary`` is None where it is not known, ``secondary`` where the meter was not seen to obey a
    selection: by that one it can be called for certain. ``note``: what a person should know before using it.
    """

    bus: str
    identity: MeterIdentity | None
    primary: int | None
    secondary: SecondaryAddress | None
    baudrate: int
    found_at: datetime
    product: str | None = None
    note: str = ""

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> FoundMeter:
        """From what ``document`` made, through JSON. Raises ``LookupError``, ``TypeError``, ``ValueError``."""
        meter = document["meter"]
        found_at = document["found_at"]
        return cls(
            bus=document["bus"],
            identity=meter and MeterIdentity(*(meter[key] for key in ("id", "manufacturer", "version", "medium"))),
            primary=document["primary"],
            secondary=document["secondary"] and SecondaryAddress.parse(document["secondary"]),
            baudrate=document["baudrate"],
            found_at=found_at if isinstance(found_at, datetime) else datetime.fromisoformat(found_at),
            product=document["product"],
            note=document["note"],
        )

    @property
    def device_id(self) -> str:
        """The name it gets unless another is configured: ``<manufacturer>_<id>``, or its bus and address."""
        if self.identity is not None:
            name = self.identity.device_id
        elif self.primary is not None:
            name = f"{self.bus}_{self.primary}"
        else:
            name = f"{self.bus}_{self.secondary.id if self.secondary else 'unknown'}"
        return re.sub(r"[^a-z0-9_]", "_", name.lower())

    @property
    def key(self) -> str:
        """What makes it the same find in the next scan: who it is, else where it is."""
        if self.identity is None:
            return f"{self.bus}/{self.primary if self.secondary is None else self.secondary}"
        meter = self.identity
        return f"{self.bus}/{meter.manufacturer}/{meter.id}/{meter.version}/{meter.medium}"

    def document(self) -> dict[str, Any]:
        """For JSON: ``GET /state``, MQTT, the command line."""
        meter = meter_document(self.identity)
        if meter is not None and self.identity is not None:
            meter["company"] = company(self.identity.manufacturer)
        return {
            "device_id": self.device_id,
            "bus": self.bus,
            "meter": meter,
            "product": self.product,
            "primary": self.primary,
            "secondary": None if self.secondary is None else str(self.secondary),
            "baudrate": self.baudrate,
            "found_at": self.found_at,
            "note": self.note,
        }
