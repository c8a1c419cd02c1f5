"""A bus is searched by its scanner, on a simulated segment behind a real pty, while its meters are read."""
from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from mbusgw.config.models import DeviceConfig
from mbusgw.mbus.session import Session
from mbusgw.mbus.sighting import DOUBLED, Sighting
from mbusgw.mbus.sweep import PrimarySweep
from mbusgw.model.address import SecondaryAddress
from mbusgw.model.errors import BusError, MbusgwError, RequestError
from mbusgw.model.found import FoundMeter
from mbusgw.model.meter import MeterIdentity
from mbusgw.simulator.cable import Cable
from mbusgw.simulator.catalogue import build_meter, build_meters
from mbusgw.simulator.line import PtyLine, SimulatedLine, TcpLine
from mbusgw.simulator.meter import SimulatedMeter
from mbusgw.simulator.segment import Segment
from mbusgw.simulator.virtual import VirtualLine
from mbusgw.wired.bus import Bus
from mbusgw.wired.finds import Finds, configured_as
from mbusgw.wired.scan import ScanFuture, Scanner
from mbusgw.wired.scan_operations import ScanOperations
from mbusgw.wired.survey import PRIMARY, SECONDARY, ScanProgress, ScanRequest, Survey
from tests.fakes.stores import running_store
from tests.simulator.memory import MemorySegment
from tests.simulator.wire import CLOCK, FAST, running_segment
from tests.wait import PATIENCE_S, wait_until
from tests.wired.house import Lane, bus_and_meters, bus_config, running

SMALL = ScanRequest(kinds=(SECONDARY,), mask=SecondaryAddress("6FFFFFFF"))


class Progress(list[ScanProgress]):
    """Keeps what it is told. When ``when`` is true the scanner stands still until ``go``, or until it is stopped."""

    def __init__(self, when: Callable[[ScanProgress], bool] = lambda progress: False) -> None:
        super().__init__()
        self.when = when
        self.scanner: Scanner | None = None
        self.stands, self.go = threading.Event(), threading.Event()

    def __call__(self, progress: ScanProgress) -> None:
        self.append(progress)
        if self.when(progress):
            self.stands.set()
            while not self.go.wait(0.01) and not (self.scanner and self.scanner.stopping):
                continue

    def begin(self, scanner: Scanner, request: ScanRequest) -> ScanFuture:
        """Starts a scan and returns when it stands still."""
        self.scanner = scanner
        future = scanner.submit(request, self)
        assert self.stands.wait(PATIENCE_S)
        return future


def has_found(progress: ScanProgress) -> bool:
    return progress.found > 0


@contextmanager
def scanned(
    meters: Sequence[SimulatedMeter] | int = 3, finds: Finds | None = None
) -> Iterator[tuple[Scanner, MemorySegment]]:
    with bus_and_meters(meters) as (bus, segment):
        scanner = Scanner(bus, finds or Finds(CLOCK), clock=bus.clock)
        with running(bus, scanner):
            yield scanner, segment


@contextmanager
def scanned_over(line: SimulatedLine) -> Iterator[tuple[Scanner, Segment]]:
    """Behind a real port."""
    with running_segment(line, answer_delay_s=0.001) as segment:
        bus = Bus(bus_config(segment.port, latency_ms=0), clock=CLOCK)
        scanner = Scanner(bus, Finds(CLOCK), clock=CLOCK)
        with running(bus, scanner):
            yield scanner, segment


def found_by(scanner: Scanner, request: ScanRequest, progress: Progress | None = None) -> dict[str, FoundMeter]:
    result = scanner.submit(request, progress if progress is not None else Progress()).result(PATIENCE_S)
    assert result.complete
    return {meter.device_id: meter for meter in result.meters}


def test_a_scan_finds_every_meter_and_tells_how_far_it_is() -> None:
    progress = Progress()
    with scanned(3) as (scanner, segment):
        meters = found_by(scanner, ScanRequest(kinds=(SECONDARY,)), progress)
        assert {(one.identity, one.primary, one.secondary) for one in meters.values()} == {
            (one.identity, one.address, one.secondary_address) for one in segment.meters
        }
        assert scanner.snapshot() is None
    percents = [one.percent for one in progress]
    assert percents == sorted(percents) and percents[0] == 0 and percents[-1] == 100
    assert progress[-1].found == 3 and progress[-1].remaining_s == 0


