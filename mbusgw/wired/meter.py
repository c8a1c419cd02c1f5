"""The thread of one wired meter."""
from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from math import inf
from typing import Any

from mbusgw.config.models import DeviceConfig
from mbusgw.mbus.answer import Answer
from mbusgw.mbus.session import Session
from mbusgw.model.address import SecondaryAddress
from mbusgw.model.errors import BusError, DecodeError, LinkError, MbusgwError, NoAnswer
from mbusgw.model.ports import Delivery
from mbusgw.model.settings import MeterSettings
from mbusgw.runtime.backoff import Backoff
from mbusgw.runtime.breaker import BreakerState, CircuitBreaker
from mbusgw.runtime.clock import Clock
from mbusgw.runtime.condition import Condition
from mbusgw.runtime.mailbox import Mailbox
from mbusgw.runtime.metrics import Metrics
from mbusgw.runtime.worker import Worker
from mbusgw.wired.bus import Bus, thread_name
from mbusgw.wired.calendar import Calendar
from mbusgw.wired.handover import Handover
from mbusgw.wired.opinion import differences
from mbusgw.wired.readout import Readout, build_reading
from mbusgw.wired.schedule import Schedule
from mbusgw.wired.speed import MeterSpeed
from mbusgw.wired.turns import Urgency

log = logging.getLogger(__name__)

OnFailure = Callable[[str, MbusgwError], None]
OnRead = Callable[[float], None]
OnBreaker = Callable[[str], None]

#: A job may wait for its turn this long, however short the interval. A line of meters that is longer than
#: that at 300 baud does not occur; and were they refused, those at its end would never be read.
PATIENCE_S = 4 * 3600.0
#: A readout that has begun ends within this time even at 300 baud.
READOUT_S = 120.0
#: How soon a meter asks again whether its port is back: unspoken, so it costs the bus nothing.
PORT_AWAY_S = 2.0
#: Pauses after failed reads, until the breaker opens, and between its probes.
RETRY_FIRST_S, RETRY_MAX_S = 5.0, 60.0
PROBE_FIRST_S, PROBE_MAX_S = 15.0, 60.0
#: What ``on_breaker`` is told of a meter that is paused by command.
PAUSED = "paused"
#: So many may wait for the next reading at once.
WISHES_MAX = 16
#: The longest wait in one step: the heartbeat must go on.
NAP_S = 20.0


@dataclass(frozen=True, slots=True)
class MeterState:
    """How a wired meter is read, for ``GET /state``. **immutable**

    ``address`` is a number, or the text of a secondary address; ``baudrate`` the speed of the last answer.
    ``fixed_time_pending``: the time of the day (``at``) whose reading is still to come.
    ``failures``: failed reads in all; ``failures_in_a_row``: since the last good one.
    """

    device_id: str
    bus: str
    address: int | str
    baudrate: int | None
    reads: int
    failures: int
    failures_in_a_row: int
    last_error: str | None
    last_read_at: datetime | None
    next_read_at: datetime | None
    fixed_time_pending: datetime | None
    breaker: str
    waiting_to_be_stored: int
    paused: bool = False


@dataclass(frozen=True, slots=True)
class _Exchange:
    """An answer, when it was complete, and how long it took on the bus."""

    answer: Answer
    read_at: datetime
    seconds: float


class _Wish(Future[Readout]):
    """Somebody waits for the next reading."""


class _Adjustment(Future[MeterSettings]):
    """Somebody wants it polled otherwise; None leaves what is."""

    def __init__(self, interval_s: float | None, paused: bool | None, reset: bool) -> None:
        super().__init__()
        self.interval_s = interval_s
        self.paused = paused
        self.reset = reset


