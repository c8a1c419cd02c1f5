"""pyMeterBus as a second opinion: where it agrees, and where and why it does not."""
from __future__ import annotations

from datetime import date, datetime, time
from decimal import Decimal
from math import isclose

import pytest

from mbusgw.mbus.decode import decode_frame
from mbusgw.mbus.oracle import decode_with_meterbus
from mbusgw.model.errors import DecodeError
from mbusgw.model.record import Value
from tests.mbus.made import DOCUMENTED, VOLUME, frame

PLAIN = [
    "041340e20100",
    "0c1378563412",
    "0c13563412f0",
    "02599c08",
    "0b2b000300",
    "055b0000a841",
    "426cbf1c",
    "046d3b17bf1c",
    "0d7803434241",
    "84101301000000",
    "02fd170500",
    "02fd48d108",
    "04fb000a000000",
]

#: Records that pyMeterBus reads in another way, or fails on with the whole frame, and why ours is right.
EXPLAINED = [
    ("02590080", "the smallest integer means invalid (annex A), it says -327.68"),
    ("0c13aaaaaaaa", "A is no decimal digit, it says 10101.01"),
    ("046d80000000", "the IV bit marks the time as invalid, it says 2000-00-00"),
    ("426cffff", "FFFF is no date, it says 2027-15-31"),
    ("066d000008162700", "6 bytes are type I, it reads type F of the first 4"),
    ("04937d40e20100", "VIFE 7D multiplies by 1000, it ignores it"),
    ("02937b0a00", "VIFE 7B adds 1, it ignores it"),
    ("0d13c478563412", "LVAR C4 is 4 bytes of BCD, it runs on into the next record"),
]


def same(ours: Value | None, theirs: Decimal | int | str | None) -> bool:
    """Whether two values are the same but for the noise of float arithmetic and the seconds of a time."""
    if isinstance(ours, (Decimal, int)) and isinstance(theirs, (Decimal, int)):
        return isclose(ours, theirs, rel_tol=1e-6)
    if isinstance(ours, (date, datetime, time)):
        return theirs is not None and ours.isoformat().startswith(str(theirs))
    return ours == theirs


@pytest.mark.parametrize("record", PLAIN)
def test_both_read_plain_records_alike(record: str) -> None:
    raw = frame(bytes.fromhex(record) + VOLUME)
    ours, theirs = decode_frame(raw).records, decode_with_meterbus(raw)
    assert len(ours) == len(theirs)
    for our, their in zip(ours, theirs, strict=True):
        assert same(our.value, their.value)
        assert (our.storage, our.tariff, our.subunit) == (their.storage, their.tariff, their.subunit)
        assert our.function.value == their.function


def test_both_read_the_documented_example_alike() -> None:
    ours, theirs = decode_frame(DOCUMENTED).records, decode_with_meterbus(DOCUMENTED)
    assert all(same(our.value, their.value) for our, their in zip(ours, theirs, strict=True))
    assert theirs[1].unit == "m^3/h"
    assert (theirs[1].quantity, theirs[1].function, theirs[1].storage) == ("volume_flow", "maximum", 5)


@pytest.mark.parametrize(("record", "why"), EXPLAINED)
def test_every_difference_is_an_explained_one(record: str, why: str) -> None:
    raw = frame(bytes.fromhex(record) + VOLUME)
    ours, theirs = decode_frame(raw).records, decode_with_meterbus(raw)
    assert not same(ours[0].value, theirs[0].value), f"it has learned: {why}"


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (frame(b"", ci=0x73, header=bytes.fromhex("785634120a00e97e0100000035010000")), "the fixed structure"),
        (frame(bytes.fromhex("036d1e1a0c") + VOLUME), "type J"),
        (b"\x68\x03\x03", "no frame at all"),
        (b"", "nothing"),
    ],
)
def test_what_it_cannot_read_is_our_decode_error(raw: bytes, why: str) -> None:
    with pytest.raises(DecodeError, match="pyMeterBus cannot read this"):
        decode_with_meterbus(raw)


def test_manufacturer_data_are_no_record() -> None:
    assert len(decode_with_meterbus(frame(VOLUME + b"\x0f\x01\x02"))) == 1