def test_a_search_below_a_mask_looks_nowhere_else() -> None:
    with scanned(5) as (scanner, segment):
        meters = found_by(scanner, SMALL)
        assert [one.identity for one in meters.values()] == [segment.meters[0].identity]
        assert len(segment.requests) < 20


def test_finds_are_remembered_with_the_device_that_they_are() -> None:
    finds = Finds(CLOCK)
    with scanned(1, finds) as (scanner, segment):
        found_by(scanner, SMALL)
        [document] = finds.documents([DeviceConfig(id="heat", bus="main", address=1)])
    assert document["configured"] == "heat" and document["device_id"] == segment.meters[0].identity.device_id


def test_a_bus_is_scanned_once_at_a_time() -> None:
    progress = Progress(lambda _: True)
    with scanned(1) as (scanner, _):
        first = progress.begin(scanner, SMALL)
        with pytest.raises(RequestError) as caught:
            scanner.submit(SMALL, progress)
        assert caught.value.status == 409
        progress.go.set()
        assert first.result(PATIENCE_S).complete
        found_by(scanner, SMALL)


def test_a_cancelled_scan_gives_what_it_has_and_goes_on_when_asked_to() -> None:
    finds, progress = Finds(CLOCK), Progress(has_found)
    with scanned(4, finds) as (scanner, segment):
        future = progress.begin(scanner, ScanRequest(kinds=(SECONDARY,)))
        assert future.cancel()
        progress.go.set()
        early = future.result(PATIENCE_S)
        assert not early.complete and 0 < len(early.meters) < 4
        heard = len(segment.requests)
        late = scanner.submit(ScanRequest(resume=True), progress).result(PATIENCE_S)
        assert late.complete and {one.identity for one in late.meters} == {one.identity for one in segment.meters}
        assert late.probes > early.probes and len(segment.requests) - heard < heard * 20
        with pytest.raises(RequestError, match="no unfinished scan"):
            scanner.submit(ScanRequest(resume=True), progress)
    assert len(finds.all()) == 4


def test_a_scan_goes_on_after_a_restart(tmp_path: Path) -> None:
    with running_store(tmp_path / "mbusgw.db") as store:
        finds, progress = Finds(CLOCK, store), Progress(has_found)
        with scanned(4, finds) as (scanner, _):
            future = progress.begin(scanner, ScanRequest(kinds=(SECONDARY,)))
        assert isinstance(future.exception(PATIENCE_S), MbusgwError), "the bus was stopped in the middle"
        known = finds.all()
        store.submit().result(PATIENCE_S)
        restarted = Finds(CLOCK, store)
        reader = store.reader()
        restarted.restore(reader)
        reader.close()
        assert {one.key for one in restarted.all()} == {one.key for one in known}
        with scanned(4, restarted) as (scanner, segment):
            result = scanner.submit(ScanRequest(resume=True), Progress()).result(PATIENCE_S)
            assert result.complete and {one.identity for one in result.meters} == {
                one.identity for one in segment.meters
            }


@pytest.mark.slow
def test_a_port_that_goes_away_pauses_the_scan(tmp_path: Path) -> None:
    progress = Progress(lambda one: one.probes == 2)
    with scanned_over(PtyLine(tmp_path / "line")) as (scanner, segment):
        future = progress.begin(scanner, ScanRequest(kinds=(SECONDARY,)))
        segment.unplug()
        wait_until(lambda: not scanner.bus.snapshot().connected)
        progress.go.set()
        wait_until(lambda: progress[-1].waits is not None)
        segment.plug()
        assert future.result(PATIENCE_S).complete
    assert progress[-1].waits is None


