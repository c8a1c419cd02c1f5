"""The thread of one wired meter."""
from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from mbusgw.config.models import DeviceConfig
from mbusgw.mbus.answer import Answer
from mbusgw.mbus.session import Session
from mbusgw.model.address import SecondaryAddress
from mbusgw.model.errors import BusError, DecodeError, LinkError, MbusgwError, NoAnswer
from mbusgw.model.ports import Delivery
from mbusgw.model.settings import MeterSettings
from mbusgw.model.wording import counted
from mbusgw.runtime.clock import Clock
from mbusgw.runtime.condition import Condition
from mbusgw.runtime.mailbox import Mailbox
from mbusgw.runtime.metrics import Metrics
from mbusgw.runtime.worker import Worker
from mbusgw.wired.agenda import Agenda
from mbusgw.wired.bus import Bus, thread_name
from mbusgw.wired.handover import Handover
from mbusgw.wired.meter_state import PAUSED, MeterState, polling_text
from mbusgw.wired.opinion import differences
from mbusgw.wired.readout import Readout, build_reading
from mbusgw.wired.speed import MeterSpeed
from mbusgw.wired.turns import Urgency
from mbusgw.wired.wishes import WISHES_MAX, Adjustment, Wish, Wishes, refused

log = logging.getLogger(__name__)

OnFailure = Callable[[str, MbusgwError], None]
OnRead = Callable[[float], None]
OnBreaker = Callable[[str], None]

#: A job may wait for its turn this long, however short the interval. A line of meters that is longer than
#: that at 300 baud does not occur; and were they refused, those at its end would never be read.
PATIENCE_S = 4 * 3600.0
#: A readout that has begun ends within this time even at 300 baud.
READOUT_S = 120.0
#: The longest wait in one step: the heartbeat must go on.
NAP_S = 20.0


