"""A bus on a clock of its own: many meters, faults at random by a seed, and hours of reading in seconds.

    python -m tests.chaos.virtual SEED HOURS [RATE [DROP_S]]

reads that many hours of bus time and tells what was untrue, lost or against the standard. ``of_the_wire`` are values
that no meter has sent, in frames that are right by chance where several send at once: no reader of bytes can see that.
"""
from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from random import Random
from typing import Any

from mbusgw.mbus.frames import Frame
from mbusgw.mbus.link import Ways
from mbusgw.mbus.session import Session
from mbusgw.mbus.wire import LONGEST_FRAME_BYTES
from mbusgw.model.address import Address, SecondaryAddress
from mbusgw.model.errors import DecodeError, LinkError, NoAnswer, TransportLost
from mbusgw.simulator.cable import Cable
from mbusgw.simulator.catalogue import KINDS, build_meter
from mbusgw.simulator.chaos import Chaos
from mbusgw.simulator.fault import Fault, FaultKind, Reply
from mbusgw.simulator.meter import SimulatedMeter
from mbusgw.simulator.virtual import START_MONO, VirtualLine
from mbusgw.wired.readout import build_reading
from tests.chaos.referee import Referee, untrue

STARTED_AT = datetime(2026, 3, 1, 12, 0, tzinfo=timezone.utc)
REPEATS = 3
RETRY_DELAY_S = 2.0
REOPEN_S = 1.0
#: No port is quicker: without any slack a byte that ends with the window is a matter of rounding.
SLACK_S = 0.0001
#: Odd natures that are no passing faults; a meter may have one of them.
NATURES = (
    FaultKind.NO_RESET, FaultKind.KEEPS_FCB, FaultKind.STAYS_SELECTED, FaultKind.SAME_ACCESS_NO, FaultKind.PIECES,
    FaultKind.SLOWEST, FaultKind.FLAGS, FaultKind.NOISE, FaultKind.TWICE, FaultKind.IGNORES_FCB, FaultKind.STICKS,
)  # fmt: skip


@dataclass
class Outcome:
    """What became of a run."""

    reads: Counter[str] = field(default_factory=Counter)
    untrue: list[str] = field(default_factory=list)
    of_the_wire: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    incomplete: int = 0
    drops: int = 0
    longest_s: float = 0.0


class WatchedCable(Cable):
    """A cable that also tells the referee what each meter puts on it. **own thread**"""

    def __init__(self, *arguments: Any, referee: Referee, **options: Any) -> None:
        super().__init__(*arguments, witness=referee, **options)
        self._referee = referee

    def _ask(self, meter: SimulatedMeter, frame: Frame) -> Reply | None:
        reply = super()._ask(meter, frame)
        if reply is not None:
            self._referee.replied(reply.data)
        return reply


class DroppingLine(VirtualLine):
    """A converter that breaks the connection off every ``period_s``; what comes meanwhile it keeps, or not."""

    def __init__(self, cable: Cable, *, period_s: float, rng: Random) -> None:
        super().__init__(cable, slack_s=SLACK_S)
        self._period_s = period_s
        self._rng = rng
        self._until_mono = self.now_mono + period_s

    def connect(self) -> None:
        """It is there again after a while."""
        until_mono, kept = self.mono() + REOPEN_S, b""
        while some := super().read(LONGEST_FRAME_BYTES, until_mono - self.mono()):
            kept += some
        if self._rng.random() < 0.5:
            self._waiting += kept
        self._until_mono = self.mono() + self._period_s

    def read(self, max_bytes: int, timeout_s: float) -> bytes:
        left_s = max(0.0, self._until_mono - self.mono())
        some = super().read(max_bytes, min(timeout_s, left_s))
        if not some and left_s < timeout_s:
            self._look()
        return some

    def write(self, data: bytes) -> None:
        self._look()
        super().write(data)

    def purge(self) -> bytes:
        self._look()
        return super().purge()

    def _look(self) -> None:
        if self.mono() >= self._until_mono:
            raise TransportLost("the connection was broken off")


