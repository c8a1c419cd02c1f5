"""Whole buses searched, on a simulated wire whose time passes only while somebody waits."""
from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from mbusgw.mbus.frames import ADDRESS_NETWORK_LAYER, SND_NKE, ShortFrame, parse
from mbusgw.mbus.masks import HEXADECIMAL
from mbusgw.mbus.probe import NO_DATA, REFUSES
from mbusgw.mbus.search import SAME_ADDRESS
from mbusgw.mbus.session import Session
from mbusgw.mbus.sighting import DOUBLED, Sighting
from mbusgw.mbus.sweep import LATE, PRIMARY_ADDRESSES, PrimarySweep, SecondarySweep, Sweep
from mbusgw.model.address import SecondaryAddress
from mbusgw.model.meter import MeterIdentity
from mbusgw.runtime.clock import SystemClock
from mbusgw.simulator.cable import Cable
from mbusgw.simulator.catalogue import KINDS, build_meter, build_meters
from mbusgw.simulator.chaos import Chaos
from mbusgw.simulator.fault import Fault, FaultKind
from mbusgw.simulator.meter import SimulatedMeter
from mbusgw.simulator.virtual import VirtualLine
from mbusgw.transports.latency import UNKNOWN_SLACK_S
from tests.fakes.clock import FakeClock

CLOCK = SystemClock()
HABITS = {FaultKind.NO_RESET, FaultKind.KEEPS_FCB, FaultKind.STAYS_SELECTED, FaultKind.SAME_ACCESS_NO}
NUMBERS = list(enumerate((1, 2, 3, 11, 12, 99), 1))


@dataclass
class Wired:
    """A cable with meters, and a session on it."""

    cable: Cable
    line: VirtualLine
    session: Session

    @property
    def now_s(self) -> float:
        return self.line.now_mono

    def finish(self, sweep: Sweep) -> list[Sighting]:
        sightings = []
        while not sweep.done:
            sightings += sweep.step(self.session)
            assert 0 <= sweep.progress <= 1
        assert sweep.progress == 1
        return sightings


def wired(meters: Sequence[SimulatedMeter], *, baudrate: int = 2400, echo: bool = False) -> Wired:
    cable = Cable(meters, baudrate=baudrate, echo=echo)
    line = VirtualLine(cable, baudrate=baudrate, slack_s=0.004)
    return Wired(cable, line, Session(line, baudrate=baudrate, mono=line.mono))


def meter(address: int, *, number: int = 0, kind: str = "", fault: FaultKind | None = None) -> SimulatedMeter:
    kinds = list(KINDS)
    built = build_meter(kind or kinds[address % len(kinds)], address, clock=CLOCK, number=number or address)
    if fault is not None:
        built.fault = Fault(fault)
    return built


def named(address: int, identity: MeterIdentity) -> SimulatedMeter:
    built = meter(address, kind="water")
    built.identity = identity
    return built


def identities(sightings: Sequence[Sighting]) -> set[MeterIdentity | None]:
    return {sighting.identity for sighting in sightings}


@pytest.mark.parametrize(("seed", "rate", "most_s"), [(2, 0.1, 300), (8, 0.3, 1500)])
def test_a_noisy_bus_is_searched_in_minutes_and_every_meter_is_found(seed: int, rate: float, most_s: float) -> None:
    meters = build_meters(8, clock=FakeClock())
    line = VirtualLine(Cable(meters, baudrate=2400, chaos=Chaos(seed, rate)), baudrate=2400, slack_s=0.004)
    room = Wired(line.cable, line, Session(line, baudrate=2400, mono=line.mono))
    began_s = room.now_s
    found = identities(room.finish(SecondarySweep.of()))
    assert {one.identity for one in meters} <= found
    assert room.now_s - began_s < most_s, "bus time; hours, if all noise were believed"


