"""Signals become requests to the main thread."""
from __future__ import annotations

import signal
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from enum import Enum
from queue import SimpleQueue
from types import FrameType

from mbusgw.model.command import Document


class Control(Enum):
    """What the main thread can be asked to do."""

    STOP = "stop"
    RELOAD = "reload"


@dataclass(frozen=True, slots=True, eq=False)
class ReloadRequest:
    """A reload that somebody waits for, perhaps after a change of the file that only the main thread makes.

    ``change`` returns what it did, and may raise ``MbusgwError``: then nothing is reloaded. ``anew``: the house starts
    anew, whether or not the file has changed. **immutable**
    """

    change: Callable[[], Document] | None = None
    anew: bool = False
    future: Future[Document] = field(default_factory=Future)


#: What the main thread is asked for.
Controls = SimpleQueue[Control | ReloadRequest]

_MEANING = {signal.SIGTERM: Control.STOP, signal.SIGINT: Control.STOP, signal.SIGHUP: Control.RELOAD}


def listen(controls: Controls) -> None:
    """From now on SIGTERM and SIGINT ask for a stop, SIGHUP for a reload. The main thread only.

    A handler may do no more than ``SimpleQueue.put``: it is the one way to pass word on that
    cannot deadlock when the signal lands while the main thread holds a lock.
    """

    def handler(number: int, _frame: FrameType | None) -> None:
        controls.put(_MEANING[signal.Signals(number)])

    for number in _MEANING:
        signal.signal(number, handler)
