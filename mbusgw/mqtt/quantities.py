"""The one table that says how a quantity looks in Home Assistant: name, device class, state class, category.

A pair of class and unit that Home Assistant would refuse (``model.classes``) loses its class, never the entity.
"""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from mbusgw.model.classes import SENSOR_CLASSES, accepts
from mbusgw.model.meter import ELECTRICITY, GAS_MEDIA, HEAT_COST_ALLOCATOR, ROOM_MEDIA, WATER_MEDIA
from mbusgw.model.quantity import Kind, Quantity
from mbusgw.model.reading import Field
from mbusgw.model.record import Function, Record
from mbusgw.model.wishes import RecordWish
from mbusgw.model.wording import in_words
from mbusgw.mqtt.words import QUALIFIERS, SUFFIXES, TITLES_DE
from mbusgw.registry.counters import is_counter


@dataclass(frozen=True, slots=True)
class Look:
    """How one entity is shown. ``name`` and ``name_de``: without tariff and storage. **immutable**"""

    name: str
    name_de: str
    device_class: str | None = None
    state_class: str | None = None
    category: str | None = None
    enabled: bool = True
    icon: str | None = None
    precision: int | None = None


_COUNTER = "total_increasing"
_TOTAL = "total"
_GAUGE = "measurement"
_DIAGNOSTIC = "diagnostic"

#: quantity slug -> look. What is missing here gets its look from its kind.
LOOKS: Mapping[str, Look] = {
    "energy": Look("Energy", "Energie", "energy", _COUNTER),
    "reactive_energy": Look("Reactive energy", "Blindenergie", None, _COUNTER),
    "apparent_energy": Look("Apparent energy", "Scheinenergie", None, _COUNTER),
    "volume": Look("Volume", "Volumen", "volume", _COUNTER),
    "mass": Look("Mass", "Masse", None, _COUNTER),
    "hca": Look("Consumption units", "Verbrauchseinheiten", None, _COUNTER, icon="mdi:radiator"),
    "power": Look("Power", "Leistung", "power", _GAUGE),
    "reactive_power": Look("Reactive power", "Blindleistung", "reactive_power", _GAUGE),
    "apparent_power": Look("Apparent power", "Scheinleistung", "apparent_power", _GAUGE),
    "volume_flow": Look("Flow", "Durchfluss", "volume_flow_rate", _GAUGE),
    "mass_flow": Look("Mass flow", "Massenstrom", None, _GAUGE),
    "flow_temperature": Look("Flow temperature", "Vorlauftemperatur", "temperature", _GAUGE, precision=1),
    "return_temperature": Look("Return temperature", "Rücklauftemperatur", "temperature", _GAUGE, precision=1),
    # The class temperature_delta is refused by Home Assistant before 2025.11; unit and state class serve alike.
    "temperature_difference": Look("Temperature difference", "Temperaturdifferenz", None, _GAUGE, precision=2),
    "external_temperature": Look("External temperature", "Außentemperatur", "temperature", _GAUGE, precision=1),
    "pressure": Look("Pressure", "Druck", "pressure", _GAUGE),
    "relative_humidity": Look("Humidity", "Luftfeuchte", "humidity", _GAUGE),
    "voltage": Look("Voltage", "Spannung", "voltage", _GAUGE, precision=1),
    "current": Look("Current", "Stromstärke", "current", _GAUGE, precision=2),
    "frequency": Look("Frequency", "Frequenz", "frequency", _GAUGE, precision=2),
    "phase_voltage_voltage": Look("Phase angle U-U", "Phasenwinkel U-U", None, _GAUGE),
    "phase_voltage_current": Look("Phase angle U-I", "Phasenwinkel U-I", None, _GAUGE),
    "on_time": Look("On time", "Einschaltdauer", "duration", _GAUGE, _DIAGNOSTIC, enabled=False),
    "operating_time": Look("Operating time", "Betriebszeit", "duration", _GAUGE, _DIAGNOSTIC, enabled=False),
    "remaining_battery": Look("Remaining battery life", "Restlaufzeit Batterie", "duration", _GAUGE, _DIAGNOSTIC),
    "operating_time_battery": Look(
        "Battery operating time", "Batteriebetriebszeit", "duration", _GAUGE, _DIAGNOSTIC, enabled=False
    ),
    "averaging_duration": Look(
        "Averaging duration", "Mittelungsdauer", "duration", _GAUGE, _DIAGNOSTIC, enabled=False
    ),
    "actuality_duration": Look("Actuality duration", "Datenalter", "duration", _GAUGE, _DIAGNOSTIC, enabled=False),
    "error_flags": Look("Error flags", "Fehlerflags", None, None, _DIAGNOSTIC, icon="mdi:alert-circle-outline"),
    "date": Look("Date", "Datum", "date", None, _DIAGNOSTIC, enabled=False),
    "datetime": Look("Meter time", "Zählerzeit", None, None, _DIAGNOSTIC, enabled=False, icon="mdi:clock-outline"),
    "time": Look("Meter time of day", "Zähleruhrzeit", None, None, _DIAGNOSTIC, enabled=False),
    "fabrication_no": Look("Fabrication number", "Fabriknummer", None, None, _DIAGNOSTIC, enabled=False),
    "firmware_version": Look("Firmware version", "Firmware-Version", None, None, _DIAGNOSTIC, enabled=False),
    "software_version": Look("Software version", "Software-Version", None, None, _DIAGNOSTIC, enabled=False),
    "hardware_version": Look("Hardware version", "Hardware-Version", None, None, _DIAGNOSTIC, enabled=False),
    "model_version": Look("Model", "Modell", None, None, _DIAGNOSTIC, enabled=False),
    "parameter_set": Look("Parameter set", "Parametersatz", None, None, _DIAGNOSTIC, enabled=False),
    "rf_level": Look("Radio level", "Funkpegel", "signal_strength", _GAUGE, _DIAGNOSTIC, enabled=False),
    "reset_counter": Look("Reset counter", "Rücksetzzähler", None, None, _DIAGNOSTIC, enabled=False),
}

