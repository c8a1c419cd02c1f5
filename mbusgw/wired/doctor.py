"""From what was counted on a line to what is wrong with it, in plain words."""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from mbusgw.mbus.tally import Tallies, Tally
from mbusgw.model.wording import counted

#: A share of spoilt answers from which something is worth a person's time.
WORTH_SAYING = 0.02
MOST = 0.5
#: Said of the line where many meters have the same trouble; it is not said of each of them then.
OF_MANY = "are damaged now and then"
NOT_ITSELF = "it calls itself otherwise, or another meter has this address too: `mbusgw scan` tells who is there"
DOUBLED = "two meters may have this address: `mbusgw scan --secondary` tells them apart; or its wiring is bad"


@dataclass(frozen=True, slots=True)
class Examined:
    """One meter, and what was counted of it since its bus was opened. **immutable**, but for the tally"""

    device: str
    address: int | str
    baudrate: int
    tally: Tally

    def document(self) -> dict[str, Any]:
        """For ``--json``; ``answer_ms`` is None where it never answered."""
        tally = self.tally
        delays = [round(1000 * delay_s, 1) for delay_s in tally.delays_s]
        return {
            "device": self.device,
            "address": self.address,
            "baudrate": self.baudrate,
            **tally.counts,
            "last_unexpected": tally.last_unexpected,
            "success_percent": _percent(tally.answers, tally.requests),
            "answer_ms": {"min": min(delays), "median": round(median(delays), 1), "max": max(delays)}
            if delays
            else None,
        }


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be: about whom, what, and what to do. **immutable**"""

    about: str
    what: str
    advice: str


def findings(line: Tallies, meters: Sequence[Examined], *, echo: str = "auto") -> list[Finding]:
    """What there is to say, what concerns the whole line first. Any thread."""
    if not meters:
        return [Finding("bus", "no meter of it is in the configuration",
                        "`mbusgw scan` finds them, with --adopt it writes them down")]  # fmt: skip
    of_the_line = list(_of_the_line(line, meters, echo))
    common = any(finding.what.endswith(OF_MANY) for finding in of_the_line)
    return [*of_the_line, *(found for meter in meters for found in _of_a_meter(meter, meters, common=common))]


def _of_the_line(line: Tallies, meters: Sequence[Examined], echo: str) -> Iterable[Finding]:
    asked = [meter.tally for meter in meters if meter.tally.requests]
    if asked and not any(tally.answers for tally in asked):
        if any(tally.spoilt for tally in asked):
            yield Finding("line", "bytes come, but none that can be read",
                          "baud rate or parity is wrong, or A and B of the converter are swapped")  # fmt: skip
        else:
            yield Finding("line", "no meter answers at all",
                          "is the converter powered and the bus connected? is the baud rate right?")  # fmt: skip
    if line.never_quiet:
        yield Finding("line", f"the line did not fall silent before a request, {_times(line.never_quiet)}",
                      "a meter or the converter holds the line: take meters off one by one until it ends")  # fmt: skip
    if line.echoes and echo == "off":
        yield Finding("line", "the converter sends our own bytes back", "set `echo: auto`")
    if line.stray_bytes > sum(tally.requests for tally in asked) and not any(tally.late for tally in asked):
        yield Finding("line", f"{counted(line.stray_bytes, 'byte')} came while nobody was asked",
                      "another master on the bus, or interference on the cable")  # fmt: skip
    spoilt = sum(tally.spoilt > WORTH_SAYING * tally.requests for tally in asked)
    if spoilt > 2 and spoilt > MOST * len(asked):
        yield Finding("line", f"answers of {spoilt} of {len(asked)} meters {OF_MANY}",
                      "the cable: its length, its ends, a short circuit, or more meters than the converter feeds")


def _of_a_meter(meter: Examined, meters: Sequence[Examined], *, common: bool) -> Iterable[Finding]:
    """``common``: what is damaged now and then is the line's trouble."""
    tally = meter.tally
    if not tally.requests:
        return
    who = f"{meter.device} (address {meter.address})"
    asked = counted(tally.requests, "request")
    others = any(other.tally.answers for other in meters if other is not meter)
    if not (tally.answers or tally.spoilt or tally.unexpected or tally.late) and others:
        yield Finding(who, f"never answered, {counted(tally.timeouts, 'try', 'tries')}",
                      "is it connected and powered? is its address right, does it talk at this baud rate?")  # fmt: skip
    elif tally.answers and tally.timeouts - tally.late > WORTH_SAYING * tally.requests:
        yield Finding(who, f"did not answer {tally.timeouts - tally.late} of {asked}",
                      "a loose contact, or it rests between reads: read it less often")  # fmt: skip
    if tally.collisions:
        yield Finding(who, f"several meters answered at once, {_times(tally.collisions)}",
                      "write more of its secondary address; equal meters need different addresses")  # fmt: skip
    damaged = tally.spoilt > WORTH_SAYING * tally.requests and others
    if tally.unexpected or damaged and (not common or tally.spoilt >= MOST * tally.requests):
        parts = [f"the answers to {tally.spoilt} of {asked} were damaged"] if damaged else []
        if tally.unexpected:
            parts.append(f"{counted(tally.unexpected, 'answer')} not to the question: {tally.last_unexpected}")
        late = [other.device for other in meters if other is not meter and other.tally.late]
        yield Finding(who, "; ".join(parts), _who_disturbs(tally, late))
    if tally.late:
        yield Finding(who, f"answered after the window, {_times(tally.late)}",
                      "slower than the standard allows; it is given more time now (`latency_ms` for converters)")


def _who_disturbs(tally: Tally, late: Sequence[str]) -> str:
    """The likeliest cause of answers that are damaged, or another's."""
    if tally.unexpected > tally.spoilt and not late:
        return NOT_ITSELF
    if tally.spoilt + tally.unexpected >= MOST * tally.requests or tally.unexpected and not late:
        return DOUBLED
    return "its wiring, or a disturbance near it" + (f"; or {', '.join(late)}, late, talked into it" if late else "")


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"


def _percent(part: int, whole: int) -> float | None:
    return round(100 * part / whole, 1) if whole else None
