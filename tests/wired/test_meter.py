"""One thread per meter: reads, troubles of its own, troubles of its bus."""
from __future__ import annotations

import logging
import threading
from concurrent.futures import Future
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from mbusgw.model.address import SecondaryAddress
from mbusgw.model.errors import StoreFull
from mbusgw.model.reading import Lane as ReadingLane
from mbusgw.simulator.catalogue import KINDS, build_meter
from mbusgw.simulator.fault import Fault, FaultKind
from mbusgw.simulator.line import PtyLine
from mbusgw.wired.bus import Bus
from tests.simulator.wire import CLOCK, running_segment
from tests.wait import PATIENCE_S, wait_until
from tests.wired.house import Lane, bus_and_meters, bus_config, running


def test_every_value_of_every_kind_of_meter_arrives_as_it_was_sent() -> None:
    with bus_and_meters(meters=len(KINDS)) as (bus, segment):
        lane = Lane(bus, {meter.name: meter.address for meter in segment.meters})
        started_at = segment.clock.now()
        with running(*lane.workers()):
            for meter in segment.meters:
                wait_until(lane.has_read(meter.name, 2))
        for meter in segment.meters:
            reading = lane.delivery.of(meter.name)[0]
            sent = meter.answers[0]
            assert {name: (field.value, field.unit) for name, field in reading.fields.items()} == dict(sent)
            assert reading.header.meter == meter.identity
            assert reading.lane is ReadingLane.WIRED
            assert started_at <= reading.read_at <= segment.clock.now()
    assert not lane.failures.told


def test_the_telegrams_of_a_long_readout_become_one_reading() -> None:
    meter = build_meter("electricity", 1, clock=CLOCK, telegrams=3)
    with bus_and_meters(meters=[meter]) as (bus, segment):
        lane = Lane(bus, {"power": 1})
        with running(*lane.workers()):
            wait_until(lane.has_read("power", 1))
        reading = lane.delivery.of("power")[0]
    assert set(reading.fields) == set(meter.answers[0])
    assert not reading.problems


def test_a_second_opinion_is_asked_where_the_bus_says_so() -> None:
    with bus_and_meters(meters=len(KINDS), decoder="meterbus") as (bus, segment):
        lane = Lane(bus, {meter.name: meter.address for meter in segment.meters})
        with running(*lane.workers()):
            for name in KINDS:
                wait_until(lane.has_read(name, 1))
        assert {name: lane.delivery.of(name)[0].problems for name in KINDS} == {name: () for name in KINDS}


def test_a_silent_meter_is_said_once_with_advice_and_once_when_it_is_back(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "mbusgw.wired.meter")
    with bus_and_meters() as (bus, segment):
        segment.meters[0].fault = Fault(FaultKind.SILENT)
        lane = Lane(bus, {"quiet": 1})
        with running(*lane.workers()):
            wait_until(lambda: lane.meters["quiet"].snapshot().failures >= 3)
            assert "no answer from address 1" in (lane.meters["quiet"].snapshot().last_error or "")
            segment.meters[0].fault = None
            wait_until(lane.has_read("quiet", 2))
            assert lane.meters["quiet"].snapshot().failures_in_a_row == 0
    messages = [record.getMessage() for record in caplog.records if record.name == "mbusgw.wired.meter"]
    assert len(messages) == 2
    assert "quiet (bus main, address 1): no answer" in messages[0] and "baud rate" in messages[0]
    assert "answers again after" in messages[1]
    assert set(lane.failures.kinds("quiet")) == {"NoAnswer"}
    assert b'mbus_errors_total{device="quiet",type="NoAnswer"}' in lane.metrics.render()


def test_a_bad_checksum_is_repeated_and_costs_no_reading() -> None:
    with bus_and_meters(max_retries=3) as (bus, segment):
        segment.meters[0].fault = Fault(FaultKind.CHECKSUM, times=1)
        lane = Lane(bus, {"noisy": 1})
        with running(*lane.workers()):
            wait_until(lane.has_read("noisy", 2))
    assert not lane.failures.told


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        (FaultKind.CHECKSUM, "FrameDamaged"),
        (FaultKind.TRUNCATED, "FrameDamaged"),
        (FaultKind.WRONG_ADDRESS, "FrameUnexpected"),
    ],
)
def test_a_lasting_fault_of_one_meter_is_named_and_spares_the_others(kind: FaultKind, error: str) -> None:
    with bus_and_meters() as (bus, segment):
        lane = Lane(bus, {"good": 1, "bad": 3})
        with running(*lane.workers()):
            wait_until(lane.has_read("bad", 1))
            segment.meters[2].fault = Fault(kind)
            wait_until(lambda: error in lane.failures.kinds("bad"))
            before = len(lane.delivery.of("good"))
            wait_until(lane.has_read("good", before + 3))
            segment.meters[2].fault = None
    assert not lane.failures.kinds("good")
    assert all(reading.header.address == 3 for reading in lane.delivery.of("bad"))


