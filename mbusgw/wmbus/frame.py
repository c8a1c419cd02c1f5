"""The radio link layer of EN 13757-4: frame formats A and B, and telegrams whose CRCs the receiver removed.

Nothing in a telegram says which of the three it is, so size and checksums decide:

- Format A is longer than its L field says (L does not count the CRCs), and every block proves itself.
- Format B and a stripped telegram are both as long as L says; a right CRC makes it B.

A format B telegram with a damaged CRC therefore has the shape of a stripped one.  What the link
layer can prove is refused here (one of two blocks is right; format A with a damaged L field);
``other_readings`` gives the alternatives to the layers above, which see whether the content fits.
"""
from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from mbusgw.model.errors import FormatUnknown
from mbusgw.model.meter import MeterIdentity, manufacturer_text
from mbusgw.wmbus.crc import crc_field, slight_errors

#: L, C, M (2), A (6) and one CI: less is no telegram with data.
_SHORTEST = 11
_HEAD = 10  # the first block of format A, without its CRC
_BLOCK_A = 16
_BLOCK_B = 126


class LinkFormat(str, Enum):
    """How the telegram was handed in."""

    A = "A"
    B = "B"
    STRIPPED = "stripped"


@dataclass(frozen=True, slots=True)
class LinkFrame:
    """A telegram without its link layer CRCs. **immutable**

    ``address`` is M-field and A-field as sent (8 bytes), the address of the sender.
    ``payload`` begins after ``ci``. ``format`` is how it was handed in; with A and B
    every CRC was right, unless ``other_readings`` made it.
    """

    control: int
    address: bytes
    ci: int
    payload: bytes
    format: LinkFormat

    @property
    def manufacturer(self) -> str:
        """The sender's manufacturer: three letters, or ``0x....``."""
        return manufacturer_text(int.from_bytes(self.address[:2], "little"))

    @property
    def id(self) -> str:
        """The sender's identification number: 8 hex digits, most significant first."""
        return self.address[5:1:-1].hex().upper()

    @property
    def version(self) -> int:
        """The sender's version byte."""
        return self.address[6]

    @property
    def type(self) -> int:
        """The sender's device type (medium)."""
        return self.address[7]

    @property
    def identity(self) -> MeterIdentity:
        """The sender."""
        return MeterIdentity(self.id, self.manufacturer, self.version, self.type)

    @property
    def stripped(self) -> bytes:
        """The telegram from its L field on, without CRCs: the same however it was handed in."""
        rest = bytes((self.control,)) + self.address + bytes((self.ci,)) + self.payload
        return bytes((len(rest),)) + rest


def parse_frame(raw: bytes, *, crc: bool | None = None) -> LinkFrame:
    """Reads a telegram that begins with its L field. Any thread.

    ``crc``: True when the telegram is known to carry CRCs, False when it is known not to, None to
    find out. Bytes that receivers append (signal strength) are ignored only behind right CRCs.

    Raises ``FormatUnknown``, naming the damaged block where there is one.
    """
    if len(raw) < _SHORTEST:
        raise FormatUnknown(f"a radio telegram has at least {_SHORTEST} bytes, this one {len(raw)}")
    announced = raw[0] + 1
    if announced < _SHORTEST:
        raise FormatUnknown(f"L field {raw[0]:02X}: too short for a telegram with data")
    if len(raw) == announced:
        return _same_size(raw, crc)
    if len(raw) == size_a(raw[0]) and crc is not False:
        data, bad = _split_a(raw)
        if bad:
            raise _damaged(LinkFormat.A, bad)
        return _frame(data, LinkFormat.A)
    frame = _with_appendix(raw) if crc is not False else None
    if frame is None:
        raise FormatUnknown(
            f"L field {raw[0]:02X} announces {announced} bytes without CRCs or {size_a(raw[0])} in format A,"
            f" {len(raw)} are there"
        )
    return frame


def other_readings(raw: bytes, frame: LinkFrame) -> list[LinkFrame]:
    """What ``raw`` may be as well: stripped, where it seems format B; format B with one wrong bit, where stripped.

    The latter holds for one stripped telegram in two hundred: a hint that ``raw`` is damaged, never
    something to take values from. Any thread.
    """
    if len(raw) != raw[0] + 1 or frame.format is LinkFormat.A:
        return []
    if frame.format is LinkFormat.B:
        return [_frame(raw, LinkFormat.STRIPPED)]
    return _repaired_b(raw)


