"""A counter never goes down and never jumps, unless the meter insists or a person says so."""
from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbusgw.config.readings import PlausibilityConfig
from mbusgw.model.device import DeviceState
from mbusgw.model.meter import MeterIdentity
from mbusgw.model.quantity import QUANTITIES
from mbusgw.model.quarantine import Doubt, quarantine_document
from mbusgw.model.reading import Field, Lane, Reading
from mbusgw.model.record import Function, Record, Value
from mbusgw.model.telegram import Header
from mbusgw.registry import quarantine_log
from mbusgw.registry.changes import Change, DeadBands
from mbusgw.registry.plausibility import Guard
from mbusgw.registry.registry import Registry
from tests.fakes.clock import START, FakeClock

HEAT = MeterIdentity("12345678", "ELS", 1, 0x04)
OTHER = MeterIdentity("87654321", "ELS", 1, 0x04)
INT32, BCD8, REAL = 0x04, 0x0C, 0x05


def counter(value: Value | None, *, unit: str = "kWh", dif: int = INT32, data: bytes = b"", **meaning: object) -> Field:
    head = {"dib": bytes((dif,)), "vib": b"\x06", "data": data}
    record = Record(QUANTITIES["energy"], "Wh", value, **head, **meaning)  # type: ignore[arg-type]
    return Field("energy", value, unit, record)


def digits(number: int) -> Field:
    """A counter of eight digits, in kWh."""
    return counter(Decimal(number), dif=BCD8, data=bytes.fromhex(f"{number:08}")[::-1])


class House:
    """A registry that reads one meter every ``interval_s``."""

    def __init__(self, config: PlausibilityConfig = PlausibilityConfig(), interval_s: float = 15) -> None:
        self.clock = FakeClock()
        self.guard = Guard(config)
        self.registry = Registry(self.clock, radio_ttl_s=3600, guard=self.guard)
        self.interval_s = interval_s
        self.change: Change | None = None

    def read(
        self, *fields: Field | int | str, status: int | None = 0, meter: MeterIdentity | None = HEAT, back_s: float = 0
    ) -> Value | None:
        """Reads once; what is shown then."""
        self.clock.advance(self.interval_s)
        named = [one if isinstance(one, Field) else counter(Decimal(one)) for one in fields]
        read_at = self.clock.now() - timedelta(seconds=back_s)
        self.change = self.registry.record(
            Reading(
                "meter_1", read_at, Lane.WIRED, Header(0x72, meter=meter, access_no=1, status=status),
                MappingProxyType({one.name: one for one in named}),
            )  # fmt: skip
        )
        return self.shown

    @property
    def state(self) -> DeviceState:
        state = self.registry.get("meter_1")
        assert state is not None
        return state

    @property
    def shown(self) -> Value | None:
        field = self.state.fields.get("energy")
        return field.value if field else None

    @property
    def doubt(self) -> Doubt | None:
        suspect = self.state.quarantine.get("energy")
        return suspect.doubt if suspect else None


@pytest.fixture
def house() -> House:
    return House()


def after(house: House, *said: Field | int | str) -> list[Value | None]:
    return [house.read(one) for one in said]


# ------------------------------------------------------------------ what is held back
@pytest.mark.parametrize(
    ("said", "doubt"),
    [
        (counter(Decimal(999)), Doubt.DOWN),
        (counter(Decimal(-5)), Doubt.DOWN),
        (counter(Decimal(0)), Doubt.ZERO),
        (counter(Decimal(1503)), Doubt.JUMP),
        (counter(Decimal(10000)), Doubt.JUMP),
        (counter(Decimal(1001), unit="GJ"), Doubt.UNIT),
        (counter("ERROR"), Doubt.NO_NUMBER),
    ],
)
def test_what_cannot_be_is_held_back_and_the_old_value_stays(house: House, said: Field, doubt: Doubt) -> None:
    house.read(1000)
    assert house.read(said) == 1000 and house.doubt is doubt
    assert house.change is not None and house.change.fields == frozenset()
    assert house.read(1001) == 1001 and house.doubt is None


