"""The formats of a meter's telegrams."""
from __future__ import annotations

from datetime import timedelta

from mbusgw.model.format import KNOWN_MAX, first_format, format_document
from tests.fakes.clock import START

LATER = START + timedelta(hours=1)


def test_the_first_format_is_no_change_and_the_same_again_is_none_either() -> None:
    first = first_format(0xEF92)
    assert first.next(0xEF92, LATER) is first and first.changed_at is None


def test_a_new_format_is_a_change_and_one_that_alternates_with_it_is_not() -> None:
    changed = first_format(1).next(2, START)
    assert (changed.signature, changed.known, changed.changed_at) == (2, (1, 2), START)
    back = changed.next(1, LATER)
    assert (back.signature, back.known, back.changed_at) == (1, (1, 2), START)


def test_no_more_than_some_are_remembered() -> None:
    known = first_format(0)
    for number in range(100):
        known = known.next(number, START)
    assert len(known.known) == KNOWN_MAX and known.known[-1] == 99


def test_the_signature_is_shown_in_both_spellings() -> None:
    shown = format_document(first_format(0xEF92))
    assert shown == {"signature": 61330, "signature_hex": "EF92", "known": ["EF92"], "changed_at": None}
    assert format_document(None) is None
