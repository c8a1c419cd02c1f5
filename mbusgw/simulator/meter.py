"""One meter that does not exist: the slave's side of the link (EN 13757-2, 5) around values that move."""
from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

from mbusgw.mbus.frames import (
    ACK,
    ADDRESS_BROADCAST_REPLY,
    FCB,
    REQ_UD2,
    RSP_UD,
    SND_NKE,
    Frame,
    LongFrame,
    ShortFrame,
    encode,
)
from mbusgw.model.meter import MeterIdentity
from mbusgw.model.record import Value
from mbusgw.simulator.encode import long_frame

ANSWERS_KEPT = 1000


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


@dataclass(slots=True)
class Fault:
    """A fault of the next ``times`` answers (None: until it is taken away). ``delay_s`` is for LATE."""

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
    """A slave at a primary address. ``answer``: **own thread** of its segment; the rest: any thread

    ``seconds`` gives the meter's age. With ``telegrams`` > 1 the records are spread over so
    many telegrams, each but the last with DIF 1F.
    """

    def __init__(
        self,
        identity: MeterIdentity,
        address: int,
        channels: Sequence[Channel],
        *,
        seconds: Callable[[], float],
        telegrams: int = 1,
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
        self._last_fcb: bool | None = None
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

    def answer(self, frame: Frame) -> Reply | None:
        """The answer to a frame on the wire; None where a meter keeps silent."""
        if not isinstance(frame, ShortFrame) or frame.address not in (self.address, ADDRESS_BROADCAST_REPLY):
            return None
        if frame.control == SND_NKE:
            self._last_fcb, self._next = None, 0
            return self._spoil(bytes((ACK,)))
        if frame.control & ~FCB != REQ_UD2:
            return None
        fcb = bool(frame.control & FCB)
        if fcb != self._last_fcb:  # the same bit again asks for the same telegram again
            self._last_fcb = fcb
            self._last_telegram = self._build()
        return self._spoil(self._last_telegram)

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
        if fault.kind in (FaultKind.SILENT, FaultKind.NO_RESET):
            return None
        if fault.kind is FaultKind.LATE:
            return Reply(data, fault.delay_s)
        return Reply(_SPOILERS[fault.kind](data))


def _concerns(kind: FaultKind, data: bytes) -> bool:
    acknowledgement = len(data) == 1
    if kind is FaultKind.NO_RESET:
        return acknowledgement
    return kind not in _SPOILERS or not acknowledgement


def _application_busy(data: bytes) -> bytes:
    return encode(LongFrame(RSP_UD, data[5], 0x70, b"\x08"))


def _wrong_address(data: bytes) -> bytes:
    address = (data[5] + 1) & 0xFF
    return data[:5] + bytes((address,)) + data[6:-2] + bytes(((data[-2] + address - data[5]) & 0xFF, data[-1]))


#: What becomes of the bytes of a telegram; an acknowledgement is left alone.
_SPOILERS: dict[FaultKind, Callable[[bytes], bytes]] = {
    FaultKind.TRUNCATED: lambda data: data[: len(data) // 2],
    FaultKind.CHECKSUM: lambda data: data[:-2] + bytes(((data[-2] + 1) & 0xFF, data[-1])),
    FaultKind.NOISE: lambda data: b"\x00\xFF\x41" + data,
    FaultKind.WRONG_ADDRESS: _wrong_address,
    FaultKind.APPLICATION_ERROR: _application_busy,
}
