"""Which units and state classes Home Assistant accepts for which device class. Plain data.

The units are those that every Home Assistant since 2024.12 accepts: a newer one knows more, an older one would refuse
the entity. A class that came later is only given to a value for which somebody asks for it. ``""`` stands for no unit.
Compared with the releases of ``tests/model/releases``, up to 2026.11.
"""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

_MEASUREMENT = frozenset({"measurement"})
_COUNTERS = frozenset({"total", "total_increasing"})
_ANY = _MEASUREMENT | _COUNTERS
_NONE: frozenset[str] = frozenset()

STATE_CLASSES = _ANY

#: The first Home Assistant that understands our documents.
OLDEST = (2024, 12)


@dataclass(frozen=True, slots=True)
class SensorClass:
    """What goes with one device class of a sensor; ``since``, the first Home Assistant that knows it. **immutable**"""

    units: frozenset[str]
    state_classes: frozenset[str] = _MEASUREMENT
    since: tuple[int, int] = OLDEST


def _class(
    units: str, state_classes: frozenset[str] = _MEASUREMENT, *, since: tuple[int, int] = OLDEST
) -> SensorClass:
    return SensorClass(frozenset(units.split()) or frozenset({""}), state_classes, since)


_ENERGY = "Wh kWh MWh GWh TWh J kJ MJ GJ cal kcal Mcal Gcal"
_VOLUME = "mL L m³ gal ft³ CCF"
_PRESSURE = "Pa hPa kPa bar cbar mbar mmHg inHg psi"
_PER_VOLUME = "µg/m³"

#: Device class of a sensor → what goes with it. Read only.
SENSOR_CLASSES: Mapping[str, SensorClass] = MappingProxyType(
    {
        "date": _class("", _NONE),
        "timestamp": _class("", _NONE),
        "enum": _class("", _NONE),
        "energy": _class(_ENERGY, _COUNTERS),
        "energy_storage": _class(_ENERGY),
        "water": _class("L m³ gal ft³ CCF", _COUNTERS),
        "gas": _class("m³ ft³ CCF", _COUNTERS),
        "volume": _class(_VOLUME, _COUNTERS),
        "volume_storage": _class(_VOLUME),
        "volume_flow_rate": _class("m³/h L/min mL/s ft³/min gal/min"),
        "weight": _class("kg g mg µg oz lb st", _ANY),
        "duration": _class("d h min s ms", _ANY),
        "distance": _class("km m cm mm mi nmi yd ft in", _ANY),
        "precipitation": _class("cm mm in", _ANY),
        "precipitation_intensity": _class("mm/h mm/d in/h in/d"),
        "power": _class("W kW MW GW TW"),
        "apparent_power": _class("VA"),
        "reactive_power": _class("var"),
        "reactive_energy": _class("varh kvarh", _COUNTERS, since=(2025, 6)),
        "power_factor": SensorClass(frozenset({"", "%"})),
        "voltage": _class("V mV"),
        "current": _class("A mA"),
        "frequency": _class("Hz kHz MHz GHz"),
        "temperature": _class("°C °F K"),
        "temperature_delta": _class("K °C °F", since=(2025, 11)),
        "pressure": _class(_PRESSURE),
        "atmospheric_pressure": _class(_PRESSURE),
        "humidity": _class("%"),
        "absolute_humidity": _class("g/m³ mg/m³", since=(2025, 8)),
        "moisture": _class("%"),
        "battery": _class("%"),
        "illuminance": _class("lx"),
        "irradiance": _class("W/m²"),
        "conductivity": _class("S/cm mS/cm"),
        "speed": _class("m/s km/h mph ft/s kn in/d in/h mm/d mm/h"),
        "wind_speed": _class("m/s km/h mph ft/s kn"),
        "sound_pressure": _class("dB dBA"),
        "signal_strength": _class("dB dBm"),
        "carbon_dioxide": _class("ppm"),
        "carbon_monoxide": _class("ppm"),
        "volatile_organic_compounds": _class(_PER_VOLUME),
        "volatile_organic_compounds_parts": _class("ppm ppb"),
        "pm1": _class(_PER_VOLUME),
        "pm10": _class(_PER_VOLUME),
        "pm25": _class(_PER_VOLUME),
        "ph": _class(""),
    }
)


def accepts(device_class: str, unit: str) -> bool:
    """A Home Assistant that knows the class takes a sensor of it with that unit. **any thread**"""
    known = SENSOR_CLASSES.get(device_class)
    return known is not None and unit in known.units
