"""The table of quantities."""
from __future__ import annotations

import re

import pytest

from mbusgw.model.quantity import QUANTITIES, Kind


def test_every_quantity_is_listed_once_under_its_slug() -> None:
    for name, quantity in QUANTITIES.items():
        assert name == quantity.slug and re.fullmatch(r"[a-z][a-z0-9_]*", name)
    titles = [quantity.title for quantity in QUANTITIES.values()]
    assert len(set(titles)) == len(titles)


def test_the_table_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        QUANTITIES["energy"] = QUANTITIES["power"]  # type: ignore[index]


def test_what_is_billed_is_a_counter() -> None:
    assert {QUANTITIES[slug].kind for slug in ("energy", "volume", "hca", "mass")} == {Kind.COUNTER}
    assert {QUANTITIES[slug].kind for slug in ("power", "volume_flow", "flow_temperature")} == {Kind.GAUGE}
