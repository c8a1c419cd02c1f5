"""When two receptions are the same telegram."""
from __future__ import annotations

import hashlib

from mbusgw.model.errors import DecodeError
from mbusgw.wmbus.frame import parse_frame


def content_of(raw: bytes) -> bytes:
    """What receptions of one telegram have in common, 32 bytes: the same for every gateway, whether it hands in the
    link layer's CRCs or not. Any thread.

    Of what is no telegram the bytes themselves count.
    """
    try:
        raw = parse_frame(raw).stripped
    except DecodeError:
        pass
    return hashlib.sha256(raw).digest()
