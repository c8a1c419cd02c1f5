"""Units: from what a meter counts in to what a person, and Home Assistant, expects. Exact, or rounded as stated.

Wh family → kWh, J family → GJ, W, m³, m³/h, °C, K, V, A, bar, kg, h, d. A value keeps the
resolution its meter gives it; a quotient that has no end is rounded to 4 decimals.
"""
from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Context, Decimal

from mbusgw.model.quantity import Quantity
from mbusgw.model.record import Value

Number = Decimal | int

#: Decimals of a converted value that cannot be exact (J/h to W, s to h, °F to °C).
INEXACT_DECIMALS = 4

# wide enough that only a division can be inexact; shared by all threads, only its flags change
_EXACT = Context(prec=400, Emin=-9999, Emax=9999, traps=[])
# narrower, so that its product with the divisor shows whether a quotient was rounded
_DIVISION = Context(prec=200, Emin=-9999, Emax=9999, traps=[])
_ROUND = Decimal(1).scaleb(-INEXACT_DECIMALS)


def _power(exponent: int) -> Callable[[Number], Number]:
    factor = Decimal(1).scaleb(exponent)
    return lambda value: _EXACT.multiply(value, factor)


def _times(factor: Decimal | int) -> Callable[[Number], Number]:
    number = Decimal(factor)
    return lambda value: _EXACT.multiply(value, number)


def _divided_by(divisor: int) -> Callable[[Number], Number]:
    return lambda value: _quotient(Decimal(value), Decimal(divisor))


def _quotient(value: Decimal, divisor: Decimal) -> Decimal:
    """Exact where it ends, else rounded to ``INEXACT_DECIMALS``."""
    quotient = _DIVISION.divide(value, divisor)
    if _EXACT.multiply(quotient, divisor) == value:
        return quotient
    return _EXACT.quantize(quotient, _ROUND)


def product(value: Number, factor: Decimal) -> Number:
    """Exact, with no digit that the two do not have. Any thread."""
    return _EXACT.multiply(value, factor)


def _fahrenheit_to_celsius(value: Number) -> Number:
    return _quotient(_EXACT.multiply(_EXACT.subtract(value, 32), 5), Decimal(9))


def _fahrenheit_to_kelvin(value: Number) -> Number:
    return _quotient(_EXACT.multiply(value, 5), Decimal(9))


def _same(value: Number) -> Number:
    return value


_CUBIC_FOOT = Decimal("0.028316846592")
_US_GALLON = Decimal("0.003785411784")

_Conversion = tuple[str, Callable[[Number], Number]]

#: Unit as a meter or parser writes it -> unit as published, and how to get there.
_CONVERSIONS: dict[str, _Conversion] = {
    "Wh": ("kWh", _power(-3)),
    "kWh": ("kWh", _same),
    "MWh": ("kWh", _power(3)),
    "GWh": ("kWh", _power(6)),
    "J": ("GJ", _power(-9)),
    "kJ": ("GJ", _power(-6)),
    "MJ": ("GJ", _power(-3)),
    "GJ": ("GJ", _same),
    "cal": ("Mcal", _power(-6)),
    "MCal": ("Mcal", _same),
    "varh": ("kvarh", _power(-3)),
    "kvarh": ("kvarh", _same),
    "VAh": ("kVAh", _power(-3)),
    "kVAh": ("kVAh", _same),
    "W": ("W", _same),
    "kW": ("W", _power(3)),
    "MW": ("W", _power(6)),
    "J/h": ("W", _divided_by(3600)),
    "kJ/h": ("W", lambda value: _quotient(_EXACT.multiply(value, Decimal("1E+3")), Decimal(3600))),
    "MJ/h": ("W", lambda value: _quotient(_EXACT.multiply(value, Decimal("1E+6")), Decimal(3600))),
    "GJ/h": ("W", lambda value: _quotient(_EXACT.multiply(value, Decimal("1E+9")), Decimal(3600))),
    "var": ("var", _same),
    "kvar": ("var", _power(3)),
    "VA": ("VA", _same),
    "kVA": ("VA", _power(3)),
    "m³": ("m³", _same),
    "m^3": ("m³", _same),
    "m3": ("m³", _same),
    "l": ("m³", _power(-3)),
    "ml": ("m³", _power(-6)),
    "gal": ("m³", _times(_US_GALLON)),
    "ft³": ("m³", _times(_CUBIC_FOOT)),
    "m³/h": ("m³/h", _same),
    "m^3/h": ("m³/h", _same),
    "l/h": ("m³/h", _power(-3)),
    "ml/h": ("m³/h", _power(-6)),
    "m³/min": ("m³/h", _times(60)),
    "m^3/min": ("m³/h", _times(60)),
    "m³/s": ("m³/h", _times(3600)),
    "m^3/s": ("m³/h", _times(3600)),
    "gal/h": ("m³/h", _times(_US_GALLON)),
    "gal/min": ("m³/h", _times(_US_GALLON * 60)),
    "kg": ("kg", _same),
    "t": ("kg", _power(3)),
    "kg/h": ("kg/h", _same),
    "°F": ("°C", _fahrenheit_to_celsius),
    "mV": ("V", _power(-3)),
    "mA": ("A", _power(-3)),
    "mbar": ("bar", _power(-3)),
}

#: Durations that run for years are read in hours; the others stay in seconds.
_IN_HOURS = frozenset(("on_time", "operating_time", "duration", "operating_time_battery"))
_HOURS: _Conversion = ("h", _divided_by(3600))
_DIFFERENCE_IN_FAHRENHEIT: _Conversion = ("K", _fahrenheit_to_kelvin)


def normalise(value: Value | None, unit: str, quantity: Quantity) -> tuple[Value | None, str]:
    """Value and unit as published. Texts, dates and None keep themselves and lose no unit. Any thread."""
    target, convert = _conversion(unit, quantity)
    if isinstance(value, (Decimal, int)):
        return convert(value), target
    return value, target


def _conversion(unit: str, quantity: Quantity) -> _Conversion:
    if unit == "s" and quantity.slug in _IN_HOURS:
        return _HOURS
    if unit == "°F" and quantity.slug == "temperature_difference":
        return _DIFFERENCE_IN_FAHRENHEIT
    return _CONVERSIONS.get(unit, (unit, _same))


def plain_text(value: Value | None) -> str:
    """A value as it stands on a topic: numbers without exponent, ISO dates, text as it is, "" for None."""
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    return str(value)