@pytest.mark.slow
def test_ten_silent_meters_do_not_stop_the_others() -> None:
    with bus_and_meters(meters=13, max_retries=3) as (bus, segment):
        for meter in segment.meters[:10]:
            meter.fault = Fault(FaultKind.SILENT)
        names = {f"m{meter.address}": meter.address for meter in segment.meters}
        lane = Lane(bus, names, interval=0.5)
        with running(*lane.workers()):
            for good in ("m11", "m12", "m13"):
                wait_until(lane.has_read(good, 5))
            for bad in list(names)[:10]:
                wait_until(lambda bad=bad: lane.failures.kinds(bad))  # type: ignore[misc]
    assert not any(lane.failures.kinds(good) for good in ("m11", "m12", "m13"))


def test_the_breaker_opens_after_five_failures_and_a_probe_is_one_request() -> None:
    with bus_and_meters(max_retries=0) as (bus, segment):
        segment.meters[0].fault = Fault(FaultKind.SILENT)
        lane = Lane(bus, {"dead": 1}, interval=0.05)
        started_at = segment.clock.now()
        with running(*lane.workers()):
            wait_until(lambda: len(lane.failures.told) >= 5)
            state = lane.meters["dead"].snapshot()
            assert (state.breaker, state.failures_in_a_row, len(segment.requests)) == ("open", 5, 5)
        assert state.next_read_at is not None and (state.next_read_at - started_at).total_seconds() > 5


def test_an_application_error_is_named_and_the_meter_is_read_as_often_as_ever(caplog: pytest.LogCaptureFixture) -> None:
    with bus_and_meters() as (bus, segment):
        segment.meters[0].fault = Fault(FaultKind.APPLICATION_ERROR)
        lane = Lane(bus, {"busy": 1})
        with running(*lane.workers()):
            wait_until(lambda: len(lane.failures.kinds("busy")) >= 7)
            assert lane.meters["busy"].snapshot().breaker == "closed"
            segment.meters[0].fault = None
            wait_until(lane.has_read("busy", 1))
    assert set(lane.failures.kinds("busy")) == {"ApplicationError"}
    assert sum("application busy" in record.getMessage() for record in caplog.records) == 1


@pytest.mark.slow
def test_a_meter_that_ignores_initialisation_is_read_again_after_an_outage() -> None:
    with bus_and_meters(max_retries=3) as (bus, segment):
        segment.meters[0].fault = Fault(FaultKind.SILENT)
        lane = Lane(bus, {"odd": 1})
        with running(*lane.workers()):
            wait_until(lambda: lane.failures.kinds("odd"))
            segment.meters[0].fault = Fault(FaultKind.NO_RESET)
            wait_until(lane.has_read("odd", 2))


