"""The secondary search against a set of meters in memory, whose answers are added on the wire bit by bit."""
from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mbusgw.mbus.masks import HEXADECIMAL
from mbusgw.mbus.probe import NO_DATA, judge
from mbusgw.mbus.search import CROWD_MAX, CROWDED, NOT_APART, SAME_ADDRESS, Find, Heard, SecondarySearch, Verdict
from mbusgw.model.address import SecondaryAddress
from mbusgw.model.manufacturers import MANUFACTURERS
from mbusgw.model.meter import MeterIdentity
from mbusgw.simulator.encode import long_frame

VOLUME = bytes.fromhex("0C1300000000")


@dataclass
class Slave:
    """A meter that knows selections, and counts its answers unless ``counts`` is False."""

    identity: MeterIdentity
    access_no: int = 0
    counts: bool = True
    mute: bool = False
    records: bytes = VOLUME

    def answer(self) -> bytes:
        self.access_no = (self.access_no + self.counts) % 256
        return long_frame(self.identity, self.records, address=0, access_no=self.access_no)


class Room:
    """Meters that answer at the very same moment, so that every 0 bit of one is one of all."""

    def __init__(self, slaves: Iterable[Slave]) -> None:
        self.slaves = list(slaves)
        self.probes: list[SecondaryAddress] = []

    def probe(self, mask: SecondaryAddress) -> Heard:
        self.probes.append(mask)
        selected = [slave for slave in self.slaves if mask.matches(slave.identity)]
        answers = [slave.answer() for slave in selected if not slave.mute]
        if not selected:
            return Heard(Verdict.NOBODY)
        return judge(superposed(answers)) if answers else Heard(Verdict.MUTE, why=NO_DATA)


def superposed(answers: Sequence[bytes]) -> bytes:
    size = max(len(answer) for answer in answers)
    padded = [answer.ljust(size, b"\xFF") for answer in answers]
    return bytes(reduce(lambda one, other: one & other, column) for column in zip(*padded))


def finish(search: SecondarySearch, room: Room, *, most: int = 100_000) -> list[Find]:
    """Everything the search finds from here on."""
    finds: list[Find] = []
    progress = 0.0
    while (mask := search.next_probe()) is not None:
        assert len(room.probes) < most, "the search goes round in circles"
        finds += search.told(room.probe(mask))
        assert progress <= search.progress <= 1
        progress = search.progress
    assert search.progress == 1
    return finds


def meters(*ids: str, manufacturer: str = "KAM", version: int = 8, medium: int = 4) -> list[Slave]:
    return [Slave(MeterIdentity(number, manufacturer, version, medium)) for number in ids]


def identities(finds: Iterable[Find]) -> set[MeterIdentity]:
    assert all(not find.note for find in finds), [find.note for find in finds]
    return {find.sender.identity for find in finds if find.sender}


def expect_all(room: Room, **options: str) -> list[Find]:
    finds = finish(SecondarySearch(**options), room)  # type: ignore[arg-type]
    assert identities(finds) == {slave.identity for slave in room.slaves}
    assert len(finds) == len(room.slaves), "nobody is found twice"
    return finds


# ------------------------------------------------------------------ who is there
def test_an_empty_bus_costs_one_probe_a_digit() -> None:
    room = Room([])
    assert finish(SecondarySearch(), room) == []
    assert len(room.probes) == 10


def test_a_lone_meter_is_found_confirmed_by_its_whole_address_and_heard_to_be_alone() -> None:
    room = Room(meters("12345678"))
    expect_all(room)
    assert len(room.probes) == 12
    assert room.probes[2] == SecondaryAddress.of(room.slaves[0].identity)


def test_meters_with_numbers_in_a_row_are_told_apart() -> None:
    expect_all(Room(meters(*(f"1000{n:04d}" for n in range(25)))))


def test_a_meter_whose_answer_covers_that_of_another_bit_by_bit_hides_nobody() -> None:
    room = Room(meters("10000001", "10000003"))
    assert judge(superposed([slave.answer() for slave in room.slaves])).verdict is Verdict.ONE, "the case is real"
    for slave in room.slaves:
        slave.access_no = 0
    expect_all(room)


@pytest.mark.parametrize("numbers", [("10000001", "10000003"), ("00000000", "00000006", "00060000")])
def test_nor_does_one_that_does_not_count_its_answers(numbers: tuple[str, ...]) -> None:
    room = Room(meters(*numbers))
    for slave in room.slaves:
        slave.counts = False
    expect_all(room)


