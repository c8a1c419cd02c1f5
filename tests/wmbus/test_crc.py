"""The checksum, against published values."""
from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mbusgw.wmbus.crc import crc16, crc_field


def test_the_format_signature_of_the_published_example_comes_out() -> None:
    assert crc16(bytes.fromhex("0c14046d02fd17")) == 61330


def test_the_first_block_of_the_published_telegram_proves_itself() -> None:
    block = bytes.fromhex("2e449315785634123303")
    assert crc_field(block) == bytes.fromhex("3363")


def test_the_crc_of_nothing_is_all_ones() -> None:
    assert crc16(b"") == 0xFFFF


@given(st.binary(max_size=300))
def test_two_bytes_at_once_give_what_bit_by_bit_does(data: bytes) -> None:
    value = 0
    for byte in data:
        value ^= byte << 8
        for _ in range(8):
            value = (value << 1 ^ (0x3D65 if value & 0x8000 else 0)) & 0xFFFF
    assert crc16(data) == value ^ 0xFFFF
