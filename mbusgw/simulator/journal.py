"""Keeps what went over a simulated wire, and what its meters said, as JSON lines: the truth to compare with."""
from __future__ import annotations

from typing import TextIO

from mbusgw.mbus.wire import BITS_PER_BYTE
from mbusgw.model.document import plain_value
from mbusgw.runtime import exactjson
from mbusgw.runtime.clock import Clock, iso
from mbusgw.simulator.meter import Expected, SimulatedMeter

#: Bytes that come further apart than this many byte times stand in lines of their own.
GAP_BYTES = 3


class Journal:
    """A witness of the wire that writes one JSON object a line. **own thread** of the segment; ``event``: any thread

    Each line has ``at`` (wall time) and ``mono`` (monotonic seconds) of its first byte, and ``what``: ``request`` and
    ``answer`` with ``until`` (when the last byte was complete) and ``hex``; ``values`` with what a readout that begins
    now will say; or ``event`` with a text: an order that was given.
    """

    def __init__(self, file: TextIO, *, clock: Clock, baudrate: int) -> None:
        self._file = file
        self._clock = clock
        self._byte_s = BITS_PER_BYTE / baudrate
        self._answer = bytearray()
        self._begun_mono = self._until_mono = 0.0

    def heard(self, start_mono: float, data: bytes, baudrate: int) -> None:
        self.flush()
        until_mono = start_mono + len(data) * BITS_PER_BYTE / baudrate
        self._write("request", start_mono, until=round(until_mono, 6), baudrate=baudrate, hex=data.hex())

    def sent(self, at_mono: float, data: bytes) -> None:
        if self._answer and at_mono - self._until_mono > (len(data) + GAP_BYTES) * self._byte_s:
            self.flush()
        if not self._answer:
            self._begun_mono = at_mono - len(data) * self._byte_s
        self._answer += data
        self._until_mono = at_mono

    def said(self, at_mono: float, meter: SimulatedMeter, values: Expected) -> None:
        said = {field: plain_value(value) for field, (value, _) in values.items()}
        units = {field: unit for field, (_, unit) in values.items()}
        self._write(
            "values", at_mono, meter=meter.name, address=meter.address, id=meter.identity.id, values=said, units=units
        )

    def event(self, text: str) -> None:
        """Something that was ordered."""
        self._write("event", self._clock.mono(), text=text)

    def flush(self) -> None:
        """Writes what came back so far."""
        if self._answer:
            data, self._answer = self._answer, bytearray()
            self._write("answer", self._begun_mono, until=round(self._until_mono, 6), hex=data.hex())

    def _write(self, what: str, mono: float, **rest: object) -> None:
        line = {"at": iso(self._clock.now()), "mono": round(mono, 6), "what": what, **rest}
        self._file.write(exactjson.dumps(line) + "\n")
        self._file.flush()
