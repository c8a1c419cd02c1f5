"""Five kinds of meters as they are sold, for the demo, the tests and people without hardware.

Every value is a function of the meter's age alone, so what was sent at any time can be told.
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal

from mbusgw.model.meter import MeterIdentity
from mbusgw.model.record import Function, Value
from mbusgw.runtime.clock import Clock
from mbusgw.simulator.course import Course, constant, counter, meter_clock, wave
from mbusgw.simulator.encode import DataType, encode_record, extend_vib, find_vib, fixed_frame, long_frame
from mbusgw.simulator.meter import Channel, SimulatedMeter


@dataclass(frozen=True, slots=True)
class Layout:
    """How a meter sends a quantity. **immutable**

    ``unit`` is the one a person expects; on the wire the value is ``value × factor`` in ``wire``,
    the VIF's unit (the same where it is None), in steps of 10^``exponent`` × ``multiplier``.
    """

    quantity: str
    unit: str = ""
    wire: str | None = None
    factor: int = 1
    exponent: int = 0
    multiplier: int = 1
    data_type: DataType = DataType.INT32
    vifes: tuple[int, ...] = ()

    @property
    def vib(self) -> bytes:
        """VIF and VIFEs. Raises ``ValueError`` where the standard has none for this layout."""
        unit = self.unit if self.wire is None else self.wire
        vib = find_vib(self.quantity, unit, exponent=self.exponent, multiplier=self.multiplier)
        return extend_vib(vib, *self.vifes) if self.vifes else vib


_INT16, _BCD6, _BCD8 = DataType.INT16, DataType.BCD6, DataType.BCD8
_ENERGY = Layout("energy", "kWh", wire="Wh", factor=1000, exponent=1)
_ENERGY_BCD = Layout("energy", "kWh", wire="Wh", factor=1000, exponent=1, data_type=_BCD8)
_VOLUME = Layout("volume", "m³", exponent=-3)
_VOLUME_BACKWARD = Layout("volume", "m³", exponent=-3, vifes=(0x3C,))
_GAS_VOLUME = Layout("volume", "m³", exponent=-2, data_type=_BCD8)
_FLOW = Layout("volume_flow", "m³/h", exponent=-3)
_GAS_FLOW = Layout("volume_flow", "m³/h", exponent=-2, data_type=_BCD6)
_POWER = Layout("power", "W")
_HEAT_POWER = Layout("power", "W", exponent=2, data_type=_BCD6)
_REACTIVE_POWER = Layout("reactive_power", "var", data_type=_INT16)
_FREQUENCY = Layout("frequency", "Hz", exponent=-2, data_type=_INT16)
_FLOW_TEMPERATURE = Layout("flow_temperature", "°C", exponent=-1, data_type=_INT16)
_RETURN_TEMPERATURE = Layout("return_temperature", "°C", exponent=-1, data_type=_INT16)
_TEMPERATURE_DIFFERENCE = Layout("temperature_difference", "K", exponent=-2, data_type=DataType.INT24)
_RADIATOR_TEMPERATURE = Layout("flow_temperature", "°C", exponent=-2, data_type=_INT16)
_ROOM_TEMPERATURE = Layout("external_temperature", "°C", exponent=-2, data_type=_INT16)
_GAS_TEMPERATURE = Layout("external_temperature", "°C", exponent=-1, data_type=DataType.BCD4)
_OPERATING_HOURS = Layout("operating_time", "h", wire="s", factor=3600, multiplier=3600)
_UNITS = Layout("hca", data_type=_BCD6)
_DATE = Layout("date", data_type=_INT16)
_DATETIME = Layout("datetime")
_BATTERY = Layout("remaining_battery", "d", data_type=_INT16)
_ERROR_FLAGS = Layout("error_flags", data_type=_INT16)
_SOFTWARE = Layout("software_version", data_type=DataType.INT8)


def _on_phase(layout: Layout, phase: int) -> Layout:
    """The same at phase L1, L2, L3 (VIFE FC 01 to 03)."""
    return replace(layout, vifes=(0x7C, phase))


def _channel(
    field: str,
    layout: Layout,
    course: Course,
    *,
    function: Function = Function.INSTANTANEOUS,
    storage: int = 0,
    tariff: int = 0,
) -> Channel:
    """``course`` sent as ``layout`` says; it must arrive as ``field``."""
    vib = layout.vib

    def encode(value: Value) -> bytes:
        return encode_record(
            value * layout.factor if isinstance(value, (int, Decimal)) else value,
            vib,
            data_type=layout.data_type,
            exponent=layout.exponent,
            multiplier=layout.multiplier,
            function=function,
            storage=storage,
            tariff=tariff,
        )

    return Channel(field, layout.unit, course, encode)


def _heat(started_at: datetime) -> tuple[Channel, ...]:
    return (
        _channel("energy", _ENERGY_BCD, counter("48211.38", per_hour="9.6", step="0.01")),
        _channel("volume", _VOLUME, counter("1290.417", per_hour="0.36", step="0.001")),
        _channel("volume_flow", _FLOW, wave("0.362", swing="0.12", period_s=600, step="0.001")),
        _channel("power", _HEAT_POWER, wave("9600", swing="3100", period_s=600, step="100")),
        _channel("flow_temperature", _FLOW_TEMPERATURE, wave("62.4", swing="6.5", period_s=900, step="0.1")),
        _channel(
            "return_temperature", _RETURN_TEMPERATURE, wave("38.1", swing="3.2", period_s=900, step="0.1", phase=-0.4)
        ),
        _channel(
            "temperature_difference", _TEMPERATURE_DIFFERENCE, wave("24.30", swing="3.3", period_s=900, step="0.01")
        ),
        _channel("operating_time", _OPERATING_HOURS, counter("20481", per_hour="1", step="1")),
        _channel("error_flags", _ERROR_FLAGS, constant(0)),
        _channel("date_storage_1", _DATE, constant(_last_year_end(started_at)), storage=1),
        _channel("energy_storage_1", _ENERGY_BCD, constant(Decimal("45107.02")), storage=1),
        _channel("datetime", _DATETIME, meter_clock(started_at)),
    )


def _water(started_at: datetime) -> tuple[Channel, ...]:
    return (
        _channel("volume", _VOLUME, counter("318.204", per_hour="0.9", step="0.001")),
        _channel("volume_backward", _VOLUME_BACKWARD, constant(Decimal("0.017"))),
        _channel("volume_flow", _FLOW, wave("0.450", swing="0.450", period_s=240, step="0.001")),
        _channel("volume_flow_max", _FLOW, constant(Decimal("2.815")), function=Function.MAXIMUM),
        _channel("date_storage_1", _DATE, constant(_last_year_end(started_at)), storage=1),
        _channel("volume_storage_1", _VOLUME, constant(Decimal("286.950")), storage=1),
        _channel("remaining_battery", _BATTERY, constant(2811)),
        _channel("datetime", _DATETIME, meter_clock(started_at)),
    )


def _electricity(started_at: datetime) -> tuple[Channel, ...]:
    channels = [
        _channel("energy", _ENERGY, counter("15220.61", per_hour="2.4", step="0.01")),
        _channel("energy_tariff_1", _ENERGY, counter("10140.37", per_hour="2.4", step="0.01"), tariff=1),
        _channel("energy_tariff_2", _ENERGY, constant(Decimal("5080.24")), tariff=2),
        _channel("power", _POWER, wave("2400", swing="1750", period_s=120, step="1")),
        _channel("reactive_power", _REACTIVE_POWER, wave("310", swing="90", period_s=180, step="1")),
        _channel("frequency", _FREQUENCY, wave("50.00", swing="0.04", period_s=75, step="0.01")),
    ]
    voltage = Layout("voltage", "V", exponent=-1, data_type=_INT16)
    current = Layout("current", "A", exponent=-3)
    for phase in (1, 2, 3):
        volts = wave("230.4", swing="3.1", period_s=300, step="0.1", phase=2.1 * phase)
        amperes = wave("3.480", swing="2.100", period_s=120, step="0.001", phase=2.1 * phase)
        channels.append(_channel(f"voltage_l{phase}", _on_phase(voltage, phase), volts))
        channels.append(_channel(f"current_l{phase}", _on_phase(current, phase), amperes))
    return tuple(channels)


def _gas(started_at: datetime) -> tuple[Channel, ...]:
    return (
        _channel("volume", _GAS_VOLUME, counter("20417.86", per_hour="3.6", step="0.01")),
        _channel("volume_flow", _GAS_FLOW, wave("1.84", swing="1.10", period_s=480, step="0.01")),
        _channel("external_temperature", _GAS_TEMPERATURE, wave("11.4", swing="15.0", period_s=1800, step="0.1")),
        _channel("date_storage_1", _DATE, constant(_last_year_end(started_at)), storage=1),
        _channel("volume_storage_1", _GAS_VOLUME, constant(Decimal("18833.40")), storage=1),
        _channel("software_version", _SOFTWARE, constant(17)),
    )


def _allocator(started_at: datetime) -> tuple[Channel, ...]:
    return (
        _channel("hca", _UNITS, counter("741", per_hour="60", step="1")),
        _channel("date_storage_1", _DATE, constant(_last_year_end(started_at)), storage=1),
        _channel("hca_storage_1", _UNITS, constant(1822), storage=1),
        _channel("flow_temperature", _RADIATOR_TEMPERATURE, wave("44.20", swing="9.00", period_s=700, step="0.01")),
        _channel("external_temperature", _ROOM_TEMPERATURE, wave("21.30", swing="0.80", period_s=1500, step="0.01")),
        _channel("datetime", _DATETIME, meter_clock(started_at)),
    )


def _heat_history(started_at: datetime) -> tuple[Channel, ...]:
    """The ends of 24 months: more than one telegram can hold."""
    months = []
    for n in range(1, 25):
        year, month = divmod(started_at.year * 12 + started_at.month - n, 12)
        months.append(_channel(f"date_storage_{n}", _DATE, constant(date(year, month + 1, 1)), storage=n))
        months.append(_channel(f"energy_storage_{n}", _ENERGY_BCD, constant(Decimal(48000 - 310 * n)), storage=n))
    return (*_heat(started_at)[:8], *months)


def _speaking(started_at: datetime) -> tuple[Channel, ...]:
    """Texts of variable length, and a unit in plain text."""

    def humidity(value: Value) -> bytes:
        return b"\x02\xFC\x03HR%\x74" + int(Decimal(str(value)) * 100).to_bytes(2, "little", signed=True)

    return (
        Channel("rh", "", wave("48.50", swing="9.00", period_s=800, step="0.01"), humidity),
        _channel("external_temperature", _ROOM_TEMPERATURE, wave("21.30", swing="0.80", period_s=1500, step="0.01")),
        _channel("customer_location", Layout("customer_location", data_type=DataType.TEXT), constant("cellar left")),
        _channel("model_version", Layout("model_version", data_type=DataType.TEXT), constant("TH-2")),
    )


def _fixed(started_at: datetime) -> tuple[Channel, ...]:
    """Two counters of a water meter: litres now and at the fixed date."""
    return (
        Channel("volume", "m³", counter("318.204", per_hour="0.9", step="0.001"), _litres(0x29)),
        Channel("volume_historic", "m³", constant(Decimal("286.950")), _litres(0x3E)),
    )


def _litres(unit: int) -> Callable[[Value], bytes]:
    return lambda value: bytes((unit,)) + bytes.fromhex(f"{int(Decimal(str(value)) * 1000):08d}")[::-1]


#: kind: first digit of the id, medium, version, records.
KINDS: dict[str, tuple[str, int, int, Callable[[datetime], tuple[Channel, ...]]]] = {
    "heat": ("6", 0x04, 0x28, _heat),
    "water": ("1", 0x07, 0x19, _water),
    "electricity": ("3", 0x02, 0x04, _electricity),
    "gas": ("7", 0x03, 0x0B, _gas),
    "heat_cost_allocator": ("4", 0x08, 0x33, _allocator),
}

#: Rarer kinds, for those who want to see them read: same form.
ODD_KINDS: dict[str, tuple[str, int, int, Callable[[datetime], tuple[Channel, ...]]]] = {
    "heat_history": ("6", 0x04, 0x29, _heat_history),
    "speaking": ("5", 0x1B, 0x02, _speaking),
    "fixed": ("2", 0x07, 0x00, _fixed),
}
ALL_KINDS = {**KINDS, **ODD_KINDS}
#: How many telegrams a readout of a kind needs, where it is more than one.
USUAL_TELEGRAMS = {"heat_history": 3}


def build_meter(
    kind: str, address: int, *, clock: Clock, number: int = 1, telegrams: int = 1, baudrate: int | None = None
) -> SimulatedMeter:
    """A meter of one of ``ALL_KINDS`` that begins its life now. Raises ``KeyError`` for another kind."""
    digit, medium, version, records = ALL_KINDS[kind]
    fixed = records is _fixed  # that structure knows neither manufacturer nor version
    identity = MeterIdentity(f"{digit}{number:07d}", None if fixed else "SIM", None if fixed else version, medium)
    started_mono = clock.mono()
    channels = records(clock.now().astimezone())
    return SimulatedMeter(
        identity,
        address,
        channels,
        seconds=lambda: clock.mono() - started_mono,
        telegrams=telegrams,
        baudrate=baudrate,
        name=kind,
        frame=fixed_frame if fixed else long_frame,
    )


def build_meters(count: int, *, clock: Clock, first_address: int = 1) -> list[SimulatedMeter]:
    """``count`` meters of all kinds in turn, at addresses in a row."""
    kinds = list(KINDS)
    return [build_meter(kinds[n % len(kinds)], first_address + n, clock=clock, number=n + 1) for n in range(count)]


def _last_year_end(moment: datetime) -> date:
    return date(moment.year - 1, 12, 31)
