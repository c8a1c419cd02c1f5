"""From the frames of a readout to a reading."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from mbusgw.mbus.answer import Answer
from mbusgw.mbus.decode import decode_frame
from mbusgw.model.errors import DecodeError
from mbusgw.model.fields import name_fields
from mbusgw.model.reading import Lane, Reading
from mbusgw.model.record import Record
from mbusgw.model.telegram import DecodedTelegram
from mbusgw.model.wishes import NO_RECORD_WISHES, RecordWishes

INCOMPLETE = "the meter announced more records than could be read"


#: Who else looks at a frame and our records of it, and says in sentences where it disagrees.
SecondOpinion = Callable[[bytes, Sequence[Record]], list[str]]


@dataclass(frozen=True, slots=True)
class Readout:
    """One readout: the frames, when the last one was complete, how long it took on the bus, what it says.
    **immutable**"""

    answer: Answer
    read_at: datetime
    seconds: float
    reading: Reading


def build_reading(
    device_id: str,
    answer: Answer,
    read_at: datetime,
    *,
    second_opinion: SecondOpinion | None = None,
    wishes: RecordWishes = NO_RECORD_WISHES,
) -> Reading:
    """The reading of all telegrams of ``answer``, in the order they came, its fields as wanted. Any thread.

    Raises ``DecodeError`` as ``decode_answer`` does.
    """
    telegram = decode_answer(answer, second_opinion)
    return Reading(
        device_id=device_id,
        read_at=read_at,
        lane=Lane.WIRED,
        header=telegram.header,
        fields=MappingProxyType(name_fields(telegram.records, wishes)),
        records=telegram.records,
        manufacturer_data=telegram.manufacturer_data,
        problems=telegram.problems,
    )


def decode_answer(answer: Answer, second_opinion: SecondOpinion | None = None) -> DecodedTelegram:
    """All telegrams of ``answer`` as if they were one. Any thread.

    The header is the first one's. A telegram that cannot be decoded is named in
    ``problems`` and does not cost the others. Raises ``DecodeError`` when none can.
    """
    telegrams, problems = _decode(answer, second_opinion)
    telegrams = _since_the_start(telegrams, whole=answer.complete and len(telegrams) == len(answer.frames))
    own = [telegram.manufacturer_data for telegram in telegrams if telegram.manufacturer_data is not None]
    problems += [problem for telegram in telegrams for problem in telegram.problems]
    return DecodedTelegram(
        header=telegrams[0].header,
        records=tuple(record for telegram in telegrams for record in telegram.records),
        manufacturer_data=b"".join(own) if own else None,
        more_records_follow=not answer.complete,
        structure=telegrams[0].structure,
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


def _since_the_start(telegrams: list[DecodedTelegram], *, whole: bool) -> list[DecodedTelegram]:
    """Without those before a telegram like the first one: a meter that restarts in the middle of a readout begins anew.

    Its values are of two moments then, and each would be there twice. Telegrams are alike when their records are,
    but for the data; where a ``whole`` readout has nothing but such telegrams, they are pages of a history and stay.
    """
    heads = [[(record.dib, record.vib) for record in telegram.records] for telegram in telegrams]
    starts = [number for number, head in enumerate(heads) if head and head == heads[0]]
    pages = whole and heads[-1] == heads[0]
    return telegrams if not starts or pages else telegrams[starts[-1] :]
