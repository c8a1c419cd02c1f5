"""Starting in order, stopping in reverse, each part within its time."""
from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mbusgw.model.errors import MbusgwError
from mbusgw.runtime.ending import Part, end

log = logging.getLogger(__name__)


#: Parts, or who names them at the time: some come and go while the house stands.
Parts = Sequence[Part] | Callable[[], Sequence[Part]]


@dataclass(frozen=True, slots=True)
class Stage:
    """Parts that start and stop together. **immutable**

    ``budget_s`` is how long all of them may take to stop; the budgets of a house add up to
    less than the five seconds in which it must be down. ``farewell(for_good)`` is called first.
    An ``optional`` stage that cannot start (its HTTP port is taken) does not keep the rest
    from working; it is tried again.
    """

    name: str
    parts: Parts
    budget_s: float
    farewell: Callable[[bool], None] | None = None
    optional: bool = False

    def members(self) -> Sequence[Part]:
        """Its parts as they are now."""
        return self.parts() if callable(self.parts) else self.parts


class Stages:
    """The house's parts in order. The main thread only."""

    def __init__(self, stages: Sequence[Stage]) -> None:
        self._stages = stages
        self._started: list[Stage] = []
        self._missing: list[Stage] = []

    def start(self) -> None:
        """Starts every part. Raises the ``MbusgwError`` of one that cannot, unless its stage is optional."""
        for stage in self._stages:
            if not stage.optional:
                self._started.append(stage)
                _start(stage)
            elif not self._try(stage):
                self._missing.append(stage)

    def retry(self) -> None:
        """Tries to start what could not."""
        self._missing = [stage for stage in self._missing if not self._try(stage, again=True)]

    def _try(self, stage: Stage, *, again: bool = False) -> bool:
        try:
            _start(stage)
        except MbusgwError as error:
            if not again:
                log.error("%s: %s%s; everything else works, and it is tried again", stage.name, error, _hint(error))
            return False
        if again:
            log.warning("%s works now", stage.name)
        self._started.append(stage)
        return True

    def stop(self, *, for_good: bool) -> bool:
        """Stops in reverse order; says whether everything ended in its time. What did not is named with its stack.

        ``for_good``: no next run follows at once, so others are told that we are gone.
        """
        clean = True
        while self._started:
            clean = self._stop(self._started.pop(), for_good) and clean
        return clean

    def _stop(self, stage: Stage, for_good: bool) -> bool:
        if stage.farewell is not None:
            stage.farewell(for_good)
        return end(stage.members(), stage.budget_s)


def _start(stage: Stage) -> None:
    for part in stage.members():
        part.start()


def _hint(error: MbusgwError) -> str:
    return f" ({error.hint})" if error.hint else ""
