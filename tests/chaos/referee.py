"""Watches a simulated wire: is the idle time kept, does the frame count bit alternate, was every value really sent?"""
from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping

from mbusgw.mbus.answer import is_older, parse_long, same_telegram
from mbusgw.mbus.decode import identity_of
from mbusgw.mbus.frames import ADDRESS_NETWORK_LAYER, CI_SELECT, FCB, REQ_UD2, SND_NKE, LongFrame, ShortFrame, parse
from mbusgw.mbus.wire import ANSWER_BITS, ANSWER_EXTRA_S, BITS_PER_BYTE, IDLE_BITS
from mbusgw.model.address import SecondaryAddress
from mbusgw.model.errors import FrameDamaged
from mbusgw.model.reading import Reading
from mbusgw.model.record import Value
from mbusgw.simulator.meter import Expected, SimulatedMeter

EVENTS_KEPT = 40
REPLIES_KEPT = 100


class Referee:
    """A witness of the wire (``simulator.cable.Witness``). ``violations``: what the master did wrong, in words.

    ``meters``: who is at each primary address. ``unseen_s``: bytes that came so shortly before a
    request may not have reached the master yet.
    """

    def __init__(self, meters: Mapping[int, SecondaryAddress], *, unseen_s: float = 0.0) -> None:
        self.violations: list[str] = []
        self.requests = 0
        self.readouts: dict[str, list[Expected]] = {}
        self._meters = meters
        self._unseen_s = unseen_s
        self._last_sent_mono = float("-inf")
        self._since_request = self._answer_before = b""
        self._deadline_mono = 0.0
        self._in_time = False
        self._fcbs: dict[int, bool] = {}
        self._asked: int | None = None
        self._selected: SecondaryAddress | None = None
        self._events: list[str] = []
        self._replies: deque[bytes] = deque(maxlen=REPLIES_KEPT)

    # -------------------------------------------------- the witness
    def heard(self, start_mono: float, data: bytes, baudrate: int) -> None:
        self.requests += 1
        self._note(f"{start_mono:.4f} > {data.hex(' ')}")
        gap_s = start_mono - self._last_sent_mono
        if self._unseen_s <= gap_s < IDLE_BITS / baudrate - 1e-6:
            self._violated(f"only {gap_s * baudrate:.1f} bit times of silence before {data.hex(' ')}")
        answers = [raw for raw in _frames_in(self._since_request) if self._is_answer(raw)]
        frame = parse(data)
        if isinstance(frame, ShortFrame) and frame.control == SND_NKE:
            self._fcbs.pop(frame.address, None)
        elif isinstance(frame, ShortFrame) and frame.control & ~FCB == REQ_UD2:
            self._hold_against_fcb(frame, answers)
        elif isinstance(frame, LongFrame) and frame.address == ADDRESS_NETWORK_LAYER:
            self._fcbs.pop(ADDRESS_NETWORK_LAYER, None)
            if frame.ci == CI_SELECT:
                self._selected = SecondaryAddress.from_wire(frame.data)
        if answers:
            self._answer_before = answers[-1]
        self._since_request = b""
        window_s = ((len(data) + 1) * BITS_PER_BYTE + ANSWER_BITS) / baudrate + ANSWER_EXTRA_S
        self._deadline_mono, self._in_time = start_mono + window_s, False

    def sent(self, at_mono: float, data: bytes) -> None:
        self._last_sent_mono = at_mono
        if not self._since_request:
            self._in_time = at_mono <= self._deadline_mono
        self._since_request += data
        if self._events and self._events[-1].startswith("<"):
            self._events[-1] += data.hex()
        else:
            self._note("<" + data.hex())

    def said_by(self, meter: SimulatedMeter) -> list[Expected]:
        """Every readout that ``meter`` has made."""
        return self.readouts.get(meter.name, [])

    def said(self, at_mono: float, meter: SimulatedMeter, values: Expected) -> None:
        self.readouts.setdefault(meter.name, []).append(values)

    def replied(self, data: bytes) -> None:
        """What a meter has put on the wire; noise may spoil it there."""
        self._replies.append(data)

    def is_of_the_wire(self, frame: bytes) -> bool:
        """No meter has sent ``frame``: it has come about where bits of several senders met.

        Its checksum is right by chance (one in 256), its length and who it is from are as they must be, and nothing
        comes before or after it: nothing in its bytes tells it from a true one.
        """
        return not any(frame in reply for reply in self._replies)

    # -------------------------------------------------- the rules
    def _hold_against_fcb(self, frame: ShortFrame, answers: list[bytes]) -> None:
        fcb, before = bool(frame.control & FCB), self._fcbs.get(frame.address)
        if before is not None and self._asked == frame.address:
            came = [parse_long(raw).address for raw in _frames_in(self._since_request)]
            if fcb != before and not (came if frame.address == ADDRESS_NETWORK_LAYER else frame.address in came):
                self._violated(f"the FCB changed though {frame.address} had not answered")
            undisturbed = self._in_time and answers == [self._since_request]
            known = self._answer_before
            late = undisturbed and (same_telegram(answers[0], known) or is_older(answers[0], known))
            if fcb == before and undisturbed and not late:
                self._violated(f"the FCB stayed though {frame.address} had answered")
        self._fcbs[frame.address], self._asked = fcb, frame.address

    def _is_answer(self, raw: bytes) -> bool:
        """``raw`` says to be from the meter that was asked last."""
        frame = parse_long(raw)
        if self._asked == ADDRESS_NETWORK_LAYER:
            wanted = self._selected
        else:
            wanted = self._meters.get(frame.address) if frame.address == self._asked else None
        sender = identity_of(frame)
        return wanted is not None and sender is not None and wanted.matches(sender)

    def _violated(self, what: str) -> None:
        self.violations.append(what + "\n  " + "\n  ".join(self._events[-8:]))

    def _note(self, event: str) -> None:
        self._events = [*self._events[-EVENTS_KEPT:], event]


def _frames_in(data: bytes) -> list[bytes]:
    """The whole long frames in what came back."""
    found: list[bytes] = []
    start = data.find(0x68)
    while 0 <= start < len(data) - 1:
        raw = data[start : start + data[start + 1] + 6]
        try:
            is_long = isinstance(parse(raw), LongFrame)
        except FrameDamaged:
            is_long = False
        if is_long:
            found.append(raw)
        start = data.find(0x68, start + (len(raw) if is_long else 1))
    return found


def untrue(reading: Reading, said: list[Expected]) -> str:
    """What in ``reading`` the meter has never said in one readout; empty if all of it is true."""
    values: Mapping[str, tuple[Value | None, str]] = {
        name: (field.value, field.unit) for name, field in reading.fields.items()
    }
    whole = not reading.problems
    for expected in reversed(said):
        if dict(expected) == values or (not whole and values.items() <= expected.items()):
            return ""
    wrong = Counter({name for name, value in values.items() if not any(e.get(name) == value for e in said)})
    return f"{sorted(wrong) or 'a mixture of readouts'} (problems: {reading.problems})"
