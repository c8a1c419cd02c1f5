"""What simulated meters send is what the standard says, and what our decoder reads."""
from __future__ import annotations

import struct
from datetime import date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbusgw.mbus.decode import decode_frame
from mbusgw.mbus.records import decode_records
from mbusgw.mbus.vif_tables import EXTENSION_FB_TABLE, EXTENSION_FD_TABLE, PRIMARY, Coding, Vif
from mbusgw.mbus.vife_tables import COMBINABLE, Vife
from mbusgw.model.meter import MeterIdentity
from mbusgw.model.record import Function, Record
from mbusgw.simulator.encode import DataType, encode_dib, encode_record, extend_vib, find_vib, long_frame

METER = MeterIdentity("12345678", "ELS", 0x33, 0x04)

RANGES = {
    DataType.INT8: (-(2**7) + 1, 2**7 - 1),
    DataType.INT16: (-(2**15) + 1, 2**15 - 1),
    DataType.INT24: (-(2**23) + 1, 2**23 - 1),
    DataType.INT32: (-(2**31) + 1, 2**31 - 1),
    DataType.INT48: (-(2**47) + 1, 2**47 - 1),
    DataType.INT64: (-(2**63) + 1, 2**63 - 1),
    DataType.BCD2: (-9, 99),
    DataType.BCD4: (-999, 9999),
    DataType.BCD6: (-99999, 999999),
    DataType.BCD8: (-9999999, 99999999),
    DataType.BCD12: (-99999999999, 999999999999),
}


def decoded(record: bytes) -> Record:
    block = decode_records(record)
    assert not block.problems
    (one,) = block.records
    return one


@pytest.mark.parametrize(
    ("value", "quantity", "unit", "exponent", "data_type", "siblings", "hexadecimal"),
    [
        (Decimal("12340"), "energy", "Wh", 1, DataType.INT32, {}, "04 04 D2040000"),
        (Decimal("0.279"), "volume", "m³", -3, DataType.BCD8, {}, "0C 13 79020000"),
        (Decimal("-3.6"), "external_temperature", "°C", -1, DataType.BCD4, {}, "0A 66 36F0"),
        (Decimal("21.5"), "flow_temperature", "°C", -1, DataType.INT16, {"function": Function.MAXIMUM}, "12 5A D700"),
        (Decimal("5000"), "energy", "Wh", 3, DataType.INT8, {"tariff": 2, "storage": 1}, "C1 20 06 05"),
        (Decimal("1"), "power", "W", 0, DataType.INT8, {"subunit": 1, "storage": 33}, "C1 C0 01 2B 01"),
        (Decimal("230.4"), "voltage", "V", -1, DataType.INT16, {}, "02 FD48 0009"),
        (date(2025, 12, 31), "date", "", 0, DataType.INT16, {"storage": 1}, "42 6C 3F3C"),
        (datetime(2026, 1, 2, 13, 45), "datetime", "", 0, DataType.INT32, {}, "04 6D 2D2D4231"),
        ("abc", "customer", "", 0, DataType.TEXT, {}, "0D FD11 03 636261"),
        (None, "volume", "m³", -3, DataType.NONE, {}, "00 13"),
    ],
)
def test_the_bytes_are_those_of_the_standard(  # type: ignore[no-untyped-def]
    value, quantity, unit, exponent, data_type, siblings, hexadecimal
) -> None:
    record = encode_record(
        value, find_vib(quantity, unit, exponent=exponent), data_type=data_type, exponent=exponent, **siblings
    )
    assert record.hex() == hexadecimal.replace(" ", "").lower()


@given(data_type=st.sampled_from(sorted(RANGES, key=lambda one: one.name)), data=st.data())
def test_every_number_comes_back(data_type: DataType, data: st.DataObject) -> None:
    low, high = RANGES[data_type]
    number = data.draw(st.integers(low, high))
    record = decoded(encode_record(Decimal(number).scaleb(-3), find_vib("volume", "m³", exponent=-3),
                                   data_type=data_type, exponent=-3))
    assert record.value == Decimal(number).scaleb(-3)
    assert (record.quantity.slug, record.unit, record.problem) == ("volume", "m³", None)


EVERY_VIF = [
    (prefix + bytes((code,)), vif)
    for prefix, table in ((b"", PRIMARY), (b"\xFB", EXTENSION_FB_TABLE), (b"\xFD", EXTENSION_FD_TABLE))
    for code, vif in table.items()
]
OF_NUMBERS = [(vib, vif) for vib, vif in EVERY_VIF if vif.coding in (Coding.NUMBER, Coding.UNSIGNED)]


@given(place=st.sampled_from(OF_NUMBERS), data_type=st.sampled_from(sorted(RANGES, key=lambda one: one.name)),
       data=st.data())
def test_every_vif_comes_back_in_every_form_of_a_number(
    place: tuple[bytes, Vif], data_type: DataType, data: st.DataObject
) -> None:
    vib, vif = place
    low, high = RANGES[data_type]
    number = data.draw(st.integers(0 if vif.coding is Coding.UNSIGNED else low, high))
    value = Decimal(number).scaleb(vif.exponent) * vif.multiplier
    record = decoded(
        encode_record(value, vib, data_type=data_type, exponent=vif.exponent, multiplier=vif.multiplier)
    )
    assert (record.quantity.slug, record.unit, record.value) == (vif.quantity, vif.unit, value)


