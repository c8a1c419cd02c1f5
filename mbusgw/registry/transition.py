"""What a reading makes of the state of its device."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from mbusgw.model.device import DeviceState
from mbusgw.model.reading import Lane, Reading
from mbusgw.registry.plausibility import Guard
from mbusgw.runtime.clock import Clock

#: A gateway's clock is believed when it runs ahead by no more.
GATEWAY_AHEAD = timedelta(minutes=5)
#: Telegrams are handed in later by no more; a longer pause than has passed is a clock that was set.
HANDED_IN_LATE_S = 3600.0


class Transition:
    """From one state to the next, without a memory of its own. **any thread**

    ``guard`` says which values are believed; while ``is_quiet``, radio meters keep silent.
    """

    def __init__(self, clock: Clock, guard: Guard, is_quiet: Callable[[datetime], bool]) -> None:
        self._clock = clock
        self._guard = guard
        self._is_quiet = is_quiet

    def after(self, before: DeviceState, reading: Reading, passed_s: float) -> DeviceState:
        """The state after ``reading``, ``passed_s`` seconds after the last one came."""
        comparable = self._comparable(before, reading)
        verdict, said = self._guard.judge(comparable, reading), reading.fields.keys()
        if verdict.fields is not reading.fields:
            reading = replace(reading, fields=verdict.fields)
        after = comparable.read(reading, learn=self._tells(comparable, reading, passed_s))
        if after.read_at == reading.read_at:
            after = after.without(said)
        if verdict.quarantine is after.quarantine and verdict.counted is after.counted:
            return after
        return replace(after, quarantine=verdict.quarantine, counted=verdict.counted)

    def _tells(self, before: DeviceState, reading: Reading, passed_s: float) -> bool:
        """The pause before ``reading`` was the meter's own: we were there, no clock was set, and no quiet time lay in
        it."""
        if before.stale or before.radio is None or before.radio.last_at is None:
            return False
        begun, ended = before.radio.last_at, reading.read_at
        if (ended - begun).total_seconds() > passed_s + HANDED_IN_LATE_S:
            return False
        return not any(self._is_quiet(moment) for moment in (begun, begun + (ended - begun) / 2, ended))

    def _comparable(self, before: DeviceState, reading: Reading) -> DeviceState:
        """``before``, without times that are from a clock which has been set back since.

        Else nothing would be news, or learned, until those times have come. A gateway's clock may run ahead a little.
        """
        newest = self._clock.now() + (timedelta(0) if reading.lane is Lane.WIRED else GATEWAY_AHEAD)
        if before.radio is not None and (radio := before.radio.until(newest)) is not before.radio:
            before = replace(before, radio=radio)
        if before.read_at is not None and before.read_at > newest:
            return replace(before, read_at=None)
        return before
