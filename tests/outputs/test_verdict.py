"""What an answer means."""
from __future__ import annotations

import pytest

from mbusgw.outputs.verdict import Said, judge
from mbusgw.runtime.http import Answer, Broken
from tests.fakes.clock import FakeClock


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        *((status, Said.TAKEN) for status in (200, 201, 202, 204)),
        *((status, Said.REFUSED) for status in (400, 413, 422)),
        *((status, Said.DENIED) for status in (301, 302, 401, 403, 404, 405, 410, 415, 451)),
        (429, Said.BUSY),
        *((status, Said.AWAY) for status in (408, 425, 500, 502, 503, 504, 599)),
        *((broken, Said.AWAY) for broken in (Broken.TIMEOUT, Broken.CONNECTION, Broken.TOO_LONG)),
        *((broken, Said.DENIED) for broken in (Broken.TLS, Broken.REQUEST)),
    ],
)
def test_each_answer_has_its_meaning(answer: int | Broken, said: Said) -> None:
    verdict = judge(answer if isinstance(answer, Broken) else Answer(answer, b""), FakeClock())
    assert verdict.said is said
    assert bool(verdict.reason) is (said is not Said.TAKEN)


def test_the_reason_has_the_beginning_of_the_answers_text() -> None:
    reason = judge(Answer(400, b'{"error":\n  "field type conflict"}' + b"x" * 9000), FakeClock()).reason
    assert reason.startswith('HTTP 400: {"error": "field type conflict"}') and len(reason) < 300


@pytest.mark.parametrize(("header", "pause_s"), [("7", 7.0), ("999999", 3600.0), ("soon", None), (None, None)])
@pytest.mark.parametrize("status", [429, 503])
def test_a_pause_that_is_asked_for_is_kept_within_reason(
    header: str | None, pause_s: float | None, status: int
) -> None:
    assert judge(Answer(status, b"", header), FakeClock()).pause_s == pause_s
