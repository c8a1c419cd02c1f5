"""The wired link layer."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbusgw.mbus.frames import (
    ACK,
    LongFrame,
    ShortFrame,
    SingleCharacter,
    encode,
    expected_length,
    parse,
)
from mbusgw.model.errors import FrameDamaged

octets = st.integers(0, 255)


def test_a_short_frame_is_written_as_the_standard_says() -> None:
    assert encode(ShortFrame(0x5B, 1)) == bytes.fromhex("105b015c16")


def test_a_control_frame_is_a_long_frame_without_data() -> None:
    raw = encode(LongFrame(0x53, 0xFE, 0xBD))
    assert raw == bytes.fromhex("6803036853febd0e16")
    assert parse(raw) == LongFrame(0x53, 0xFE, 0xBD, b"")


def test_the_single_character_is_a_frame() -> None:
    assert parse(bytes((ACK,))) == SingleCharacter()
    assert encode(SingleCharacter()) == b"\xe5"


@given(control=octets, address=octets, ci=octets, data=st.binary(max_size=252))
def test_what_was_encoded_is_parsed_back(control: int, address: int, ci: int, data: bytes) -> None:
    for made in (LongFrame(control, address, ci, data), ShortFrame(control, address)):
        assert parse(encode(made)) == made


def test_data_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="252"):
        encode(LongFrame(0x53, 1, 0x51, bytes(253)))


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("", "no byte"),
        ("d04046853fe5010b11", "no frame begins with D0"),
        ("68", "ends after its start byte"),
        ("105b015d16", "checksum is 5D"),
        ("105b015c17", "stop byte is 17"),
        ("105b01", "ends after 3 of 5"),
        ("105b015c16e5", "1 byte is left over"),
        ("6803046808017079 16", "two L fields differ: 3 and 4"),
        ("6802026808017116", "L field is 2"),
        ("6803036908017079 16", "second start byte is 69"),
        ("680303680801707816", "checksum is 78"),
        ("680303680801707917", "stop byte is 17"),
    ],
)
def test_a_damaged_frame_is_refused_with_what_is_wrong(raw: str, reason: str) -> None:
    with pytest.raises(FrameDamaged, match=reason):
        parse(bytes.fromhex(raw))


def test_the_length_is_known_as_soon_as_it_was_sent() -> None:
    assert expected_length(b"") is None
    assert expected_length(b"\xe5") == 1
    assert expected_length(b"\x10") == 5
    assert expected_length(b"\x68") is None
    assert expected_length(b"\x68\x1f") == 0x1F + 6
    assert expected_length(b"\x68\x44\x44\x68") == 0x44 + 6


@pytest.mark.parametrize("raw", ["00", "6802", "680304", "68030310"])
def test_bytes_that_begin_no_frame_are_refused_at_once(raw: str) -> None:
    with pytest.raises(FrameDamaged):
        expected_length(bytes.fromhex(raw))


@given(st.binary(max_size=300))
def test_random_bytes_raise_nothing_but_frame_damaged(raw: bytes) -> None:
    try:
        assert encode(parse(raw)) == raw
    except FrameDamaged as damaged:
        assert str(damaged)
