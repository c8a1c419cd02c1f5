"""Who is at an address, and whether it is one meter only."""
from __future__ import annotations

from dataclasses import dataclass

from mbusgw.mbus.answer import parse_long
from mbusgw.mbus.decode import identity_of
from mbusgw.mbus.session import Session
from mbusgw.model.address import Address, SecondaryAddress
from mbusgw.model.errors import Collision, FrameDamaged, FrameUnexpected, LinkError, NoAnswer
from mbusgw.model.meter import MeterIdentity

#: The last primary address that a meter may have (EN 13757-2, 5.6).
LAST_PRIMARY = 250
#: A meter may miss one request, and is busy for a moment after it was told something.
TRIES = 3
_DOUBLED_HINT = "name one of them by its secondary address (16 hex digits); a secondary scan finds those"


@dataclass(frozen=True, slots=True)
class Presence:
    """The one meter that answered. **immutable**

    ``primary`` is the address in its answer; None where it answers as the selected one (253) and does not say.
    """

    identity: MeterIdentity
    primary: int | None


def who_answers(session: Session, address: Address, *, repeats: int = 0, tries: int = TRIES) -> Presence:
    """The meter at ``address``. Own thread of the session.

    Raises ``Collision`` where more than one seems to answer, ``NoAnswer`` for nobody, ``FrameUnexpected`` for a meter
    that does not say which one it is, ``TransportLost``.
    """
    for left in reversed(range(tries)):
        try:
            reset = left == tries - 1  # some meters never acknowledge that, but answer to the request afterwards
            answer = session.read_user_data(address, repeats=repeats, reset=reset, max_telegrams=1)
            break
        except NoAnswer:
            if not left:
                raise
        except FrameDamaged as error:  # once it may be a disturbed line
            if not left:
                raise Collision(f"more than one meter seems to be at {address}: {error}", hint=_DOUBLED_HINT) from error
    if more := session.rest():
        text = f"more than one meter seems to be at {address}: after the answer came {more[:12].hex(' ')}"
        raise Collision(text, hint=_DOUBLED_HINT)
    frame = parse_long(answer.frames[0])
    identity = identity_of(frame)
    if identity is None:
        raise FrameUnexpected(f"the meter at {address} does not say which one it is (CI {frame.ci:02X})")
    return Presence(identity, frame.address if frame.address <= LAST_PRIMARY else None)


def nobody_answers(session: Session, address: int, *, tries: int = TRIES) -> bool:
    """Whether there is silence at ``address``, also when asked again. Own thread of the session.
    Raises ``TransportLost``."""
    for attempt in range(tries):
        try:
            session.read_user_data(address, reset=attempt == 0, max_telegrams=1)
            return False
        except NoAnswer:
            continue
        except LinkError:  # somebody is there, however it sounds
            return False
    return True


def exact_address(presence: Presence, address: Address) -> Address:
    """How to call that meter and no other: by its whole secondary address where ``address`` has open places."""
    if isinstance(address, SecondaryAddress) and not address.is_exact:
        return SecondaryAddress.of(presence.identity)
    return address
