"""The extended link layer (EN 13757-4, 13.2): CI 8C, 8D, 8E and 8F, the last two with a receiver's address.

8D and 8F carry a session number that says how the rest is encrypted, and a CRC over the rest.
"""
from __future__ import annotations

from dataclasses import dataclass

from mbusgw.model.errors import FormatUnknown, KeyMissing, KeyWrong, ModeUnsupported
from mbusgw.wmbus.crc import crc16
from mbusgw.wmbus.security import ctr, require_key

#: CI -> (has a receiver's address, has session number and payload CRC)
_SHAPES = {0x8C: (False, False), 0x8D: (False, True), 0x8E: (True, False), 0x8F: (True, True)}

#: The repeated access bit of the CC field: repeaters change it, so the IV has it cleared.
_REPEATED = 0x10

#: What may follow in a telegram whose encryption somebody else removed; one more witness beside the CRC.
_RECORD_CIS = (b"\x72", b"\x78", b"\x79", b"\x7a")


@dataclass(frozen=True, slots=True)
class ExtendedLink:
    """The fields of an extended link layer. **immutable**

    ``receiver``: M2 and A2 (8 bytes), None in 8C and 8D. It names whom the telegram is for,
    never the meter that sends it. ``session``: None in 8C and 8E.
    """

    ci: int
    communication: int
    access_no: int
    receiver: bytes | None
    session: bytes | None
    rest: bytes

    @property
    def encryption(self) -> int:
        """The ENC field of the session number: 0 none, 1 AES-128-CTR."""
        return self.session[3] >> 5 if self.session else 0


def is_extended_link(ci: int) -> bool:
    """Whether an extended link layer begins with this CI field."""
    return ci in _SHAPES


def parse_ell(ci: int, data: bytes) -> ExtendedLink:
    """Reads the layer whose CI is ``ci``; ``rest`` is what follows, as sent. Raises ``FormatUnknown``."""
    addressed, secured = _SHAPES[ci]
    size = 2 + (8 if addressed else 0) + (4 if secured else 0)
    if len(data) < size + (2 if secured else 0):
        raise FormatUnknown(f"extended link layer {ci:02X}: the telegram ends inside it")
    receiver = bytes(data[2:10]) if addressed else None
    session = bytes(data[size - 4 : size]) if secured else None
    return ExtendedLink(ci, data[0], data[1], receiver, session, bytes(data[size:]))


def open_ell(ell: ExtendedLink, address: bytes, key: bytes | None) -> bytes:
    """What the layer carries, decrypted, its CRC verified and removed. ``address``: the sender's 8 bytes.

    Raises ``KeyMissing``, ``KeyWrong``, ``ModeUnsupported``, and ``FormatUnknown`` where an unencrypted CRC is wrong.
    """
    if ell.session is None:
        return ell.rest
    if ell.encryption == 0:
        if not _crc_right(ell.rest):
            raise FormatUnknown(f"extended link layer {ell.ci:02X}: wrong payload CRC")
        return ell.rest[2:]
    if ell.encryption != 1:
        raise ModeUnsupported(f"extended link layer encryption {ell.encryption} is not known")
    if key is not None:
        plain = ctr(require_key(key), _first_counter(ell, ell.session, address), ell.rest)
        if _crc_right(plain):
            return plain[2:]
    if _crc_right(ell.rest) and ell.rest[2:3] in _RECORD_CIS:  # somebody decrypted it on the way
        return ell.rest[2:]
    if key is None:
        raise KeyMissing("encrypted (extended link layer, AES-128-CTR), and no key is known for this meter")
    raise KeyWrong("the key is not this meter's (wrong payload CRC after decryption), or the telegram is damaged")


def _first_counter(ell: ExtendedLink, session: bytes, address: bytes) -> bytes:
    """The counter block of EN 13757-4, 13.2.7: sender, CC, session number, frame number 0, block 0."""
    return address + bytes((ell.communication & ~_REPEATED & 0xFF,)) + session + b"\x00\x00\x00"


def _crc_right(data: bytes) -> bool:
    return crc16(data[2:]) == int.from_bytes(data[:2], "little")
