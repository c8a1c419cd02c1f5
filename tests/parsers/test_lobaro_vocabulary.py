"""The service's own words, in its spelling, where a record's bytes are missing and they are all there is."""
from __future__ import annotations

import pytest

from mbusgw.model.quantity import QUANTITIES
from mbusgw.model.units import normalise
from mbusgw.parsers.lobaro_answer import decode_answer

#: ``VifQuantity`` of records without a unit -> our name.
WITHOUT_UNIT = {
    "(Enhanced) Identification": "enhanced_identification",
    "Access Code Developer": "access_code_developer",
    "Access Code Operator": "access_code_operator",
    "Access Code System Operator": "access_code_system_operator",
    "Access Code User": "access_code_user",
    "Access Number": "access_no",
    "Any VIF": "any",
    "Bus Address": "bus_address",
    "Control signal": "control_signal",
    "Cumulation counter": "cumulation_counter",
    "Customer": "customer",
    "Customer location": "customer_location",
    "Data container for wMBus": "wireless_container",
    "Datacontainer for manufactuerer specific protocol": "manufacturer_container",
    "Date": "date",
    "Date and time of battery change": "battery_change",
    "Day of week": "day_of_week",
    "Device type": "medium",
    "Digital Input": "digital_input",
    "Digital Output": "digital_output",
    "Dimensionless": "dimensionless",
    "Error flags": "error_flags",
    "Error mask": "error_mask",
    "Fabrication No": "fabrication_no",
    "Firmware version": "firmware_version",
    "First storage # for cyclic storage": "first_storage",
    "Hardware version": "hardware_version",
    "Last storage # for cyclic storage": "last_storage",
    "Manufacturer": "manufacturer",
    "Manufacturer specific": "manufacturer_specific",
    "Manufacturer specific data": "manufacturer_specific",
    "Number of counter stops": "stop_counter",
    "Parameter set identification": "parameter_set",
    "Password": "password",
    "Receive window management": "listening_window",
    "Remote control": "remote_control",
    "Reset counter": "reset_counter",
    "Retry": "retry",
    "Security key": "security_key",
    "Size of storage block": "storage_block_size",
    "Software version": "software_version",
    "Special supplier information": "supplier_information",
    "State of parameter activation": "parameter_activation",
    "Summertime (begin, end, deviation": "daylight_saving",
    "Time & Date": "datetime",
    "Time point of day change": "day_change",
    "Week number": "week_number",
    "Reserved": "unknown",
}

#: (``VifUnit``, ``VifQuantity``) -> our name, and the unit that is published.
WITH_UNIT = {
    ("Wh", "Energy"): ("energy", "kWh"),
    ("J", "Energy"): ("energy", "GJ"),
    ("GJ", "Energy"): ("energy", "GJ"),
    ("MCal", "Energy"): ("energy", "Mcal"),
    ("m^3", "Volume"): ("volume", "m³"),
    ("American gallon", "Volume"): ("volume", "m³"),
    ("feet^3", "Volume"): ("volume", "m³"),
    ("m^3/h", "Volume flow"): ("volume_flow", "m³/h"),
    ("m^3/min", "Volume flow"): ("volume_flow", "m³/h"),
    ("m^3/s", "Volume flow"): ("volume_flow", "m³/h"),
    ("American gallon/h", "Volume flow"): ("volume_flow", "m³/h"),
    ("American gallon/min", "Volume flow"): ("volume_flow", "m³/h"),
    ("kg", "Mass"): ("mass", "kg"),
    ("kg/h", "Mass flow"): ("mass_flow", "kg/h"),
    ("W", "Power"): ("power", "W"),
    ("J/h", "Power"): ("power", "W"),
    ("W", "Cumul count max power"): ("cumulated_max_power", "W"),
    ("°C", "Flow temperature"): ("flow_temperature", "°C"),
    ("°F", "Return temperature"): ("return_temperature", "°C"),
    ("°C", "External temperature"): ("external_temperature", "°C"),
    ("°F", "Cold/Warm Temperature Limit"): ("temperature_limit", "°C"),
    ("K", "Temperature difference"): ("temperature_difference", "K"),
    ("°F", "Temperature difference"): ("temperature_difference", "K"),
    ("bar", "Pressure"): ("pressure", "bar"),
    ("V", "Voltage"): ("voltage", "V"),
    ("A", "Current"): ("current", "A"),
    ("Hz", "Frequency"): ("frequency", "Hz"),
    ("°", "Phase U-U"): ("phase_voltage_voltage", "°"),
    ("°", "Phase U-l"): ("phase_voltage_current", "°"),
    ("kVA", "Apparent power"): ("apparent_power", "VA"),
    ("kVA/h", "Apparent energy"): ("apparent_energy", "kVAh"),
    ("kVAR", "Reactive power"): ("reactive_power", "var"),
    ("kVAR/h", "Reactive energy"): ("reactive_energy", "kvarh"),
    ("Units for H.C.A.", "H.C.A."): ("hca", ""),
    ("Relative humidity", "%"): ("relative_humidity", "%"),
    ("d", "Remaining battery"): ("remaining_battery", "d"),
    ("dBm", "Receiver sensitivity"): ("rf_level", "dBm"),
    ("s", "On time"): ("on_time", "h"),
    ("s", "Operating time"): ("operating_time", "h"),
    ("s", "Operating time battery"): ("operating_time_battery", "h"),
    ("s", "Averaging Duration"): ("averaging_duration", "s"),
    ("s", "Duration since last readout"): ("duration_since_readout", "s"),
    ("s", "Duration since last cumulation"): ("duration_since_cumulation", "s"),
    ("s", "Interval of data transmission"): ("transmission_period", "s"),
    ("s", "Period of tariff"): ("tariff_period", "s"),
    ("s", "Point in Time"): ("second", "s"),
    ("s", "Storage interval"): ("storage_interval", "s"),
    ("Baud", "Baudrate"): ("baud_rate", "Bd"),
    ("Bittimes", "Response delay time"): ("response_delay", "bit times"),
    ("Currency units", "Credit"): ("credit", ""),
    ("Currency units", "Debit"): ("debit", ""),
}


@pytest.mark.parametrize(
    ("unit", "quantity", "ours", "published"),
    [("", quantity, ours, "") for quantity, ours in WITHOUT_UNIT.items()]
    + [(*theirs, *ours) for theirs, ours in WITH_UNIT.items()],
)
def test_every_quantity_and_unit_of_the_service_is_one_of_ours(
    unit: str, quantity: str, ours: str, published: str
) -> None:
    entry = {"VifUnit": unit, "VifQuantity": quantity, "Value": 7, "VifExponent": 1}
    (record,) = decode_answer({"Body": {"DataRecords": [entry]}}, key_given=True).records
    assert record.quantity is QUANTITIES[ours]
    assert normalise(record.value, record.unit, record.quantity)[1] == published
