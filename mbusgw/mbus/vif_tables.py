"""What a VIF means: the primary table and the extension tables FB, FD and FD FD (EN 13757-3:2018, tables 10 to 14),
with the codes that later editions assigned.

Plain data, looked up by the seven lower bits of the VIF or VIFE; the simulator's encoder
reads the same tables. A code that is not in a table is reserved by the standard.
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from types import MappingProxyType


class Coding(Enum):
    """How the data of a VIF are read where the DIF leaves a choice (EN 13757-3, annex A)."""

    NUMBER = "number"  # signed integers (type B), BCD (type A), real (type H)
    UNSIGNED = "unsigned"  # bit fields and numbers without sign (types C, D)
    DIGITS = "digits"  # an identification: BCD keeps its leading zeros and may hold hex digits
    TIME_POINT = "time_point"  # types F, G, I, J by the length of the data
    RAW = "raw"  # data of somebody else's protocol: kept as hex text
    PLAIN_TEXT = "plain_text"  # VIF 7C: name or unit follows as text


@dataclass(frozen=True, slots=True)
class Vif:
    """One VIF: ``value = data × 10^exponent × multiplier`` in ``unit``. **immutable**

    ``quantity`` is a slug of ``model.quantity``. ``unit`` is the base unit of the
    quantity, "" where there is none.
    """

    quantity: str
    unit: str = ""
    exponent: int = 0
    multiplier: int | Decimal = 1
    coding: Coding = Coding.NUMBER


#: Unit codes nn of durations: seconds, minutes, hours, days; in seconds.
SECONDS = (1, 60, 3600, 86400)

PLAIN_TEXT_VIF = 0x7C
MANUFACTURER_VIF = 0x7F
EXTENSION_FB = 0xFB
EXTENSION_FD = 0xFD
EXTENSION_EF = 0xEF

_Rows = Iterable[tuple[int, Vif]]


def _powers(first: int, count: int, quantity: str, unit: str, exponent: int, *, multiplier: int = 1) -> _Rows:
    """``count`` codes in a row, each ten times the one before."""
    return [(first + n, Vif(quantity, unit, exponent + n, multiplier)) for n in range(count)]


def _durations(first: int, quantity: str, *, skip: int = 0) -> _Rows:
    """Codes nn for seconds, minutes, hours, days; ``skip`` leaves out the first."""
    return [(first + n, Vif(quantity, "s", multiplier=SECONDS[n])) for n in range(skip, 4)]


def _long_durations(first: int, quantity: str) -> _Rows:
    """Codes pp for hours, days, months, years. Months and years are no number of seconds."""
    return [
        (first, Vif(quantity, "s", multiplier=SECONDS[2])),
        (first + 1, Vif(quantity, "s", multiplier=SECONDS[3])),
        (first + 2, Vif(quantity, "month")),
        (first + 3, Vif(quantity, "year")),
    ]


def _coded(coding: Coding, rows: Mapping[int, str]) -> _Rows:
    return [(code, Vif(quantity, coding=coding)) for code, quantity in rows.items()]


def _table(*groups: _Rows) -> Mapping[int, Vif]:
    """Joins the groups; a code that two of them claim is a mistake here."""
    table: dict[int, Vif] = {}
    for group in groups:
        for code, vif in group:
            assert code not in table, f"VIF code {code:02X} is there twice"
            table[code] = vif
    return MappingProxyType(table)


#: Primary VIF (table 10).
PRIMARY = _table(
    _powers(0x00, 8, "energy", "Wh", -3),
    _powers(0x08, 8, "energy", "J", 0),
    _powers(0x10, 8, "volume", "m³", -6),
    _powers(0x18, 8, "mass", "kg", -3),
    _durations(0x20, "on_time"),
    _durations(0x24, "operating_time"),
    _powers(0x28, 8, "power", "W", -3),
    _powers(0x30, 8, "power", "J/h", 0),
    _powers(0x38, 8, "volume_flow", "m³/h", -6),
    _powers(0x40, 8, "volume_flow", "m³/h", -7, multiplier=60),  # m³/min
    _powers(0x48, 8, "volume_flow", "m³/h", -9, multiplier=3600),  # m³/s
    _powers(0x50, 8, "mass_flow", "kg/h", -3),
    _powers(0x58, 4, "flow_temperature", "°C", -3),
    _powers(0x5C, 4, "return_temperature", "°C", -3),
    _powers(0x60, 4, "temperature_difference", "K", -3),
    _powers(0x64, 4, "external_temperature", "°C", -3),
    _powers(0x68, 4, "pressure", "bar", -3),
    _coded(Coding.TIME_POINT, {0x6C: "date", 0x6D: "datetime"}),
    [(0x6E, Vif("hca"))],
    _durations(0x70, "averaging_duration"),
    _durations(0x74, "actuality_duration"),
    _coded(Coding.DIGITS, {0x78: "fabrication_no", 0x79: "enhanced_identification"}),
    _coded(Coding.UNSIGNED, {0x7A: "bus_address"}),
    _coded(Coding.PLAIN_TEXT, {PLAIN_TEXT_VIF: "plain_text"}),
    [(0x7E, Vif("any")), (MANUFACTURER_VIF, Vif("manufacturer_specific"))],
)

_TWO_POW_MINUS_12 = Decimal(1) / 4096

#: VIFE after FB (table 14), with the non-metric codes of older meters.
EXTENSION_FB_TABLE = _table(
    _powers(0x00, 2, "energy", "Wh", 5),
    _powers(0x02, 2, "reactive_energy", "varh", 3),
    _powers(0x04, 2, "apparent_energy", "VAh", 3),
    [(0x06, Vif("coefficient_of_performance", exponent=-1))],
    _powers(0x08, 2, "energy", "J", 8),
    _powers(0x0C, 4, "energy", "cal", 5),
    _powers(0x10, 2, "volume", "m³", 2),
    _powers(0x14, 4, "reactive_power", "var", 0),
    _powers(0x18, 2, "mass", "kg", 5),
    _powers(0x1A, 2, "relative_humidity", "%", -1),
    [(0x20, Vif("volume", "ft³")), (0x21, Vif("volume", "ft³", -1))],
    [(0x22, Vif("volume", "gal", -1)), (0x23, Vif("volume", "gal"))],
    [(0x24, Vif("volume_flow", "gal/min", -3)), (0x25, Vif("volume_flow", "gal/min"))],
    [(0x26, Vif("volume_flow", "gal/h"))],
    _powers(0x28, 2, "power", "W", 5),
    [(0x2A, Vif("phase_voltage_voltage", "°", -1)), (0x2B, Vif("phase_voltage_current", "°", -1))],
    _powers(0x2C, 4, "frequency", "Hz", -3),
    _powers(0x30, 2, "power", "J/h", 8),
    _powers(0x34, 4, "apparent_power", "VA", 0),
    _powers(0x58, 4, "flow_temperature", "°F", -3),
    _powers(0x5C, 4, "return_temperature", "°F", -3),
    _powers(0x60, 4, "temperature_difference", "°F", -3),
    _powers(0x64, 4, "external_temperature", "°F", -3),
    [(0x68, Vif("rating_factor", multiplier=_TWO_POW_MINUS_12))],
    [(0x69, Vif("thermal_output_rating_factor", "W"))],
    [(0x6A, Vif("thermal_coupling_rating_factor", multiplier=_TWO_POW_MINUS_12))],
    [(0x6B, Vif("thermal_coupling_rating_factor_room", multiplier=_TWO_POW_MINUS_12))],
    [(0x6C, Vif("thermal_coupling_rating_factor_heater", multiplier=_TWO_POW_MINUS_12))],
    [(0x6D, Vif("low_temperature_rating_factor", multiplier=_TWO_POW_MINUS_12))],
    [(0x6E, Vif("display_scaling_factor", multiplier=_TWO_POW_MINUS_12))],
    _powers(0x70, 4, "temperature_limit", "°F", -3),
    _powers(0x74, 4, "temperature_limit", "°C", -3),
    _powers(0x78, 8, "cumulated_max_power", "W", -3),
)

_FD_DIGITS = {
    0x0A: "manufacturer",
    0x10: "customer_location",
    0x11: "customer",
    0x12: "access_code_user",
    0x13: "access_code_operator",
    0x14: "access_code_system_operator",
    0x15: "access_code_developer",
    0x16: "password",
    0x19: "security_key",
}
_FD_UNSIGNED = {
    0x08: "access_no",
    0x09: "medium",
    0x0B: "parameter_set",
    0x0C: "model_version",
    0x0D: "hardware_version",
    0x0E: "firmware_version",
    0x0F: "software_version",
    0x17: "error_flags",
    0x18: "error_mask",
    0x1A: "digital_output",
    0x1B: "digital_input",
    0x1E: "retry",
    0x1F: "remote_control",
    0x20: "first_storage",
    0x21: "last_storage",
    0x22: "storage_block_size",
    0x23: "tariff_descriptor",
    0x2B: "second",
    0x60: "reset_counter",
    0x61: "cumulation_counter",
    0x62: "control_signal",
    0x63: "day_of_week",
    0x64: "week_number",
    0x66: "parameter_activation",
    0x67: "supplier_information",
    0x75: "stop_counter",
}
_FD_RAW = {
    0x2A: "operator_data",
    0x3B: "wireless_container",
    0x72: "daylight_saving",
    0x73: "listening_window",
    0x76: "manufacturer_container",
    0x77: "upper_layer_container",
}

#: VIFE after FD (table 12). 3A carries a number of any kind, with its sign.
EXTENSION_FD_TABLE = _table(
    _powers(0x00, 4, "credit", "", -3),
    _powers(0x04, 4, "debit", "", -3),
    _coded(Coding.DIGITS, _FD_DIGITS),
    _coded(Coding.UNSIGNED, _FD_UNSIGNED),
    _coded(Coding.RAW, _FD_RAW),
    _coded(Coding.TIME_POINT, {0x30: "tariff_start", 0x65: "day_change", 0x70: "battery_change"}),
    [(0x1C, Vif("baud_rate", "Bd", coding=Coding.UNSIGNED))],
    [(0x1D, Vif("response_delay", "bit times", coding=Coding.UNSIGNED))],
    _durations(0x24, "storage_interval"),
    [(0x28, Vif("storage_interval", "month")), (0x29, Vif("storage_interval", "year"))],
    _durations(0x2C, "duration_since_readout"),
    _durations(0x30, "tariff_duration", skip=1),
    _durations(0x34, "tariff_period"),
    [(0x38, Vif("tariff_period", "month")), (0x39, Vif("tariff_period", "year"))],
    [(0x3A, Vif("dimensionless"))],
    _durations(0x3C, "transmission_period"),
    _powers(0x40, 16, "voltage", "V", -9),
    _powers(0x50, 16, "current", "A", -12),
    _long_durations(0x68, "duration_since_cumulation"),
    _long_durations(0x6C, "operating_time_battery"),
    [(0x71, Vif("rf_level", "dBm")), (0x74, Vif("remaining_battery", "d"))],
)

_FD_FD_UNSIGNED = {
    0x00: "selected_application",
    0x01: "sub_device_type",
    0x04: "communication_credits_local",
    0x05: "communication_credits_radio",
    0x08: "installation_conditions",
    0x2C: "dismount_count",
    0x2D: "test_button_count",
    0x2E: "alarm_count",
    0x2F: "alarm_mute_count",
    0x30: "obstacle_count",
    0x31: "smoke_entry_blocked_count",
    0x32: "smoke_chamber_defect_count",
    0x33: "self_test_failed_count",
    0x34: "sounder_defect_count",
    0x35: "co_alarm_low_count",
    0x36: "co_alarm_medium_count",
    0x37: "co_alarm_high_count",
    0x38: "battery_status",
    0x39: "chamber_pollution_level",
    0x3F: "type_of_approval",
    0x40: "status_pressure_device",
    0x41: "status_smoke_alarm",
    0x42: "status_co_alarm",
    0x43: "status_heat_alarm",
    0x44: "status_door_contact",
}
_PARTICLES = ("particles", "particles_pm1", "particles_pm2_5", "particles_pm10")

#: VIFE after FD FD (table 13). Air, weather and alarm devices are of later editions.
EXTENSION_FD_FD_TABLE = _table(
    _coded(Coding.UNSIGNED, _FD_FD_UNSIGNED),
    [(0x02, Vif("remaining_battery", "month")), (0x03, Vif("remaining_battery", "year"))],
    _powers(0x10, 2, "co2_content", "ppm", 0),
    _powers(0x12, 2, "co_content", "ppm", 0),
    _powers(0x14, 2, "voc_content", "ppb", 0),
    [(0x16, Vif("voc_content", "µg/m³"))],
    [(0x17 + n, Vif(quantity, "µg/m³")) for n, quantity in enumerate(_PARTICLES)],
    [(0x1B + n, Vif(quantity, "1/m³", 6)) for n, quantity in enumerate(_PARTICLES)],
    [(0x1F, Vif("illuminance", "lx")), (0x20, Vif("luminous_intensity", "cd"))],
    [(0x21, Vif("irradiance", "W/m²")), (0x22, Vif("wind_speed", "km/h"))],
    [(0x23, Vif("rainfall", "l/m²")), (0x24, Vif("noise", "dB(A)"))],
    [(0x25, Vif("turbidity", "FNU")), (0x27, Vif("ph_value", exponent=-1))],
    _powers(0x3A, 2, "distance", "mm", 0),
    [(0x3E, Vif("moisture_level", "%"))],
)
