"""The address of a meter as it is written in the file."""
from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbusgw.config.address import parse_address
from mbusgw.config.loader import loads
from mbusgw.model.address import Address, SecondaryAddress
from mbusgw.model.errors import Problem
from tests.config.refusals import only

BUS = "buses: [{name: main, port: /dev/x}]\n"


def address_of(written: str) -> Address:
    return loads(f"{BUS}devices: [{{id: a, bus: main, address: {written}}}]\n", {}).devices[0].address


def problem_of(*written: str) -> Problem:
    items = ", ".join(f"{{id: m{n}, bus: main, address: {text}}}" for n, text in enumerate(written))
    return only(f"{BUS}devices: [{items}]\n")


@pytest.mark.parametrize(
    "digits",
    ["1234567824401007", "0000000124401007", "0123456701010101", "12345678244010E7", "1234567E24401007",
     "ffffffff2d2cffff", "1111111111111111", "0000000000000000"],
)
@pytest.mark.parametrize("quote", ["", '"', "'"])
def test_sixteen_digits_lose_none_quoted_or_not(digits: str, quote: str) -> None:
    assert str(address_of(f"{quote}{digits}{quote}")) == digits.upper()


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("{id: 12345678, manufacturer: KAM, version: 16, medium: 7}", "123456782D2C1007"),
        ("{id: 00012345}", "00012345FFFFFFFF"),
        ("{id: 123456FF, manufacturer: pad}", "123456FF2440FFFF"),
        ("{manufacturer: KAM, version: 0x1B}", "FFFFFFFF2D2C1BFF"),
        ("{id: 12345678, version: }", "12345678FFFFFFFF"),
    ],
)
def test_the_parts_may_be_written_one_by_one_and_the_others_are_open(written: str, address: str) -> None:
    assert str(address_of(written)) == address


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("123456782440100", "this one has 15"),
        ("12345678244010077", "this one has 17"),
        ("12345678", "this one has 8"),
        ("123456782440100G", "16 hex digits"),
        ("300", "0 to 250"),
        ("0xFFFFF", "0 to 250"),
        ("[1, 2]", "0 to 250"),
        ("-1", "0 to 250"),
        ("1.5", "0 to 250"),
        ("''", "0 to 250"),
        ("{}", "at least one part"),
        ("{id: 1234}", "8 digits"),
        ("{id: [1]}", "8 digits"),
        ("{number: 12345678}", "no part `number`; it has id, manufacturer"),
        ("{id: 12345678, manufacturer: KAMSTRUP}", "three letters"),
        ("{id: 12345678, version: 256}", "version is a number from 0 to 255"),
        ("{id: 12345678, medium: water}", "medium is a number from 0 to 255"),
    ],
)
def test_a_wrong_address_is_told_what_is_wrong(written: str, words: str) -> None:
    problem = problem_of(written)
    assert problem.key == "devices[0].address" and problem.line == 2
    assert words in problem.message


@pytest.mark.parametrize(
    ("written", "words"),
    [
        (("1234567824401007", "{id: 12345678, manufacturer: PAD, version: 16, medium: 7}"), "the same as that of"),
        (("1234567824401007", "12345678FFFFFFFF"), "calls devices[0] too"),
        (("1234567FFFFFFFFF", "2234567824401007", "12345678FFFF10FF"), "calls devices[2] too"),
        (("1", "2", "254"), "254 calls every meter"),
        (("1234567824401007", "254"), "254 calls every meter"),
    ],
)
def test_two_devices_that_would_call_one_meter_are_reported(written: tuple[str, ...], words: str) -> None:
    assert words in problem_of(*written).message


def test_what_is_disabled_or_on_another_bus_does_not_count() -> None:
    text = (
        "buses: [{name: main, port: /dev/x}, {name: other, port: /dev/y}]\ndevices:\n"
        "- {id: a, bus: main, address: 1234567824401007}\n"
        "- {id: b, bus: other, address: 1234567824401007}\n"
        "- {id: c, bus: main, address: 12345678FFFFFFFF, enabled: no}\n"
        "- {id: d, bus: main, address: 1234567924401007}\n"
        "- {id: e, bus: main, address: FFFFFFFF2D2CFFFF}\n"
    )
    assert len(loads(text, {}).devices) == 5


@given(st.text(max_size=20) | st.integers() | st.booleans() | st.none() | st.floats()
       | st.dictionaries(st.sampled_from(["id", "manufacturer", "version", "medium", "x"]), st.text(max_size=9)))
def test_whatever_is_written_is_an_address_or_refused_with_a_reason(value: Any) -> None:
    try:
        address = parse_address(value)
    except ValueError as error:
        assert "address" in str(error) or "number" in str(error) or "manufacturer" in str(error)
        return
    assert isinstance(address, SecondaryAddress) or 0 <= address <= 250 or address == 254


# ------------------------------------------------------------------ who must answer
def with_meter(address: str, meter: str) -> str:
    return f"{BUS}devices:\n  - {{id: m, bus: main, address: {address}, meter: {meter}}}\n"


@pytest.mark.parametrize("written", ["'1234567824401007'", "{id: 12345678, manufacturer: PAD, version: 16, medium: 7}"])
def test_the_meter_at_a_primary_address_may_be_named(written: str) -> None:
    assert str(loads(with_meter("5", written), {}).devices[0].meter) == "1234567824401007"


@pytest.mark.parametrize(
    ("address", "written", "words"),
    [
        ("5", "12345678", "this one has 8"),
        ("5", "'12345678 4401007'", "another character"),
        ("5", "{}", "at least one part"),
        ("'1234567824401007'", "'1234567824401007'", "a secondary address says so itself"),
    ],
)
def test_a_meter_that_is_named_wrongly_is_told_what_is_wrong(address: str, written: str, words: str) -> None:
    problem = only(with_meter(address, written))
    assert problem.key == "devices[0].meter" and words in problem.message
