"""Compact frames and the formats they need."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbusgw.mbus.compact import CompactFrame, fill_format, format_candidates, parse_compact
from mbusgw.mbus.records import decode_records
from mbusgw.model.errors import DecodeError, FormatPending, FormatUnknown
from mbusgw.parsers.formats import FormatMemory
from mbusgw.parsers.local import LocalBackend, decode_telegram
from mbusgw.simulator.radio import address_bytes, encode_link
from mbusgw.wmbus.frame import LinkFormat
from mbusgw.wmbus.security import cbc_encrypt
from mbusgw.wmbus.signature import signature
from tests.parsers.compact import compact, compact_payload, format_frame, full
from tests.parsers.received import received
from tests.wmbus.samples import KEY, RECORDS, WATER

TEXT = bytes.fromhex("0dfd110548454c4c4f" "0413aabbcc00")


def test_a_compact_frame_is_read_once_the_full_frame_was_heard() -> None:
    backend = LocalBackend()
    with pytest.raises(FormatPending, match="format unknown yet"):
        backend.parse(received(compact()), None)
    expected = backend.parse(received(full()), None).decoded
    decoded = backend.parse(received(compact()), None).decoded
    assert expected is not None and decoded is not None
    assert decoded.records == expected.records
    assert decoded.header.ci == 0x79 and decoded.header.meter == WATER


def test_a_field_of_variable_length_keeps_its_length() -> None:
    formats = FormatMemory()
    expected = decode_telegram(full(TEXT), None, formats=formats)
    assert decode_telegram(compact(TEXT), None, formats=formats).records == expected.records


@pytest.mark.parametrize("with_length", [True, False])
def test_a_format_frame_names_the_format_too(with_length: bool) -> None:
    formats = FormatMemory()
    announced = decode_telegram(format_frame(with_length=with_length), None, formats=formats)
    assert announced.records == () and "format frame" in announced.problems[0]
    assert len(decode_telegram(compact(), None, formats=formats).records) == 4


def test_a_format_frame_that_does_not_prove_itself_teaches_nothing() -> None:
    formats = FormatMemory()
    damaged = bytearray(format_frame())
    damaged[-1] ^= 1
    with pytest.raises(FormatUnknown, match="format frame"):
        decode_telegram(bytes(damaged), None, formats=formats)
    assert len(formats) == 0


def test_a_wrong_crc_of_the_full_frame_yields_no_value() -> None:
    formats = FormatMemory()
    decode_telegram(full(), None, formats=formats)
    with pytest.raises(FormatPending):
        decode_telegram(compact(damage=1), None, formats=formats)


def test_of_two_formats_with_one_signature_the_crc_chooses() -> None:
    formats = FormatMemory()
    block = decode_records(RECORDS)
    named = signature(block.format_bytes)
    formats._formats[named] = [b"\x04\x06", block.format_bytes]  # sixteen bits meet seldom; this is as if
    frame = parse_compact(compact_payload())
    assert formats.full_frame(frame) == RECORDS


def test_an_encrypted_compact_frame_is_read() -> None:
    formats = FormatMemory()
    decode_telegram(full(), None, formats=formats)
    plain = b"\x2f\x2f" + compact_payload()
    plain += b"\x2f" * (-len(plain) % 16)
    sealed = cbc_encrypt(KEY, address_bytes(WATER) + b"\x05" * 8, plain)
    data = bytes((0x7B, 5, 0, len(plain), 5)) + sealed
    raw = encode_link(0x44, address_bytes(WATER), data, LinkFormat.STRIPPED)
    assert len(decode_telegram(raw, KEY, formats=formats).records) == 4
    with pytest.raises(DecodeError):
        decode_telegram(raw, bytes(16), formats=formats)


def test_the_least_recently_heard_format_goes_first() -> None:
    formats = FormatMemory(limit=2)
    first, second, third = b"\x04\x13", b"\x04\x06", b"\x04\x14"
    for format_bytes in (first, second, first, third):
        formats.learn(format_bytes)
    assert len(formats) == 2
    assert formats.full_frame(CompactFrame(signature(second), 0, bytes(4))) is None
    told: list[bytes] = []
    formats = FormatMemory(on_new=lambda named, format_bytes: told.append(format_bytes))
    formats.restore([first])
    formats.learn(first)
    formats.learn(second)
    assert told == [second]


def test_a_telegram_that_breaks_off_teaches_nothing() -> None:
    formats = FormatMemory()
    decode_telegram(full(RECORDS + b"\x0c\x13\x12"), None, formats=formats)
    assert len(formats) == 0


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_any_format_and_any_data_end_well(format_bytes: bytes, data: bytes) -> None:
    filled = fill_format(format_bytes, data)
    assert filled is None or len(filled) == len(format_bytes) + len(data)
    format_candidates(data)
    formats = FormatMemory()
    formats.restore([format_bytes])
    if len(data) >= 4:
        formats.full_frame(parse_compact(data))


@pytest.mark.parametrize("size", range(1, 15))
def test_a_compact_frame_cut_short_yields_no_value(size: int) -> None:
    formats = FormatMemory()
    decode_telegram(full(), None, formats=formats)
    raw = bytearray(compact())[:-size]
    raw[0] = len(raw) - 1
    with pytest.raises(DecodeError):
        decode_telegram(bytes(raw), None, formats=formats)
