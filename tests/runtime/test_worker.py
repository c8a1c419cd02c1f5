"""Threads: names, steps, crashes, stops."""
from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import pytest

from mbusgw.model.errors import Stopping
from mbusgw.runtime import worker as worker_module
from mbusgw.runtime.backoff import Backoff
from mbusgw.runtime.clock import Clock, SystemClock
from mbusgw.runtime.worker import CRASH_LIMIT, CRASH_WINDOW_S, Worker, spawn
from tests.fakes.clock import FakeClock
from tests.wait import PATIENCE_S, wait_until


class Counting(Worker):
    """Counts what is called; ``act`` is one round."""

    def __init__(self, clock: Clock, act: Callable[[], None] = lambda: None) -> None:
        super().__init__("counting", clock)
        self._pause = Backoff(0.01, 0.05)
        self.setups = self.steps = self.teardowns = 0
        self.threads: set[str] = set()
        self._act = act

    def setup(self) -> None:
        self.setups += 1

    def step(self) -> None:
        self.steps += 1
        self.threads.add(threading.current_thread().name)
        self._act()
        self.wait(0.001)

    def teardown(self) -> None:
        self.teardowns += 1


def crash() -> None:
    raise RuntimeError("on purpose")


def test_a_worker_steps_in_its_own_named_thread_until_it_is_told_to_stop() -> None:
    worker = Counting(SystemClock())
    assert not worker.alive and worker.thread_id is None
    worker.start()
    wait_until(lambda: worker.steps > 5)
    assert worker.alive and worker.thread_id in {thread.ident for thread in threading.enumerate()}
    worker.stop()
    assert worker.stopping
    assert worker.join(PATIENCE_S)
    assert not worker.alive
    assert worker.threads == {"counting"}
    assert (worker.setups, worker.teardowns, worker.crashes) == (1, 1, 0)


def test_join_before_start_is_over_at_once() -> None:
    assert Counting(SystemClock()).join(0)


def test_join_says_when_the_end_did_not_come() -> None:
    release = threading.Event()
    worker = Counting(SystemClock(), lambda: None if release.wait(PATIENCE_S) else None)
    worker.start()
    worker.stop()
    assert not worker.join(0.01)
    assert not worker.join(-5)
    release.set()
    assert worker.join(PATIENCE_S)


def test_a_crash_is_logged_with_its_trace_and_the_worker_starts_again(caplog: pytest.LogCaptureFixture) -> None:
    crashes = iter([crash, crash])
    worker = Counting(SystemClock(), lambda: next(crashes, lambda: None)())
    worker.start()
    wait_until(lambda: worker.steps >= 4)
    worker.stop()
    assert worker.join(PATIENCE_S)
    assert worker.crashes == 2
    assert worker.setups == 3 and worker.teardowns == 3
    assert not worker.failed
    records = [record for record in caplog.records if "crashed" in record.message]
    assert len(records) == 2
    assert all(record.exc_info and "on purpose" in str(record.exc_info[1]) for record in records)


def test_a_setup_that_fails_is_torn_down_and_tried_again() -> None:
    class Opening(Counting):
        def setup(self) -> None:
            super().setup()
            if self.setups < 3:
                raise OSError("not there yet")

    worker = Opening(SystemClock())
    worker.start()
    wait_until(lambda: worker.steps)
    worker.stop()
    assert worker.join(PATIENCE_S)
    assert worker.setups == 3 and worker.teardowns == 3


def test_a_teardown_that_fails_is_logged_and_ends_the_thread_all_the_same(caplog: pytest.LogCaptureFixture) -> None:
    class Closing(Counting):
        def teardown(self) -> None:
            raise OSError("does not close")

    worker = Closing(SystemClock())
    worker.start()
    worker.stop()
    assert worker.join(PATIENCE_S)
    assert "could not close cleanly" in caplog.text


def test_stopping_ends_the_thread_without_a_crash() -> None:
    def stop() -> None:
        raise Stopping

    worker = Counting(SystemClock(), stop)
    worker.start()
    assert worker.join(PATIENCE_S)
    assert worker.crashes == 0 and worker.teardowns == 1


