"""Full frames of meters of our own, and the compact and format frames that go with them."""
from __future__ import annotations

from mbusgw.mbus.records import decode_records
from mbusgw.simulator.radio import address_bytes, encode_link
from mbusgw.wmbus.crc import crc16
from mbusgw.wmbus.frame import LinkFormat
from mbusgw.wmbus.signature import signature
from tests.wmbus.samples import RECORDS, WATER


def full(records: bytes = RECORDS) -> bytes:
    """A telegram with all its DIF and VIF bytes."""
    return telegram(b"\x78" + records)


def compact(records: bytes = RECORDS, *, damage: int = 0) -> bytes:
    """The same data in a compact frame; ``damage`` makes its CRC wrong."""
    return telegram(b"\x79" + compact_payload(records, damage=damage))


def compact_payload(records: bytes = RECORDS, *, damage: int = 0) -> bytes:
    """The application layer of a compact frame."""
    block = decode_records(records)
    head = signature(block.format_bytes).to_bytes(2, "little") + (crc16(records) ^ damage).to_bytes(2, "little")
    return head + b"".join(record.data for record in block.records)


def format_frame(records: bytes = RECORDS, *, with_length: bool = True) -> bytes:
    """The format alone."""
    block = decode_records(records)
    body = signature(block.format_bytes).to_bytes(2, "little") + block.format_bytes
    return telegram(b"\x69" + (bytes((len(body),)) if with_length else b"") + body)


def telegram(data: bytes) -> bytes:
    """A telegram of the water meter, without CRCs; ``data`` begins with the CI field."""
    return encode_link(0x44, address_bytes(WATER), data, LinkFormat.STRIPPED)
