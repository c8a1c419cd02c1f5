"""Who a radio telegram is from, and whether a key is needed, before anything is decrypted."""
from __future__ import annotations

from dataclasses import dataclass

from mbusgw.model.errors import DecodeError, KeyMissing
from mbusgw.wmbus.frame import LinkFrame, parse_frame
from mbusgw.wmbus.telegram import open_telegram, peek_header


@dataclass(frozen=True, slots=True)
class Sender:
    """The meter whose key is wanted. **immutable**

    ``encrypted``: its records cannot be read without a key.
    """

    meter_id: str
    manufacturer: str | None
    encrypted: bool

    @property
    def natural_id(self) -> str:
        """What the meter is called by itself: ``<manufacturer>_<id>``."""
        return f"{self.manufacturer or 'unknown'}_{self.meter_id}".lower()


def identify(raw: bytes) -> Sender | None:
    """The sender of ``raw``: of the long header where there is one, else of the link layer. Any thread.

    None where not even the link layer can be read; the parser will say what is wrong.
    """
    try:
        frame = parse_frame(raw)
    except DecodeError:
        return None
    try:
        meter = peek_header(frame).identity
    except DecodeError:
        meter = frame.identity
    return Sender(meter.id, meter.manufacturer, _encrypted(frame))


def _encrypted(frame: LinkFrame) -> bool:
    try:
        open_telegram(frame, None)
    except KeyMissing:
        return True
    except DecodeError:
        return False  # broken or unknown: a key would not help, and the parser names the reason
    return False
