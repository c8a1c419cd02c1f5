"""Waiting for a condition instead of sleeping.

A machine that runs tests may be busy, and may stand still for seconds. So no test says how fast something must be; it
waits for what must come, and ``PATIENCE_S`` only tells "it hangs" from "it works". What must *not* come is shown by
something that comes after it would have; how long a wait of ours is, by what was asked for, on a clock of the test.
"""
from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

#: After this time something that a test waits for hangs. No test waits that long while all is well.
PATIENCE_S = 60.0


def wait_until(predicate: Callable[[], T], *, timeout: float = PATIENCE_S, what: Callable[[], str] | str = "") -> T:
    """Calls ``predicate`` until it is true and returns what it returned; fails after ``timeout`` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        result = predicate()
        if result:
            return result
        if time.monotonic() >= deadline:
            detail = what() if callable(what) else what
            raise AssertionError(f"not within {timeout} s: {detail or predicate}")
        time.sleep(0.005)
