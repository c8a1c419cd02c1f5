"""The checks and what they add up to."""
from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from mbusgw.health import checks
from mbusgw.health.readiness import Readiness
from mbusgw.health.report import CheckResult, Status, worst
from mbusgw.model.errors import StoreFull
from mbusgw.runtime.clock import SystemClock
from mbusgw.runtime.worker import Worker
from tests.health.fakes import Crashing, Idle, TurnedClock
from tests.wait import PATIENCE_S, wait_until


@pytest.fixture
def idle() -> Iterator[tuple[Idle, TurnedClock]]:
    clock = TurnedClock()
    worker = Idle("idle", clock, limit_s=5)
    worker.start()
    yield worker, clock
    worker.stop()
    assert worker.join(PATIENCE_S)


def look(*workers: Worker) -> CheckResult:
    return checks.workers(lambda: workers)()


def test_workers_that_run_are_healthy(idle: tuple[Idle, TurnedClock]) -> None:
    assert look(idle[0]) == CheckResult(Status.HEALTHY, "1 thread")


def test_a_worker_without_progress_is_named(idle: tuple[Idle, TurnedClock]) -> None:
    worker, clock = idle
    clock.turn(6)
    assert look(worker) == CheckResult(Status.UNHEALTHY, "without progress: idle")


def test_a_worker_that_does_not_run_is_named() -> None:
    assert look(Idle("absent", TurnedClock())) == CheckResult(Status.UNHEALTHY, "not running: absent")


def test_a_worker_that_was_told_to_stop_is_no_fault() -> None:
    worker = Idle("done", TurnedClock())
    worker.start()
    worker.stop()
    assert worker.join(PATIENCE_S)
    assert look(worker).status is Status.HEALTHY


def test_a_worker_that_crashed_too_often_is_named(caplog: pytest.LogCaptureFixture) -> None:
    worker = Crashing("wreck", SystemClock())
    worker._pause.first_s = 0.001
    with caplog.at_level(logging.CRITICAL):
        worker.start()
        wait_until(lambda: worker.failed)
        result = look(worker)
        worker.stop()
        assert worker.join(PATIENCE_S)
    assert result == CheckResult(Status.UNHEALTHY, "crashed too often: wreck")


def test_a_lost_connection_weighs_what_the_table_says() -> None:
    shaky = checks.connection("the broker", lambda: True, trouble=lambda: "a rival")()
    assert shaky == CheckResult(Status.DEGRADED, "a rival")
    assert checks.connection("the broker", lambda: True)() == CheckResult(Status.HEALTHY, "connected")
    assert checks.connection("the broker", lambda: False)() == CheckResult(
        Status.DEGRADED, "the broker is not connected"
    )
    assert checks.connection("bus main", lambda: False, lost=Status.UNHEALTHY)().status is Status.UNHEALTHY


def test_a_queue_that_is_nearly_full_is_degraded() -> None:
    assert checks.filling("messages", lambda: 7, 10)() == CheckResult(Status.HEALTHY, "7 of 10 messages")
    assert checks.filling("messages", lambda: 8, 10)().status is Status.DEGRADED


@pytest.mark.parametrize("error", [StoreFull("no room on the disk"), OSError("gone")])
def test_a_check_that_fails_is_unhealthy_with_its_reason(error: Exception) -> None:
    def touch() -> None:
        raise error

    results = checks.run({"store": checks.writable(touch), "other": checks.writable(lambda: None)})
    assert results["store"] == CheckResult(Status.UNHEALTHY, str(error))
    assert results["other"].status is Status.HEALTHY


def test_the_worst_counts() -> None:
    assert worst([]) is Status.HEALTHY
    assert worst([Status.HEALTHY, Status.DEGRADED]) is Status.DEGRADED
    assert worst([Status.UNHEALTHY, Status.HEALTHY, Status.DEGRADED]) is Status.UNHEALTHY


@pytest.mark.parametrize(
    "mqtt, parser, status",
    [(True, True, "ready"), (True, None, "ready"), (True, False, "unavailable"), (False, True, "unavailable")],
)
def test_readiness_needs_the_broker_and_a_parser(mqtt: bool, parser: bool | None, status: str) -> None:
    document = Readiness(mqtt, parser, {"parse": 3}).document()
    assert document == {
        "status": status,
        "mqtt_connected": mqtt,
        "parser_reachable": parser,
        "queues": {"parse": 3},
    }


@pytest.mark.parametrize(
    ("trouble", "locked", "status", "detail"),
    [
        ("", 0, Status.HEALTHY, "usable"),
        ("", 3, Status.DEGRADED, "3 keys are encrypted with another master key"),
        ("x cannot be read", 3, Status.DEGRADED, "the master key cannot be used: x cannot be read"),
    ],
)
def test_keys_that_cannot_be_opened_are_a_reason_to_look(
    trouble: str, locked: int, status: Status, detail: str
) -> None:
    result = checks.keys_open(lambda: trouble, lambda: locked)()
    assert (result.status, result.detail) == (status, detail)


def test_a_configuration_that_cannot_be_used_is_a_reason_to_look() -> None:
    assert checks.in_force(lambda: "")().status is Status.HEALTHY
    refused = checks.in_force(lambda: "mbusgw.yaml:1: mqtt.qos: must be at most 2")()
    assert refused.status is Status.DEGRADED and refused.detail.endswith("mbusgw.yaml:1: mqtt.qos: must be at most 2")


def test_a_radio_gateway_that_stopped_is_named() -> None:
    silent: list[str] = []
    check = checks.gateways_heard(lambda: 3, lambda: silent)
    assert check().status is Status.HEALTHY
    silent.append("gw2")
    assert check().status is Status.DEGRADED and "gw2" in check().detail
