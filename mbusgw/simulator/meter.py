"""One meter that does not exist: the slave's side of the link (EN 13757-2, 5) around values that move."""
from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

from mbusgw.mbus.frames import (
    ACK,
    ADDRESS_BROADCAST_REPLY,
    ADDRESS_NETWORK_LAYER,
    CI_BAUDRATE,
    CI_SELECT,
    FCB,
    REQ_UD2,
    RSP_UD,
    SND_NKE,
    SND_UD,
    Frame,
    LongFrame,
    ShortFrame,
    encode,
)
from mbusgw.model.address import SECONDARY_BYTES, SecondaryAddress
from mbusgw.model.meter import MeterIdentity
from mbusgw.model.record import Value
from mbusgw.simulator.encode import long_frame

ANSWERS_KEPT = 1000
#: So long after the last frame at a new speed a meter goes back to its own (the standard allows 2 to 10 minutes).
SPEED_KEPT_S = 180.0


@dataclass(frozen=True, slots=True)
class Channel:
    """One value of a meter. **immutable**

    ``value_at`` gives it at a second of the meter's life, in ``unit``, the unit a person
    expects; ``encode`` makes the record of it; ``field`` is the name it must arrive under.
    """

    field: str
    unit: str
    value_at: Callable[[float], Value]
    encode: Callable[[Value], bytes]


class FaultKind(str, Enum):
    """What a meter or its line can do wrong."""

    SILENT = "silent"
    LATE = "late"
    TRUNCATED = "truncated"
    CHECKSUM = "checksum"
    NOISE = "noise"
    WRONG_ADDRESS = "wrong_address"
    APPLICATION_ERROR = "application_error"
    NO_RESET = "no_reset"  # ignores SND_NKE only
    WRONG_ID = "wrong_id"  # answers for the meter with the next number
    KEEPS_FCB = "keeps_fcb"  # being selected does not make it forget its last FCB
    STAYS_SELECTED = "stays_selected"  # though another one is selected


