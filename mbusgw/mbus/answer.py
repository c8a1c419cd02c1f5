"""The answer of one readout, and what its telegrams say of each other (EN 13757-3:2018: access number, DIF 1F)."""
from __future__ import annotations

from dataclasses import dataclass

from mbusgw.mbus.decode import (
    CI_FIXED,
    CI_FIXED_MODE_2,
    CI_LONG_HEADER,
    CI_LONG_HEADER_MODE_2,
    CI_SHORT_HEADER,
    decode_frame,
    is_application_error,
)
from mbusgw.mbus.frames import RSP_UD, RSP_UD_MASK, LongFrame, parse
from mbusgw.model.errors import DecodeError, FrameDamaged, FrameUnexpected

#: Where the CI field of a long frame stands, and what comes after the data: checksum and stop byte.
_CI, _END = 6, 2
#: Where the access number stands in the data.
_ACCESS_NO_AT = {CI_LONG_HEADER: 8, CI_LONG_HEADER_MODE_2: 8, CI_SHORT_HEADER: 0, CI_FIXED: 4, CI_FIXED_MODE_2: 4}


@dataclass(frozen=True, slots=True)
class Answer:
    """The long frames of one readout, as they came. **immutable**

    ``complete`` is False where the last one announces more records that could not be had.
    """

    frames: tuple[bytes, ...]
    complete: bool = True


def parse_long(raw: bytes) -> LongFrame:
    """``raw`` as a long frame. Raises ``FrameUnexpected`` for any other. Any thread."""
    frame = parse(raw)
    if not isinstance(frame, LongFrame):
        raise FrameUnexpected(f"{raw.hex(' ')} is no long frame")
    return frame


def is_answer(heard: bytes, address: int) -> bool:
    """``heard`` is one whole frame of user data from ``address`` and nothing else. Any thread."""
    try:
        frame = parse(heard)
    except FrameDamaged:
        return False
    return isinstance(frame, LongFrame) and frame.address == address and frame.control & RSP_UD_MASK == RSP_UD


def more_records_follow(raw: bytes) -> bool:
    """``raw`` is not the last telegram of its readout. Any thread."""
    if 0x1F not in raw:
        return False
    try:
        return decode_frame(raw).more_records_follow
    except DecodeError:  # its reader will say what is wrong with it
        return False


def breaks_off(raw: bytes) -> bool:
    """A readout that ends with this telegram has not come to its end: more would follow, or it says what is wrong.
    Any thread."""
    return is_application_error(parse_long(raw)) or more_records_follow(raw)


def same_telegram(raw: bytes, other: bytes) -> bool:
    """Whether two long frames say the same. Any thread.

    A repeat may differ in its control field (access demand and data flow are of the moment), and a selected meter
    may answer under another address field; so only the CI field and the data after it count.
    """
    return raw[_CI:-_END] == other[_CI:-_END] if raw and other else raw == other


def is_older(raw: bytes, before: bytes) -> bool:
    """Whether ``raw`` was made before ``before``, by the access numbers, which count on from one to the next: an answer
    to an earlier request that comes late. Any thread.
    """
    step = access_step(before, raw)
    return step is not None and step >= 128


def tells_its_age(raw: bytes) -> bool:
    """Whether a telegram that ends a readout has an access number. Any thread."""
    return _access_no(raw) is not None and not more_records_follow(raw)


def access_step(before: bytes, raw: bytes) -> int | None:
    """By how much the access number has gone on, in [0, 255]; None where there is none. Any thread."""
    number, known = _access_no(raw), _access_no(before)
    return None if number is None or known is None else (number - known) % 256


def _access_no(raw: bytes) -> int | None:
    at = _ACCESS_NO_AT.get(raw[_CI]) if len(raw) > _CI else None
    return None if at is None or len(raw) <= _CI + 1 + at + _END else raw[_CI + 1 + at]
