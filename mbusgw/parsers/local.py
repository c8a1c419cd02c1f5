"""Our own decoder of radio telegrams: joins the layers of ``wmbus`` with the records of ``mbus``.

Two questions can only be answered here, where layers and records meet:

*Is the key right?*  In mode 5 only two filler bytes say so, and one wrong key in 65,536 passes. A
decrypted part whose records do not hold together therefore counts as a wrong key too, unless it
ends in the filler bytes that complete the last block. That leaves one wrong key in a million.

*Is a telegram without a right CRC a stripped one, or format B and damaged?*  Both have the same
size. It counts as damaged when two things come together: one wrong bit (or one inverted byte)
explains why the CRC is wrong, and the content holds together only, if at all, with that put right.
Otherwise it is taken as stripped: telegrams with two odd bytes at the end exist. What cannot be
told so is wider damage, and damage where the content has no structure to its end (a manufacturer's
own data, unencrypted); a caller who knows that CRCs were sent says ``crc=True`` and has certainty.
"""
from __future__ import annotations

from dataclasses import dataclass

from mbusgw.mbus.compact import parse_compact
from mbusgw.mbus.decode import application_error
from mbusgw.mbus.profile import expand_profiles
from mbusgw.mbus.records import RecordBlock, decode_records
from mbusgw.model.errors import DecodeError, FormatPending, FormatUnknown, KeyWrong, ModeUnsupported
from mbusgw.model.record import Function, Record
from mbusgw.model.telegram import DecodedTelegram, Header, ReceivedTelegram
from mbusgw.parsers.base import ParsedTelegram
from mbusgw.parsers.formats import FormatMemory
from mbusgw.parsers.habits import CrcHabits
from mbusgw.wmbus.frame import LinkFormat, LinkFrame, other_readings, parse_frame
from mbusgw.wmbus.telegram import OpenTelegram, Proof, open_telegram
from mbusgw.wmbus.transport import Content

_FILLER = 0x2F

#: What the "no value" of all data types consists of.
_INVALID_BYTES = frozenset((0x00, 0x7F, 0x80, 0xFF))


class LocalBackend:
    """Decodes here, without any service. **any thread**

    ``formats`` are those of compact frames; ``habits`` tell which gateways always send CRCs.
    """

    name = "local"

    def __init__(self, formats: FormatMemory | None = None, habits: CrcHabits | None = None) -> None:
        self._formats = formats if formats is not None else FormatMemory()
        self._habits = habits or CrcHabits()

    def parse(self, telegram: ReceivedTelegram, key: bytes | None) -> ParsedTelegram:
        """Decodes ``telegram``. Raises what ``decode_telegram`` raises."""
        crc = self._habits.heard(telegram.gateway_id, telegram.raw)
        try:
            decoded = decode_telegram(telegram.raw, key, crc=crc, formats=self._formats)
        except FormatUnknown:
            proven = _proven_without_crc(telegram.raw, key, self._formats) if crc else None
            if proven is None:
                raise
            decoded = proven
        return ParsedTelegram(decoded, None, self.name)

    def close(self) -> None:
        """There is nothing to let go of."""


def decode_telegram(
    raw: bytes, key: bytes | None, *, crc: bool | None = None, formats: FormatMemory | None = None
) -> DecodedTelegram:
    """What a radio telegram says; ``raw`` begins with the L field, with or without link layer CRCs. Any thread.

    ``crc``: True when the telegram is known to carry CRCs, False when it is known not to. ``formats`` are
    those heard before, for compact frames; the one of this telegram is added. Records before a break
    in the structure are kept, and the break is in ``problems``.
    Raises ``FormatUnknown`` (also for a damaged telegram, naming the block), ``FormatPending``, ``ApplicationError``,
    ``KeyMissing``, ``KeyWrong``, ``ModeUnsupported``; never anything else.
    """
    formats = formats if formats is not None else FormatMemory()
    best = _best_attempt(raw, key, crc, formats)
    if best.telegram is None:
        raise best.error or FormatUnknown("nothing can be read")
    if best.format_bytes:
        formats.learn(best.format_bytes)
    return best.telegram