@pytest.mark.slow
def test_a_port_that_is_away_is_not_the_meters_fault(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    caplog.set_level(logging.INFO, "mbusgw.wired")
    with running_segment(PtyLine(tmp_path / "meters")) as segment:
        lane = Lane(Bus(bus_config(segment.port), clock=CLOCK), {"m1": 1, "m2": 2})
        with running(*lane.workers()):
            wait_until(lane.has_read("m2", 1))
            segment.unplug()
            wait_until(lambda: {"TransportLost", "TransportOpenFailed"} & set(lane.failures.kinds("m1")))
            assert lane.meters["m1"].snapshot().breaker == "closed"
            segment.plug()
            wait_until(lambda: segment.connected)
            wait_until(lane.has_read("m1", len(lane.delivery.of("m1")) + 1))
    messages = [record.getMessage() for record in caplog.records]
    assert not any(message.startswith(("m1", "m2")) for message in messages), "the bus has said it already"


def test_a_reading_is_kept_until_the_store_takes_it() -> None:
    with bus_and_meters() as (bus, segment):
        lane = Lane(bus, {"m1": 1}, interval=0.2)
        lane.delivery.refuse = StoreFull("no space left on the disk")
        with running(*lane.workers()):
            wait_until(lambda: lane.meters["m1"].snapshot().waiting_to_be_stored >= 3)
            lane.delivery.refuse = None
            wait_until(lambda: lane.meters["m1"].snapshot().waiting_to_be_stored == 0)
        readings = lane.delivery.of("m1")
    assert len(readings) >= 3
    assert [r.read_at for r in readings] == sorted(r.read_at for r in readings)
    access = [reading.header.access_no for reading in readings]
    assert access == list(range(1, len(access) + 1)), "none is lost, none comes twice"


@pytest.mark.parametrize("waits_for", ["its turn", "its next try"])
def test_a_meter_stops_whatever_it_waits_for(waits_for: str) -> None:
    done = threading.Event()
    with bus_and_meters(retry_delay=20 * PATIENCE_S) as (bus, segment):
        segment.meters[0].fault = Fault(FaultKind.SILENT)
        meter = Lane(bus, {"m1": 1}).meters["m1"]
        with running(bus):
            if waits_for == "its turn":
                bus.submit(lambda session: done.wait(2 * PATIENCE_S), deadline_mono=bus.clock.mono() + PATIENCE_S)
            meter.start()
            wait_until(lambda: bus.snapshot().waiting == 1 if waits_for == "its turn" else bus.snapshot().errors == 1)
            meter.stop()
            assert meter.join(PATIENCE_S)
            done.set()
    assert len(segment.requests) == (0 if waits_for == "its turn" else 1)


def test_a_meter_without_an_interval_takes_that_of_its_bus() -> None:
    lane = Lane(Bus(bus_config("/dev/null", scan_interval=42), clock=CLOCK), {"m1": 1}, interval=None)
    assert lane.meters["m1"].settings().interval_s == 42


# ------------------------------------------------------------------ secondary addresses
def test_meters_are_read_by_their_secondary_addresses_beside_primary_ones() -> None:
    with bus_and_meters(meters=len(KINDS), max_retries=3) as (bus, segment):
        addresses = {m.name: m.address if m.address % 2 else m.secondary_address for m in segment.meters}
        lane = Lane(bus, addresses)
        with running(*lane.workers()):
            for meter in segment.meters:
                wait_until(lane.has_read(meter.name, 3))
            water = lane.meters["water"].snapshot()
        for meter in segment.meters:
            for reading, sent in zip(lane.delivery.of(meter.name), meter.answers):
                assert {name: (field.value, field.unit) for name, field in reading.fields.items()} == dict(sent)
                assert reading.header.meter == meter.identity
    assert not lane.failures.told
    assert (water.address, water.last_error) == ("100000022D4D1907", None)


def test_a_meter_with_another_id_gives_no_reading_and_is_named_by_its_address(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "mbusgw.wired.meter")
    with bus_and_meters() as (bus, segment):
        segment.meters[0].fault = Fault(FaultKind.WRONG_ID)
        lane = Lane(bus, {"m1": segment.meters[0].secondary_address})
        with running(*lane.workers()):
            wait_until(lambda: lane.meters["m1"].snapshot().failures >= 2)
            assert not lane.delivery.of("m1")
            assert "600000022D4D2804 answered" in (lane.meters["m1"].snapshot().last_error or "")
            segment.meters[0].fault = None
            wait_until(lane.has_read("m1", 1))
    assert set(lane.failures.kinds("m1")) == {"FrameUnexpected"}
    assert "m1 (bus main, address 600000012D4D2804): " in caplog.records[0].getMessage()


def test_two_meters_that_fit_an_open_address_are_a_collision_and_harm_nobody_else() -> None:
    with bus_and_meters(meters=10) as (bus, segment):  # two of each kind
        segment.meters[1].identity = replace(segment.meters[1].identity, id="10000008")  # not to be seen through 7
        addresses = {"water": SecondaryAddress(medium=0x07), "heat": segment.meters[0].secondary_address}
        lane = Lane(bus, addresses)
        with running(*lane.workers()):
            wait_until(lambda: lane.meters["water"].snapshot().failures >= 2)
            wait_until(lane.has_read("heat", 5))
            state = lane.meters["water"].snapshot()
        assert not lane.delivery.of("water")
        assert not lane.failures.kinds("heat")
    assert set(lane.failures.kinds("water")) == {"Collision"}
    assert "several meters seem to answer to FFFFFFFFFFFFFF07" in (state.last_error or "")


def test_a_meter_is_read_at_its_times_of_the_day_and_not_otherwise() -> None:
    with bus_and_meters() as (bus, _):
        soon = (bus.clock.now() + timedelta(seconds=2)).astimezone()
        lane = Lane(bus, {"billed": 1}, interval=False, at=f"{soon:%H:%M:%S}")
        meter = lane.meters["billed"]
        moment = soon.replace(microsecond=0)
        with running(*lane.workers()):
            wait_until(lambda: any(reading.read_at >= moment for reading in lane.delivery.of("billed")))
            wait_until(lambda: meter.snapshot().fixed_time_pending is None)
            next_read_at = meter.snapshot().next_read_at
            assert next_read_at is not None and next_read_at > moment + timedelta(hours=20)
        assert 1 <= len(lane.delivery.of("billed")) <= 2, "the first one, and the one of that time"


def test_a_reading_of_a_fixed_time_is_tried_for_until_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mbusgw.wired.agenda.RETRY_FIRST_S", 0.05)
    with bus_and_meters(max_retries=0) as (bus, segment):
        lane = Lane(bus, {"billed": 1}, interval=3600, at="12:00")
        meter = lane.meters["billed"]
        with running(*lane.workers()):
            wait_until(lane.has_read("billed", 1))
            segment.meters[0].fault = Fault(FaultKind.SILENT, times=3)
            calendar = meter._agenda._calendar
            calendar._handled = bus.clock.now() - timedelta(days=1)  # noon has just been, for all it knows
            calendar._times = ((bus.clock.now().astimezone() - timedelta(seconds=1)).time(),)
            meter._events.offer(Future())
            wait_until(lane.has_read("billed", 2))
        assert lane.failures.kinds("billed") == ["NoAnswer"] * 3
        assert meter.snapshot().fixed_time_pending is None
