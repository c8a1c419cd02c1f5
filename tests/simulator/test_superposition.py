"""What is heard when meters answer at once."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbusgw.simulator.superposition import superpose

BYTE_S = 11 / 2400
BIT_S = 1 / 2400


def heard(*answers: tuple[float, bytes]) -> bytes:
    return b"".join(data for _, data in superpose(answers, BYTE_S))


def test_answers_one_after_the_other_are_heard_as_they_were_sent() -> None:
    answers = [(5.0, b"\x01\x02"), (1.0, b"\xE5"), (1.0 + BYTE_S, b"\xE5\xFF")]
    assert superpose(answers, BYTE_S) == sorted(answers)


@given(st.binary(min_size=1, max_size=30), st.floats(0, 1e6))
def test_the_same_answer_twice_at_once_is_heard_once(data: bytes, start_s: float) -> None:
    assert heard((start_s, data), (start_s, data)) == data


@given(st.binary(min_size=1, max_size=30), st.binary(min_size=1, max_size=30))
def test_different_answers_at_once_are_the_and_of_their_bits(one: bytes, other: bytes) -> None:
    longer = max(one, other, key=len)
    both = bytes(a & b for a, b in zip(one, other))
    assert heard((1.0, one), (1.0, other)) == both + longer[len(both) :]


@pytest.mark.parametrize("bits", [0.3, 1, 2.5, 7, 10])
def test_acknowledgements_that_overlap_are_heard_as_something_else(bits: float) -> None:
    received = superpose([(1.0, b"\xE5"), (1.0 + bits * BIT_S, b"\xE5")], BYTE_S)
    assert received[0][0] == 1.0
    assert b"".join(data for _, data in received) != b"\xE5" or bits < 0.5


@given(st.lists(st.tuples(st.floats(0, 0.2), st.binary(max_size=20)), max_size=4))
def test_never_more_bytes_arrive_than_fit_into_the_time(answers: list[tuple[float, bytes]]) -> None:
    received = superpose(answers, BYTE_S)
    assert sum(len(data) for _, data in received) <= sum(len(data) for _, data in answers)
