"""From what was counted on a line to what is wrong with it, in plain words."""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from mbusgw.mbus.tally import Tallies, Tally

#: A share of spoilt answers from which something is worth a person's time.
WORTH_SAYING = 0.02
MOST = 0.5


@dataclass(frozen=True, slots=True)
class MeterFigures:
    """What was counted of one meter since its bus was opened. **immutable**; see ``mbus.tally.Tally``"""

    device: str
    address: int | str
    baudrate: int
    requests: int = 0
    answers: int = 0
    timeouts: int = 0
    damaged: int = 0
    broken_off: int = 0
    garbage: int = 0
    unexpected: int = 0
    collisions: int = 0
    late: int = 0
    repeats: int = 0
    noise_bytes: int = 0
    last_unexpected: str = ""
    delays_ms: tuple[float, ...] = ()

    @property
    def spoilt(self) -> int:
        """Answers that came and could not be read."""
        return self.damaged + self.broken_off + self.garbage

    def document(self) -> dict[str, Any]:
        """For ``--json``; ``answer_ms`` is None where it never answered."""
        document = asdict(self)
        delays = document.pop("delays_ms")
        document["success_percent"] = _percent(self.answers, self.requests)
        document["answer_ms"] = (
            {"min": min(delays), "median": round(median(delays), 1), "max": max(delays)} if delays else None
        )
        return document


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be: about whom, what, and what to do. **immutable**"""

    about: str
    what: str
    advice: str


def figures(device: str, address: int | str, baudrate: int, tallies: Sequence[Tally]) -> MeterFigures:
    """The sum of what was counted of one meter. Any thread."""
    names = ("requests", "answers", "timeouts", "damaged", "broken_off", "garbage", "unexpected", "collisions",
             "late", "repeats", "noise_bytes")  # fmt: skip
    sums: dict[str, Any] = {name: sum(getattr(tally, name) for tally in tallies) for name in names}
    delays = tuple(round(1000 * delay, 1) for tally in tallies for delay in tuple(tally.delays_s))
    unexpected = next((tally.last_unexpected for tally in tallies if tally.last_unexpected), "")
    return MeterFigures(device, address, baudrate, **sums, last_unexpected=unexpected, delays_ms=delays)


def findings(line: Tallies, meters: Sequence[MeterFigures], *, echo: str = "auto") -> list[Finding]:
    """What there is to say, what concerns the whole line first. Any thread."""
    return [*_of_the_line(line, meters, echo), *(finding for meter in meters for finding in _of_a_meter(meter, meters))]


def _of_the_line(line: Tallies, meters: Sequence[MeterFigures], echo: str) -> Iterable[Finding]:
    asked = [meter for meter in meters if meter.requests]
    if asked and not any(meter.answers for meter in asked):
        if any(meter.spoilt for meter in asked):
            yield Finding("line", "bytes come, but none that can be read",
                          "baud rate or parity is wrong, or A and B of the converter are swapped")  # fmt: skip
        else:
            yield Finding("line", "no meter answers at all",
                          "is the converter powered and the bus connected? is the baud rate right?")  # fmt: skip
    if line.never_quiet:
        yield Finding("line", f"{line.never_quiet} times the line did not fall silent",
                      "a meter or the converter holds the line: take meters off one by one until it ends")  # fmt: skip
    if line.echoes and echo == "off":
        yield Finding("line", "the converter sends our own bytes back", "set `echo: auto`")
    if line.stray_bytes > sum(meter.requests for meter in meters):
        yield Finding("line", f"{line.stray_bytes} bytes came while nobody was asked",
                      "another master on the bus, meters that answer late, or interference on the cable")  # fmt: skip
    spoilt = [meter for meter in asked if meter.spoilt > WORTH_SAYING * meter.requests]
    if len(spoilt) > 2 and len(spoilt) > MOST * len(asked):
        yield Finding("line", f"answers of {len(spoilt)} of {len(asked)} meters are damaged now and then",
                      "the cable: its length, its ends, a short circuit, or more meters than the converter feeds")


def _of_a_meter(meter: MeterFigures, meters: Sequence[MeterFigures]) -> Iterable[Finding]:
    if not meter.requests:
        return
    who = f"{meter.device} (address {meter.address})"
    others = any(other.answers for other in meters if other is not meter)
    if not meter.answers and not meter.spoilt and others and not meter.unexpected:
        yield Finding(who, f"never answered, {meter.timeouts} tries",
                      "is it connected and powered? is its address right, does it talk at this baud rate?")  # fmt: skip
    elif meter.answers and meter.timeouts > WORTH_SAYING * meter.requests:
        yield Finding(who, f"did not answer {meter.timeouts} of {meter.requests} times",
                      "a loose contact, or it rests between reads: read it less often")  # fmt: skip
    if meter.collisions:
        yield Finding(who, f"{meter.collisions} times several meters answered at once",
                      "write more of its secondary address; equal meters need different addresses")  # fmt: skip
    if meter.spoilt > WORTH_SAYING * meter.requests and others:
        yield Finding(who, f"{meter.spoilt} of {meter.requests} answers were damaged",
                      "two meters may have this address (search the bus by secondary addresses), or its wiring is bad")
    if meter.unexpected:
        yield Finding(who, f"{meter.unexpected} answers were not to the question: {meter.last_unexpected}",
                      "two meters with one address, or one that answers too late")  # fmt: skip
    if meter.late:
        yield Finding(who, f"answered after the window {meter.late} times",
                      "slower than the standard allows; it is given more time now (`latency_ms` for converters)")


def _percent(part: int, whole: int) -> float | None:
    return round(100 * part / whole, 1) if whole else None
