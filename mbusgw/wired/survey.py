"""One scan of one bus: what is asked for, how far it is, what it has brought."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mbusgw.mbus.masks import DECIMAL, HEXADECIMAL
from mbusgw.mbus.session import Session
from mbusgw.mbus.sighting import Sighting
from mbusgw.mbus.sweep import PrimarySweep, SecondarySweep, Sweep
from mbusgw.mbus.wire import ANSWER_BITS, ANSWER_EXTRA_S, IDLE_BITS
from mbusgw.model.address import SecondaryAddress
from mbusgw.model.errors import MbusgwError, TransportOpenFailed
from mbusgw.model.found import FoundMeter
from mbusgw.runtime.clock import Clock
from mbusgw.store.found import MALFORMED, from_document, to_document
from mbusgw.wired.sightings import Sightings

PRIMARY, SECONDARY = "primary", "secondary"
#: Probes of a sweep of which nothing is known yet, for the estimate.
USUAL_PROBES = {PRIMARY: 251, SECONDARY: 100}
#: Bits of a silent probe besides its answer window: the request and the silence before it.
PROBE_BITS = {PRIMARY: 5 * 11 + IDLE_BITS, SECONDARY: 17 * 11 + IDLE_BITS}
#: Before so much is done, the pace of a sweep says nothing.
TELLING_SHARE = 0.02


@dataclass(frozen=True, slots=True)
class ScanRequest:
    """What to look for. **immutable**

    ``kinds``: of search, one after the other; ``baudrates``: none for that of the bus; ``mask`` and ``letters``
    (A to E in a number) are for selection. ``resume``: go on with the unfinished scan of that bus instead.
    """

    kinds: tuple[str, ...] = (PRIMARY, SECONDARY)
    baudrates: tuple[int, ...] = ()
    mask: SecondaryAddress = SecondaryAddress()
    letters: bool = False
    resume: bool = False


@dataclass(frozen=True, slots=True)
class ScanProgress:
    """How far a scan is. **immutable**

    ``percent`` of the whole; ``remaining_s`` is None while nobody can tell; ``waits``: why it does not go on just now.
    """

    bus: str
    doing: str
    baudrate: int
    percent: float
    found: int
    probes: int
    elapsed_s: float
    remaining_s: float | None
    waits: str | None = None

    def document(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "bus": self.bus,
            "doing": self.doing,
            "baudrate": self.baudrate,
            "percent": round(self.percent, 1),
            "found": self.found,
            "probes": self.probes,
            "elapsed_s": round(self.elapsed_s, 1),
            "remaining_s": None if self.remaining_s is None else round(self.remaining_s),
            "waits": self.waits,
        }


@dataclass(frozen=True, slots=True)
class ScanResult:
    """What a scan has brought; not ``complete`` if it was cancelled, and can be gone on with then. **immutable**"""

    bus: str
    meters: tuple[FoundMeter, ...]
    complete: bool
    probes: int
    elapsed_s: float


class Survey:
    """Steps through the sweeps of one request; ``Sightings`` puts together what they bring.

    **own thread** of the scanner. ``step`` runs in the thread of the bus, while the scanner waits for it.
    """

    def __init__(self, bus: str, request: ScanRequest, *, baudrate: int, clock: Clock) -> None:
        self.bus = bus
        self.request = request
        self.probes = 0
        self.elapsed_s = 0.0
        self._sightings = Sightings(bus, baudrate=baudrate, clock=clock)
        self._parts = [(rate, kind) for rate in request.baudrates or (baudrate,) for kind in request.kinds]
        self._part = 0
        self._sweep = self._new_sweep()
        self._took_s: dict[str, float] = {}  # what the last sweep of a kind took, at the pace of one bit a second
        self._part_began_s = 0.0
        self._resumed_at = 0.0

    @property
    def meters(self) -> dict[str, FoundMeter]:
        """What it has brought so far, by key."""
        return self._sightings.meters

    # -------------------------------------------------- steps
    @property
    def done(self) -> bool:
        """All sweeps are through."""
        return self._part >= len(self._parts)

    @property
    def baudrate(self) -> int:
        """The speed of the sweep under way."""
        return self._parts[min(self._part, len(self._parts) - 1)][0]

    def step(self, session: Session) -> list[Sighting]:
        """One probe. Raises what ``Sweep.step`` does, and ``MbusgwError`` where the port cannot talk at that speed."""
        baudrate = self.baudrate
        if baudrate == session.baudrate:
            return self._sweep.step(session)
        try:
            with session.at(baudrate):
                return self._sweep.step(session)
        except TransportOpenFailed as error:
            raise MbusgwError(f"bus {self.bus} cannot be scanned at {baudrate} baud: {error}") from error

    def note(self, sightings: Sequence[Sighting], seconds: float) -> tuple[list[FoundMeter], list[str]]:
        """What a step of so many ``seconds`` has brought: finds that are new or better known, and keys of those that
        turned out to be none."""
        self.probes += 1
        self.elapsed_s += seconds
        baudrate = self.baudrate
        if self._sweep.done:
            self._next_part()
        return self._sightings.note(sightings, baudrate)

    def _next_part(self) -> None:
        baudrate, kind = self._parts[self._part]
        self._took_s[kind] = (self.elapsed_s - self._part_began_s) / _silent_probe_s(baudrate, kind)
        self._part_began_s, self._resumed_at = self.elapsed_s, 0.0
        self._part += 1
        if not self.done:
            self._sweep = self._new_sweep()

    def _new_sweep(self) -> Sweep:
        if self._parts[self._part][1] == PRIMARY:
            return PrimarySweep()
        return SecondarySweep.of(self.request.mask, digits=HEXADECIMAL if self.request.letters else DECIMAL)

    @property
    def is_whole(self) -> bool:
        """It looks for every meter, by both kinds of address."""
        return self.request.mask == SecondaryAddress() and set(self.request.kinds) == {PRIMARY, SECONDARY}

    def covers(self, meter: FoundMeter) -> bool:
        """A meter that is still there would have been found."""
        letters = meter.identity is not None and not meter.identity.id.isdecimal()
        return any(rate == meter.baudrate for rate, _ in self._parts) and (self.request.letters or not letters)

    # -------------------------------------------------- how far
    def progress(self) -> ScanProgress:
        """Where it is now."""
        share = self._sweep.progress if not self.done else 0.0
        return ScanProgress(
            bus=self.bus,
            doing="done" if self.done else self._sweep.doing,
            baudrate=self.baudrate,
            percent=100 * (self._part + share) / len(self._parts),
            found=len(self.meters),
            probes=self.probes,
            elapsed_s=self.elapsed_s,
            remaining_s=self._remaining_s(share),
        )

    def _remaining_s(self, share: float) -> float | None:
        if self.done:
            return 0.0
        baudrate, kind = self._parts[self._part]
        if share - self._resumed_at > TELLING_SHARE:
            pace = (self.elapsed_s - self._part_began_s) / (share - self._resumed_at)
            left_s = pace * (1 - share)
        elif kind == PRIMARY or kind in self._took_s:
            left_s = self._usual_s(baudrate, kind) * (1 - share)
        else:
            return None
        return left_s + sum(self._usual_s(*part) for part in self._parts[self._part + 1 :])

    def _usual_s(self, baudrate: int, kind: str) -> float:
        return self._took_s.get(kind, USUAL_PROBES[kind]) * _silent_probe_s(baudrate, kind)

    def result(self) -> ScanResult:
        """What it has brought so far."""
        return ScanResult(self.bus, tuple(self.meters.values()), self.done, self.probes, self.elapsed_s)

    # -------------------------------------------------- going on later
    def place(self) -> dict[str, Any]:
        """Where it is, for JSON."""
        request = self.request
        return {
            "kinds": list(request.kinds),
            "baudrates": list(request.baudrates),
            "mask": str(request.mask),
            "letters": request.letters,
            "part": self._part,
            "sweep": self._sweep.place(),
            "meters": [to_document(meter) for meter in self.meters.values()],
            "probes": self.probes,
            "elapsed_s": self.elapsed_s,
        }

    @classmethod
    def at(cls, bus: str, place: dict[str, Any], *, baudrate: int, clock: Clock) -> Survey:
        """The scan that was there. Raises ``MbusgwError`` for a place that cannot be understood."""
        try:
            request = ScanRequest(
                kinds=tuple(kind for kind in (PRIMARY, SECONDARY) if kind in place["kinds"]),
                baudrates=tuple(int(rate) for rate in place["baudrates"]),
                mask=SecondaryAddress.parse(place["mask"]),
                letters=bool(place["letters"]),
            )
            survey = cls(bus, request, baudrate=baudrate, clock=clock)
            survey._part = int(place["part"])
            kind = survey._parts[survey._part][1]
            survey._sweep = (PrimarySweep if kind == PRIMARY else SecondarySweep).at(place["sweep"])
            known = map(from_document, place["meters"])
            survey._sightings = Sightings(bus, baudrate=baudrate, clock=clock, known=known)
            survey.probes = int(place["probes"])
            survey.elapsed_s = survey._part_began_s = float(place["elapsed_s"])
            survey._resumed_at = survey._sweep.progress
        except MALFORMED as error:
            raise MbusgwError(
                f"the unfinished scan of bus {bus} cannot be gone on with: {error!r}", hint="start it anew"
            ) from error
        return survey


def _silent_probe_s(baudrate: int, kind: str) -> float:
    return (PROBE_BITS[kind] + ANSWER_BITS) / baudrate + ANSWER_EXTRA_S
