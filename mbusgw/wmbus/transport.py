"""The transport layer header (EN 13757-7, clause 7): which CI field means what, short and long headers."""
from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from mbusgw.model.errors import FormatUnknown
from mbusgw.model.meter import MeterIdentity, manufacturer_text


class Content(Enum):
    """What stands behind the transport header."""

    RECORDS = "records"
    COMPACT = "a compact frame"
    FORMAT_FRAME = "a format frame"
    APPLICATION_ERROR = "an application error"
    ALARM = "an alarm"
    NOTHING = "no data"
    COSEM = "DLMS/COSEM data"
    OBIS = "OBIS data"
    CLOCK = "a clock synchronisation"
    COMMAND = "a command to a meter"
    OTHER = "another protocol"
    MANUFACTURER = "the manufacturer's own protocol"


class HeaderKind(Enum):
    """How much of a header there is."""

    NONE = 0
    SHORT = 4
    LONG = 12


_N, _S, _L = HeaderKind.NONE, HeaderKind.SHORT, HeaderKind.LONG

#: CI field -> header and content (EN 13757-7:2018, table 2).
_CI: dict[int, tuple[HeaderKind, Content]] = {
    0x5A: (_S, Content.COMMAND),
    0x5B: (_L, Content.COMMAND),
    0x60: (_L, Content.COMMAND),
    0x61: (_S, Content.COMMAND),
    0x64: (_L, Content.COMMAND),
    0x65: (_S, Content.COMMAND),
    0x69: (_N, Content.FORMAT_FRAME),
    0x6A: (_S, Content.FORMAT_FRAME),
    0x6B: (_L, Content.FORMAT_FRAME),
    0x6C: (_L, Content.CLOCK),
    0x6D: (_L, Content.CLOCK),
    0x6E: (_S, Content.APPLICATION_ERROR),
    0x6F: (_L, Content.APPLICATION_ERROR),
    0x70: (_N, Content.APPLICATION_ERROR),
    0x71: (_N, Content.ALARM),
    0x72: (_L, Content.RECORDS),
    0x73: (_L, Content.COMPACT),
    0x74: (_S, Content.ALARM),
    0x75: (_L, Content.ALARM),
    0x78: (_N, Content.RECORDS),
    0x79: (_N, Content.COMPACT),
    0x7A: (_S, Content.RECORDS),
    0x7B: (_S, Content.COMPACT),
    0x7C: (_L, Content.COSEM),
    0x7D: (_S, Content.COSEM),
    0x7E: (_L, Content.OBIS),
    0x7F: (_S, Content.OBIS),
    0x80: (_L, Content.NOTHING),
    0x8A: (_S, Content.NOTHING),
    0x8B: (_L, Content.NOTHING),
}

#: Security modes whose configuration field is followed by extension bytes that we understand.
_EXTENSION_BYTES = {7: 1}


@dataclass(frozen=True, slots=True)
class TransportHeader:
    """A transport header. **immutable**

    ``address`` is the meter's as the link layer orders it (M, id, version, type; 8 bytes), from the
    long header where there is one, else the sender's. ``rest`` is what follows, still encrypted.
    """

    ci: int
    kind: HeaderKind
    content: Content
    address: bytes
    access_no: int | None
    status: int | None
    configuration: int | None
    extension: bytes
    rest: bytes

    @property
    def mode(self) -> int:
        """The security mode; 0 without a header."""
        return ((self.configuration or 0) >> 8) & 0x1F

    @property
    def encrypted_blocks(self) -> int:
        """How many blocks of 16 bytes are encrypted, in modes 5 and 7."""
        return ((self.configuration or 0) >> 4) & 0x0F

    @property
    def identity(self) -> MeterIdentity:
        """The meter."""
        manufacturer = manufacturer_text(int.from_bytes(self.address[:2], "little"))
        return MeterIdentity(self.address[5:1:-1].hex().upper(), manufacturer, self.address[6], self.address[7])


def parse_header(ci: int, data: bytes, sender: bytes) -> TransportHeader:
    """Reads the header that CI field ``ci`` announces. ``sender``: the link layer address, 8 bytes.

    Raises ``FormatUnknown`` for a CI field without a meaning here, and where the telegram ends inside the header.
    """
    if 0xA0 <= ci <= 0xB7:
        return TransportHeader(ci, _N, Content.MANUFACTURER, sender, None, None, None, b"", bytes(data))
    kind, content = _CI.get(ci, (None, Content.OTHER))
    if kind is None:
        raise FormatUnknown(f"CI field {ci:02X} is none that a meter sends by radio")
    if kind is HeaderKind.NONE:
        return TransportHeader(ci, kind, content, sender, None, None, None, b"", bytes(data))
    if len(data) < kind.value:
        raise FormatUnknown(f"CI field {ci:02X}: the telegram ends inside its transport header")
    address = data[4:6] + data[:4] + data[6:8] if kind is HeaderKind.LONG else sender
    access_no, status = data[kind.value - 4], data[kind.value - 3]
    configuration = int.from_bytes(data[kind.value - 2 : kind.value], "little")
    extended = _EXTENSION_BYTES.get((configuration >> 8) & 0x1F, 0)
    extension = bytes(data[kind.value : kind.value + extended])
    rest = bytes(data[kind.value + extended :])
    return TransportHeader(ci, kind, content, bytes(address), access_no, status, configuration, extension, rest)