# ------------------------------------------------------------------ primary addresses
def test_a_primary_sweep_finds_every_meter_and_that_it_can_be_selected() -> None:
    meters = [meter(address) for address in (0, 1, 17, 250)]
    sightings = wired(meters).finish(PrimarySweep())
    assert sightings == [Sighting(one.identity, one.address, one.secondary_address) for one in meters]


def test_250_addresses_with_five_meters_take_less_than_a_minute_at_2400_baud() -> None:
    room = wired([meter(address) for address in (3, 50, 100, 150, 249)])
    began_s = room.now_s
    assert len(room.finish(PrimarySweep(PRIMARY_ADDRESSES[1:]))) == 5
    assert room.now_s - began_s < 60
    assert len(room.cable.requests) == 250 + 5 * 2, "a silent address costs one request"


def test_the_readings_of_a_meter_are_not_disturbed() -> None:
    room = wired([meter(1), meter(2)])
    first = room.session.read_user_data(1).frames[0]
    room.finish(PrimarySweep((1, 2)))
    began = len(room.cable.requests)
    second = room.session.read_user_data(1).frames[0]
    assert len(room.cable.requests) == began + 1, "no initialisation is needed"
    assert second[15] == (first[15] + 2) % 256, "and it is no repeat of what the sweep has heard"


def test_a_meter_in_the_middle_of_several_telegrams_begins_anew_for_its_reader() -> None:
    room = wired([build_meter("electricity", 1, clock=CLOCK, telegrams=3)])
    room.session.read_user_data(1)
    room.finish(PrimarySweep((1,)))
    assert len(room.session.read_user_data(1).frames) == 3


@pytest.mark.parametrize(
    ("next_one", "delay_s", "baudrate"),
    [(3, 0.2, 2400), (3, 0.3, 2400), (3, 0.5, 2400), (4, 0.5, 2400), (4, 0.2, 9600)],
)
def test_a_late_meter_is_found_though_its_answer_comes_into_that_of_the_next(
    next_one: int, delay_s: float, baudrate: int
) -> None:
    late = meter(2)
    late.fault = Fault(FaultKind.LATE, delay_s=delay_s)
    room = wired([late, meter(next_one), meter(5)], baudrate=baudrate)
    sightings = room.finish(PrimarySweep(range(1, 10)))
    assert {one.primary: one.identity for one in sightings} == {m.address: m.identity for m in room.cable.meters}
    assert [one.note for one in sightings if one.primary == 2] == [LATE]


@pytest.mark.parametrize("seed", range(3))
def test_noise_is_no_meter_and_hides_none(seed: int) -> None:
    chaos = Chaos(seed, 0.15, kinds=(FaultKind.CHECKSUM,))
    cable = Cable(build_meters(8, clock=FakeClock()), baudrate=2400, chaos=chaos)
    line = VirtualLine(cable, baudrate=2400, slack_s=0.004)
    room = Wired(cable, line, Session(line, baudrate=2400, mono=line.mono))
    sightings = room.finish(PrimarySweep())
    assert {(one.primary, one.identity) for one in sightings} == {(m.address, m.identity) for m in cable.meters}


def test_two_meters_at_one_address_are_recognised() -> None:
    room = wired([meter(5, kind="heat"), meter(5, number=77, kind="water"), meter(6)])
    sightings = room.finish(PrimarySweep((4, 5, 6)))
    assert sightings[0] == Sighting(None, 5, None, DOUBLED)
    assert [one.primary for one in sightings] == [5, 6]


def test_two_meters_at_one_address_that_answer_one_after_the_other_are_both_named() -> None:
    late = meter(5, number=77, kind="water")
    late.answer_delay_s = 0.05
    quick = meter(5, kind="water")
    quick.channels = quick.channels[:1]
    room = wired([quick, late], baudrate=38400)
    sightings = room.finish(PrimarySweep((5,)))
    assert identities(sightings) <= {quick.identity, late.identity, None}
    assert all(one.note for one in sightings)


