"""Giving a meter another primary address, so that nothing can go wrong unseen."""
from __future__ import annotations

from collections.abc import Callable

from mbusgw.mbus.frames import CI_DATA_SEND
from mbusgw.mbus.presence import LAST_PRIMARY, Presence, exact_address, nobody_answers, who_answers
from mbusgw.mbus.session import Session
from mbusgw.model.address import Address
from mbusgw.model.errors import BusError, LinkError, RequestError
from mbusgw.model.meter import MeterIdentity

#: The record that sets the primary address: 8 bit, VIF 7A (EN 13757-3, 6.4.3).
SET_PRIMARY = b"\x01\x7A"

#: Told who is there before it is changed; raises what speaks against it.
Agree = Callable[[Presence], None]


def assign_address(session: Session, address: Address, new: int, *, repeats: int, agree: Agree) -> Presence:
    """Gives the one meter at ``address`` the primary address ``new``; who it is, and where it was. One job of a bus.

    Looks first whether exactly one meter is there and nobody at ``new``, and afterwards whether it is that meter
    which answers at ``new``. Raises ``RequestError`` 409 where ``new`` is taken, what ``agree`` raises, ``BusError``.
    """
    if not 1 <= new <= LAST_PRIMARY:
        raise RequestError(400, "bad_request", f"a new address is 1 to {LAST_PRIMARY}", field="new")
    there = who_answers(session, address, repeats=repeats)
    if new in (there.primary, address):
        raise RequestError(409, "address_taken", f"{_name(there.identity)} has address {new} already", field="new")
    agree(there)
    if not nobody_answers(session, new):
        raise RequestError(409, "address_taken", f"a meter answers at address {new} already", field="new")
    unheard: LinkError | None = None
    try:
        session.instruct(exact_address(there, address), CI_DATA_SEND, SET_PRIMARY + bytes((new,)), repeats=repeats)
    except LinkError as error:  # it may have obeyed all the same
        unheard = error
    for changed in {new, there.primary, address}:
        if isinstance(changed, int):
            session.forget(changed)
    _verify(session, there, new, unheard)
    return there


def _verify(session: Session, there: Presence, new: int, unheard: LinkError | None) -> None:
    name = _name(there.identity)
    try:
        now = who_answers(session, new)
    except LinkError as error:
        if unheard is not None:
            raise BusError(
                f"{name} did not take the address {new}: {unheard}",
                hint="some meters do not let it be changed, or only after a key was pressed on them",
                retryable=False,
            ) from error
        raise BusError(f"{name} acknowledged the address {new}, but does not answer there: {error}") from error
    if now.identity != there.identity:
        raise BusError(f"{_name(now.identity)} answers at address {new} instead of {name}", retryable=False)


def _name(meter: MeterIdentity) -> str:
    return f"{meter.manufacturer or 'meter'} {meter.id}"
