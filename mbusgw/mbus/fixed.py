"""The fixed data structure of old meters: two counters and no records (EN 1434-3; CI 73 and 77)."""
from __future__ import annotations

from mbusgw.mbus.values import EXACT, Decoded, read_bcd, read_signed, scale_by
from mbusgw.mbus.vif_tables import Vif
from mbusgw.model.errors import FormatUnknown
from mbusgw.model.meter import MeterIdentity
from mbusgw.model.quantity import QUANTITIES
from mbusgw.model.record import Record, Value
from mbusgw.model.telegram import DecodedTelegram, Header

LENGTH = 16
_STATUS_BINARY = 0x01
_STATUS_AT_FIXED_DATE = 0x02
_SAME_BUT_HISTORIC = 0x3E
_TIME_OF_DAY = 0x00
_DATE = 0x01
_NO_UNIT = 0x3F

#: Four bits of medium -> device type of the variable structure; A to E are the same media in mode 2.
_MEDIA = (0, 1, 2, 3, 4, 5, 6, 7, 8, 0x0F, 3, 4, 6, 7, 8, 0x0F)


def _units() -> dict[int, Vif]:
    """Unit codes 02 to 39. Each unit comes three times: × 1, × 10, × 100; it stays as the meter counts it."""
    ladder = (
        (0x02, "energy", ("Wh", "kWh", "MWh")),
        (0x0B, "energy", ("kJ", "MJ", "GJ")),
        (0x14, "power", ("W", "kW", "MW")),
        (0x1D, "power", ("kJ/h", "MJ/h", "GJ/h")),
        (0x26, "volume", ("ml", "l", "m³")),
        (0x2F, "volume_flow", ("ml/h", "l/h", "m³/h")),
    )
    table = {
        first + 3 * step + n: Vif(quantity, unit, exponent=n)
        for first, quantity, units in ladder
        for step, unit in enumerate(units)
        for n in range(3)
    }
    table[0x38] = Vif("flow_temperature", "°C", exponent=-3)
    table[0x39] = Vif("hca")
    return table


_UNITS = _units()


def decode_fixed(payload: bytes, *, ci: int, address: int, most_significant_first: bool) -> DecodedTelegram:
    """The telegram of a fixed structure. Raises ``FormatUnknown`` when it is not 16 bytes long.

    A counter whose unit is "same but historic" has the unit of the other and the
    qualifier ``historic``; counters stored at a fixed date have ``fixed_date``.
    """
    if len(payload) != LENGTH:
        raise FormatUnknown(f"the fixed structure has {LENGTH} bytes, this has {len(payload)}")
    order = slice(None, None, -1) if most_significant_first else slice(None)
    identification = payload[0:4][order]
    access_no, status = payload[4], payload[5]
    medium = _MEDIA[payload[6] >> 6 | payload[7] >> 6 << 2]
    codes = (payload[6] & 0x3F, payload[7] & 0x3F)
    counters = (payload[8:12][order], payload[12:16][order])
    header = Header(
        ci,
        MeterIdentity(identification[::-1].hex().upper(), None, None, medium),
        address,
        access_no,
        status,
    )
    records = tuple(_counter(codes, n, counters[n], status) for n in range(2))
    return DecodedTelegram(header, records, structure="fixed")


def _counter(codes: tuple[int, int], which: int, data: bytes, status: int) -> Record:
    code = codes[which]
    qualifiers: list[str] = []
    if code == _SAME_BUT_HISTORIC:
        code = codes[1 - which]
        qualifiers.append("historic")
    if status & _STATUS_AT_FIXED_DATE:
        qualifiers.append("fixed_date")
    vif = _UNITS.get(code)
    value, problem = _value(code, vif, data, status)
    return Record(
        QUANTITIES[vif.quantity if vif else "dimensionless" if code == _NO_UNIT else "unknown"],
        vif.unit if vif else "",
        value,
        qualifiers=tuple(qualifiers),
        vib=bytes((codes[which],)),
        data=data,
        problem=problem,
    )


def _value(code: int, vif: Vif | None, data: bytes, status: int) -> Decoded:
    if code in (_TIME_OF_DAY, _DATE):
        # the standard names the units "h,m,s" and "D,M,Y" but not how they are packed: no guess
        text: Value = data[::-1].hex()
        return text, "a date or time of the fixed structure is kept as its digits"
    factor = EXACT.scaleb(1, vif.exponent) if vif else EXACT.scaleb(1, 0)
    scale = scale_by(factor, None, keep_int=vif is None or not vif.unit)
    value, problem = read_signed(data, scale) if status & _STATUS_BINARY else read_bcd(data, scale)
    if vif is None and code != _NO_UNIT:
        unknown = f"unit {code:02X} of the fixed structure is not assigned"
        problem = f"{unknown}; {problem}" if problem else unknown
    return value, problem
