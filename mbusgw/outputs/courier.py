"""Takes readings out of the history to one output, in order."""
from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass

from mbusgw.config.outputs import OutputConfig
from mbusgw.model.errors import OutputError, StoreError
from mbusgw.outputs.base import Output
from mbusgw.outputs.verdict import Said, Verdict, judge
from mbusgw.runtime.backoff import Backoff
from mbusgw.runtime.clock import Clock
from mbusgw.runtime.condition import Condition
from mbusgw.runtime.http import Http
from mbusgw.runtime.metrics import Metrics
from mbusgw.runtime.once import Once
from mbusgw.runtime.worker import NAME_LENGTH
from mbusgw.store import outputs, readings
from mbusgw.store.outputs import Refusal
from mbusgw.store.readings import KeptReading
from mbusgw.store.view import WorkerWithView
from mbusgw.store.writer import Store

log = logging.getLogger(__name__)

#: The longest wait at once.
LOOK_S = 5.0
#: How often what the output has is written down; as much may reach it twice after a kill -9.
SAVE_S = 1.0
#: Where many readings go in one request they are gathered for so long.
GATHER_S = 1.0
COMMIT_TIMEOUT_S = 30.0
#: A server that is not there costs one try, and is found soon after its return; one that answers is left in peace.
AWAY_PAUSES_S = (1.0, 4.0)
PAUSES_S = (1.0, 60.0)
#: So many refused in a row, and perhaps it is not the readings that are wrong: one of the newest so many is tried,
#: of another meter if there is one.
DOUBTS, NEWEST = 10, 100

#: A server that has another reason each time is told of each time.
REASONS_MAX = 100

DENIED_HINT = "what is read waits, as long as the history is kept (storage.keep_readings)"


class OutputDenied(OutputError):
    """The output takes nothing until a person has changed something."""


@dataclass(frozen=True, slots=True)
class CourierSnapshot:
    """How an output is. ``position``: the last reading that it has. **immutable**"""

    trouble: str | None
    position: int | None