@pytest.mark.parametrize("kind", [FaultKind.NO_RESET, FaultKind.KEEPS_FCB, FaultKind.STAYS_SELECTED, FaultKind.NOISE])
def test_odd_habits_hide_no_meter_from_a_primary_sweep(kind: FaultKind) -> None:
    meters = [meter(3, fault=kind), meter(4), meter(5, fault=kind)]
    sightings = wired(meters).finish(PrimarySweep(range(10)))
    assert identities(sightings) == {one.identity for one in meters}


@pytest.mark.parametrize("kind", [FaultKind.TRUNCATED, FaultKind.CHECKSUM, FaultKind.BIT_FLIP, FaultKind.SILENT])
def test_one_damaged_answer_is_asked_for_again(kind: FaultKind) -> None:
    spoiled = meter(3)
    spoiled.fault = Fault(kind, times=1)
    sightings = wired([spoiled]).finish(PrimarySweep((3, 3) if kind is FaultKind.SILENT else (3,)))
    assert [(one.identity, one.note) for one in sightings] == [(spoiled.identity, "")]


def test_noise_on_a_silent_address_is_no_meter() -> None:
    room = wired([])
    room.cable.inject(b"\x68\x11\x00", room.now_s + 0.1)
    assert room.finish(PrimarySweep((1, 2))) == []


def test_an_echo_is_no_meter() -> None:
    room = wired([meter(2)], echo=True)
    assert [one.primary for one in room.finish(PrimarySweep(range(5)))] == [2]


@pytest.mark.parametrize("latency_s", [0.0, 0.3])
def test_the_slowest_meters_that_the_standard_allows_are_found(latency_s: float) -> None:
    meters = [meter(address, fault=FaultKind.SLOWEST) for address in (2, 5, 6)]
    line = VirtualLine(Cable(meters, baudrate=2400), baudrate=2400, slack_s=UNKNOWN_SLACK_S)
    session = Session(line, baudrate=2400, mono=line.mono, latency_s=latency_s)
    room = Wired(line.cable, line, session)
    assert identities(room.finish(PrimarySweep(range(10)))) == {one.identity for one in meters}


def test_a_meter_that_answers_too_late_is_asked_again_with_patience() -> None:
    slow = meter(2)
    slow.fault = Fault(FaultKind.LATE, delay_s=0.25)
    [sighting] = wired([slow]).finish(PrimarySweep(range(5)))
    assert (sighting.identity, sighting.primary, sighting.note) == (slow.identity, 2, LATE)


@pytest.mark.parametrize(
    ("kind", "note"), [(FaultKind.ACK_ONLY, NO_DATA), (FaultKind.APPLICATION_ERROR, REFUSES)]
)
def test_what_is_no_answer_with_data_is_told_with_its_reason(kind: FaultKind, note: str) -> None:
    assert wired([meter(7, fault=kind)]).finish(PrimarySweep((7,))) == [Sighting(None, 7, None, note)]


def test_a_meter_that_answers_under_another_address_is_told_with_both() -> None:
    [sighting] = wired([meter(7, fault=FaultKind.WRONG_ADDRESS)]).finish(PrimarySweep((7,)))
    assert sighting.note == "answers to address 7, but as 8"


def test_a_primary_sweep_goes_on_from_its_place() -> None:
    room = wired([meter(address) for address in range(1, 9)])
    sweep = PrimarySweep(range(10))
    sightings = [one for _ in range(4) for one in sweep.step(room.session)]
    resumed = PrimarySweep.at(json.loads(json.dumps(sweep.place())))
    sightings += room.finish(resumed)
    assert [one.primary for one in sightings] == list(range(1, 9))


# ------------------------------------------------------------------ selection
def test_a_secondary_sweep_finds_every_meter_with_its_primary_address() -> None:
    meters = [meter(address, number=address * 7919) for address in range(1, 13)]
    sightings = wired(meters).finish(SecondarySweep.of())
    assert {(one.identity, one.primary, one.note) for one in sightings} == {
        (one.identity, one.address, "") for one in meters
    }
    assert len(sightings) == len(meters)


