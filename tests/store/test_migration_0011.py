"""Schema 11: what a meter says of itself is kept with its reading."""
from __future__ import annotations

from tests.store.conftest import Opened
from tests.store.steps import reading_of_schema


def test_of_a_reading_of_before_it_is_not_known(opened: Opened) -> None:
    assert reading_of_schema(10, opened).status is None
