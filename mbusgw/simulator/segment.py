"""A whole M-Bus segment that does not exist: many meters on one line, at the speed of the wire."""
from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence

from mbusgw.runtime.clock import Clock
from mbusgw.runtime.worker import Worker
from mbusgw.simulator.cable import ANSWER_DELAY_S, Cable, Witness
from mbusgw.simulator.chaos import Chaos
from mbusgw.simulator.line import SimulatedLine, TcpLine
from mbusgw.simulator.meter import SimulatedMeter

LOOK_S = 0.05


class Segment(Worker):
    """The meters of one line and their common wire (``cable``). **own thread**; what is named below: any thread

    ``unplug``, ``plug``, ``drop``, ``noise``: faults of the line; ``echo`` and ``chaos`` may be set at any time.
    ``requests`` keeps when which frame was heard.
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
        chaos: Chaos | None = None,
        witness: Witness | None = None,
        name: str = "sim:mbus",
    ) -> None:
        super().__init__(name, clock)
        self.line = line
        self.cable = Cable(
            meters, baudrate=baudrate, answer_delay_s=answer_delay_s, echo=echo, chaos=chaos, witness=witness
        )
        self._plugged = threading.Event()
        self._plugged.set()
        self._drop = threading.Event()
        self._noise: deque[bytes] = deque(maxlen=100)

    # -------------------------------------------------- any thread
    @property
    def meters(self) -> tuple[SimulatedMeter, ...]:
        """Who is on the wire."""
        return self.cable.meters

    @property
    def baudrate(self) -> int:
        """The speed of all meters that have none of their own."""
        return self.cable.baudrate

    @property
    def answer_delay_s(self) -> float:
        """How long the meters take to begin their answer."""
        return self.cable.answer_delay_s

    @property
    def requests(self) -> deque[tuple[float, bytes]]:
        """When which frame was heard."""
        return self.cable.requests

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

    def noise(self, data: bytes) -> None:
        """Bytes that no meter has sent come with the next step."""
        self._noise.append(data)

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
        while self._noise:
            self.cable.inject(self._noise.popleft(), self.clock.mono())
        if data := self.cable.ripe(self.clock.mono(), self.line.baudrate):
            self.line.write(data)
        if heard := self.line.read(self._wait_s()):
            self.cable.hear(heard, self.clock.mono(), self.line.baudrate)

    def teardown(self) -> None:
        self.line.close()

    def _plug_or_unplug(self) -> bool:
        """Follows what was asked for; True while there is no line."""
        if self._drop.is_set():
            self._drop.clear()
            if isinstance(self.line, TcpLine):
                self.line.drop()
        if not self._plugged.is_set():
            self.line.close()
            self.cable.fall_silent()
            self.wait(LOOK_S)
            return True
        if not self.line.connected:
            self.line.open()
        return False

    def _wait_s(self) -> float:
        due_mono = self.cable.due_mono
        return LOOK_S if due_mono is None else min(LOOK_S, max(0.0, due_mono - self.clock.mono()))