@dataclass(slots=True)
class Fault:
    """A fault of the next ``times`` answers (None: until it is taken away). ``delay_s`` is for LATE.

    NO_RESET, KEEPS_FCB and STAYS_SELECTED are habits, not faults of answers: they last.
    """

    kind: FaultKind
    times: int | None = None
    delay_s: float = 0.5


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back over the wire, and how much later than the usual answer delay. **immutable**"""

    data: bytes
    delay_s: float = 0.0


Expected = Mapping[str, tuple[Value, str]]


class SimulatedMeter:
    """A slave at a primary address, which its secondary one selects too.

    ``answer``: **own thread** of its segment; the rest: any thread

    ``seconds`` gives the meter's age. With ``telegrams`` > 1 the records are spread over so
    many telegrams, each but the last with DIF 1F. ``baudrate``: its own speed, if it is not its segment's;
    ``speeds``: those that it can be switched to.
    """

    def __init__(
        self,
        identity: MeterIdentity,
        address: int,
        channels: Sequence[Channel],
        *,
        seconds: Callable[[], float],
        telegrams: int = 1,
        baudrate: int | None = None,
        speeds: Collection[int] = CI_BAUDRATE,
        name: str = "",
    ) -> None:
        self.identity = identity
        self.address = address
        self.channels = tuple(channels)
        self.name = name or identity.device_id
        self.fault: Fault | None = None
        self.answers: deque[Expected] = deque(maxlen=ANSWERS_KEPT)
        self._seconds = seconds
        self._telegrams = telegrams
        self._baudrate = baudrate
        self._speeds = {CI_BAUDRATE[speed]: speed for speed in speeds}
        self._switched: int | None = None
        self._heard_s = 0.0
        self._selected = False
        self._last_fcb: dict[bool, bool | None] = {}  # apart for address 253 (True) and the primary address
        self._last_telegram = b""
        self._next = 0
        self._values: list[Value] = []
        self._access_no = 0

    def expected(self) -> Expected:
        """What the last complete answer said: field -> (value, unit); empty before the first."""
        return self.answers[-1] if self.answers else MappingProxyType({})

    def sent_values(self, field: str) -> set[Value]:
        """Every value of ``field`` that was sent of late."""
        return {answer[field][0] for answer in list(self.answers)}

    @property
    def secondary_address(self) -> SecondaryAddress:
        """What selects this meter alone."""
        return SecondaryAddress.of(self.identity)

    def speed(self, segment_baudrate: int) -> int:
        """At what speed it listens now; a switched one that nobody speaks to goes back to its own."""
        if self._switched is not None and self._seconds() - self._heard_s > SPEED_KEPT_S:
            self._switched = None
        return self._switched or self._baudrate or segment_baudrate

    def answer(self, frame: Frame) -> Reply | None:
        """The answer to a frame on the wire, at its own speed; None where a meter keeps silent."""
        self._heard_s = self._seconds()
        if isinstance(frame, LongFrame):
            return self._hear_baudrate(frame) if frame.ci in self._speeds else self._hear_selection(frame)
        if not isinstance(frame, ShortFrame):
            return None
        by_selection = frame.address == ADDRESS_NETWORK_LAYER
        if not (self._selected if by_selection else frame.address in (self.address, ADDRESS_BROADCAST_REPLY)):
            return None
        if frame.control == SND_NKE:
            if self._has(FaultKind.NO_RESET):
                return None
            self._last_fcb[by_selection], self._next = None, 0
            self._selected = self._selected and not by_selection
            return self._spoil(bytes((ACK,)))
        if frame.control & ~FCB != REQ_UD2:
            return None
        fcb = bool(frame.control & FCB)
        if fcb != self._last_fcb.get(by_selection):  # the same bit again asks for the same telegram again
            self._last_fcb[by_selection] = fcb
            self._last_telegram = self._build()
        return self._spoil(self._last_telegram)

    def _hear_baudrate(self, frame: LongFrame) -> Reply | None:
        mine = self._selected if frame.address == ADDRESS_NETWORK_LAYER else frame.address == self.address
        if not mine or frame.control & ~FCB != SND_UD or frame.data:
            return None
        self._switched = self._speeds[frame.ci]
        return self._spoil(bytes((ACK,)))

    def _hear_selection(self, frame: LongFrame) -> Reply | None:
        """EN 13757-3, 12: selected or deselected, whoever hears it; only the selected one acknowledges."""
        if (frame.control & ~FCB, frame.address, frame.ci) != (SND_UD, ADDRESS_NETWORK_LAYER, CI_SELECT):
            return None
        if len(frame.data) != SECONDARY_BYTES or not SecondaryAddress.from_wire(frame.data).matches(self.identity):
            self._selected = self._selected and self._has(FaultKind.STAYS_SELECTED)
            return None
        self._selected = True
        if not self._has(FaultKind.KEEPS_FCB):
            self._last_fcb[True] = None
        return self._spoil(bytes((ACK,)))

    def _has(self, kind: FaultKind) -> bool:
        return self.fault is not None and self.fault.kind is kind

    def _build(self) -> bytes:
        if self._next == 0:
            at_s = self._seconds()
            self._values = [channel.value_at(at_s) for channel in self.channels]
        size = -(-len(self.channels) // self._telegrams)
        part = range(self._next * size, min((self._next + 1) * size, len(self.channels)))
        self._next = (self._next + 1) % self._telegrams
        if self._next == 0:
            self.answers.append(
                MappingProxyType({c.field: (value, c.unit) for c, value in zip(self.channels, self._values)})
            )
        self._access_no = (self._access_no + 1) & 0xFF
        return long_frame(
            self.identity,
            b"".join(self.channels[i].encode(self._values[i]) for i in part),
            address=self.address,
            access_no=self._access_no,
            more_records_follow=self._next != 0,
        )

    def _spoil(self, data: bytes) -> Reply | None:
        fault = self.fault
        if fault is None or not _concerns(fault.kind, data):
            return Reply(data)
        if fault.times is not None:
            fault.times -= 1
            if fault.times <= 0:
                self.fault = None
        if fault.kind is FaultKind.SILENT:
            return None
        if fault.kind is FaultKind.LATE:
            return Reply(data, fault.delay_s)
        return Reply(_SPOILERS[fault.kind](data))


def _concerns(kind: FaultKind, data: bytes) -> bool:
    """Acknowledgements are left alone by what spoils telegrams; some faults are none of an answer."""
    if kind in (FaultKind.SILENT, FaultKind.LATE):
        return True
    return kind in _SPOILERS and len(data) > 1


def _application_busy(data: bytes) -> bytes:
    return encode(LongFrame(RSP_UD, data[5], 0x70, b"\x08"))


def _wrong_address(data: bytes) -> bytes:
    address = (data[5] + 1) & 0xFF
    return data[:5] + bytes((address,)) + data[6:-2] + bytes(((data[-2] + address - data[5]) & 0xFF, data[-1]))


def _wrong_id(data: bytes) -> bytes:
    number = (data[7] + 1) & 0xFF
    return data[:7] + bytes((number,)) + data[8:-2] + bytes(((data[-2] + number - data[7]) & 0xFF, data[-1]))


#: What becomes of the bytes of a telegram; an acknowledgement is left alone.
_SPOILERS: dict[FaultKind, Callable[[bytes], bytes]] = {
    FaultKind.TRUNCATED: lambda data: data[: len(data) // 2],
    FaultKind.CHECKSUM: lambda data: data[:-2] + bytes(((data[-2] + 1) & 0xFF, data[-1])),
    FaultKind.NOISE: lambda data: b"\x00\xFF\x41" + data,
    FaultKind.WRONG_ADDRESS: _wrong_address,
    FaultKind.WRONG_ID: _wrong_id,
    FaultKind.APPLICATION_ERROR: _application_busy,
}