#: Behind a manufacturer's own VIF the VIFEs are the manufacturer's, too.
EXTENDABLE = [(vib, vif) for vib, vif in OF_NUMBERS if vif.quantity != "manufacturer_specific"]
SCALING = [(code, vife) for code, vife in COMBINABLE.items() if vife.turns is None and not vife.problem]


@given(
    place=st.sampled_from(EXTENDABLE),
    extension=st.sampled_from(SCALING),
    number=st.integers(0, 2**31 - 1),
)
def test_every_vif_comes_back_with_every_vife_that_scales_or_qualifies_it(
    place: tuple[bytes, Vif], extension: tuple[int, Vife], number: int
) -> None:
    (vib, vif), (code, vife) = place, extension
    exponent, offset = vif.exponent + vife.exponent, Decimal(0) if vife.offset is None else Decimal(10) ** vife.offset
    value = Decimal(number).scaleb(exponent) * vif.multiplier
    record = decoded(
        encode_record(value, extend_vib(vib, code), data_type=DataType.INT32, exponent=exponent,
                      multiplier=vif.multiplier)
    )
    assert record.value == value + offset * vif.multiplier
    assert set(vife.qualifiers) <= set(record.qualifiers)


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_every_real_number_comes_back(number: float) -> None:
    vib = find_vib("flow_temperature", "°C", exponent=0)
    value = decoded(encode_record(Decimal(number), vib, data_type=DataType.REAL32)).value
    assert isinstance(value, Decimal) and struct.pack("<f", float(value)) == struct.pack("<f", number + 0.0)


@given(
    storage=st.integers(0, 2**41 - 1),
    tariff=st.integers(0, 2**20 - 1),
    subunit=st.integers(0, 2**10 - 1),
    function=st.sampled_from([Function.INSTANTANEOUS, Function.MAXIMUM, Function.MINIMUM, Function.ERROR]),
)
def test_every_sibling_comes_back(storage: int, tariff: int, subunit: int, function: Function) -> None:
    record = decoded(
        encode_record(7, find_vib("power", "W"), data_type=DataType.INT8, storage=storage, tariff=tariff,
                      subunit=subunit, function=function)
    )
    assert (record.storage, record.tariff, record.subunit, record.function) == (storage, tariff, subunit, function)


@given(st.dates(date(2000, 1, 1), date(2080, 12, 31)))
def test_every_date_comes_back(day: date) -> None:
    assert decoded(encode_record(day, find_vib("date"), data_type=DataType.INT16)).value == day


@given(st.datetimes(datetime(2000, 1, 1), datetime(2080, 12, 31)))
def test_every_minute_comes_back(moment: datetime) -> None:
    minute = moment.replace(second=0, microsecond=0)
    assert decoded(encode_record(minute, find_vib("datetime"), data_type=DataType.INT32)).value == minute


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=191))
def test_every_text_comes_back(text: str) -> None:
    record = decoded(encode_record(text, find_vib("customer"), data_type=DataType.TEXT))
    assert str(record.value or "").strip() == text.strip()


def test_a_real_number_comes_back_as_it_was_written() -> None:
    vib = find_vib("flow_temperature", "°C", exponent=0)
    assert decoded(encode_record(Decimal("21.1"), vib, data_type=DataType.REAL32)).value == Decimal("21.1")


def test_the_header_comes_back() -> None:
    frame = long_frame(METER, b"", address=9, access_no=300, status=4, manufacturer_data=b"\x01\x02")
    telegram = decode_frame(frame)
    assert (telegram.header.meter, telegram.header.address) == (METER, 9)
    assert (telegram.header.access_no, telegram.header.status) == (300 & 0xFF, 4)
    assert telegram.manufacturer_data == b"\x01\x02" and not telegram.more_records_follow
    assert decode_frame(long_frame(METER, b"\x00\x13", address=9, more_records_follow=True)).more_records_follow


def test_vifes_follow_with_their_extension_bits() -> None:
    assert extend_vib(b"\x13", 0x3C) == bytes.fromhex("933C")
    assert extend_vib(b"\xFD\x48", 0x7C, 0x01) == bytes.fromhex("FDC8FC01")


@pytest.mark.parametrize(
    ("value", "data_type", "message"),
    [
        (Decimal("0.0005"), DataType.INT32, "finer than a step"),
        (Decimal("99999.999"), DataType.INT16, "does not fit"),
        (Decimal("100000"), DataType.BCD8, "does not fit"),
        (Decimal("-99.999"), DataType.BCD4, "does not fit"),
        (date(2025, 1, 1), DataType.INT32, "sent as INT16"),
        (datetime(2301, 1, 1), DataType.INT32, "1900 to 2299"),
        ("x" * 192, DataType.TEXT, "at most 191"),
        ("text", DataType.INT8, "no form"),
    ],
)
def test_what_a_meter_cannot_say_is_refused(value: object, data_type: DataType, message: str) -> None:
    vib = find_vib("volume", "m³", exponent=-3)
    with pytest.raises(ValueError, match=message):
        encode_record(value, vib, data_type=data_type, exponent=-3)  # type: ignore[arg-type]


def test_a_scale_without_a_vif_is_refused() -> None:
    with pytest.raises(ValueError, match="no VIF for volume"):
        find_vib("volume", "m³", exponent=9)
    with pytest.raises(ValueError, match="ten DIFEs"):
        encode_dib(DataType.INT8, storage=2**41)
