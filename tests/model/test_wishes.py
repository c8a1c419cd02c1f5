"""What a person wants otherwise with single records."""
from __future__ import annotations

from decimal import Decimal

import pytest

from mbusgw.model.device import DeviceState
from mbusgw.model.fields import name_fields, wished
from mbusgw.model.quantity import QUANTITIES
from mbusgw.model.record import Record, Value
from mbusgw.model.units import plain_text
from mbusgw.model.wishes import MeterWishes, RecordWish, RecordWishes


def wishes(**of: RecordWish) -> RecordWishes:
    return RecordWishes(tuple((name.replace("ANY", "*"), wish) for name, wish in of.items()))


def energy(value: Value | None, *, unit: str = "Wh", storage: int = 0) -> Record:
    return Record(QUANTITIES["energy"], unit, value, storage=storage, dib=b"\x04", vib=b"\x06", data=b"\x01")


def test_the_exact_name_counts_before_patterns_and_the_later_pattern_before_the_earlier() -> None:
    some = wishes(
        energy=RecordWish(name="Heat"),
        energyANY=RecordWish(name="E", hidden=True, factor=Decimal(2)),
        ANY=RecordWish(hidden=False),
    )
    assert some.of("energy") == RecordWish(name="Heat", hidden=False, factor=Decimal(2))
    assert some.of("energy_tariff_1") == RecordWish(name="E", hidden=False, factor=Decimal(2))
    assert some.of("power") == RecordWish(hidden=False)
    assert wishes(energy=RecordWish()).of("power") is None


def test_what_fits_no_field_is_known() -> None:
    some = wishes(energy=RecordWish(), enrgy=RecordWish(), powerANY=RecordWish())
    assert some.unmet(["energy", "volume"]) == ["enrgy", "power*"]


@pytest.mark.parametrize(
    ("value", "factor", "text"),
    [
        (Decimal("48211400"), "10", "482114.000"),
        (Decimal("100"), "0.1", "0.0100"),
        (7, "0.001", "0.000007"),
        (Decimal("1E+30"), "3", "3" + "0" * 27),
        (Decimal("0.1234567890123456789012345678901234567890"), "3", "0.0003703703670370370367037037036703703703670"),
    ],
)
def test_a_factor_is_exact(value: Value, factor: str, text: str) -> None:
    field = name_fields([energy(value)], wishes(energy=RecordWish(factor=Decimal(factor))))["energy"]
    assert plain_text(field.value) == text and field.unit == "kWh"
    assert field.record is not None and field.record.value == value


@pytest.mark.parametrize("value", [None, "text"])
def test_what_is_no_number_has_no_factor_but_its_unit(value: Value | None) -> None:
    field = name_fields([energy(value)], wishes(energy=RecordWish(factor=Decimal(2), unit="MWh")))["energy"]
    assert (field.value, field.unit) == (value, "MWh")


def test_fields_are_made_anew_when_something_else_is_wanted() -> None:
    tens = wishes(energy=RecordWish(factor=Decimal(10), hidden=True))
    fields = name_fields([energy(Decimal(5000))], tens)
    assert fields["energy"].value == 50 and fields["energy"].hidden
    plain = wished(fields, wishes())
    assert plain["energy"].value == 5 and not plain["energy"].hidden
    assert wished(plain, wishes()) is plain
    assert wished(plain, tens) == fields


def test_a_state_keeps_its_version_when_something_else_is_wanted() -> None:
    before = DeviceState("meter_1", "Meter", version=7, fields=name_fields([energy(Decimal(5000))]))
    after = before.wanted(MeterWishes("Cellar", wishes(energy=RecordWish(unit="MWh"))))
    assert after.version == 7 and after.wishes.area == "Cellar" and after.fields["energy"].unit == "MWh"
    assert after.wanted(MeterWishes()).fields == before.fields
