"""The HTTP server: one thread that reads, a few that answer.

``http.server`` in shape (a listener, a request, a handler that answers it), built for keep-alive.
The thread ``http`` waits on all sockets at once and collects requests; only a complete one goes to the
pool ``http_1`` … ``http_<n>``. So a silent or slow client costs a file descriptor, never a handler, and an
answer that the client does not fetch is finished by ``http`` too: a handler waits for nothing but what
the route itself waits for (the store's commit). Connections are bounded; each has at most one
request in the queue, which bounds that as well.
"""
from __future__ import annotations

import logging
import queue

from mbusgw.runtime.clock import Clock
from mbusgw.runtime.worker import Worker
from mbusgw.web.acceptor import Acceptor
from mbusgw.web.conversations import Conversations, Job, Timing
from mbusgw.web.framing import Limits
from mbusgw.web.handler import Answer, Handler, Together
from mbusgw.web.listener import Listener

log = logging.getLogger(__name__)


class HttpServer:
    """Serves ``answer`` on ``host:port``; port 0 takes a free one.

    ``start``, ``stop``, ``join``: the main thread. ``start`` raises ``MbusgwError`` when the port cannot be had.
    ``stop`` shuts the door: nobody new, requests in hand are finished, new ones on open
    connections get 503. Properties: **any thread**
    """

    def __init__(
        self,
        host: str,
        port: int,
        answer: Answer,
        *,
        clock: Clock,
        together: Together | None = None,
        workers: int = 16,
        timing: Timing = Timing(),
        limits: Limits = Limits(),
        max_connections: int = 800,
    ) -> None:
        self._host = host
        self._port = port
        self._answer = answer
        self._together = together
        self._clock = clock
        self._pool_size = workers
        self._timing = timing
        self._limits = limits
        self._max_connections = max_connections
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._conversations: Conversations | None = None
        self._acceptor: Acceptor | None = None
        self._handlers: tuple[Handler, ...] = ()

    # -------------------------------------------------- for the main thread
    def start(self) -> None:
        """Takes the port and starts the threads."""
        listener = Listener(self._host, self._port)
        self._port = listener.server_port
        clock, timing = self._clock, self._timing
        conversations = Conversations(self._jobs, clock, timing=timing, limits=self._limits)
        self._conversations = conversations
        self._acceptor = Acceptor(
            listener, conversations, clock, timing=timing, max_connections=self._max_connections
        )
        self._handlers = tuple(
            Handler(number, self._jobs, conversations, self._answer, self._together, clock=clock, timing=timing)
            for number in range(1, self._pool_size + 1)
        )
        for worker in self.workers:
            worker.start()
        log.info("HTTP listens on %s:%d", f"[{self._host}]" if ":" in self._host else self._host, self._port)

    def stop(self) -> None:
        """Shuts the door; returns at once."""
        if self._acceptor is not None:
            self._acceptor.stop()

    def join(self, timeout: float) -> bool:
        """Waits until the last answer is sent; says whether that was within ``timeout`` seconds."""
        if self._acceptor is None or self._conversations is None:
            return True
        deadline_mono = self._clock.mono() + timeout
        done = self._acceptor.join(timeout)
        for handler in self._handlers:
            handler.stop()
            self._jobs.put(None)
        for handler in self._handlers:
            done = handler.join(deadline_mono - self._clock.mono()) and done
        if done:
            self._conversations.close()
        return done

    # -------------------------------------------------- for anyone
    @property
    def name(self) -> str:
        """How its thread is called."""
        return "http"

    @property
    def thread_id(self) -> int | None:
        """The thread that waits on the sockets."""
        return self._acceptor.thread_id if self._acceptor is not None else None

    @property
    def port(self) -> int:
        """The port that is listened on; the free one that was found, once started."""
        return self._port

    @property
    def workers(self) -> tuple[Worker, ...]:
        """Its threads, for whoever watches over them; once started."""
        return (self._acceptor, *self._handlers) if self._acceptor else ()

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._conversations) if self._conversations else 0

    @property
    def waiting(self) -> int:
        """How many complete requests wait for a handler."""
        return self._jobs.qsize()


