"""What VIFEs, extension tables and plain-text VIFs make of a value."""
from __future__ import annotations

import pytest

from mbusgw.mbus.vib import read_vib
from mbusgw.mbus.vif_tables import EXTENSION_FB_TABLE, EXTENSION_FD_FD_TABLE, EXTENSION_FD_TABLE, PRIMARY
from mbusgw.mbus.vife_tables import COMBINABLE
from mbusgw.model.quantity import QUANTITIES
from tests.mbus.made import only


def test_every_vif_has_a_quantity_with_a_name() -> None:
    for table in (PRIMARY, EXTENSION_FB_TABLE, EXTENSION_FD_TABLE, EXTENSION_FD_FD_TABLE):
        for code, vif in table.items():
            assert code < 0x80
            assert vif.quantity in QUANTITIES


def test_every_primary_vif_is_assigned_but_the_extensions_and_one_reserved() -> None:
    assert {code for code in range(0x80) if code not in PRIMARY} == {0x6F, 0x7B, 0x7D}


def test_every_vife_is_assigned_but_the_reserved_ones() -> None:
    reserved = {0x08, 0x09, 0x0A, 0x10, 0x11, 0x19, 0x1A, 0x1B, 0x4C, 0x4D}
    assert {code for code in range(0x80) if code not in COMBINABLE} == reserved | {0x7C, 0x7F}


@pytest.mark.parametrize(
    ("vib", "qualifiers"),
    [
        ("833c", ("backward",)),
        ("833b", ("forward",)),
        ("83bb22", ("forward", "per_hour")),
        ("9028", ("per_input_pulse_0",)),
        ("933a", ("uncorrected",)),
        ("ab48", ("limit_upper",)),
        ("ab40", ("limit_lower",)),
        ("abfc01", ("l1",)),
        ("fdc8fc03", ("l3",)),
        ("abc8fc10", ("limit_upper", "absolute")),
        ("fb82f53c", ("backward",)),
        ("937e", ("future",)),
        ("937f", ("manufacturer",)),
        ("abff01", ("manufacturer_01",)),
        ("ab92ff8102", ("average", "manufacturer_8102")),
        ("ff8102", ("8102",)),
        ("8400", ()),
        ("9344", ("times_flow_temperature",)),
        ("9345", ("times_return_temperature",)),
        ("e7fc0e", ("secondary_sensor",)),
        ("93fc0f", ("high_resolution",)),
        ("ebfc17", ("gas_pressure",)),
        ("e7fc18", ("outdoors",)),
        ("fdc8fc25", ("l1_to_l2",)),
    ],
)
def test_vifes_qualify_in_the_order_they_were_sent(vib: str, qualifiers: tuple[str, ...]) -> None:
    meaning = read_vib(bytes.fromhex(vib))
    assert (meaning.qualifiers, meaning.problem) == (qualifiers, None)


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        ("04937d40e20100", "123456"),
        ("0493f07d40e20100", "0.123456"),
        ("0493fd7040e20100", "0.123456"),
        ("02937b0a00", "1.010"),
        ("02937a0a00", "0.110"),
        ("0293f77b0a00", "1.10"),
        ("0293fb7b0a00", "2.010"),
        ("02a17b0a00", "660"),
    ],
)
def test_factors_and_offsets_of_all_vifes_count(raw: str, value: str) -> None:
    assert str(only(raw).value) == value


@pytest.mark.parametrize(
    ("raw", "quantity", "unit", "value", "qualifiers"),
    [
        ("04ad6f3b17bf1c", "datetime", "", "2013-12-31 23:59:00", ("of_power", "last", "end")),
        ("02ad6abf1c", "date", "", "2013-12-31", ("of_power", "first", "begin")),
        ("04ad4e3b17bf1c", "datetime", "", "2013-12-31 23:59:00", ("of_power", "last", "limit_upper", "begin")),
        ("029339bf1c", "date", "", "2013-12-31", ("of_volume", "start")),
        ("42ec7ebf1c", "date", "", "2013-12-31", ("future",)),
        ("0293fc13bf1c", "date", "", "2013-12-31", ("of_volume", "end")),
        ("02bb560a00", "duration", "s", "36000", ("of_volume_flow", "last", "limit_lower")),
        ("02be580a00", "duration", "s", "10", ("of_volume_flow", "first", "limit_upper")),
        ("02da670a00", "duration", "s", "864000", ("of_flow_temperature", "last")),
        ("01db4903", "exceed_count", "", "3", ("of_flow_temperature", "limit_upper")),
        ("01dbc11503", "exceed_count", "", None, ("of_flow_temperature", "limit_lower")),
    ],
)
def test_some_vifes_make_another_quantity_of_the_value(
    raw: str, quantity: str, unit: str, value: str | None, qualifiers: tuple[str, ...]
) -> None:
    record = only(raw)
    assert (record.quantity.slug, record.unit, record.qualifiers) == (quantity, unit, qualifiers)
    assert (None if record.value is None else str(record.value)) == value


