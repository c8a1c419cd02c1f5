"""What bytes on the line mean, in a few words, for the traffic log."""
from __future__ import annotations

from mbusgw.mbus.decode import decode_frame, identity_of, is_application_error
from mbusgw.mbus.frames import (
    ADDRESS_NETWORK_LAYER,
    CI_BAUDRATE,
    CI_SELECT,
    FCB,
    REQ_UD1,
    REQ_UD2,
    RSP_UD,
    RSP_UD_MASK,
    SND_NKE,
    SND_UD,
    LongFrame,
    ShortFrame,
    parse,
)
from mbusgw.model.address import SECONDARY_BYTES, SecondaryAddress
from mbusgw.model.errors import DecodeError, FrameDamaged
from mbusgw.model.wording import counted

_SERVICES = {SND_NKE: "SND_NKE", REQ_UD1: "REQ_UD1", REQ_UD2: "REQ_UD2", SND_UD: "SND_UD"}
_SPEEDS = {ci: baudrate for baudrate, ci in CI_BAUDRATE.items()}
_COMMANDS = {0x50: "application reset", 0x51: "data to the meter", 0x5C: "synchronise"}


def meaning(raw: bytes) -> str:
    """One phrase for what was sent or heard; never raises. Any thread."""
    if not raw:
        return "nothing"
    try:
        frame = parse(raw)
    except FrameDamaged as error:
        return f"noise, {counted(len(raw), 'byte')}" if raw[0] not in (0x10, 0x68, 0xE5) else f"damaged: {error}"
    if isinstance(frame, ShortFrame):
        return _short(frame)
    if not isinstance(frame, LongFrame):
        return "acknowledged"
    if frame.control & ~FCB == SND_UD:
        return _command(frame)
    if frame.control & RSP_UD_MASK == RSP_UD:
        return _answer(raw, frame)
    return f"control field {frame.control:02X}, address {frame.address}, CI {frame.ci:02X}"


def _short(frame: ShortFrame) -> str:
    service = _SERVICES.get(frame.control & ~FCB, f"control field {frame.control:02X}")
    count = f", FCB {int(bool(frame.control & FCB))}" if frame.control & ~FCB in (REQ_UD1, REQ_UD2) else ""
    return f"{service} to {_whom(frame.address)}{count}"


def _command(frame: LongFrame) -> str:
    if frame.ci == CI_SELECT and frame.address == ADDRESS_NETWORK_LAYER and len(frame.data) == SECONDARY_BYTES:
        return f"select {SecondaryAddress.from_wire(frame.data)}"
    if frame.ci in _SPEEDS:
        return f"{_whom(frame.address)} shall talk at {_SPEEDS[frame.ci]} baud"
    what = _COMMANDS.get(frame.ci, f"CI {frame.ci:02X}")
    return f"SND_UD to {_whom(frame.address)}: {what}, {counted(len(frame.data), 'byte')}"


def _answer(raw: bytes, frame: LongFrame) -> str:
    head = f"RSP_UD from {frame.address}"
    if is_application_error(frame):
        return f"{head}: application error {frame.data[:1].hex().upper() or 'without a code'}"
    meter = identity_of(frame)
    who = f"{meter.manufacturer or 'meter'} {meter.id}" if meter is not None else f"CI {frame.ci:02X}"
    try:
        telegram = decode_frame(raw)
    except DecodeError as error:
        return f"{head}: {who}, {error}"
    more = ", more follow" if telegram.more_records_follow else ""
    access = f", access number {telegram.header.access_no}" if telegram.header.access_no is not None else ""
    return f"{head}: {who}{access}, {counted(len(telegram.records), 'record')}{more}"


def _whom(address: int) -> str:
    return "the selected meter" if address == ADDRESS_NETWORK_LAYER else str(address)
