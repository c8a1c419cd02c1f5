"""One meter that does not exist: the slave's side of the link (EN 13757-2, 5) around values that move."""
from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from types import MappingProxyType
from typing import Protocol

from mbusgw.mbus.frames import (
    ACK,
    ADDRESS_BROADCAST,
    ADDRESS_BROADCAST_REPLY,
    ADDRESS_NETWORK_LAYER,
    CI_APPLICATION_RESET,
    CI_BAUDRATE,
    CI_DATA_SEND,
    CI_SELECT,
    FCB,
    REQ_UD1,
    REQ_UD2,
    SND_NKE,
    SND_UD,
    Frame,
    LongFrame,
    ShortFrame,
)
from mbusgw.model.address import SECONDARY_BYTES, SecondaryAddress
from mbusgw.model.meter import MeterIdentity, manufacturer_text
from mbusgw.model.record import Value
from mbusgw.simulator.encode import long_frame
from mbusgw.simulator.fault import Fault, FaultKind, Reply, concerns, spoil

ANSWERS_KEPT = 1000

#: So long after the last frame at a new speed a meter goes back to its own (the standard allows 2 to 10 minutes).
SPEED_KEPT_S = 180.0

_SET_PRIMARY = b"\x01\x7A"
_SET_NUMBER = b"\x0C\x79"
_SET_IDENTITY = b"\x07\x79"
_HIGHEST_PRIMARY = 250


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


class Framer(Protocol):
    """Makes an answer of the records of one telegram."""

    def __call__(
        self, meter: MeterIdentity, records: bytes, *, address: int, access_no: int, more_records_follow: bool
    ) -> bytes: ...


Expected = Mapping[str, tuple[Value, str]]


