"""Where pyMeterBus reads an answer otherwise."""
from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from mbusgw.mbus.decode import decode_frame
from mbusgw.mbus.frames import LongFrame, encode
from mbusgw.wired.opinion import differences


def frame(records: str) -> bytes:
    header = "78563412 932C 33 04 01 00 0000"
    return encode(LongFrame(0x08, 1, 0x72, bytes.fromhex(header + records)))


def test_the_same_values_are_no_difference() -> None:
    raw = frame("0C13 79020000  0406 D2040000  426C 3F3C  046D 2D2D4231  025A D700")
    assert differences(raw, decode_frame(raw).records) == []


def test_another_value_is_named_with_both_readings() -> None:
    raw = frame("0C13 79020000")
    (record,) = decode_frame(raw).records
    (sentence,) = differences(raw, [replace(record, value=Decimal("0.280"))])
    assert sentence == "pyMeterBus reads record 1 (volume) as 0.279, not 0.28"


def test_another_number_of_records_is_said() -> None:
    raw = frame("0C13 79020000")
    assert differences(raw, []) == ["pyMeterBus finds 1 record, mbusgw 0"]


def test_a_frame_that_it_cannot_read_is_said() -> None:
    (sentence,) = differences(b"\x68\x00", [])
    assert sentence.startswith("pyMeterBus cannot read")


def test_what_it_does_not_know_is_left_out() -> None:
    raw = frame("02 FB2D 8813")
    assert differences(raw, decode_frame(raw).records) == []
