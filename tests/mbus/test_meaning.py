"""What the traffic log says of bytes."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbusgw.mbus.frames import LongFrame, ShortFrame, encode
from mbusgw.mbus.meaning import meaning
from mbusgw.mbus.selection import select
from mbusgw.model.address import SecondaryAddress
from mbusgw.model.meter import MeterIdentity
from tests.mbus.test_session import ANSWER, telegram

SECONDARY = SecondaryAddress.of(MeterIdentity("12345678", "SIM", 1, 7))


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (encode(ShortFrame(0x40, 5)), "SND_NKE to 5"),
        (encode(ShortFrame(0x7B, 5)), "REQ_UD2 to 5, FCB 1"),
        (encode(ShortFrame(0x5B, 253)), "REQ_UD2 to the selected meter, FCB 0"),
        (encode(ShortFrame(0x7A, 5)), "REQ_UD1 to 5, FCB 1"),
        (b"\xE5", "acknowledged"),
        (encode(select(SECONDARY)), f"select {SECONDARY}"),
        (encode(LongFrame(0x53, 5, 0xBD)), "5 shall talk at 9600 baud"),
        (encode(LongFrame(0x73, 5, 0x50)), "SND_UD to 5: application reset, 0 bytes"),
        (encode(LongFrame(0x53, 254, 0x51, b"\x01\x7A\x05")), "SND_UD to 254: data to the meter, 3 bytes"),
        (telegram(7), "RSP_UD from 1: RBL 12345678, access number 7, 1 record"),
        (telegram(7, more=True), "RSP_UD from 1: RBL 12345678, access number 7, 1 record, more follow"),
        (ANSWER, "RSP_UD from 1: CI 78, 1 record"),
        (encode(LongFrame(0x08, 5, 0x70, b"\x08")), "RSP_UD from 5: application error 08"),
        (b"\x00\xFF\x41", "noise, 3 bytes"),
        (ANSWER[:9], f"damaged: the frame ends after 9 of {len(ANSWER)} bytes"),
        (b"", "nothing"),
    ],
)
def test_bytes_are_said_in_words(raw: bytes, words: str) -> None:
    assert meaning(raw) == words


@given(st.binary(max_size=300))
def test_any_bytes_have_a_meaning(raw: bytes) -> None:
    assert meaning(raw)


@given(st.binary(max_size=60), st.integers(0, 255), st.integers(0, 255))
def test_any_frame_has_a_meaning(data: bytes, control: int, ci: int) -> None:
    assert meaning(encode(LongFrame(control, 1, ci, data)))
