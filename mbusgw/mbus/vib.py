"""The value information block: what VIF and VIFEs say together (EN 13757-3, 6.4).

``end_of_vib`` finds where one ends, ``read_vib`` says what it means; the same bytes
always mean the same, so callers may remember the answer.
"""
from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from mbusgw.mbus.vif_tables import (
    EXTENSION_EF,
    EXTENSION_FB,
    EXTENSION_FB_TABLE,
    EXTENSION_FD,
    EXTENSION_FD_FD_TABLE,
    EXTENSION_FD_TABLE,
    MANUFACTURER_VIF,
    PLAIN_TEXT_VIF,
    PRIMARY,
    Coding,
    Vif,
)
from mbusgw.mbus.vife_tables import (
    COMBINABLE,
    COMBINABLE_EXTENSION,
    EXTENSION_FC,
    FC_END_DATE,
    FC_TYPE_C,
    FC_TYPE_D,
    MANUFACTURER,
    NON_METRIC,
    Turns,
)

MAX_VIFE = 10


class BrokenBlock(Exception):
    """The block cannot be delimited; ``str()`` says why. Never leaves the decoder of records."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a VIB says. ``value = raw × factor + offset``. **immutable**

    ``problem`` is what the meter reports or what of the VIB is not assigned;
    ``keeps_value`` says whether the value is told nevertheless.
    """

    quantity: str
    unit: str
    coding: Coding
    factor: Decimal
    offset: Decimal | None
    qualifiers: tuple[str, ...]
    text: str | None
    problem: str | None
    keeps_value: bool


# ------------------------------------------------------------------ where it ends
def end_of_vib(payload: bytes, start: int) -> int:
    """Index after the VIB that begins at ``start``. Raises ``BrokenBlock``."""
    if start >= len(payload):
        raise BrokenBlock("the data end before its VIF")
    if payload[start] & 0x7F == PLAIN_TEXT_VIF:
        return _split_plain_text(payload, start)[2]
    return _end_of_chain(payload, start)


def _end_of_chain(payload: bytes, start: int) -> int:
    """Index after the first byte without extension bit; a VIF and at most ten VIFEs."""
    position = start
    limit = start + 1 + MAX_VIFE
    try:
        while payload[position] & 0x80:
            position += 1
            if position >= limit:
                raise BrokenBlock(f"it has more than {MAX_VIFE} VIFEs")
    except IndexError:
        raise BrokenBlock("the data end inside its VIB") from None
    return position + 1


def _split_plain_text(payload: bytes, start: int) -> tuple[str, bytes, int]:
    """Text, VIFEs and end of a VIB with VIF 7C or FC.

    The standard lets the text follow the VIFEs, many meters send it before them: the
    first reading whose text is text is right.
    """
    if payload[start] == PLAIN_TEXT_VIF:
        text, end = _text_at(payload, start + 1)
        return text, b"", end
    try:
        text, position = _text_at(payload, start + 1)
        if text and text.isprintable():
            end = _end_of_chain(payload, position)
            return text, payload[position:end], end
    except BrokenBlock:
        pass
    position = _end_of_chain(payload, start + 1)
    text, end = _text_at(payload, position)
    return text, payload[start + 1 : position], end


def _text_at(payload: bytes, start: int) -> tuple[str, int]:
    """A length byte and that many characters, last one first."""
    if start >= len(payload):
        raise BrokenBlock("the data end before its plain-text VIF")
    end = start + 1 + payload[start]
    if end > len(payload):
        raise BrokenBlock("the data end inside its plain-text VIF")
    return payload[start + 1 : end][::-1].decode("latin-1"), end


# ------------------------------------------------------------------ what it means
@dataclass(slots=True)
class _Draft:
    """A meaning while the VIFEs are read."""

    vif: Vif
    exponent: int = 0
    multiplier: Decimal = Decimal(1)
    offset: Decimal | None = None
    qualifiers: list[str] = field(default_factory=list)
    text: str | None = None
    problems: list[str] = field(default_factory=list)
    keeps_value: bool = True


def read_vib(vib: bytes) -> Meaning:
    """What a complete VIB means. Never raises: what is not assigned becomes ``unknown`` with a problem."""
    if vib[0] & 0x7F == PLAIN_TEXT_VIF:
        text, vifes, _ = _split_plain_text(vib, 0)
        draft = _Draft(PRIMARY[PLAIN_TEXT_VIF], text=text.strip("\0 "))
        _apply(draft, vifes)
        return _finish(draft)
    draft, used = _true_vif(vib)
    if vib[0] & 0x7F == MANUFACTURER_VIF:
        if len(vib) > 1:
            draft.qualifiers.append(vib[1:].hex())
    else:
        _apply(draft, vib[used:])
    return _finish(draft)


