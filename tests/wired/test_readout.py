"""From frames to a reading."""
from __future__ import annotations

from datetime import datetime, timezone
from decimal import Decimal

import pytest

from mbusgw.mbus.answer import Answer
from mbusgw.mbus.frames import LongFrame, encode
from mbusgw.model.errors import ApplicationError
from mbusgw.model.meter import MeterIdentity
from mbusgw.simulator.encode import DataType, encode_record, find_vib, long_frame
from mbusgw.wired.readout import INCOMPLETE, build_reading

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)
METER = MeterIdentity("12345678", "ELS", 0x33, 0x04)
BUSY = encode(LongFrame(0x08, 1, 0x70, b"\x08"))


def telegram(value: int, *, storage: int = 0, own: bytes | None = None, more: bool = False) -> bytes:
    record = encode_record(value, find_vib("volume", "m³"), data_type=DataType.INT32, storage=storage)
    return long_frame(METER, record, address=1, manufacturer_data=own, more_records_follow=more)


def test_a_reading_names_the_device_the_meter_and_the_values() -> None:
    reading = build_reading("meter_1", Answer((telegram(5, own=b"\x01"),)), NOW)
    assert (reading.device_id, reading.read_at, reading.header.meter) == ("meter_1", NOW, METER)
    assert {name: (field.value, field.unit) for name, field in reading.fields.items()} == {"volume": (Decimal(5), "m³")}
    assert reading.manufacturer_data == b"\x01" and not reading.problems


def test_telegrams_are_joined_in_order() -> None:
    frames = (telegram(1, more=True, own=b"\x0A"), telegram(2, storage=1, own=b"\x0B"))
    reading = build_reading("meter_1", Answer(frames), NOW)
    assert list(reading.fields) == ["volume", "volume_storage_1"]
    assert len(reading.records) == 2
    assert reading.manufacturer_data == b"\x0A\x0B"


def test_a_readout_that_was_not_finished_says_so() -> None:
    assert build_reading("meter_1", Answer((telegram(1, more=True),), complete=False), NOW).problems == (INCOMPLETE,)


def test_one_telegram_that_cannot_be_decoded_does_not_cost_the_others() -> None:
    reading = build_reading("meter_1", Answer((telegram(1, more=True), BUSY)), NOW)
    assert list(reading.fields) == ["volume"]
    (problem,) = reading.problems
    assert problem.startswith("telegram 2 of 2:") and "busy" in problem


def test_an_answer_without_any_good_telegram_is_an_error() -> None:
    with pytest.raises(ApplicationError, match="busy"):
        build_reading("meter_1", Answer((BUSY,)), NOW)


def test_a_meter_that_began_anew_in_the_middle_is_read_from_there() -> None:
    frames = (telegram(1, more=True), telegram(3, more=True), telegram(4, storage=1))
    reading = build_reading("meter_1", Answer(frames), NOW)
    assert {name: field.value for name, field in reading.fields.items()} == {"volume": 3, "volume_storage_1": 4}
    broken_off = build_reading("meter_1", Answer((telegram(1, more=True), telegram(3, more=True), BUSY)), NOW)
    assert {name: field.value for name, field in broken_off.fields.items()} == {"volume": 3}


def test_pages_of_a_history_that_are_all_alike_stay() -> None:
    reading = build_reading("meter_1", Answer((telegram(1, more=True), telegram(2, more=True), telegram(3))), NOW)
    assert len(reading.records) == 3
