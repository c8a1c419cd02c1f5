"""What a simulated meter can do wrong, how that is written, and what becomes of an answer then."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from random import Random

from mbusgw.mbus.frames import ACK, RSP_UD, START_LONG, LongFrame, checksum, encode
from mbusgw.mbus.wire import GAP_BITS


class FaultKind(str, Enum):
    """What a meter or its line can do wrong. After the blank line: habits, which spoil no single answer."""

    SILENT = "silent"
    LATE = "late"
    SLOWEST = "slowest"  # as late as the standard allows
    TRUNCATED = "truncated"
    CHECKSUM = "checksum"
    BIT_FLIP = "bit_flip"
    NOISE = "noise"  # before the answer
    TAIL = "tail"  # noise after the answer
    FALSE_START = "false_start"  # noise that looks like the beginning of a frame
    PIECES = "pieces"  # with the longest pauses that the standard allows between bytes
    BROKEN_PIECES = "broken_pieces"  # with a pause too long
    TWICE = "twice"
    ACK_ONLY = "ack_only"  # acknowledges where it should send data
    FLAGS = "flags"  # access demand (ACD) and data flow (DFC) set in the control field
    HOLDS = "holds"  # sends without end
    WRONG_ADDRESS = "wrong_address"
    WRONG_ID = "wrong_id"  # answers for the meter with the next number
    APPLICATION_ERROR = "application_error"
    REBOOTS = "reboots"  # forgets its last FCB, its selection and where it was in a readout, then answers nothing

    NO_RESET = "no_reset"  # ignores SND_NKE only
    KEEPS_FCB = "keeps_fcb"  # being selected does not make it forget its last FCB
    STAYS_SELECTED = "stays_selected"  # though another one is selected
    STICKS = "sticks"  # sends the same telegram, whatever the FCB
    IGNORES_FCB = "ignores_fcb"  # sends the next telegram, even where the last one is asked for again
    NEVER_ENDS = "never_ends"  # each telegram announces one more
    SAME_ACCESS_NO = "same_access_no"  # its access number stands still


@dataclass(slots=True)
class Fault:
    """A fault of the next ``times`` answers (None: until it is taken away), each with ``probability``.

    ``delay_s``: how late LATE is, and how long HOLDS holds the line. Habits (from NO_RESET on) last.
    """

    kind: FaultKind
    times: int | None = None
    delay_s: float = 0.5
    probability: float = 1.0

    def __str__(self) -> str:
        parts = [self.kind.value]
        if self.kind in TIMED:
            parts.append(f"{self.delay_s:g}")
        if self.probability < 1:
            parts.append(f"p={self.probability:g}")
        if self.times is not None:
            parts.append(f"times={self.times}")
        return ":".join(parts)


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back over the wire. **immutable**

    ``delay_s``: how much later than the usual answer delay; ``slowest``: instead, at the end of the answer
    window. ``pauses``: before byte n, so many bit times. ``hold_s``: for so long noise follows.
    """

    data: bytes
    delay_s: float = 0.0
    slowest: bool = False
    pauses: tuple[tuple[int, float], ...] = ()
    hold_s: float = 0.0


TIMED = frozenset((FaultKind.LATE, FaultKind.HOLDS))
HABITS = frozenset(
    (
        FaultKind.NO_RESET,
        FaultKind.KEEPS_FCB,
        FaultKind.STAYS_SELECTED,
        FaultKind.STICKS,
        FaultKind.IGNORES_FCB,
        FaultKind.NEVER_ENDS,
        FaultKind.SAME_ACCESS_NO,
    )
)
#: Faults that befall an acknowledgement (E5) as well as a telegram.
OF_ANY_ANSWER = frozenset((FaultKind.SILENT, FaultKind.LATE, FaultKind.SLOWEST, FaultKind.REBOOTS))
_BROKEN_PAUSE_BITS = 20 * GAP_BITS
_NOISE = b"\x00\xFF\x41"


def parse_fault(text: str) -> Fault:
    """``KIND[:SECONDS][:p=SHARE][:times=N]``, parts by colons or blanks. Raises ``ValueError`` with what is wrong."""
    kind_text, *options = text.replace(":", " ").split() or [""]
    try:
        fault = Fault(FaultKind(kind_text))
    except ValueError:
        kinds = ", ".join(kind.value for kind in FaultKind)
        raise ValueError(f"no such fault: {kind_text!r}; there are {kinds}") from None
    for option in options:
        name, found, value = option.partition("=")
        try:
            _set_option(fault, name if found else "", value if found else option)
        except ValueError:
            raise ValueError(f"{option!r} is no option of {kind_text}: expected {_OPTIONS}") from None
    return fault


