"""Numbers and slugs in sentences."""
from __future__ import annotations

from collections.abc import Mapping

#: Words that are not written as they stand in a slug.
_WRITTEN: Mapping[str, str] = {
    "co": "CO", "co2": "CO2", "hca": "HCA", "ph": "pH", "pm1": "PM1", "pm10": "PM10", "rf": "RF", "voc": "VOC",
}  # fmt: skip


def counted(number: int, one: str, many: str = "") -> str:
    """``1 key``, ``2 keys``; ``many`` where that is not ``one`` with an s. **any thread**"""
    return f"{number} {one if number == 1 else many or one + 's'}"


def in_words(slug: str) -> str:
    """``max_power`` → ``max power``, ``of_hca`` → ``of HCA``; its slug is the same again. **any thread**"""
    return " ".join(_WRITTEN.get(word, word) for word in slug.split("_"))
