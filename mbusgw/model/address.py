"""How a wired meter is called: by its primary address, or by its secondary one (EN 13757-2, 5.6; EN 13757-3, 12)."""
from __future__ import annotations

import re
from dataclasses import dataclass

from mbusgw.model.meter import MeterIdentity, manufacturer_code, manufacturer_text

ANY_DIGIT = "F"
ANY_MANUFACTURER = 0xFFFF
ANY_BYTE = 0xFF
SECONDARY_BYTES = 8


@dataclass(frozen=True, slots=True)
class SecondaryAddress:
    """What is printed on a meter, or a part of it. **immutable**

    ``id``: 8 hex digits, most significant first, upper case; an ``F`` stands for any digit.
    ``manufacturer`` is the 16-bit code; FFFF, and FF in ``version`` and ``medium``, stand for any.
    ``str()`` is the form of M-Bus tools: 16 hex digits, the manufacturer's two bytes in the order of the wire.
    """

    id: str = ANY_DIGIT * 8
    manufacturer: int = ANY_MANUFACTURER
    version: int = ANY_BYTE
    medium: int = ANY_BYTE

    @classmethod
    def parse(cls, text: str) -> SecondaryAddress:
        """From 16 hex digits. Raises ``ValueError``."""
        digits = text.strip().upper()
        if not re.fullmatch(r"[0-9A-F]{16}", digits):
            raise ValueError(
                "a secondary address has 16 hex digits: 8 of the number, 4 manufacturer, 2 version, 2 medium"
            )
        return cls.from_wire(bytes.fromhex(digits)[3::-1] + bytes.fromhex(digits[8:]))

    @classmethod
    def from_wire(cls, data: bytes) -> SecondaryAddress:
        """From the 8 bytes of a selection. Raises ``ValueError``."""
        if len(data) != SECONDARY_BYTES:
            raise ValueError(f"a secondary address has {SECONDARY_BYTES} bytes, not {len(data)}")
        return cls(data[3::-1].hex().upper(), int.from_bytes(data[4:6], "little"), data[6], data[7])

    @classmethod
    def of(cls, meter: MeterIdentity) -> SecondaryAddress:
        """The one that calls ``meter``; what is not known of it stays open. Raises ``ValueError``."""
        code = ANY_MANUFACTURER
        if meter.manufacturer is not None:
            hexadecimal = meter.manufacturer.startswith("0x")  # three letters could not say it
            code = int(meter.manufacturer, 16) if hexadecimal else manufacturer_code(meter.manufacturer)
        return cls(meter.id, code, ANY_BYTE if meter.version is None else meter.version, meter.medium)

    def __str__(self) -> str:
        return f"{self.id}{self.wire[4:].hex().upper()}"

    @property
    def wire(self) -> bytes:
        """The 8 bytes of a selection: number and manufacturer with their least significant byte first."""
        number = bytes.fromhex(self.id)[::-1]
        return number + self.manufacturer.to_bytes(2, "little") + bytes((self.version, self.medium))

    @property
    def is_exact(self) -> bool:
        """Nothing is left open, so that only one meter can be meant."""
        return (
            ANY_DIGIT not in self.id
            and self.manufacturer != ANY_MANUFACTURER
            and ANY_BYTE not in (self.version, self.medium)
        )

    def covers(self, other: SecondaryAddress) -> bool:
        """Whatever answers to ``other`` answers to this one too."""
        return (
            _digits_fit(self.id, other.id)
            and self.manufacturer in (ANY_MANUFACTURER, other.manufacturer)
            and self.version in (ANY_BYTE, other.version)
            and self.medium in (ANY_BYTE, other.medium)
        )

    def matches(self, meter: MeterIdentity) -> bool:
        """``meter`` may answer to this. The fixed structure (no manufacturer, no version) is known by its number."""
        if not _digits_fit(self.id, meter.id):
            return False
        if meter.manufacturer is None:
            return True
        return (
            (self.manufacturer == ANY_MANUFACTURER or manufacturer_text(self.manufacturer) == meter.manufacturer)
            and self.version in (ANY_BYTE, meter.version)
            and self.medium in (ANY_BYTE, meter.medium)
        )


#: A primary address (0 to 250, or 254 for whoever is there), or a secondary one.
Address = int | SecondaryAddress


def _digits_fit(mask: str, digits: str) -> bool:
    return all(wanted in (ANY_DIGIT, digit) for wanted, digit in zip(mask, digits, strict=True))
