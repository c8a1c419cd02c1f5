"""All open connections: reads requests from them, hands them over, ends what takes too long."""
from __future__ import annotations

import selectors
import socket
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mbusgw.model.errors import RequestError
from mbusgw.runtime.clock import Clock
from mbusgw.web.connection import Connection
from mbusgw.web.framing import Limits
from mbusgw.web.message import Request, error_response, render
from mbusgw.web.tls import Stream

_READ_BYTES = 64 * 1024
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
BUSY = RequestError(503, "busy", "too many requests wait", retry_after_s=1)
_STOPPING = RequestError(503, "stopping", "mbusgw is stopping", retry_after_s=10)


@dataclass(frozen=True, slots=True)
class Timing:
    """How long a client may take, in seconds. **immutable**

    ``request_s``: from the first byte of a request to its last. ``idle_s``: without a request.
    ``output_s``: to fetch an answer. ``linger_s``: to close after we did. ``queue_s``: how long a
    request may wait for a handler. ``drain_s``: what a stop grants the requests in hand.
    """

    request_s: float = 5.0
    idle_s: float = 75.0
    output_s: float = 30.0
    linger_s: float = 2.0
    queue_s: float = 5.0
    drain_s: float = 3.0

    @property
    def sweep_s(self) -> float:
        """How often the connections are looked through."""
        return min(1.0, self.request_s / 4)


@dataclass(frozen=True, slots=True)
class Job:
    """A complete request and where its answer goes. **immutable**"""

    connection: Connection
    request: Request
    ready_mono: float


