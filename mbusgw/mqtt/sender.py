"""Sends what is in the outbox, in order, and removes what the broker has acknowledged."""
from __future__ import annotations

import logging
import threading
from collections import deque
from concurrent.futures import Future
from typing import Any

from mbusgw.model.ports import Write
from mbusgw.mqtt.client import Broker
from mbusgw.mqtt.window import Window
from mbusgw.runtime.backoff import Backoff
from mbusgw.runtime.clock import Clock
from mbusgw.runtime.metrics import Metrics
from mbusgw.store import outbox
from mbusgw.store.view import WorkerWithView
from mbusgw.store.writer import Store

log = logging.getLogger(__name__)

#: Rows read at once, when less than half as many are at hand: an acknowledgement finds the next message there.
PREFETCH = 400
#: What the broker has acknowledged is gathered for so long, or up to so many rows, and removed in one go: each row by
#: itself would cost a commit, and wear out the card of a small computer.
GATHER_S, GATHER_MAX = 0.5, 400
#: A broker that acknowledges nothing for so long, while it owes us something, gets a new connection; each time later.
SILENCE_S = (30.0, 300.0)


class Sender(WorkerWithView):
    """The owner of the way out: the only one who takes outbox rows to the broker.

    Every row is handed over once per connection, in order (``window``); one that was not acknowledged is still in
    the outbox (unless something newer has replaced it) and is sent again on the next one. Of those that were under
    way when the broker ended a connection, one at a time (``suspicion``). ``quiet`` is set when, after ``hasten``,
    nothing waits.
    ``ring``, ``committed``, ``acknowledged``, ``hasten``, ``owes``, ``idle``: **any thread**; the rest: **own thread**
    """

    def __init__(self, broker: Broker, store: Store, *, metrics: Metrics, clock: Clock) -> None:
        super().__init__("mqtt-state", store, clock)
        self._broker = broker
        self._metrics = metrics
        self.quiet = threading.Event()
        self._bell = threading.Event()
        self._window = Window(broker)
        self._unwritten: deque[Write] = deque()  # what the broker said of rows, not yet stored
        self._last_id = 0  # the last row fetched
        self._more = True  # rows may wait after it
        self._counted = 0  # so many of those handed over are in the metrics
        self._queued = 0  # rows that the store had taken in when the bell was last rung for them
        self._taken: list[int] = []  # rows that the broker has, and the store does not know it yet
        self._taken_mono = 0.0  # since when there are such
        self._hasty = False
        self._reasons: set[str] = set()  # why messages were set aside: each is told once
        self._silence = Backoff(*SILENCE_S, jitter=0)
        self._patience_s = self._silence.next_s()
        self._progress_mono = clock.mono()

    def ring(self) -> None:
        """The broker is back."""
        self._bell.set()

    def committed(self) -> None:
        """The store's thread: there may be something to send."""
        queued = self._store.count("queued")
        if queued != self._queued or self._hasty:
            self._queued = queued
            self._bell.set()

    def acknowledged(self, mid: int) -> bool:
        """paho's thread: the broker has acknowledged something; says whether anything was handed over in its place.

        A round of ours is due only where that was not to be, when rows run short, or when much is to be removed.
        """
        handed, ahead = self._window.answered(mid), self._window.ahead
        stuck, short = ahead and not handed, self._more and ahead < PREFETCH // 2
        if stuck or short or self._hasty or len(self._broker.acks) >= GATHER_MAX:
            self._bell.set()
        return handed

    def hasten(self) -> None:
        """From now on nothing is gathered: the end is near."""
        self._hasty = True
        self._bell.set()

    def stop(self) -> None:
        """Ends after the running round."""
        super().stop()
        self._bell.set()

    def owes(self, row_id: int) -> bool:
        """Whether the broker has yet to acknowledge a row that is in the outbox."""
        return self._window.owes(row_id)

    @property
    def idle(self) -> bool:
        """Nothing waits and nothing is under way."""
        return not self._window.under_way and self._store.count("outbox") == 0

    def step(self) -> None:
        """Waits for the bell, then settles what was acknowledged and sends what fits in the window."""
        soon = self._taken or self._window.under_way and self._broker.connected
        self._bell.wait(GATHER_S if soon else 5.0)
        self._bell.clear()
        self.quiet.clear()
        self._settle()
        self._follow()
        self._send()
        self._watch()
        if self.idle:
            self.quiet.set()

    # -------------------------------------------------- acknowledgements
    def _settle(self) -> None:
        for _ in range(len(self._unwritten)):
            self._write(self._unwritten.popleft())
        if self._broker.acks:
            self._silence.reset()
            self._patience_s = self._silence.next_s()
            self._progress_mono = self.clock.mono()
        taken = 0
        while self._broker.acks:
            ack = self._broker.acks.popleft()
            row = self._window.settle(ack.mid)
            if row is None:
                continue
            if ack.refused is None:
                self._took(row.id)
                taken += 1
            else:
                self._refused(row.id, ack.refused)
        self._metrics.published(taken)
        self._remove()

    def _took(self, row_id: int) -> None:
        if not self._taken:
            self._taken_mono = self.clock.mono()
        self._taken.append(row_id)

    def _remove(self) -> None:
        """Takes out of the outbox what the broker has, once that is worth a commit."""
        waited_s = self.clock.mono() - self._taken_mono
        if self._taken and (self._hasty or len(self._taken) >= GATHER_MAX or waited_s >= GATHER_S):
            self._write(outbox.acknowledged(self._taken, self.clock.now()))
            self._taken = []

    def _refused(self, row_id: int, reason: str) -> None:
        kind = reason.partition(":")[0]
        level = logging.DEBUG if kind in self._reasons else logging.ERROR
        self._reasons.add(kind)
        log.log(
            level,
            "the broker does not take a message: %s; it is set aside, as are others that it refuses for that reason."
            " GET /state and mqtt_set_aside_total tell of them",
            reason,
        )
        self._metrics.published(success=False)
        self._metrics.set_aside()
        self._write(outbox.refused([row_id], reason, self.clock.now()))

    def _write(self, write: Write) -> None:
        """Stores what the broker said; what cannot be stored now (a full disk) is tried again in the next round."""

        def done(future: Future[Any]) -> None:  # the store's thread
            if future.exception() is not None:
                self._unwritten.append(write)

        self._store.submit(write).add_done_callback(done)

    # -------------------------------------------------- sending
    def _follow(self) -> None:
        if self._window.outdated:
            self._settle()  # all that was acknowledged on the last connection is told by now
            self._last_id = self._window.renew(self.clock.mono())
            self._more = True

    def _send(self) -> None:
        self._more = True
        while self._broker.connected and (self._window.ahead or self._fetch()):
            mono = self.clock.mono()
            if not self._window.under_way:
                self._progress_mono = mono
            refusal = self._window.fill(mono)
            if refusal is not None:
                self._refused(refusal.row_id, refusal.reason)
            elif self._window.ahead:
                break  # no place is free; the rest goes when there is
        if self._broker.connected and self._window.ahead < PREFETCH // 2:
            self._fetch()
        handed = self._window.handed
        self._metrics.sent(handed - self._counted)
        self._counted = handed

    def _watch(self) -> None:
        """A broker that takes messages and never acknowledges one would hold up everything for ever."""
        self._broker.watch()
        mono = self.clock.mono()
        if not self._window.under_way or not self._broker.connected:
            self._progress_mono = mono
        elif mono - self._progress_mono >= self._patience_s:
            self._broker.renew(f"it has acknowledged nothing for {self._patience_s:.0f} s")
            self._patience_s = self._silence.next_s()
            self._progress_mono = mono

    def _fetch(self) -> bool:
        """Takes the next rows to hand; says whether there were any."""
        if not self._more:
            return False
        rows = outbox.after(self.view, self._last_id, PREFETCH)
        self._more = len(rows) == PREFETCH
        if rows:
            self._last_id = rows[-1].id
            self._window.feed(rows)
        return bool(rows)