class SimulatedMeter:
    """A slave at a primary address, which its secondary one selects too.

    ``answer``: **own thread** of its segment; the rest: any thread

    ``seconds`` gives the meter's age. With ``telegrams`` > 1 the records are spread over so
    many telegrams, each but the last with DIF 1F. ``baudrate``: its own speed, if it is not its segment's;
    ``speeds``: those that it can be switched to (CI B8 to BF). It obeys a new primary address or number (CI 51)
    and an application reset (CI 50). ``begun``: the values of the readout
    that began last, one of ``readouts``. ``faults`` may be set at any time; ``fault`` is for a single one.
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
        frame: Framer = long_frame,
        baudrate: int | None = None,
        speeds: Collection[int] = CI_BAUDRATE,
        answer_delay_s: float | None = None,
        seed: int = 0,
    ) -> None:
        self.identity = identity
        self.address = address
        self.channels = tuple(channels)
        self.name = name or identity.device_id
        self.answer_delay_s = answer_delay_s
        self.faults: tuple[Fault, ...] = ()
        self.answers: deque[Expected] = deque(maxlen=ANSWERS_KEPT)
        self.begun: Expected = MappingProxyType({})
        self.readouts = 0
        self._seconds = seconds
        self._telegrams = telegrams
        self._frame = frame
        self._rng = Random(f"{seed}:{identity.device_id}")
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

    # -------------------------------------------------- any thread
    @property
    def fault(self) -> Fault | None:
        """The first of ``faults``."""
        return self.faults[0] if self.faults else None

    @fault.setter
    def fault(self, fault: Fault | None) -> None:
        self.faults = () if fault is None else (fault,)

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

    # -------------------------------------------------- its segment
    def answer(self, frame: Frame, *, passing: Fault | None = None) -> Reply | None:
        """The answer to a frame on the wire; None for silence. ``passing``: a fault of this one answer."""
        self._heard_s = self._seconds()
        if not isinstance(frame, (ShortFrame, LongFrame)):
            return None
        if isinstance(frame, LongFrame) and (frame.address, frame.ci) == (ADDRESS_NETWORK_LAYER, CI_SELECT):
            data = self._hear_selection(frame)
        elif not self._is_meant(frame.address):
            return None
        else:
            data = self._obey(frame) if isinstance(frame, LongFrame) else self._hear(frame)
        if data is None or frame.address == ADDRESS_BROADCAST:
            return None
        return self._spoil(data, passing)

    def _is_meant(self, address: int) -> bool:
        if address == ADDRESS_NETWORK_LAYER:
            return self._selected
        return address in (self.address, ADDRESS_BROADCAST_REPLY, ADDRESS_BROADCAST)

    def _hear(self, frame: ShortFrame) -> bytes | None:
        by_selection = frame.address == ADDRESS_NETWORK_LAYER
        if frame.control == SND_NKE:
            if self._has(FaultKind.NO_RESET):
                return None
            self._last_fcb[by_selection], self._next = None, 0
            self._selected = self._selected and not by_selection
            return bytes((ACK,))
        if frame.address == ADDRESS_BROADCAST:
            return None
        if frame.control & ~FCB == REQ_UD1:
            return bytes((ACK,))  # no alarm
        if frame.control & ~FCB != REQ_UD2:
            return None
        fcb = bool(frame.control & FCB)
        repeats = fcb == self._last_fcb.get(by_selection) and not self._has(FaultKind.IGNORES_FCB)
        if self._has(FaultKind.STICKS):
            repeats = bool(self._last_telegram)
        if not repeats:  # the same bit again asks for the same telegram again
            self._last_fcb[by_selection] = fcb
            self._last_telegram = self._build()
        return self._last_telegram

    def _hear_selection(self, frame: LongFrame) -> bytes | None:
        """EN 13757-3, 12: selected or deselected, whoever hears it; only the selected one acknowledges."""
        if frame.control & ~FCB != SND_UD:
            return None
        if len(frame.data) != SECONDARY_BYTES or not SecondaryAddress.from_wire(frame.data).matches(self.identity):
            self._selected = self._selected and self._has(FaultKind.STAYS_SELECTED)
            return None
        self._selected = True
        if not self._has(FaultKind.KEEPS_FCB):
            self._last_fcb[True] = None
        return bytes((ACK,))

    def _obey(self, frame: LongFrame) -> bytes | None:
        """Data sent to it; what it does not understand it leaves without an answer."""
        if frame.control & ~FCB != SND_UD:
            return None
        if frame.ci == CI_APPLICATION_RESET:
            self._next, self._last_fcb = 0, {}
        elif frame.ci in self._speeds and not frame.data:
            self._switched = self._speeds[frame.ci]
        elif frame.ci != CI_DATA_SEND or not self._set(frame.data):
            return None
        return bytes((ACK,))

    def _set(self, data: bytes) -> bool:
        head, body = data[:2], data[2:]
        if head == _SET_PRIMARY and len(body) == 1 and body[0] <= _HIGHEST_PRIMARY:
            self.address = body[0]
        elif head == _SET_NUMBER and len(body) == 4 and body.hex().isdecimal():
            self.identity = replace(self.identity, id=body[::-1].hex())
        elif head == _SET_IDENTITY and len(body) == 8 and body[:4].hex().isdecimal():
            maker = manufacturer_text(int.from_bytes(body[4:6], "little"))
            self.identity = MeterIdentity(body[3::-1].hex(), maker, body[6], body[7])
        else:
            return False
        return True

    def _has(self, kind: FaultKind) -> bool:
        return any(fault.kind is kind for fault in self.faults)

    def _build(self) -> bytes:
        if self._next == 0:
            at_s = self._seconds()
            self._values = [channel.value_at(at_s) for channel in self.channels]
            self.begun = MappingProxyType(
                {c.field: (value, c.unit) for c, value in zip(self.channels, self._values, strict=True)}
            )
            self.readouts += 1
        size = -(-len(self.channels) // self._telegrams)
        part = range(self._next * size, min((self._next + 1) * size, len(self.channels)))
        self._next = (self._next + 1) % self._telegrams
        endless = self._has(FaultKind.NEVER_ENDS)
        if self._next == 0 and not endless:
            self.answers.append(self.begun)
        if not self._has(FaultKind.SAME_ACCESS_NO):
            self._access_no = (self._access_no + 1) & 0xFF
        return self._frame(
            self.identity,
            b"".join(self.channels[i].encode(self._values[i]) for i in part),
            address=self.address,
            access_no=self._access_no,
            more_records_follow=self._next != 0 or endless,
        )

    # -------------------------------------------------- what goes wrong
    def _spoil(self, data: bytes, passing: Fault | None) -> Reply | None:
        fault = passing if passing is not None and concerns(passing.kind, data) else self._next_fault(data)
        if fault is None:
            return Reply(data)
        if fault.kind is FaultKind.REBOOTS:
            self._selected, self._last_fcb, self._next, self._switched = False, {}, 0, None
        return spoil(data, fault, self._rng)

    def _next_fault(self, data: bytes) -> Fault | None:
        """The first fault whose turn it is; one that has come often enough goes."""
        for fault in self.faults:
            if not concerns(fault.kind, data) or (fault.probability < 1 and self._rng.random() >= fault.probability):
                continue
            if fault.times is not None:
                fault.times -= 1
                if fault.times <= 0:
                    self.faults = tuple(one for one in self.faults if one is not fault)
            return fault
        return None
