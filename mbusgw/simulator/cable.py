"""The common wire of many meters: what is heard on it and what comes back, byte by byte.

It has no clock of its own: whoever calls it tells the time.
"""
from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from mbusgw.mbus.frames import Frame, expected_length, parse
from mbusgw.mbus.wire import ANSWER_BITS, ANSWER_EXTRA_S, BITS_PER_BYTE
from mbusgw.model.errors import FrameDamaged
from mbusgw.simulator.chaos import Chaos
from mbusgw.simulator.fault import Reply
from mbusgw.simulator.meter import Expected, SimulatedMeter
from mbusgw.simulator.superposition import superpose

ANSWER_DELAY_S = 0.020
#: A request whose bytes come further apart than this was broken off.
REQUEST_GAP_S = 0.1
REQUESTS_KEPT = 10_000
#: What a meter sends that holds the line.
BABBLE = b"\x55"
#: A byte is complete a little before its time: sums of many floats never meet it exactly.
TOLERANCE_BYTES = 1e-4


class Witness(Protocol):
    """Is told everything that happens on the wire, with monotonic seconds. **own thread** of the segment"""

    def heard(self, start_mono: float, data: bytes, baudrate: int) -> None:
        """A request, which began then."""

    def sent(self, at_mono: float, data: bytes) -> None:
        """Bytes that have come back; the last of them is complete now."""

    def said(self, at_mono: float, meter: SimulatedMeter, values: Expected) -> None:
        """The values of a readout that began now; a long one may break off before all were sent."""


@dataclass(slots=True)
class _Sending:
    """Bytes on their way: byte n is complete at ``start_mono + (n + 1) × byte_s``."""

    data: bytes
    start_mono: float
    byte_s: float
    echo: bool = False
    sent: int = 0

    @property
    def due_mono(self) -> float:
        return self.start_mono + (self.sent + 1) * self.byte_s


