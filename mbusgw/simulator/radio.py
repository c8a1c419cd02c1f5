"""Radio meters that do not exist: encodes OMS telegrams, the reverse of ``wmbus``.

Written from the standard and not from the decoder, so that a round trip means something.
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from mbusgw.model.meter import MeterIdentity, manufacturer_code
from mbusgw.wmbus.crc import crc16, crc_field
from mbusgw.wmbus.frame import LinkFormat
from mbusgw.wmbus.security import cbc_encrypt, cmac, ctr, derived_keys

SND_NR = 0x44
_ELL_SHORT, _ELL_SECURED, _AFL = 0x8C, 0x8D, 0x90
_SHORT_HEADER, _LONG_HEADER, _NO_HEADER = 0x7A, 0x72, 0x78
_FILLER = b"\x2f"


class Security(Enum):
    """How a simulated meter protects its data."""

    NONE = 0
    MODE_5 = 5
    MODE_7 = 7
    ELL = "ELL"  # the extended link layer's AES-CTR


@dataclass(frozen=True, slots=True)
class RadioMeter:
    """A simulated radio meter. **immutable** (what its ``records`` do is theirs)

    ``records()`` gives the data records of the next telegram, as bytes. ``adapter`` is the link layer
    address where another device sends for the meter: the meter then is in a long header.
    ``clear`` is appended unencrypted. ``interval_s`` is for whoever lets it transmit.
    """

    identity: MeterIdentity
    records: Callable[[], bytes]
    security: Security = Security.NONE
    key: bytes | None = field(default=None, repr=False)
    link_format: LinkFormat = LinkFormat.STRIPPED
    adapter: MeterIdentity | None = None
    extended_link: bool = False
    clear: bytes = b""
    status: int = 0
    interval_s: float = 60.0


def telegram(meter: RadioMeter, access_no: int, *, counter: int | None = None) -> bytes:
    """One telegram of ``meter``, from the L field on, in its ``link_format``. Any thread.

    ``access_no`` counts telegrams (its low byte is sent); ``counter`` is the message counter of mode 7
    and the session time of the ELL, by default the same. Raises ``ValueError`` for what fits no telegram.
    """
    count = access_no if counter is None else counter
    address = address_bytes(meter.adapter or meter.identity)
    data = _transport(meter, access_no & 0xFF, count)
    if meter.security is Security.ELL:
        data = _secured_ell(_key(meter), address, access_no & 0xFF, count, data)
    elif meter.extended_link or meter.security is Security.MODE_7:
        data = bytes((_ELL_SHORT, 0x20, access_no & 0xFF)) + data
    return encode_link(SND_NR, address, data, meter.link_format)


def address_bytes(identity: MeterIdentity) -> bytes:
    """M-field and A-field as the link layer sends them: manufacturer, id, version, type."""
    maker = manufacturer_code(identity.manufacturer or "")
    return (
        maker.to_bytes(2, "little")
        + bytes.fromhex(identity.id)[::-1]
        + bytes((identity.version or 0, identity.medium))
    )


def encode_link(control: int, address: bytes, data: bytes, link_format: LinkFormat) -> bytes:
    """Link layer around ``data``, which begins with a CI field. ``ValueError`` when it is too long."""
    body = bytes((control,)) + address + data
    if link_format is LinkFormat.B:
        return _format_b(body)
    if len(body) > 0xFF:
        raise ValueError(f"{len(body)} bytes do not fit into one telegram")
    whole = bytes((len(body),)) + body
    return whole if link_format is LinkFormat.STRIPPED else _format_a(whole)


def _format_a(whole: bytes) -> bytes:
    cuts = [0, *range(10, len(whole), 16), len(whole)]
    blocks = [whole[start:end] for start, end in zip(cuts, cuts[1:], strict=False)]
    return b"".join(block + crc_field(block) for block in blocks)


def _format_b(body: bytes) -> bytes:
    crcs = 1 if len(body) + 1 <= 126 else 2
    length = len(body) + 2 * crcs
    if length > 0xFF:
        raise ValueError(f"{length} bytes do not fit into one telegram of format B")
    whole = bytes((length,)) + body
    first, second = whole[:126], whole[126:]
    return first + crc_field(first) + (second + crc_field(second) if second else b"")


def _transport(meter: RadioMeter, access_no: int, count: int) -> bytes:
    """Everything from the authentication layer or the transport header on."""
    if meter.security is Security.ELL and meter.adapter is None:
        return bytes((_NO_HEADER,)) + meter.records() + meter.clear
    if meter.security is Security.MODE_5:
        return _mode_5(meter, access_no)
    if meter.security is Security.MODE_7:
        return _mode_7(meter, access_no, count)
    return _header(meter, access_no, b"\x00\x00") + meter.records() + meter.clear


def _header(meter: RadioMeter, access_no: int, configuration: bytes) -> bytes:
    tail = bytes((access_no, meter.status)) + configuration
    if meter.adapter is None:
        return bytes((_SHORT_HEADER,)) + tail
    address = address_bytes(meter.identity)
    return bytes((_LONG_HEADER,)) + address[2:6] + address[:2] + address[6:] + tail


def _padded(records: bytes) -> tuple[bytes, int]:
    """Filled up to whole blocks, with the two leading filler bytes; and how many blocks."""
    data = 2 * _FILLER + records
    data += _FILLER * (-len(data) % 16)
    blocks = len(data) // 16
    if blocks > 15:
        raise ValueError(f"{len(records)} bytes of records do not fit into 15 encrypted blocks")
    return data, blocks


def _mode_5(meter: RadioMeter, access_no: int) -> bytes:
    plain, blocks = _padded(meter.records())
    start = address_bytes(meter.identity) + bytes((access_no,)) * 8
    sealed = cbc_encrypt(_key(meter), start, plain)
    return _header(meter, access_no, bytes((blocks << 4, 5))) + sealed + meter.clear


def _mode_7(meter: RadioMeter, access_no: int, count: int) -> bytes:
    plain, blocks = _padded(meter.records())
    counter = count.to_bytes(4, "little")
    encryption_key, mac_key = derived_keys(_key(meter), counter, address_bytes(meter.identity)[2:6])
    sealed = cbc_encrypt(encryption_key, bytes(16), plain)
    inner = _header(meter, access_no, bytes((blocks << 4, 7, 0x10))) + sealed + meter.clear
    mcl = b"\x25"  # counter present, AES-CMAC of 8 bytes
    mac = cmac(mac_key, mcl + counter + inner)[:8]
    fields = b"\x00\x2c" + mcl + counter + mac
    return bytes((_AFL, len(fields))) + fields + inner


def _secured_ell(key: bytes, address: bytes, access_no: int, count: int, data: bytes) -> bytes:
    control = 0x20
    session = ((count << 4) & 0x1FFFFFF0 | 1 << 29).to_bytes(4, "little")
    start = address + bytes((control,)) + session + bytes(3)
    sealed = ctr(key, start, crc16(data).to_bytes(2, "little") + data)
    return bytes((_ELL_SECURED, control, access_no)) + session + sealed


def _key(meter: RadioMeter) -> bytes:
    if meter.key is None:
        raise ValueError(f"{meter.identity.device_id} encrypts, but has no key")
    return meter.key
