"""Orders to a segment that runs, one a line: what a person types, or a test writes, to make something go wrong."""
from __future__ import annotations

from collections.abc import Callable, Mapping

from mbusgw.simulator.fault import FaultKind, parse_fault
from mbusgw.simulator.meter import SimulatedMeter
from mbusgw.simulator.segment import Segment

HELP = """\
fault METER KIND [SECONDS] [p=SHARE] [times=N]   one more fault (METER: address, number or `all`)
heal METER         takes all faults of a meter away
unplug, plug       takes the line away, brings it back
drop               breaks a TCP connection off
noise [HEX]        bytes that no meter has sent
echo on|off        sends back what is heard, or not
list               the meters and their faults
kinds              what faults there are
quit               ends"""
NOISE = b"\x00\xFF\x68\x16\xE5"


class WrongOrder(ValueError):
    """Not understood; ``str()`` is a sentence for a person."""


class Quit(Exception):
    """The end was asked for."""


def chosen(meters: tuple[SimulatedMeter, ...], text: str) -> list[SimulatedMeter]:
    """The meters that ``text`` means: a primary address, a number of 8 digits, or ``all``. Raises ``WrongOrder``."""
    found = [
        meter for meter in meters if text == "all" or text == str(meter.address) or text.upper() == meter.identity.id
    ]
    if not found:
        raise WrongOrder(f"no meter is called {text!r}; `list` names them all")
    return found


def obey(segment: Segment, line: str) -> str:
    """Does what ``line`` says and returns what there is to say. Any thread. Raises ``WrongOrder`` and ``Quit``."""
    word, _, rest = line.strip().partition(" ")
    if not word:
        return ""
    order = _ORDERS.get(word.lower())
    if order is None:
        raise WrongOrder(f"no such order: {word!r}; `help` lists them")
    return order(segment, rest.strip())


def _fault(segment: Segment, rest: str) -> str:
    who, _, what = rest.partition(" ")
    meters = chosen(segment.meters, who)
    for meter in meters:
        try:
            fault = parse_fault(what)
        except ValueError as error:
            raise WrongOrder(str(error)) from None
        meter.faults = (*meter.faults, fault)
    return f"{len(meters)} with {what}" if len(meters) > 1 else f"{meters[0].name} {meters[0].address}: {what}"


def _heal(segment: Segment, rest: str) -> str:
    meters = chosen(segment.meters, rest)
    for meter in meters:
        meter.faults = ()
    return f"{len(meters)} healed"


def _plain(act: Callable[[Segment], None], said: str) -> Callable[[Segment, str], str]:
    def order(segment: Segment, rest: str) -> str:
        if rest:
            raise WrongOrder(f"nothing may follow here: {rest!r}")
        act(segment)
        return said

    return order


def _noise(segment: Segment, rest: str) -> str:
    try:
        segment.noise(bytes.fromhex(rest) or NOISE)
    except ValueError:
        raise WrongOrder(f"expected hex digits, not {rest!r}") from None
    return "noise"


def _echo(segment: Segment, rest: str) -> str:
    if rest not in ("on", "off"):
        raise WrongOrder("expected `echo on` or `echo off`")
    segment.cable.echo = rest == "on"
    return f"echo {rest}"


def _list(segment: Segment, rest: str) -> str:
    return "\n".join(
        f"{meter.address:>3}  {meter.secondary_address}  {meter.name:<22} {' '.join(map(str, meter.faults)) or '-'}"
        for meter in segment.meters
    )


def _quit(segment: Segment, rest: str) -> str:
    raise Quit


_ORDERS: Mapping[str, Callable[[Segment, str], str]] = {
    "fault": _fault,
    "heal": _heal,
    "unplug": _plain(Segment.unplug, "unplugged"),
    "plug": _plain(Segment.plug, "plugged in"),
    "drop": _plain(Segment.drop, "dropped"),
    "noise": _noise,
    "echo": _echo,
    "list": _list,
    "kinds": lambda segment, rest: " ".join(kind.value for kind in FaultKind),
    "help": lambda segment, rest: HELP,
    "quit": _quit,
}
