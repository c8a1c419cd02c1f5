"""The only place that starts threads."""
from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable

from mbusgw.model.errors import Stopping
from mbusgw.runtime.backoff import Backoff
from mbusgw.runtime.clock import Clock
from mbusgw.runtime.heartbeat import Heartbeat

log = logging.getLogger(__name__)

#: A longer name would be cut in ``top -H`` (prctl(2), PR_SET_NAME).
NAME_LENGTH = 15

#: So many crashes in so many seconds mark a worker as failed.
CRASH_LIMIT = 5
CRASH_WINDOW_S = 600.0


def spawn(name: str, target: Callable[[], object]) -> threading.Thread:
    """Starts a thread. ``name`` has at most ``NAME_LENGTH`` characters.

    Daemon threads: an ordered stop joins every one; what hangs all the same must not
    keep the process from ending.
    """
    if len(name) > NAME_LENGTH:
        raise ValueError(f"thread name longer than {NAME_LENGTH} characters: {name!r}")
    thread = threading.Thread(name=name, target=target, daemon=True)
    thread.start()
    return thread


class Worker:
    """One thread with a name, a heartbeat and a stop. Subclasses write ``step()``: one round of the work.

    ``step`` returns within ``limit_s`` (it waits by a timeout, ``wait`` or a mailbox) and
    can be called by a test without a thread. ``setup`` runs before the first step and
    again after a crash, ``teardown`` after a crash and at the end. An exception out of
    any of them is logged with its trace, counted, and followed by a growing pause (after
    ten quiet minutes it begins anew); five crashes in ten minutes set ``failed``, on which
    health acts.
    ``start``, ``stop``, ``join``: the main thread. ``step``, ``setup``, ``teardown``: **own thread**
    """

    def __init__(self, name: str, clock: Clock, *, limit_s: float = 60) -> None:
        self.name = name
        self.clock = clock
        self.heartbeat = Heartbeat(name, clock, limit_s=limit_s)
        self.crashes = 0
        self._stop_event = threading.Event()
        self._thread: threading.Thread | None = None
        self._crash_monos: deque[float] = deque(maxlen=CRASH_LIMIT)
        self._pause = Backoff(0.5, 60)

    # -------------------------------------------------- for the main thread
    def start(self) -> None:
        """Starts the thread."""
        self.heartbeat.beat()
        self._thread = spawn(self.name, self._run)

    def stop(self) -> None:
        """Asks the worker to end; returns at once. Subclasses that wait on a mailbox close it here, and first:
        what is offered to an open box of a thread that has ended is never taken."""
        self._stop_event.set()

    def join(self, timeout: float) -> bool:
        """Waits for the end; says whether it came."""
        if self._thread is None:
            return True
        self._thread.join(max(0.0, timeout))
        return not self._thread.is_alive()

    # -------------------------------------------------- for anyone
    @property
    def alive(self) -> bool:
        """Its thread runs."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def thread_id(self) -> int | None:
        """The interpreter's id of the thread, for a stack dump."""
        return self._thread.ident if self._thread else None

    @property
    def stopping(self) -> bool:
        """It was told to stop."""
        return self._stop_event.is_set()

    @property
    def failed(self) -> bool:
        """It crashed too often of late."""
        full = len(self._crash_monos) == CRASH_LIMIT
        return full and self.clock.mono() - self._crash_monos[0] < CRASH_WINDOW_S

    # -------------------------------------------------- for subclasses
    def wait(self, seconds: float) -> bool:
        """Waits that long or until told to stop; True means stop."""
        return self._stop_event.wait(max(0.0, seconds))

    def setup(self) -> None:
        """Opens what the work needs."""

    def step(self) -> None:
        """One round of the work."""
        raise NotImplementedError

    def teardown(self) -> None:
        """Closes what ``setup`` opened; called even when that failed half way."""

    # -------------------------------------------------- the thread
    def _run(self) -> None:
        while not self.stopping:
            try:
                self._work()
            except Stopping:
                break
            except Exception:
                self._crashed()
        self._end()

    def _work(self) -> None:
        self.setup()
        while not self.stopping:
            self.step()
            self.heartbeat.beat()

    def _crashed(self) -> None:
        now_mono = self.clock.mono()
        if self._crash_monos and now_mono - self._crash_monos[-1] >= CRASH_WINDOW_S:
            self._pause.reset()
        self.crashes += 1
        self._crash_monos.append(now_mono)
        pause_s = self._pause.next_s()
        log.exception("%s crashed (%d so far); it starts again in %.1f s", self.name, self.crashes, pause_s)
        if self.failed:
            log.error("%s crashed %d times within %d s and counts as failed", self.name, CRASH_LIMIT, CRASH_WINDOW_S)
        self._end()
        deadline_mono = self.clock.mono() + pause_s
        while self.clock.mono() < deadline_mono and not self.wait(min(1.0, pause_s)):
            self.heartbeat.beat()  # a pause is not a stall

    def _end(self) -> None:
        try:
            self.teardown()
        except Exception:
            log.exception("%s could not close cleanly", self.name)