class Courier(WorkerWithView):
    """The only one who talks to one output.

    The history is the queue, so an output that is away costs nothing but a place in it. A request that is refused is
    halved until the one bad reading is found. That one is set aside when the output has taken another, and still does
    not take it: one that refuses everything has another trouble, and then nothing is set aside and all is tried again
    later.
    ``snapshot``, ``ring``: **any thread**; the rest: **own thread**
    """

    def __init__(
        self,
        config: OutputConfig,
        output: Output,
        store: Store,
        *,
        hides: Callable[[str], bool],
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        super().__init__(f"out:{config.name}"[:NAME_LENGTH], store, clock, limit_s=60 + config.timeout)
        self.config = config
        self._output = output
        self._hides = hides
        self._metrics = metrics
        self._http = Http(clock)
        self._bell = threading.Event()
        self._away = Condition(log, f"output {config.name}", clock)
        self._denied = Condition(log, f"output {config.name}", clock, level=logging.ERROR)
        self._away_pause, self._pause = Backoff(*AWAY_PAUSES_S), Backoff(*PAUSES_S)
        self._again_mono = clock.mono()
        self._save_mono = clock.mono()
        self._size = output.batch
        self._taken: int | None = None  # up to here the output has everything, but for what is set aside
        self._saved = -1
        self._next = 0  # what was read so far; beyond what was taken only while in doubt
        self._doubts: list[KeptReading] = []  # refused, and nothing was taken since
        self._suspects: deque[KeptReading] = deque()  # tried once more, because another was taken
        self._refusals: list[Refusal] = []  # to be set aside, not yet written
        self._reasons = Once(REASONS_MAX)  # why readings were set aside: each is told once
        self._trouble: str | None = None
        self._doubt_reason = ""  # why the last one was refused

    # -------------------------------------------------- anyone
    def ring(self) -> None:
        """Something was committed."""
        if self._store.count("readings") > self._next:
            self._bell.set()

    def stop(self) -> None:
        """Ends after the request that is under way."""
        super().stop()
        self._bell.set()

    def snapshot(self) -> CourierSnapshot:
        """How the output is."""
        return CourierSnapshot(self._trouble, self._taken)

    # -------------------------------------------------- own thread
    def step(self) -> None:
        """One request, or a wait."""
        pause_s = self._again_mono - self.clock.mono()
        if pause_s > 0 or not self._entered():
            self.wait(min(pause_s, LOOK_S) if pause_s > 0 else LOOK_S)
            return
        newest = self._store.count("readings")
        if self._suspects:
            self._try_again()
        elif len(self._doubts) >= DOUBTS:
            self._try_another(newest)
        elif newest > self._next:
            self._hand_over(readings.after(self.view, self._next, self._size), newest)
        else:
            self._save()
            self._bell.wait(LOOK_S)
            self._bell.clear()
            return
        if self.clock.mono() >= self._save_mono:
            self._save()

    def teardown(self) -> None:
        """Writes down how far it has got."""
        self._save()
        self._http.close()
        super().teardown()

    def _entered(self) -> bool:
        if self._taken is None:
            try:
                (taken,) = self._store.submit(outputs.enter(self.config.name)).result(COMMIT_TIMEOUT_S)
            except (StoreError, FutureTimeout) as error:
                log.debug("output %s cannot begin yet: %s", self.config.name, error)
                return False
            self._taken = self._next = self._saved = taken
        return True

    def _hand_over(self, waiting: Sequence[KeptReading], newest: int) -> None:
        if not waiting:  # they were forgotten, or replaced by newer ones
            self._go_on(newest)
            return
        shown = [one for one in waiting if not self._hides(one.device_id)]
        verdict = self._post(shown)
        if verdict is None:
            self._go_on(waiting[-1].id)
        else:
            self._settle(waiting, len(shown), verdict)

    def _try_again(self) -> None:
        """One that was refused; now it is known that others are taken."""
        one = self._suspects[0]
        verdict = self._post([one])
        if verdict is None or verdict.said is Said.TAKEN:
            self._metrics.output_readings(self.config.name, "sent", 1)
        elif verdict.said is Said.REFUSED:
            self._set_aside(Refusal(one.id, one.device_id, one.read_at, verdict.reason))
        else:
            self._pause_for(verdict)
            return
        self._works()
        self._suspects.popleft()
        self._go_on(self._next)

    def _try_another(self, newest: int) -> None:
        """Before its turn: is it all these readings that are wrong, or the server? It gets that one twice."""
        doubted = {one.device_id for one in self._doubts}
        last = readings.after(self.view, max(self._next, newest - NEWEST), NEWEST)
        shown = [one for one in last if not self._hides(one.device_id)]
        verdict = self._post(sorted(shown, key=lambda one: (one.device_id not in doubted, one.id))[-1:])
        if verdict is None or verdict.said is Said.REFUSED:
            reason = verdict.reason if verdict else self._doubt_reason
            self._failed(Verdict(Said.DENIED, f"it refuses every reading: {reason}"))
        elif verdict.said is Said.TAKEN:
            self._take_up()
        else:
            self._failed(verdict)

    def _post(self, shown: Sequence[KeptReading]) -> Verdict | None:
        """What the server says; None where there is nothing to post."""
        request = self._output.request(shown) if shown else None
        if request is None:
            return None
        verdict = judge(self._http.post(request, timeout_s=self.config.timeout), self.clock)
        self._metrics.output_request(self.config.name, verdict.said.value)
        return verdict

    # -------------------------------------------------- what became of a request
    def _settle(self, sent: Sequence[KeptReading], shown: int, verdict: Verdict) -> None:
        if verdict.said is Said.TAKEN:
            self._well(sent, shown)
        elif verdict.said is not Said.REFUSED:
            self._failed(verdict)
        elif len(sent) > 1:
            self._size = len(sent) // 2
        else:
            self._doubt(sent[0], verdict)

    def _well(self, sent: Sequence[KeptReading], shown: int) -> None:
        self._take_up()
        self._go_on(sent[-1].id)
        self._metrics.output_readings(self.config.name, "sent", shown)
        if len(sent) < self._size and self._output.batch > 1:
            self._again_mono = self.clock.mono() + GATHER_S
        self._size = min(2 * self._size, self._output.batch)

    def _take_up(self) -> None:
        """It takes readings: those that it did not take are tried once more."""
        self._suspects.extend(self._doubts)
        self._doubts = []
        self._works()

    def _works(self) -> None:
        self._away.cleared("takes readings again")
        self._denied.cleared("takes readings again")
        self._trouble = None
        self._away_pause.reset()
        self._pause.reset()

    def _set_aside(self, one: Refusal) -> None:
        self._refusals.append(one)
        level = logging.ERROR if self._reasons.begins(one.reason) else logging.DEBUG
        log.log(
            level,
            "output %s does not take a reading of %s: %s; it is set aside, as are others that it refuses for that"
            " reason. GET /state and mbusgw_output_readings_total tell of them",
            self.config.name,
            one.device_id,
            one.reason,
        )
        self._metrics.output_readings(self.config.name, "set_aside")

    def _go_on(self, reading_id: int) -> None:
        self._next = reading_id
        if not self._doubts and not self._suspects:
            self._taken = self._next

    def _doubt(self, one: KeptReading, verdict: Verdict) -> None:
        self._doubts.append(one)
        self._doubt_reason = verdict.reason
        self._next = one.id

    def _failed(self, verdict: Verdict) -> None:
        """Everything from what was taken last on is tried again."""
        self._doubts = []
        self._next = self._taken or 0
        self._pause_for(verdict)

    def _pause_for(self, verdict: Verdict) -> None:
        self._trouble = verdict.reason
        if verdict.said is Said.DENIED:
            self._denied.failed(OutputDenied(verdict.reason, hint=DENIED_HINT))
        else:
            self._away.failed(OutputError(verdict.reason))
        pauses = self._away_pause if verdict.said is Said.AWAY and verdict.pause_s is None else self._pause
        pause_s = verdict.pause_s if verdict.pause_s is not None else pauses.next_s()
        self._again_mono = self.clock.mono() + pause_s

    def _save(self) -> None:
        """What cannot be written now (a full disk) is written later."""
        self._save_mono = self.clock.mono() + SAVE_S
        if self._taken is None or self._suspects or (self._taken == self._saved and not self._refusals):
            return
        write = outputs.advance(self.config.name, self._taken, self._refusals, self.clock.now())
        try:
            self._store.submit(write).result(COMMIT_TIMEOUT_S)
        except (StoreError, FutureTimeout) as error:
            log.debug("how far output %s has got is not written down yet: %s", self.config.name, error)
            return
        self._saved, self._refusals = self._taken, []
