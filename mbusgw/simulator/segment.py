"""A whole M-Bus segment that does not exist: many meters on one line, at the speed of the wire."""
from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from mbusgw.mbus.frames import Frame, expected_length, parse
from mbusgw.model.errors import FrameDamaged
from mbusgw.runtime.clock import Clock
from mbusgw.runtime.worker import Worker
from mbusgw.simulator.line import SimulatedLine, TcpLine
from mbusgw.simulator.meter import SimulatedMeter
from mbusgw.simulator.superposition import superpose

BITS_PER_BYTE = 11
ANSWER_DELAY_S = 0.020
#: A request whose bytes come further apart than this was broken off.
REQUEST_GAP_S = 0.1
LOOK_S = 0.05
REQUESTS_KEPT = 10_000


@dataclass(slots=True)
class _Sending:
    """An answer on its way: byte n is complete at ``start_mono + (n + 1) × byte time``."""

    data: bytes
    start_mono: float
    baudrate: int
    sent: int = 0

    @property
    def byte_s(self) -> float:
        return BITS_PER_BYTE / self.baudrate


class Segment(Worker):
    """The meters of one line and their common wire. **own thread**; what is named below: any thread

    Answers begin after the request would have passed at ``baudrate`` and ``answer_delay_s``
    more, and go out byte by byte at that speed (11 bits a byte). A meter may have a speed of its own; one
    that is spoken to at another hears nothing that it could answer, and a master that listens at another
    gets other bytes (known on a pty only; behind TCP the speed is the converter's). Meters that answer at
    once spoil each other's bits. ``requests`` keeps when which frame was heard.
    ``unplug``, ``plug``, ``drop``: faults of the line. ``echo``: a converter that sends back what it hears.
    """

    def __init__(
        self,
        line: SimulatedLine,
        meters: Sequence[SimulatedMeter],
        *,
        clock: Clock,
        baudrate: int = 2400,
        answer_delay_s: float = ANSWER_DELAY_S,
        echo: bool = False,
        name: str = "sim:mbus",
    ) -> None:
        super().__init__(name, clock)
        self.line = line
        self.meters = tuple(meters)
        self.baudrate = baudrate
        self.answer_delay_s = answer_delay_s
        self.echo = echo
        self.requests: deque[tuple[float, bytes]] = deque(maxlen=REQUESTS_KEPT)
        self._plugged = threading.Event()
        self._plugged.set()
        self._drop = threading.Event()
        self._heard = bytearray()
        self._heard_mono = 0.0
        self._sending: list[_Sending] = []

    # -------------------------------------------------- any thread
    @property
    def port(self) -> str:
        """What to put into ``port:`` of a configuration; known once it is started."""
        return self.line.port

    @property
    def connected(self) -> bool:
        """The line is there."""
        return self.line.connected

    def unplug(self) -> None:
        """The line goes away with the next step."""
        self._plugged.clear()

    def plug(self) -> None:
        """The line comes back with the next step."""
        self._plugged.set()

    def drop(self) -> None:
        """A TCP connection breaks off with the next step; the port goes on listening."""
        self._drop.set()

    # -------------------------------------------------- worker
    def start(self) -> None:
        """Makes the line, so that ``port`` is known, then starts the thread. Raises ``OSError``."""
        self.line.open()
        super().start()

    def setup(self) -> None:
        if not self.line.connected and self._plugged.is_set():
            self.line.open()

    def step(self) -> None:
        if self._plug_or_unplug():
            return
        self._send()
        if data := self.line.read(self._wait_s()):
            self._hear(data)

    def teardown(self) -> None:
        self.line.close()

    # -------------------------------------------------- the line
    def _plug_or_unplug(self) -> bool:
        """Follows what was asked for; True while there is no line."""
        if self._drop.is_set():
            self._drop.clear()
            if isinstance(self.line, TcpLine):
                self.line.drop()
        if not self._plugged.is_set():
            self.line.close()
            self._sending.clear()
            self._heard.clear()
            self.wait(LOOK_S)
            return True
        if not self.line.connected:
            self.line.open()
        return False

    def _wait_s(self) -> float:
        if not self._sending:
            return LOOK_S
        due_mono = min(one.start_mono + (one.sent + 1) * one.byte_s for one in self._sending)
        return min(LOOK_S, max(0.0, due_mono - self.clock.mono()))

    # -------------------------------------------------- bytes out
    def _send(self) -> None:
        now = self.clock.mono()
        for one in self._sending:
            ripe = min(len(one.data), int((now - one.start_mono) / one.byte_s))
            if ripe > one.sent:
                data = one.data[one.sent : ripe]
                self.line.write(data if self._speed() == one.baudrate else garble(data))
                one.sent = ripe
        self._sending = [one for one in self._sending if one.sent < len(one.data)]

    # -------------------------------------------------- bytes in
    def _hear(self, data: bytes) -> None:
        now = self.clock.mono()
        if self._heard and now - self._heard_mono > REQUEST_GAP_S:
            self._heard.clear()
        if not self._heard:
            self._heard_mono = now
        self._heard += data
        if self.echo:
            self._sending.append(_Sending(data, now, self._speed()))
        while (request := self._next_request()) is not None:
            self._answer(request)

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

    def _answer(self, request: bytes) -> None:
        self.requests.append((self._heard_mono, request))
        try:
            frame: Frame = parse(request)
        except FrameDamaged:
            return  # a meter keeps silent when it does not understand
        baudrate = self._speed()
        byte_s = BITS_PER_BYTE / baudrate
        passed_mono = self._heard_mono + len(request) * byte_s
        listening = [meter for meter in self.meters if meter.speed(self.baudrate) == baudrate]
        answers = [
            (passed_mono + self.answer_delay_s + reply.delay_s, reply.data)
            for reply in (meter.answer(frame) for meter in listening)
            if reply is not None and reply.data
        ]
        self._sending += [_Sending(data, start_mono, baudrate) for start_mono, data in superpose(answers, byte_s)]

    def _speed(self) -> int:
        """At what speed the master talks and listens now."""
        return self.line.baudrate or self.baudrate


def garble(data: bytes) -> bytes:
    """What a receiver makes of bytes that come at another speed than its own: others, none that begins a frame."""
    return bytes((byte & 0x0F) << 4 for byte in data)
