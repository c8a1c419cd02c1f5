"""What we know of one meter now."""
from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType

from mbusgw.model.fields import wished
from mbusgw.model.format import RecordFormat, first_format
from mbusgw.model.meter import MeterIdentity
from mbusgw.model.quarantine import NO_COUNTS, NO_SUSPECTS, Count, Suspect
from mbusgw.model.reading import Field, Lane, Reading
from mbusgw.model.reception import RadioLink, Reception
from mbusgw.model.wishes import NO_WISHES, MeterWishes

NOTHING_LEFT_OUT: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class DeviceState:
    """The state of one device. Each change makes a new one with the next ``version``. **immutable**

    ``fields`` holds the newest value of every field ever read, also of those that the last
    telegram did not carry (radio meters alternate). ``stale``: loaded from the database at
    start, not yet confirmed by a reading. ``last_error`` is why the last try failed, or None;
    ``breaker`` whether a wired meter is asked (closed), left alone for a while (open), tried again (half_open) or
    not read by command (paused).
    ``expected``: it is configured, and so is known before it was ever read or heard.
    ``radio``: how it is heard, ``format``: which records it sends; of radio meters. ``hidden``: it has no topics
    and no entities of its own. ``quarantine``: values of counters that are not believed; ``counted``: what counters
    were believed last, where that is not what the last reading said. ``left_out``: for how many readings in a row a
    wired meter has not sent a field that it did send before. ``wishes``: of the
    configuration.
    """

    device_id: str
    name: str
    version: int = 0
    online: bool = False
    stale: bool = False
    lane: Lane = Lane.WIRED
    read_at: datetime | None = None
    meter: MeterIdentity | None = None
    access_no: int | None = None
    status: int | None = None
    fields: Mapping[str, Field] = field(default_factory=lambda: MappingProxyType({}))
    manufacturer_data: bytes | None = None
    problems: tuple[str, ...] = ()
    gateway_id: str | None = None
    rssi_dbm: float | None = None
    last_error: str | None = None
    breaker: str | None = None
    radio: RadioLink | None = None
    hidden: bool = False
    expected: bool = False
    format: RecordFormat | None = None
    quarantine: Mapping[str, Suspect] = field(default_factory=lambda: NO_SUSPECTS)
    counted: Mapping[str, Count] = field(default_factory=lambda: NO_COUNTS)
    left_out: Mapping[str, int] = field(default_factory=lambda: NOTHING_LEFT_OUT)
    wishes: MeterWishes = NO_WISHES

    def wanted(self, wishes: MeterWishes) -> DeviceState:
        """The same state as ``wishes`` want it: no news, and no new version.

        Of a field that means another number now, nothing is suspected or remembered: that was of the old one.
        """
        fields = wished(self.fields, wishes.records)
        if fields is self.fields:
            return replace(self, wishes=wishes)
        same = {
            name
            for name, one in self.fields.items()
            if (one.value, one.unit) == (fields[name].value, fields[name].unit)
        }
        quarantine = {
            name: replace(one, field=replace(one.field, wish=wishes.records.of(name)))
            for name, one in self.quarantine.items()
            if name in same
        }
        return replace(
            self,
            wishes=wishes,
            fields=fields,
            quarantine=MappingProxyType(quarantine),
            counted=MappingProxyType({name: one for name, one in self.counted.items() if name in same}),
        )

    def read(self, reading: Reading, *, learn: bool = True) -> DeviceState:
        """The next state after ``reading``; an older reading than the last one only fills gaps in ``fields``.

        Of another meter under the same name (it was replaced) nothing is carried over. Without ``learn`` the pause
        before it tells nothing of how often a radio meter sends.
        """
        newer = self.read_at is None or reading.read_at >= self.read_at
        known = {} if self.is_replaced_by(reading.header.meter) else self.fields
        fields = {**known, **reading.fields} if newer else {**reading.fields, **self.fields}
        radio = self._radio(reading, learn=learn)
        if not newer:
            return replace(self, version=self.version + 1, fields=MappingProxyType(fields), radio=radio)
        header = reading.header
        return replace(
            self,
            version=self.version + 1,
            online=True,
            stale=False,
            lane=reading.lane,
            read_at=reading.read_at,
            meter=header.meter or self.meter,
            access_no=header.access_no,
            status=header.status,
            fields=MappingProxyType(fields),
            manufacturer_data=reading.manufacturer_data,
            problems=reading.problems,
            gateway_id=reading.gateway_id,
            rssi_dbm=reading.rssi_dbm,
            last_error=None,
            radio=radio,
            format=self._format(reading),
        )

    def without(self, said: Collection[str]) -> DeviceState:
        """The same, after a reading with the fields ``said``. Of radio meters, which send this and that in turn,
        nothing is noted."""
        if self.lane is not Lane.WIRED or not self.left_out and len(said) == len(self.fields):
            return self
        missing = self.fields.keys() - said
        return replace(self, left_out=MappingProxyType({name: self.left_out.get(name, 0) + 1 for name in missing}))

    def _format(self, reading: Reading) -> RecordFormat | None:
        if reading.format_signature is None:
            return self.format
        if self.format is None or self.is_replaced_by(reading.header.meter):
            return first_format(reading.format_signature)
        return self.format.next(reading.format_signature, reading.read_at)

    def heard(self, reception: Reception) -> DeviceState:
        """The next state after another gateway was heard with the last telegram: no news, and no new version."""
        return replace(self, radio=(self.radio or RadioLink()).add(reception))

    def _radio(self, reading: Reading, *, learn: bool) -> RadioLink | None:
        if not reading.receptions:
            return self.radio
        return (self.radio or RadioLink()).hear(reading.receptions, learn=learn)

    def is_replaced_by(self, meter: MeterIdentity | None) -> bool:
        """``meter`` is another one than it was until now."""
        # Maker and number say which meter it is; the medium of one may alternate (heating and cooling).
        return (
            meter is not None
            and self.meter is not None
            and (meter.manufacturer, meter.id) != (self.meter.manufacturer, self.meter.id)
        )