def _best_attempt(raw: bytes, key: bytes | None, crc: bool | None, formats: FormatMemory) -> _Attempt:
    frame = parse_frame(raw, crc=crc)
    others = other_readings(raw, frame) if crc is None else []
    first = _attempt(frame, key, formats)
    if not others or (first.fits and not first.opaque):
        return first
    seconds = [_attempt(other, key, formats) for other in others]
    if frame.format is LinkFormat.B:  # its last two bytes may only happen to be the CRC of the others
        return seconds[0] if seconds[0].fits and not first.fits else first
    if _is_damaged(first, seconds):
        raise FormatUnknown(
            "format B: wrong CRC in the last block (the content does not fit without one either)",
            hint="the telegram was damaged on the air or on its way here; the next one will do",
        )
    return first


def _proven_without_crc(raw: bytes, key: bytes | None, formats: FormatMemory) -> DecodedTelegram | None:
    """A telegram without link layer CRCs whose own MAC or CRC proves every byte; None where there is no such proof."""
    try:
        frame = parse_frame(raw, crc=False)
        proof = open_telegram(frame, key).proof
    except DecodeError:
        return None
    return _attempt(frame, key, formats).telegram if proof in (Proof.MAC, Proof.CRC) else None


@dataclass(frozen=True, slots=True)
class _Attempt:
    """What came of one reading of a telegram. **immutable**

    ``fits``: the content holds together to the last byte. ``opaque``: nobody can tell, it is a manufacturer's own.
    ``format_bytes``: the format of a full frame.
    """

    telegram: DecodedTelegram | None
    error: DecodeError | None
    fits: bool
    opaque: bool = False
    format_bytes: bytes = b""


def _attempt(frame: LinkFrame, key: bytes | None, formats: FormatMemory) -> _Attempt:
    try:
        opened = open_telegram(frame, key)
        telegram, block = _decode(opened, formats)
    except (KeyWrong, FormatUnknown) as error:
        return _Attempt(None, error, False)
    except DecodeError as error:
        return _Attempt(None, error, True)  # it says what it is; its size tells nothing
    if block is None:
        return _Attempt(telegram, None, True, opaque=opened.header.content is Content.MANUFACTURER)
    if opened.header.content is Content.COMPACT:
        return _Attempt(telegram, None, True)  # its own CRC says so
    whole = block.broken is None and bool(telegram.records)
    return _Attempt(telegram, None, _fits(opened, block), format_bytes=block.format_bytes if whole else b"")


def _is_damaged(stripped: _Attempt, repaired: list[_Attempt]) -> bool:
    """Whether a telegram that one wrong bit keeps from being format B is more likely that than a stripped one."""
    if any(attempt.fits and attempt.telegram is not None and not attempt.opaque for attempt in repaired):
        return True
    return not stripped.fits and not isinstance(stripped.error, KeyWrong)


def _decode(opened: OpenTelegram, formats: FormatMemory) -> tuple[DecodedTelegram, RecordBlock | None]:
    content, payload = opened.header.content, opened.payload
    header = _header(opened)
    if content is Content.COMPACT:
        block = decode_records(_full_frame(payload, opened, formats))
        return _with_records(header, block), block
    if content is Content.FORMAT_FRAME:
        return _format_frame(header, payload, opened, formats), None
    if content is Content.RECORDS:
        block = decode_records(payload)
        _check(opened, block)
        if _only_looks_like_records(block):
            return _unread(header, payload, f"no records of the standard, kept raw: {block.broken}"), block
        return _with_records(header, block), block
    if content is Content.MANUFACTURER:
        return _unread(header, payload, f"CI {header.ci:02X}: the manufacturer's own protocol, kept raw"), None
    if content is Content.APPLICATION_ERROR:
        raise application_error(payload)
    if content is Content.ALARM:
        return _unread(header, payload, f"CI {header.ci:02X}: an alarm, kept raw"), None
    if content is Content.NOTHING:
        return DecodedTelegram(header, ()), None
    raise ModeUnsupported(f"CI {header.ci:02X}: {content.value} is not supported")