class WiredMeter(Worker):
    """Reads one meter when it is due, decodes, hands the reading over; waits out its troubles alone.

    A silent meter is asked again after ``retry_delay``, up to ``max_retries`` times, each
    time as a new job, so that the bus serves others meanwhile. While it stays silent there is one try
    a read, the reads grow rarer, and after five in a row the breaker spaces them further.
    ``on_failure(device_id, error)`` is told every failed read, in this thread; ``on_read`` how long each good one took,
    before it is handed over; ``on_breaker`` the state of the breaker before and after each read.
    ``adjust`` changes interval and pause while it runs, against ``config``, which is what the file says; ``current`` is
    what is in force. While it is paused it is read only when it is asked for (``read_now``).
    ``snapshot``, ``settings``, ``current``, ``read_now``, ``adjust``, ``stop``: any thread. The rest: **own thread**
    """

    def __init__(
        self,
        config: DeviceConfig,
        bus: Bus,
        *,
        delivery: Delivery,
        metrics: Metrics,
        clock: Clock,
        on_failure: OnFailure,
        on_read: OnRead = lambda seconds: None,
        on_breaker: OnBreaker = lambda state: None,
    ) -> None:
        super().__init__(thread_name("mtr:", config.id), clock)
        self.config = self.current = config
        self._paused = False
        self._bus = bus
        self._metrics = metrics
        self._on_failure = on_failure
        self._on_read = on_read
        self._on_breaker = on_breaker
        self._schedule = Schedule(config.id, config.due_on(bus.config))
        self._calendar = Calendar(config.at)
        self._speed = MeterSpeed(config.id, config.baudrate, switch=config.baud_switch, clock=clock)
        self._breaker = CircuitBreaker(clock, first_pause_s=PROBE_FIRST_S, max_pause_s=PROBE_MAX_S)
        self._pause = Backoff(RETRY_FIRST_S, RETRY_MAX_S)
        self._events: Mailbox[Future[Any]] = Mailbox(4 * WISHES_MAX)
        self._wishes: list[_Wish] = []
        self._handover = Handover(config.id, delivery, clock=clock, done=self._events.offer)
        self._condition = Condition(log, f"{config.id} (bus {config.bus}, address {config.address})", clock)
        self._reads = self._failures = self._failures_in_a_row = 0
        self._last_error: str | None = None
        self._last_read_at: datetime | None = None

    # -------------------------------------------------- any thread
    @property
    def speed(self) -> MeterSpeed:
        """At what speed it is spoken to; to be used in the thread of its bus."""
        return self._speed

    def snapshot(self) -> MeterState:
        """How the meter is read now."""
        address = self.config.address
        return MeterState(
            device_id=self.config.id,
            bus=self.config.bus,
            address=str(address) if isinstance(address, SecondaryAddress) else address,
            baudrate=self._speed.used,
            reads=self._reads,
            failures=self._failures,
            failures_in_a_row=self._failures_in_a_row,
            last_error=self._last_error,
            last_read_at=self._last_read_at,
            next_read_at=self._next_read_at() if self._schedule.begun else None,
            fixed_time_pending=self._calendar.pending,
            breaker=self._breaker.state.value,
            waiting_to_be_stored=len(self._handover),
            paused=self._paused,
        )

    def _next_read_at(self) -> datetime | None:
        now, due_in_s = self.clock.now(), self._schedule.due_mono - self.clock.mono()
        fixed = self._calendar.next_after(now)
        due = now + timedelta(seconds=max(0.0, due_in_s)) if due_in_s < inf else None
        return min((moment for moment in (due, fixed) if moment is not None), default=None)

    def stop(self) -> None:
        self._events.close()
        super().stop()

    def read_now(self) -> Future[Readout]:
        """The next reading, asked for at once whatever schedule and breaker say; it is delivered as any other.

        The future fails with the ``MbusgwError`` that the read fails with.
        """
        wish = _Wish()
        if len(self._events) + len(self._wishes) >= WISHES_MAX or not self._events.offer(wish):
            wish.set_exception(BusError(f"{self.config.id} cannot be asked now: it is stopping, or too many ask"))
        return wish

    def settings(self) -> MeterSettings:
        """How it is polled now."""
        current = self.current
        return MeterSettings(current.due_on(self._bus.config), self._paused, current == self.config)

    def adjust(
        self, *, interval_s: float | None = None, paused: bool | None = None, reset: bool = False
    ) -> Future[MeterSettings]:
        """From now on it is read every ``interval_s`` (``reset``: as configured), and left alone while ``paused``.

        A new interval begins with a read at once. The future is done when it is so.
        """
        adjustment = _Adjustment(interval_s, paused, reset)
        if not self._events.offer(adjustment):
            adjustment.set_exception(BusError(f"{self.config.id} is stopping, or too many ask"))
        return adjustment

    # -------------------------------------------------- worker
    def setup(self) -> None:
        if not self._schedule.begun:
            self._schedule.begin(self.clock.mono())
        self._end_probe()  # a crash may have left one open

    def step(self) -> None:
        if not self._schedule.begun:
            self.setup()
        if self._handover.retry_in_s() == 0:
            self._handover.retry()
        if self._paused and not self._wishes:
            self._listen(min(NAP_S, self._handover.retry_in_s() or NAP_S))
            return
        self._follow_calendar()
        due_in_s = self._schedule.due_mono - self.clock.mono()
        if self._wishes:
            self._read()
        elif due_in_s > 0:
            due_in_s = min(due_in_s, self._fixed_in_s())
            self._listen(min(due_in_s, NAP_S, self._handover.retry_in_s() or NAP_S))
        elif self._breaker.allow():
            self._tell_polling()
            self._read()
        else:
            self._schedule.postpone(self.clock.mono(), max(0.1, self._breaker.retry_in_s()))

    def _follow_calendar(self) -> None:
        """A time of the day that has come makes the meter due, and keeps it so until it was read."""
        now = self.clock.now()
        if self._calendar.begins(now):
            self._schedule.postpone(self.clock.mono(), 0)
        if (missed := self._calendar.given_up(now)) is not None:
            local = missed.astimezone().isoformat(sep=" ", timespec="minutes")
            log.warning("%s: there is no reading of %s; it was tried for an hour", self.config.id, local)
            self._schedule.advance(self.clock.mono())

    def _fixed_in_s(self) -> float:
        now = self.clock.now()
        fixed = self._calendar.next_after(now)
        return inf if fixed is None else max(0.0, (fixed - now).total_seconds())

    def teardown(self) -> None:
        self._bus.load.forget(self.config.id)
        if self.stopping:
            for event in self._events.drain(4 * WISHES_MAX):
                self._take_in(event)
        self._grant(BusError(f"the reading of {self.config.id} was broken off"))
        if self.stopping and len(self._handover):
            log.warning("%s: %d readings were not stored before the stop", self.config.id, len(self._handover))

    def _listen(self, seconds: float) -> None:
        """Waits for an event. Raises ``Stopping``."""
        event = self._events.take(seconds)
        if event is not None:
            self._take_in(event)

    def _take_in(self, event: Future[Any]) -> None:
        if isinstance(event, _Wish):
            self._wishes.append(event)
        elif isinstance(event, _Adjustment):
            self._adjust(event)
        else:
            self._handover.settle(event)

    def _adjust(self, wanted: _Adjustment) -> None:
        if self.stopping:
            wanted.set_exception(BusError(f"{self.config.id} is stopping"))
            return
        if not wanted.set_running_or_notify_cancel():
            return
        before, resumed = self.current, self._paused and wanted.paused is False
        if wanted.reset:
            self.current = self.config
        elif wanted.interval_s is not None:
            self.current = self.config.model_copy(update={"interval": wanted.interval_s})
        if wanted.paused is not None:
            self._paused = wanted.paused
        if self.current != before or resumed:
            self._schedule.interval_s = self.current.due_on(self._bus.config)
            self._schedule.begin(self.clock.mono())
            self._schedule.postpone(self.clock.mono(), 0)
        if self._paused:
            self._bus.load.forget(self.config.id)
        self._tell_polling()
        log.info("%s %s, by command", self.config.id, _words(self.settings()))
        wanted.set_result(self.settings())

    def _tell_polling(self) -> None:
        self._on_breaker(PAUSED if self._paused else self._breaker.state.value)

    # -------------------------------------------------- one read
    def _read(self) -> None:
        try:
            readout = self._try_to_read()
        except MbusgwError as error:
            self._failed(error)
            self._grant(error)
        else:
            self._succeeded(readout)
            self._grant(readout)

    def _grant(self, outcome: Readout | MbusgwError) -> None:
        """Whoever waited for the next reading gets it, or the error it ended with."""
        wishes, self._wishes = self._wishes, []
        for wish in wishes:
            if not wish.set_running_or_notify_cancel():
                continue
            if isinstance(outcome, Readout):
                wish.set_result(outcome)
            else:
                wish.set_exception(outcome)

    def _try_to_read(self) -> Readout:
        repeats = 0 if self._failures_in_a_row else self._bus.config.max_retries
        for attempt in range(repeats + 1):
            try:
                # After a failed read the link is initialised anew, but only every other time: some meters
                # answer requests and not SND_NKE, and a silent one costs a window for each of the two.
                exchange = self._ask(reset=attempt == 0 and self._failures_in_a_row % 2 == 1)
                return self._decode(exchange)
            except NoAnswer as error:
                self._metrics.read_failed(self.config.id, type(error).__name__)
                if attempt == repeats:
                    raise
                self._wait(self._bus.config.retry_delay)
            except (BusError, DecodeError) as error:
                self._metrics.read_failed(self.config.id, type(error).__name__)
                raise
        raise AssertionError("the last attempt returns or raises")

    def _decode(self, exchange: _Exchange) -> Readout:
        opinion = differences if self._bus.config.decoder == "meterbus" else None
        reading = build_reading(self.config.id, exchange.answer, exchange.read_at, second_opinion=opinion)
        return Readout(exchange.answer, exchange.read_at, exchange.seconds, reading)

    def _ask(self, *, reset: bool) -> _Exchange:
        """Posts the job and waits for its end. Raises ``BusError``, ``Stopping``."""

        def exchange(session: Session) -> _Exchange:
            begun_mono = self.clock.mono()
            answer = self._speed.read(session, self.config.address, partial(self._talk, session), reset=reset)
            seconds = self.clock.mono() - begun_mono
            self._bus.load.took(self.config.id, self._schedule.interval_s, seconds)
            return _Exchange(answer, self.clock.now(), seconds)

        deadline_mono = self.clock.mono() + PATIENCE_S
        urgency = Urgency.NOW if self._wishes or self._calendar.pending is not None else Urgency.ROUTINE
        future = self._bus.submit(exchange, deadline_mono=deadline_mono, urgency=urgency)
        future.add_done_callback(self._events.offer)
        while not future.done():
            left_s = deadline_mono + READOUT_S - self.clock.mono()
            if left_s <= 0:
                future.cancel()
                raise BusError(f"bus {self.config.bus} gave no result in time")
            self._listen(min(left_s, NAP_S))
            self.heartbeat.beat()
        return future.result()

    def _talk(self, session: Session, reset: bool) -> Answer:
        """The bus thread: one readout at the speed that the session has now."""
        return session.read_user_data(
            self.config.address,
            repeats=self._bus.config.max_retries,
            reset=reset,
            max_telegrams=self.config.max_telegrams,
            meter=self.config.meter,
        )

    def _wait(self, seconds: float) -> None:
        until_mono = self.clock.mono() + seconds
        while (left_s := until_mono - self.clock.mono()) > 0:
            self._listen(min(left_s, NAP_S))
            self.heartbeat.beat()

    # -------------------------------------------------- what became of it
    def _succeeded(self, readout: Readout) -> None:
        self._reads += 1
        self._failures_in_a_row = 0
        self._last_error = None
        self._last_read_at = readout.read_at
        self._breaker.success()
        self._pause.reset()
        self._condition.cleared("answers again")
        self._metrics.read_done(self.config.id, readout.seconds)
        self._schedule.advance(self.clock.mono())
        self._calendar.read(readout.reading.read_at)
        self._tell_polling()
        self._on_read(readout.seconds)
        self._handover.hand(readout.reading)

    def _failed(self, error: MbusgwError) -> None:
        self._failures += 1
        self._last_error = str(error)
        now_mono = self.clock.mono()
        if isinstance(error, LinkError):
            self._failures_in_a_row += 1
            self._bus.load.forget(self.config.id)  # it is asked ever more rarely from now on
            self._breaker.failure()
            self._condition.failed(error)
            pause_s = max(self._breaker.retry_in_s(), min(self._pause.next_s(), self._schedule.interval_s or inf))
            self._schedule.postpone(now_mono, pause_s)
        elif isinstance(error, BusError):  # not the meter's trouble: its bus has said what is wrong
            self._end_probe()
            self._schedule.postpone(now_mono, min(PORT_AWAY_S, self._schedule.interval_s or inf))
        else:  # it answers, but not what we can read: as often as ever
            self._breaker.success()
            self._condition.failed(error)
            self._schedule.advance(now_mono)
            if self._calendar.pending is not None:
                self._schedule.postpone(now_mono, RETRY_MAX_S)
        self._tell_polling()
        self._on_failure(self.config.id, error)

    def _end_probe(self) -> None:
        """A probe of the open breaker that told nothing about the meter."""
        if self._breaker.state is not BreakerState.CLOSED:
            self._breaker.failure()


def _words(settings: MeterSettings) -> str:
    if settings.paused:
        return "is not read until it is resumed"
    if settings.interval_s is None:
        return "is read at its times of the day only"
    return f"is read every {settings.interval_s:g} s"