@pytest.mark.parametrize("value", [None, Decimal("NaN"), Decimal("Infinity")])
def test_no_value_is_told_as_none_and_the_counter_is_remembered(house: House, value: Decimal | None) -> None:
    house.read(1000)
    assert house.read(counter(value)) is None and house.doubt is None
    assert house.read(5) is None and house.doubt is Doubt.DOWN
    assert house.read(1001) == 1001


def test_the_first_value_is_believed(house: House) -> None:
    assert house.read(0) == 0
    assert House().read(99_999_999) == 99_999_999


def test_an_hour_may_come_at_once_and_a_long_silence_allows_more(house: House) -> None:
    assert after(house, 1000, 1400) == [1000, 1400]
    house.clock.advance(10 * 3600)
    assert house.read(6400) == 6400
    assert house.read(11_400) == 6400


def test_the_same_counter_less_exactly_is_not_less(house: House) -> None:
    assert after(house, "1000.678", "1000", "1001", "1000.9") == [Decimal("1000.678")] * 2 + [1001, 1001]
    assert house.doubt is Doubt.DOWN


def test_coarse_counters_may_take_a_step_of_their_last_digit(house: House) -> None:
    assert after(house, "12E+3", "13E+3", "23E+3") == [12_000, 13_000, 13_000]


def test_digits_of_a_floating_point_number_allow_nothing(house: House) -> None:
    house.read(counter(Decimal("1E+6"), dif=REAL))
    assert house.read(counter(Decimal("2E+6"), dif=REAL)) == 1_000_000


def test_what_is_no_counter_is_never_held_back(house: House) -> None:
    balance, rate = {"qualifiers": ("delta_import_export",)}, {"qualifiers": ("per_hour",)}
    for meaning in ({"storage": 1}, {"function": Function.MAXIMUM}, balance, rate):
        assert after(House(), counter(Decimal(9), **meaning), counter(Decimal(0), **meaning)) == [9, 0]


# ------------------------------------------------------------------ confirmed
def test_a_value_is_believed_after_as_many_further_readings(house: House) -> None:
    house.read(1000)
    assert after(house, 5, 5, 6) == [1000] * 3
    assert house.state.quarantine["energy"].confirmations == 2
    assert house.read(6) == 6 and house.doubt is None
    assert house.read(7) == 7


def test_values_that_contradict_each_other_confirm_nothing(house: House) -> None:
    house.read(1000)
    assert after(house, 5, 5, 4, 4, 3, 3, 2, 2) == [1000] * 8
    assert house.state.quarantine["energy"].seen == 8


def test_a_zero_is_never_confirmed_and_what_follows_it_begins_anew(house: House) -> None:
    house.read(1000)
    assert after(house, *[0] * 20, 1, 1, 1) == [1000] * 23
    assert house.read(1) == 1


def test_a_meter_with_an_error_confirms_nothing(house: House) -> None:
    house.read(1000)
    assert [house.read(5, status=0x10) for _ in range(10)] == [1000] * 10
    assert [house.read(1001, status=0x10), house.read(1002, status=0x04)] == [1001, 1002]


def test_a_meter_that_reports_an_error_for_years_is_believed_after_a_day(house: House) -> None:
    house.read(1000)
    assert [house.read(5, status=0x08) for _ in range(10)] == [1000] * 10
    house.clock.advance(86_400)
    assert [house.read(value, status=0x08) for value in (6, 5, 6, 6)] == [1000] * 4
    assert house.read(6, status=0x08) == 6


@pytest.mark.parametrize("seconds", [30, 15])
def test_the_same_reading_again_confirms_nothing(house: House, seconds: int) -> None:
    house.read(1000)
    house.read(5)
    for _ in range(10):
        assert house.read(5, back_s=(house.clock.now() - START).total_seconds() + 15 - seconds) == 1000
    assert house.state.quarantine["energy"].confirmations == 0


