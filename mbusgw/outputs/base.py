"""What a kind of output has to know: how readings are written, and where they go."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from mbusgw.runtime.http import Request
from mbusgw.store.readings import KeptReading


class Output(Protocol):
    """Writes readings as one web server wants them. **immutable**

    ``batch`` is how many may go in one request.
    """

    batch: int

    def request(self, readings: Sequence[KeptReading]) -> Request | None:
        """One request with all ``readings``, in their order; None where nothing of them can be written."""
