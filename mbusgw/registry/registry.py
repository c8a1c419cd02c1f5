"""The one place that holds the state of every device."""
from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType

from mbusgw.model.device import DeviceState
from mbusgw.model.guests import GuestList
from mbusgw.model.reading import Lane, Reading
from mbusgw.model.reception import RadioLink, Reception
from mbusgw.model.record import Value
from mbusgw.model.wishes import NO_WISHES, MeterWishes
from mbusgw.registry.changes import Change, DeadBands, difference
from mbusgw.registry.plausibility import Guard, release
from mbusgw.registry.transition import Transition
from mbusgw.runtime.clock import Clock

NOT_HEARD = "it was not heard yet"

Observer = Callable[[Change], None]


@dataclass(slots=True)
class _Entry:
    state: DeviceState
    ttl_s: float
    expires_mono: float
    told: dict[str, Value | None] = field(default_factory=dict)
    read_mono: float = 0.0


class Registry:
    """Holds a ``DeviceState`` for every device; each change is atomic and raises its version. **any thread**

    A device that is not read within its time to live goes offline when ``expire`` is
    called. Of a radio meter that time is ``radio_intervals`` of the intervals learned of it, ``radio_ttl_s`` at the
    most and until one is known; while ``is_quiet`` (radio meters keep silent then) it does not run.
    ``guard`` says which values of a reading are believed, ``dead_bands`` which are news.
    Observers get every change, in the thread that made it and outside the lock; they must not block.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        radio_ttl_s: float,
        radio_intervals: int = 3,
        guests: GuestList = GuestList(),
        is_quiet: Callable[[datetime], bool] = lambda moment: False,
        guard: Guard = Guard(),
        dead_bands: DeadBands = DeadBands({}),
    ) -> None:
        self._clock = clock
        self._radio_ttl_s = radio_ttl_s
        self._radio_intervals = radio_intervals
        self.guests = guests
        self._is_quiet = is_quiet
        self._transition = Transition(clock, guard, is_quiet)
        self._dead_bands = dead_bands
        self._lock = threading.Lock()
        self._entries: dict[str, _Entry] = {}
        self._untold: dict[str, Change] = {}
        self._observers: tuple[Observer, ...] = ()

    def observe(self, observer: Observer) -> None:
        """``observer`` gets every change from now on."""
        self._observers = (*self._observers, observer)

    # -------------------------------------------------- who there is
    def expect(self, device_id: str, *, name: str, ttl_s: float, wishes: MeterWishes = NO_WISHES) -> None:
        """A configured device: it is known (offline) before it has ever been read.

        Observers learn of values that ``wishes`` make others.
        """
        with self._lock:
            entry = self._entries.get(device_id)
            state = replace(entry.state if entry else DeviceState(device_id, name), name=name, expected=True)
            change = _rewish(state, wishes)
            self._entries[device_id] = _Entry(change.after, ttl_s, self._clock.mono() + ttl_s)
        if change.fields:
            self._tell(change)

    def expect_guests(self) -> None:
        """The same for the radio meters that somebody spoke of; before anything else is known."""
        with self._lock:
            for guest in self.guests.guests:
                state = DeviceState(
                    guest.device_id,
                    guest.name,
                    lane=Lane.WIRELESS,
                    last_error=NOT_HEARD,
                    hidden=guest.hidden,
                    expected=True,
                    wishes=guest.wishes,
                )
                self._entries[guest.device_id] = _Entry(state, self._radio_ttl_s, self._clock.mono())

    def forget(self, device_id: str) -> None:
        """A device that is not configured any more; what is still on its way to or from it changes nothing."""
        with self._lock:
            self._entries.pop(device_id, None)
            self._untold.pop(device_id, None)

    def bear(self, device_id: str, ttl_s: float) -> None:
        """From its next reading on a device may be silent for ``ttl_s`` seconds: its turn comes as rarely as that."""
        with self._lock:
            if (entry := self._entries.get(device_id)) is not None:
                entry.ttl_s = ttl_s

    def restore(self, states: Iterable[DeviceState]) -> None:
        """States of an earlier run: stale until a reading confirms them. After ``expect``, before the first reading.

        A device whose time to live has passed meanwhile counts as offline; any other gets
        its full time again, so that a quick restart shows nobody as gone.
        """
        now, mono = self._clock.now(), self._clock.mono()
        changes = []
        with self._lock:
            for state in states:
                known = self._entries.get(state.device_id)
                wired = known is not None and known.state.lane is Lane.WIRED
                ttl_s = known.ttl_s if known is not None and wired else self._restored_ttl(state)
                fresh = state.read_at is not None and (now - state.read_at).total_seconds() < ttl_s
                change = _rewish(state, known.state.wishes if known else self.guests.wishes(state.device_id))
                restored = replace(
                    change.after,
                    name=known.state.name if known else self._name(state),
                    hidden=state.lane is Lane.WIRELESS and self.guests.hides(state.device_id),
                    expected=known is not None,
                    last_error=known.state.last_error if known and state.read_at is None else state.last_error,
                    online=state.online and fresh,
                    stale=state.read_at is not None,
                    version=state.version + 1,
                )
                self._entries[state.device_id] = _Entry(restored, ttl_s, mono + ttl_s)
                if change.fields:
                    changes.append(replace(change, after=restored))
        for change in changes:
            self._tell(change)

    def _name(self, state: DeviceState) -> str:
        return self.guests.name(state.device_id) if state.lane is Lane.WIRELESS else state.name

    def _newcomer(self, reading: Reading) -> DeviceState:
        device_id, radio = reading.device_id, reading.lane is Lane.WIRELESS
        return DeviceState(
            device_id,
            self.guests.name(device_id),
            hidden=radio and self.guests.hides(device_id),
            wishes=self.guests.wishes(device_id),
        )

    def _restored_ttl(self, state: DeviceState) -> float:
        return self._radio_ttl_s if state.radio is None else self._radio_ttl(state.radio)

    # -------------------------------------------------- what happens
    def record(self, reading: Reading) -> Change:
        """Takes in a reading; the device becomes known and online by it."""
        with self._lock:
            entry = self._entries.get(reading.device_id)
            if entry is None:
                entry = _Entry(self._newcomer(reading), self._radio_ttl_s, 0.0)
                self._entries[reading.device_id] = entry
            before, mono = entry.state, self._clock.mono()
            entry.state = after = self._transition.after(before, reading, mono - entry.read_mono)
            entry.read_mono = mono
            if after.radio is not None:
                entry.ttl_s = self._radio_ttl(after.radio)
            entry.expires_mono = mono + entry.ttl_s
            news = self._dead_bands.news(before.fields, after.fields, entry.told)
        return self._tell(Change(before, after, news))

    def release(self, device_id: str, names: Collection[str], *, accept: bool) -> Change | None:
        """Values in quarantine are right, or wrong; None if none of ``names`` is there any more."""
        with self._lock:
            entry = self._entries.get(device_id)
            there = [name for name in names if entry is not None and name in entry.state.quarantine]
            if entry is None or not there:
                return None
            before = entry.state
            entry.state = after = release(before, there, accept=accept)
            news = self._dead_bands.news(before.fields, after.fields, entry.told)
        return self._tell(Change(before, after, news))

    def heard(self, device_id: str, reception: Reception) -> None:
        """One more gateway has heard the last telegram of a device."""
        with self._lock:
            entry = self._entries.get(device_id)
            if entry is not None:
                entry.state = entry.state.heard(reception)

    def _radio_ttl(self, link: RadioLink) -> float:
        silence_s = link.silence_s(self._radio_intervals)
        return self._radio_ttl_s if silence_s is None else min(silence_s, self._radio_ttl_s)

    def failed(self, device_id: str, error: str) -> None:
        """A try to read the device failed; it stays online until its time to live is over."""
        with self._lock:
            entry = self._entries.get(device_id)
            if entry is not None:
                entry.state = replace(entry.state, last_error=error)

    def polled(self, device_id: str, breaker: str) -> None:
        """Whether a wired device is asked just now (``DeviceState.breaker``); news of it waits in ``untold``."""
        with self._lock:
            entry = self._entries.get(device_id)
            if entry is None or entry.state.breaker == breaker:
                return
            before = entry.state
            if before.breaker is None and breaker == "closed":  # as it should be: its first reading says so
                entry.state = replace(before, breaker=breaker)
                return
            entry.state = replace(before, breaker=breaker, version=before.version + 1)
            first = self._untold.get(device_id)
            self._untold[device_id] = Change(first.before if first else before, entry.state, frozenset())

    def untold(self) -> list[Change]:
        """What ``polled`` has changed since the last call, for whoever publishes it."""
        with self._lock:
            changes, self._untold = list(self._untold.values()), {}
        return changes

    def expire(self) -> list[Change]:
        """Takes those offline whose time to live is over."""
        mono = self._clock.mono()
        quiet = self._is_quiet(self._clock.now())
        changes = []
        with self._lock:
            for entry in self._entries.values():
                if quiet and entry.state.lane is Lane.WIRELESS:
                    entry.expires_mono = mono + entry.ttl_s
                if entry.state.online and mono >= entry.expires_mono:
                    before = entry.state
                    entry.state = replace(before, online=False, version=before.version + 1)
                    changes.append(Change(before, entry.state, frozenset()))
        for change in changes:
            self._tell(change)
        return changes

    # -------------------------------------------------- what is known
    def get(self, device_id: str) -> DeviceState | None:
        """The state of one device."""
        with self._lock:
            entry = self._entries.get(device_id)
            return entry.state if entry else None

    def snapshot(self) -> MappingProxyType[str, DeviceState]:
        """All states of one moment, by device id."""
        with self._lock:
            return MappingProxyType({device_id: entry.state for device_id, entry in self._entries.items()})

    def _tell(self, change: Change) -> Change:
        for observer in self._observers:
            observer(change)
        return change


def _rewish(before: DeviceState, wishes: MeterWishes) -> Change:
    """``before`` as ``wishes`` want it. Most states are as they were, and are not looked through."""
    after = before.wanted(wishes)
    changed = after.fields is not before.fields
    return Change(before, after, difference(before.fields, after.fields) if changed else frozenset())
