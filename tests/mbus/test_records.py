"""Data records: DIB, VIB, values, and what one bad record does to the others (nothing)."""
from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbusgw.mbus.records import RecordBlock, decode_records
from mbusgw.model.record import Function
from tests.mbus.made import OWN_FRAMES, VOLUME, only


@pytest.mark.parametrize(
    ("raw", "value", "unit", "quantity"),
    [
        ("0167f6", "-10", "°C", "external_temperature"),
        ("026538ff", "-2.00", "°C", "external_temperature"),
        ("032b9cffff", "-100", "W", "power"),
        ("0613ffffffffff00", "1099511627.775", "m³", "volume"),
        ("0713ffffffffffffff7f", "9223372036854775.807", "m³", "volume"),
        ("0c13563412f0", "-123.456", "m³", "volume"),
        ("0e07123456789099", "9990785634120000", "Wh", "energy"),
        ("055b0000a841", "21", "°C", "flow_temperature"),
        ("055bcdcca841", "21.1", "°C", "flow_temperature"),
        ("053b0000003f", "0.0005", "m³/h", "volume_flow"),
        ("040e0a000000", "10000000", "J", "energy"),
        ("04300a000000", "10", "J/h", "power"),
        ("02430a00", "0.0600", "m³/h", "volume_flow"),
        ("024b0a00", "0.036000", "m³/h", "volume_flow"),
        ("02270a00", "864000", "s", "operating_time"),
        ("02710a00", "600", "s", "averaging_duration"),
        ("026b0a00", "10", "bar", "pressure"),
        ("0255e803", "100000", "kg/h", "mass_flow"),
        ("046e01000000", "1", "", "hca"),
        ("017aff", "255", "", "bus_address"),
        ("04fb000a000000", "1000000", "Wh", "energy"),
        ("04fb090a000000", "10000000000", "J", "energy"),
        ("04fb020a000000", "10000", "varh", "reactive_energy"),
        ("04fb0c0a000000", "1000000", "cal", "energy"),
        ("02fb1a5102", "59.3", "%", "relative_humidity"),
        ("02fb2ef401", "50.0", "Hz", "frequency"),
        ("02fb680010", "1.000000000000", "", "rating_factor"),
        ("02fd48d108", "225.7", "V", "voltage"),
        ("03fd59beffff", "-0.066", "A", "current"),
        ("02fd170580", "32773", "", "error_flags"),
        ("02fd3af6ff", "-10", "", "dimensionless"),
        ("02fd74e803", "1000", "d", "remaining_battery"),
        ("02fd6e0700", "7", "month", "operating_time_battery"),
        ("02fdfd020700", "7", "month", "remaining_battery"),
        ("02fd71b5ff", "-75", "dBm", "rf_level"),
        ("01fd0130", "0.48", "", "credit"),
        ("01fd08f0", "240", "", "access_no"),
    ],
)
def test_a_value_is_exact_and_in_the_base_unit(raw: str, value: str, unit: str, quantity: str) -> None:
    record = only(raw)
    assert format(Decimal(str(record.value)), "f") == value
    assert (record.unit, record.quantity.slug, record.problem) == (unit, quantity, None)


