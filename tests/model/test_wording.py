"""Numbers and slugs in sentences."""
from __future__ import annotations

import pytest

from mbusgw.model.fields import slug
from mbusgw.model.wording import counted, in_words


@pytest.mark.parametrize(
    ("number", "forms", "told"),
    [
        (0, ("key",), "0 keys"),
        (1, ("key",), "1 key"),
        (2, ("key",), "2 keys"),
        (1, ("key is", "keys are"), "1 key is"),
        (3, ("try", "tries"), "3 tries"),
    ],
)
def test_one_thing_is_told_in_the_singular(number: int, forms: tuple[str, ...], told: str) -> None:
    assert counted(number, *forms) == told


@pytest.mark.parametrize(("name", "told"), [("of_hca", "of HCA"), ("co2_content", "CO2 content"), ("a", "a")])
def test_a_slug_is_told_as_people_write_it_and_is_the_same_slug_again(name: str, told: str) -> None:
    assert in_words(name) == told and slug(told) == name
