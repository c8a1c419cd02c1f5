"""The authentication and fragmentation layer (EN 13757-7, clause 6; CI 90): message counter and MAC."""
from __future__ import annotations

from dataclasses import dataclass

from mbusgw.model.errors import FormatUnknown, ModeUnsupported

AFL_CI = 0x90

# Fragmentation control field.
_MORE_FRAGMENTS = 0x4000
_HAS_MCL = 0x2000
_HAS_LENGTH = 0x1000
_HAS_COUNTER = 0x0800
_HAS_MAC = 0x0400
_HAS_KEY_INFO = 0x0200
_FRAGMENT_ID = 0x00FF

#: Authentication type (MCL, low four bits) -> bytes of an AES-CMAC.
_CMAC_SIZES = {3: 2, 4: 4, 5: 8, 6: 12, 7: 16}


@dataclass(frozen=True, slots=True)
class Authentication:
    """The fields of an authentication and fragmentation layer. **immutable**

    ``counter`` is the message counter as sent (4 bytes). ``covered`` are the layer's own
    bytes that the MAC covers before the ones of the transport layer. ``mac`` is empty where there is none.
    """

    counter: bytes | None
    mac: bytes
    covered: bytes
    rest: bytes


def parse_afl(data: bytes) -> Authentication:
    """Reads the layer behind CI 90. Raises ``FormatUnknown``, ``ModeUnsupported`` for fragments and other MACs."""
    if not data or len(data) < 1 + data[0] or data[0] < 2:
        raise FormatUnknown("authentication layer (CI 90): the telegram ends inside it")
    fields, rest = bytes(data[1 : 1 + data[0]]), bytes(data[1 + data[0] :])
    control = int.from_bytes(fields[:2], "little")
    if control & _MORE_FRAGMENTS or (control & _FRAGMENT_ID) > 1:
        raise ModeUnsupported("a message in several fragments (authentication layer, CI 90)")
    take = _Taker(fields[2:])
    mcl = take(1 if control & _HAS_MCL else 0)
    take(2 if control & _HAS_KEY_INFO else 0)
    counter = take(4 if control & _HAS_COUNTER else 0)
    mac = take(_mac_size(mcl)) if control & _HAS_MAC else b""
    length = take(2 if control & _HAS_LENGTH else 0)
    take.done()
    return Authentication(counter or None, mac, mcl + counter + length, rest)


def _mac_size(mcl: bytes) -> int:
    kind = mcl[0] & 0x0F if mcl else 0
    size = _CMAC_SIZES.get(kind)
    if size is None:
        raise ModeUnsupported(f"authentication type {kind} of the authentication layer (CI 90)")
    return size


class _Taker:
    """Takes field after field, and says so when there are not enough bytes. **own thread**"""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def __call__(self, size: int) -> bytes:
        field = self._data[self._at : self._at + size]
        if len(field) != size:
            raise FormatUnknown("authentication layer (CI 90): its length is too short for its fields")
        self._at += size
        return field

    def done(self) -> None:
        """Nothing may be left over: a flag that was lost would otherwise drop the MAC unseen."""
        if self._at != len(self._data):
            raise FormatUnknown("authentication layer (CI 90): its length does not fit its fields")
