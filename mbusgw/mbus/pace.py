"""How fast one meter answers, and how much time it is therefore given (EN 13757-2:2018, 5.7)."""
from __future__ import annotations

from dataclasses import dataclass
from math import ceil

SILENCES_MAX = 3  # tries in vain after which a meter's longer window is forgotten; a late answer earns it again
IN_TIME_MIN = 4  # answers in time after which it is forgotten too; twice as many with each time it was late
RELAPSES_MAX = 7  # that are counted
STEP_MAX = 16  # windows that one late answer can earn: it may have come late through a queue


@dataclass(slots=True)
class Pace:
    """What one meter has earned. **own thread**

    ``patience``: how many times the standard's answer window it is given; ``silences``: tries in vain since it last
    sent data or was late; ``in_time``: how often in a row it has needed no more than one window since it was last
    late, and ``relapses``: how often it was late. ``missed_mono``: when the last request had been sent that it has
    not answered.
    """

    patience: int = 1
    silences: int = 0
    in_time: int = 0
    relapses: int = 0
    missed_mono: float | None = None

    def answered(self, *, in_time: bool, data: bool) -> None:
        """What comes from it now is no late answer. One that was slow for once is not waited for when it is silent.

        ``data``: no mere acknowledgement. Some meters acknowledge each SND_NKE and send no data for days.
        """
        self.missed_mono, self.silences = None, 0 if data else self.silences
        self.in_time = self.in_time + 1 if in_time else 0
        if self.in_time >= IN_TIME_MIN << min(self.relapses, RELAPSES_MAX):
            self.patience = 1

    def missed(self, sent_mono: float) -> None:
        """It did not answer. One that has gone shall cost the others no more than the standard's window."""
        self.missed_mono = sent_mono
        self.silences += 1
        if self.silences % SILENCES_MAX == 0:
            self.patience = 1

    def late(self, windows: float = 0.0) -> None:
        """What was given up came so many windows after its request."""
        self.relapses += self.patience == 1
        self.patience = max(self.patience * 2, min(ceil(windows) + 1, STEP_MAX))
        self.missed_mono, self.silences, self.in_time = None, 0, 0
