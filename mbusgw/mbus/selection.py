"""Calling a meter by its secondary address: the selection, and who may answer afterwards (EN 13757-3:2018, 12).

All meters hear the selection; the one whose number, manufacturer, version and medium fit
acknowledges and answers to address 253 from then on, all others stop doing so.
"""
from __future__ import annotations

from mbusgw.mbus.decode import CI_LONG_HEADER, identity_of, is_application_error
from mbusgw.mbus.frames import ADDRESS_NETWORK_LAYER, CI_SELECT, SND_UD, LongFrame
from mbusgw.model.address import SECONDARY_BYTES, SecondaryAddress
from mbusgw.model.errors import Collision, FrameUnexpected

SELECTION_HINT = (
    "is the meter connected, are its secondary address and the baud rate right, does it know secondary addresses?"
)
_EXACT_HINT = "wiring may be bad, or two meters have the same number, manufacturer, version and medium"
_OPEN_HINT = "write more of the address: its open places (F) fit several meters"


def select(address: SecondaryAddress) -> LongFrame:
    """The frame that selects ``address``; it is answered by a plain acknowledgement."""
    return LongFrame(SND_UD, ADDRESS_NETWORK_LAYER, CI_SELECT, address.wire)


def stranger(frame: LongFrame, address: SecondaryAddress) -> str:
    """Why ``frame`` cannot be from a meter called ``address``; empty if it can.

    The address field does not tell: a selected meter may use 253 or its own primary address.
    An application error names no sender and carries no value, so it is let through.
    """
    if is_application_error(frame):
        return ""
    meter = identity_of(frame)
    if meter is None:
        return f"an answer with CI {frame.ci:02X} does not say which meter it is from, {address} was asked"
    return "" if address.matches(meter) else f"{SecondaryAddress.of(meter)} answered, {address} was asked"


def sender(frame: LongFrame, address: SecondaryAddress) -> SecondaryAddress:
    """The whole address of who sent ``frame`` when ``address`` was selected. Raises ``FrameUnexpected``."""
    meter = identity_of(frame)
    if meter is None:
        raise FrameUnexpected(f"the meter at {address} does not say which one it is", hint=_OPEN_HINT)
    if frame.ci == CI_LONG_HEADER:
        return SecondaryAddress.from_wire(frame.data[:SECONDARY_BYTES])
    return SecondaryAddress.of(meter)


def several(address: SecondaryAddress, signs: str) -> Collision:
    """The error for a selection to which more than one meter seems to answer."""
    return Collision(
        f"several meters seem to answer to {address}: {signs}",
        hint=_EXACT_HINT if address.is_exact else _OPEN_HINT,
    )
