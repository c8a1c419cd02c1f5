"""The thread that scans a bus."""
from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any

from mbusgw.mbus.sighting import Sighting
from mbusgw.model.errors import BusError, LinkError, MbusgwError, RequestError, Stopping
from mbusgw.runtime.clock import Clock
from mbusgw.runtime.mailbox import Mailbox
from mbusgw.runtime.worker import Worker
from mbusgw.wired.bus import Bus, thread_name
from mbusgw.wired.finds import Finds
from mbusgw.wired.survey import ScanProgress, ScanRequest, ScanResult, Survey
from mbusgw.wired.turns import Urgency

log = logging.getLogger(__name__)

#: A step may wait so long for its turn on a bus that has much to do.
STEP_PATIENCE_S = 300.0
#: A step that has begun ends within this time even at 300 baud and with every answer at its latest.
STEP_S = 60.0
#: How long a port may be away before a scan that has begun gives up for now, and how often it is tried.
AWAY_MAX_S = 300.0
AWAY_PAUSE_S = 2.0
#: So many steps in a row may find the line occupied.
OCCUPIED_MAX = 10
#: How often the place of a scan is stored: a crash costs no more of it.
KEEP_S = 30.0
LOOK_S = 20.0
NAP_S = 0.2

OnProgress = Callable[[ScanProgress], None]


class ScanFuture(Future[ScanResult]):
    """The end of one scan. Cancelling it ends the scan between two steps; its result is what was found until then."""

    def __init__(self) -> None:
        super().__init__()
        self.wish = threading.Event()

    def cancel(self) -> bool:
        self.wish.set()
        return not self.done()


@dataclass(slots=True)
class _Order:
    request: ScanRequest
    on_progress: OnProgress
    future: ScanFuture = field(default_factory=ScanFuture)


