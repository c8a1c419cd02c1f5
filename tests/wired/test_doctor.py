"""From figures to findings."""
from __future__ import annotations

from typing import Any

import pytest

from mbusgw.mbus.tally import Tallies, Tally, total
from mbusgw.wired.doctor import Examined, Finding, findings


def tally(**counts: Any) -> Tally:
    made = Tally(**counts)
    made.delays_s.extend((0.02, 0.03, 0.04))
    return made


def found(*meters: Tally, echo: str = "auto", **line: Any) -> list[Finding]:
    named = [Examined(f"meter_{n}", n, 2400, one) for n, one in enumerate(meters, start=1)]
    return findings(Tallies(**line), named, echo=echo)


GOOD = tally(requests=100, answers=100)


def test_a_bus_in_order_has_nothing_to_say() -> None:
    assert found(GOOD, GOOD, GOOD, echoes=300, stray_bytes=3) == []


def test_a_bus_without_meters_cannot_be_told_to_be_in_order() -> None:
    (finding,) = found()
    assert finding.about == "bus" and "no meter" in finding.what and "scan" in finding.advice


@pytest.mark.parametrize(
    ("bad", "what", "advice"),
    [
        (Tally(requests=9, timeouts=9), "never answered, 9 tries", "connected"),
        (tally(requests=100, answers=90, timeouts=10), "did not answer 10 of 100 requests", "contact"),
        (tally(requests=100, answers=50, damaged=50), "answers to 50 of 100", "two meters"),
        (tally(requests=9, answers=8, collisions=1), "several meters answered at once, once", "secondary"),
        (tally(requests=9, answers=8, unexpected=1), "1 answer not to the question", "calls itself"),
        (tally(requests=9, answers=2, damaged=6, unexpected=1), "1 answer not to the question", "two meters"),
        (tally(requests=100, answers=90, damaged=10), "answers to 10 of 100", "wiring"),
        (tally(requests=90, answers=89, timeouts=1, late=1), "after the window, once", "slower"),
        (tally(requests=9, answers=3, timeouts=6, late=6), "after the window, 6 times", "slower"),
        (Tally(requests=9, timeouts=9, late=3), "after the window, 3 times", "slower"),
    ],
)
def test_the_trouble_of_one_meter_is_its_own(bad: Tally, what: str, advice: str) -> None:
    (finding,) = found(GOOD, bad, GOOD)
    assert finding.about == "meter_2 (address 2)" and what in finding.what and advice in finding.advice


def test_what_is_wrong_with_the_answers_of_a_meter_is_said_once() -> None:
    (finding,) = found(GOOD, tally(requests=9, answers=1, damaged=7, unexpected=1, last_unexpected="8 answered"))
    assert finding.what == "the answers to 7 of 9 requests were damaged; 1 answer not to the question: 8 answered"
    assert "two meters" in finding.advice


def test_a_meter_that_was_late_is_named_where_it_may_have_disturbed_another() -> None:
    late = tally(requests=50, answers=48, timeouts=2, late=2)
    own, disturbed = found(late, GOOD, tally(requests=50, answers=48, damaged=2), stray_bytes=500)
    assert "after the window" in own.what and "two meters" not in disturbed.advice and "meter_1" in disturbed.advice


def test_what_is_the_lines_trouble_is_not_said_of_each_meter_as_well() -> None:
    line, worst = found(*[tally(requests=100, answers=90, damaged=10)] * 3, tally(requests=9, answers=1, damaged=8))
    assert "cable" in line.advice and worst.about == "meter_4 (address 4)"


@pytest.mark.parametrize(
    ("meters", "line", "what", "advice"),
    [
        ([Tally(requests=9, timeouts=9)] * 2, {}, "no meter answers at all", "powered"),
        ([Tally(requests=9, garbage=9)] * 2, {}, "none that can be read", "parity"),
        ([GOOD], {"never_quiet": 2}, "did not fall silent", "holds the line"),
        ([GOOD], {"stray_bytes": 500}, "while nobody was asked", "another master"),
        ([GOOD], {"echoes": 5, "echo": "off"}, "our own bytes", "echo: auto"),
        ([tally(requests=100, answers=90, damaged=10)] * 4, {}, "4 of 4 meters are damaged", "cable"),
    ],
)
def test_what_concerns_all_is_said_of_the_line_and_first(
    meters: list[Tally], line: dict[str, Any], what: str, advice: str
) -> None:
    first = found(*meters, **line)[0]
    assert first.about == "line" and what in first.what and advice in first.advice


def test_a_meter_that_is_called_in_two_ways_has_one_sum() -> None:
    both = total([tally(requests=2, answers=1, timeouts=1), tally(requests=3, answers=3)])
    document = Examined("meter_1", "1234", 2400, both).document()
    assert (document["requests"], document["success_percent"]) == (5, 80.0)
    assert document["answer_ms"] == {"min": 20.0, "median": 30.0, "max": 40.0}
    assert Examined("meter_1", 1, 2400, total([])).document()["answer_ms"] is None
