"""What can be asked of the wired lane, on a simulated segment."""
from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

import pytest

from mbusgw.model.command import Document
from mbusgw.model.document import plain_value
from mbusgw.model.errors import BusError, Collision, NoAnswer, RequestError
from mbusgw.simulator.catalogue import build_meter
from mbusgw.simulator.meter import Fault, FaultKind
from mbusgw.wired import schedule
from mbusgw.wired.bus import Bus
from mbusgw.wired.meter import WiredMeter
from mbusgw.wired.operations import WiredOperations
from tests.simulator.memory import MemorySegment, memory_segment
from tests.simulator.wire import CLOCK
from tests.wait import PATIENCE_S, wait_until
from tests.wired.house import Lane, bus_and_meters, bus_config, running


@pytest.fixture(autouse=True)
def every_meter_is_due_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits for the first reading waits for it alone."""
    monkeypatch.setattr(schedule, "FIRST_WITHIN_S", 0.1)


class Counter:
    """The operations of one bus and some meters: what the commands ask."""

    def __init__(self, segment: MemorySegment, lane: Lane) -> None:
        self.segment = segment
        self.lane = lane
        self.buses: tuple[Bus, ...] = (lane.bus,)
        self.meters: tuple[WiredMeter, ...] = tuple(lane.meters.values())
        self.operations = WiredOperations(self, lane.bus.clock)

    def ask(self, name: str, **given: Any) -> Document:
        outcome: Document | Future[Document] = getattr(self.operations, name)(given, lambda progress: None)
        return outcome.result(PATIENCE_S) if isinstance(outcome, Future) else outcome


@contextmanager
def counter(meters: Any = 3, devices: dict[str, int] | None = None, *, interval: float = 3600) -> Iterator[Counter]:
    with bus_and_meters(meters) as (bus, segment):
        lane = Lane(bus, devices or {}, interval=interval)
        with running(*lane.workers()):
            wait_until(lambda: lane.bus.snapshot().connected)
            yield Counter(segment, lane)


def test_a_meter_is_read_by_its_primary_address() -> None:
    with counter() as desk:
        document = desk.ask("read", bus="main", address=2)
        sent = desk.segment.meters[1].expected()
    assert document["ok"] and document["complete"] and document["device"] is None
    assert (document["bus"], document["address"], document["header"]["address"]) == ("main", 2, 2)
    assert {one["field"]: one["value"] for one in document["records"]} == {
        name: plain_value(value) for name, (value, _) in sent.items()
    }
    assert len(document["frames"]) == 1 and bytes.fromhex(document["frames"][0])[0] == 0x68


def test_a_meter_is_read_by_a_part_of_its_secondary_address() -> None:
    with counter() as desk:
        number = desk.segment.meters[1].identity.id
        document = desk.ask("read", address=f"{number}FFFFFFFF")
    assert document["header"]["id"] == number and document["address"] == f"{number}FFFFFFFF"


def test_the_telegrams_of_a_long_readout_are_one_document() -> None:
    with counter([build_meter("electricity", 1, clock=CLOCK, telegrams=3)]) as desk:
        document = desk.ask("read", address=1)
        assert {one["field"] for one in document["records"]} == set(desk.segment.meters[0].expected())
    assert len(document["frames"]) == 3 and document["more_records_follow"] is False


def test_the_only_meter_on_a_bench_is_read_without_an_address() -> None:
    with counter(1) as desk:
        assert desk.ask("read", any=True)["header"]["id"] == desk.segment.meters[0].identity.id
        with pytest.raises(RequestError, match="all meters answer to 254"):
            desk.ask("read", address=254)


def test_a_device_is_read_by_its_own_thread_and_the_reading_is_delivered() -> None:
    with counter(3, {"heat": 1}) as desk:
        wait_until(desk.lane.has_read("heat", 1))  # the first one, that comes by itself
        document = desk.ask("read", device="heat")
        wait_until(desk.lane.has_read("heat", 2))
        reading = desk.lane.delivery.of("heat")[1]
    assert (document["device"], document["address"]) == ("heat", 1)
    assert document["header"]["access_no"] == reading.header.access_no
    assert desk.lane.meters["heat"].snapshot().reads == 2


def test_a_device_that_was_given_up_is_asked_at_once_when_somebody_wants_it() -> None:
    with counter(3, {"heat": 1}, interval=0.05) as desk:
        desk.segment.meters[0].fault = Fault(FaultKind.SILENT)
        with pytest.raises(NoAnswer):
            desk.ask("read", device="heat")
        desk.segment.meters[0].fault = None
        assert desk.ask("read", device="heat")["ok"]
        assert desk.lane.meters["heat"].snapshot().failures_in_a_row == 0


def test_many_who_want_the_same_device_get_one_reading_or_a_refusal() -> None:
    with counter(3, {"heat": 1}) as desk:
        wait_until(desk.lane.has_read("heat", 1))
        asked = [desk.lane.meters["heat"].read_now() for _ in range(60)]
        errors = [one.exception(PATIENCE_S) for one in asked]
    assert errors[0] is None and any("too many ask" in str(error) for error in errors if error)


def test_who_waits_for_a_reading_is_told_when_the_meter_stops() -> None:
    lane = Lane(Bus(bus_config("/nowhere/at/all"), clock=CLOCK), {"heat": 1})
    wish = lane.meters["heat"].read_now()
    lane.meters["heat"].stop()
    lane.meters["heat"].teardown()
    assert "broken off" in str(wish.exception(PATIENCE_S))
    assert "stopping" in str(lane.meters["heat"].read_now().exception(PATIENCE_S))


def test_a_silent_address_is_no_answer() -> None:
    with counter(1) as desk, pytest.raises(NoAnswer, match="address 77"):
        desk.ask("read", address=77)


def test_one_lost_answer_is_asked_for_again() -> None:
    with counter(1) as desk:
        desk.segment.meters[0].fault = Fault(FaultKind.SILENT, times=1)
        assert desk.ask("read", address=1)["ok"]


def test_a_meter_that_ignores_initialisation_is_read() -> None:
    with counter(3) as desk:
        desk.segment.meters[0].fault = Fault(FaultKind.NO_RESET)
        assert desk.ask("read", address=1)["ok"]


def test_several_meters_that_all_answer_are_no_only_one() -> None:
    with counter(3) as desk, pytest.raises(Collision, match="more than one meter"):
        desk.ask("read", any=True)


def test_another_speed_is_that_of_this_one_question() -> None:
    with counter(1) as desk:
        assert desk.ask("read", address=1)["ok"]
        with pytest.raises(NoAnswer):
            desk.ask("read", address=1, baudrate=300)
        assert desk.ask("read", address=1)["ok"]


@pytest.mark.parametrize(
    ("given", "status", "field"),
    [
        ({}, 400, "address"),
        ({"address": 251}, 400, "address"),
        ({"address": 1, "any": True}, 400, "address"),
        ({"address": 1, "bus": "attic"}, 404, "bus"),
        ({"address": 1, "speed": 5}, 400, "speed"),
        ({"address": 1, "baudrate": 2401}, 400, "baudrate"),
        ({"device": "cellar"}, 404, "device"),
        ({"device": "heat", "address": 1}, 400, "address"),
    ],
)
def test_a_wrong_parameter_is_named(given: dict[str, Any], status: int, field: str) -> None:
    lane = Lane(Bus(bus_config("/nowhere/at/all"), clock=CLOCK), {"heat": 1})
    with memory_segment(meters=1) as segment, pytest.raises(RequestError) as caught:
        Counter(segment, lane).ask("read", **given)
    assert (caught.value.status, caught.value.field) == (status, field)


def test_of_several_buses_one_must_be_named() -> None:
    with memory_segment(meters=1) as segment:
        desk = Counter(segment, Lane(Bus(bus_config("/nowhere/at/all"), clock=CLOCK), {}))
        desk.buses = (*desk.buses, Bus(bus_config("/nowhere/else", name="attic"), clock=CLOCK))
        with pytest.raises(RequestError, match="which bus. There are attic, main"):
            desk.ask("read", address=1)


def test_an_address_that_is_read_by_hand_does_not_disturb_the_readings_of_its_meter() -> None:
    with counter(1, {"heat": 1}, interval=0.05) as desk:
        for number in range(5):
            assert desk.ask("read", address=1)["ok"]
            wait_until(desk.lane.has_read("heat", 2 * number + 2))
        sent = list(desk.segment.meters[0].answers)
    assert not desk.lane.failures.told
    for reading in desk.lane.delivery.readings:
        assert {name: (one.value, one.unit) for name, one in reading.fields.items()} in [dict(one) for one in sent]


# ------------------------------------------------------------------ another address
@pytest.mark.parametrize("by_name", [False, True], ids=["primary", "secondary"])
def test_a_meter_gets_another_address_and_answers_there(by_name: bool) -> None:
    with counter(3) as desk:
        meter = desk.segment.meters[1]
        document = desk.ask("set_address", address=str(meter.secondary_address) if by_name else 2, new=77)
        assert meter.address == 77
        assert (document["address_before"], document["address"], document["devices"]) == (2, 77, [])
        assert document["meter"]["id"] == meter.identity.id
        assert desk.ask("read", address=77)["header"]["id"] == meter.identity.id
        with pytest.raises(NoAnswer):
            desk.ask("read", address=2)


def test_a_meter_whose_acknowledgement_is_lost_has_its_new_address_all_the_same() -> None:
    with counter(1) as desk:
        meter = desk.segment.meters[0]
        obey = meter._obey

        def obey_in_silence(frame: Any) -> None:
            obey(frame)

        meter._obey = obey_in_silence  # type: ignore[method-assign]
        assert desk.ask("set_address", address=1, new=9)["address"] == 9


def test_a_meter_that_refuses_keeps_its_address_and_that_is_told() -> None:
    with counter(1) as desk:
        meter = desk.segment.meters[0]
        meter._obey = lambda frame: None  # type: ignore[method-assign]
        with pytest.raises(BusError, match="did not take the address 9") as caught:
            desk.ask("set_address", address=1, new=9)
        assert "key was pressed" in caught.value.hint and meter.address == 1


def test_a_meter_that_only_acknowledges_is_found_out() -> None:
    with counter(1) as desk:
        desk.segment.meters[0]._obey = lambda frame: b"\xE5"  # type: ignore[method-assign]
        with pytest.raises(BusError, match="acknowledged the address 9, but does not answer there"):
            desk.ask("set_address", address=1, new=9)


def test_an_address_that_is_taken_is_not_given_away() -> None:
    with counter(3) as desk:
        with pytest.raises(RequestError, match="a meter answers at address 3 already") as caught:
            desk.ask("set_address", address=1, new=3)
        assert (caught.value.status, caught.value.field) == (409, "new")
        with pytest.raises(RequestError, match="has address 1 already"):
            desk.ask("set_address", address=1, new=1)
        assert [meter.address for meter in desk.segment.meters] == [1, 2, 3]


def test_two_meters_at_the_old_address_are_both_left_alone() -> None:
    meters = [build_meter("heat", 1, clock=CLOCK), build_meter("water", 1, clock=CLOCK)]
    with counter(meters) as desk:
        with pytest.raises(Collision, match="more than one meter seems to be at 1"):
            desk.ask("set_address", address=1, new=9)
        assert [meter.address for meter in desk.segment.meters] == [1, 1]
        # By its name one of them can be moved, which is how doubled addresses are put right.
        assert desk.ask("set_address", address=str(meters[1].secondary_address), new=9)["address"] == 9
        assert [meter.address for meter in desk.segment.meters] == [1, 9]


def test_a_configured_address_is_changed_only_by_force() -> None:
    with counter(3, {"heat": 1, "spare": 50}) as desk:
        name = str(desk.segment.meters[0].secondary_address)
        for given in ({"address": 1, "new": 9}, {"address": name, "new": 9}, {"address": 2, "new": 50}):
            with pytest.raises(RequestError, match="the configuration has") as caught:
                desk.ask("set_address", **given)
            assert (caught.value.status, caught.value.code) == (409, "address_configured")
        assert [meter.address for meter in desk.segment.meters] == [1, 2, 3]
        assert desk.ask("set_address", address=1, new=9, force=True)["devices"] == ["heat"]


@pytest.mark.parametrize("given", [{"new": 0}, {"new": 251}, {}, {"new": 5, "address": 254}])
def test_what_is_no_address_to_give_is_refused(given: dict[str, Any]) -> None:
    lane = Lane(Bus(bus_config("/nowhere/at/all"), clock=CLOCK), {})
    with memory_segment(meters=1) as segment, pytest.raises(RequestError) as caught:
        Counter(segment, lane).ask("set_address", **{"address": 1, **given})
    assert caught.value.status == 400


# ------------------------------------------------------------------ reset
@pytest.mark.parametrize("by_name", [False, True], ids=["primary", "secondary"])
def test_a_meter_that_is_reset_begins_again_and_reads_on(by_name: bool) -> None:
    with counter([build_meter("electricity", 1, clock=CLOCK, telegrams=3)], {"power": 1}, interval=0.05) as desk:
        wait_until(desk.lane.has_read("power", 1))
        address = str(desk.segment.meters[0].secondary_address) if by_name else 1
        assert desk.ask("application_reset", address=address, code=0x10)["code"] == 0x10
        frames = [request for _, request in list(desk.segment.requests) if len(request) > 5 and request[6] == 0x50]
        assert len(frames) == 1 and frames[0][7:-2] == b"\x10"
        read = len(desk.lane.delivery.of("power"))
        wait_until(desk.lane.has_read("power", read + 3))
    assert not desk.lane.failures.told
    assert {len(reading.fields) for reading in desk.lane.delivery.readings} == {len(desk.segment.meters[0].expected())}


def test_a_device_is_reset_by_its_name() -> None:
    with counter(2, {"heat": 1}) as desk:
        assert desk.ask("application_reset", device="heat") == {"bus": "main", "address": 1, "code": None}


@pytest.mark.parametrize("given", [{"address": 254}, {"code": 256}, {"device": "attic"}, {"code": "x"}])
def test_a_reset_of_nobody_in_particular_is_refused(given: dict[str, Any]) -> None:
    lane = Lane(Bus(bus_config("/nowhere/at/all"), clock=CLOCK), {})
    with memory_segment(meters=1) as segment, pytest.raises(RequestError):
        Counter(segment, lane).ask("application_reset", **given)
