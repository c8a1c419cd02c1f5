"""Which values of a reading are believed: a counter never goes down, and never faster than its meter can."""
from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from types import MappingProxyType

from mbusgw.config.readings import UNGUARDED, PlausibilityConfig
from mbusgw.model.device import DeviceState
from mbusgw.model.quarantine import NEVER_CONFIRMED, NO_COUNTS, NO_SUSPECTS, Count, Doubt, Suspect
from mbusgw.model.reading import Field, Reading
from mbusgw.registry.counters import is_counter, most_per_hour
from mbusgw.registry.doubt import agrees, count, doubt, repeats

#: After so long in quarantine readings of a meter that reports an error count too: some report one for years.
PATIENCE = timedelta(days=1)
#: Bits of the status byte: permanent and temporary error (EN 13757-3, table 18).
_ERROR_BITS = 0x18
#: Its lowest two bits: busy, or an application error.
_NOT_READY = (1, 2)


@dataclass(slots=True)
class Verdict:
    """What a reading makes of the fields, ``quarantine`` and ``counted`` of a ``DeviceState``. **own thread**"""

    fields: Mapping[str, Field]
    quarantine: Mapping[str, Suspect]
    counted: Mapping[str, Count]


@dataclass(slots=True)
class _Case:
    """One reading of one device, and what is found out about it."""

    reading: Reading
    known: Mapping[str, Field]
    before_at: datetime
    counted_before: Mapping[str, Count]
    medium: int | None
    suspects: dict[str, Suspect]
    counted: dict[str, Count] = field(default_factory=dict)

    def base(self, name: str) -> Count | None:
        """The counter as it was believed last."""
        if name in self.counted_before:
            return self.counted_before[name]
        known = self.known.get(name)
        return count(known, self.before_at) if known is not None and _is_number(known) else None


