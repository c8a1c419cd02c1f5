"""What a meter says of itself in the status byte of its header (EN 13757-7:2018, 7.5.6)."""
from __future__ import annotations

#: The two lowest bits are a number.
_APPLICATION = {1: "application_busy", 2: "application_error", 3: "alarm"}
_BITS = {0x04: "power_low", 0x08: "permanent_error", 0x10: "temporary_error"}
#: Bits that every manufacturer uses as he likes.
MANUFACTURERS = 0xE0
#: It says that there is no answer yet, and nothing of the meter.
BUSY = _APPLICATION[1]


def status_flags(status: int | None) -> tuple[str, ...] | None:
    """The names of what is set, without the manufacturer's own bits; None where there is no byte. **any thread**"""
    if status is None:
        return None
    application = _APPLICATION.get(status & 3)
    return (*([application] if application else []), *(name for bit, name in _BITS.items() if status & bit))