_OPTIONS = "p=SHARE (above 0, up to 1), times=N, or for late and holds a number of seconds"


def _set_option(fault: Fault, name: str, value: str) -> None:
    number = float(value)
    if name == "" and fault.kind in TIMED and 0 <= number <= 3600:
        fault.delay_s = number
    elif name == "p" and 0 < number <= 1:
        fault.probability = number
    elif name == "times" and number == int(number) >= 1:
        fault.times = int(number)
    else:
        raise ValueError


def concerns(kind: FaultKind, data: bytes) -> bool:
    """An acknowledgement is left alone by what spoils telegrams; habits spoil no answer."""
    return kind not in HABITS and (kind in OF_ANY_ANSWER or len(data) > 1)


def spoil(data: bytes, fault: Fault, rng: Random) -> Reply | None:
    """What becomes of an answer; None for silence."""
    kind = fault.kind
    if kind in (FaultKind.SILENT, FaultKind.REBOOTS):
        return None
    if kind is FaultKind.LATE:
        return Reply(data, delay_s=fault.delay_s)
    if kind is FaultKind.HOLDS:
        return Reply(data, hold_s=fault.delay_s)
    if kind is FaultKind.SLOWEST:
        return Reply(data, slowest=True)
    return _SPOILERS[kind](data, rng)


# ------------------------------------------------------------------ what becomes of the bytes
def _truncated(data: bytes, rng: Random) -> Reply:
    return Reply(data[: rng.randint(1, len(data) - 1)])


def _bit_flip(data: bytes, rng: Random) -> Reply:
    spoiled = bytearray(data)
    spoiled[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return Reply(bytes(spoiled))


def _noise(data: bytes, rng: Random) -> Reply:
    return Reply(_NOISE + data)


def _tail(data: bytes, rng: Random) -> Reply:
    return Reply(data + bytes(rng.randrange(256) for _ in range(rng.randint(1, 20))))


def _false_start(data: bytes, rng: Random) -> Reply:
    length = rng.choice((3, 9, len(data) - 6))
    return Reply(bytes((START_LONG, length, length, START_LONG)) + data)


def _pieces(data: bytes, rng: Random) -> Reply:
    places = sorted(rng.sample(range(1, len(data)), min(len(data) - 1, rng.randint(1, 5))))
    return Reply(data, pauses=tuple((place, float(GAP_BITS)) for place in places))


def _broken_pieces(data: bytes, rng: Random) -> Reply:
    return Reply(data, pauses=((rng.randrange(1, len(data)), float(_BROKEN_PAUSE_BITS)),))


def _twice(data: bytes, rng: Random) -> Reply:
    return Reply(data + data, pauses=((len(data), rng.uniform(0, 40)),))


def _ack_only(data: bytes, rng: Random) -> Reply:
    return Reply(bytes((ACK,)))


def _flags(data: bytes, rng: Random) -> Reply:
    return Reply(_replaced(data, 4, data[4] | rng.choice((0x10, 0x20, 0x30))))


def _checksum(data: bytes, rng: Random) -> Reply:
    return Reply(data[:-2] + bytes(((data[-2] + 1) & 0xFF, data[-1])))


def _application_busy(data: bytes, rng: Random) -> Reply:
    return Reply(encode(LongFrame(RSP_UD, data[5], 0x70, b"\x08")))


def _wrong_address(data: bytes, rng: Random) -> Reply:
    return Reply(_replaced(data, 5, data[5] + 1))


def _wrong_id(data: bytes, rng: Random) -> Reply:
    return Reply(_replaced(data, 7, data[7] + 1))


def _replaced(data: bytes, place: int, byte: int) -> bytes:
    """``data``, a long frame, with another byte at ``place`` and the checksum that belongs to it."""
    body = data[4:place] + bytes((byte & 0xFF,)) + data[place + 1 : -2]
    return data[:4] + body + bytes((checksum(body), data[-1]))


_SPOILERS: dict[FaultKind, Callable[[bytes, Random], Reply]] = {
    FaultKind.TRUNCATED: _truncated,
    FaultKind.CHECKSUM: _checksum,
    FaultKind.BIT_FLIP: _bit_flip,
    FaultKind.NOISE: _noise,
    FaultKind.TAIL: _tail,
    FaultKind.FALSE_START: _false_start,
    FaultKind.PIECES: _pieces,
    FaultKind.BROKEN_PIECES: _broken_pieces,
    FaultKind.TWICE: _twice,
    FaultKind.ACK_ONLY: _ack_only,
    FaultKind.FLAGS: _flags,
    FaultKind.APPLICATION_ERROR: _application_busy,
    FaultKind.WRONG_ADDRESS: _wrong_address,
    FaultKind.WRONG_ID: _wrong_id,
}