def test_two_meters_with_one_number_are_told_apart_by_medium_version_or_manufacturer() -> None:
    for other in (("KAM", 8, 7), ("KAM", 9, 4), ("EFE", 8, 4)):
        room = Room(meters("12345678") + meters("12345678", "99999999", manufacturer=other[0]))
        room.slaves[1].identity = MeterIdentity("12345678", *other)
        expect_all(room)


@pytest.mark.parametrize(
    "medium, records, counts",
    [
        (7, ("0C13230055530406F2D00000", "0C1321131066040657610000"), (70, 152)),
        (6, ("0C1301967510040676D30000", "0C1380041089040659460000"), (58, 16)),
    ],
)
def test_one_whose_answer_is_covered_each_time_it_is_asked_for_is_looked_for_behind_that_one(
    medium: int, records: tuple[str, str], counts: tuple[int, int]
) -> None:
    room = Room(meters("12345678") + meters("12345678", medium=medium))
    for slave, record, count in zip(room.slaves, records, counts):
        slave.records, slave.access_no = bytes.fromhex(record), count
    expect_all(room)


def test_letters_in_numbers_are_found_when_they_are_asked_for() -> None:
    room = Room(meters("050002E5", "050002A5", "A0000001"))
    expect_all(room, digits=HEXADECIMAL)


def test_a_letter_that_was_not_asked_for_is_not_passed_over_in_silence() -> None:
    room = Room(meters("050002E5", "050002A5"))
    [find] = finish(SecondarySearch(), room)
    assert find.note == NOT_APART and find.address == SecondaryAddress("050002FF")


def test_a_mask_limits_the_search() -> None:
    room = Room(meters("12345678", "12990000", "55555555"))
    finds = finish(SecondarySearch(SecondaryAddress("12FFFFFF")), room)
    assert {find.address.id for find in finds} == {"12345678", "12990000"}
    assert all(mask.id.startswith("12") for mask in room.probes)


def test_old_meters_of_the_fixed_structure_are_found_by_their_number() -> None:
    room = Room(meters("12345678"))
    frame = bytes.fromhex("6813136808007378563412010000050100000000020000")
    frame += bytes((sum(frame[4:]) & 0xFF, 0x16))
    assert judge(frame).sender is not None
    heard = judge(frame)

    class Old(Room):
        def probe(self, mask: SecondaryAddress) -> Heard:
            self.probes.append(mask)
            return heard if mask.matches(heard.sender.identity) else Heard(Verdict.NOBODY)  # type: ignore[union-attr]

    finds = finish(SecondarySearch(), Old(room.slaves))
    assert [find.address for find in finds] == [SecondaryAddress("12345678")]


# ------------------------------------------------------------------ what cannot be told apart, what disturbs
def test_two_meters_with_the_very_same_address_are_reported_as_such() -> None:
    room = Room(meters("12345678", "12345678"))
    room.slaves[0].records, room.slaves[1].records = bytes.fromhex("0C1312345678"), bytes.fromhex("0C1321436587")
    finds = finish(SecondarySearch(), room)
    assert [find.note for find in finds] == [SAME_ADDRESS]
    assert finds[0].address == SecondaryAddress.of(room.slaves[0].identity)


def test_a_meter_that_acknowledges_and_sends_nothing_is_reported_with_its_number() -> None:
    room = Room(meters("12345678", "87654321"))
    room.slaves[0].mute = True
    finds = finish(SecondarySearch(), room)
    assert sorted((find.address.id, find.note) for find in finds) == [("12345678", NO_DATA), ("87654321", "")]


def test_a_meter_that_answers_under_another_name_is_reported_with_both() -> None:
    room = Room(meters("12345678"))

    class Liar(Room):
        def probe(self, mask: SecondaryAddress) -> Heard:
            heard = super().probe(mask)
            self.slaves[0].identity = MeterIdentity("12345678", "KAM", 8, 4)
            if heard.verdict is Verdict.ONE:
                other = long_frame(MeterIdentity("99345678", "KAM", 8, 4), VOLUME, address=0, access_no=1)
                return judge(other)
            return heard

    [find] = finish(SecondarySearch(), Liar(room.slaves))
    assert find.address.id == "12345678" and "99345678" in find.note


class Noisy(Room):
    """Spoils or invents answers of some probes, by their number."""

    def __init__(self, slaves: Iterable[Slave], noise: set[int], *, deaf: Iterable[int] = ()) -> None:
        super().__init__(slaves)
        self.noise, self.deaf = noise, set(deaf)

    def probe(self, mask: SecondaryAddress) -> Heard:
        heard = super().probe(mask)
        if len(self.probes) in self.deaf:
            return Heard(Verdict.NOBODY)
        return Heard(Verdict.SEVERAL) if len(self.probes) in self.noise else heard