def test_a_clock_that_is_set_back_does_not_keep_a_value_from_being_confirmed(house: House) -> None:
    house.read(1000)
    house.read(5)
    house.clock.set_wall(START - timedelta(days=365))
    assert after(house, 5, 5, 5) == [1000, 1000, 5]


def test_consumption_units_begin_anew_on_their_due_date(house: House) -> None:
    def units(value: int) -> Field:
        record = Record(QUANTITIES["hca"], "", value, dib=b"\x02", vib=b"\x6e")
        return Field("energy", value, "", record)

    assert after(house, *map(units, (741, 0, 0, 0, 0, 1))) == [741, 741, 741, 741, 0, 1]


def test_a_meter_that_is_faster_than_it_should_be_is_followed() -> None:
    house = House(interval_s=3600)
    assert after(house, 0, 9000, 18_000, 27_000, 36_000) == [0, 0, 0, 0, 36_000]


def test_an_older_reading_only_tells_what_was_not_known(house: House) -> None:
    house.read(replace(counter(Decimal(7)), name="power"))
    assert house.read(1000, back_s=100) == 1000
    assert house.read(5) == 1000


# ------------------------------------------------------------------ rollover, exchange, restart
def test_a_counter_that_rolls_over_is_believed_at_once(house: House) -> None:
    assert after(house, digits(99_999_990), digits(3), digits(4)) == [99_999_990, 3, 4]


def test_far_from_its_end_a_counter_does_not_roll_over(house: House) -> None:
    assert after(house, digits(99_990_000), digits(3)) == [99_990_000] * 2
    assert after(House(), digits(99_999_990), digits(0)) == [99_999_990] * 2


def test_another_meter_begins_anew(house: House) -> None:
    after(house, 1000, 5)
    assert house.read(3, meter=OTHER) == 3 and house.doubt is None
    assert house.read(1000, meter=OTHER) == 3


def test_a_counter_that_a_telegram_does_not_carry_is_judged_by_the_time_it_was_read(house: House) -> None:
    house.read(1000)
    for _ in range(3):
        house.clock.advance(3600)
        house.read(replace(counter(Decimal(1), storage=1), name="energy_storage_1"))
    assert house.read(2400) == 2400


def test_nothing_is_guarded_that_nobody_wants_guarded() -> None:
    assert after(House(PlausibilityConfig(enabled=False)), 1000, 5) == [1000, 5]
    off = PlausibilityConfig.model_validate({"limits": {"energy": "off"}})
    assert after(House(off), 1000, 5) == [1000, 5]
    one = PlausibilityConfig(limits={"energy": Decimal(10)}, devices={"meter_1": {"energy": Decimal(5000)}})
    assert after(House(one), 1000, 5000) == [1000, 5000]
    assert after(House(PlausibilityConfig(limits={"energy": Decimal(10)})), 1000, 1050) == [1000, 1000]


# ------------------------------------------------------------------ a person's word
def test_a_person_releases_a_value(house: House) -> None:
    after(house, 1000, 0)
    change = house.registry.release("meter_1", ["energy"], accept=True)
    assert change is not None and change.fields == {"energy"} and house.shown == 0 and house.doubt is None
    assert house.read(1) == 1
    assert house.registry.release("meter_1", ["energy"], accept=True) is None
    assert house.registry.release("nobody", ["energy"], accept=True) is None


def test_a_value_that_a_person_calls_wrong_is_never_confirmed(house: House) -> None:
    after(house, 1000, 5)
    house.registry.release("meter_1", ["energy"], accept=False)
    assert after(house, *[5] * 10) == [1000] * 10
    assert quarantine_document(house.state.quarantine, house.state.fields)["energy"] == {
        "value": 5, "unit": "kWh", "kept": 1000, "doubt": "down", "since": START + timedelta(seconds=30),
        "last_at": house.clock.now(), "seen": 11, "confirmations": 0, "refused": True,
    }  # fmt: skip
    assert house.read(1001) == 1001 and house.doubt is None