def test_a_counter_beyond_the_floats_keeps_every_digit() -> None:
    assert only("0704" + (2**53 + 1).to_bytes(8, "little").hex()).value == Decimal("90071992547409930")
    assert only("07fd3a" + (2**62 + 1).to_bytes(8, "little").hex()).value == 2**62 + 1


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("02590080", "invalid"),
        ("011380", "invalid"),
        ("0713" + "00" * 7 + "80", "invalid"),
        ("0c13aaaaaaaa", "not decimal: AAAAAAAA"),
        ("0b13ffffff", "not decimal: FFFFFF"),
        ("055b0000c07f", "invalid"),
        ("055b0000807f", "infinite"),
        ("0013", "no data"),
        ("0813", "no data"),
        ("426cffff", "no date"),
        ("0c6d11223344", "binary"),
    ],
)
def test_a_value_that_is_none_says_why_and_loses_no_other(raw: str, reason: str) -> None:
    record = only(raw)
    assert record.value is None
    assert record.problem is not None and reason in record.problem


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        ("0d7803434241", "ABC"),
        ("0d7800", ""),
        ("0d7805 00 00 434241", "ABC"),
        ("0d7803 b04320", "C°"),
        ("0dff21 03 010203", "010203"),
        ("0d13c478563412", "12345.678"),
        ("0d13d478563412", "-12345.678"),
        ("0d78c401000000", "00000001"),
        ("0d13e440e20100", "123.456"),
        ("0d13e39cffff", "-0.100"),
        ("0d6de43b17bf1c", "2013-12-31 23:59:00"),
        ("0d7ff0" + "01" * 16, "01" * 16),
        ("0d7ff5" + "01" * 48, "01" * 48),
        ("0d7ff6" + "01" * 64, "01" * 64),
        ("0d861f04 72fe0102", "72fe0102"),
    ],
)
def test_a_field_of_variable_length_is_read_by_its_first_byte(raw: str, value: str) -> None:
    assert str(only(raw.replace(" ", "")).value) == value


def test_numbers_in_identifications_keep_their_leading_zeros_and_hex_digits() -> None:
    assert only("0c7878563402").value == "02345678"
    assert only("0e789986012401ff").value == "FF0124018699"


@pytest.mark.parametrize(
    ("raw", "function", "storage", "tariff", "subunit"),
    [
        ("041340e20100", Function.INSTANTANEOUS, 0, 0, 0),
        ("541340e20100", Function.MAXIMUM, 1, 0, 0),
        ("241340e20100", Function.MINIMUM, 0, 0, 0),
        ("341340e20100", Function.ERROR, 0, 0, 0),
        ("841013 40e20100", Function.INSTANTANEOUS, 0, 1, 0),
        ("c48f7f13 40e20100", Function.INSTANTANEOUS, 511, 12, 2),
        ("84808080808080808080 4f 13 40e20100", Function.INSTANTANEOUS, 15 << 37, 0, 1 << 9),
    ],
)
def test_storage_tariff_and_subunit_grow_with_every_dife(
    raw: str, function: Function, storage: int, tariff: int, subunit: int
) -> None:
    record = only(raw.replace(" ", ""))
    assert (record.function, record.storage, record.tariff, record.subunit) == (function, storage, tariff, subunit)


def test_what_follows_dif_0f_is_the_manufacturers() -> None:
    block = decode_records(VOLUME + bytes.fromhex("0f 0102 2f"))
    assert (block.manufacturer_data, block.more_records_follow) == (b"\x01\x02\x2f", False)
    assert decode_records(VOLUME).manufacturer_data is None


def test_dif_1f_says_that_more_records_follow() -> None:
    block = decode_records(VOLUME + b"\x1f")
    assert (block.manufacturer_data, block.more_records_follow) == (b"", True)


def test_fillers_are_no_records() -> None:
    block = decode_records(b"\x2f\x2f" + VOLUME + b"\x2f" + VOLUME + b"\x2f\x2f")
    assert len(block.records) == 2