def test_a_scan_of_a_bus_that_is_away_says_so_at_once(tmp_path: Path) -> None:
    bus = Bus(bus_config(str(tmp_path / "nowhere")), clock=CLOCK)
    scanner = Scanner(bus, Finds(CLOCK), clock=CLOCK)
    with running(bus, scanner):
        error = scanner.submit(SMALL, Progress()).exception(PATIENCE_S)
    assert isinstance(error, BusError) and str(error).endswith("does not exist"), "nothing is to be gone on with"


def test_a_scan_that_is_killed_before_its_first_find_can_be_gone_on_with() -> None:
    finds, progress = Finds(CLOCK), Progress(lambda _: True)
    with scanned(1, finds) as (scanner, _):
        future = progress.begin(scanner, SMALL)
        place = finds.place("main")
        progress.go.set()
        assert future.result(PATIENCE_S).complete
    assert place is not None and place["probes"] == 0
    assert finds.place("main") is None


def test_meters_are_read_as_usual_meanwhile() -> None:
    with bus_and_meters(3) as (bus, segment):
        lane = Lane(bus, {"one": 1, "two": segment.meters[1].secondary_address}, interval=0.2)
        scanner = Scanner(bus, Finds(CLOCK), clock=bus.clock)
        with running(*lane.workers(), scanner):
            wait_until(lane.has_read("two", 1))
            before = len(lane.delivery.of("one"))
            assert len(found_by(scanner, ScanRequest())) == 3
            wait_until(lane.has_read("one", before + 3))
    assert lane.failures.told == []
    assert not any(reading.problems for reading in lane.delivery.readings)


def test_a_speed_that_the_port_cannot_have_fails_the_scan_with_the_reason() -> None:
    with scanned_over(TcpLine()) as (scanner, _):
        future = scanner.submit(ScanRequest(baudrates=(300,)), Progress())
        error = future.exception(PATIENCE_S)
    assert isinstance(error, MbusgwError) and "300 baud" in str(error)


# ------------------------------------------------------------------ the whole of it, on a clock of its own
def finish(work: Survey, meters: Sequence[SimulatedMeter], *, baudrate: int = 2400) -> dict[str, FoundMeter]:
    line = VirtualLine(Cable(meters, baudrate=baudrate), baudrate=baudrate, slack_s=0.004)
    session = Session(line, baudrate=baudrate, mono=line.mono)
    percent = 0.0
    while not work.done:
        began_s = line.now_mono
        sightings = work.step(session)
        work.note(sightings, line.now_mono - began_s)
        assert percent <= work.progress().percent <= 100
        percent = work.progress().percent
    assert session.baudrate == baudrate
    return {meter.device_id: meter for meter in work.result().meters}


def test_a_whole_scan_finds_every_meter_once_by_both_of_its_addresses() -> None:
    present = build_meters(12, clock=CLOCK)
    work = Survey("main", ScanRequest(), baudrate=2400, clock=CLOCK)
    found = finish(work, present)
    assert {(one.identity, one.primary, one.secondary, one.note) for one in found.values()} == {
        (one.identity, one.address, one.secondary_address, "") for one in present
    }
    assert work.progress().percent == 100 and work.progress().remaining_s == 0


def test_the_estimate_of_a_primary_sweep_is_right_from_the_beginning() -> None:
    work = Survey("main", ScanRequest(kinds=(PRIMARY,)), baudrate=2400, clock=CLOCK)
    expected = work.progress().remaining_s
    finish(work, build_meters(3, clock=CLOCK))
    assert expected is not None and 0.9 < work.elapsed_s / expected < 1.15


def test_two_speeds_are_searched_one_after_the_other() -> None:
    slow, quick = build_meter("heat", 1, clock=CLOCK, number=1, baudrate=300), build_meter("gas", 2, clock=CLOCK)
    work = Survey("main", ScanRequest(baudrates=(2400, 300)), baudrate=2400, clock=CLOCK)
    found = finish(work, [slow, quick])
    assert {one.identity: one.baudrate for one in found.values()} == {slow.identity: 300, quick.identity: 2400}


# ------------------------------------------------------------------ what finds make together
def survey() -> Survey:
    return Survey("main", ScanRequest(), baudrate=2400, clock=CLOCK)


