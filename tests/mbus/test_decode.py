"""Wired frames to telegrams, and what is refused."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbusgw.mbus.decode import decode_frame
from mbusgw.mbus.frames import ShortFrame, encode
from mbusgw.model.errors import ApplicationError, DecodeError, FormatUnknown, ModeUnsupported
from mbusgw.model.meter import MeterIdentity
from tests.mbus.made import DOCUMENTED, OWN_FRAMES, VOLUME, frame


def test_the_documented_example_is_read() -> None:
    telegram = decode_frame(DOCUMENTED)
    assert telegram.header.meter == MeterIdentity("12345678", "PAD", 1, 7)
    assert (telegram.header.ci, telegram.header.address, telegram.header.access_no) == (0x72, 2, 0x55)
    volume, flow, energy = telegram.records
    assert (str(volume.value), volume.unit) == ("12.565", "m³")
    assert (str(flow.value), flow.unit, flow.function.value, flow.storage) == ("0.113", "m³/h", "maximum", 5)
    assert (str(energy.value), energy.unit, energy.tariff, energy.subunit) == ("2.1837E+5", "Wh", 2, 1)


def test_a_buffer_is_read_like_bytes() -> None:
    buffer = bytearray(DOCUMENTED)
    assert decode_frame(buffer).records == decode_frame(DOCUMENTED).records  # type: ignore[arg-type]


def test_a_frame_without_header_has_records_and_no_meter() -> None:
    telegram = decode_frame(frame(VOLUME, ci=0x78, header=b""))
    assert telegram.header.meter is None
    assert len(telegram.records) == 1


def test_a_short_header_has_access_number_and_status_and_no_meter() -> None:
    header = decode_frame(frame(VOLUME, ci=0x7A, header=bytes.fromhex("2a100027"))).header
    assert (header.meter, header.access_no, header.status, header.configuration) == (None, 0x2A, 0x10, 0x2700)


def test_mode_2_sends_header_and_data_high_byte_first() -> None:
    telegram = decode_frame(
        frame(bytes.fromhex("04130001e240"), ci=0x76, header=bytes.fromhex("12345678 2c2d 08 04 2a 00 0000"))
    )
    assert telegram.header.meter == MeterIdentity("12345678", "KAM", 8, 4)
    assert str(telegram.records[0].value) == "123.456"


def test_a_signature_on_an_old_meter_is_not_encryption() -> None:
    telegram = decode_frame(frame(VOLUME, header=bytes.fromhex("78563412 2d2c 08 04 2a 00 27b6")))
    assert telegram.header.configuration == 0xB627
    assert str(telegram.records[0].value) == "123.456"


def test_a_signature_that_could_announce_encryption_does_not_hide_sound_records() -> None:
    records = VOLUME * 3 + bytes.fromhex("426cffff")
    telegram = decode_frame(frame(records, header=bytes.fromhex("78563412 2d2c 08 04 2a 00 1005")))
    assert len(telegram.records) == 4


@pytest.mark.parametrize("ci", [0x72, 0x7A])
@pytest.mark.parametrize("mode", [5, 7])
def test_encrypted_data_are_named_and_never_read(ci: int, mode: int) -> None:
    header = bytes.fromhex("78563412 2d2c 08 04" if ci == 0x72 else "") + bytes((0x2A, 0, 0x10, mode))
    cipher_text = bytes.fromhex("0413a1b2c3d4 6c14ffae30 991b27c055")
    for data in (cipher_text, bytes.fromhex("0413a1b2c3d4 0c13f0ae3099 01fd1b00")):
        with pytest.raises(ModeUnsupported, match="encrypted"):
            decode_frame(frame(data + bytes(1), ci=ci, header=header))


def test_data_that_somebody_decrypted_are_read() -> None:
    header = bytes.fromhex("78563412 2d2c 08 04 2a 00 1005")
    telegram = decode_frame(frame(bytes.fromhex("2f2f") + VOLUME + bytes.fromhex("0c13ffffffff 2f2f"), header=header))
    assert [str(record.value) for record in telegram.records] == ["123.456", "None"]


def test_a_length_of_44_is_not_taken_for_radio() -> None:
    records = VOLUME * 8 + b"\x2f" * 5
    raw = frame(records)
    assert raw[1] == 0x44
    assert len(decode_frame(raw).records) == 8


@pytest.mark.parametrize(
    ("data", "code", "name"),
    [
        ("", 0, "unspecified"),
        ("01", 1, "unimplemented CI field"),
        ("02", 2, "buffer too long"),
        ("03", 3, "too many records"),
        ("04", 4, "premature end of record"),
        ("05", 5, "more than 10 DIFEs"),
        ("06", 6, "more than 10 VIFEs"),
        ("08", 8, "busy"),
        ("09", 9, "too many readouts"),
        ("07", 7, "does not name"),
        ("f1", 0xF1, "manufacturer"),
    ],
)
def test_an_application_error_is_named(data: str, code: int, name: str) -> None:
    with pytest.raises(ApplicationError, match=name) as caught:
        decode_frame(frame(b"", ci=0x70, header=bytes.fromhex(data)))
    assert caught.value.code == code


@pytest.mark.parametrize(("ci", "header"), [(0x6E, "2a100000"), (0x6F, "785634122d2c08042a100000")])
def test_an_application_error_may_have_a_header(ci: int, header: str) -> None:
    with pytest.raises(ApplicationError, match="busy"):
        decode_frame(frame(b"\x08", ci=ci, header=bytes.fromhex(header)))


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "no valid frame: no byte"),
        (b"\xe5", "without data"),
        (encode(ShortFrame(0x5B, 1)), "without data"),
        (frame(VOLUME)[:-2] + b"\x00\x16", "checksum"),
        (frame(b"", header=b"\x00" * 11), "long header has 12 bytes, this has 11"),
        (frame(b"", ci=0x7A, header=b"\x00" * 3), "short header has 4 bytes, this has 3"),
        (frame(VOLUME, ci=0x51, header=b""), "CI 51: data sent to a meter"),
        (frame(b"", ci=0x71, header=b"\x00"), "CI 71: an alarm"),
        (frame(b"", ci=0xBB, header=b""), "CI BB: a baud rate switch"),
        (frame(VOLUME, ci=0xA1), "CI A1: the manufacturer's own"),
        (frame(VOLUME, ci=0x79), "CI 79: a compact frame"),
        (frame(VOLUME, ci=0x02), "CI 02: no format we know"),
        (frame(bytes.fromhex("1f0102")), "2 bytes of the manufacturer's own"),
    ],
)
def test_what_holds_no_records_is_refused_with_its_name(raw: bytes, reason: str) -> None:
    with pytest.raises(FormatUnknown) as caught:
        decode_frame(raw)
    assert reason in str(caught.value)


def test_a_frame_that_ends_in_the_middle_of_a_record_is_refused() -> None:
    with pytest.raises(DecodeError, match="record 2: the data end after 2 of its 4 bytes"):
        decode_frame(frame(VOLUME + bytes.fromhex("041340e2")))


def test_every_single_flipped_bit_is_noticed() -> None:
    for raw in OWN_FRAMES:
        for position in range(len(raw)):
            for bit in range(8):
                damaged = bytearray(raw)
                damaged[position] ^= 1 << bit
                with pytest.raises(DecodeError):
                    decode_frame(bytes(damaged))


def test_every_truncation_is_noticed() -> None:
    for raw in OWN_FRAMES:
        for end in range(len(raw)):
            with pytest.raises(DecodeError):
                decode_frame(raw[:end])


@given(st.binary(max_size=300))
def test_random_bytes_raise_nothing_but_decode_error(raw: bytes) -> None:
    try:
        decode_frame(raw)
    except DecodeError as error:
        assert str(error)


@given(st.integers(0, 255), st.integers(0, 255), st.binary(max_size=200))
def test_random_contents_of_a_right_frame_raise_nothing_but_decode_error(ci: int, address: int, data: bytes) -> None:
    try:
        decode_frame(frame(data, ci=ci, header=b"", address=address))
    except DecodeError as error:
        assert str(error)
