"""Which signs of a search are believed at once, and which only when they come again.

Noise looks like the answers of several meters, and what must be searched below them is ten selections, or hundreds:
where more of it comes than one in so many, a search that believed it would never end.
"""
from __future__ import annotations

from dataclasses import dataclass

from mbusgw.model.address import ANY_DIGIT, SecondaryAddress

#: Of three answers two decide.
ENOUGH = 2


@dataclass(slots=True)
class _Signs:
    several: int = 0
    nobody: int = 0
    one: int = 0
    mute: int = 0


class Doubts:
    """What one search has heard of masks that are not clear yet. **own thread**

    A number whose digits are all known has hundreds of masks below it: the sign of several is always asked for again
    there. Above that it is once the bus has shown to be ``noisy``.
    """

    def __init__(self) -> None:
        self.noisy = False
        self._signs: dict[SecondaryAddress, _Signs] = {}
        self._unconfirmed: SecondaryAddress | None = None

    def several(self, mask: SecondaryAddress) -> bool:
        """Several seem to answer to ``mask``; whether that is believed. Else it is to be asked again."""
        if not self.noisy and ANY_DIGIT in mask.id:
            return True
        signs = self._signs.setdefault(mask, _Signs())
        signs.several += 1
        return self._is_decided(mask, signs.several)

    def nobody(self, mask: SecondaryAddress) -> bool:
        """Nobody answers to ``mask``; whether that is believed."""
        signs = self._signs.get(mask)
        if signs is None:
            return True
        signs.nobody += 1
        believed = self._is_decided(mask, signs.nobody)
        self.noisy = self.noisy or believed
        return believed

    def one(self, mask: SecondaryAddress) -> bool:
        """One meter answers to ``mask``, its own address; whether it is believed that it is alone there."""
        signs = self._signs.get(mask)
        if signs is None:
            return True
        signs.one += 1
        return self._is_decided(mask, signs.one)

    def mute(self, mask: SecondaryAddress) -> bool:
        """A meter answers to ``mask`` that does not say who it is; whether that is all it says. It may just be busy."""
        signs = self._signs.setdefault(mask, _Signs())
        signs.mute += 1
        return self._is_decided(mask, signs.mute)

    def unconfirmed(self, address: SecondaryAddress, *, silent: bool) -> bool:
        """The meter of that address, which was heard, does not answer to it now, or cannot be understood; whether it is
        not there. What several seem to have said is seldom the name of one that is."""
        if silent and not self.noisy:
            return True
        asked, self._unconfirmed = self._unconfirmed == address, address
        if asked:
            self._unconfirmed = None
        return asked

    def _is_decided(self, mask: SecondaryAddress, count: int) -> bool:
        if count < ENOUGH:
            return False
        del self._signs[mask]
        return True
