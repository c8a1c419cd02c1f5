"""What every parser back end is: a received telegram in, a parsed one out."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from mbusgw.model.telegram import DecodedTelegram, ReceivedTelegram


@dataclass(frozen=True, slots=True)
class ParsedTelegram:
    """What a back end made of a telegram. **immutable**

    ``decoded``: header and records in our form; None where the back end's answer names none. ``meter_id``: the meter
    that such an answer is about, where it says so.
    ``domain_model``: the answer of a foreign parser, unchanged (fractions as Decimal), None for our
    own. ``backend``: who the records are from. ``differences``: in what two back ends that were both asked differ, a
    sentence each. ``to_confirm``: the service was away, and may be asked later whether it reads the same.
    """

    decoded: DecodedTelegram | None
    domain_model: object | None
    backend: str
    differences: tuple[str, ...] = ()
    to_confirm: bool = False
    meter_id: str | None = None


class ParserBackend(Protocol):
    """One way to parse a telegram. **any thread**: the parser threads share one."""

    @property
    def name(self) -> str:
        """Its name in the configuration and in metrics."""

    def parse(self, telegram: ReceivedTelegram, key: bytes | None) -> ParsedTelegram:
        """Parses ``telegram``; ``key`` is the meter's AES key (16 bytes), None where none is known.

        Raises ``DecodeError`` and ``ParserError``; where ``retryable`` is set, the same telegram may
        be parsed later.
        """

    def close(self) -> None:
        """Lets go of connections; the back end may not be used afterwards."""
