"""The masks of a secondary search: what lies below one, and where a second meter may hide (EN 13757-3:2018, 12).

The number is searched digit by digit; medium, version and manufacturer only as a whole, because a selection knows no
other open places there.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from mbusgw.model.address import ANY_BYTE, ANY_DIGIT, ANY_MANUFACTURER, SecondaryAddress
from mbusgw.model.manufacturers import KNOWN_CODES
from mbusgw.model.meter import MEDIA

DECIMAL = "0123456789"
HEXADECIMAL = "0123456789ABCDE"  # F stands for any digit, so it cannot be asked for
#: What is common first; no number is left out.
ALL_MEDIA = (*MEDIA, *(medium for medium in range(ANY_BYTE) if medium not in MEDIA))
ALL_VERSIONS = tuple(range(ANY_BYTE))


@dataclass(slots=True)
class Level:
    """The masks below ``mask``, looked at one by one. ``expected``: how many meters they must bring at least,
    ``before``: how many there were then; ``silent``: those that nobody answered to, for a second ``round``."""

    mask: SecondaryAddress
    masks: Sequence[SecondaryAddress]
    expected: int
    before: int
    next: int = 0
    round: int = 1
    silent: list[SecondaryAddress] | None = None

    def begin_second_round(self) -> bool:
        """Those that nobody answered to are looked at once more; False where that is done, or there are none."""
        if self.round != 1 or not self.silent:
            return False
        self.masks, self.silent, self.next, self.round = self.silent, None, 0, 2
        return True

    def place(self) -> dict[str, Any]:
        """For JSON: ``at`` goes on from there."""
        return {
            "mask": str(self.mask),
            "masks": [str(mask) for mask in self.masks],
            "expected": self.expected,
            "before": self.before,
            "next": self.next,
            "round": self.round,
            "silent": None if self.silent is None else [str(mask) for mask in self.silent],
        }

    @classmethod
    def at(cls, place: dict[str, Any]) -> Level:
        """The level that was there. Raises ``ValueError``, ``LookupError`` or ``TypeError`` for no such place."""
        silent = place["silent"]
        return cls(
            SecondaryAddress.parse(place["mask"]),
            [SecondaryAddress.parse(mask) for mask in place["masks"]],
            int(place["expected"]),
            int(place["before"]),
            int(place["next"]),
            int(place["round"]),
            None if silent is None else [SecondaryAddress.parse(mask) for mask in silent],
        )


def below(mask: SecondaryAddress, *, digits: str, first_codes: Sequence[int]) -> list[SecondaryAddress]:
    """The masks that divide what fits ``mask``; none where nothing is open. ``first_codes``: manufacturers that are
    here, to be tried before the others. Any thread."""
    place = mask.id.find(ANY_DIGIT)
    if place >= 0:
        return [_with_digit(mask, place, digit) for digit in digits]
    if mask.medium == ANY_BYTE:
        return [replace(mask, medium=medium) for medium in ALL_MEDIA]
    if mask.version == ANY_BYTE:
        return [replace(mask, version=version) for version in ALL_VERSIONS]
    if mask.manufacturer == ANY_MANUFACTURER:
        codes = dict.fromkeys((*first_codes, *KNOWN_CODES))
        codes.pop(ANY_MANUFACTURER, None)
        return [replace(mask, manufacturer=code) for code in codes]
    return []


def is_within(address: SecondaryAddress, mask: SecondaryAddress) -> bool:
    """Whether every meter that ``address`` calls is called by ``mask``, too. Any thread."""
    return (
        all(digit in (ANY_DIGIT, own) for digit, own in zip(mask.id, address.id))
        and mask.manufacturer in (ANY_MANUFACTURER, address.manufacturer)
        and mask.version in (ANY_BYTE, address.version)
        and mask.medium in (ANY_BYTE, address.medium)
    )


def hiding_places(mask: SecondaryAddress, found: SecondaryAddress, digits: str) -> list[SecondaryAddress]:
    """Masks of meters whose bits ``found`` would cover: on the wire a 0 of one is a 0 of both. Any thread."""
    masks, fixed = [], mask
    for place in range(len(mask.id)):
        if mask.id[place] != ANY_DIGIT:
            continue
        own = int(found.id[place], 16)
        masks += [_with_digit(fixed, place, d) for d in digits if int(d, 16) & own == own and int(d, 16) != own]
        fixed = _with_digit(fixed, place, found.id[place])
    return masks


def _with_digit(mask: SecondaryAddress, place: int, digit: str) -> SecondaryAddress:
    return replace(mask, id=mask.id[:place] + digit + mask.id[place + 1 :])
