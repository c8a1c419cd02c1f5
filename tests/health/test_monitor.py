"""The health thread: report, log, heartbeat file."""
from __future__ import annotations

import logging
from pathlib import Path

import pytest

from mbusgw.health import monitor as monitor_module
from mbusgw.health.checks import Check
from mbusgw.health.monitor import STARTING_S, HealthMonitor
from mbusgw.health.report import CheckResult, HealthReport, Status
from mbusgw.runtime.clock import SystemClock
from mbusgw.runtime.metrics import Metrics
from tests.health.fakes import Idle, TurnedClock
from tests.wait import PATIENCE_S, wait_until


class House:
    """A monitor with one component that the test switches."""

    def __init__(self, path: Path, clock: TurnedClock | SystemClock, interval_s: float = 0) -> None:
        self.result = CheckResult(Status.HEALTHY, "connected")
        self.published: list[HealthReport] = []
        self.metrics = Metrics()
        self.worker = Idle("someone", clock)
        self.path = path
        self.table: dict[str, Check] = {
            "mqtt": lambda: self.result,
            "store": lambda: CheckResult(Status.HEALTHY, "writable"),
        }
        self.monitor = HealthMonitor(
            lambda: self.table,
            clock,
            interval_s=interval_s,
            version="1.2.3",
            meters=lambda: (2, 3),
            heartbeat_file=path,
            workers=lambda: [self.worker],
            metrics=self.metrics,
            publish=self.published.append,
        )


@pytest.fixture
def clock() -> TurnedClock:
    return TurnedClock()


@pytest.fixture
def house(tmp_path: Path, clock: TurnedClock) -> House:
    return House(tmp_path / "run" / "heartbeat", clock)


def test_the_report_says_how_everything_is(house: House, clock: TurnedClock) -> None:
    clock.turn(61)
    assert house.monitor.report().document() == {
        "status": "healthy",
        "components": {
            "mqtt": {"status": "healthy", "detail": "connected"},
            "store": {"status": "healthy", "detail": "writable"},
        },
        "version": "1.2.3",
        "started_at": "2026-05-01T12:00:00.000Z",
        "uptime_s": 61,
        "meters_online": 2,
        "meters_known": 3,
        "messages_waiting": 0,
        "last_error": None,
    }


def test_the_last_error_is_told_also_when_it_is_over_but_none_of_the_first_moment(
    house: House, clock: TurnedClock
) -> None:
    trouble = CheckResult(Status.DEGRADED, "the broker is not connected")
    told = []
    for result in (trouble, CheckResult(Status.HEALTHY), trouble, CheckResult(Status.HEALTHY)):
        house.result = result
        house.monitor.step()
        clock.turn(30)
        told.append(house.published[-1].last_error)
    assert told[:2] == [None, None]
    assert told[2] == told[3] == {"at": "2026-05-01T12:01:00.000Z", "message": "mqtt: the broker is not connected"}


def test_a_report_on_demand_is_never_older_than_a_second(house: House, clock: TurnedClock) -> None:
    first = house.monitor.report()
    house.result = CheckResult(Status.DEGRADED, "the broker is not connected")
    clock.turn(0.5)
    assert house.monitor.report() is first
    clock.turn(0.6)
    assert house.monitor.report().status is Status.DEGRADED


def test_each_look_is_published_and_written_to_the_heartbeat_file(house: House, clock: TurnedClock) -> None:
    house.monitor.step()
    clock.turn(30)
    house.monitor.step()
    assert [report.uptime_s for report in house.published] == [0, 30]
    assert house.path.read_text() == "2026-05-01T12:00:30.000Z healthy up 30 s\n"
    assert [path.name for path in house.path.parent.iterdir()] == ["heartbeat"]


def test_crashes_of_workers_are_shown_as_a_metric(house: House) -> None:
    house.worker.crashes = 4
    house.monitor.step()
    assert b'mbusgw_worker_crashes{worker="someone"} 4.0' in house.metrics.render()


def test_a_trouble_is_logged_when_it_begins_worsens_and_ends(
    house: House, clock: TurnedClock, caplog: pytest.LogCaptureFixture
) -> None:
    states = [
        CheckResult(Status.HEALTHY),
        CheckResult(Status.DEGRADED, "the broker is not connected"),
        CheckResult(Status.DEGRADED, "the broker is still not connected"),
        CheckResult(Status.DEGRADED, "the broker is not connected"),
        CheckResult(Status.UNHEALTHY, "the broker refuses the password"),
        CheckResult(Status.HEALTHY),
        CheckResult(Status.HEALTHY),
    ]
    with caplog.at_level(logging.INFO, logger="mbusgw.health"):
        for state in states:
            house.result = state
            house.monitor.step()
            clock.turn(30)
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", "mqtt is degraded: the broker is not connected"),
        ("ERROR", "mqtt is unhealthy: the broker refuses the password"),
        ("INFO", "mqtt is healthy again after 120 s (unhealthy at 1 look)"),
    ]


@pytest.mark.parametrize("status,said", [(Status.DEGRADED, []), (Status.UNHEALTHY, ["ERROR"])])
def test_at_the_start_it_is_no_news_that_something_is_not_there_yet(
    house: House, clock: TurnedClock, caplog: pytest.LogCaptureFixture, status: Status, said: list[str]
) -> None:
    house.result = CheckResult(status, "the broker is not connected")
    with caplog.at_level(logging.WARNING, logger="mbusgw.health"):
        house.monitor.step()
        assert [record.levelname for record in caplog.records] == said
        clock.turn(STARTING_S)
        house.monitor.step()
        assert len(caplog.records) == 1


def test_soon_after_the_start_it_looks_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monitor_module, "STARTING_S", 0.5)
    house = House(tmp_path / "heartbeat", SystemClock(), interval_s=PATIENCE_S * 2)
    house.monitor.start()
    wait_until(lambda: len(house.published) > 1, what="there was no second look")
    house.monitor.stop()
    assert house.monitor.join(PATIENCE_S)


def test_of_a_component_that_is_taken_out_nothing_is_said_any_more(
    house: House, clock: TurnedClock, caplog: pytest.LogCaptureFixture
) -> None:
    clock.turn(STARTING_S)
    house.result = CheckResult(Status.DEGRADED, "not connected")
    house.monitor.step()
    taken_out = house.table.pop("mqtt")
    house.monitor.step()
    house.table["mqtt"] = taken_out
    house.result = CheckResult(Status.HEALTHY)
    with caplog.at_level(logging.INFO, logger="mbusgw.health"):
        caplog.clear()
        house.monitor.step()
    assert caplog.records == [], "it is another one now, which was never in trouble"


def test_a_heartbeat_file_that_cannot_be_written_is_said_once_and_stops_nothing(
    tmp_path: Path, clock: TurnedClock, caplog: pytest.LogCaptureFixture
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    house = House(blocked / "heartbeat", clock)
    with caplog.at_level(logging.INFO, logger="mbusgw.health"):
        house.monitor.step()
        house.monitor.step()
        blocked.unlink()
        house.monitor.step()
    assert len(house.published) == 3
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert (blocked / "heartbeat").exists()


def test_the_thread_looks_at_once_and_takes_the_heartbeat_file_away_when_it_stops(tmp_path: Path) -> None:
    house = House(tmp_path / "heartbeat", SystemClock(), interval_s=30)
    house.monitor.start()
    wait_until(house.path.exists)
    house.monitor.stop()
    assert house.monitor.join(PATIENCE_S)
    assert not house.path.exists()
