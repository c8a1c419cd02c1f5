"""Lobaro's answers in our form: exact values, the right meter, and every field optional."""
from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbusgw.model.errors import (
    DecodeError,
    FormatUnknown,
    KeyMissing,
    KeyWrong,
    LobaroBadRequestError,
    ModeUnsupported,
    ParserError,
)
from mbusgw.parsers.lobaro_answer import decode_answer, find_telegram, named_meter
from mbusgw.parsers.local import decode_telegram
from tests.parsers.published import published
from tests.wmbus.samples import KEY, OMS_GAS


def test_the_published_answer_says_what_our_decoder_says() -> None:
    theirs, ours = decode_answer(published(), key_given=True), decode_telegram(OMS_GAS, KEY)
    assert theirs.records == ours.records
    assert theirs.header == ours.header


def test_values_are_exact_and_come_from_the_records_own_bytes() -> None:
    document = published()
    document["Body"]["DataRecords"][0]["ValueScaled"] = 28504.2699999
    document["Body"]["DataRecords"][0]["Value"] = 1
    assert decode_answer(document, key_given=True).records[0].value == Decimal("28504.27")


def test_where_the_bytes_are_missing_the_number_is_rebuilt_without_floats() -> None:
    document = published()
    for record in document["Body"]["DataRecords"]:
        del record["DifVif"], record["Data"]
    volume, moment, flags = decode_answer(document, key_given=True).records
    assert (volume.value, volume.unit, volume.quantity.slug) == (Decimal("28504.27"), "m³", "volume")
    assert moment.quantity.slug == "datetime"
    assert (flags.value, flags.quantity.slug) == (0, "error_flags")


def test_the_meter_of_a_long_header_goes_before_the_one_of_the_link_layer() -> None:
    document = published()
    document["Header"].update(IdString="87654321", MFieldCodeString="LUG", Version=4, DeviceType="0x04")
    meter = decode_answer(document, key_given=True).header.meter
    assert meter is not None and (meter.device_id, meter.version, meter.medium) == ("lug_87654321", 4, 4)


def test_a_value_that_is_null_is_no_value_but_a_problem() -> None:
    document = published()
    document["Body"]["DataRecords"] = [{"VifQuantity": "Volume", "VifUnit": "m^3", "Value": None, "VifExponent": 1}]
    (record,) = decode_answer(document, key_given=True).records
    assert record.value is None and record.problem


def test_a_record_of_variable_length_without_its_length_byte_is_read_as_text() -> None:
    document = published()
    document["Body"]["DataRecords"] = [{"DifVif": "0x0d78", "Data": "0x" + b"CBA"[::1].hex()}]
    (record,) = decode_answer(document, key_given=True).records
    assert record.value == "ABC"


@pytest.mark.parametrize(
    "encrypted,failed,key_given,error",
    [
        (True, True, True, KeyWrong),
        (True, True, False, KeyMissing),
        (True, False, True, ModeUnsupported),
        (True, False, False, KeyMissing),
        (False, True, True, KeyWrong),
    ],
)
def test_the_flags_of_decryption_become_our_errors(
    encrypted: bool, failed: bool, key_given: bool, error: type[Exception]
) -> None:
    document = published()
    document["Body"].update(IsEncrypted=encrypted, DecryptionFailed=failed, DataRecords=None)
    with pytest.raises(error):
        decode_answer(document, key_given=key_given)


def test_a_wrong_link_layer_crc_that_the_service_reports_is_a_damaged_telegram() -> None:
    with pytest.raises(FormatUnknown):
        decode_answer(published() | {"CrcValid": False}, key_given=True)


def test_an_answer_without_a_telegram_is_refused() -> None:
    with pytest.raises(LobaroBadRequestError):
        decode_answer({}, key_given=True)
    with pytest.raises(LobaroBadRequestError, match="unknown CI"):
        decode_answer({"Body": {"BodyParseError": "unknown CI", "DataRecords": None}}, key_given=True)


def test_records_are_found_wherever_they_are() -> None:
    inner = published()
    assert find_telegram({"a": [{"b": inner}]}) == inner
    assert find_telegram({"meterId": "1", "values": [1, 2]}) is None


@pytest.mark.parametrize(
    "answer,meter_id",
    [
        ({"meterId": "12345678"}, "12345678"),
        ({"value": 1, "MeterId": "8cdeF012"}, "8CDEF012"),
        ({"meter_id": 12345678}, "12345678"),
        ({"IdString": "+/#45678"}, None),
        ({"meterId": ["12345678"]}, None),
        ({"meterId": None}, None),
        ({}, None),
    ],
)
def test_an_answer_without_records_may_name_its_meter(answer: dict[str, object], meter_id: str | None) -> None:
    assert named_meter(answer) == meter_id


@pytest.mark.parametrize("name", list(published()))
def test_every_field_of_the_answer_may_be_missing_or_nonsense(name: str) -> None:
    junk: list[object] = [None, [], {}, "x", -1, "0x", True]
    for nonsense in junk:
        document: dict[str, Any] = published() | {name: nonsense}
        try:
            decode_answer(document, key_given=True)
        except (DecodeError, ParserError):
            pass


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.decimals() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["Body", "DataRecords", "Header", "IdString", "DifVif", "Data", "Value", "ValueString",
                         "VifExponent", "ConfigField", "Version", "Device", "StorageNo"]), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(JSON)
def test_any_json_gives_a_telegram_or_our_own_error(document: object) -> None:
    found = find_telegram(document)
    if found is None:
        return
    try:
        decode_answer(found, key_given=True)
    except (DecodeError, ParserError):
        pass
