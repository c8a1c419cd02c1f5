"""What one room may ask of another without knowing it: the seams at which the house is put together."""
from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Protocol

from mbusgw.model.reading import Reading

#: One change to the database, run by the store's writer inside its transaction; gets the connection.
Write = Callable[[Any], Any]


class Delivery(Protocol):
    """Takes a reading to everybody who must know: registry, database, outbox. **any thread**"""

    def deliver(self, reading: Reading, *also: Write) -> Future[Any]:
        """Records ``reading``; state, history, messages and ``also`` are one transaction.

        The future is done when that is on disk; it fails with a ``StoreError``.
        """
