"""Numbers in sentences."""
from __future__ import annotations


def counted(number: int, one: str, many: str = "") -> str:
    """``1 key``, ``2 keys``; ``many`` where that is not ``one`` with an s. **any thread**"""
    return f"{number} {one if number == 1 else many or one + 's'}"
