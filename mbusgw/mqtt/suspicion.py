"""Which message it is for which the broker ends the connection.

MQTT 3.1.1 has no other way to say that a message is too large or not allowed, and some brokers with MQTT 5 use it
too, or acknowledge with a reason that the standard does not allow there. Sent again, such a message would hold up all
others for ever. That a connection has ended tells nothing yet: what was under way then is sent one at a time.
"""
from __future__ import annotations

from collections.abc import Sequence

from mbusgw.store.outbox import Waiting

#: So often must a connection end while one message alone is under way, and others are acknowledged.
ENDINGS = 3
#: So long the acknowledgement of another message is waited for (the bridge's own state, on each connection).
HEARING_S = 5.0
#: So long nothing as large is sent on a topic on which a message has ended connections; then it is tried again.
BARRED_S = 3600.0


class Suspicion:
    """Watches what is under way when connections end. ``suspects``: **any thread**; the rest: **own thread** (the
    sender's)"""

    def __init__(self) -> None:
        self._alone_to = 0  # up to this row one at a time
        self._suspect: int | None = None
        self._endings = 0
        self._heard = self._progress = False
        self._connected_mono = 0.0
        self._barred: dict[str, tuple[int, float, str]] = {}  # topic -> size, since when, why

    def acknowledged(self, *, row: bool) -> None:
        """The broker has acknowledged a message on this connection: a ``row`` of the outbox, or another one."""
        self._heard = True
        self._progress = self._progress or row

    def connected(self, under_way: Sequence[Waiting], thrown_out: str | None, mono: float) -> None:
        """There is a new connection. ``under_way`` when the last one ended, because ``thrown_out``; rows in order."""
        heard, progress = self._heard, self._progress
        self._heard = self._progress = False
        self._connected_mono = mono
        if not under_way or thrown_out is None:
            return
        first, alone = under_way[0], len(under_way) == 1 and under_way[0].id <= self._alone_to
        if not progress:
            self._alone_to = max(self._alone_to, under_way[-1].id)
        if first.id != self._suspect:
            self._suspect, self._endings = first.id, 0
        self._endings += heard and alone
        if self._endings >= ENDINGS:
            why = f"the connection ends with it: {ENDINGS} times in a row ({thrown_out})"
            self._barred[first.topic] = (len(first.payload), mono, why)

    def barred(self, message: Waiting, mono: float) -> str | None:
        """Why ``message`` is not to be sent; None: nothing is known against it."""
        size, since_mono, why = self._barred.get(message.topic, (0, 0.0, None))
        if why is None or len(message.payload) < size:
            return None
        if mono - since_mono < BARRED_S:
            return why
        del self._barred[message.topic]
        return None

    def suspects(self, message: Waiting) -> bool:
        """Something is, or may be, known against ``message``: it is not simply sent."""
        return message.id <= self._alone_to or message.topic in self._barred

    def window(self, row_id: int, usual: int, mono: float) -> int:
        """How many messages may be under way when ``row_id`` is sent."""
        if row_id > self._alone_to:
            return usual
        return 1 if self._heard or mono - self._connected_mono >= HEARING_S else 0