class Guard:
    """Judges readings; keeps nothing of its own, all it needs is in the device's state. **immutable**

    A value that is not believed is held back until so many further readings as configured agree with it, or until the
    meter says again what fits to the value that was kept, or until a person decides. In the first day readings of a
    meter that reports an error confirm nothing.
    """

    def __init__(self, config: PlausibilityConfig = PlausibilityConfig()) -> None:
        self._enabled = config.enabled
        self._confirmations = config.confirmations
        self._limits = dict(config.limits)
        self._devices = {device_id: dict(limits) for device_id, limits in config.devices.items()}

    def judge(self, before: DeviceState, reading: Reading) -> Verdict:
        """What of ``reading`` becomes the state of a device that was ``before``."""
        if not self._enabled:
            return Verdict(reading.fields, NO_SUSPECTS, NO_COUNTS)
        anew = before.is_replaced_by(reading.header.meter)
        meter = reading.header.meter or before.meter
        case = _Case(
            reading,
            {} if anew else before.fields,
            before.read_at or reading.read_at,
            NO_COUNTS if anew else before.counted,
            meter.medium if meter else None,
            {} if anew else dict(before.quarantine),
        )
        older = before.read_at is not None and reading.read_at < before.read_at
        fields = self._fill(case) if older else self._judge(case)
        return Verdict(
            fields,
            MappingProxyType(case.suspects) if case.suspects else NO_SUSPECTS,
            MappingProxyType(case.counted) if case.counted else NO_COUNTS,
        )

    # -------------------------------------------------- a reading
    def _judge(self, case: _Case) -> Mapping[str, Field]:
        """The fields that are believed."""
        read = case.reading.fields
        believed: dict[str, Field] | None = None  # made when it is not all of them
        for name, said in read.items():
            limit = self._limit(said, case)
            shown = said if limit is None else self._believed(said, limit, case)
            if limit is None:
                case.suspects.pop(name, None)
            if shown is not said:
                believed = dict(read) if believed is None else believed
                if shown is None:
                    del believed[name]
                else:
                    believed[name] = shown
        for name, known in case.known.items():
            if name not in read:
                self._remember(known, case)
        return read if believed is None else MappingProxyType(believed)

    def _believed(self, said: Field, limit: Decimal, case: _Case) -> Field | None:
        """What of a counter's field is shown; None: what was shown before."""
        name, base = said.name, case.base(said.name)
        if said.value is None or not _is_finite(said):
            if base is not None:
                case.counted[name] = base
            return said if said.value is None else replace(said, value=None)
        if base is None or (why := self._doubt(said, limit, base, case)) is None:
            case.suspects.pop(name, None)
            # A coarser telegram of the same meter says less than is known already.
            return replace(said, value=base.value) if base is not None and repeats(base, said) else said
        suspect = self._suspect(said, why, base, limit, case)
        if suspect.confirmations >= self._confirmations:
            case.suspects.pop(name, None)
            return said
        case.suspects[name] = suspect
        case.counted[name] = base
        return None

    @staticmethod
    def _doubt(said: Field, limit: Decimal, base: Count, case: _Case) -> Doubt | None:
        at, before = case.reading.read_at, case.suspects.get(said.name)
        why = doubt(base, said, limit, at)
        if why is None and before is not None and before.refused and agrees(base, before, said, limit, at):
            return before.doubt  # by now the meter may have counted as much; but a person said that it has not
        return why

    @staticmethod
    def _suspect(said: Field, why: Doubt, base: Count, limit: Decimal, case: _Case) -> Suspect:
        at, before = case.reading.read_at, case.suspects.get(said.name)
        if before is None:
            return Suspect(said, why, at, at)
        if at == before.last_at:
            return before  # the same reading again
        confirmed, refused = 0, False
        if why in NEVER_CONFIRMED or before.doubt in NEVER_CONFIRMED:
            refused = before.refused and why is before.doubt
        elif agrees(base, before, said, limit, at):
            refused = before.refused
            sound = _is_sound(case.reading.header.status) or at - before.since >= PATIENCE
            confirmed = before.confirmations + (not refused and sound)
        return Suspect(said, why, before.since, at, confirmed, before.seen + 1, refused)

    # -------------------------------------------------- what was not in it
    def _remember(self, known: Field, case: _Case) -> None:
        """A counter that this reading says nothing of: what it was, and when."""
        name = known.name
        if name in case.counted_before:
            case.counted[name] = case.counted_before[name]
        elif _is_number(known) and self._limit(known, case) is not None:
            case.counted[name] = count(known, case.before_at)

    def _fill(self, case: _Case) -> Mapping[str, Field]:
        """An older reading than the last one only tells what was not known."""
        case.counted.update(case.counted_before)
        new = {name: said for name, said in case.reading.fields.items() if name not in case.known}
        for name, said in new.items():
            if not _is_finite(said):
                new[name] = replace(said, value=None)
            elif _is_number(said) and self._limit(said, case) is not None:
                case.counted[name] = count(said, case.reading.read_at)
        return MappingProxyType(new)

    def _limit(self, said: Field, case: _Case) -> Decimal | None:
        """The most that a counter may grow in an hour; None of what is no counter, or not guarded."""
        if said.record is None or not is_counter(said):
            return None
        slug = said.record.quantity.slug
        own = self._devices.get(case.reading.device_id, {})
        for limits, key in ((own, said.name), (own, slug), (self._limits, slug)):
            if key in limits:
                return None if limits[key] == UNGUARDED else limits[key]
        return most_per_hour(slug, said.unit, case.medium)


def release(state: DeviceState, names: Collection[str], *, accept: bool) -> DeviceState:
    """The next state after a person said of the values of ``names``, all in quarantine, that they are right or wrong.

    A wrong one stays in quarantine, however often the meter repeats it. **any thread**
    """
    suspects, counted, fields = dict(state.quarantine), dict(state.counted), dict(state.fields)
    for name in names:
        suspect = suspects[name]
        if not accept:
            suspects[name] = replace(suspect, refused=True, confirmations=0)
            continue
        fields[name] = suspect.field
        del suspects[name]
        counted.pop(name, None)
        if suspect.last_at != state.read_at and _is_number(suspect.field):
            counted[name] = count(suspect.field, suspect.last_at)
    return replace(
        state,
        version=state.version + 1,
        fields=MappingProxyType(fields),
        quarantine=MappingProxyType(suspects),
        counted=MappingProxyType(counted),
    )


def _is_number(known: Field) -> bool:
    return isinstance(known.value, (Decimal, int))


def _is_finite(said: Field) -> bool:
    return not isinstance(said.value, Decimal) or said.value.is_finite()


def _is_sound(status: int | None) -> bool:
    """The meter reports no error that its counters may suffer from; None where it reports nothing."""
    return status is None or not (status & _ERROR_BITS or status & 0x03 in _NOT_READY)
