"""Compact profiles: several values in one record, at even distances in time (EN 13757-3:2018, annex F).

A record with VIFE 1E, 1F or 13 (inverse: back in time) holds a spacing control byte, a spacing
value and the values. They are absolute, or steps from one to the next, beginning at the base value:
the record with the same place and VIF without that VIFE.
"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from mbusgw.mbus.values import DATA_LENGTHS, FIELD_LVAR, FIELD_REAL, Reader, reader_for, scale_by
from mbusgw.mbus.vib import Meaning, read_vib
from mbusgw.mbus.vif_tables import Coding
from mbusgw.model.record import Record, Value

INVERSE, WITH_REGISTERS, PLAIN = 0x13, 0x1E, 0x1F
_KINDS = {"inverse_compact_profile": INVERSE, "compact_profile_registers": WITH_REGISTERS, "compact_profile": PLAIN}

#: Increment mode: the upper two bits of the spacing control byte.
_ABSOLUTE, _INCREMENTS, _DECREMENTS, _SIGNED = range(4)

_BINARY_FIELDS = (0x01, 0x02, 0x03, 0x04, 0x06, 0x07)


@dataclass(frozen=True, slots=True)
class _Profile:
    """A record that is a profile, taken apart. **immutable** ``vib`` and ``meaning`` are those of its values."""

    record: Record
    kind: int
    mode: int
    field: int
    vib: bytes
    meaning: Meaning
    values: bytes


def expand_profiles(records: Sequence[Record]) -> tuple[Record, ...]:
    """The single values of all profiles in ``records``, in order; those that the meter marks as invalid are left out.

    The values of a profile with register numbers (VIFE 1E) have the storage numbers that follow that of the
    record. Those of the others have none of their own and are told apart by a qualifier, ``profile_1`` and
    so on, counted from the base value. Any thread.
    """
    return tuple(value for record in records if (profile := _profile(record)) for value in _values(profile, records))


def _profile(record: Record) -> _Profile | None:
    kind = next((kind for word, kind in _KINDS.items() if word in record.qualifiers), None)
    if kind is None or not record.dib or record.dib[0] & 0x0F != FIELD_LVAR or len(record.data) < 3:
        return None
    control = record.data[1]
    field = control & 0x0F
    if field in (FIELD_LVAR, 0x0F) or not DATA_LENGTHS[field]:
        return None
    vib = _without(record.vib, kind)
    return _Profile(record, kind, control >> 6, field, vib, read_vib(vib), record.data[3:])


def _without(vib: bytes, kind: int) -> bytes:
    """The VIB without the VIFE that makes it a profile, its extension bits set right."""
    last = max(index for index, byte in enumerate(vib) if byte & 0x7F == kind)
    rest = vib[:last] + vib[last + 1 :]
    return rest[:-1] + bytes((rest[-1] & 0x7F,)) if last == len(rest) else rest


def _values(profile: _Profile, records: Sequence[Record]) -> Iterator[Record]:
    size = DATA_LENGTHS[profile.field] or 1
    read = _reader(profile)
    back = (profile.mode == _DECREMENTS) != (profile.kind == INVERSE)
    total = None if profile.mode == _ABSOLUTE else _base(profile, records)
    for number, start in enumerate(range(0, len(profile.values) - size + 1, size), 1):
        data = profile.values[start : start + size]
        value = None if _is_unset(data, profile) else read(data)[0]
        if profile.mode != _ABSOLUTE:
            if total is None or not isinstance(value, (int, Decimal)):
                return  # all that follow count from this one
            value = total = total - value if back else total + value
        if value is not None:
            yield _single(profile, number, data, value)


def _reader(profile: _Profile) -> Reader:
    """Increments and decrements have no sign, and a step has no offset: the base value has it already."""
    meaning, coding = profile.meaning, profile.meaning.coding
    if coding is Coding.NUMBER and profile.mode in (_INCREMENTS, _DECREMENTS):
        coding = Coding.UNSIGNED
    offset = meaning.offset if profile.mode == _ABSOLUTE else None
    return reader_for(profile.field, coding, scale_by(meaning.factor, offset, keep_int=not meaning.unit))


def _is_unset(data: bytes, profile: _Profile) -> bool:
    """Whether all bits are set: no value in any coding but the signed binary one, where it is -1."""
    signed = profile.mode in (_ABSOLUTE, _SIGNED) and profile.meaning.coding is Coding.NUMBER
    return set(data) == {0xFF} and profile.field != FIELD_REAL and not (signed and profile.field in _BINARY_FIELDS)


def _base(profile: _Profile, records: Sequence[Record]) -> Decimal | int | None:
    """The value from which the steps count; None where there is none."""
    own = profile.record
    place = (own.storage, own.tariff, own.subunit, own.function, profile.vib)
    for record in records:
        if (record.storage, record.tariff, record.subunit, record.function, record.vib) == place:
            return record.value if isinstance(record.value, (int, Decimal)) else None
    return None


def _single(profile: _Profile, number: int, data: bytes, value: Value) -> Record:
    registers = profile.kind == WITH_REGISTERS
    return replace(
        profile.record,
        unit=profile.meaning.unit,
        value=value,
        storage=profile.record.storage + (number if registers else 0),
        qualifiers=profile.meaning.qualifiers + (() if registers else (f"profile_{number}",)),
        vib=profile.vib,
        data=data,
        problem=profile.meaning.problem,
    )
