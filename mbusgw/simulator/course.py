"""How the values of simulated meters move: each a function of the meter's age in seconds, and of nothing else."""
from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import ROUND_FLOOR, Decimal

from mbusgw.model.record import Value

Course = Callable[[float], Value]


def counter(start: str, *, per_hour: str, step: str) -> Course:
    """Only grows, by whole steps."""
    first, rate, size = Decimal(start), Decimal(per_hour), Decimal(step)
    return lambda at_s: first + _whole_steps(rate * Decimal(at_s) / 3600, size)


def wave(middle: str, *, swing: str, period_s: float, step: str, phase: float = 0.0) -> Course:
    """Goes up and down around ``middle``."""
    centre, half, size = Decimal(middle), Decimal(swing), Decimal(step)

    def course(at_s: float) -> Value:
        return _whole_steps(centre + half * Decimal(math.sin(2 * math.pi * at_s / period_s + phase)), size)

    return course


def constant(value: Value) -> Course:
    """Stays."""
    return lambda at_s: value


def meter_clock(started_at: datetime) -> Course:
    """The meter's own clock, to the minute."""
    return lambda at_s: (started_at + timedelta(seconds=at_s)).replace(second=0, microsecond=0, tzinfo=None)


def _whole_steps(value: Decimal, size: Decimal) -> Decimal:
    return (value / size).to_integral_value(ROUND_FLOOR) * size
