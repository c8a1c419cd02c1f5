"""The radio link layer: formats A, B and stripped, told apart and checked."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbusgw.model.errors import DecodeError, FormatUnknown
from mbusgw.simulator.radio import encode_link
from mbusgw.wmbus.frame import LinkFormat, other_readings, parse_frame, size_a
from tests.wmbus.samples import OMS_GAS

ADDRESS = bytes.fromhex("9315785634123303")
EVERY_FORMAT = list(LinkFormat)
SIZES = [1, 2, 6, 16, 17, 22, 32, 64, 113, 114, 115, 116, 130, 200, 240]


def build(size: int, link_format: LinkFormat) -> bytes:
    """A telegram with ``size`` bytes from the CI field on, none of them special."""
    data = bytes((0x78, *((37 * n + 11) & 0xFF for n in range(size - 1))))
    return encode_link(0x44, ADDRESS, data, link_format)


def test_the_published_telegram_is_format_a() -> None:
    frame = parse_frame(OMS_GAS)
    assert frame.format is LinkFormat.A
    assert (frame.control, frame.manufacturer, frame.id, frame.version, frame.type) == (0x44, "ELS", "12345678", 51, 3)
    assert frame.ci == 0x7A
    assert frame.payload.hex().startswith("2a0020055923c9")


@pytest.mark.parametrize("link_format", EVERY_FORMAT)
@pytest.mark.parametrize("size", SIZES)
def test_every_format_and_size_is_recognised(size: int, link_format: LinkFormat) -> None:
    frame = parse_frame(build(size, link_format))
    assert frame.format is link_format
    assert frame.stripped == build(size, LinkFormat.STRIPPED)


@pytest.mark.parametrize("size", SIZES)
def test_one_flipped_bit_in_format_a_is_always_refused(size: int) -> None:
    raw = build(size, LinkFormat.A)
    for bit in range(8 * len(raw)):
        damaged = bytearray(raw)
        damaged[bit // 8] ^= 1 << (bit % 8)
        with pytest.raises(FormatUnknown):
            parse_frame(bytes(damaged))


@pytest.mark.parametrize("size", SIZES)
def test_one_flipped_bit_in_what_is_known_to_be_format_b_is_always_refused(size: int) -> None:
    raw = build(size, LinkFormat.B)
    for bit in range(8 * len(raw)):
        damaged = bytearray(raw)
        damaged[bit // 8] ^= 1 << (bit % 8)
        with pytest.raises(FormatUnknown):
            parse_frame(bytes(damaged), crc=True)


@pytest.mark.parametrize("size", [size for size in SIZES if size > 116])
def test_one_flipped_bit_in_a_long_format_b_telegram_is_refused_unasked(size: int) -> None:
    raw = build(size, LinkFormat.B)
    assert len(raw) > 128
    for bit in range(8 * len(raw)):
        damaged = bytearray(raw)
        damaged[bit // 8] ^= 1 << (bit % 8)
        with pytest.raises(FormatUnknown):
            parse_frame(bytes(damaged))


@pytest.mark.parametrize("block,offset", [(1, 3), (2, 20), (3, 40), (4, 60)])
def test_the_damaged_block_is_named(block: int, offset: int) -> None:
    raw = bytearray(build(60, LinkFormat.A))
    raw[offset] ^= 0x55
    with pytest.raises(FormatUnknown, match=f"block {block}"):
        parse_frame(bytes(raw))


def test_format_b_may_as_well_be_stripped() -> None:
    raw = build(30, LinkFormat.B)
    frame = parse_frame(raw)
    (other,) = other_readings(raw, frame)
    assert other.format is LinkFormat.STRIPPED
    assert other.payload == frame.payload + raw[-2:]


@pytest.mark.parametrize("size", [size for size in SIZES if size <= 113])
def test_the_telegram_before_the_damage_is_among_the_other_readings(size: int) -> None:
    raw = build(size, LinkFormat.B)
    whole = parse_frame(raw)
    for bit in range(8, 8 * len(raw)):
        damaged = bytearray(raw)
        damaged[bit // 8] ^= 1 << (bit % 8)
        frame = parse_frame(bytes(damaged))
        assert frame.format is LinkFormat.STRIPPED
        assert whole in other_readings(bytes(damaged), frame)


def test_hardly_any_stripped_telegram_has_another_reading() -> None:
    doubted = 0
    for count in range(4096):
        raw = build(60, LinkFormat.STRIPPED)[:-2] + count.to_bytes(2, "big")
        doubted += bool(other_readings(raw, parse_frame(raw)))
    assert doubted < 4096 / 100


def test_format_a_leaves_no_doubt() -> None:
    assert other_readings(OMS_GAS, parse_frame(OMS_GAS)) == []


@pytest.mark.parametrize("link_format", [LinkFormat.A, LinkFormat.B])
def test_bytes_that_a_receiver_appends_are_ignored_behind_right_checksums(link_format: LinkFormat) -> None:
    raw = build(30, link_format)
    assert parse_frame(raw + b"\x99").stripped == build(30, LinkFormat.STRIPPED)


def test_bytes_appended_to_a_telegram_without_checksums_are_refused() -> None:
    with pytest.raises(FormatUnknown, match="announces"):
        parse_frame(build(30, LinkFormat.STRIPPED) + b"\x99")


@pytest.mark.parametrize("link_format", EVERY_FORMAT)
def test_a_telegram_cut_short_anywhere_is_refused(link_format: LinkFormat) -> None:
    raw = build(60, link_format)
    for end in range(len(raw)):
        with pytest.raises(FormatUnknown):
            parse_frame(raw[:end])


def test_a_stripped_telegram_is_never_taken_for_another_format() -> None:
    for last in range(4096):
        raw = build(30, LinkFormat.STRIPPED)[:-2] + last.to_bytes(2, "big")
        expected = LinkFormat.B if raw == encode_link(0x44, ADDRESS, raw[10:-2], LinkFormat.B) else LinkFormat.STRIPPED
        assert parse_frame(raw).format is expected


def test_a_caller_who_knows_that_there_are_no_checksums_is_believed() -> None:
    raw = build(30, LinkFormat.B)
    assert parse_frame(raw, crc=False).format is LinkFormat.STRIPPED


def test_format_a_is_longer_than_its_length_field_says() -> None:
    assert size_a(0x2E) == len(OMS_GAS)


@given(st.binary(max_size=300))
def test_random_bytes_give_a_frame_or_our_own_error(raw: bytes) -> None:
    try:
        parse_frame(raw)
    except DecodeError:
        pass
