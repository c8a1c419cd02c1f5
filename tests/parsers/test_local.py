"""Our own decoder on telegrams of our own: right values, wrong keys, damage."""
from __future__ import annotations

import random
from datetime import datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbusgw.model.errors import ApplicationError, DecodeError, FormatUnknown, KeyMissing, KeyWrong, ModeUnsupported
from mbusgw.parsers.local import LocalBackend, decode_telegram
from mbusgw.simulator.radio import RadioMeter, Security, address_bytes, encode_link, telegram
from mbusgw.wmbus.frame import LinkFormat
from mbusgw.wmbus.security import cbc_decrypt, cbc_encrypt
from tests.parsers.received import received
from tests.wmbus.samples import ADAPTER, KEY, OMS_GAS, RECORDS, WATER, meter


def stripped(data: str) -> bytes:
    """A telegram of the water meter with ``data`` (hex) from the CI field on."""
    return encode_link(0x44, address_bytes(WATER), bytes.fromhex(data), LinkFormat.STRIPPED)


def flipped(raw: bytes, bit: int) -> bytes:
    damaged = bytearray(raw)
    damaged[bit // 8] ^= 1 << (bit % 8)
    return bytes(damaged)


def test_the_published_gas_meter_is_read_right() -> None:
    result = decode_telegram(OMS_GAS, KEY)
    assert result.header.meter is not None and result.header.meter.device_id == "els_12345678"
    assert [record.value for record in result.records] == [
        Decimal("28504.27"),
        datetime(2008, 5, 31, 23, 50),
        0,
    ]
    assert [record.unit for record in result.records] == ["m³", "", ""]
    assert result.problems == ()


@pytest.mark.parametrize("security", list(Security))
@pytest.mark.parametrize("link_format", list(LinkFormat))
def test_the_same_records_come_out_however_they_are_sent(security: Security, link_format: LinkFormat) -> None:
    result = decode_telegram(telegram(meter(security, link_format, adapter=ADAPTER), 5), KEY)
    assert [record.data.hex() for record in result.records] == ["78563412", "bf2c", "01000000", "0000"]
    assert result.header.meter == WATER
    assert result.header.access_no == 5


def test_the_back_end_hands_on_what_the_decoder_says() -> None:
    parsed = LocalBackend().parse(received(OMS_GAS), KEY)
    assert parsed.decoded == decode_telegram(OMS_GAS, KEY)
    assert (parsed.backend, parsed.domain_model) == ("local", None)


def test_records_behind_the_encrypted_ones_are_read_too() -> None:
    raw = telegram(meter(Security.MODE_5, clear=bytes.fromhex("01fd080a" "0f55")), 5)
    result = decode_telegram(raw, KEY)
    assert result.records[-1].quantity.slug == "access_no"
    assert result.manufacturer_data == b"\x55"


def test_records_before_a_break_are_kept_and_the_break_is_named() -> None:
    result = decode_telegram(stripped("7a05000000" + RECORDS.hex() + "0c1312"), None)
    assert len(result.records) == 4
    assert "record 5" in result.problems[0]


def test_a_payload_without_a_single_record_is_refused() -> None:
    with pytest.raises(FormatUnknown, match="no record"):
        decode_telegram(stripped("7a050000003f3f3f"), None)


def test_a_manufacturers_own_format_under_the_ci_field_of_records_is_not_read_as_energy() -> None:
    own = "2f2f" "0e03c1a388152a00" "0000" "0000" "0002" "0400a4040000" "0d13"
    result = decode_telegram(stripped("7a05000000" + own), None)
    assert (result.records, result.structure) == ((), "manufacturer")
    assert result.manufacturer_data == bytes.fromhex(own)
    assert "kept raw" in result.problems[0]


@pytest.mark.parametrize("ci", [0xA0, 0xA2, 0xB6])
def test_the_manufacturers_own_protocol_is_kept_raw_and_named(ci: int) -> None:
    result = decode_telegram(stripped(f"{ci:02x}010203"), None)
    assert result.records == () and result.manufacturer_data == b"\x01\x02\x03"
    assert f"{ci:02X}" in result.problems[0] and result.structure == "manufacturer"
    assert result.header.meter == WATER


def test_a_telegram_without_data_has_no_records() -> None:
    result = decode_telegram(stripped("8a05000000"), None)
    assert result.records == () and result.header.access_no == 5


def test_an_application_error_is_named() -> None:
    with pytest.raises(ApplicationError, match="busy"):
        decode_telegram(stripped("7008"), None)
    with pytest.raises(ApplicationError, match="busy"):
        decode_telegram(stripped("6e0500000008"), None)


def test_an_alarm_is_kept_raw() -> None:
    assert decode_telegram(stripped("740500000021"), None).manufacturer_data == b"\x21"


@pytest.mark.parametrize("ci,what", [("7d05000000", "COSEM"), ("5a05000000", "command")])
def test_what_is_known_but_not_supported_is_named(ci: str, what: str) -> None:
    with pytest.raises(ModeUnsupported, match=what):
        decode_telegram(stripped(ci + "01020304"), None)


# ------------------------------------------------------------------ keys
@pytest.mark.parametrize("security", [Security.MODE_5, Security.MODE_7, Security.ELL])
def test_no_wrong_key_yields_a_record(security: Security) -> None:
    raw = telegram(meter(security), 5)
    rng = random.Random(5)
    for _ in range(2000):
        with pytest.raises(KeyWrong):
            decode_telegram(raw, rng.randbytes(16))


def test_noise_that_begins_with_the_filler_bytes_is_a_wrong_key_in_nearly_all_cases() -> None:
    """What a wrong key that passes the first check looks like: 2F2F and then noise."""
    rng, passed, tries = random.Random(7), 0, 1500
    start = address_bytes(WATER) + b"\x05" * 8
    for _ in range(tries):
        plain = b"\x2f\x2f" + rng.randbytes(30)
        sealed = cbc_encrypt(KEY, start, plain)
        assert cbc_decrypt(KEY, start, sealed) == plain
        try:
            decode_telegram(stripped("7a05002005" + sealed.hex()), KEY)
            passed += 1
        except DecodeError:
            pass
    assert passed < tries / 8


def test_a_meter_in_trouble_with_hardly_a_valid_value_is_believed() -> None:
    invalid = bytes.fromhex("0413" "00000080" "043b" "00000080" "025b" "0080" "426c" "ffff" "441300000080" "01fd1710")
    assert (2 + len(invalid)) % 16 == 0, "no filler at the end that would vouch for the key"
    source = RadioMeter(WATER, lambda: invalid, Security.MODE_5, KEY)
    assert len(decode_telegram(telegram(source, 5), KEY).records) == 6


def test_a_missing_key_is_said_to_be_missing() -> None:
    with pytest.raises(KeyMissing):
        decode_telegram(OMS_GAS, None)


# ------------------------------------------------------------------ damage
@pytest.mark.parametrize("security", list(Security))
def test_every_flipped_bit_in_format_a_is_refused(security: Security) -> None:
    raw = telegram(meter(security, LinkFormat.A), 5)
    for bit in range(8 * len(raw)):
        with pytest.raises(FormatUnknown):
            decode_telegram(flipped(raw, bit), KEY)


@pytest.mark.parametrize("security", list(Security))
def test_every_flipped_bit_in_format_b_is_refused_or_changes_nothing(security: Security) -> None:
    raw = telegram(meter(security, LinkFormat.B), 5)
    whole = decode_telegram(raw, KEY).records
    for bit in range(8 * len(raw)):
        try:
            result = decode_telegram(flipped(raw, bit), KEY)
        except DecodeError:
            continue
        assert result.records == whole and result.header.meter == WATER, f"bit {bit}"


@pytest.mark.parametrize("security", list(Security))
@pytest.mark.parametrize("link_format", [LinkFormat.A, LinkFormat.B])
def test_every_flipped_bit_is_refused_where_checksums_are_known_to_be_there(
    security: Security, link_format: LinkFormat
) -> None:
    raw = telegram(meter(security, link_format), 5)
    for bit in range(8 * len(raw)):
        with pytest.raises(FormatUnknown):
            decode_telegram(flipped(raw, bit), KEY, crc=True)


def test_stripped_telegrams_are_never_taken_for_damaged_ones() -> None:
    for count in range(3000):
        records = RECORDS + bytes.fromhex("0413") + count.to_bytes(4, "little")
        raw = telegram(meter(records=records), count)
        assert len(decode_telegram(raw, None).records) == 5


def test_a_stripped_telegram_whose_end_happens_to_be_a_right_checksum_loses_nothing() -> None:
    from mbusgw.wmbus.crc import crc_field

    body = stripped("7a05000000" + RECORDS.hex() + "0413" + "0000" + "0000")
    raw = body[:-2] + crc_field(body[:-2])
    result = decode_telegram(raw, None)
    assert len(result.records) == 5


@pytest.mark.parametrize("security", list(Security))
@pytest.mark.parametrize("link_format", list(LinkFormat))
def test_a_telegram_cut_short_anywhere_is_refused(security: Security, link_format: LinkFormat) -> None:
    raw = telegram(meter(security, link_format), 5)
    for end in range(len(raw)):
        with pytest.raises(DecodeError):
            decode_telegram(raw[:end], KEY)


@given(st.binary(max_size=300), st.none() | st.binary(max_size=40))
def test_random_bytes_give_our_errors_only(raw: bytes, key: bytes | None) -> None:
    try:
        decode_telegram(raw, key)
    except DecodeError:
        pass


@given(st.binary(max_size=240), st.sampled_from(list(LinkFormat)))
def test_random_content_in_a_right_link_layer_gives_our_errors_only(data: bytes, link_format: LinkFormat) -> None:
    raw = encode_link(0x44, address_bytes(WATER), b"\x78" + data, link_format)
    try:
        decode_telegram(raw, KEY)
    except DecodeError:
        pass