_BY_KIND: Mapping[Kind, Look] = {
    Kind.COUNTER: Look("", "", None, _COUNTER),
    Kind.GAUGE: Look("", "", None, _GAUGE),
    Kind.DURATION: Look("", "", "duration", _GAUGE, _DIAGNOSTIC, enabled=False),
    Kind.TIME_POINT: Look("", "", None, None, _DIAGNOSTIC, enabled=False),
    Kind.IDENTITY: Look("", "", None, None, _DIAGNOSTIC, enabled=False),
    Kind.FLAGS: Look("", "", None, None, _DIAGNOSTIC, enabled=False),
    Kind.OTHER: Look("", "", None, None, _DIAGNOSTIC, enabled=False),
}

#: The fixed structure has no storage numbers; so it calls the counter of a due date.
_OF_THE_PAST = frozenset({"historic", "fixed_date"})

#: Device class and unit → digits after the point, where a look has none of its own. Left to itself, a newer Home
#: Assistant rounds a flow to whole m³/h and litres to tens, and shows hundredths of a day. Who sets them there has
#: the last word.
_DIGITS: Mapping[tuple[str, str], int] = {
    ("water", "m³"): 3,
    ("gas", "m³"): 3,
    ("volume", "m³"): 3,
    ("volume_flow_rate", "m³/h"): 3,
    ("energy", "MWh"): 3,
    ("energy", "GJ"): 3,
    ("pressure", "bar"): 3,
    ("duration", "d"): 0,
}

_NUMERIC = frozenset({Kind.COUNTER, Kind.GAUGE, Kind.DURATION})


def look(field: Field, medium: int | None) -> Look:
    """How ``field`` of a meter of ``medium`` is shown, checked against what Home Assistant accepts."""
    record = field.record
    if record is None:
        return _checked(_BY_KIND[Kind.OTHER], field.unit)
    base = LOOKS.get(record.quantity.slug) or replace(
        _BY_KIND[record.quantity.kind], name=record.quantity.title, name_de=_title_de(record.quantity)
    )
    base = _by_medium(base, record, medium)
    if base.state_class == _COUNTER and not is_counter(field):
        is_rate = any(word.startswith("per_") for word in record.qualifiers)
        base = replace(base, state_class=_GAUGE if is_rate else _TOTAL)
    of_the_past = any(word in _OF_THE_PAST or word.startswith("profile_") for word in record.qualifiers)
    if record.function is not Function.INSTANTANEOUS or record.storage or of_the_past:
        base = _history(base)
    if field.wish is not None:
        base = _wanted(base, field, field.wish)
    if isinstance(field.value, str) or not (field.unit or record.quantity.kind in _NUMERIC or base.device_class):
        # A sensor with a class must render a number (or a date); a text in it would be refused each time.
        base = replace(base, device_class=None, state_class=None)
    return _checked(base, field.unit)


