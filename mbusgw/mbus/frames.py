"""The wired link layer: short, long and control frames and the single character (EN 13757-2, 5; FT 1.2)."""
from __future__ import annotations

from dataclasses import dataclass

from mbusgw.model.errors import FrameDamaged
from mbusgw.model.wording import counted

#: The single character: a meter's acknowledgement.
ACK = 0xE5
START_SHORT = 0x10
START_LONG = 0x68
STOP = 0x16

#: Control field: what the master asks (EN 13757-2, 5.4), with FCB clear.
SND_NKE = 0x40
SND_UD = 0x53
REQ_UD1 = 0x5A
REQ_UD2 = 0x5B
#: Control field: a meter's answer with data; ``control & RSP_UD_MASK == RSP_UD``, whatever its ACD and DFC bits.
RSP_UD = 0x08
RSP_UD_MASK = 0x4F
FCB = 0x20

#: Address field.
ADDRESS_NETWORK_LAYER = 253
ADDRESS_BROADCAST_REPLY = 254
ADDRESS_BROADCAST = 255

#: CI fields of a selection (SND_UD to address 253 with the 8 bytes of a secondary address).
CI_SELECT = 0x52

#: CI fields of what a meter is told (EN 13757-3, 6): forget where you are; take these data.
CI_APPLICATION_RESET = 0x50
CI_DATA_SEND = 0x51

#: CI field of a SND_UD without data that changes a meter's speed; it still acknowledges at its old one (EN 13757-3, 6).
CI_BAUDRATE = {300: 0xB8, 600: 0xB9, 1200: 0xBA, 2400: 0xBB, 4800: 0xBC, 9600: 0xBD, 19200: 0xBE, 38400: 0xBF}

#: Bytes of a long frame outside its L field: 68 L L 68 ... checksum 16.
LONG_FRAME_OVERHEAD = 6
MAX_DATA = 252


@dataclass(frozen=True, slots=True)
class ShortFrame:
    """10 C A checksum 16. **immutable**"""

    control: int
    address: int


@dataclass(frozen=True, slots=True)
class LongFrame:
    """68 L L 68 C A CI data checksum 16; a control frame is one without data. **immutable**"""

    control: int
    address: int
    ci: int
    data: bytes = b""


@dataclass(frozen=True, slots=True)
class SingleCharacter:
    """E5: acknowledged. **immutable**"""


Frame = ShortFrame | LongFrame | SingleCharacter


def checksum(body: bytes) -> int:
    """Sum of the bytes from the C field to the last data byte, modulo 256."""
    return sum(body) & 0xFF


def encode(frame: Frame) -> bytes:
    """The bytes of a frame. Raises ``ValueError`` when the data do not fit or a field is no byte."""
    if isinstance(frame, SingleCharacter):
        return bytes((ACK,))
    if isinstance(frame, ShortFrame):
        body = bytes((frame.control, frame.address))
        return bytes((START_SHORT, *body, checksum(body), STOP))
    if len(frame.data) > MAX_DATA:
        raise ValueError(f"a frame holds at most {MAX_DATA} bytes of data, not {len(frame.data)}")
    body = bytes((frame.control, frame.address, frame.ci)) + frame.data
    return bytes((START_LONG, len(body), len(body), START_LONG)) + body + bytes((checksum(body), STOP))


def expected_length(first_bytes: bytes) -> int | None:
    """How many bytes the frame has that begins with ``first_bytes``; None if these do not tell yet.

    Raises ``FrameDamaged`` when no frame begins so. For a reader that never waits for
    a timeout when the frame is complete.
    """
    if not first_bytes:
        return None
    start = first_bytes[0]
    if start == ACK:
        return 1
    if start == START_SHORT:
        return 5
    if start != START_LONG:
        raise FrameDamaged(f"no frame begins with {start:02X}")
    if len(first_bytes) < 2:
        return None
    _check_long_start(first_bytes)
    return first_bytes[1] + LONG_FRAME_OVERHEAD


def parse(raw: bytes) -> Frame:
    """The frame that these bytes are. Raises ``FrameDamaged`` with what is wrong; never anything else."""
    expected = expected_length(raw)
    if expected is None:
        raise FrameDamaged("no byte" if not raw else "the frame ends after its start byte")
    if len(raw) < expected:
        raise FrameDamaged(f"the frame ends after {len(raw)} of {expected} bytes")
    if len(raw) > expected:
        raise FrameDamaged(f"{counted(len(raw) - expected, 'byte is', 'bytes are')} left over after the frame")
    if raw[0] == ACK:
        return SingleCharacter()
    if raw[-1] != STOP:
        raise FrameDamaged(f"the stop byte is {raw[-1]:02X}, not 16")
    body = bytes(raw[4:-2] if raw[0] == START_LONG else raw[1:-2])
    if checksum(body) != raw[-2]:
        raise FrameDamaged(f"the checksum is {raw[-2]:02X}, the bytes sum up to {checksum(body):02X}")
    if raw[0] == START_SHORT:
        return ShortFrame(body[0], body[1])
    return LongFrame(body[0], body[1], body[2], body[3:])


def _check_long_start(first_bytes: bytes) -> None:
    """Holds as much as there is of ``68 L L 68`` against the standard."""
    if first_bytes[1] < 3:
        raise FrameDamaged(f"the L field is {first_bytes[1]}; a long frame has at least 3 bytes")
    if len(first_bytes) > 2 and first_bytes[2] != first_bytes[1]:
        raise FrameDamaged(f"the two L fields differ: {first_bytes[1]} and {first_bytes[2]}")
    if len(first_bytes) > 3 and first_bytes[3] != START_LONG:
        raise FrameDamaged(f"the second start byte is {first_bytes[3]:02X}, not 68")
