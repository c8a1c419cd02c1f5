"""In which format a meter sends: which records, in which order (EN 13757-3:2018, annex G)."""
from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

#: Formats remembered of a meter; some have two or three that alternate.
KNOWN_MAX = 16


@dataclass(frozen=True, slots=True)
class RecordFormat:
    """The formats of one meter, by their signatures. **immutable**

    ``signature`` is that of the last telegram, ``known`` are all that were heard, the newest last. ``changed_at``: when
    one was heard that was new, of a meter that had others before; aware UTC.
    """

    signature: int
    known: tuple[int, ...]
    changed_at: datetime | None = None

    def next(self, signature: int, at: datetime) -> RecordFormat:
        """After a telegram of that format. One that is known is no change: meters alternate."""
        if signature in self.known:
            return self if signature == self.signature else RecordFormat(signature, self.known, self.changed_at)
        return RecordFormat(signature, (*self.known, signature)[-KNOWN_MAX:], at)


def first_format(signature: int) -> RecordFormat:
    """Of a meter that was not heard before."""
    return RecordFormat(signature, (signature,))


def format_document(known: RecordFormat | None) -> dict[str, object] | None:
    """As MQTT and HTTP show it; the signature as a number and in hex, because mappings are written with either."""
    if known is None:
        return None
    return {
        "signature": known.signature,
        "signature_hex": f"{known.signature:04X}",
        "known": [f"{signature:04X}" for signature in known.known],
        "changed_at": known.changed_at,
    }
