"""Radio meters: what each is called here, and whether it is shown."""
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mbusgw.model.wishes import NO_WISHES, MeterWishes


@dataclass(frozen=True, slots=True)
class Guest:
    """A radio meter that was spoken of. **immutable**

    ``natural_id`` is what it is called by itself, ``device_id`` and ``name`` what it is called here.
    ``gateways``: whose telegrams of it count; None: everybody's.
    """

    natural_id: str
    device_id: str
    name: str
    hidden: bool = False
    gateways: frozenset[str] | None = None
    wishes: MeterWishes = NO_WISHES


class GuestList:
    """Which radio meter is which device. **immutable**

    Those that nobody spoke of are called what they are called by themselves, and are hidden with ``listed_only``.
    """

    def __init__(self, guests: Iterable[Guest] = (), *, listed_only: bool = False) -> None:
        self.guests = tuple(guests)
        self._by_natural_id = {guest.natural_id: guest for guest in self.guests}
        self._by_device_id = {guest.device_id: guest for guest in self.guests}
        self._listed_only = listed_only

    def device_id(self, natural_id: str) -> str:
        """What the meter is called here."""
        guest = self._by_natural_id.get(natural_id)
        return guest.device_id if guest else natural_id

    def gateways(self, natural_id: str) -> frozenset[str] | None:
        """The gateways whose telegrams of the meter count; None: everybody's."""
        guest = self._by_natural_id.get(natural_id)
        return guest.gateways if guest else None

    def name(self, device_id: str) -> str:
        """The name a person gave it, or its id."""
        guest = self._by_device_id.get(device_id)
        return guest.name if guest else device_id

    def lists(self, device_id: str) -> bool:
        """Somebody spoke of it under this name."""
        return device_id in self._by_device_id

    def wishes(self, device_id: str) -> MeterWishes:
        """What is wanted otherwise with it."""
        guest = self._by_device_id.get(device_id)
        return guest.wishes if guest else NO_WISHES

    def hides(self, device_id: str) -> bool:
        """It has no topics and no entities."""
        guest = self._by_device_id.get(device_id)
        return guest.hidden if guest else self._listed_only
