"""The quantities meters speak of: one name each, in snake case, with what kind of thing it is.

The names are those of the topics (``mbus/<device>/<field>``) and so a contract: a new
one may be added, none may change.
"""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType


class Kind(str, Enum):
    """How a quantity behaves over time; decides how it is shown and checked."""

    COUNTER = "counter"  # only grows: energy, volume, heat cost allocator units
    GAUGE = "gauge"  # goes up and down: power, temperature
    DURATION = "duration"  # operating time, averaging time
    TIME_POINT = "time_point"  # a date, a time, or both
    IDENTITY = "identity"  # numbers and texts that say what the device is
    FLAGS = "flags"  # bits
    OTHER = "other"  # raw or manufacturer's own


@dataclass(frozen=True, slots=True)
class Quantity:
    """A quantity of EN 13757-3. ``slug`` is its topic name, ``title`` its English name. **immutable**"""

    slug: str
    title: str
    kind: Kind


_TABLE: dict[Kind, tuple[tuple[str, str], ...]] = {
    Kind.COUNTER: (
        ("energy", "Energy"),
        ("reactive_energy", "Reactive energy"),
        ("apparent_energy", "Apparent energy"),
        ("volume", "Volume"),
        ("mass", "Mass"),
        ("hca", "Units for H.C.A."),
        ("reset_counter", "Reset counter"),
        ("cumulation_counter", "Cumulation counter"),
        ("stop_counter", "Number of times the meter was stopped"),
        ("exceed_count", "Number of limit exceeds"),
        ("dismount_count", "Number of dismounts"),
        ("test_button_count", "Number of test button presses"),
        ("alarm_count", "Number of alarms"),
        ("alarm_mute_count", "Number of alarm mutings"),
        ("obstacle_count", "Number of obstacles detected"),
        ("smoke_entry_blocked_count", "Number of times the smoke entries were blocked"),
        ("smoke_chamber_defect_count", "Number of smoke chamber defects"),
        ("self_test_failed_count", "Number of failed self-tests"),
        ("sounder_defect_count", "Number of sounder defects"),
        ("co_alarm_low_count", "Number of CO alarms, low level"),
        ("co_alarm_medium_count", "Number of CO alarms, medium level"),
        ("co_alarm_high_count", "Number of CO alarms, high level"),
    ),
    Kind.GAUGE: (
        ("power", "Power"),
        ("reactive_power", "Reactive power"),
        ("apparent_power", "Apparent power"),
        ("cumulated_max_power", "Cumulated maximum power"),
        ("volume_flow", "Volume flow"),
        ("mass_flow", "Mass flow"),
        ("flow_temperature", "Flow temperature"),
        ("return_temperature", "Return temperature"),
        ("temperature_difference", "Temperature difference"),
        ("external_temperature", "External temperature"),
        ("temperature_limit", "Cold/warm temperature limit"),
        ("pressure", "Pressure"),
        ("relative_humidity", "Relative humidity"),
        ("voltage", "Voltage"),
        ("current", "Current"),
        ("frequency", "Frequency"),
        ("phase_voltage_voltage", "Phase angle voltage to voltage"),
        ("phase_voltage_current", "Phase angle voltage to amperage"),
        ("rf_level", "Received radio level"),
        ("credit", "Credit"),
        ("debit", "Debit"),
        ("dimensionless", "Dimensionless"),
        ("rating_factor", "H.C.A. resulting rating factor"),
        ("thermal_output_rating_factor", "H.C.A. thermal output rating factor"),
        ("thermal_coupling_rating_factor", "H.C.A. thermal coupling rating factor"),
        ("thermal_coupling_rating_factor_room", "H.C.A. thermal coupling rating factor, room side"),
        ("thermal_coupling_rating_factor_heater", "H.C.A. thermal coupling rating factor, heater side"),
        ("low_temperature_rating_factor", "H.C.A. low temperature rating factor"),
        ("display_scaling_factor", "H.C.A. display output scaling factor"),
        ("coefficient_of_performance", "Coefficient of performance"),
        ("co2_content", "CO2 content"),
        ("co_content", "CO content"),
        ("voc_content", "VOC content"),
        ("particles", "Particles"),
        ("particles_pm1", "Particles PM1"),
        ("particles_pm2_5", "Particles PM2.5"),
        ("particles_pm10", "Particles PM10"),
        ("illuminance", "Illuminance"),
        ("luminous_intensity", "Luminous intensity"),
        ("irradiance", "Irradiance"),
        ("wind_speed", "Wind speed"),
        ("rainfall", "Rainfall"),
        ("noise", "Noise"),
        ("turbidity", "Turbidity"),
        ("ph_value", "pH value"),
        ("distance", "Distance"),
        ("moisture_level", "Moisture level"),
    ),
    Kind.DURATION: (
        ("on_time", "On time"),
        ("operating_time", "Operating time"),
        ("averaging_duration", "Averaging duration"),
        ("actuality_duration", "Actuality duration"),
        ("duration", "Duration"),
        ("storage_interval", "Storage interval"),
        ("duration_since_readout", "Duration since last readout"),
        ("duration_since_cumulation", "Duration since last cumulation"),
        ("tariff_duration", "Duration of tariff"),
        ("tariff_period", "Period of tariff"),
        ("transmission_period", "Period of nominal data transmissions"),
        ("operating_time_battery", "Operating time battery"),
        ("remaining_battery", "Remaining battery life"),
        ("response_delay", "Response delay time"),
    ),
    Kind.TIME_POINT: (
        ("date", "Date"),
        ("datetime", "Date and time"),
        ("time", "Time of day"),
        ("tariff_start", "Start of tariff (date and time)"),
        ("battery_change", "Battery change (date and time)"),
        ("day_change", "Time point of day change"),
        ("daylight_saving", "Daylight saving"),
        ("day_of_week", "Day of week"),
        ("week_number", "Week number"),
        ("second", "Time point: second"),
    ),
    Kind.IDENTITY: (
        ("fabrication_no", "Fabrication number"),
        ("enhanced_identification", "Enhanced identification"),
        ("bus_address", "Bus address"),
        ("access_no", "Access number"),
        ("medium", "Device type (medium)"),
        ("manufacturer", "Manufacturer"),
        ("parameter_set", "Parameter set identification"),
        ("model_version", "Model/version"),
        ("hardware_version", "Hardware version"),
        ("firmware_version", "Metrology (firmware) version"),
        ("software_version", "Other software version"),
        ("customer_location", "Customer location"),
        ("customer", "Customer"),
        ("access_code_user", "Access code user"),
        ("access_code_operator", "Access code operator"),
        ("access_code_system_operator", "Access code system operator"),
        ("access_code_developer", "Access code developer"),
        ("password", "Password"),
        ("security_key", "Security key"),
        ("supplier_information", "Special supplier information"),
        ("selected_application", "Currently selected application"),
        ("sub_device_type", "Sub-device type"),
        ("type_of_approval", "Type or class of approval"),
    ),
    Kind.FLAGS: (
        ("error_flags", "Error flags"),
        ("error_mask", "Error mask"),
        ("digital_output", "Digital output"),
        ("digital_input", "Digital input"),
        ("remote_control", "Remote control"),
        ("control_signal", "Control signal"),
        ("parameter_activation", "State of parameter activation"),
        ("installation_conditions", "Installation conditions"),
        ("battery_status", "Battery status"),
        ("status_pressure_device", "Status bits of a pressure device"),
        ("status_smoke_alarm", "Status bits of a smoke alarm device"),
        ("status_co_alarm", "Status bits of a CO alarm device"),
        ("status_heat_alarm", "Status bits of a heat alarm device"),
        ("status_door_contact", "Status bits of a door contact"),
    ),
    Kind.OTHER: (
        ("baud_rate", "Baud rate"),
        ("retry", "Retry"),
        ("first_storage", "First storage number for cyclic storage"),
        ("last_storage", "Last storage number for cyclic storage"),
        ("storage_block_size", "Size of storage block"),
        ("tariff_descriptor", "Descriptor for tariff and subunit"),
        ("operator_data", "Operator specific data"),
        ("wireless_container", "Data container for wireless M-Bus protocol"),
        ("manufacturer_container", "Data container for manufacturer specific protocol"),
        ("listening_window", "Listening window management"),
        ("communication_credits_local", "Communication credits, local interface"),
        ("communication_credits_radio", "Communication credits, wireless M-Bus"),
        ("chamber_pollution_level", "Chamber pollution level"),
        ("upper_layer_container", "Data container for M-Bus upper layers"),
        ("any", "Any VIF"),
        ("plain_text", "Plain-text VIF"),
        ("manufacturer_specific", "Manufacturer specific"),
        ("unknown", "Unknown VIF"),
    ),
}

#: Slug -> quantity. Read only.
QUANTITIES: Mapping[str, Quantity] = MappingProxyType(
    {slug: Quantity(slug, title, kind) for kind, rows in _TABLE.items() for slug, title in rows}
)
