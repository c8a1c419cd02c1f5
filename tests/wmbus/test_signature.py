"""Format signatures."""
from __future__ import annotations

from mbusgw.mbus.records import decode_records
from mbusgw.wmbus.signature import signature
from tests.wmbus.samples import OMS_GAS_PLAIN, RECORDS


def test_the_signature_is_the_published_one() -> None:
    assert signature(bytes.fromhex("0c14046d02fd17")) == 0xEF92


def test_fillers_and_values_do_not_change_it() -> None:
    block = decode_records(OMS_GAS_PLAIN)
    other = decode_records(bytes.fromhex("0c1400000000046d0000000002fd170100"))
    assert signature(block.format_bytes) == signature(other.format_bytes) == 0xEF92


def test_another_head_changes_it() -> None:
    block, other = decode_records(RECORDS), decode_records(RECORDS.replace(b"\x4c\x13", b"\xcc\x00\x13"))
    assert signature(block.format_bytes) != signature(other.format_bytes)