class Scanner(Worker):
    """Scans one bus when it is asked to, a step at a time, while its meters are read as usual.

    Each step is a job in the background. A port that goes away pauses the scan for some minutes, which its progress
    says; one that is away when the scan begins ends it at once. Where a scan is, is kept: after a cancellation, a
    failure or a restart it can be gone on with.
    ``submit``, ``cancel``, ``snapshot``, ``stop``: any thread. The rest: **own thread**
    """

    def __init__(self, bus: Bus, finds: Finds, *, clock: Clock) -> None:
        super().__init__(thread_name("scan:", bus.config.name), clock)
        self.bus = bus
        self._finds = finds
        self._orders: Mailbox[_Order] = Mailbox(1)
        self._lock = threading.Lock()
        self._order: _Order | None = None
        self._progress: ScanProgress | None = None
        self._kept_mono = 0.0
        self._begun = False  # the scan under way has spoken

    # -------------------------------------------------- any thread
    def submit(self, request: ScanRequest, on_progress: OnProgress) -> ScanFuture:
        """Begins a scan; ``on_progress`` is told each step in the scanner's thread, and must not block.

        Raises ``RequestError`` 409 where one runs, or where there is none to go on with.
        """
        order = _Order(request, on_progress)
        name = self.bus.config.name
        if request.resume and self._finds.place(name) is None:
            raise RequestError(409, "nothing_to_resume", f"bus {name} has no unfinished scan", field="resume")
        with self._lock:
            if self._order is not None:
                raise RequestError(409, "scan_runs", f"bus {name} is being scanned already")
            self._order = order
        if not self._orders.offer(order):
            with self._lock:
                self._order = None
            raise RequestError(503, "stopping", f"bus {name} is stopping", retry_after_s=10)
        return order.future

    def cancel(self) -> bool:
        """Ends the scan between two steps; says whether there was one."""
        order = self._order
        return order is not None and order.future.cancel()

    def snapshot(self) -> ScanProgress | None:
        """How far the scan is that runs; None if there is none."""
        return self._progress

    def stop(self) -> None:
        self._orders.close()
        super().stop()

    # -------------------------------------------------- worker
    def step(self) -> None:
        order = self._orders.take(LOOK_S)
        if order is None:
            return
        try:
            self._ended(order, self._scan(order))
        except MbusgwError as error:
            log.warning("bus %s: the scan has failed: %s", self.bus.config.name, error)
            self._ended(order, error)
        finally:
            if not order.future.done():
                name = self.bus.config.name
                self._ended(order, BusError(f"the scan of bus {name} was broken off; it can be gone on with"))

    def teardown(self) -> None:
        if self.stopping:
            for order in self._orders.drain(1):
                self._ended(order, BusError(f"bus {self.bus.config.name} is stopping"))

    def _ended(self, order: _Order, outcome: ScanResult | MbusgwError) -> None:
        with self._lock:  # first: whoever hears of the end may ask for the next scan at once
            self._order = self._progress = None
        if isinstance(outcome, ScanResult):
            order.future.set_result(outcome)
        else:
            order.future.set_exception(outcome)

    # -------------------------------------------------- one scan
    def _scan(self, order: _Order) -> ScanResult:
        """Raises ``MbusgwError`` where it cannot go on, ``Stopping``; its place is kept then."""
        name = self.bus.config.name
        survey = self._begin(order.request)
        self._finds.keep_place(name, survey.place())
        log.info("bus %s: a scan begins", name)
        try:
            while not survey.done and not order.future.wish.is_set():
                self._tell(order, survey)
                self._advance(order, survey)
        finally:
            self._finds.keep_place(name, None if survey.done else survey.place())
        self._tell(order, survey)
        if survey.done:
            self._forget_gone(survey)
        result = survey.result()
        end = "ends" if result.complete else "is cancelled"
        log.info("bus %s: the scan %s after %.0f s, %d found", name, end, result.elapsed_s, len(result.meters))
        return result

    def _begin(self, request: ScanRequest) -> Survey:
        config = self.bus.config
        self._kept_mono, self._begun = self.clock.mono(), False
        place: dict[str, Any] | None = self._finds.place(config.name) if request.resume else None
        if place is not None:
            return Survey.at(config.name, place, baudrate=config.baudrate, clock=self.clock)
        return Survey(config.name, request, baudrate=config.baudrate, clock=self.clock)

    def _tell(self, order: _Order, survey: Survey, waits: str | None = None) -> None:
        self._progress = progress = replace(survey.progress(), waits=waits)
        order.on_progress(progress)

    def _advance(self, order: _Order, survey: Survey) -> None:
        """One step, which is tried again while the port is away or the line occupied."""
        away_mono: float | None = None
        occupied = 0
        while not order.future.wish.is_set():
            try:
                came = self._on_bus(order, survey)
            except LinkError:
                occupied += 1
                if occupied >= OCCUPIED_MAX:
                    raise
            except BusError as error:
                away_mono = self.clock.mono() if away_mono is None else away_mono
                if not self._begun:
                    raise
                if self.clock.mono() - away_mono > AWAY_MAX_S:
                    raise BusError(f"{error}; the scan can be gone on with", hint=error.hint) from error
                self._tell(order, survey, waits=str(error))
                self._rest(order, AWAY_PAUSE_S)
            else:
                self._begun = True
                if came is not None:
                    self._note(survey, *came)
                return

    def _on_bus(self, order: _Order, survey: Survey) -> tuple[list[Sighting], float] | None:
        """A step in the thread of the bus; None if it was cancelled first. Raises ``MbusgwError``, ``Stopping``."""
        began_mono = self.clock.mono()
        future = self.bus.submit(
            survey.step, deadline_mono=began_mono + STEP_PATIENCE_S, urgency=Urgency.BACKGROUND
        )
        ended = threading.Event()
        future.add_done_callback(lambda _: ended.set())
        while not ended.wait(NAP_S):
            self.heartbeat.beat()
            if self.stopping or order.future.wish.is_set():
                future.cancel()  # unless it has begun: what it brings is not to be lost
            if self.clock.mono() - began_mono > STEP_PATIENCE_S + STEP_S:
                future.cancel()
                raise BusError(f"bus {self.bus.config.name} gave no result in time")
        if future.cancelled():
            if self.stopping:
                raise Stopping
            return None
        return future.result(), self.clock.mono() - began_mono

    def _rest(self, order: _Order, seconds: float) -> None:
        until_mono = self.clock.mono() + seconds
        while self.clock.mono() < until_mono and not order.future.wish.is_set():
            if self.wait(NAP_S):
                raise Stopping
            self.heartbeat.beat()

    def _note(self, survey: Survey, sightings: list[Sighting], seconds: float) -> None:
        changed, gone = survey.note(sightings, seconds)
        for meter in changed:
            log.info("bus %s: found %s (%s)", meter.bus, meter.device_id, meter.note or _where(meter.primary))
            self._finds.add(meter)
        for key in gone:
            self._finds.drop(key)
        if not survey.done and self.clock.mono() - self._kept_mono > KEEP_S:
            self._kept_mono = self.clock.mono()
            self._finds.keep_place(self.bus.config.name, survey.place())

    def _forget_gone(self, survey: Survey) -> None:
        """What an earlier scan found and this one did not is forgotten, if it looked everywhere."""
        if not survey.is_whole:
            return
        for meter in self._finds.all():
            if meter.bus == survey.bus and meter.key not in survey.meters and survey.covers(meter):
                self._finds.drop(meter.key)


def _where(primary: int | None) -> str:
    return "no primary address known" if primary is None else f"primary address {primary}"
