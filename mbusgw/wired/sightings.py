"""The meters of one scan, put together from what was seen of each."""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from mbusgw.mbus.sighting import DOUBLED, SHARED, Sighting
from mbusgw.model.found import FoundMeter
from mbusgw.model.products import product_name
from mbusgw.runtime.clock import Clock

ALSO_AT = "answers at {baudrate} baud too"


class Sightings:
    """A meter is seen by both kinds of address, and perhaps at several speeds; ``baudrate`` is that of its ``bus``.

    **own thread** of the scanner
    """

    def __init__(self, bus: str, *, baudrate: int, clock: Clock, known: Iterable[FoundMeter] = ()) -> None:
        self.meters = {meter.key: meter for meter in known}
        self._bus = bus
        self._home = baudrate
        self._clock = clock

    def note(self, sightings: Sequence[Sighting], baudrate: int) -> tuple[list[FoundMeter], list[str]]:
        """Finds that are new or better known, and keys of those that turned out to be none."""
        changed = [self._found(sighting, baudrate) for sighting in sightings]
        gone: list[str] = []
        for meter in list(changed):
            doubled = [one for one in self._at(meter.primary, baudrate) if one.identity is not None]
            if meter.primary is not None and len(doubled) > 1:
                changed += self._told_apart(doubled)
                gone += self._drop_nameless(meter.primary, baudrate)
        newest = {meter.key: self.meters[meter.key] for meter in changed if meter.key in self.meters}
        return list(newest.values()), gone

    def _found(self, sighting: Sighting, baudrate: int) -> FoundMeter:
        meter = _meter(self._bus, sighting, baudrate, self._clock.now())
        known = self.meters.get(meter.key)
        if known is not None:
            meter = self._merged(known, meter)
        self.meters[meter.key] = meter
        return meter

    def _merged(self, known: FoundMeter, now: FoundMeter) -> FoundMeter:
        """The same meter heard once more: by another kind of address, or at another speed."""
        first, second = (known, now) if now.baudrate == known.baudrate or now.baudrate != self._home else (now, known)
        notes = [first.note, second.note]
        if first.baudrate != second.baudrate:
            notes.append(ALSO_AT.format(baudrate=second.baudrate))
        return replace(
            first,
            primary=first.primary if first.primary is not None else second.primary,
            secondary=first.secondary or second.secondary,
            found_at=now.found_at,
            note=_joined(notes),
        )

    def _at(self, primary: int | None, baudrate: int) -> list[FoundMeter]:
        return [meter for meter in self.meters.values() if (meter.primary, meter.baudrate) == (primary, baudrate)]

    def _told_apart(self, doubled: list[FoundMeter]) -> list[FoundMeter]:
        for meter in doubled:
            others = sorted(other.device_id for other in doubled if other.key != meter.key)
            others_note = SHARED.format(address=meter.primary, others=", ".join(others))
            kept = [note for note in meter.note.split("; ") if not note.startswith(SHARED.split("{")[0])]
            self.meters[meter.key] = replace(meter, note=_joined([*kept, others_note]))
        return [self.meters[meter.key] for meter in doubled]

    def _drop_nameless(self, primary: int, baudrate: int) -> list[str]:
        """The sign of several at that address, now that they are known."""
        keys = [one.key for one in self._at(primary, baudrate) if one.identity is None and one.note == DOUBLED]
        for key in keys:
            del self.meters[key]
        return keys


def _meter(bus: str, sighting: Sighting, baudrate: int, now: datetime) -> FoundMeter:
    product = None if sighting.identity is None else product_name(sighting.identity)
    return FoundMeter(
        bus, sighting.identity, sighting.primary, sighting.secondary, baudrate, now, product, sighting.note
    )


def _joined(notes: Sequence[str]) -> str:
    parts = [part for note in notes for part in note.split("; ") if part]
    return "; ".join(dict.fromkeys(parts))
