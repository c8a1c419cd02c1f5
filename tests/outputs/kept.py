"""Readings as the history gives them."""
from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from mbusgw.model.meter import MeterIdentity
from mbusgw.store.readings import KeptReading
from tests.fakes.clock import START

SIM = MeterIdentity("12345678", "ELS", 51, 0x06)


def kept(
    number: int = 1,
    *,
    device: str = "meter_1",
    at: datetime = START,
    meter: MeterIdentity | None = SIM,
    unit: str = "kWh",
    **values: Decimal | int | str,
) -> KeptReading:
    """A reading with ``values`` as its fields, of a warm water meter."""
    return KeptReading(number, device, at, meter, {name: (value, unit) for name, value in values.items()})
