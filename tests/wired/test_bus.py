"""The thread that owns a port: jobs, deadlines, a port that is away, goes and comes back."""
from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest

from mbusgw.mbus.answer import Answer
from mbusgw.mbus.session import Session
from mbusgw.model.errors import BusError, BusLocked, NoAnswer, TransportLost, TransportOpenFailed
from mbusgw.simulator.line import PtyLine, TcpLine
from mbusgw.transports.serialport import SerialPort, open_port
from mbusgw.wired.bus import LOOK_S, REOPEN_FIRST_S, Bus, thread_name
from mbusgw.wired.turns import Urgency
from tests.fakes.clock import FakeClock
from tests.simulator.wire import CLOCK, running_segment
from tests.wait import PATIENCE_S, wait_until
from tests.wired.house import bus_and_meters, bus_config, running


def soon() -> float:
    return CLOCK.mono() + PATIENCE_S


def read(bus: Bus, address: int, *, deadline_mono: float | None = None) -> Future[Answer]:
    return bus.submit(lambda session: session.read_user_data(address), deadline_mono=deadline_mono or soon())


@pytest.fixture
def held() -> Iterator[threading.Event]:
    """A job that waits for this event holds the bus; it is let go at the end in any case."""
    event = threading.Event()
    yield event
    event.set()


def test_a_job_is_done_and_its_result_comes_by_the_future() -> None:
    with running_segment() as segment:
        bus = Bus(bus_config(segment.port), clock=CLOCK)
        with running(bus):
            assert read(bus, 1).result(PATIENCE_S).complete
            state = bus.snapshot()
            assert (state.connected, state.requests, state.errors, state.last_error) == (True, 1, 0, None)


def test_a_failure_comes_by_the_future_and_is_counted() -> None:
    with bus_and_meters() as (bus, _):
        with running(bus):
            with pytest.raises(NoAnswer):
                read(bus, 77, deadline_mono=bus.clock.mono() + PATIENCE_S).result(PATIENCE_S)
            assert bus.snapshot().errors == 1
            assert "77" in (bus.snapshot().last_error or "")
            assert read(bus, 1, deadline_mono=bus.clock.mono() + PATIENCE_S).result(PATIENCE_S).complete


def test_urgent_jobs_go_first_and_equals_in_order(held: threading.Event) -> None:
    order: list[str] = []

    def note(name: str) -> None:
        order.append(name)

    with running_segment() as segment:
        bus = Bus(bus_config(segment.port), clock=CLOCK)
        with running(bus):
            begun = threading.Event()
            bus.submit(lambda session: (begun.set(), held.wait(PATIENCE_S)), deadline_mono=soon())
            assert begun.wait(PATIENCE_S)
            jobs = [
                bus.submit(lambda session, n=name: note(n), deadline_mono=soon(), urgency=urgency)  # type: ignore[misc]
                for name, urgency in (
                    ("scan", Urgency.BACKGROUND),
                    ("due 1", Urgency.ROUTINE),
                    ("due 2", Urgency.ROUTINE),
                    ("person", Urgency.NOW),
                )
            ]
            assert bus.snapshot().waiting == 4
            held.set()
            for job in jobs:
                job.result(PATIENCE_S)
    assert order == ["person", "due 1", "due 2", "scan"]


def test_a_job_past_its_deadline_is_refused_unspoken(held: threading.Event) -> None:
    with running_segment() as segment:
        bus = Bus(bus_config(segment.port), clock=CLOCK)
        with running(bus):
            bus.submit(lambda session: held.wait(PATIENCE_S), deadline_mono=soon())
            deadline_mono = CLOCK.mono() + 0.01
            late = read(bus, 1, deadline_mono=deadline_mono)
            wait_until(lambda: CLOCK.mono() > deadline_mono)
            held.set()
            with pytest.raises(BusError, match="did not get to it in time"):
                late.result(PATIENCE_S)
            assert not segment.requests
            assert bus.snapshot().refused == 1


def test_a_job_that_nobody_waits_for_any_more_is_not_spoken(held: threading.Event) -> None:
    with running_segment() as segment:
        bus = Bus(bus_config(segment.port), clock=CLOCK)
        with running(bus):
            bus.submit(lambda session: held.wait(PATIENCE_S), deadline_mono=soon())
            unwanted = read(bus, 1)
            assert unwanted.cancel()
            held.set()
            assert read(bus, 2).result(PATIENCE_S).complete
            assert {request[2] for _, request in segment.requests} == {2}


def test_a_port_that_does_not_exist_refuses_jobs_and_is_said_once(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.INFO, "mbusgw")
    bus = Bus(bus_config(str(tmp_path / "ttyUSB9")), clock=CLOCK)
    with running(bus):
        for _ in range(20):
            with pytest.raises(TransportOpenFailed, match="ttyUSB9 does not exist"):
                read(bus, 1).result(PATIENCE_S)
        wait_until(lambda: bus._condition.failures >= 2)
        assert not bus.snapshot().connected
    warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == 1
    assert "ttyUSB9 does not exist" in warnings[0] and "port" in warnings[0].partition("(")[2]


def test_a_port_that_is_away_is_tried_so_often_that_it_is_used_within_five_seconds_of_its_return() -> None:
    clock = FakeClock()
    tried_mono: list[float] = []

    def no_port(url: str, *, baudrate: int, parity: str) -> SerialPort:
        tried_mono.append(clock.mono())
        raise TransportOpenFailed(f"{url} does not exist")

    bus = Bus(bus_config("/dev/ttyUSB9"), clock=clock, open_port=no_port)
    for _ in range(600):
        bus.submit(lambda session: None, deadline_mono=clock.mono())  # always something to do: no step waits
        bus.step()
        clock.advance(0.1)
    pauses_s = [later - earlier for earlier, later in zip(tried_mono, tried_mono[1:])]
    assert 0.5 < min(pauses_s) <= max(pauses_s) < 5
    assert LOOK_S + 1.25 * REOPEN_FIRST_S < 5, "also when nobody talked as it went"