def _wanted(base: Look, field: Field, wish: RecordWish) -> Look:
    """``base`` as a person wants it. What was given a class is no diagnostic matter any more."""
    if wish.device_class is not None:
        base = replace(base, device_class=wish.device_class or None)
        if base.device_class is not None:
            base = replace(base, state_class=_fitting(base, field), category=None, enabled=True)
    if wish.state_class is not None:
        base = replace(base, state_class=wish.state_class or None)
    return base if wish.enabled is None else replace(base, enabled=wish.enabled)


def _fitting(base: Look, field: Field) -> str | None:
    """The state class of another device class than the usual one."""
    legal = SENSOR_CLASSES[base.device_class or ""].state_classes
    tries = (_COUNTER if is_counter(field) else None, base.state_class, _GAUGE, _TOTAL)
    return next((one for one in tries if one in legal and (one != _COUNTER or is_counter(field))), None)


def _by_medium(base: Look, record: Record, medium: int | None) -> Look:
    slug = record.quantity.slug
    if slug == "volume" and medium in WATER_MEDIA:
        return replace(base, device_class="water", name="Water", name_de="Wasser")
    if slug == "volume" and medium in GAS_MEDIA:
        return replace(base, device_class="gas", name="Gas", name_de="Gas")
    if slug == "flow_temperature" and medium == HEAT_COST_ALLOCATOR:
        return replace(base, name="Radiator temperature", name_de="Heizkörpertemperatur")
    if slug == "external_temperature" and medium in ROOM_MEDIA:  # it has no other sensor: that one measures the room
        return replace(base, name="Room temperature", name_de="Raumtemperatur")
    if medium != ELECTRICITY:
        return base
    if slug == "energy":
        back = "backward" in record.qualifiers
        return replace(base, name="Energy export" if back else "Energy import", name_de=_energy_de(back))
    if slug == "power":
        return replace(base, name="Active power", name_de="Wirkleistung")
    return base


def _title_de(quantity: Quantity) -> str:
    return TITLES_DE.get(quantity.slug, quantity.title)


def _energy_de(back: bool) -> str:
    return "Energie Einspeisung" if back else "Energie Bezug"


def _history(base: Look) -> Look:
    """A value of a due date or an extreme: it may be looked up, but is no running counter and not the main thing."""
    return replace(base, enabled=False)


def _checked(base: Look, unit: str) -> Look:
    """``base`` without a class that Home Assistant would refuse for ``unit``, and with so many digits as that wants."""
    if base.device_class and not accepts(base.device_class, unit):
        base = replace(base, device_class=None)
    if base.device_class in ("date", "timestamp"):
        base = replace(base, state_class=None)
    if base.precision is None:
        base = replace(base, precision=_DIGITS.get((base.device_class or "", unit)))
    return base


def entity_name(field: Field, shown: Look, language: str, medium: int | None) -> str:
    """The name that a field has unless somebody gave it another: the quantity, then what tells it from its siblings."""
    german = language == "de"
    words = [shown.name_de if german else shown.name]
    record = field.record
    if record is None:
        plain = in_words(field.name)
        return words[0] or plain[:1].upper() + plain[1:]
    if record.text_unit and record.text_unit.strip():
        words = [record.text_unit.strip()]  # the meter's own word says more than "plain-text VIF"
    for qualifier in record.qualifiers:
        told = record.quantity.slug == "energy" and medium == ELECTRICITY and qualifier in ("forward", "backward")
        if not told:
            words.append(_qualifier_words(qualifier, german))
    for part, number in (("subunit", record.subunit), ("tariff", record.tariff), ("storage", record.storage)):
        if number:
            words.append(SUFFIXES[part][german].format(number))
    if record.function is not Function.INSTANTANEOUS:
        words.append(SUFFIXES[record.function.value][german])
    return " ".join(words)


def _qualifier_words(qualifier: str, german: bool) -> str:
    if qualifier in QUALIFIERS:
        return QUALIFIERS[qualifier][german]
    if qualifier.startswith("of_") and german:  # of which quantity a time or a duration is told
        slug = qualifier.removeprefix("of_")
        look_of_it = LOOKS.get(slug)
        return f"({look_of_it.name_de if look_of_it else TITLES_DE.get(slug, slug)})"
    if qualifier.startswith("manufacturer_") and german:
        return qualifier.replace("manufacturer_", "Hersteller ")
    if qualifier.startswith("profile_") and german:
        return qualifier.replace("profile_", "Profilwert ")
    return in_words(qualifier)
