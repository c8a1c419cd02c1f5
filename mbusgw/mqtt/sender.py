"""Sends what is in the outbox, in order, and removes what the broker has acknowledged."""
from __future__ import annotations

import logging
import sys
import threading
from collections import deque
from concurrent.futures import Future
from typing import Any

from mbusgw.model.errors import OutputError
from mbusgw.model.ports import Write
from mbusgw.mqtt.client import Broker
from mbusgw.mqtt.suspicion import Suspicion
from mbusgw.runtime.backoff import Backoff
from mbusgw.runtime.clock import Clock
from mbusgw.runtime.metrics import Metrics
from mbusgw.store import outbox
from mbusgw.store.view import WorkerWithView
from mbusgw.store.writer import Store

log = logging.getLogger(__name__)

#: Rows read at once. More than a window, so that an acknowledgement finds the next message at hand.
PREFETCH = 400
#: What the broker has acknowledged is gathered for so long, or up to so many rows, and removed in one go: each row by
#: itself would cost a commit, and wear out the card of a small computer.
GATHER_S, GATHER_MAX = 0.5, 100
#: More acknowledgements than there can be.
NEVER = sys.maxsize
#: A broker that acknowledges nothing for so long, while it owes us something, gets a new connection; each time later.
SILENCE_S = (30.0, 300.0)


class Sender(WorkerWithView):
    """The owner of the way out: the only one who hands outbox rows to the broker.

    Every row is handed over once per connection, in order; one that was not acknowledged is still in
    the outbox (unless something newer has replaced it) and is sent again on the next one. At most
    ``Broker.window`` rows are under way; one alone, after a connection that the broker has ended, of those that were
    (``suspicion``). ``quiet`` is set when, after ``hasten``, nothing waits.
    ``ring``, ``committed``, ``acknowledged``, ``hasten``, ``idle``: **any thread**; the rest: **own thread**
    """

    def __init__(self, broker: Broker, store: Store, *, metrics: Metrics, clock: Clock) -> None:
        super().__init__("mqtt-state", store, clock)
        self._broker = broker
        self._metrics = metrics
        self.quiet = threading.Event()
        self._bell = threading.Event()
        self._ahead: deque[outbox.Waiting] = deque()
        self._under_way: dict[int, outbox.Waiting] = {}  # by mid
        self._unwritten: deque[Write] = deque()  # what the broker said of rows, not yet stored
        self._last_id = 0  # the last row fetched
        self._handed_id = 0  # up to this row all was handed over, or was replaced before
        self._connection = 0
        self._suspicion = Suspicion()
        self._queued = 0  # rows that the store had taken in when the bell was last rung for them
        self._taken: list[int] = []  # rows that the broker has, and the store does not know it yet
        self._taken_mono = 0.0  # since when there are such
        self._wanted = NEVER  # so many acknowledgements are worth a round, because more waits for their places
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

    def acknowledged(self) -> None:
        """paho's thread: the broker has acknowledged something; that can wait where nothing waits for it."""
        if self._hasty or len(self._broker.acks) >= self._wanted:
            self._bell.set()

    def hasten(self) -> None:
        """From now on nothing is gathered: the end is near."""
        self._hasty = True
        self._bell.set()

    def stop(self) -> None:
        """Ends after the running round."""
        super().stop()
        self._bell.set()

    @property
    def idle(self) -> bool:
        """Nothing waits and nothing is under way."""
        return not self._under_way and self._store.count("outbox") == 0

    def step(self) -> None:
        """Waits for the bell, then settles what was acknowledged and sends what fits in the window."""
        soon = self._taken or self._under_way and self._broker.connected
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
        while self._broker.acks:
            ack = self._broker.acks.popleft()
            row = self._under_way.pop(ack.mid, None)
            self._suspicion.acknowledged(row=row is not None)
            if row is None:
                continue  # not of the outbox (the bridge's own state)
            if ack.refused is None:
                self._took(row.id)
                self._metrics.published()
            else:
                self._refused(row.id, ack.refused)
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
        """On a new connection begins anew with the first row that was not acknowledged."""
        if self._broker.connection == self._connection:
            return
        self._connection = self._broker.connection
        under_way = sorted(self._under_way.values(), key=lambda row: row.id)
        self._under_way.clear()
        self._ahead.clear()
        if under_way:
            self._handed_id = under_way[0].id - 1
        self._last_id = self._handed_id
        self._suspicion.connected(under_way, self._broker.thrown_out, self.clock.mono())

    def _send(self) -> None:
        full = self._fill()
        # Most of a window at once: two threads that change places for each message would do little else.
        self._wanted = max(1, len(self._under_way) * 2 // 3) if full else NEVER
        if len(self._broker.acks) >= self._wanted:  # they came before anybody could know that they are waited for
            self._bell.set()

    def _fill(self) -> bool:
        """Hands over what may be under way; says whether more waits for that."""
        while self._broker.connected:
            if not self._ahead and not self._fetch():
                return False
            message, mono = self._ahead[0], self.clock.mono()
            if len(self._under_way) >= self._suspicion.window(message.id, self._broker.window, mono):
                return True
            reason = self._suspicion.barred(message, mono)
            if reason is not None:
                self._ahead.popleft()
                self._refused(message.id, reason)
                continue
            try:
                mid = self._broker.publish(message.topic, message.payload, retain=message.retain)
            except OutputError as error:
                self._ahead.popleft()
                self._refused(message.id, str(error))
                continue
            if mid is None:
                return False  # the connection is gone; the row stays first in line
            self._ahead.popleft()
            if not self._under_way:
                self._progress_mono = mono
            self._under_way[mid] = message
            self._handed_id = message.id
            self._metrics.sent()
        return False

    def _watch(self) -> None:
        """A broker that takes messages and never acknowledges one would hold up everything for ever."""
        self._broker.watch()
        mono = self.clock.mono()
        if not self._under_way or not self._broker.connected:
            self._progress_mono = mono
        elif mono - self._progress_mono >= self._patience_s:
            self._broker.renew(f"it has acknowledged nothing for {self._patience_s:.0f} s")
            self._patience_s = self._silence.next_s()
            self._progress_mono = mono

    def _fetch(self) -> bool:
        self._ahead.extend(outbox.after(self.view, self._last_id, PREFETCH))
        if self._ahead:
            self._last_id = self._ahead[-1].id
        return bool(self._ahead)
