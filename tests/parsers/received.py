"""A telegram as the ingress hands it to a back end."""
from __future__ import annotations

from datetime import datetime, timezone

from mbusgw.model.telegram import ReceivedTelegram


def received(raw: bytes) -> ReceivedTelegram:
    """``raw`` as received just now from one gateway."""
    now = datetime(2026, 11, 22, 12, tzinfo=timezone.utc)
    return ReceivedTelegram("11111111-1111-1111-1111-111111111111", "gw1", raw, now, now)
