"""Who a meter is: manufacturer, identification number, version, medium (EN 13757-3, 5.4 and 5.7)."""
from __future__ import annotations

from dataclasses import dataclass

#: Medium (device type) byte -> name (EN 13757-3:2018, table 13).
MEDIA: dict[int, str] = {
    0x00: "other",
    0x01: "oil",
    0x02: "electricity",
    0x03: "gas",
    0x04: "heat",
    0x05: "steam",
    0x06: "warm water",
    0x07: "water",
    0x08: "heat cost allocator",
    0x09: "compressed air",
    0x0A: "cooling",
    0x0B: "cooling",
    0x0C: "heat",
    0x0D: "heat/cooling",
    0x0E: "bus/system component",
    0x0F: "unknown",
    0x10: "irrigation water",
    0x11: "water data logger",
    0x12: "gas data logger",
    0x13: "gas converter",
    0x14: "calorific value",
    0x15: "hot water",
    0x16: "cold water",
    0x17: "dual water",
    0x18: "pressure",
    0x19: "a/d converter",
    0x1A: "smoke detector",
    0x1B: "room sensor",
    0x1C: "gas detector",
    0x1D: "carbon monoxide alarm",
    0x1E: "heat alarm",
    0x1F: "sensor",
    0x20: "breaker",
    0x21: "valve",
    0x25: "customer unit",
    0x28: "waste water",
    0x29: "garbage",
    0x2A: "carbon dioxide",
    0x31: "communication controller",
    0x32: "unidirectional repeater",
    0x33: "bidirectional repeater",
    0x36: "radio converter (system side)",
    0x37: "radio converter (meter side)",
    0x38: "bus converter (meter side)",
}

ELECTRICITY, HEAT_COST_ALLOCATOR = 0x02, 0x08
#: Whose volume is one of water, or of gas.
WATER_MEDIA = frozenset({0x06, 0x07, 0x10, 0x11, 0x15, 0x16, 0x17, 0x28})
GAS_MEDIA = frozenset({0x03, 0x12, 0x13})
#: What hangs in a room: allocators and detectors.
ROOM_MEDIA = frozenset({HEAT_COST_ALLOCATOR, 0x1A, 0x1B, 0x1C})


def medium_name(medium: int) -> str:
    """The medium in words; ``reserved (0xNN)`` for numbers the standard does not assign."""
    return MEDIA.get(medium, f"reserved (0x{medium:02X})")


def manufacturer_text(code: int) -> str:
    """The three letters of a 16-bit M-field (EN 13757-3, 5.6); ``0x....`` where they are no letters."""
    letters = "".join(chr(((code >> shift) & 0x1F) + 64) for shift in (10, 5, 0))
    return letters if letters.isalpha() else f"0x{code & 0xFFFF:04X}"


def manufacturer_code(text: str) -> int:
    """The 16-bit M-field of three letters. Raises ``ValueError`` for anything else."""
    if len(text) != 3 or not text.isascii() or not text.isalpha():
        raise ValueError(f"manufacturer must be three letters, not {text!r}")
    first, second, third = (ord(letter) - 64 for letter in text.upper())
    return (first << 10) | (second << 5) | third


@dataclass(frozen=True, slots=True)
class MeterIdentity:
    """What tells one meter from all others. Eight digits alone do not: numbers repeat across makers. **immutable**

    ``id``: 8 hex digits, most significant first, upper case. ``manufacturer``: three
    letters, or None where the telegram carries none (fixed structure).
    """

    id: str
    manufacturer: str | None
    version: int | None
    medium: int

    @property
    def medium_name(self) -> str:
        """The medium in words."""
        return medium_name(self.medium)

    @property
    def device_id(self) -> str:
        """The name under which an unconfigured meter appears: ``<manufacturer>_<id>`` in lower case."""
        return f"{self.manufacturer or 'unknown'}_{self.id}".lower()