def test_meters_at_one_primary_address_are_named_once_the_search_has_told_them_apart() -> None:
    one, two = MeterIdentity("1" * 8, "KAM", 1, 4), MeterIdentity("2" * 8, "EFE", 1, 4)
    work = survey()
    changed, gone = work.note([Sighting(None, 5, None, DOUBLED)], 0.1)
    assert [meter.note for meter in changed] == [DOUBLED] and not gone
    work.note([Sighting(one, 5, SecondaryAddress.of(one))], 0.1)
    changed, gone = work.note([Sighting(two, 5, SecondaryAddress.of(two))], 0.1)
    assert gone == ["main/5"]
    assert {meter.device_id: meter.note for meter in changed} == {
        "kam_11111111": "shares primary address 5 with efe_22222222",
        "efe_22222222": "shares primary address 5 with kam_11111111",
    }
    assert len(work.meters) == 2


def test_a_place_that_cannot_be_understood_is_told_as_such() -> None:
    for wrong in ({}, {**survey().place(), "sweep": {}}, {**survey().place(), "part": 9}):
        with pytest.raises(MbusgwError, match="cannot be gone on with"):
            Survey.at("main", wrong, baudrate=2400, clock=CLOCK)


def test_a_meter_is_configured_by_either_address_on_its_own_bus() -> None:
    identity = MeterIdentity("12345678", "KAM", 8, 4)
    meter = FoundMeter("main", identity, 5, None, 2400, CLOCK.now())
    devices = [
        DeviceConfig(id="other_bus", bus="second", address=5),
        DeviceConfig(id="other", bus="main", address=6),
        DeviceConfig(id="by_number", bus="main", address="12345678FFFFFFFF"),
        DeviceConfig(id="by_address", bus="main", address=5),
    ]
    assert configured_as(meter, devices) == "by_number"
    assert configured_as(meter, devices[3:]) == "by_address"
    assert configured_as(meter, devices[:2]) is None


# ------------------------------------------------------------------ asked for
class Rooms:
    """A lane with scanners."""

    def __init__(self, *scanners: Scanner) -> None:
        self.scanners = scanners
        self.devices = (DeviceConfig(id="heat", bus="main", address=1),)
        self.finds = Finds(CLOCK)


def test_a_scan_is_asked_for_by_its_parameters() -> None:
    with scanned(2) as (scanner, segment):
        told: list[object] = []
        operations = ScanOperations(Rooms(scanner))
        given = {"kind": "secondary", "mask": "6", "baud": str(FAST)}
        document = operations.scan(given, told.append).result(PATIENCE_S)
        assert operations.cancel({}, told.append) == {"bus": "main", "cancelled": False}
    [meter] = document["meters"]
    assert meter["configured"] == "heat" and meter["meter"]["id"] == segment.meters[0].identity.id
    assert document["complete"] is True and told


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"bus": "no"}, "bus"),
        ({"kind": "all"}, "kind"),
        ({"baud": [301]}, "baud"),
        ({"baud": []}, "baud"),
        ({"mask": "12X"}, "mask"),
        ({"mask": "1" * 17}, "mask"),
        ({"mask": "12", "kind": "primary"}, "mask"),
        ({"hex": "yes"}, "hex"),
        ({"resume": True, "kind": "primary"}, "kind"),
        ({"resume": True}, "resume"),
        ({"speed": 2400}, "speed"),
    ],
)
def test_wrong_parameters_are_refused_with_their_name(given: dict[str, object], field: str) -> None:
    scanner = Scanner(Bus(bus_config("/dev/null"), clock=CLOCK), Finds(CLOCK), clock=CLOCK)
    with pytest.raises(RequestError) as caught:
        ScanOperations(Rooms(scanner)).scan(given, lambda progress: None)
    assert caught.value.field == field


def test_the_kinds_are_those_of_the_sweeps() -> None:
    assert {PRIMARY, SECONDARY} == set(ScanRequest().kinds)
    assert PrimarySweep((1,)).doing == "primary address 1"