def test_meters_with_one_number_are_told_apart_on_the_wire() -> None:
    meters = [
        named(1, MeterIdentity("00000815", "KAM", 1, 4)),
        named(2, MeterIdentity("00000815", "KAM", 1, 7)),
        named(3, MeterIdentity("00000815", "EFE", 1, 7)),
        named(4, MeterIdentity("00000816", "EFE", 1, 7)),
    ]
    sightings = wired(meters, baudrate=38400).finish(SecondarySweep.of())
    assert identities(sightings) == {one.identity for one in meters}
    assert not any(one.note for one in sightings)


def test_meters_with_the_very_same_address_are_told_of() -> None:
    twins = [meter(1, kind="heat"), meter(2, kind="water")]
    for twin in twins:
        twin.identity = MeterIdentity("12345678", "KAM", 1, 4)
    sightings = wired(twins, baudrate=38400).finish(SecondarySweep.of())
    assert {one.secondary for one in sightings} == {twins[0].secondary_address}
    assert SAME_ADDRESS in {one.note for one in sightings}


@pytest.mark.parametrize("kind", sorted(HABITS | {FaultKind.NOISE, FaultKind.SLOWEST, FaultKind.TWICE}))
def test_odd_habits_hide_no_meter_from_a_secondary_sweep(kind: FaultKind) -> None:
    meters = [meter(address, number=n, fault=kind if n % 2 else None) for address, n in NUMBERS]
    sightings = wired(meters).finish(SecondarySweep.of())
    assert {(one.identity, one.note) for one in sightings} == {(one.identity, "") for one in meters}


def test_a_meter_that_acknowledges_too_late_is_found_with_patience() -> None:
    slow = meter(2, number=4711)
    slow.fault = Fault(FaultKind.LATE, delay_s=0.25)
    sightings = wired([slow, meter(3, number=1)]).finish(SecondarySweep.of())
    assert slow.identity in identities(sightings)


def test_a_meter_that_only_acknowledges_is_told_with_its_number() -> None:
    sightings = wired([meter(2, number=4711, fault=FaultKind.ACK_ONLY), meter(3)]).finish(SecondarySweep.of())
    dumb = next(one for one in sightings if one.note)
    assert dumb.note == NO_DATA and dumb.secondary is not None
    assert dumb.secondary.id == meter(2, number=4711).identity.id


def test_letters_are_searched_where_they_are_asked_for() -> None:
    meters = [named(1, MeterIdentity("0500A2E5", "KAM", 1, 4)), named(2, MeterIdentity("0500A2E6", "KAM", 1, 4))]
    sightings = wired(meters).finish(SecondarySweep.of(digits=HEXADECIMAL))
    assert identities(sightings) == {one.identity for one in meters}


def test_no_selection_is_left_behind() -> None:
    room = wired([meter(1), meter(2)])
    room.finish(SecondarySweep.of())
    assert parse(room.cable.requests[-1][1]) != ShortFrame(SND_NKE, ADDRESS_NETWORK_LAYER)
    room.cable.requests.clear()
    heard = room.session.hear(ShortFrame(0x7B, ADDRESS_NETWORK_LAYER))
    assert heard == (b"", b"")


def test_an_echo_disturbs_no_selection() -> None:
    meters = [meter(1), meter(2)]
    room = wired(meters, echo=True)
    assert identities(room.finish(SecondarySweep.of())) == {one.identity for one in meters}


def test_a_secondary_sweep_goes_on_from_its_place_with_a_mask() -> None:
    meters = [named(n, MeterIdentity(f"123456{n:02d}", "KAM", 1, 4)) for n in range(10)]
    room = wired([*meters, meter(20)])
    sweep = SecondarySweep.of(SecondaryAddress("12FFFFFF"))
    sightings = [one for _ in range(15) for one in sweep.step(room.session)]
    sightings += room.finish(SecondarySweep.at(json.loads(json.dumps(sweep.place()))))
    assert identities(sightings) == {one.identity for one in meters}