@dataclass(frozen=True, slots=True)
class _Exchange:
    """An answer, when it was complete, and how long it took on the bus."""

    answer: Answer
    read_at: datetime
    seconds: float


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
        self._agenda = Agenda(config.id, config.due_on(bus.config), config.at, clock)
        self._speed = MeterSpeed(config.id, config.baudrate, switch=config.baud_switch, clock=clock)
        self._events: Mailbox[Future[Any]] = Mailbox(4 * WISHES_MAX)
        self._wishes = Wishes()
        self._handover = Handover(config.id, delivery, clock=clock, done=self._events.offer)
        self._condition = Condition(log, f"{config.id} (bus {config.bus}, address {config.address})", clock)
        self._reads = self._failures = 0
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
            failures_in_a_row=self._agenda.failures_in_a_row,
            last_error=self._last_error,
            last_read_at=self._last_read_at,
            next_read_at=self._agenda.next_read_at(),
            fixed_time_pending=self._agenda.pending,
            breaker=self._agenda.breaker.value,
            waiting_to_be_stored=len(self._handover),
            paused=self._paused,
        )

    def stop(self) -> None:
        self._events.close()
        super().stop()

    def read_now(self) -> Future[Readout]:
        """The next reading, asked for at once whatever schedule and breaker say; it is delivered as any other.

        The future fails with the ``MbusgwError`` that the read fails with.
        """
        wish = Wish()
        if len(self._events) + len(self._wishes) >= WISHES_MAX or not self._events.offer(wish):
            wish.set_exception(refused(self.config.id, wish=True))
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
        adjustment = Adjustment(interval_s, paused, reset)
        if not self._events.offer(adjustment):
            adjustment.set_exception(refused(self.config.id, wish=False))
        return adjustment

    # -------------------------------------------------- worker
    def setup(self) -> None:
        self._agenda.begin()

    def step(self) -> None:
        if not self._agenda.begun:
            self.setup()
        if self._handover.retry_in_s() == 0:
            self._handover.retry()
        if (wait_s := self._wait_s()) > 0:
            self._listen(min(wait_s, NAP_S, self._handover.retry_in_s() or NAP_S))
        else:
            self._tell_polling()
            self._read()

    def _wait_s(self) -> float:
        """Seconds until it is to be asked; 0: now, whatever its times, if somebody waits for it."""
        if self._paused and not self._wishes:
            return NAP_S
        self._agenda.heed_calendar()
        return 0.0 if self._wishes else self._agenda.wait_s()

    def teardown(self) -> None:
        self._bus.load.forget(self.config.id)
        if self.stopping:
            for event in self._events.drain(4 * WISHES_MAX):
                self._take_in(event)
        self._wishes.grant(BusError(f"the reading of {self.config.id} was broken off"))
        if self.stopping and len(self._handover):
            missing = counted(len(self._handover), "reading was", "readings were")
            log.warning("%s: %s not stored before the stop", self.config.id, missing)

    def _listen(self, seconds: float) -> None:
        """Waits for an event. Raises ``Stopping``."""
        event = self._events.take(seconds)
        if event is not None:
            self._take_in(event)

    def _take_in(self, event: Future[Any]) -> None:
        if isinstance(event, Wish):
            self._wishes.add(event)
        elif isinstance(event, Adjustment):
            self._adjust(event)
        else:
            self._handover.settle(event)

    def _adjust(self, wanted: Adjustment) -> None:
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
            self._agenda.follow(self.current.due_on(self._bus.config))
        if self._paused:
            self._bus.load.forget(self.config.id)
        self._tell_polling()
        log.info("%s %s, by command", self.config.id, polling_text(self.settings()))
        wanted.set_result(self.settings())

    def _tell_polling(self) -> None:
        self._on_breaker(PAUSED if self._paused else self._agenda.breaker.value)

    # -------------------------------------------------- one read
    def _read(self) -> None:
        try:
            readout = self._try_to_read()
        except MbusgwError as error:
            self._failed(error)
            self._wishes.grant(error)
        else:
            self._succeeded(readout)
            self._wishes.grant(readout)

    def _try_to_read(self) -> Readout:
        repeats = 0 if self._agenda.failures_in_a_row else self._bus.config.max_retries
        for attempt in range(repeats + 1):
            try:
                # After a failed read the link is initialised anew, but only every other time: some meters
                # answer requests and not SND_NKE, and a silent one costs a window for each of the two.
                exchange = self._ask(reset=attempt == 0 and self._agenda.failures_in_a_row % 2 == 1)
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
        reading = build_reading(
            self.config.id,
            exchange.answer,
            exchange.read_at,
            second_opinion=opinion,
            wishes=self.config.wishes.records,
        )
        return Readout(exchange.answer, exchange.read_at, exchange.seconds, reading)

    def _ask(self, *, reset: bool) -> _Exchange:
        """Posts the job and waits for its end. Raises ``BusError``, ``Stopping``."""

        def exchange(session: Session) -> _Exchange:
            begun_mono = self.clock.mono()
            answer = self._speed.read(session, self.config.address, partial(self._talk, session), reset=reset)
            seconds = self.clock.mono() - begun_mono
            self._bus.load.took(self.config.id, self._agenda.interval_s, seconds)
            return _Exchange(answer, self.clock.now(), seconds)

        deadline_mono = self.clock.mono() + PATIENCE_S
        urgency = Urgency.NOW if self._wishes or self._agenda.pending is not None else Urgency.ROUTINE
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
        self._last_error = None
        self._last_read_at = readout.read_at
        self._agenda.succeeded(readout.reading.read_at)
        self._condition.cleared("answers again")
        self._metrics.read_done(self.config.id, readout.seconds)
        self._tell_polling()
        self._on_read(readout.seconds)
        self._handover.hand(readout.reading)

    def _failed(self, error: MbusgwError) -> None:
        self._failures += 1
        self._last_error = str(error)
        self._agenda.failed(error)
        if isinstance(error, LinkError):
            self._bus.load.forget(self.config.id)  # it is asked ever more rarely from now on
        if isinstance(error, LinkError) or not isinstance(error, BusError):  # else its bus has said what is wrong
            self._condition.failed(error)
        self._tell_polling()
        self._on_failure(self.config.id, error)
