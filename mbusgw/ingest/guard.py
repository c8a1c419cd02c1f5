"""Work on bytes from outside, of which no mistake of ours may stop a worker."""
from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from mbusgw.model.errors import MbusgwError, ParserError
from mbusgw.model.telegram import ReceivedTelegram

log = logging.getLogger(__name__)

T = TypeVar("T")


def guarded(telegram: ReceivedTelegram, work: Callable[[], T]) -> T:
    """What ``work`` gives. Any thread.

    A mistake of ours is logged with its trace and raised as ``ParserError``: it fails this telegram, or every worker
    would crash on it, one after the other.
    """
    try:
        return work()
    except (MbusgwError, MemoryError):
        raise
    except Exception as error:
        log.exception("telegram %s of gateway %s met an unexpected error", telegram.ingest_id, telegram.gateway_id)
        raise ParserError(f"unexpected {type(error).__name__}, see the log") from error