@pytest.mark.slow
def test_a_port_that_was_pulled_out_is_used_again_after_its_return(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.INFO, "mbusgw")
    with running_segment(PtyLine(tmp_path / "meters")) as segment:
        bus = Bus(bus_config(segment.port), clock=CLOCK)
        with running(bus):
            assert read(bus, 1).result(PATIENCE_S).complete
            segment.unplug()
            wait_until(lambda: not segment.connected)
            with pytest.raises((TransportLost, TransportOpenFailed)):
                read(bus, 1).result(PATIENCE_S)
            assert not bus.snapshot().connected
            segment.plug()
            wait_until(lambda: bus.snapshot().connected)
            assert read(bus, 1).result(PATIENCE_S).complete
    messages = [record.getMessage() for record in caplog.records]
    assert sum("lost" in message for message in messages) == 1
    assert sum("is open again after" in message for message in messages) == 1


@pytest.mark.slow
def test_a_port_that_goes_while_nobody_talks_is_noticed(tmp_path: Path) -> None:
    with running_segment(PtyLine(tmp_path / "meters")) as segment:
        bus = Bus(bus_config(segment.port), clock=CLOCK)
        with running(bus):
            wait_until(lambda: bus.snapshot().connected)
            segment.unplug()
            wait_until(lambda: not bus.snapshot().connected)


@pytest.mark.slow
def test_a_converter_that_drops_the_connection_is_called_again(held: threading.Event) -> None:
    line = TcpLine()
    with running_segment(line) as segment:
        bus = Bus(bus_config(segment.port), clock=CLOCK)
        with running(bus):
            assert read(bus, 1).result(PATIENCE_S).complete
            bus.submit(lambda session: held.wait(PATIENCE_S), deadline_mono=soon())
            cut = read(bus, 1)
            segment.drop()
            wait_until(lambda: line._client is None)
            held.set()
            with pytest.raises(TransportLost):
                cut.result(PATIENCE_S)
            wait_until(lambda: bus.snapshot().connected)
            assert read(bus, 1).result(PATIENCE_S).complete


def test_a_second_instance_on_the_port_waits_until_it_is_free(caplog: pytest.LogCaptureFixture) -> None:
    with running_segment() as segment:
        first = open_port(segment.port, baudrate=2400)
        bus = Bus(bus_config(segment.port), clock=CLOCK)
        with running(bus):
            with pytest.raises(BusLocked, match="in use by"):
                read(bus, 1).result(PATIENCE_S)
            first.close()
            wait_until(lambda: bus.snapshot().connected)
            assert read(bus, 1).result(PATIENCE_S).complete
    assert sum("in use by" in record.getMessage() for record in caplog.records) == 1


def test_a_mistake_in_a_job_leaves_nobody_waiting_and_the_bus_goes_on() -> None:
    def mistaken(session: Session) -> None:
        raise ZeroDivisionError("a mistake in our own code")

    with running_segment() as segment:
        bus = Bus(bus_config(segment.port), clock=CLOCK)
        with running(bus):
            with pytest.raises(BusError, match="could not finish"):
                bus.submit(mistaken, deadline_mono=soon()).result(PATIENCE_S)
            assert read(bus, 1).result(PATIENCE_S).complete
            assert bus.crashes == 1


def test_waiting_jobs_are_refused_when_the_bus_stops(held: threading.Event) -> None:
    with running_segment() as segment:
        bus = Bus(bus_config(segment.port), clock=CLOCK)
        with running(bus):
            begun = threading.Event()
            bus.submit(lambda session: (begun.set(), held.wait(PATIENCE_S)), deadline_mono=soon())
            assert begun.wait(PATIENCE_S)
            waiting = [read(bus, 1) for _ in range(5)]
            bus.stop()
            held.set()
            for job in waiting:
                with pytest.raises(BusError, match="is stopping"):
                    job.result(PATIENCE_S)
        with pytest.raises(BusError, match="is stopping"):
            read(bus, 1).result(PATIENCE_S)


def test_a_stop_gives_the_port_back() -> None:
    with running_segment() as segment:
        bus = Bus(bus_config(segment.port), clock=CLOCK)
        with running(bus):
            read(bus, 1).result(PATIENCE_S)
        before = len(os.listdir("/proc/self/fd"))
        open_port(segment.port, baudrate=2400).close()
        assert len(os.listdir("/proc/self/fd")) == before


def test_the_traffic_log_shows_both_directions(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "mbusgw.traffic")
    with running_segment() as segment:
        bus = Bus(bus_config(segment.port), clock=CLOCK)
        with running(bus):
            read(bus, 1).result(PATIENCE_S)
    lines = [record.getMessage() for record in caplog.records if record.name == "mbusgw.traffic"]
    assert lines[:2] == ["main > 10 40 01 41 16  SND_NKE to 1", "main < e5  acknowledged"]
    assert lines[2].startswith("main > 10 7b 01") and lines[2].endswith("REQ_UD2 to 1, FCB 1")
    assert lines[3].startswith("main < 68") and "RSP_UD from 1: SIM " in lines[3]


@pytest.mark.parametrize(
    ("name", "expected"),
    [("main", "bus:main"), ("elevenchars", "bus:elevenchars"), ("building_12_left", "bus:bui~12_left")],
)
def test_a_thread_name_has_at_most_15_characters(name: str, expected: str) -> None:
    assert thread_name("bus:", name) == expected
    assert len(expected) <= 15
