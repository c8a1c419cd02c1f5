"""The thread that owns a port."""
from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol, TypeVar

from mbusgw.config.models import BusConfig
from mbusgw.mbus.link import Ways
from mbusgw.mbus.meaning import meaning
from mbusgw.mbus.session import Session
from mbusgw.mbus.tally import Tallies
from mbusgw.mbus.wire import Line
from mbusgw.model.errors import BusError, MbusgwError, Stopping, TransportLost, TransportOpenFailed
from mbusgw.runtime.backoff import Backoff
from mbusgw.runtime.clock import Clock
from mbusgw.runtime.condition import Condition
from mbusgw.runtime.logs import TRAFFIC
from mbusgw.runtime.worker import NAME_LENGTH, Worker
from mbusgw.transports.adapter import Adapter
from mbusgw.transports.enumerate import ListUsbPorts, usb_ports
from mbusgw.transports.serialport import open_port as open_serial_port
from mbusgw.wired.load import Load, LoadState
from mbusgw.wired.turns import Job, Turns, Urgency

log = logging.getLogger(__name__)
traffic = logging.getLogger(TRAFFIC)

T = TypeVar("T")

#: Pauses between tries to open: a port that comes back is used again within five seconds.
REOPEN_FIRST_S = 1.0
REOPEN_MAX_S = 4.0
#: How often an idle port is looked at, so that an unplugged one is noticed: with the first pause before opening
#: again it stays below five seconds even for an adapter that is back at once under another name.
LOOK_S = 3.0


class Port(Line, Protocol):
    """An open port: what it was opened as, and what there is to be said against it."""

    url: str
    warning: str

    def close(self) -> None:
        """Gives it back; never raises."""


class OpenPort(Protocol):
    """Opens a port. Raises ``TransportOpenFailed`` or ``BusLocked``."""

    def __call__(self, url: str, *, baudrate: int, parity: str) -> Port: ...


@dataclass(frozen=True, slots=True)
class BusState:
    """How a bus is, for ``GET /state``. **immutable**

    ``port``: as configured; ``port_in_use``: the one that is open, which may be another after its adapter was
    plugged in anew. ``requests``: jobs spoken; ``errors``: those of them that failed; ``refused``: jobs unspoken.
    ``load``: what its meters ask of it.
    """

    name: str
    port: str
    port_in_use: str | None
    connected: bool
    requests: int
    errors: int
    refused: int
    waiting: int
    last_error: str | None
    load: LoadState


