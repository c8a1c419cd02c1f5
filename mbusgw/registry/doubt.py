"""What speaks against a counter's value, given the one that was believed last."""
from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from mbusgw.model.quarantine import Count, Doubt, Suspect
from mbusgw.model.reading import Field
from mbusgw.registry.counters import begins_anew

#: Many meters renew their values now and then only, so what an hour allows may come at once.
SHORTEST_S = 3600
#: A step between two readings fits to the jump before it when it is as steep, but for this factor.
STEADY = 4
#: BCD data fields of the DIF -> their decimal digits (EN 13757-3, table 4).
_DIGITS = {0x09: 2, 0x0A: 4, 0x0B: 6, 0x0C: 8, 0x0E: 12}
_REAL = 0x05
#: A counter that rolls over goes from this part of its range on into that part of the next round.
_NEARLY_OVER, _JUST_BEGUN = Decimal("0.9"), Decimal("0.1")


def doubt(base: Count, field: Field, most_per_hour: Decimal, at: datetime) -> Doubt | None:
    """Why ``field``, of ``at``, cannot follow on ``base``; None if it can. **any thread**"""
    value = field.value
    if not isinstance(value, (Decimal, int)):
        return Doubt.NO_NUMBER
    if field.unit != base.unit:
        return Doubt.UNIT
    grown = value - base.value
    if grown >= 0:
        return None if grown <= _allowed(base, most_per_hour, at) else Doubt.JUMP
    if repeats(base, field):
        return None
    if value == 0 and not begins_anew(field.record):
        return Doubt.ZERO
    return None if _rolls_over(base, field, most_per_hour, at) else Doubt.DOWN


def repeats(base: Count, field: Field) -> bool:
    """``field`` says the same as ``base``, but less exactly: some meters send now this, now that resolution.
    **any thread**"""
    value = field.value
    return isinstance(value, (Decimal, int)) and field.unit == base.unit and 0 < base.value - value < resolution(field)


def agrees(base: Count, suspect: Suspect, field: Field, most_per_hour: Decimal, at: datetime) -> bool:
    """``field`` confirms ``suspect``: the same, or what the meter may have counted since. A meter that counts faster
    than it should agrees with itself when it goes on as steeply as it jumped away from ``base``. **any thread**"""
    before, value = suspect.field.value, field.value
    if field.unit != suspect.field.unit or not isinstance(before, (Decimal, int)):
        return False
    if not isinstance(value, (Decimal, int)) or value < before:
        return False
    if value - before <= _allowed(count(suspect.field, suspect.last_at), most_per_hour, at):
        return True
    if base.unit != field.unit or before <= base.value:
        return False
    # step / its seconds against jump / its seconds, without a division
    step, jump = Decimal(value - before), Decimal(before - base.value)
    steps_s, jumps_s = _seconds(suspect.last_at, at), _seconds(base.at, suspect.last_at)
    return jump * steps_s <= STEADY * step * jumps_s and step * jumps_s <= STEADY * jump * steps_s


def resolution(field: Field) -> Decimal:
    """The last digit of a value; 0 of a floating-point number, whose digits tell nothing. **any thread**"""
    record = field.record
    if not isinstance(field.value, (Decimal, int)) or (record and record.dib and record.dib[0] & 0x0F == _REAL):
        return Decimal(0)
    exponent = field.value.as_tuple().exponent if isinstance(field.value, Decimal) else 0
    return Decimal(1).scaleb(int(exponent)) if isinstance(exponent, int) else Decimal(0)


def count(field: Field, at: datetime) -> Count:
    """What is to be remembered of a counter's ``field``, a number. **any thread**"""
    assert isinstance(field.value, (Decimal, int))
    return Count(field.value, field.unit, at, resolution(field))


def _allowed(base: Count, most_per_hour: Decimal, at: datetime) -> Decimal:
    """How much it may have grown: by the time, and by two of its last digits, however coarse they are."""
    if not most_per_hour.is_finite():
        return most_per_hour
    return most_per_hour * max(_seconds(base.at, at), Decimal(SHORTEST_S)) / 3600 + 2 * base.resolution


def _rolls_over(base: Count, field: Field, most_per_hour: Decimal, at: datetime) -> bool:
    span = _range(field)
    if span is None or not isinstance(field.value, (Decimal, int)):
        return False
    if not (_NEARLY_OVER * span <= base.value < span and field.value <= _JUST_BEGUN * span):
        return False
    return field.value + span - base.value <= _allowed(base, most_per_hour, at)


def _range(field: Field) -> Decimal | None:
    """Where a counter of decimal digits begins anew, in the unit of its field; None where nothing says so."""
    record = field.record
    if record is None or not record.dib or not isinstance(field.value, (Decimal, int)):
        return None
    digits = _DIGITS.get(record.dib[0] & 0x0F)
    text = record.data[::-1].hex()
    if digits is None or not text.isdecimal() or int(text) == 0:
        return None
    return Decimal(field.value) / int(text) * Decimal(10) ** digits


def _seconds(since: datetime, until: datetime) -> Decimal:
    return max(Decimal(0), Decimal((until - since).total_seconds()))