class Conversations:
    """Every open connection and the selector they wait in.

    Each connection has at most one request in the queues; ``hand_over`` gives back what has no room there. After
    an answer it is the handler itself that looks whether the next request has come already (pipelining), so that no
    thread is woken for it.
    ``answered``, ``abandoned``, ``hand_back``: a handler; ``wake``: **any thread**; the rest: **own thread** (``http``)
    """

    def __init__(
        self, hand_over: Callable[[Sequence[Job]], Sequence[Job]], clock: Clock, *, timing: Timing, limits: Limits
    ) -> None:
        self.stopping = False
        self._closed = False
        self._queue = hand_over
        self._clock = clock
        self._timing = timing
        self._limits = limits
        self._open: set[Connection] = set()
        self._returned: deque[Connection] = deque()
        self._buffer = memoryview(bytearray(_READ_BYTES))
        self._selector = selectors.DefaultSelector()
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)
        self._selector.register(self._wake_in, selectors.EVENT_READ)

    def __len__(self) -> int:
        return len(self._open)

    # -------------------------------------------------- for others
    def answered(self, connection: Connection) -> None:
        """The answer is sent: on to the connection's next request, if it is there already."""
        now_mono = self._clock.mono()
        following: Request | RequestError | None = None
        with connection.lock:
            if connection.close_after or connection.broken or connection.gone:
                connection.release()
            else:
                following = connection.next_request(now_mono)
        if following is not None:
            self._hand_over(self._jobs(connection, following, now_mono))
        elif connection.muted or connection.broken or self.stopping:
            self.hand_back(connection)

    def abandoned(self, connection: Connection) -> None:
        """A handler failed over a request: its client must not wait for ever."""
        with connection.lock:
            connection.broken = True
            connection.release()
        self.hand_back(connection)

    def hand_back(self, connection: Connection) -> None:
        """Something is to be done that only ``http`` may do: send the rest, read again, close."""
        self._returned.append(connection)
        self.wake()

    def wake(self) -> None:
        """Lets ``http`` have a look."""
        if self._closed:
            return
        try:
            self._wake_out.send(b"\0")
        except BlockingIOError:
            pass  # it is full of wake-ups already

    # -------------------------------------------------- for the thread http
    def watch(self, door: socket.socket) -> None:
        """Waits for clients at the listening socket too."""
        self._selector.register(door, selectors.EVENT_READ)

    def unwatch(self, door: socket.socket) -> None:
        """Lets clients wait outside."""
        self._selector.unregister(door)

    def add(self, client: Stream, peer: str) -> Connection:
        """A new client."""
        connection = Connection(client, peer, self._limits, self._clock.mono())
        self._open.add(connection)
        self._selector.register(client, selectors.EVENT_READ, connection)
        return connection

    def refuse(self, connection: Connection, error: RequestError) -> None:
        """Answers without asking a handler, and ends the conversation."""
        data = render(error_response(error), epoch_s=int(self._clock.now().timestamp()), keep_alive=False)
        if connection.send(data, close=True, now_mono=self._clock.mono()):
            with connection.lock:
                connection.release()
        else:
            self.hand_back(connection)

    def evict(self) -> bool:
        """Makes room by closing the connection that has been silent longest; False when none is."""
        idle = [one for one in self._open if not one.busy and one.began_mono is None and not one.output]
        if not idle:
            return False
        self._close(min(idle, key=lambda one: one.idle_mono))
        return True

    def serve(self, timeout_s: float) -> bool:
        """Does what is to be done, waiting up to ``timeout_s`` for it; True when somebody is at the door.

        All requests that have come meanwhile are handed over at once: a handler that is woken by the first of them
        would only be in the way of the reading.
        """
        at_door = False
        jobs: list[Job] = []
        for key, events in self._selector.select(timeout_s):
            if key.data is not None:
                if events & selectors.EVENT_WRITE:
                    self._write(key.data)
                else:
                    jobs += self._read(key.data)
            elif key.fileobj is self._wake_in:
                self._wake_in.recv(4096)
            else:
                at_door = True
        self._hand_over(jobs)
        while self._returned:
            self._take_back(self._returned.popleft())
        return at_door

    def sweep(self) -> None:
        """Ends what takes too long."""
        now_mono = self._clock.mono()
        for connection in list(self._open):
            self._look_at(connection, now_mono)

    def in_hand(self) -> bool:
        """Requests are being answered."""
        return any(one.busy or one.output for one in self._open)

    def close_all(self) -> None:
        """Ends every conversation."""
        for connection in list(self._open):
            self._close(connection)

    def close(self) -> None:
        """Lets go of the selector; after everybody else has ended."""
        self._closed = True
        self._selector.close()
        self._wake_in.close()
        self._wake_out.close()

    # -------------------------------------------------- reading
    def _read(self, connection: Connection) -> Sequence[Job]:
        try:
            count = connection.sock.recv_into(self._buffer)
        except BlockingIOError:
            return ()
        except OSError:  # reset by the client
            connection.broken = True
            count = 0
        if count == 0:
            self._read_end(connection)
        elif connection.linger_mono is None:  # after our end of the conversation nothing counts
            return self._received(connection, self._buffer[:count])
        return ()

    def _read_end(self, connection: Connection) -> None:
        """The client has shut its side; it may still wait for the answer to what it sent."""
        connection.ended = True
        with connection.lock:
            busy = connection.busy
            self._mute(connection)
        if not busy:
            self._close(connection)

    def _received(self, connection: Connection, data: memoryview) -> Sequence[Job]:
        now_mono = self._clock.mono()
        with connection.lock:
            connection.framing.feed(data)
            if connection.busy:
                if connection.framing.waiting_bytes > self._limits.body_bytes:
                    self._mute(connection)
                return ()
            connection.idle_mono = now_mono
            following = connection.next_request(now_mono)
        if following is not None:
            return self._jobs(connection, following, now_mono)
        if connection.framing.wants_continue and not connection.continued:
            connection.continued = connection.send(_CONTINUE, close=False, now_mono=now_mono)
        return ()

    def _jobs(self, connection: Connection, request: Request | RequestError, now_mono: float) -> Sequence[Job]:
        """What a handler is to do about ``request``: nothing, when it is refused here."""
        if isinstance(request, RequestError):
            self.refuse(connection, request)
        elif self.stopping:
            self.refuse(connection, _STOPPING)
        else:
            return (Job(connection, request, now_mono),)
        return ()

    def _hand_over(self, jobs: Sequence[Job]) -> None:
        for job in self._queue(jobs):
            self.refuse(job.connection, BUSY)

    def _mute(self, connection: Connection) -> None:
        if not connection.muted:
            connection.muted = True
            self._selector.unregister(connection.sock)

    # -------------------------------------------------- writing what a handler could not
    def _take_back(self, connection: Connection) -> None:
        if connection not in self._open:
            return
        if connection.output:
            with connection.lock:
                self._mute(connection)
            self._selector.register(connection.sock, selectors.EVENT_WRITE, connection)
        elif (connection.ended or connection.broken) and not connection.busy:
            self._close(connection)
        else:
            self._read_again(connection)

    def _write(self, connection: Connection) -> None:
        if connection.send(connection.output, close=False, now_mono=self._clock.mono()):
            self._selector.unregister(connection.sock)
            self._read_again(connection)
            self.answered(connection)

    def _read_again(self, connection: Connection) -> None:
        with connection.lock:
            if connection.muted and not connection.ended:
                connection.muted = False
                self._selector.register(connection.sock, selectors.EVENT_READ, connection)

    # -------------------------------------------------- ends
    def _look_at(self, connection: Connection, now_mono: float) -> None:
        timing = self._timing
        if (connection.broken or connection.ended) and not connection.busy:
            self._close(connection)
        elif connection.output_mono is not None:
            if now_mono - connection.output_mono > timing.output_s:
                self._close(connection)
        elif connection.linger_mono is not None:
            if now_mono - connection.linger_mono > timing.linger_s:
                self._close(connection)
        elif connection.busy:
            return
        elif connection.began_mono is not None:
            if now_mono - connection.began_mono > timing.request_s:
                limit = f"the request was not complete within {timing.request_s:g} s"
                self.refuse(connection, RequestError(408, "request_timeout", limit))
        elif now_mono - connection.idle_mono > timing.idle_s:
            self._close(connection)

    def _close(self, connection: Connection) -> None:
        self._open.discard(connection)
        try:
            self._selector.unregister(connection.sock)
        except (KeyError, ValueError):
            pass  # muted, or closed already
        connection.drop()
