"""CRC-16/EN-13757: the checksum of the radio link layer, of the ELL payload and of format signatures."""
from __future__ import annotations

from array import array
from struct import unpack_from

_POLYNOMIAL = 0x3D65


def _shifted(value: int) -> int:
    """The remainder one bit further from the end."""
    return ((value << 1) ^ _POLYNOMIAL if value & 0x8000 else value << 1) & 0xFFFF


def _table() -> array[int]:
    """What is left of every word 16 bits further from the end: the sum of what is left of its bits."""
    remainders, single = [0], _POLYNOMIAL
    for _ in range(16):
        remainders += [remainder ^ single for remainder in remainders]
        single = _shifted(single)
    return array("H", remainders)


_TABLE = _table()


def crc16(data: bytes) -> int:
    """The CRC of EN 13757-4, 9.2 (polynomial 3D65, start 0, inverted at the end). Any thread."""
    table, value = _TABLE, 0
    for word in unpack_from(f">{len(data) // 2}H", data):  # two bytes at once
        value = table[value ^ word]
    if len(data) % 2:
        value = ((value << 8) & 0xFF00) ^ table[(value >> 8) ^ data[-1]]
    return value ^ 0xFFFF


def crc_field(data: bytes) -> bytes:
    """The two CRC bytes as the link layer sends them, high byte first. Any thread."""
    return crc16(data).to_bytes(2, "big")


def slight_errors(block: bytes) -> list[tuple[int, int]]:
    """Every flipped bit or inverted byte that explains the wrong CRC at the end of ``block``: (index, mask).

    The polynomial has a period of 151 bits, so a long block has several explanations; of random
    blocks only one in two hundred has any. Any thread.
    """
    difference = crc16(block[:-2]) ^ int.from_bytes(block[-2:], "big")
    bit, inverted = 0x0001, 0x00FF
    errors = []
    for position in range(8 * len(block)):
        index = len(block) - 1 - position // 8
        if difference == bit:
            errors.append((index, 1 << position % 8))
        if difference == inverted and position % 8 == 0:
            errors.append((index, 0xFF))
        bit, inverted = _shifted(bit), _shifted(inverted)
    return errors