class VirtualBus:
    """Meters, a wire with faults, and a master that reads them in turn as the daemon does.

    ``drop_s``: so often the connection to the wire breaks off.
    """

    def __init__(
        self,
        seed: int,
        *,
        rate: float,
        meters: int = 8,
        baudrate: int = 2400,
        natures: bool = True,
        drop_s: float | None = None,
    ) -> None:
        self._rng = Random(seed)
        self.outcome = Outcome()
        self.line: VirtualLine
        self.meters = [self._meter(n, natures) for n in range(meters)]
        self.referee = Referee({meter.address: meter.secondary_address for meter in self.meters})
        # The first two are healthy: whatever befalls the others, these lose nothing.
        self.healthy = self.meters[:2]
        ill = frozenset(meter.address for meter in self.meters[2:])
        chaos = Chaos(seed, rate, addresses=ill)
        self.cable = WatchedCable(self.meters, baudrate=baudrate, chaos=chaos, referee=self.referee)
        self.line = VirtualLine(self.cable, slack_s=SLACK_S)
        if drop_s is not None:
            self.line = DroppingLine(self.cable, period_s=drop_s, rng=Random(f"drops {seed}"))
        self._ways: Ways = {}
        self.session = self._session()

    def _session(self) -> Session:
        return Session(self.line, baudrate=self.cable.baudrate, mono=self.line.mono, ways=self._ways)

    # -------------------------------------------------- the clock of its meters
    def mono(self) -> float:
        return self.line.mono() if hasattr(self, "line") else START_MONO

    def now(self) -> datetime:
        return STARTED_AT + timedelta(seconds=self.mono() - START_MONO)

    def _meter(self, n: int, natures: bool) -> SimulatedMeter:
        kind = self._rng.choice(list(KINDS))
        nature = self._rng.choice(NATURES) if natures and n >= 2 and self._rng.random() < 0.4 else None
        # One that stays selected answers for others, and so is somewhere in its readout when it is asked itself.
        telegrams = 1 if nature is FaultKind.STAYS_SELECTED else self._rng.choice((1, 1, 1, 2, 3))
        meter = build_meter(kind, n + 1, clock=self, number=n + 1, telegrams=telegrams)
        meter.name = f"{kind}_{n + 1}"
        meter.fault = None if nature is None else Fault(nature)
        return meter

    # -------------------------------------------------- reading
    def run(self, hours: float) -> Outcome:
        """Reads all meters in turn until so much bus time has passed."""
        until = self.line.mono() + hours * 3600
        by_number = {meter.name: self._rng.random() < 0.5 for meter in self.meters}
        while self.line.mono() < until:
            for meter in self._rng.sample(self.meters, len(self.meters)):
                address: Address = meter.secondary_address if by_number[meter.name] else meter.address
                self._read(meter, address)
            self.line.sleep_until(self.line.mono() + self._rng.uniform(0, 5))
        return self.outcome

    def _read(self, meter: SimulatedMeter, address: Address) -> None:
        failures = 0
        while True:
            began = self.line.mono()
            try:
                answer = self.session.read_user_data(
                    address, repeats=REPEATS, reset=failures % 2 == 1, meter=SecondaryAddress.of(meter.identity)
                )
                reading = build_reading(meter.name, answer, self.now())
                break
            except (LinkError, DecodeError) as error:
                self.outcome.errors[type(error).__name__] += 1
                failures += 1
                if failures > REPEATS:
                    self.outcome.reads["failed"] += 1
                    if meter in self.healthy:
                        self.outcome.lost.append(f"{meter.name} at {self.line.mono():.3f}: {error}")
                    return
                if isinstance(error, NoAnswer):
                    self.line.sleep_until(self.line.mono() + RETRY_DELAY_S)
            except TransportLost:
                assert isinstance(self.line, DroppingLine)
                self.outcome.drops += 1
                self.line.connect()
                self.session = self._session()
            finally:
                self.outcome.longest_s = max(self.outcome.longest_s, self.line.mono() - began)
        self.outcome.reads["ok"] += 1
        self.outcome.incomplete += not answer.complete
        if wrong := untrue(reading, self.referee.said_by(meter)):
            of_the_wire = any(self.referee.is_of_the_wire(raw) for raw in answer.frames)
            found = self.outcome.of_the_wire if of_the_wire else self.outcome.untrue
            found.append(f"{meter.name} at {self.line.mono():.3f}: {wrong}")
        if meter in self.healthy and not answer.complete:
            self.outcome.lost.append(f"{meter.name} at {self.line.mono():.3f}: only a part")


def main(arguments: list[str]) -> int:
    """Runs and tells."""
    seed, hours, rate = int(arguments[0]), float(arguments[1]), float(arguments[2]) if len(arguments) > 2 else 0.1
    bus = VirtualBus(seed, rate=rate, drop_s=float(arguments[3]) if len(arguments) > 3 else None)
    outcome = bus.run(hours)
    print(outcome.reads, outcome.errors, f"incomplete {outcome.incomplete}, longest {outcome.longest_s:.1f} s")
    for title, found in _findings(bus):
        print(f"{title}: {len(found)}")
        for line in found[:5]:
            print("  " + line)
    return 1 if outcome.untrue or outcome.lost or bus.referee.violations else 0


def _findings(bus: VirtualBus) -> list[tuple[str, list[str]]]:
    outcome = bus.outcome
    return [
        ("untrue", outcome.untrue),
        ("of_the_wire", outcome.of_the_wire),
        ("lost", outcome.lost),
        ("violations", bus.referee.violations),
    ]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