def _true_vif(vib: bytes) -> tuple[_Draft, int]:
    """The VIF proper, through the extension tables, and how many bytes it takes."""
    first = vib[0]
    table, used = PRIMARY, 1
    if first == EXTENSION_FB:
        table, used = EXTENSION_FB_TABLE, 2
    elif first == EXTENSION_FD:
        table, used = EXTENSION_FD_TABLE, 2
        if vib[1] == EXTENSION_FD:
            table, used = EXTENSION_FD_FD_TABLE, 3
    elif first == EXTENSION_EF:
        used = 2
    vif = table.get(vib[used - 1] & 0x7F) if first != EXTENSION_EF else None
    if vif is not None:
        return _Draft(vif), used
    code = (vib[: used - 1] + bytes((vib[used - 1] & 0x7F,))).hex()
    return _Draft(Vif("unknown"), qualifiers=[code], problems=[f"VIF {code.upper()} is not assigned"]), used


def _apply(draft: _Draft, vifes: bytes) -> None:
    """Adds what each VIFE says, in wire order."""
    codes = [byte & 0x7F for byte in vifes]
    position = 0
    while position < len(codes):
        code = codes[position]
        position += 1
        if code == MANUFACTURER:
            rest = vifes[position:].hex()
            draft.qualifiers.append(f"manufacturer_{rest}" if rest else "manufacturer")
            return
        if code == EXTENSION_FC and position < len(codes):
            _apply_extension(draft, codes[position])
            position += 1
        else:
            _apply_combinable(draft, code)


def _apply_extension(draft: _Draft, code: int) -> None:
    if code in (FC_TYPE_C, FC_TYPE_D):
        draft.vif = Vif(draft.vif.quantity, draft.vif.unit, draft.vif.exponent, draft.vif.multiplier, Coding.UNSIGNED)
        return
    if code == FC_END_DATE:
        _turn(draft, Turns.INTO_TIME_POINT, 1)
        draft.qualifiers.append("end")
        return
    word = COMBINABLE_EXTENSION.get(code)
    if word is None:
        word = f"vife_fc{code:02x}"
        draft.problems.append(f"VIFE FC {code:02X} is not assigned")
    draft.qualifiers.append(word)


def _apply_combinable(draft: _Draft, code: int) -> None:
    vife = COMBINABLE.get(code)
    if vife is None:
        draft.qualifiers.append(f"vife_{code:02x}")
        draft.problems.append(f"VIFE {code:02X} is not assigned")
        return
    if vife.turns is not None:
        _turn(draft, vife.turns, vife.seconds)
    draft.exponent += vife.exponent
    if vife.offset is not None:
        draft.offset = (draft.offset or Decimal(0)) + Decimal(1).scaleb(vife.offset)
    draft.qualifiers.extend(vife.qualifiers)
    if vife.problem:
        draft.problems.append(vife.problem)
    draft.keeps_value &= vife.keeps_value


def _turn(draft: _Draft, turns: Turns, seconds: int) -> None:
    """Makes the value one of another quantity; which one it is about stays as the first qualifier."""
    if turns is Turns.INTO_PROFILE:
        draft.vif = Vif(draft.vif.quantity, coding=Coding.RAW)
        return
    if draft.vif.coding is not Coding.TIME_POINT:
        draft.qualifiers.insert(0, f"of_{draft.vif.quantity}")
    if turns is Turns.INTO_TIME_POINT:
        draft.vif = Vif("datetime", coding=Coding.TIME_POINT)
    elif turns is Turns.INTO_DURATION:
        draft.vif = Vif("duration", "s", multiplier=seconds)
    else:
        draft.vif = Vif("exceed_count", coding=Coding.UNSIGNED)


def _finish(draft: _Draft) -> Meaning:
    vif = draft.vif
    factor = Decimal(vif.multiplier) * Decimal(1).scaleb(vif.exponent + draft.exponent)
    offset = draft.offset * vif.multiplier if draft.offset is not None else None
    unit = vif.unit
    if NON_METRIC in draft.qualifiers:
        unit = ""
        draft.problems.append("counted in a non-metric unit")
    return Meaning(
        vif.quantity,
        unit,
        vif.coding,
        factor,
        offset,
        tuple(draft.qualifiers),
        draft.text,
        "; ".join(draft.problems) or None,
        draft.keeps_value,
    )
