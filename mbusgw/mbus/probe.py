"""One probe of a search: who answers to a mask, or to a primary address (EN 13757-2, 5.7; EN 13757-3, 12)."""
from __future__ import annotations

from dataclasses import dataclass

from mbusgw.mbus.decode import CI_LONG_HEADER, identity_of, is_application_error
from mbusgw.mbus.frames import (
    ADDRESS_NETWORK_LAYER,
    FCB,
    REQ_UD2,
    RSP_UD,
    RSP_UD_MASK,
    SND_NKE,
    START_LONG,
    LongFrame,
    ShortFrame,
    SingleCharacter,
    encode,
    expected_length,
    parse,
)
from mbusgw.mbus.search import Heard, Sender, Verdict
from mbusgw.mbus.selection import select
from mbusgw.mbus.session import Session
from mbusgw.model.address import SECONDARY_BYTES, SecondaryAddress
from mbusgw.model.errors import FrameDamaged

ACKNOWLEDGEMENT = encode(SingleCharacter())
_REQUEST = ShortFrame(REQ_UD2 | FCB, ADDRESS_NETWORK_LAYER)
_END_SELECTION = ShortFrame(SND_NKE, ADDRESS_NETWORK_LAYER)

NO_DATA = "acknowledges, but sends no data"
NO_NAME = "sends data, but does not say who it is"
REFUSES = "answers with an application error; an application reset may help"

_NOBODY = Heard(Verdict.NOBODY)
_SEVERAL = Heard(Verdict.SEVERAL)


@dataclass(frozen=True, slots=True)
class Probe:
    """What a probe brought; ``late``: something came that belongs to the one before. **immutable**"""

    heard: Heard
    late: bool = False


def probe(session: Session, mask: SecondaryAddress, *, patience: int = 1) -> Probe:
    """Selects ``mask`` and asks whoever obeys; no selection is left behind. **own thread** of the bus

    Some meters do not notice that another one is selected, so SND_NKE ends each selection that was obeyed.
    ``patience``: how many of the standard's windows are waited for an answer. Raises ``FrameDamaged`` where the
    line does not fall silent, and ``TransportLost``.
    """
    before, obeyed = _select(session, mask, patience)
    if not obeyed:
        return Probe(_NOBODY, bool(before))
    late = bool(before)
    heard = _ask_selected(session, obeyed, patience)
    if heard.verdict is Verdict.MUTE and heard.why == NO_DATA or heard is _NOBODY:
        # A late acknowledgement of the mask before, noise, or a meter that really keeps silent: once more tells.
        end_selection(session, patience=patience)
        before, once_more = _select(session, mask, patience)
        if not once_more:
            return Probe(_NOBODY, late or obeyed == ACKNOWLEDGEMENT)
        again = _ask_selected(session, once_more, patience)
        heard = _SEVERAL if again is _NOBODY else again
    end_selection(session, patience=patience)
    return Probe(heard, late)


def obeys(session: Session, address: SecondaryAddress) -> bool:
    """A meter can be selected by ``address``; no selection is left behind."""
    _, obeyed = _select(session, address, 1)
    if obeyed:
        end_selection(session)
    return obeyed == ACKNOWLEDGEMENT


def end_selection(session: Session, *, patience: int = 1) -> None:
    """Nobody is selected any more; who obeys acknowledges, which is of no interest."""
    session.hear(_END_SELECTION, patience=patience, enough=ACKNOWLEDGEMENT)


def _select(session: Session, mask: SecondaryAddress, patience: int) -> tuple[bytes, bytes]:
    return session.hear(select(mask), patience=patience, enough=ACKNOWLEDGEMENT)


def _ask_selected(session: Session, obeyed: bytes, patience: int) -> Heard:
    before, answer = session.hear(_REQUEST, patience=patience)
    acknowledged = obeyed + before
    if not answer:
        if acknowledged == ACKNOWLEDGEMENT:
            return Heard(Verdict.MUTE, why=NO_DATA)
        return _SEVERAL if set(acknowledged) == set(ACKNOWLEDGEMENT) else _NOBODY  # who said that was nobody selected
    if acknowledged.count(ACKNOWLEDGEMENT) > 1:
        return _SEVERAL
    return judge(answer)


def judge(answer: bytes) -> Heard:
    """What a whole answer says: one meter, one that cannot be named, or more than one. Any thread.

    Bytes before it that begin no frame are noise: of two answers at once not even the first would be whole.
    """
    frames = frames_in(answer)
    if not frames or any(frame != frames[0] for frame in frames):  # one that sends its answer twice is one
        return _SEVERAL
    return judge_frame(frames[0])


def judge_frame(frame: LongFrame | None) -> Heard:
    """Who sent ``frame``; None stands for an acknowledgement where data were asked for. Any thread."""
    if frame is None:
        return Heard(Verdict.MUTE, why=NO_DATA)
    if is_application_error(frame):
        return Heard(Verdict.MUTE, why=REFUSES)
    sender = sender_of(frame)
    return Heard(Verdict.MUTE, why=NO_NAME) if sender is None else Heard(Verdict.ONE, sender)


def frames_in(answer: bytes) -> list[LongFrame | None] | None:
    """The whole frames of user data that ``answer`` consists of, None among them for an acknowledgement.

    None where it does not consist of such: bits of several answers, or damaged.
    """
    start = 0
    while start < len(answer) and answer[start] not in (START_LONG, ACKNOWLEDGEMENT[0]):
        start += 1
    frames: list[LongFrame | None] = []
    while start < len(answer):
        try:
            length = expected_length(answer[start:])
            frame = parse(answer[start : start + (length or 1)])
        except FrameDamaged:
            return None
        if isinstance(frame, ShortFrame) or isinstance(frame, LongFrame) and frame.control & RSP_UD_MASK != RSP_UD:
            return None
        frames.append(frame if isinstance(frame, LongFrame) else None)
        start += length or 1
    return frames or None


def sender_of(frame: LongFrame) -> Sender | None:
    """Who says to have sent ``frame``; None where it does not say."""
    meter = identity_of(frame)
    if meter is None:
        return None
    if meter.manufacturer is None:  # the fixed structure knows no more than the number
        address = SecondaryAddress(meter.id)
        access_no = frame.data[4]
    else:
        address = SecondaryAddress.of(meter)
        if frame.ci == CI_LONG_HEADER:
            address = SecondaryAddress.from_wire(frame.data[:SECONDARY_BYTES])
        access_no = frame.data[SECONDARY_BYTES]
    return Sender(meter, address, frame.address, access_no)