def _full_frame(payload: bytes, opened: OpenTelegram, formats: FormatMemory) -> bytes:
    """The records of a compact frame. Raises ``FormatPending`` where no format is known that fits."""
    frame = parse_compact(_behind_fillers(payload, opened))
    records = formats.full_frame(frame)
    if records is None:
        raise FormatPending(frame.signature)
    return records


def _format_frame(header: Header, payload: bytes, opened: OpenTelegram, formats: FormatMemory) -> DecodedTelegram:
    signature = formats.learn_format_frame(_behind_fillers(payload, opened))
    if signature is None:
        raise FormatUnknown("a format frame whose signature does not fit its format")
    return DecodedTelegram(header, (), problems=(f"a format frame: it names the format {signature:04X}, no values",))


def _behind_fillers(payload: bytes, opened: OpenTelegram) -> bytes:
    """Decrypted data begin with two filler bytes."""
    return payload[2:] if opened.proof in (Proof.FILLER, Proof.MAC) and opened.secured_bytes else payload


def _header(opened: OpenTelegram) -> Header:
    return Header(
        ci=opened.header.ci,
        meter=opened.identity,
        access_no=opened.access_no,
        status=opened.header.status,
        configuration=opened.header.configuration,
    )


def _with_records(header: Header, block: RecordBlock) -> DecodedTelegram:
    return DecodedTelegram(
        header,
        block.records + expand_profiles(block.records),
        block.manufacturer_data,
        block.more_records_follow,
        problems=block.problems,
    )


def _unread(header: Header, payload: bytes, why: str) -> DecodedTelegram:
    return DecodedTelegram(header, (), payload, structure="manufacturer", problems=(why,))


# ------------------------------------------------------------------ does it hold together
def _check(opened: OpenTelegram, block: RecordBlock) -> None:
    """Raises when the records cannot be what the meter sent."""
    if opened.proof is Proof.FILLER and not _plausible(opened):
        raise KeyWrong("the key is not this meter's: what it decrypts to are no records, or the telegram is damaged")
    if block.broken is not None and not block.records:
        raise FormatUnknown(f"no record can be read: {block.broken}")


def _only_looks_like_records(block: RecordBlock) -> bool:
    """Whether a manufacturer's own format came under the CI field of records: it breaks, and is strange before.

    Heat cost allocators do that; what is read into it must not be published as energy.
    """
    return block.broken is not None and 2 * sum(r.problem is not None for r in block.records) > len(block.records)


def _plausible(opened: OpenTelegram) -> bool:
    """Whether the part that two filler bytes vouch for looks like records and not like noise.

    Of random bytes one in twenty passes, so a wrong key has a chance of one in a million.
    """
    secured = opened.payload[: opened.secured_bytes]
    if secured[-1] == _FILLER:
        return True
    block = decode_records(secured)
    return block.broken is None and 2 * sum(map(_is_odd, block.records)) <= len(block.records)


def _is_odd(record: Record) -> bool:
    """A record that has a problem, but not one that a meter in trouble sends on purpose."""
    told = record.function is Function.ERROR or not set(record.data) - _INVALID_BYTES
    return record.problem is not None and not told


def _fits(opened: OpenTelegram, block: RecordBlock) -> bool:
    """Whether the records end where the telegram ends, and nothing there looks like a CRC."""
    if block.broken is not None:
        return False
    tail = opened.payload[opened.secured_bytes :]
    if opened.secured_bytes and len(tail) == 2:
        return tail == bytes((_FILLER, _FILLER))
    if block.manufacturer_data is not None or not block.records:
        return True
    last = block.records[-1]
    whole = last.dib + last.vib + last.data
    return not (len(whole) == 2 and opened.payload.endswith(whole))
