"""A line without a port and without waiting: hours of a bus in seconds, the same in every run."""
from __future__ import annotations

from mbusgw.simulator.cable import Cable

#: The hands stand here at first.
START_MONO = 1000.0


class VirtualLine:
    """What ``mbus.session.Session`` needs of a port, on a ``Cable`` and a clock of its own. **own thread**

    Time passes only where somebody waits for bytes; ``mono`` tells it. ``slack_s``: how late a byte may reach us,
    ``slack_guessed``: that is not known of the port.
    """

    def __init__(
        self, cable: Cable, *, baudrate: int | None = None, slack_s: float = 0.0, slack_guessed: bool = False
    ) -> None:
        self.cable = cable
        self.slack_s = slack_s
        self.slack_guessed = slack_guessed
        self.now_mono = START_MONO
        self._baudrate = baudrate
        self._waiting = bytearray()

    def mono(self) -> float:
        """Monotonic seconds."""
        return self.now_mono

    def read(self, max_bytes: int, timeout_s: float) -> bytes:
        """What is there as soon as anything is; ``b""`` after the timeout."""
        until_mono = self.now_mono + max(0.0, timeout_s)
        self._waiting += self.cable.ripe(self.now_mono, self._baudrate)
        while not self._waiting:
            due_mono = self.cable.due_mono
            if due_mono is None or due_mono > until_mono:
                self.now_mono = until_mono
                return b""
            self.now_mono = max(self.now_mono, due_mono)
            self._waiting += self.cable.ripe(self.now_mono, self._baudrate)
        some = bytes(self._waiting[:max_bytes])
        del self._waiting[:max_bytes]
        return some

    def rest(self, seconds: float) -> None:
        """Lets bytes come in for so long."""
        self.now_mono += seconds

    def write(self, data: bytes) -> None:
        """Sends: the meters hear it."""
        self.cable.hear(data, self.now_mono, self._baudrate)

    def purge(self) -> bytes:
        """Takes away what has come in."""
        self._waiting += self.cable.ripe(self.now_mono, self._baudrate)
        dropped = bytes(self._waiting)
        self._waiting.clear()
        return dropped

    def set_baudrate(self, baudrate: int) -> None:
        """Talks at that speed from now on."""
        self._baudrate = baudrate

    def sleep_until(self, mono: float) -> None:
        """Nobody waits for bytes until then."""
        self.now_mono = max(self.now_mono, mono)
