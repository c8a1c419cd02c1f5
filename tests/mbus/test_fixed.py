"""The fixed data structure."""
from __future__ import annotations

import pytest

from mbusgw.mbus.decode import decode_frame
from mbusgw.model.errors import FormatUnknown
from mbusgw.model.fields import name_fields
from mbusgw.model.units import plain_text
from tests.mbus.made import frame


def fixed(body: str, ci: int = 0x73) -> bytes:
    return frame(b"", ci=ci, header=bytes.fromhex(body))


def test_the_documented_example_is_read() -> None:
    telegram = decode_frame(fixed("78563412 0a 00 e97e 01000000 35010000"))
    meter = telegram.header.meter
    assert meter is not None
    assert (meter.id, meter.manufacturer, meter.version, meter.medium_name) == ("12345678", None, None, "water")
    assert (telegram.header.access_no, telegram.header.status, telegram.structure) == (10, 0, "fixed")
    now, historic = telegram.records
    assert (str(now.value), now.unit, now.qualifiers) == ("1", "l", ())
    assert (str(historic.value), historic.unit, historic.qualifiers) == ("135", "l", ("historic",))


def test_its_counters_have_names_and_units_of_their_own() -> None:
    fields = name_fields(decode_frame(fixed("78563412 0a 00 e97e 01000000 35010000")).records)
    assert {name: (plain_text(field.value), field.unit) for name, field in fields.items()} == {
        "volume": ("0.001", "m³"),
        "volume_historic": ("0.135", "m³"),
    }


def test_counters_may_be_binary_and_stored_at_a_fixed_date() -> None:
    telegram = decode_frame(fixed("78563412 0a 03 0617 9cffffff 0a000000"))
    energy, power = telegram.records
    assert (str(energy.value), energy.unit, energy.qualifiers) == ("-1.00E+3", "kWh", ("fixed_date",))
    assert (str(power.value), power.unit) == ("10", "kW")


def test_mode_2_sends_the_high_byte_first() -> None:
    telegram = decode_frame(fixed("12345678 0a 00 e97e 00000001 00000135", ci=0x77))
    assert telegram.header.meter is not None and telegram.header.meter.id == "12345678"
    assert [str(record.value) for record in telegram.records] == ["1", "135"]


def test_a_counter_that_is_no_number_loses_not_the_other() -> None:
    first, second = decode_frame(fixed("78563412 0a 00 e929 0a0b0c0d 35010000")).records
    assert first.value is None and first.problem is not None and "not decimal" in first.problem
    assert str(second.value) == "135"


@pytest.mark.parametrize(("code", "reason"), [("3b", "not assigned"), ("00", "kept as its digits")])
def test_a_unit_nobody_can_read_is_a_problem_of_that_counter(code: str, reason: str) -> None:
    first, second = decode_frame(fixed(f"78563412 0a 00 {code}29 35010000 35010000")).records
    assert first.value is not None and first.problem is not None and reason in first.problem
    assert second.problem is None


def test_another_length_is_refused() -> None:
    with pytest.raises(FormatUnknown, match="16 bytes, this has 15"):
        decode_frame(fixed("78563412 0a 00 e97e 01000000 350100"))