def test_the_format_is_the_heads_of_all_records_in_order() -> None:
    block = decode_records(bytes.fromhex("0c1427048502 046d32371f15 2f 02fd170000"))
    assert block.format_bytes == bytes.fromhex("0c14 046d 02fd17")


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ("04", "before its VIF"),
        ("8b", "inside its DIB"),
        ("0493", "inside its VIB"),
        ("0413 40e2", "after 2 of its 4 bytes"),
        ("0d13", "before its LVAR"),
        ("0d13 05 4142", "after 3 of its 6 bytes"),
        ("0d13 f7", "LVAR F7 is reserved"),
        ("02fc", "inside its VIB"),
        ("027c 05 4142", "inside its plain-text"),
        ("8b8b8b8b8b8b8b8b8b8b8b60 04 371802", "more than 10 DIFEs"),
        ("01 80848484848484848484848404 37", "more than 10 VIFEs"),
        ("3f 0413 40e20100", "DIF 3F is reserved"),
    ],
)
def test_records_before_a_break_are_kept_and_the_rest_is_named(broken: str, reason: str) -> None:
    tail = bytes.fromhex(broken)
    block = decode_records(VOLUME + tail)
    assert [str(record.value) for record in block.records] == ["123.456"]
    assert block.broken is not None and reason in block.broken and "record 2" in block.broken
    assert block.problems and block.rest == tail


def test_ten_difes_and_ten_vifes_are_allowed() -> None:
    assert only("84" + "80" * 9 + "00" + "13" + "40e20100").storage == 0
    assert only("04" + "93" + "fd" * 9 + "7d" + "01000000").value == Decimal("1E+27")


def test_the_same_bytes_mean_the_same_and_other_bytes_do_not_borrow_their_meaning() -> None:
    heads = ["0413", "0413", "0414", "4413", "0c13", "0493" + "3c", "0413"]
    block = decode_records(b"".join(bytes.fromhex(head + "10000000") for head in heads))
    assert [str(record.value) for record in block.records] == [
        "0.016",
        "0.016",
        "0.16",
        "0.016",
        "0.010",
        "0.016",
        "0.016",
    ]
    assert [record.storage for record in block.records] == [0, 0, 0, 1, 0, 0, 0]
    assert [record.qualifiers for record in block.records] == [(), (), (), (), (), ("backward",), ()]


def test_most_significant_first_turns_the_data_and_nothing_else() -> None:
    payload = bytes.fromhex("0413 0001e240 0d78 03 414243")
    block = decode_records(payload, most_significant_first=True)
    assert [str(record.value) for record in block.records] == ["123.456", "ABC"]


def conserved(payload: bytes, block: RecordBlock) -> bool:
    """Whether records, fillers, manufacturer data and rest together are the payload again."""
    position = 0
    for record in block.records:
        while payload[position] == 0x2F:
            position += 1
        raw = record.dib + record.vib + record.data
        if payload[position : position + len(raw)] != raw:
            return False
        position += len(raw)
    rest = payload[position:].lstrip(b"\x2f")
    if block.broken is not None:
        return rest == block.rest
    if block.manufacturer_data is not None:
        return rest[0] in (0x0F, 0x1F) and rest[1:] == block.manufacturer_data
    return rest == b""


@given(st.binary(max_size=250), st.booleans())
def test_random_bytes_never_raise_and_no_byte_is_lost(payload: bytes, most_significant_first: bool) -> None:
    assert conserved(payload, decode_records(payload, most_significant_first=most_significant_first))


def test_truncated_records_never_raise_and_no_byte_is_lost() -> None:
    for frame in OWN_FRAMES:
        payload = frame[19:-2]
        for end in range(len(payload)):
            assert conserved(payload[:end], decode_records(payload[:end]))


@given(st.integers(-(2**63) + 1, 2**63 - 1), st.integers(0, 7))
def test_every_integer_is_read_back_exactly(raw: int, power: int) -> None:
    payload = bytes((0x07, 0x10 + power)) + raw.to_bytes(8, "little", signed=True)
    (record,) = decode_records(payload).records
    assert record.value == Decimal(raw) * Decimal(10) ** (power - 6)


@given(st.integers(-(10**11) + 1, 10**12 - 1))
def test_every_bcd_number_is_read_back_exactly(raw: int) -> None:
    digits = f"{raw:012d}" if raw >= 0 else f"f{-raw:011d}"
    (record,) = decode_records(b"\x0e\x13" + bytes.fromhex(digits)[::-1]).records
    assert record.value == Decimal(raw).scaleb(-3)
