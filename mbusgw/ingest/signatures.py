"""The format of a radio meter's telegrams: its signature, and what is said when it changes."""
from __future__ import annotations

import logging

from mbusgw.model.telegram import DecodedTelegram
from mbusgw.parsers.formats import format_of
from mbusgw.registry.changes import Change
from mbusgw.runtime.metrics import Metrics
from mbusgw.wmbus.signature import signature

log = logging.getLogger(__name__)


def signature_of(decoded: DecodedTelegram) -> int | None:
    """The signature of a telegram's format; None where it was not read to its end, or not record by record."""
    format_bytes = format_of(decoded)
    return signature(format_bytes) if format_bytes is not None else None


class FormatWatch:
    """Tells of meters that begin to send another format: a mapping that counts records may name another one then.

    ``changed`` observes the registry. **any thread**
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def changed(self, change: Change) -> None:
        """Logs and counts, once for each new format of a meter."""
        before, after = change.before.format, change.after.format
        if before is None or after is None or before.changed_at == after.changed_at:
            return
        self._metrics.format_changed()
        log.warning(
            "%s sends another format (signature %04X, before %04X): a mapping by record numbers may name another"
            " record now", change.after.device_id, after.signature, before.signature,
        )
