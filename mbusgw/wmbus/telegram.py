"""From a link frame to plain application data: the layers of a radio telegram, taken off one by one.

Link layer, extended link layer (8C–8F), authentication layer (90), transport header, encryption.
"""
from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from mbusgw.model.errors import FormatUnknown, KeyMissing, KeyWrong, ModeUnsupported
from mbusgw.model.meter import MeterIdentity
from mbusgw.model.wording import counted
from mbusgw.wmbus.afl import AFL_CI, Authentication, parse_afl
from mbusgw.wmbus.ell import is_extended_link, open_ell, parse_ell
from mbusgw.wmbus.frame import LinkFrame
from mbusgw.wmbus.security import (
    BLOCK_BYTES,
    cbc_decrypt,
    cmac,
    derived_keys,
    mode_name,
    require_key,
    same,
)
from mbusgw.wmbus.transport import Content, TransportHeader, parse_header

_WRONG_FILLER = (
    "the key is not this meter's (no filler bytes 2F2F after decryption), or the telegram is damaged"
)
_WRONG_MAC = "the key is not this meter's (wrong message authentication code), or the telegram is damaged"

#: What decrypted data begins with when the key is right (EN 13757-7, 9.4).
_FILLER = b"\x2f\x2f"


class Proof(Enum):
    """What shows that the plain data are what the meter sent."""

    NONE = "not encrypted"
    FILLER = "two filler bytes after decryption"
    CRC = "payload CRC after decryption"
    MAC = "message authentication code"


@dataclass(frozen=True, slots=True)
class OpenTelegram:
    """A telegram with all its layers off. **immutable**

    ``payload``: plain application data; its first ``secured_bytes`` were encrypted. ``layers``: the CI
    fields in order. ``header.rest`` still is what was sent. ``access_no`` is the transport layer's,
    else the extended link layer's.
    """

    frame: LinkFrame
    header: TransportHeader
    layers: tuple[int, ...]
    payload: bytes
    secured_bytes: int
    proof: Proof
    access_no: int | None

    @property
    def identity(self) -> MeterIdentity:
        """The meter: of the long header where there is one, else of the link layer."""
        return self.header.identity


@dataclass(frozen=True, slots=True)
class _Outer:
    """What the layers before the transport header said. **immutable**"""

    ci: int
    data: bytes
    layers: tuple[int, ...]
    access_no: int | None
    afl: Authentication | None
    by_crc: bool


def open_telegram(frame: LinkFrame, key: bytes | None) -> OpenTelegram:
    """Takes off all layers and decrypts. ``key``: 16 bytes, or None. Any thread.

    A key that is not the meter's is always found out by filler bytes, CRC or MAC; the filler bytes
    alone miss one wrong key in 65,536, so look at ``proof`` and check the records too.
    Raises ``FormatUnknown``, ``KeyMissing``, ``KeyWrong``, ``ModeUnsupported``.
    """
    outer = _outer_layers(frame, key)
    header = parse_header(outer.ci, outer.data, frame.address)
    payload, secured, proof = _plain(header, outer, key)
    if proof is Proof.NONE and outer.by_crc:
        secured, proof = len(payload), Proof.CRC
    access_no = header.access_no if header.access_no is not None else outer.access_no
    return OpenTelegram(frame, header, outer.layers, payload, secured, proof, access_no)


def peek_header(frame: LinkFrame) -> TransportHeader:
    """The transport header without any key, to learn whose key is wanted. Any thread.

    Raises ``KeyMissing`` where even that is encrypted (the meter is the sender then),
    ``FormatUnknown``, ``ModeUnsupported``.
    """
    outer = _outer_layers(frame, None)
    return parse_header(outer.ci, outer.data, frame.address)


def _outer_layers(frame: LinkFrame, key: bytes | None) -> _Outer:
    ci, data = frame.ci, frame.payload
    layers: tuple[int, ...] = (ci,)
    access_no: int | None = None
    afl: Authentication | None = None
    by_crc = False
    if is_extended_link(ci):
        ell = parse_ell(ci, data)
        access_no, by_crc = ell.access_no, ell.encryption != 0
        ci, data = _next_layer(open_ell(ell, frame.address, key))
        layers += (ci,)
    if ci == AFL_CI:
        afl = parse_afl(data)
        ci, data = _next_layer(afl.rest)
        layers += (ci,)
    return _Outer(ci, data, layers, access_no, afl, by_crc)


