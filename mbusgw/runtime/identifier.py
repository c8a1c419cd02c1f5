"""Names for what arrives: UUIDs that sort by their time."""
from __future__ import annotations

import os
from datetime import datetime


def new_id(now: datetime) -> str:
    """A UUID of version 7 (RFC 9562, 5.7): milliseconds, then 74 random bits. Any thread.

    Those of one moment lie side by side in an index, where those of version 4 would lie all over it, each in a page
    that the commit has to write.
    """
    moment = f"{int(now.timestamp() * 1000):012x}"
    chance = os.urandom(10)
    digits = chance.hex()
    return f"{moment[:8]}-{moment[8:]}-7{digits[:3]}-{'89ab'[chance[9] & 3]}{digits[3:6]}-{digits[6:18]}"
