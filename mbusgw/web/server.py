"""The HTTP server: one thread that reads, a few that answer.

``http.server`` in shape (a listener, a request, a handler that answers it), built for keep-alive.
The thread ``http`` waits on all sockets at once and collects requests; only a complete one goes to the
pool ``http_1`` … ``http_<n>``. So a silent or slow client costs a file descriptor, never a handler, and an
answer that the client does not fetch is finished by ``http`` too: a handler waits for nothing but what
the route itself waits for (the store's commit). Connections are bounded; each has at most one
request in the queues, which bounds those as well.

The requests of one kind (the telegrams) may be answered together: one handler is set apart for them, and takes all
that wait. While it waits for the disk the next group gathers, so that the groups grow with the load, and no slow
route ever stands in the way of a telegram. A second one would halve the groups, and the two would fight for the
interpreter: at few connections a telegram then costs a third more.
"""
from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from mbusgw.model.errors import RequestError
from mbusgw.runtime.clock import Clock
from mbusgw.runtime.mailbox import Mailbox
from mbusgw.runtime.worker import Worker
from mbusgw.web.acceptor import Acceptor
from mbusgw.web.conversations import BUSY, Conversations, Job, Timing
from mbusgw.web.framing import Limits
from mbusgw.web.listener import Listener
from mbusgw.web.message import Request, Response, error_response, render
from mbusgw.web.tls import Certificate

log = logging.getLogger(__name__)

#: How many requests are answered together at most.
GROUP = 256

#: Answers a request. It raises nothing on purpose: the router turns errors into answers.
Answer = Callable[[Request], Response]
AnswerMany = Callable[[Sequence[Request]], Sequence[Response]]
Jobs = Mailbox[Job]


class Together(Protocol):
    """Answers several requests at once where that is cheaper than one by one. **any thread**"""

    def takes(self, request: Request) -> bool:
        """Is this one of those requests?"""

    def answer_together(self, requests: Sequence[Request]) -> Sequence[Response]:
        """One response each, in order."""


class HttpServer:
    """Serves ``answer`` on ``host:port``; port 0 takes a free one.

    With a ``certificate`` it speaks HTTPS only. ``together`` answers the requests that it takes in groups.
    ``workers`` counts all handlers; at least one is left for the others. ``start``, ``stop``, ``join``: the main
    thread. ``start`` raises ``MbusgwError`` when the port or the certificate cannot be had. ``stop`` shuts the door:
    nobody new, requests in hand are finished, new ones on open connections get 503. Properties: **any thread**
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
        certificate: Certificate | None = None,
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
        self._certificate = certificate
        # Twice the places: the requests of clients that have gone wait too, until a handler finds that out.
        self._single: Jobs = Mailbox(2 * max_connections)
        self._grouped: Jobs = Mailbox(2 * max_connections)
        self._conversations: Conversations | None = None
        self._acceptor: Acceptor | None = None
        self._handlers: tuple[Handler, ...] = ()

    # -------------------------------------------------- for the main thread
    def start(self) -> None:
        """Takes the port and starts the threads."""
        if self._certificate is not None:
            self._certificate.load()
        listener = Listener(self._host, self._port, self._certificate)
        self._port = listener.server_port
        conversations = Conversations(self._queue, self._clock, timing=self._timing, limits=self._limits)
        self._conversations = conversations
        self._acceptor = Acceptor(
            listener, conversations, self._clock, timing=self._timing, max_connections=self._max_connections
        )
        self._handlers = tuple(self._pool(conversations))
        for worker in self.workers:
            worker.start()
        place = f"[{self._host}]" if ":" in self._host else self._host
        log.info("%s listens on %s:%d", "HTTP" if self._certificate is None else "HTTPS", place, self._port)

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
        for handler in self._handlers:
            done = handler.join(deadline_mono - self._clock.mono()) and done
        if done:
            self._conversations.close()
        return done

    # -------------------------------------------------- for anyone
    @property
    def name(self) -> str:
        """What it is called among the other parts."""
        return "http"

    @property
    def thread_id(self) -> int | None:
        """One of its threads that still runs, handlers first: the one to look at when a stop takes too long."""
        return next((worker.thread_id for worker in reversed(self.workers) if worker.alive), None)

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
        return len(self._single) + len(self._grouped)

    # -------------------------------------------------- the pool
    def _queue(self, jobs: Sequence[Job]) -> Sequence[Job]:
        """Hands ``jobs`` to the handlers; those for which there is no room come back."""
        together: list[Job] = []
        refused: list[Job] = []
        for job in jobs:
            if self._together is not None and self._together.takes(job.request):
                together.append(job)
            elif not self._single.offer(job):
                refused.append(job)
        if together and not self._grouped.offer_all(together):
            refused += together
        return refused

    def _pool(self, conversations: Conversations) -> list[Handler]:
        single = max(1, self._pool_size - (self._together is not None))

        def handler(number: int, jobs: Jobs, answer: AnswerMany, group: int) -> Handler:
            return Handler(
                number, jobs, conversations, answer, group=group, clock=self._clock, timing=self._timing
            )

        singles = [handler(number + 1, self._single, lambda one: [self._answer(one[0])], 1) for number in range(single)]
        if self._together is None:
            return singles
        return [*singles, handler(single + 1, self._grouped, self._together.answer_together, GROUP)]


class Handler(Worker):
    """Answers what waits in its queue, up to ``group`` requests at once. **own thread**"""

    def __init__(
        self,
        number: int,
        jobs: Jobs,
        conversations: Conversations,
        answer: AnswerMany,
        *,
        group: int,
        clock: Clock,
        timing: Timing,
    ) -> None:
        super().__init__(f"http_{number}", clock)
        self._jobs = jobs
        self._conversations = conversations
        self._answer = answer
        self._group = group
        self._timing = timing

    def stop(self) -> None:
        super().stop()
        self._jobs.close()

    def step(self) -> None:
        """Takes what waits, answers it."""
        first = self._jobs.take(10)
        if first is None:
            return
        jobs = [first, *self._jobs.drain(self._group - 1)]
        served = 0
        try:
            responses = self._responses(jobs)
            epoch_s = int(self.clock.now().timestamp())
            for job, response in zip(jobs, responses):
                self._send(job, response, epoch_s)
                served += 1
        finally:
            for job in jobs[served:]:
                self._conversations.abandoned(job.connection)

    def _responses(self, jobs: Sequence[Job]) -> Sequence[Response]:
        waited_s = self.clock.mono() - jobs[0].ready_mono
        if waited_s > self._timing.queue_s:  # the sender has given up by now; spare the work
            return [error_response(BUSY)] * len(jobs)
        requests = [job.request for job in jobs]
        try:
            return self._answer(requests)
        except Exception:  # the top of this thread: no request may end it
            log.exception("%s %.200r failed", requests[0].method, requests[0].path)
            failed = error_response(RequestError(500, "internal_error", "mbusgw failed here; its log says why"))
            return [failed] * len(jobs)

    def _send(self, job: Job, response: Response, epoch_s: int) -> None:
        keep_alive = job.request.keep_alive and not self._conversations.stopping
        data = render(
            response,
            epoch_s=epoch_s,
            keep_alive=keep_alive,
            head_only=job.request.method == "HEAD",
        )
        if job.connection.send(data, close=not keep_alive, now_mono=self.clock.mono()):
            self._conversations.answered(job.connection)
        else:
            self._conversations.hand_back(job.connection)
