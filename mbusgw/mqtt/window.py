"""What is next to be handed to the broker, and what is under way to it."""
from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from mbusgw.model.errors import OutputError
from mbusgw.mqtt.client import Broker
from mbusgw.mqtt.suspicion import Suspicion
from mbusgw.store.outbox import Waiting


@dataclass(frozen=True, slots=True)
class Refusal:
    """A message that cannot be handed over, and why. **immutable**"""

    row_id: int
    reason: str


class Window:
    """Hands messages over in order, each once a connection; at most ``Broker.window`` are unacknowledged.

    Two threads do that, never both at a time: the sender's, and paho's when the broker has just acknowledged
    something. Were the sender woken for each place that becomes free, the two would do little but change places.
    Whoever hands over has the turn, for which paho's thread never waits: it holds locks of its own then.
    ``answered``: paho's thread; ``ahead``, ``under_way``, ``owes``: **any thread**; the rest: **own thread** (the
    sender's)
    """

    def __init__(self, broker: Broker) -> None:
        self.handed = 0  # so many messages were handed over
        self._broker = broker
        self._suspicion = Suspicion()
        self._turn = threading.Lock()
        self._ahead: deque[Waiting] = deque()
        self._under_way: dict[int, Waiting] = {}  # by mid, until it is settled
        self._answered: set[int] = set()  # of these, acknowledged and not settled
        self._handed_id = 0  # up to this row all was handed over, or was replaced before
        self._connection = 0

    # -------------------------------------------------- any thread
    @property
    def ahead(self) -> int:
        """How many messages are at hand."""
        return len(self._ahead)

    @property
    def under_way(self) -> int:
        """How many were handed over and not settled."""
        return len(self._under_way)

    def owes(self, row_id: int) -> bool:
        """The broker has not acknowledged the row, if it is still there."""
        if row_id > self._handed_id:
            return True
        under_way = list(self._under_way.items())
        return any(row.id == row_id and mid not in self._answered for mid, row in under_way)

    # -------------------------------------------------- paho's thread
    def answered(self, mid: int) -> bool:
        """The broker has acknowledged ``mid``: what is next takes its place; says whether anything did.

        Only what can simply be sent; all else is left to the sender.
        """
        if mid in self._under_way:
            self._answered.add(mid)
        if not self._turn.acquire(blocking=False):
            return False
        try:
            return self._go_on()
        finally:
            self._turn.release()

    def _go_on(self) -> bool:
        if self.outdated:
            return False
        handed, window = self.handed, self._broker.window
        while self._ahead and self._unacknowledged < window and not self._suspicion.suspects(self._ahead[0]):
            try:
                if not self._hand_over():
                    break
            except OutputError:
                break
        return self.handed > handed

    # -------------------------------------------------- own thread
    @property
    def outdated(self) -> bool:
        """There is a new connection, of which this knows nothing yet."""
        return self._broker.connection != self._connection

    def renew(self, mono: float) -> int:
        """Begins anew on a new connection: with the rows after the one returned, which are to be fed once more."""
        with self._turn:
            under_way = sorted(self._under_way.values(), key=lambda row: row.id)
            for rows in (self._under_way, self._answered, self._ahead):
                rows.clear()
            if under_way:
                self._handed_id = under_way[0].id - 1
            self._suspicion.connected(under_way, self._broker.thrown_out, mono)
            self._connection = self._broker.connection
        return self._handed_id

    def feed(self, rows: Iterable[Waiting]) -> None:
        """These are next, in order."""
        self._ahead.extend(rows)

    def settle(self, mid: int) -> Waiting | None:
        """What was acknowledged as ``mid``; None: nothing of the outbox (the bridge's own state)."""
        self._answered.discard(mid)  # first, so that never too little counts as unacknowledged
        row = self._under_way.pop(mid, None)
        self._suspicion.acknowledged(row=row is not None)
        return row

    def fill(self, mono: float) -> Refusal | None:
        """Hands over what may be under way. The first message that cannot be is taken out and returned."""
        with self._turn:
            while self._ahead and not self.outdated:
                message = self._ahead[0]
                if self._unacknowledged >= self._suspicion.window(message.id, self._broker.window, mono):
                    return None
                reason = self._suspicion.barred(message, mono)
                try:
                    if reason is None and not self._hand_over():
                        return None
                except OutputError as error:
                    reason = str(error)
                if reason is not None:
                    return Refusal(self._ahead.popleft().id, reason)
        return None

    # -------------------------------------------------- whose turn it is
    @property
    def _unacknowledged(self) -> int:
        return len(self._under_way) - len(self._answered)

    def _hand_over(self) -> bool:
        """The next; False if the connection is gone: it stays first in line. Raises ``OutputError``."""
        message = self._ahead[0]
        mid = self._broker.publish(message.topic, message.payload, retain=message.retain)
        if mid is None:
            return False
        self._under_way[mid] = self._ahead.popleft()
        self._handed_id = message.id
        self.handed += 1
        return True
