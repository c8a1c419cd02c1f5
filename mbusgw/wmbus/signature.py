"""The format signature of a telegram (EN 13757-3:2018, annex G): which records it has, in sixteen bits."""
from __future__ import annotations

from mbusgw.wmbus.crc import crc16


def signature(format_bytes: bytes) -> int:
    """The signature of a format: CRC-16/EN-13757 over DIF to last VIFE of every record, in order. Any thread.

    Fillers and a manufacturer's data behind DIF 0F or 1F do not count (``RecordBlock.format_bytes``
    leaves them out). Two telegrams of one meter with the same signature have the same records.
    """
    return crc16(format_bytes)
