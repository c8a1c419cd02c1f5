"""JSON with exact decimals."""
from __future__ import annotations

import json
from datetime import date, datetime, time, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbusgw.model.reading import Lane
from mbusgw.runtime import exactjson

DECIMALS = st.decimals(allow_nan=False, allow_infinity=False)
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | DECIMALS | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(DOCUMENTS)
def test_a_document_comes_back_as_it_was(document: object) -> None:
    assert exactjson.loads(exactjson.dumps(document)) == document


@given(DECIMALS)
def test_every_decimal_is_a_number_that_other_programs_can_read(number: Decimal) -> None:
    assert isinstance(json.loads(exactjson.dumps([number]))[0], (int, float))


def test_a_counter_of_many_digits_is_not_changed() -> None:
    assert exactjson.dumps({"energy": Decimal("1234567890123456.789")}) == '{"energy":1234567890123456.789}'
    assert exactjson.loads('{"energy":0.10}')["energy"].as_tuple() == Decimal("0.10").as_tuple()


def test_times_bytes_sets_and_words_have_one_form() -> None:
    document = {
        "aware": datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc),
        "local": datetime(2026, 1, 2, 3, 4),
        "date": date(2026, 1, 2),
        "time": time(3, 4),
        "bytes": b"\x0f\xa0",
        "set": {"b", "a"},
        "word": Lane.WIRED,
        "tuple": (1, 2),
    }
    assert json.loads(exactjson.dumps(document)) == {
        "aware": "2026-01-02T03:04:05.000Z",
        "local": "2026-01-02T03:04:00",
        "date": "2026-01-02",
        "time": "03:04:00",
        "bytes": "0fa0",
        "set": ["a", "b"],
        "word": "wired",
        "tuple": [1, 2],
    }


def test_text_stays_readable() -> None:
    assert exactjson.dumps("Wärme m³") == '"Wärme m³"'


@pytest.mark.parametrize(
    "number", [float("nan"), float("inf"), Decimal("NaN"), Decimal("-Infinity")], ids=str
)
def test_what_is_no_json_number_is_refused(number: object) -> None:
    with pytest.raises(ValueError):
        exactjson.dumps({"value": number})


def test_an_unknown_type_is_refused() -> None:
    with pytest.raises(TypeError):
        exactjson.dumps(object())


@pytest.mark.parametrize("text", ["", "{", "[1,]", b"\xff\xfe", '{"a":1}x'])
def test_what_is_no_json_is_refused(text: str | bytes) -> None:
    with pytest.raises(ValueError):
        exactjson.loads(text)
