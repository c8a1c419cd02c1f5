"""Ids that sort by time."""
from __future__ import annotations

import uuid
from datetime import timedelta

from mbusgw.runtime.identifier import new_id
from tests.fakes.clock import START


def test_an_id_is_a_uuid_of_version_7_in_its_usual_form() -> None:
    for _ in range(50):
        text = new_id(START)
        known = uuid.UUID(text)
        assert str(known) == text and known.version == 7 and known.variant == uuid.RFC_4122
        assert known.int >> 80 == int(START.timestamp() * 1000)


def test_ids_of_one_moment_differ_and_later_ones_sort_behind() -> None:
    many = {new_id(START) for _ in range(1000)}
    assert len(many) == 1000
    assert max(many) < new_id(START + timedelta(milliseconds=1))