@pytest.mark.parametrize(
    ("raw", "kept", "reason"),
    [
        ("0413" + "00000000", True, None),
        ("049315" + "00000000", False, "no data available"),
        ("049316" + "00000000", False, "overflow"),
        ("049301" + "00000000", False, "too many DIFEs"),
        ("0aa618" + "0000", True, "data error"),
        ("03fd971c" + "010000", True, "premature end of record"),
        ("02fd7c0a00", True, "VIF FD7C is not assigned"),
        ("02fb6f0a00", True, "VIF FB6F is not assigned"),
        ("026f0a00", True, "VIF 6F is not assigned"),
        ("02ef010a00", True, "VIF EF01 is not assigned"),
        ("0293080a00", True, "VIFE 08 is not assigned"),
        ("0293fc7e0a00", True, "VIFE FC 7E is not assigned"),
        ("02933d0a00", True, "non-metric"),
        ("0293fc0d0a00", True, "non-metric"),
    ],
)
def test_what_the_meter_reports_or_the_standard_leaves_open_is_a_problem_of_that_record_only(
    raw: str, kept: bool, reason: str | None
) -> None:
    record = only(raw)
    assert (record.value is not None) == kept
    assert (record.problem is None) if reason is None else (record.problem is not None and reason in record.problem)


@pytest.mark.parametrize(
    ("raw", "quantity", "unit", "value"),
    [
        ("02fdfd102c01", "co2_content", "ppm", "300"),
        ("02fdfd111e00", "co2_content", "ppm", "3.0E+2"),
        ("02fdfd1a0c00", "particles_pm10", "µg/m³", "12"),
        ("02fdfd1d0c00", "particles_pm2_5", "1/m³", "1.2E+7"),
        ("01fdfd2748", "ph_value", "", "7.2"),
        ("01fdfd2eff", "alarm_count", "", "255"),
        ("02fdfd3b1e00", "distance", "mm", "3.0E+2"),
        ("01fdfd3e2a", "moisture_level", "%", "42"),
        ("02fdfd410180", "status_smoke_alarm", "", "32769"),
        ("02fb0628" + "00", "coefficient_of_performance", "", "4.0"),
    ],
)
def test_what_later_editions_added_is_known(raw: str, quantity: str, unit: str, value: str) -> None:
    record = only(raw)
    assert (record.quantity.slug, record.unit, str(record.value), record.problem) == (quantity, unit, value, None)


def test_a_record_in_error_has_a_name_of_its_own() -> None:
    assert only("03fd971c010000").qualifiers == ("record_error",)


def test_types_c_and_d_have_no_sign() -> None:
    assert only("01fd3aff").value == -1
    assert only("01fdbafc11ff").value == 255


@pytest.mark.parametrize(
    ("raw", "text", "value"),
    [
        ("027c03324f43" + "e803", "CO2", "1000"),
        ("02fc0348522574" + "2215", "%RH", "54.10"),
        ("02fc7403485225" + "2215", "%RH", "54.10"),
        ("02fcf07d03485225" + "e803", "%RH", "1.000"),
        ("027c00" + "e803", "", "1000"),
        ("0d7c03434241" + "03444342", "ABC", "BCD"),
    ],
)
def test_a_plain_text_vif_stands_before_or_after_the_vifes(raw: str, text: str, value: str) -> None:
    record = only(raw)
    assert (record.quantity.slug, record.text_unit, str(record.value)) == ("plain_text", text, value)
