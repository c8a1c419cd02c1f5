"""Signals become requests to the main thread."""
from __future__ import annotations

import signal
from enum import Enum
from queue import SimpleQueue
from types import FrameType


class Control(Enum):
    """What the main thread can be asked to do."""

    STOP = "stop"
    RELOAD = "reload"


Controls = SimpleQueue[Control]

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
