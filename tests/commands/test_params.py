"""Parameters, right and wrong."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mbusgw.commands.params import Params
from mbusgw.model.address import SecondaryAddress
from mbusgw.model.errors import RequestError


def test_what_is_right_is_taken() -> None:
    params = Params({"bus": " main ", "new": "7", "yes": True, "address": "1234567824401007", "nothing": None})
    assert params.text("bus") == "main"
    assert params.number("new", 1, 250) == 7
    assert params.flag("yes") is True
    assert params.address("address") == SecondaryAddress.parse("1234567824401007")
    assert "nothing" not in params
    params.done()


def test_what_is_left_out_has_its_default() -> None:
    params = Params({})
    assert params.text("bus", None) is None
    assert params.number("code", 0, 255, None) is None
    assert params.flag("yes") is False
    assert params.address("address", 5) == 5


@pytest.mark.parametrize(
    ("value", "take"),
    [
        (1, lambda params: params.text("it")),
        ("", lambda params: params.text("it")),
        ("x" * 201, lambda params: params.text("it")),
        (0, lambda params: params.number("it", 1, 250)),
        (251, lambda params: params.number("it", 1, 250)),
        (True, lambda params: params.number("it", 0, 1)),
        (1.5, lambda params: params.number("it", 1, 2)),
        ("9" * 5000, lambda params: params.number("it", 1, 2)),
        ("one", lambda params: params.number("it", 1, 2)),
        ("yes", lambda params: params.flag("it")),
        (1, lambda params: params.flag("it")),
        ("12345", lambda params: params.address("it")),
        ([1], lambda params: params.address("it")),
        ({"id": [1]}, lambda params: params.address("it")),
        (251, lambda params: params.address("it")),
        (None, lambda params: params.text("it")),
    ],
)
def test_what_is_wrong_is_named(value: object, take: Callable[[Params], Any]) -> None:
    with pytest.raises(RequestError) as caught:
        take(Params({"it": value}))
    assert caught.value.status == 400 and caught.value.field == "it"


def test_a_time_that_is_no_time_is_told_with_bounds_that_a_person_reads() -> None:
    with pytest.raises(RequestError) as caught:
        Params({"interval": "-1"}).duration("interval", 1, 3660 * 86400)
    assert str(caught.value) == 'interval is a time from 1 s to 3660 days, such as 60 or "15m"'


def test_a_parameter_that_nobody_knows_is_named_with_those_there_are() -> None:
    params = Params({"bus": "main", "adress": 5})
    params.text("bus")
    params.address("address", None)
    with pytest.raises(RequestError, match="no parameter 'adress'; there are address, bus"):
        params.done()