def test_a_stop_ends_the_pause_after_a_crash() -> None:
    worker = Counting(SystemClock(), crash)
    worker._pause = Backoff(600, 600)
    worker.start()
    wait_until(lambda: worker.crashes == 1)
    worker.stop()
    assert worker.join(PATIENCE_S)


def crash_after(worker: Worker, clock: FakeClock, seconds: float) -> None:
    clock.advance(seconds)
    try:
        raise RuntimeError("on purpose")
    except RuntimeError:
        worker._crashed()


def stopped_worker(clock: FakeClock) -> Counting:
    worker = Counting(clock)
    worker.stop()  # so that no pause is waited for
    return worker


def test_five_crashes_within_ten_minutes_mark_a_worker_as_failed(caplog: pytest.LogCaptureFixture) -> None:
    clock = FakeClock()
    worker = stopped_worker(clock)
    for _ in range(CRASH_LIMIT - 1):
        crash_after(worker, clock, 60)
        assert not worker.failed
    crash_after(worker, clock, 60)
    assert worker.failed
    assert "counts as failed" in caplog.text
    clock.advance(CRASH_WINDOW_S)
    assert not worker.failed, "it has been well for long enough"


def test_rare_crashes_never_mark_a_worker_as_failed() -> None:
    clock = FakeClock()
    worker = stopped_worker(clock)
    for _ in range(20):
        crash_after(worker, clock, CRASH_WINDOW_S / 4 + 1)
        assert not worker.failed


def test_the_pause_grows_with_crashes_in_a_row_and_begins_anew_after_a_quiet_time(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = FakeClock()
    worker = stopped_worker(clock)
    worker._pause = Backoff(1, 60, jitter=0)
    for _ in range(4):
        crash_after(worker, clock, 30)
    crash_after(worker, clock, CRASH_WINDOW_S)
    pauses = [record.args[2] for record in caplog.records if record.exc_info and record.args]  # type: ignore[index]
    assert pauses == [1, 2, 4, 8, 1]


def test_the_heart_beats_with_every_step_and_in_a_pause() -> None:
    clock = FakeClock()
    worker = Counting(clock)
    worker.start()
    try:
        clock.advance(worker.heartbeat.limit_s + 1)
        wait_until(lambda: not worker.heartbeat.stalled)
    finally:
        worker.stop()
        assert worker.join(PATIENCE_S)


def test_a_step_that_hangs_stalls_the_heart() -> None:
    clock = FakeClock()
    release = threading.Event()
    worker = Counting(clock, lambda: None if release.wait(PATIENCE_S) else None)
    worker.start()
    wait_until(lambda: worker.steps)
    clock.advance(worker.heartbeat.limit_s)
    assert not worker.heartbeat.stalled
    clock.advance(0.1)
    assert worker.heartbeat.stalled
    assert worker.heartbeat.age_s == pytest.approx(worker.heartbeat.limit_s + 0.1)
    release.set()
    worker.stop()
    assert worker.join(PATIENCE_S)


def test_a_thread_name_that_top_would_cut_is_refused() -> None:
    with pytest.raises(ValueError, match="15"):
        spawn("sixteen-letters!", lambda: None)


def test_threads_are_daemons_so_that_one_that_hangs_does_not_keep_the_process() -> None:
    thread = spawn("fifteen-letters", lambda: None)
    thread.join(PATIENCE_S)
    assert thread.daemon


def test_a_step_that_is_not_written_is_a_crash_not_silence(caplog: pytest.LogCaptureFixture) -> None:
    worker = Worker("empty", SystemClock())
    worker.start()
    wait_until(lambda: worker.crashes)
    worker.stop()
    assert worker.join(PATIENCE_S)
    assert any(record.levelno == logging.ERROR for record in caplog.records)


def test_only_one_place_starts_threads() -> None:
    """House rule: a thread that nobody knows of is a thread that nobody stops."""
    package = __import__("pathlib").Path(worker_module.__file__).parents[1]
    starters = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if "threading.Thread(" in path.read_text(encoding="utf-8") or "ThreadPoolExecutor(" in path.read_text("utf-8")
    }
    assert starters == {"runtime/worker.py"}
