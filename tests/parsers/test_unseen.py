"""Telegrams that nobody recorded: any records, made by the simulator's encoder, in every header and security."""
from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from mbusgw.model.errors import DecodeError
from mbusgw.model.meter import MeterIdentity
from mbusgw.model.record import Function, Value
from mbusgw.parsers.formats import FormatMemory
from mbusgw.parsers.local import decode_telegram
from mbusgw.simulator.encode import DataType, encode_record, find_vib
from mbusgw.simulator.radio import RadioMeter, Security, telegram
from mbusgw.wmbus.frame import LinkFormat
from tests.parsers.compact import compact, full
from tests.wmbus.samples import ADAPTER, KEY

INTEGERS = {DataType.INT16: 15, DataType.INT24: 23, DataType.INT32: 31, DataType.INT48: 47}
DIGITS = {DataType.BCD4: 4, DataType.BCD6: 6, DataType.BCD8: 8, DataType.BCD12: 12}
KINDS = [
    ("energy", "Wh", 3), ("energy", "J", 6), ("volume", "m³", -3), ("power", "W", 0), ("volume_flow", "m³/h", -3),
    ("flow_temperature", "°C", -1), ("return_temperature", "°C", -2), ("hca", "", 0), ("pressure", "bar", -2),
]  # fmt: skip


@dataclass(frozen=True)
class Sent:
    """A record as a meter means it."""

    raw: bytes
    quantity: str
    unit: str
    value: Value
    function: Function
    storage: int
    tariff: int
    subunit: int


@st.composite
def sent_records(draw: st.DrawFn) -> Sent:
    function = draw(st.sampled_from(list(Function)))
    place = {
        "storage": draw(st.integers(0, 300)),
        "tariff": draw(st.integers(0, 15)),
        "subunit": draw(st.integers(0, 3)),
    }
    if draw(st.integers(0, 5)) == 0:
        day = draw(st.dates(date(2000, 1, 1), date(2080, 12, 31)))
        if draw(st.booleans()):
            raw = encode_record(day, b"\x6c", data_type=DataType.INT16, function=function, **place)
            return Sent(raw, "date", "", day, function, **place)
        moment = datetime(day.year, day.month, day.day, draw(st.integers(0, 23)), draw(st.integers(0, 59)))
        raw = encode_record(moment, b"\x6d", data_type=DataType.INT32, function=function, **place)
        return Sent(raw, "datetime", "", moment, function, **place)
    quantity, unit, exponent = draw(st.sampled_from(KINDS))
    if draw(st.booleans()):
        data_type = draw(st.sampled_from(list(INTEGERS)))
        limit = 2 ** INTEGERS[data_type] - 1
        count = draw(st.integers(-limit, limit))
    else:
        data_type = draw(st.sampled_from(list(DIGITS)))
        count = draw(st.integers(-(10 ** (DIGITS[data_type] - 1)) + 1, 10 ** DIGITS[data_type] - 1))
    value = Decimal(count).scaleb(exponent)
    vib = find_vib(quantity, unit, exponent=exponent)
    raw = encode_record(value, vib, data_type=data_type, exponent=exponent, function=function, **place)
    return Sent(raw, quantity, unit, value, function, **place)


telegrams = st.lists(sent_records(), min_size=1, max_size=8)
identities = st.builds(
    MeterIdentity,
    st.from_regex(r"[0-9]{8}", fullmatch=True),
    st.from_regex(r"[A-Z]{3}", fullmatch=True),
    st.integers(0, 255),
    st.integers(0, 0x3F),
)


@settings(max_examples=150)
@given(
    records=telegrams,
    identity=identities,
    security=st.sampled_from(list(Security)),
    link_format=st.sampled_from(list(LinkFormat)),
    adapter=st.booleans(),
    extended=st.booleans(),
    access_no=st.integers(0, 255),
)
def test_every_record_comes_out_as_the_meter_means_it(
    records: list[Sent],
    identity: MeterIdentity,
    security: Security,
    link_format: LinkFormat,
    adapter: bool,
    extended: bool,
    access_no: int,
) -> None:
    data = b"".join(record.raw for record in records)
    meter = RadioMeter(
        identity,
        lambda: data,
        security=security,
        key=KEY if security is not Security.NONE else None,
        link_format=link_format,
        adapter=ADAPTER if adapter else None,
        extended_link=extended,
    )
    decoded = decode_telegram(telegram(meter, access_no), KEY)
    assert decoded.header.meter == identity
    assert decoded.header.access_no == access_no
    seen = [
        Sent(
            one.dib + one.vib + one.data,
            one.quantity.slug,
            one.unit,
            one.value if one.value is not None else "nothing",
            one.function,
            one.storage,
            one.tariff,
            one.subunit,
        )
        for one in decoded.records
    ]
    assert seen == records


@settings(max_examples=60)
@given(records=telegrams)
def test_a_compact_frame_says_the_same_as_the_full_one(records: list[Sent]) -> None:
    data, formats = b"".join(record.raw for record in records), FormatMemory()
    whole = decode_telegram(full(data), None, formats=formats)
    assert decode_telegram(compact(data), None, formats=formats).records == whole.records


@settings(max_examples=60)
@given(records=telegrams, other=telegrams, bit=st.integers(0, 10_000))
def test_a_damaged_compact_frame_yields_no_value(records: list[Sent], other: list[Sent], bit: int) -> None:
    formats = FormatMemory()
    for known in (records, other):
        decode_telegram(full(b"".join(record.raw for record in known)), None, formats=formats)
    raw = bytearray(compact(b"".join(record.raw for record in records)))
    bit = 8 * 11 + bit % (8 * (len(raw) - 11))
    raw[bit // 8] ^= 1 << bit % 8
    try:
        decoded = decode_telegram(bytes(raw), None, formats=formats, crc=False)
    except DecodeError:
        return
    raise AssertionError(f"read {decoded.records}")
