"""The formats of telegrams heard so far, for compact frames, which only name theirs by a signature."""
from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable

from mbusgw.mbus.compact import CompactFrame, fill_format, format_candidates
from mbusgw.model.telegram import DecodedTelegram
from mbusgw.wmbus.crc import crc16
from mbusgw.wmbus.signature import signature

#: So many formats are remembered; a fleet of one landlord has some dozens.
MOST_FORMATS = 2_000

_FILLER = b"\x2f"


def format_of(decoded: DecodedTelegram) -> bytes | None:
    """DIF to last VIFE of every record; None for what was not read to its end, or not record by record. Any thread."""
    if decoded.problems or not decoded.records or any(not record.dib or not record.vib for record in decoded.records):
        return None
    return b"".join(record.dib + record.vib for record in decoded.records)


#: Told of each format that is new: its signature and its bytes.
OnNew = Callable[[int, bytes], None]


class FormatMemory:
    """Remembers DIF to last VIFE of every record of full frames, the least recently heard going first. **any thread**

    ``on_new`` is called, in the thread that learned it, outside of the lock; it must not block.
    """

    def __init__(self, *, limit: int = MOST_FORMATS, on_new: OnNew = lambda signature, format_bytes: None) -> None:
        self._limit = limit
        self._on_new = on_new
        self._lock = threading.Lock()
        self._signatures: OrderedDict[bytes, int] = OrderedDict()
        self._formats: dict[int, list[bytes]] = {}

    def __len__(self) -> int:
        return len(self._signatures)

    def restore(self, formats: Iterable[bytes]) -> None:
        """What an earlier run knew, the least recently heard first."""
        for format_bytes in formats:
            self._keep(format_bytes)

    def learn(self, format_bytes: bytes) -> None:
        """A full frame has this format."""
        with self._lock:
            if format_bytes in self._signatures:
                self._signatures.move_to_end(format_bytes)
                return
        if format_bytes and (named := self._keep(format_bytes)) is not None:
            self._on_new(named, format_bytes)

    def learn_format_frame(self, payload: bytes) -> int | None:
        """A meter sent its format alone; its signature where that proves it, else None."""
        for named, format_bytes in format_candidates(payload):
            format_bytes = format_bytes.rstrip(_FILLER)
            if format_bytes and signature(format_bytes) == named:
                self.learn(format_bytes)
                return named
        return None

    def full_frame(self, frame: CompactFrame) -> bytes | None:
        """The records of ``frame`` as its full frame has them, proven by the CRC; None where no known format fits."""
        with self._lock:
            known = list(self._formats.get(frame.signature, ()))
        for format_bytes in known:
            filled = fill_format(format_bytes, frame.data)
            if filled is None:
                continue
            # Behind the records there may be fillers of the encryption, which the CRC does not cover.
            for records in (filled, filled.rstrip(_FILLER)):
                if crc16(records) == frame.check:
                    return records
        return None

    def _keep(self, format_bytes: bytes) -> int | None:
        """Its signature, or None when it was known."""
        named = signature(format_bytes)
        with self._lock:
            if format_bytes in self._signatures:
                return None
            self._signatures[format_bytes] = named
            self._formats.setdefault(named, []).append(format_bytes)
            while len(self._signatures) > self._limit:
                gone, its_name = self._signatures.popitem(last=False)
                self._formats[its_name].remove(gone)
                if not self._formats[its_name]:
                    del self._formats[its_name]
        return named