def test_a_jump_that_a_person_calls_wrong_is_not_right_when_so_much_time_has_passed(house: House) -> None:
    after(house, 1000, 9000)
    house.registry.release("meter_1", ["energy"], accept=False)
    house.clock.advance(30 * 86_400)
    assert after(house, *[9000] * 5) == [1000] * 5 and house.doubt is Doubt.JUMP
    assert house.read(1200) == 1200 and house.doubt is None


def test_the_log_tells_the_beginning_and_the_end_once(house: House, caplog: pytest.LogCaptureFixture) -> None:
    house.registry.observe(quarantine_log.changed)
    with caplog.at_level("INFO"):
        after(house, 1000, 5, 4, 3, 1001, 1002)
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert "energy = 5 kWh is less than before" in caplog.text
    assert "energy is 1001 kWh; 3 readings were in quarantine, the last with 3 kWh" in caplog.text


# ------------------------------------------------------------------ whatever a meter says
_VALUES = st.one_of(
    st.none(), st.just(Decimal("NaN")), st.integers(-10, 2000).map(Decimal), st.integers(0, 99_999_999).map(Decimal)
)


@given(st.lists(st.tuples(_VALUES, st.floats(1, 20_000), st.sampled_from([0, 0x10, None]))))
def test_what_is_shown_only_goes_up_within_the_limit_but_for_what_was_confirmed(
    course: list[tuple[Decimal | None, float, int | None]],
) -> None:
    house = House()
    base, base_at = None, START
    for value, pause_s, status in course:
        house.clock.advance(pause_s)
        before = house.registry.get("meter_1")
        suspect = before.quarantine.get("energy") if before else None
        house.read(counter(value), status=status)
        shown = house.shown
        if not isinstance(shown, Decimal):
            continue
        confirmed = suspect is not None and suspect.confirmations >= 2 and shown == value
        if house.doubt is None and base is not None and not confirmed:
            hours = max(1.0, (house.clock.now() - base_at).total_seconds() / 3600)
            assert base <= shown <= base + Decimal(500 * hours) + 3
        if house.doubt is not None:
            assert shown == base
        else:
            base, base_at = shown, house.clock.now()


_WRONG = st.sampled_from(["0", "-5", "NaN", "99999999", "7", "20000"]).map(Decimal)


@given(st.lists(st.tuples(st.integers(0, 400), st.none() | _WRONG), max_size=30))
def test_single_wrong_values_never_reach_a_counter(course: list[tuple[int, Decimal | None]]) -> None:
    house, right = House(), Decimal(1000)
    house.read(counter(right))
    for step, wrong in course:
        if wrong is not None:
            assert house.read(counter(wrong)) in (right, None)
        right += step
        assert house.read(counter(right)) == right


# ------------------------------------------------------------------ dead bands
def test_less_than_the_dead_band_is_no_news_but_a_slow_drift_is() -> None:
    registry = Registry(FakeClock(), radio_ttl_s=3600, dead_bands=DeadBands({"power": Decimal(10)}))

    def told(watts: Value | None) -> bool:
        record = Record(QUANTITIES["power"], "W", watts, dib=b"\x02", vib=b"\x2b")
        fields = MappingProxyType({"power": Field("power", watts, "W", record)})
        reading = Reading("meter_1", START, Lane.WIRED, Header(0x72, meter=HEAT, access_no=1, status=0), fields)
        return "power" in registry.record(reading).fields

    said: list[int | None] = [100, 109, 100, 109, 110, 101, 100, None, 104, 105]
    assert [told(watts) for watts in said] == [True, False, False, False, True, False, True, True, True, False]
