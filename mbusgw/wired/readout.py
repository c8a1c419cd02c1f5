"""From the frames of a readout to a reading."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from types import MappingProxyType

from mbusgw.mbus.decode import decode_frame
from mbusgw.mbus.session import Answer
from mbusgw.model.errors import DecodeError
from mbusgw.model.fields import name_fields
from mbusgw.model.reading import Lane, Reading
from mbusgw.model.record import Record
from mbusgw.model.telegram import DecodedTelegram

INCOMPLETE = "the meter announced more records than could be read"


#: Who else looks at a frame and our records of it, and says in sentences where it disagrees.
SecondOpinion = Callable[[bytes, Sequence[Record]], list[str]]


def build_reading(
    device_id: str, answer: Answer, read_at: datetime, *, second_opinion: SecondOpinion | None = None
) -> Reading:
    """The reading of all telegrams of ``answer``, in the order they came. Any thread.

    The header is the first telegram's. A telegram that cannot be decoded is named in
    ``problems`` and does not cost the others. Raises ``DecodeError`` when none can.
    """
    telegrams, problems = _decode(answer, second_opinion)
    records = tuple(record for telegram in telegrams for record in telegram.records)
    own = [telegram.manufacturer_data for telegram in telegrams if telegram.manufacturer_data is not None]
    problems += [problem for telegram in telegrams for problem in telegram.problems]
    return Reading(
        device_id=device_id,
        read_at=read_at,
        lane=Lane.WIRED,
        header=telegrams[0].header,
        fields=MappingProxyType(name_fields(records)),
        records=records,
        manufacturer_data=b"".join(own) if own else None,
        problems=tuple(problems if answer.complete else [*problems, INCOMPLETE]),
    )


def _decode(answer: Answer, second_opinion: SecondOpinion | None) -> tuple[list[DecodedTelegram], list[str]]:
    telegrams: list[DecodedTelegram] = []
    errors: list[DecodeError] = []
    problems: list[str] = []
    for number, raw in enumerate(answer.frames, start=1):
        try:
            telegram = decode_frame(raw)
        except DecodeError as error:
            errors.append(error)
            problems.append(f"telegram {number} of {len(answer.frames)}: {error}")
            continue
        telegrams.append(telegram)
        if second_opinion is not None:
            problems += second_opinion(raw, telegram.records)
    if not telegrams:
        raise errors[0]
    return telegrams, problems
