"""Starting in order, stopping in reverse, each within its budget."""
from __future__ import annotations

import logging
import threading

import pytest

from mbusgw.app.stages import Stage, Stages
from mbusgw.model.errors import MbusgwError
from mbusgw.runtime.clock import SystemClock
from mbusgw.runtime.worker import Worker
from tests.wait import PATIENCE_S

Diary = list[str]


class Part(Worker):
    """Writes down what it is told; ``refusals`` starts fail first."""

    def __init__(self, name: str, diary: Diary, *, refusals: int = 0) -> None:
        super().__init__(name, SystemClock())
        self._diary = diary
        self._refusals = refusals

    def start(self) -> None:
        if self._refusals:
            self._refusals -= 1
            raise MbusgwError("the port is taken", hint="choose another")
        self._diary.append(f"{self.name} starts")
        super().start()

    def stop(self) -> None:
        self._diary.append(f"{self.name} stops")
        super().stop()

    def step(self) -> None:
        self.wait(10)


class Stubborn(Part):
    """Does not hear that it shall stop before ``released``."""

    def __init__(self, diary: Diary) -> None:
        super().__init__("stubborn", diary)
        self.released = threading.Event()

    def step(self) -> None:
        self.released.wait(PATIENCE_S)


def test_parts_start_in_order_and_stop_in_reverse() -> None:
    diary: Diary = []
    a, b, c = (Part(name, diary) for name in "abc")
    stages = Stages([Stage("first", [a, b], PATIENCE_S), Stage("second", [c], PATIENCE_S)])
    stages.start()
    assert a.alive and b.alive and c.alive
    assert stages.stop(for_good=True)
    assert diary == ["a starts", "b starts", "c starts", "c stops", "a stops", "b stops"]
    assert not (a.alive or b.alive or c.alive)


@pytest.mark.parametrize("for_good", [True, False])
def test_a_farewell_comes_before_the_stop_and_knows_whether_it_is_for_good(for_good: bool) -> None:
    diary: Diary = []
    part = Part("a", diary)
    stages = Stages([Stage("only", [part], PATIENCE_S, farewell=lambda final: diary.append(f"farewell {final}"))])
    stages.start()
    stages.stop(for_good=for_good)
    assert diary == ["a starts", f"farewell {for_good}", "a stops"]


def test_a_part_that_misses_its_budget_is_named_with_its_stack_and_left_behind(
    caplog: pytest.LogCaptureFixture,
) -> None:
    diary: Diary = []
    stubborn = Stubborn(diary)
    stages = Stages([Stage("first", [Part("a", diary)], PATIENCE_S), Stage("second", [stubborn], 0.1)])
    stages.start()
    assert not stages.stop(for_good=True)
    assert stubborn.alive
    assert "stubborn does not stop" in caplog.text and "self.released.wait(PATIENCE_S)" in caplog.text
    assert diary[-1] == "a stops", "the others stop all the same"
    stubborn.released.set()
    assert stubborn.join(PATIENCE_S)


def test_an_optional_stage_that_cannot_start_keeps_nobody_from_working_and_is_tried_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "mbusgw.app")
    diary: Diary = []
    stages = Stages(
        [
            Stage("store", [Part("a", diary)], PATIENCE_S),
            Stage("HTTP", [Part("b", diary, refusals=2)], PATIENCE_S, optional=True),
            Stage("watchers", [Part("c", diary)], PATIENCE_S),
        ]
    )
    stages.start()
    assert diary == ["a starts", "c starts"]
    for _ in range(3):
        stages.retry()
    assert diary[2:] == ["b starts"]
    assert stages.stop(for_good=True)
    assert set(diary[3:]) == {"a stops", "b stops", "c stops"}
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2 and "the port is taken (choose another)" in said[0] and said[1] == "HTTP works now"


def test_a_stage_that_must_start_ends_the_start_and_what_runs_can_be_stopped() -> None:
    diary: Diary = []
    refusing = Part("b", diary, refusals=9)
    stages = Stages([Stage("store", [Part("a", diary)], PATIENCE_S), Stage("way out", [refusing], PATIENCE_S)])
    with pytest.raises(MbusgwError, match="the port is taken"):
        stages.start()
    assert stages.stop(for_good=True)
    assert "a stops" in diary
