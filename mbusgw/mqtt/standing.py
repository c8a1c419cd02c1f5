"""How the connection to the broker stands: what is said of it, once, and when it is tried again."""
from __future__ import annotations

import logging

from mbusgw.runtime.backoff import Backoff
from mbusgw.runtime.clock import Clock

log = logging.getLogger(__name__)

#: Nobody listens: one SYN a try, so try often. A broker that refuses us gets ``reconnect_min`` … ``reconnect_max``.
UNREACHABLE_S = (1.0, 4.0)
#: A connection that stood so long was a good one.
STEADY_S = 60.0
#: So many short ones in a row are told once, and no longer each.
SHORT_ONES = 5
#: A rival who was not noticed for so long has gone.
RIVAL_S = 600.0


class Standing:
    """The fortunes of one connection. Methods that return seconds: the pause before the next try.

    ``trouble``: **any thread**; the rest: paho's thread.
    """

    def __init__(self, where: str, client_id: str, *, reconnect_s: tuple[float, float], clock: Clock) -> None:
        self.last_error: str | None = None
        self._where = where
        self._client_id = client_id
        self._clock = clock
        self._unreachable = Backoff(*UNREACHABLE_S)
        self._refused = Backoff(*reconnect_s)
        self._rivalry = Backoff(*reconnect_s)
        self._down_mono = clock.mono()
        self._up_mono: float | None = None
        self._rival_mono: float | None = None
        self._short_ones = 0

    @property
    def trouble(self) -> str | None:
        """What is wrong, also where we are connected just now."""
        if self.last_error is not None:
            return self.last_error
        mono = self._clock.mono()
        if self._rival_mono is not None and mono - self._rival_mono < RIVAL_S:
            return self._rival()
        if self._restless and self._up_mono is not None and mono - self._up_mono < STEADY_S:
            return f"the last {self._short_ones} connections broke after a short time"
        return None

    # -------------------------------------------------- paho's thread
    def first(self) -> float:
        """Before the first try."""
        self._down_mono = self._clock.mono()
        return self._unreachable.next_s()

    def connected(self) -> float:
        """The broker has accepted us."""
        mono = self._clock.mono()
        after = f" after {mono - self._down_mono:.0f} s" if self.last_error else ""
        log.log(self._level(logging.INFO), "connected to broker %s%s", self._where, after)
        self.last_error = None
        self._up_mono = mono
        self._unreachable.reset()
        self._refused.reset()
        return self._unreachable.next_s()

    def unreachable(self, why: str = "it cannot be reached") -> float:
        """Nobody answered."""
        self._lost(why)
        return self._unreachable.next_s()

    def refused(self, reason: str) -> float:
        """It answered, and does not want us."""
        self._lost(f"the broker refuses us: {reason}")
        return self._refused.next_s()

    def unusable(self, why: str) -> float:
        """It is there, and with what is configured there is no talking to it."""
        self._lost(why)
        return self._refused.next_s()

    def broke(self, why: str) -> float:
        """A connection that stood has ended."""
        self._count()
        self._lost(why)
        if self._short_ones == SHORT_ONES:
            log.warning(
                "broker %s: %d connections in a row broke within %.0f s; that is not told each time any more."
                " Perhaps another client has our client id %r",
                self._where, self._short_ones, STEADY_S, self._client_id,
            )  # fmt: skip
        return self._unreachable.next_s()

    def taken_over(self) -> float:
        """Another client came with our client id, and the broker has let us go for it.

        Were we back at once, it would be thrown out in its turn, and so on: each time we wait longer.
        """
        mono = self._clock.mono()
        if self._rival_mono is None or mono - self._rival_mono >= RIVAL_S:
            self._rivalry.reset()
            log.error("broker %s: %s", self._where, self._rival())
        self._rival_mono = mono
        self._down_mono, self.last_error, self._up_mono = mono, self._rival(), None
        return self._rivalry.next_s()

    # -------------------------------------------------- what is said once
    @property
    def _restless(self) -> bool:
        return self._short_ones >= SHORT_ONES

    def _rival(self) -> str:
        return (
            f"another client has our client id {self._client_id!r}, and only one can be connected at a time:"
            " give this gateway another mqtt.client_id (or gateway.id)"
        )

    def _count(self) -> None:
        stood_s = self._clock.mono() - self._up_mono if self._up_mono is not None else STEADY_S
        self._short_ones = self._short_ones + 1 if stood_s < STEADY_S else 0
        self._up_mono = None

    def _level(self, level: int) -> int:
        rivalry = self._rival_mono is not None and self._clock.mono() - self._rival_mono < RIVAL_S
        return logging.DEBUG if self._restless or rivalry else level

    def _lost(self, why: str) -> None:
        if self.last_error is None:
            log.log(
                self._level(logging.WARNING), "broker %s: %s; messages are kept until it is back", self._where, why
            )
            self._down_mono = self._clock.mono()
        elif self.last_error != why:
            log.warning("broker %s: %s", self._where, why)
        self.last_error = why
