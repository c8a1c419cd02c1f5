"""Layers and security of radio telegrams: whose they are, what is inside, and that no wrong key gets through."""
from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mbusgw.model.errors import DecodeError, FormatUnknown, KeyMissing, KeyWrong, ModeUnsupported
from mbusgw.simulator.radio import Security, address_bytes, encode_link, telegram
from mbusgw.wmbus.frame import LinkFormat, parse_frame
from mbusgw.wmbus.telegram import OpenTelegram, Proof, open_telegram, peek_header
from tests.wmbus.samples import ADAPTER, KEY, OMS_GAS, OMS_GAS_PLAIN, RECORDS, WATER, meter

OTHER_KEY = bytes(range(16))
ENCRYPTED = [Security.MODE_5, Security.MODE_7, Security.ELL]
PROOFS = {
    Security.NONE: Proof.NONE,
    Security.MODE_5: Proof.FILLER,
    Security.MODE_7: Proof.MAC,
    Security.ELL: Proof.CRC,
}


def opened(raw: bytes, key: bytes | None = KEY) -> OpenTelegram:
    return open_telegram(parse_frame(raw), key)


def stripped(data: str) -> bytes:
    """A telegram of the water meter with ``data`` (hex) from the CI field on."""
    return encode_link(0x44, address_bytes(WATER), bytes.fromhex(data), LinkFormat.STRIPPED)


def test_the_published_telegram_decrypts_to_the_published_bytes() -> None:
    telegram_ = opened(OMS_GAS)
    assert telegram_.payload == OMS_GAS_PLAIN
    assert telegram_.secured_bytes == 32
    assert telegram_.identity.device_id == "els_12345678"
    assert (telegram_.access_no, telegram_.header.status) == (42, 0)
    assert telegram_.header.configuration == 0x0520


@pytest.mark.parametrize("security", list(Security))
@pytest.mark.parametrize("link_format", list(LinkFormat))
@pytest.mark.parametrize("adapter", [None, ADAPTER])
@pytest.mark.parametrize("clear", [b"", bytes.fromhex("0f0102")])
def test_what_a_meter_sends_comes_back(
    security: Security, link_format: LinkFormat, adapter: object, clear: bytes
) -> None:
    source = meter(security, link_format, adapter=ADAPTER if adapter else None, clear=clear)
    result = opened(telegram(source, 200))
    assert result.payload.replace(b"\x2f", b"") == (RECORDS + clear).replace(b"\x2f", b"")
    assert result.identity == WATER
    assert result.frame.identity == (ADAPTER if adapter else WATER)
    assert result.access_no == 200
    assert result.proof is PROOFS[security]
    assert result.frame.format is link_format


@settings(max_examples=60)
@given(
    security=st.sampled_from(list(Security)),
    link_format=st.sampled_from(list(LinkFormat)),
    records=st.binary(min_size=0, max_size=150),
    key=st.binary(min_size=16, max_size=16),
    count=st.integers(0, 0xFFFFFF),
)
def test_round_trip_of_any_content(
    security: Security, link_format: LinkFormat, records: bytes, key: bytes, count: int
) -> None:
    source = meter(security, link_format, records=records)
    if source.key:
        source = type(source)(WATER, lambda: records, security=security, key=key, link_format=link_format)
    frame = parse_frame(telegram(source, count), crc=link_format is not LinkFormat.STRIPPED)
    payload = open_telegram(frame, key).payload
    if security in (Security.MODE_5, Security.MODE_7):
        assert payload[2:].rstrip(b"\x2f") == records.rstrip(b"\x2f")
    else:
        assert payload == records


@pytest.mark.parametrize("security", ENCRYPTED)
def test_a_wrong_key_is_detected(security: Security) -> None:
    raw = telegram(meter(security), 7)
    with pytest.raises(KeyWrong):
        opened(raw, OTHER_KEY)


