"""Numbers in sentences."""
from __future__ import annotations

import pytest

from mbusgw.model.wording import counted


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
