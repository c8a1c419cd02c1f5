"""Ending several parts together, within a time."""
from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Protocol

from mbusgw.runtime.stalls import stack_of

log = logging.getLogger(__name__)


class Part(Protocol):
    """Something that runs; every ``Worker`` is one."""

    @property
    def name(self) -> str: ...

    @property
    def thread_id(self) -> int | None: ...

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def join(self, timeout: float) -> bool: ...


def end(parts: Sequence[Part], budget_s: float) -> bool:
    """Tells all to stop, then waits at most ``budget_s`` for all of them. The main thread only.

    Says whether everything ended in its time. What did not is named with its stack and left behind.
    """
    for part in parts:
        part.stop()
    deadline_mono = time.monotonic() + budget_s
    late = [part for part in parts if not part.join(deadline_mono - time.monotonic())]
    for part in late:
        log.error("%s does not stop; it is left behind here:\n%s", part.name, stack_of(part.thread_id))
    return not late
