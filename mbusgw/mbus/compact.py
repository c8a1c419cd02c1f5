"""Compact frames: the data of a telegram without its DIF and VIF bytes (EN 13757-3:2018, annex G).

A compact frame (CI 73, 79, 7B) names its format by a signature and carries a CRC over the whole telegram as it
would be with a full frame (CI 72, 78, 7A). The format itself, DIF to last VIFE of every record, is known
from an earlier full frame or from a format frame (CI 69, 6A, 6B).
"""
from __future__ import annotations

from dataclasses import dataclass

from mbusgw.mbus.records import end_of_dib
from mbusgw.mbus.values import DATA_LENGTHS, FIELD_LVAR, lvar_length
from mbusgw.mbus.vib import BrokenBlock, end_of_vib
from mbusgw.model.errors import FormatUnknown

_HEAD_BYTES = 4


@dataclass(frozen=True, slots=True)
class CompactFrame:
    """A compact frame. **immutable**

    ``signature`` names the format, ``check`` is the CRC of the full frame's records, ``data`` what is sent of them.
    """

    signature: int
    check: int
    data: bytes


def parse_compact(payload: bytes) -> CompactFrame:
    """The frame in an application layer ``payload``. Raises ``FormatUnknown`` when it is too short. Any thread."""
    if len(payload) < _HEAD_BYTES:
        raise FormatUnknown("a compact frame begins with four bytes of signature and CRC; the telegram ends before")
    return CompactFrame(
        int.from_bytes(payload[:2], "little"), int.from_bytes(payload[2:_HEAD_BYTES], "little"), payload[_HEAD_BYTES:]
    )


def fill_format(format_bytes: bytes, data: bytes) -> bytes | None:
    """The records of the full frame: each head of the format with its part of ``data``; None where they do not fit.

    What is left over stands at the end, as it was sent. Any thread.
    """
    parts, position = [], 0
    try:
        for head in _heads(format_bytes):
            length = _length(head, data, position)
            if length is None or position + length > len(data):
                return None
            parts += [head, data[position : position + length]]
            position += length
    except BrokenBlock:
        return None
    return b"".join(parts) + data[position:]


def format_candidates(payload: bytes) -> list[tuple[int, bytes]]:
    """What a format frame may say: (signature, format). The signature tells which is right. Any thread.

    A length byte stands before the signature; meters of older editions leave it out.
    """
    candidates = []
    if len(payload) > 3 and 3 <= payload[0] < len(payload):
        candidates.append((int.from_bytes(payload[1:3], "little"), payload[3 : 1 + payload[0]]))
    if len(payload) > 2:
        candidates.append((int.from_bytes(payload[:2], "little"), payload[2:]))
    return candidates


def _heads(format_bytes: bytes) -> list[bytes]:
    heads, position = [], 0
    while position < len(format_bytes):
        end = end_of_vib(format_bytes, end_of_dib(format_bytes, position))
        heads.append(format_bytes[position:end])
        position = end
    return heads


def _length(head: bytes, data: bytes, position: int) -> int | None:
    """How many data bytes a record has; None where that cannot be."""
    field = head[0] & 0x0F
    if field != FIELD_LVAR:
        return DATA_LENGTHS[field]
    if position >= len(data):
        return None
    length = lvar_length(data[position])
    return None if length is None else 1 + length