def _repaired_b(raw: bytes) -> list[LinkFrame]:
    """Format B with one bit or byte of one block put right; for telegrams of one block, where doubt exists."""
    if len(raw) > _BLOCK_B + 2:
        return []
    readings = []
    for index, mask in slight_errors(raw):
        repaired = bytearray(raw)
        repaired[index] ^= mask
        data, bad = _split_b(bytes(repaired))
        if not bad and len(data) >= _SHORTEST:
            readings.append(_frame(data, LinkFormat.B))
    return readings


def size_a(length: int) -> int:
    """How many bytes a format A telegram with this L field has, CRCs included."""
    blocks = 1 + -(-(length + 1 - _HEAD) // _BLOCK_A)
    return length + 1 + 2 * blocks


def _same_size(raw: bytes, crc: bool | None) -> LinkFrame:
    """Format B or stripped."""
    if crc is False:
        return _frame(raw, LinkFormat.STRIPPED)
    data, bad = _split_b(raw)
    if not bad and len(data) >= _SHORTEST:
        return _frame(data, LinkFormat.B)
    several = len(raw) > _BLOCK_B + 2
    if crc or (several and len(bad) == 1):
        raise _damaged(LinkFormat.B, bad)
    if _is_a_with_wrong_length(raw):
        raise FormatUnknown("format A: the L field is damaged (all CRCs are right with another one)")
    if _is_a_cut_short(raw):
        raise FormatUnknown(f"format A, cut short: {size_a(raw[0])} bytes belong to it, {len(raw)} are there")
    return _frame(raw, LinkFormat.STRIPPED)


def _split_a(raw: bytes) -> tuple[bytes, list[int]]:
    """Removes the CRCs of format A; also the numbers of the blocks whose CRC is wrong, from 1."""
    parts, bad, at, size, number = [], [], 0, _HEAD, 1
    while at < len(raw):
        end = min(at + size, len(raw) - 2)
        block = raw[at:end]
        if not block or crc_field(block) != raw[end : end + 2]:
            bad.append(number)
        parts.append(block)
        at, size, number = end + 2, _BLOCK_A, number + 1
    return b"".join(parts), bad


def _split_b(raw: bytes) -> tuple[bytes, list[int]]:
    """Removes the CRCs of format B; blocks are counted as the standard does: the first CRC ends block 2."""
    parts, bad, at, number = [], [], 0, 2
    while at < len(raw):
        end = min(at + _BLOCK_B, len(raw) - 2)
        if end <= at or crc_field(raw[at:end]) != raw[end : end + 2]:
            bad.append(number)
        parts.append(raw[at:end])
        at, number = max(at, end) + 2, number + 1
    return b"".join(parts), bad


def _is_a_with_wrong_length(raw: bytes) -> bool:
    """Whether ``raw`` is format A but for its L field: at least two CRCs (32 bits) say so."""
    rest = len(raw) - _HEAD - 2
    if rest < 3:
        return False
    length = len(raw) - 1 - 2 - 2 * -(-rest // (_BLOCK_A + 2))
    first = bytes((length,)) + raw[1:_HEAD]
    if crc_field(first) != raw[_HEAD : _HEAD + 2]:  # nearly always: the rest is not looked at
        return False
    return size_a(length) == len(raw) and not _split_a(first + raw[_HEAD:])[1]


def _is_a_cut_short(raw: bytes) -> bool:
    """Whether ``raw`` begins as format A does: its first two blocks prove themselves (32 bits)."""
    second = _HEAD + 2 + _BLOCK_A
    if len(raw) < second + 2 or crc_field(raw[:_HEAD]) != raw[_HEAD : _HEAD + 2]:
        return False
    return crc_field(raw[_HEAD + 2 : second]) == raw[second : second + 2]


def _with_appendix(raw: bytes) -> LinkFrame | None:
    """Format A or B followed by bytes of the receiver's own, if all CRCs are right."""
    for size, split, link_format in (
        (size_a(raw[0]), _split_a, LinkFormat.A),
        (raw[0] + 1, _split_b, LinkFormat.B),
    ):
        if len(raw) > size:
            data, bad = split(raw[:size])
            if not bad and len(data) >= _SHORTEST:
                return _frame(data, link_format)
    return None


def _damaged(link_format: LinkFormat, bad: list[int]) -> FormatUnknown:
    blocks = ", ".join(str(number) for number in bad)
    return FormatUnknown(
        f"format {link_format.value}: wrong CRC in block {blocks}",
        hint="the telegram was damaged on the air or on its way here; the next one will do",
    )


def _frame(data: bytes, link_format: LinkFormat) -> LinkFrame:
    return LinkFrame(data[1], bytes(data[2:10]), data[10], bytes(data[11:]), link_format)
