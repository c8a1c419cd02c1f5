"""Why telegrams are not read, in the log: a gateway hears a whole neighbourhood, all day long."""
from __future__ import annotations

import logging

from mbusgw.model.errors import MbusgwError, ParserError
from mbusgw.model.telegram import ReceivedTelegram
from mbusgw.parsers.sender import Sender
from mbusgw.runtime.once import Once

log = logging.getLogger(__name__)

#: So many kinds of failure, one for each meter, are remembered; noise may have any number.
REMEMBERED = 10_000


class Reasons:
    """Tells each kind of failure of each meter once a run, at level INFO, all others at DEBUG. **any thread**

    All of them are in the table of telegrams and on the error topics. A service that is away is told of by whoever
    asks it, not with every telegram that waits for it.
    """

    def __init__(self) -> None:
        self._told = Once(REMEMBERED)

    def tell(self, telegram: ReceivedTelegram, sender: Sender | None, status: str, error: MbusgwError) -> None:
        """``telegram`` was not read, because of ``error``, and is in ``status`` now."""
        waits_for_a_service = isinstance(error, ParserError) and error.retryable
        who, kind = sender.natural_id if sender else "", type(error).__name__
        first = not waits_for_a_service and self._told.begins(who, kind)
        log.log(
            logging.INFO if first else logging.DEBUG,
            "telegram %s of gateway %s: %s: %s%s",
            telegram.ingest_id,
            telegram.gateway_id,
            status,
            error,
            f" (more of this kind: mbusgw telegrams list --status {status})" if first else "",
        )
