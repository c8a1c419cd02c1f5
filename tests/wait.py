"""Waiting for a condition instead of sleeping."""
from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(predicate: Callable[[], T], *, timeout: float = 10, what: Callable[[], str] | str = "") -> T:
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