@pytest.mark.parametrize("when", range(1, 14))
def test_noise_makes_neither_a_false_find_nor_a_missing_one(when: int) -> None:
    room = Noisy(meters("12345678", "30000000"), {when})
    assert {find.address.id for find in finish(SecondarySearch(), room)} == {"12345678", "30000000"}


@pytest.mark.parametrize("when", range(12, 40))
def test_an_answer_that_is_lost_below_a_collision_is_asked_for_again(when: int) -> None:
    room = Noisy(meters("12345678", "12340000"), set(), deaf={when})
    assert {find.address.id for find in finish(SecondarySearch(), room)} == {"12345678", "12340000"}


def test_a_line_that_answers_everything_ends_the_search() -> None:
    room = Noisy([], set(range(1000)))
    finds = finish(SecondarySearch(), room)
    assert finds[-1].note == CROWDED and len(finds) < 10
    assert len(set(room.probes)) == CROWD_MAX + 1 and len(room.probes) < 2 * CROWD_MAX


@pytest.mark.parametrize("when", range(20, 360, 7))
def test_noise_while_two_of_one_number_are_told_apart_costs_no_hundreds_of_probes(when: int) -> None:
    pair = meters("12345678") + meters("12345678", medium=7)
    quiet, noisy = Room(pair), Noisy(pair, {when, when + 100})
    assert len(finish(SecondarySearch(), quiet)) == len(finish(SecondarySearch(), noisy)) == 2
    assert len(noisy.probes) <= len(quiet.probes) + 30


def test_on_a_bus_that_was_found_to_be_noisy_every_sign_of_several_is_asked_for_again() -> None:
    room = Noisy(meters("12345678", "30000000"), {1, 13, 20, 22})
    finds = finish(SecondarySearch(), room)
    assert {find.address.id for find in finds} == {"12345678", "30000000"}
    assert len(room.probes) < 50, "below the first ten masks, and a few more"


# ------------------------------------------------------------------ going on
def test_a_mask_can_be_looked_at_once_more() -> None:
    room = Noisy(meters("12345678"), set(), deaf={2})
    search = SecondarySearch()
    for _ in range(2):
        mask = search.next_probe()
        assert mask is not None
        search.told(room.probe(mask))
    search.again(mask)
    assert {find.address.id for find in finish(search, room)} == {"12345678"}


@pytest.mark.parametrize("steps", [0, 1, 2, 3, 10, 30, 60])
def test_a_search_goes_on_from_its_place(steps: int) -> None:
    numbers = ("12345678", "12345679", "12340000", "99999999")
    room = Room(meters(*numbers) + meters("99999999", medium=7))
    search, finds = SecondarySearch(), []
    for _ in range(steps):
        mask = search.next_probe()
        assert mask is not None
        finds += search.told(room.probe(mask))
    place = json.loads(json.dumps(search.place()))
    resumed = SecondarySearch.at(place)
    assert resumed.progress == search.progress
    finds += finish(resumed, room)
    assert len(identities(finds)) == len(finds) == 5


@pytest.mark.parametrize("wrong", [{}, {"digits": "01"}, {"stack": 3}])
def test_what_is_no_place_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises((ValueError, LookupError, TypeError)):
        SecondarySearch.at(wrong)


# ------------------------------------------------------------------ any set of meters
def slaves(digits: str) -> st.SearchStrategy[list[Slave]]:
    """Many with close numbers, some with the same one."""
    few = st.sampled_from(["KAM", "EFE", "LUG", "ZRI", *MANUFACTURERS])
    number = st.one_of(
        st.text(digits, min_size=8, max_size=8), st.text(digits, min_size=2, max_size=2).map(lambda end: "123456" + end)
    )
    identity = st.builds(MeterIdentity, number, few, st.integers(0, 254), st.integers(0, 254))
    slave = st.builds(Slave, identity, st.integers(0, 255))
    return st.lists(slave, max_size=25, unique_by=lambda one: one.identity)


@settings(deadline=None, max_examples=60)
@given(slaves("0123456789"))
def test_any_set_of_meters_is_found_completely_and_exactly(present: list[Slave]) -> None:
    expect_all(Room(present))


@settings(deadline=None, max_examples=30)
@given(slaves(HEXADECIMAL))
def test_any_set_of_meters_with_letters_in_their_numbers_is_found(present: list[Slave]) -> None:
    expect_all(Room(present), digits=HEXADECIMAL)