class Cable:
    """What goes over one wire. **own thread** of its segment, but ``meters``, ``echo``, ``chaos``: any thread

    Answers begin after the request would have passed at ``baudrate`` and ``answer_delay_s`` more, and go out
    byte by byte at that speed (11 bits a byte). What is sent at the same time is spoiled bit by bit. ``echo``: a
    converter that sends back what it hears. ``chaos``: faults at random. A meter may have a speed of its own; one
    that is spoken to at another hears nothing that it could answer, and a master that listens at another gets
    other bytes. ``requests`` keeps when which frame was heard.
    """

    def __init__(
        self,
        meters: Sequence[SimulatedMeter],
        *,
        baudrate: int,
        answer_delay_s: float = ANSWER_DELAY_S,
        echo: bool = False,
        chaos: Chaos | None = None,
        witness: Witness | None = None,
    ) -> None:
        self.meters = tuple(meters)
        self.baudrate = baudrate
        self.answer_delay_s = answer_delay_s
        self.echo = echo
        self.chaos = chaos
        self.requests: deque[tuple[float, bytes]] = deque(maxlen=REQUESTS_KEPT)
        self._witness = witness
        self._heard = bytearray()
        self._heard_mono = 0.0
        self._sending: list[_Sending] = []

    # -------------------------------------------------- bytes out
    @property
    def due_mono(self) -> float | None:
        """When the next byte will be complete; None while nothing is sent."""
        return min((one.due_mono for one in self._sending), default=None)

    def ripe(self, now_mono: float, baudrate: int | None = None) -> bytes:
        """The bytes that have become complete since the last call, for a master that listens at ``baudrate``."""
        byte_s = self._byte_s(baudrate or self.baudrate)
        data = b""
        for one in sorted(self._sending, key=lambda one: one.due_mono):
            count = min(len(one.data), int((now_mono - one.start_mono) / one.byte_s + TOLERANCE_BYTES))
            if count > one.sent:
                some = one.data[one.sent : count]
                data += some if one.byte_s == byte_s else garble(some)
                one.sent = count
        if data:
            self._sending = [one for one in self._sending if one.sent < len(one.data)]
            if self._witness is not None:
                self._witness.sent(now_mono, data)
        return data

    def inject(self, data: bytes, start_mono: float) -> None:
        """Bytes that nobody has sent: noise."""
        self._put([(start_mono, data)], self._byte_s(self.baudrate))

    def fall_silent(self) -> None:
        """The line was cut: what was under way is lost."""
        self._sending.clear()
        self._heard.clear()

    # -------------------------------------------------- bytes in
    def hear(self, data: bytes, now_mono: float, baudrate: int | None = None) -> None:
        """Bytes from the master, which talks at ``baudrate`` (None: that of the cable)."""
        baudrate = baudrate or self.baudrate
        if self._heard and now_mono - self._heard_mono > REQUEST_GAP_S:
            self._heard.clear()
        if not self._heard:
            self._heard_mono = now_mono
        self._heard += data
        if self.echo:
            self._sending.append(_Sending(data, now_mono, self._byte_s(baudrate), echo=True))
        while (request := self._next_request()) is not None:
            self._answer(request, baudrate)

    def _next_request(self) -> bytes | None:
        while self._heard:
            try:
                need = expected_length(bytes(self._heard))
            except FrameDamaged:
                del self._heard[0]
                continue
            if need is None or len(self._heard) < need:
                return None
            request = bytes(self._heard[:need])
            del self._heard[:need]
            return request
        return None

    def _answer(self, request: bytes, baudrate: int) -> None:
        self.requests.append((self._heard_mono, request))
        if self._witness is not None:
            self._witness.heard(self._heard_mono, request, baudrate)
        if self.chaos is not None and (noise := self.chaos.noise()) is not None:
            self.inject(noise[1], self._heard_mono + noise[0])
        try:
            frame: Frame = parse(request)
        except FrameDamaged:
            return  # a meter keeps silent when it does not understand
        passed_mono = self._heard_mono + len(request) * self._byte_s(baudrate)
        pieces: list[tuple[float, bytes]] = []
        for meter in self.meters:
            if meter.speed(self.baudrate) == baudrate and (reply := self._ask(meter, frame)) is not None:
                pieces += self._pieces(reply, passed_mono, meter, baudrate)
        if pieces:
            self._put(pieces, self._byte_s(baudrate))

    def _ask(self, meter: SimulatedMeter, frame: Frame) -> Reply | None:
        before = meter.readouts
        reply = meter.answer(frame, passing=self.chaos.fault(meter.address) if self.chaos is not None else None)
        if meter.readouts != before and self._witness is not None:
            self._witness.said(self._heard_mono, meter, meter.begun)
        return reply

    def _pieces(
        self, reply: Reply, passed_mono: float, meter: SimulatedMeter, speed: int
    ) -> Iterator[tuple[float, bytes]]:
        """When which bytes of ``reply`` begin; ``passed_mono``: when the request has passed."""
        bit_s, byte_s = 1 / speed, self._byte_s(speed)
        delay_s = self.answer_delay_s if meter.answer_delay_s is None else meter.answer_delay_s
        if reply.slowest:
            delay_s = ANSWER_BITS * bit_s + ANSWER_EXTRA_S
        at_mono, begin = passed_mono + delay_s + reply.delay_s, 0
        for place, bits in (*reply.pauses, (len(reply.data), 0.0)):
            if place > begin:
                yield at_mono, reply.data[begin:place]
            at_mono += (place - begin) * byte_s + bits * bit_s
            begin = place
        if reply.hold_s:
            yield at_mono, BABBLE * int(reply.hold_s / byte_s)

    def _put(self, pieces: Sequence[tuple[float, bytes]], byte_s: float) -> None:
        """Adds ``pieces`` to what is under way at that speed; where they overlap, bits are spoiled."""
        together = [one for one in self._sending if one.byte_s == byte_s and not one.echo]
        others = [one for one in self._sending if one.byte_s != byte_s or one.echo]
        rest = [(one.start_mono + one.sent * byte_s, one.data[one.sent :]) for one in together]
        pieces = superpose([*rest, *(piece for piece in pieces if piece[1])], byte_s)
        self._sending = others + [_Sending(data, start, byte_s) for start, data in pieces]

    @staticmethod
    def _byte_s(baudrate: int) -> float:
        return BITS_PER_BYTE / baudrate


def garble(data: bytes) -> bytes:
    """What a receiver makes of bytes that come at another speed than its own: others, none that begins a frame."""
    return bytes((byte & 0x0F) << 4 for byte in data)