def _next_layer(data: bytes) -> tuple[int, bytes]:
    if not data:
        raise FormatUnknown("the telegram ends before its transport layer")
    return data[0], data[1:]


def _plain(header: TransportHeader, outer: _Outer, key: bytes | None) -> tuple[bytes, int, Proof]:
    """-> plain data, how many bytes of it were encrypted, what proves it."""
    if header.mode == 0 or header.content is Content.MANUFACTURER:
        return header.rest, 0, _authenticated(header, outer, key)
    if header.mode not in (5, 7):
        raise ModeUnsupported(f"security {mode_name(header.mode)} is not supported")
    size = header.encrypted_blocks * BLOCK_BYTES
    if size == 0:
        return header.rest, 0, _authenticated(header, outer, key)
    if key is None:
        return _plain_without_key(header, size)
    if len(header.rest) < size:
        raise FormatUnknown(
            f"{counted(header.encrypted_blocks, 'encrypted block')} ({size} bytes) announced,"
            f" {counted(len(header.rest), 'byte is', 'bytes are')} there"
        )
    require_key(key)
    return _mode_5(header, size, key) if header.mode == 5 else _mode_7(header, outer, size, key)


def _plain_without_key(header: TransportHeader, size: int) -> tuple[bytes, int, Proof]:
    """Data that claim to be encrypted but are not any more: somebody on the way decrypted them."""
    if header.rest.startswith(_FILLER):
        return header.rest, min(size, len(header.rest)), Proof.FILLER
    raise KeyMissing(f"encrypted ({mode_name(header.mode)}), and no key is known for this meter")


def _mode_5(header: TransportHeader, size: int, key: bytes) -> tuple[bytes, int, Proof]:
    start = header.address + bytes((header.access_no or 0,)) * 8
    plain = cbc_decrypt(key, start, header.rest[:size])
    if plain.startswith(_FILLER):
        return plain + header.rest[size:], size, Proof.FILLER
    if header.rest.startswith(_FILLER):
        return header.rest, size, Proof.FILLER
    raise KeyWrong(_WRONG_FILLER)


def _mode_7(header: TransportHeader, outer: _Outer, size: int, key: bytes) -> tuple[bytes, int, Proof]:
    encryption_key, proof = _session_key(header, outer, key)
    plain = cbc_decrypt(encryption_key, bytes(BLOCK_BYTES), header.rest[:size])
    if not plain.startswith(_FILLER):
        raise KeyWrong(_WRONG_FILLER)
    return plain + header.rest[size:], size, proof


def _session_key(header: TransportHeader, outer: _Outer, key: bytes) -> tuple[bytes, Proof]:
    """The encryption key of mode 7, after the MAC was found right."""
    derivation = header.extension[0] >> 4 & 0x03 if header.extension else 0
    if derivation != 1:
        raise ModeUnsupported(f"security {mode_name(7)} with key derivation {derivation} is not supported")
    if outer.afl is None or outer.afl.counter is None:
        raise FormatUnknown(f"security {mode_name(7)} without a message counter (authentication layer, CI 90)")
    encryption_key, mac_key = derived_keys(key, outer.afl.counter, header.address[2:6])
    if not outer.afl.mac:
        return encryption_key, Proof.FILLER
    _check_mac(outer.afl, mac_key)
    return encryption_key, Proof.MAC


def _authenticated(header: TransportHeader, outer: _Outer, key: bytes | None) -> Proof:
    """Verifies the MAC of a telegram that is authenticated but not encrypted, if the key is there."""
    afl = outer.afl
    if afl is None or not afl.mac or afl.counter is None or key is None:
        return Proof.NONE
    _, mac_key = derived_keys(require_key(key), afl.counter, header.address[2:6])
    _check_mac(afl, mac_key)
    return Proof.MAC


def _check_mac(afl: Authentication, mac_key: bytes) -> None:
    expected = cmac(mac_key, afl.covered + afl.rest)
    if not same(expected[: len(afl.mac)], afl.mac):
        raise KeyWrong(_WRONG_MAC)