class Bus(Worker):
    """The only talker on one M-Bus segment.

    Jobs wait in the order that ``Turns`` gives them; one whose deadline has passed is refused unspoken,
    because an old question only delays the new ones. While the port is away jobs are
    refused at once, and the port is tried again every few seconds, under whatever name its adapter has.
    ``tallies`` count what happens on the line, over all openings of the port; ``load`` what is asked of the bus.
    ``submit``, ``snapshot``, ``stop``: any thread. The rest: **own thread**
    """

    def __init__(
        self,
        config: BusConfig,
        *,
        clock: Clock,
        open_port: OpenPort = open_serial_port,
        list_usb_ports: ListUsbPorts = usb_ports,
    ) -> None:
        super().__init__(thread_name("bus:", config.name), clock)
        self.config = config
        self._open_port = open_port
        self._adapter = Adapter(config.port, ports=list_usb_ports)
        self.tallies = Tallies()
        self.load = Load(config.name)
        self._ways: Ways = {}
        self._jobs = Turns(clock)
        self._port: Port | None = None
        self._session: Session | None = None
        self._trouble: BusError = TransportOpenFailed(f"{config.port} is not open yet")
        self._condition = Condition(log, f"bus {config.name}", clock)
        self._reopen = Backoff(REOPEN_FIRST_S, REOPEN_MAX_S)
        self._reopen_mono = 0.0
        self._requests = self._errors = self._refused = 0
        self._last_error: str | None = None
        self._warning = ""

    # -------------------------------------------------- any thread
    def submit(
        self, run: Callable[[Session], T], *, deadline_mono: float, urgency: Urgency = Urgency.ROUTINE
    ) -> Future[T]:
        """``run`` will be called in the bus thread with the open session; its result is the future's.

        The future fails with a ``BusError``: from the exchange, or because the port is away,
        the deadline passed, or too many jobs wait. Never blocks.
        """
        future = self._jobs.offer(run, deadline_mono, urgency)
        if future is None:
            why = "is stopping" if self._jobs.closed else "has too much to do"
            future = Future()
            future.set_exception(BusError(f"bus {self.config.name} {why}"))
        return future

    def snapshot(self) -> BusState:
        """How the bus is now."""
        port = self._port  # once: it may go away meanwhile
        return BusState(
            self.config.name,
            self.config.port,
            port.url if port is not None else None,
            self._session is not None,
            self._requests,
            self._errors,
            self._refused,
            len(self._jobs),
            self._last_error,
            self.load.snapshot(),
        )

    def stop(self) -> None:
        self._jobs.close()  # first: a job that nobody will take must be refused
        super().stop()

    # -------------------------------------------------- worker
    def step(self) -> None:
        if self._session is None and self.clock.mono() >= self._reopen_mono:
            self._open()
        job = self._jobs.take(self._patience_s())
        if job is not None:
            self._serve(job)
        elif self._session is not None:
            self._look(self._session)

    def teardown(self) -> None:
        self._close()
        if self.stopping:
            for job in self._jobs.drain():
                if job.future.set_running_or_notify_cancel():
                    job.future.set_exception(BusError(f"bus {self.config.name} is stopping"))

    def _patience_s(self) -> float:
        if self._session is not None:
            return LOOK_S
        return min(LOOK_S, max(0.0, self._reopen_mono - self.clock.mono()))

    # -------------------------------------------------- jobs
    def _serve(self, job: Job) -> None:
        if not job.future.set_running_or_notify_cancel():
            return
        if self.clock.mono() > job.deadline_mono:
            self._refused += 1
            job.future.set_exception(BusError(f"bus {self.config.name} did not get to it in time"))
        elif self._session is None:
            self._refused += 1
            job.future.set_exception(_again(self._trouble))
        else:
            self._talk(job, self._session)

    def _talk(self, job: Job, session: Session) -> None:
        self._requests += 1
        try:
            job.future.set_result(job.run(session))
        except MbusgwError as error:
            self._errors += 1
            self._last_error = str(error)
            if isinstance(error, TransportLost):
                self._lost(error)
            job.future.set_exception(error)
        finally:  # a mistake in the job is logged by the worker; whoever waits must not wait for ever
            if not job.future.done():
                job.future.set_exception(BusError(f"bus {self.config.name} could not finish"))

    # -------------------------------------------------- the port
    def _open(self) -> None:
        config = self.config
        try:
            name = self._adapter.find(self.clock.mono())
            self._port = self._open_port(name, baudrate=config.baudrate, parity=config.parity)
            self._adapter.opened(name)
        except BusError as error:
            self._close()
            self._failed(error)
            return
        self._session = Session(
            self._port,
            baudrate=config.baudrate,
            mono=self.clock.mono,
            serial_timeout_s=config.serial_timeout,
            latency_s=config.latency_ms / 1000,
            echo=config.echo,
            trace=self._trace,
            tallies=self.tallies,
            ways=self._ways,
        )
        self._reopen.reset()
        self._tell(self._port)

    def _tell(self, port: Port) -> None:
        config = self.config
        if port.url != config.port:
            log.info("bus %s: %s is now %s (%s)", config.name, config.port, port.url, self._adapter.known)
        if self._condition.failures:
            self._condition.cleared(f"{port.url} is open again")
        else:
            log.info("bus %s: %s is open at %d baud", config.name, port.url, config.baudrate)
        if port.warning and port.warning != self._warning:
            log.warning("bus %s: %s (it is opened exclusively all the same)", config.name, port.warning)
        self._warning = port.warning

    def _look(self, session: Session) -> None:
        """Nothing to do: throws away what nobody asked for, and notices a port that has gone."""
        try:
            session.look()
        except TransportLost as error:
            self._lost(error)

    def _lost(self, error: TransportLost) -> None:
        self._close()
        self._failed(error)

    def _failed(self, error: BusError) -> None:
        self._trouble = error
        self._last_error = str(error)
        self._condition.failed(error)
        self._reopen_mono = self.clock.mono() + self._reopen.next_s()

    def _close(self) -> None:
        port, self._port, self._session = self._port, None, None
        if port is not None:
            port.close()

    def _trace(self, direction: str, data: bytes) -> None:
        if self.stopping and direction == "tx":
            raise Stopping  # between two exchanges of a long job
        self.heartbeat.beat()
        if traffic.isEnabledFor(logging.DEBUG):
            way = ">" if direction == "tx" else "<"
            traffic.debug("%s %s %s  %s", self.config.name, way, data.hex(" "), meaning(data))


def thread_name(prefix: str, name: str) -> str:
    """``prefix`` and ``name`` in at most 15 characters; of a long name the ends stay, since siblings differ there."""
    room = NAME_LENGTH - len(prefix)
    if len(name) <= room:
        return prefix + name
    tail = room * 2 // 3
    return f"{prefix}{name[:room - tail - 1]}~{name[-tail:]}"


def _again(error: BusError) -> BusError:
    """The same error as an object of its own: one exception must not be raised in several threads."""
    return type(error)(str(error), hint=error.hint)
