"""Did every simulated meter's values arrive right? What was sent against what came over MQTT."""
from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from mbusgw.cli.demo_radio import Transmitter
from mbusgw.cli.demo_watch import PREFIX, Arrival, Seen
from mbusgw.model.record import Value
from mbusgw.model.units import plain_text
from mbusgw.simulator.meter import Channel, SimulatedMeter

#: Wrong values of one meter that are kept.
WRONG_KEPT = 20


@dataclass(frozen=True, slots=True)
class Expectation:
    """What one simulated meter must look like on MQTT. **immutable**

    ``units``: every field and its unit ("" for none). ``sent_values``: what it said in a field of late.
    """

    device_id: str
    units: Mapping[str, str]
    sent_values: Callable[[str], set[Value]]

    @staticmethod
    def of_wired(meter: SimulatedMeter) -> Expectation:
        """Of a slave on the simulated segment; its name is its configured id."""
        return Expectation(meter.name, _units(meter.channels), meter.sent_values)

    @staticmethod
    def of_radio(transmitter: Transmitter) -> Expectation:
        """Of a meter heard on the air."""
        return Expectation(transmitter.identity.device_id, _units(transmitter.channels), transmitter.sent_values)


@dataclass(slots=True)
class Judge:
    """Compares every value at the moment it arrives, and at the end says what there is. The main thread."""

    expectations: Mapping[str, Expectation]
    wrong: dict[str, list[dict[str, str]]] = field(default_factory=dict)

    @classmethod
    def of(cls, wired: Sequence[SimulatedMeter], radio: Sequence[Transmitter]) -> Judge:
        """For the meters of a demo."""
        expected = [*map(Expectation.of_wired, wired), *map(Expectation.of_radio, radio)]
        return cls({one.device_id: one for one in expected})

    def arrived(self, arrival: Arrival) -> None:
        """A value came: it must be one that the meter sent."""
        device_id, name, payload = arrival
        expected = self.expectations.get(device_id)
        if expected is None:
            self._note(device_id, name, payload, "no such meter was simulated")
        elif name not in expected.units:
            self._note(device_id, name, payload, "the meter sends no such field")
        elif not any(_equal(payload, value) for value in expected.sent_values(name)):
            self._note(device_id, name, payload, "the meter did not send this value")

    def verdict(self, devices: Mapping[str, Seen], now: datetime, *, max_age_s: float) -> dict[str, Any]:
        """The document: ``ok`` and each meter; see ``_meter``."""
        meters = {
            device_id: self._meter(expected, devices.get(device_id) or Seen(device_id), now, max_age_s)
            for device_id, expected in self.expectations.items()
        }
        strangers = sorted({*devices, *self.wrong} - meters.keys())
        return {
            "ok": all(meter["ok"] for meter in meters.values()) and not strangers,
            "meters": meters,
            "strangers": strangers,
        }

    def _meter(self, expected: Expectation, seen: Seen, now: datetime, max_age_s: float) -> dict[str, Any]:
        age_s = seen.age_s(now)
        wrong = [*self.wrong.get(expected.device_id, []), *_wrong_units(expected, seen)]
        missing = [name for name in expected.units if name not in seen.values]
        announced = _announced_right(expected, seen)
        fresh = age_s is not None and age_s <= max_age_s
        return {
            "ok": bool(seen.online and fresh and announced and not missing and not wrong),
            "name": seen.name,
            "medium": seen.medium,
            "online": seen.online,
            "announced": announced,
            "age_s": None if age_s is None else round(age_s, 1),
            "rssi_dbm": seen.rssi_dbm,
            "values": {
                name: {"value": json_value(value), "unit": seen.unit(name)} for name, value in seen.values.items()
            },
            "missing": missing,
            "wrong": wrong,
        }

    def _note(self, device_id: str, name: str, payload: str, reason: str) -> None:
        notes = self.wrong.setdefault(device_id, [])
        if len(notes) < WRONG_KEPT:
            notes.append({"field": name, "value": payload, "reason": reason})


def reasons(document: Mapping[str, Any]) -> list[str]:
    """Why a verdict is not ok, a sentence each."""
    found = [f"{device_id}: no such meter was simulated" for device_id in document["strangers"]]
    for device_id, meter in document["meters"].items():
        if meter["ok"]:
            continue
        found += [f"{device_id}: {name} never arrived" for name in meter["missing"]]
        found += [f"{device_id}: {one['field']} = {one['value']}: {one['reason']}" for one in meter["wrong"]]
        if not meter["online"]:
            found.append(f"{device_id}: is not online")
        elif not meter["announced"]:
            found.append(f"{device_id}: was not announced to Home Assistant with all its fields")
        elif not meter["missing"] and not meter["wrong"]:
            found.append(f"{device_id}: the last reading is {meter['age_s']} s old")
    return found


def json_value(payload: str) -> Decimal | str:
    """A payload as a number where it is one."""
    number = _number(payload)
    return payload if number is None else number


def _units(channels: Iterable[Channel]) -> dict[str, str]:
    return {channel.field: channel.unit for channel in channels}


def _wrong_units(expected: Expectation, seen: Seen) -> list[dict[str, str]]:
    return [
        {"field": name, "value": seen.values[name], "reason": f"its unit is {seen.unit(name)!r}, not {unit!r}"}
        for name, unit in expected.units.items()
        if name in seen.values and seen.unit(name) != unit
    ]


def _announced_right(expected: Expectation, seen: Seen) -> bool:
    """Home Assistant was told of every field, with its topic and unit."""
    components = seen.components()
    return all(
        components.get(name, {}).get("state_topic") == f"{PREFIX}/{expected.device_id}/{name}"
        and components[name].get("unit_of_measurement", "") == unit
        for name, unit in expected.units.items()
    )


def _equal(payload: str, value: Value) -> bool:
    if isinstance(value, (int, Decimal)):
        return _number(payload) == value
    return payload == plain_text(value)


def _number(payload: str) -> Decimal | None:
    try:
        number = Decimal(payload)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None