@pytest.mark.parametrize("security", ENCRYPTED)
def test_a_key_with_any_single_bit_wrong_is_detected(security: Security) -> None:
    raw = telegram(meter(security), 7)
    for bit in range(128):
        wrong = bytearray(KEY)
        wrong[bit // 8] ^= 1 << (bit % 8)
        with pytest.raises(KeyWrong):
            opened(raw, bytes(wrong))


@pytest.mark.parametrize("security", ENCRYPTED)
def test_no_key_is_said_to_be_missing(security: Security) -> None:
    with pytest.raises(KeyMissing):
        opened(telegram(meter(security), 7), None)


@pytest.mark.parametrize("security", ENCRYPTED)
@pytest.mark.parametrize("size", [0, 8, 15, 17, 32])
def test_a_key_of_another_length_is_named_so(security: Security, size: int) -> None:
    with pytest.raises(KeyWrong, match="16 bytes"):
        opened(telegram(meter(security), 7), bytes(size))


def test_a_key_is_not_looked_at_where_nothing_is_encrypted() -> None:
    assert opened(telegram(meter(), 7), b"short").payload == RECORDS


@pytest.mark.parametrize("security", [Security.MODE_7, Security.ELL])
def test_every_bit_behind_the_link_layer_is_guarded_by_mac_or_crc(security: Security) -> None:
    raw = telegram(meter(security), 9)
    start = 14  # behind the CI field that says which layer guards the rest
    for bit in range(8 * start, 8 * len(raw)):
        damaged = bytearray(raw)
        damaged[bit // 8] ^= 1 << (bit % 8)
        try:
            result = opened(bytes(damaged))
        except DecodeError:
            continue
        assert result.payload == opened(raw).payload, f"bit {bit}"


def test_a_telegram_that_somebody_decrypted_on_the_way_is_taken_as_it_is() -> None:
    plain = "7a07002005" + "2f2f" + RECORDS.hex() + "2f" * (30 - len(RECORDS))
    for key in (None, KEY):
        result = opened(stripped(plain), key)
        assert result.payload[2:].startswith(RECORDS)


def test_data_behind_the_encrypted_blocks_stay_as_they_are() -> None:
    result = opened(telegram(meter(Security.MODE_5, clear=bytes.fromhex("02fd170100")), 7))
    assert result.payload[result.secured_bytes :] == bytes.fromhex("02fd170100")


@pytest.mark.parametrize("configuration", ["0000", "0005", "0020"])
def test_no_encrypted_blocks_means_plain(configuration: str) -> None:
    assert opened(stripped("7a0700" + configuration + "0c1378563412"), None).payload.hex() == "0c1378563412"


@pytest.mark.parametrize("mode", [1, 2, 3, 4, 6, 8, 9, 10, 13, 15, 31])
def test_a_mode_that_is_not_ours_is_named(mode: int) -> None:
    raw = stripped(f"7a070010{mode:02x}" + "00" * 16)
    with pytest.raises(ModeUnsupported, match=f"mode {mode}"):
        opened(raw)
    with pytest.raises(ModeUnsupported):
        opened(raw, None)


def test_more_encrypted_blocks_than_there_are_bytes_is_a_damaged_telegram() -> None:
    with pytest.raises(FormatUnknown, match="3 encrypted blocks"):
        opened(stripped("7a07003005" + "11" * 32))


def test_mode_7_without_a_message_counter_is_refused_by_name() -> None:
    with pytest.raises(FormatUnknown, match="message counter"):
        opened(stripped("7a0700100710" + "11" * 16))


def test_mode_7_with_another_key_derivation_is_refused_by_name() -> None:
    with pytest.raises(ModeUnsupported, match="derivation"):
        opened(stripped("7a0700100700" + "11" * 16))


@pytest.mark.parametrize("ci,skipped", [("8c2007", 0), ("8e2007" + "4d6a0000000001ff", 0)])
def test_an_unencrypted_extended_link_layer_is_taken_off(ci: str, skipped: int) -> None:
    result = opened(stripped(ci + "78" + RECORDS.hex()))
    assert result.payload == RECORDS
    assert result.access_no == 7
    assert result.layers == (int(ci[:2], 16), 0x78)


def test_the_address_in_a_long_extended_link_layer_is_the_receivers_and_not_the_meters() -> None:
    result = opened(stripped("8e2007" + "4d6a9988776601ff" + "78" + RECORDS.hex()))
    assert result.identity == WATER


def test_the_payload_crc_is_checked_where_the_extended_link_layer_does_not_encrypt() -> None:
    from mbusgw.wmbus.crc import crc16

    data = b"\x78" + RECORDS
    good = crc16(data).to_bytes(2, "little") + data
    assert opened(stripped("8d200700000000" + good.hex())).payload == RECORDS
    with pytest.raises(FormatUnknown, match="payload CRC"):
        opened(stripped("8d200700000000" + good.hex()[:-2] + "77"))


def test_a_message_in_fragments_is_named() -> None:
    with pytest.raises(ModeUnsupported, match="fragments"):
        opened(stripped("90020140" + "7a07000000"))


@pytest.mark.parametrize("ci", range(0xA0, 0xB8))
def test_the_manufacturers_own_protocol_is_kept_raw(ci: int) -> None:
    result = opened(stripped(f"{ci:02x}0102030405"))
    assert result.payload.hex() == "0102030405"
    assert result.identity == WATER


@pytest.mark.parametrize("ci", [0x00, 0x50, 0x51, 0x77, 0x81, 0x91, 0xB8, 0xC0, 0xFF])
def test_a_ci_field_that_means_nothing_on_the_air_is_named(ci: int) -> None:
    with pytest.raises(FormatUnknown, match=f"{ci:02X}"):
        opened(stripped(f"{ci:02x}0102030405"))


@pytest.mark.parametrize("security", list(Security))
def test_a_telegram_cut_short_gives_our_errors_only(security: Security) -> None:
    raw = telegram(meter(security, adapter=ADAPTER, extended_link=True), 7)
    for end in range(11, len(raw)):
        cut = bytes((end - 1,)) + raw[1:end]
        try:
            opened(cut)
        except DecodeError:
            pass


@given(st.binary(min_size=1, max_size=200), st.none() | st.binary(min_size=16, max_size=16))
def test_random_bytes_behind_the_link_layer_give_our_errors_only(data: bytes, key: bytes | None) -> None:
    try:
        open_telegram(parse_frame(encode_link(0x44, address_bytes(WATER), data, LinkFormat.A)), key)
    except DecodeError:
        pass


def test_whose_key_is_wanted_can_be_learnt_without_it() -> None:
    raw = telegram(meter(Security.MODE_7, adapter=ADAPTER), 7)
    assert peek_header(parse_frame(raw)).identity == WATER
