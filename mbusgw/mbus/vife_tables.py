"""What a VIFE adds to a VIF: the combinable codes 00 to 7F and their extension FC.

EN 13757-3:2018, tables 15, 16 and 18, with the codes that later editions assigned. Plain data.
``COMBINABLE`` holds every assigned code but 7C (extension) and 7F (manufacturer's), which steer
the reading of the VIB itself.
"""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

from mbusgw.mbus.vif_tables import SECONDS


class Turns(Enum):
    """What a VIFE makes of the value, when it is no longer the quantity of the VIF."""

    INTO_TIME_POINT = "datetime"
    INTO_DURATION = "duration"
    INTO_COUNT = "exceed_count"
    INTO_PROFILE = "profile"  # a packed series of values


@dataclass(frozen=True, slots=True)
class Vife:
    """One combinable VIFE. **immutable**

    ``qualifiers`` name what it adds. ``exponent`` multiplies by a power of ten,
    ``offset`` adds that power of ten in the unit of the VIF (after the factor).
    ``seconds`` is the length of one unit of a duration. ``problem`` is what the meter
    reports about this record; ``keeps_value`` says whether the value is still told.
    """

    qualifiers: tuple[str, ...] = ()
    exponent: int = 0
    offset: int | None = None
    turns: Turns | None = None
    seconds: int = 1
    problem: str | None = None
    keeps_value: bool = True


EXTENSION_FC = 0x7C
MANUFACTURER = 0x7F

#: The qualifier of a value whose unit is not the one of its VIF.
NON_METRIC = "non_metric"

_FIRST_LAST = ("first", "last")
_BEGIN_END = ("begin", "end")
_LIMIT = ("limit_lower", "limit_upper")

_WORDS = {
    0x12: "average",
    0x14: "relative_deviation",
    0x1D: "standard_conform",
    0x20: "per_second",
    0x21: "per_minute",
    0x22: "per_hour",
    0x23: "per_day",
    0x24: "per_week",
    0x25: "per_month",
    0x26: "per_year",
    0x27: "per_revolution",
    0x28: "per_input_pulse_0",
    0x29: "per_input_pulse_1",
    0x2A: "per_output_pulse_0",
    0x2B: "per_output_pulse_1",
    0x2C: "per_litre",
    0x2D: "per_m3",
    0x2E: "per_kg",
    0x2F: "per_kelvin",
    0x30: "per_kwh",
    0x31: "per_gj",
    0x32: "per_kw",
    0x33: "per_kelvin_litre",
    0x34: "per_volt",
    0x35: "per_ampere",
    0x36: "times_second",
    0x37: "times_second_per_volt",
    0x38: "times_second_per_ampere",
    0x3A: "uncorrected",
    0x3B: "forward",
    0x3C: "backward",
    0x3E: "base_conditions",
    0x3F: "obis",
    0x40: "limit_lower",
    0x44: "times_flow_temperature",
    0x45: "times_return_temperature",
    0x48: "limit_upper",
    0x68: "during_limit_lower",
    0x69: "leakage",
    0x6C: "during_limit_upper",
    0x6D: "overflow",
    0x7E: "future",
}

#: Errors that a meter reports in a record instead of a value (table 18).
_REPORTED = {
    0x01: "too many DIFEs",
    0x02: "storage number not implemented",
    0x03: "unit number not implemented",
    0x04: "tariff number not implemented",
    0x05: "function not implemented",
    0x06: "data class not implemented",
    0x07: "data size not implemented",
    0x0B: "too many VIFEs",
    0x0C: "illegal VIF group",
    0x0D: "illegal VIF exponent",
    0x0E: "VIF and DIF do not match",
    0x0F: "action not implemented",
    0x15: "no data available",
    0x16: "data overflow",
    0x17: "data underflow",
}


def _build() -> Mapping[int, Vife]:
    """The table of combinable VIFEs."""
    table = {code: Vife((word,)) for code, word in _WORDS.items()}
    table[0x00] = Vife()
    table.update({c: Vife(problem=f"the meter reports: {t}", keeps_value=False) for c, t in _REPORTED.items()})
    # a value in an error state is told, under a name of its own: some meters count their error hours so
    table[0x18] = Vife(("data_error",), problem="the meter reports: data error")
    # the record did not end early, its data are here; water meters send their error flags with it
    table[0x1C] = Vife(("record_error",), problem="the meter reports: premature end of record")
    table[0x13] = Vife(("inverse_compact_profile",), turns=Turns.INTO_PROFILE)
    table[0x1E] = Vife(("compact_profile_registers",), turns=Turns.INTO_PROFILE)
    table[0x1F] = Vife(("compact_profile",), turns=Turns.INTO_PROFILE)
    table[0x39] = Vife(("start",), turns=Turns.INTO_TIME_POINT)
    table[0x3D] = Vife((NON_METRIC,))
    _add_limits(table)
    for n in range(8):
        table[0x70 + n] = Vife(exponent=n - 6)
    for n in range(4):
        table[0x78 + n] = Vife(offset=n - 3)
    table[0x7D] = Vife(exponent=3)
    return MappingProxyType(table)


def _add_limits(table: dict[int, Vife]) -> None:
    """Codes with the bits u (lower or upper limit), f (first or last), b (begin or end), nn (unit of a duration)."""
    for u, limit in enumerate(_LIMIT):
        table[0x41 | u << 3] = Vife((limit,), turns=Turns.INTO_COUNT)
        for f, which in enumerate(_FIRST_LAST):
            for b, edge in enumerate(_BEGIN_END):
                table[0x42 | u << 3 | f << 2 | b] = Vife((which, limit, edge), turns=Turns.INTO_TIME_POINT)
            for n, seconds in enumerate(SECONDS):
                table[0x50 | u << 3 | f << 2 | n] = Vife((which, limit), turns=Turns.INTO_DURATION, seconds=seconds)
    for f, which in enumerate(_FIRST_LAST):
        for n, seconds in enumerate(SECONDS):
            table[0x60 | f << 2 | n] = Vife((which,), turns=Turns.INTO_DURATION, seconds=seconds)
        for b, edge in enumerate(_BEGIN_END):
            table[0x6A | f << 2 | b] = Vife((which, edge), turns=Turns.INTO_TIME_POINT)


#: VIFE (seven lower bits) -> what it adds (tables 15 and 18).
COMBINABLE = _build()

#: VIFE after FC -> the word it adds (table 16). Types C and D are no words (the data have no sign then), nor is
#: the end date.
COMBINABLE_EXTENSION: Mapping[int, str] = MappingProxyType(
    {
        0x01: "l1",
        0x02: "l2",
        0x03: "l3",
        0x04: "neutral",
        0x05: "l1_l2",
        0x06: "l2_l3",
        0x07: "l3_l1",
        0x08: "quadrant_1",
        0x09: "quadrant_2",
        0x0A: "quadrant_3",
        0x0B: "quadrant_4",
        0x0C: "delta_import_export",
        0x0D: NON_METRIC,
        0x0E: "secondary_sensor",
        0x0F: "high_resolution",
        0x10: "absolute",
        0x14: "to_meter",
        0x15: "from_meter",
        0x16: "liquid_pressure",
        0x17: "gas_pressure",
        0x18: "outdoors",
        0x25: "l1_to_l2",
        0x26: "l2_to_l3",
        0x27: "l3_to_l1",
    }
)
FC_TYPE_C = 0x11
FC_TYPE_D = 0x12
FC_END_DATE = 0x13
