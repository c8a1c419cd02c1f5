"""The thread ``http``: lets clients in and keeps all conversations going."""
from __future__ import annotations

import errno
import logging

from mbusgw.model.errors import RequestError
from mbusgw.runtime.clock import Clock
from mbusgw.runtime.condition import Condition
from mbusgw.runtime.worker import Worker
from mbusgw.web.conversations import Conversations, Timing
from mbusgw.web.listener import Listener

log = logging.getLogger(__name__)

_FULL = RequestError(503, "too_many_connections", "too many clients are connected", retry_after_s=5)


class Acceptor(Worker):
    """The only thread that reads from clients, lets them in and closes. ``stop``: main; the rest: **own thread**

    When all places are taken, the longest silent client makes room; when none is silent, the new one gets 503.
    A crash ends all conversations; the listening socket stays, so that clients only have to come again.
    """

    def __init__(
        self,
        listener: Listener,
        conversations: Conversations,
        clock: Clock,
        *,
        timing: Timing,
        max_connections: int,
    ) -> None:
        super().__init__("http", clock)
        self._listener = listener
        self._conversations = conversations
        self._timing = timing
        self._max_connections = max_connections
        self._accepting = False
        self._condition = Condition(log, f"HTTP, all {max_connections} places taken", clock)
        self._next_sweep_mono = 0.0

    def stop(self) -> None:
        super().stop()
        self._conversations.stopping = True
        self._conversations.wake()

    def setup(self) -> None:
        self._open_door()

    def step(self) -> None:
        """One round: who is at the door, who said something, who took too long."""
        quiet = not len(self._conversations) and self._accepting
        if self._conversations.serve(10.0 if quiet else self._timing.sweep_s):
            self._let_in()
        now_mono = self.clock.mono()
        if now_mono >= self._next_sweep_mono:
            self._next_sweep_mono = now_mono + self._timing.sweep_s
            self._conversations.sweep()
            if not self.stopping:
                self._open_door()

    def teardown(self) -> None:
        self._shut_door()
        if self.stopping:
            self._listener.server_close()
            self._drain()
        self._conversations.close_all()

    def _drain(self) -> None:
        """Finishes what is in hand; whoever asks anew meanwhile is told that we stop."""
        deadline_mono = self.clock.mono() + self._timing.drain_s
        while self._conversations.in_hand() and (left_s := deadline_mono - self.clock.mono()) > 0:
            self._conversations.serve(min(left_s, self._timing.sweep_s))
            self._conversations.sweep()
            self.heartbeat.beat()

    # -------------------------------------------------- the door
    def _let_in(self) -> None:
        for _ in range(64):
            try:
                accepted = self._listener.accept()
            except OSError as error:
                self._no_entry(error)
                return
            if accepted is None:
                return
            room = len(self._conversations) < self._max_connections or self._conversations.evict()
            connection = self._conversations.add(*accepted)
            if room:
                self._condition.cleared("there is room again")
            else:
                self._condition.failed(_FULL)
                self._conversations.refuse(connection, _FULL)

    def _no_entry(self, error: OSError) -> None:
        if error.errno not in (errno.EMFILE, errno.ENFILE):
            log.warning("a client could not be let in: %s", error)
        elif not self._conversations.evict():
            log.warning("no file is free for another client; they wait outside")
            self._shut_door()  # or the selector would report them for ever; the next sweep opens it again

    def _open_door(self) -> None:
        if not self._accepting:
            self._conversations.watch(self._listener.socket)
            self._accepting = True

    def _shut_door(self) -> None:
        if self._accepting:
            self._conversations.unwatch(self._listener.socket)
            self._accepting = False
