"""The judges of the chaos tests notice what they are there for."""
from __future__ import annotations

from decimal import Decimal

from tests.chaos.daemon import lost_readings, violations_in, worth

NKE, ASK, ASK_AGAIN = "1040014116", "107b017c16", "105b015c16"
ANSWER = "680f0f680801720100006053494d042a000000" + "00" + "16"


def request(mono: float, text: str) -> dict[str, object]:
    return {"what": "request", "mono": mono, "until": mono + 0.0015, "hex": text}


def answer(mono: float, text: str) -> dict[str, object]:
    return {"what": "answer", "mono": mono, "until": mono + 0.006, "hex": text}


def whole() -> str:
    body = bytes.fromhex(ANSWER)[4:-2]
    return (bytes((0x68, len(body), len(body), 0x68)) + body + bytes((sum(body) & 0xFF, 0x16))).hex()


def test_a_request_too_soon_after_an_answer_is_noticed() -> None:
    begin = [request(1.0, NKE), answer(1.01, "e5"), request(1.1, ASK), answer(1.12, whole())]
    assert violations_in([*begin, request(1.2, ASK_AGAIN)]) == []
    assert "bit times of silence" in violations_in([*begin, request(1.1261, ASK_AGAIN)])[0]


def test_a_frame_count_bit_that_stays_after_a_right_answer_is_noticed() -> None:
    begin = [request(1.0, NKE), answer(1.01, "e5"), request(1.1, ASK), answer(1.12, whole())]
    assert "FCB stayed" in violations_in([*begin, request(1.2, ASK)])[0]
    assert "FCB changed" in violations_in([request(1.0, ASK), request(2.0, ASK_AGAIN)])[0]


def test_a_reading_that_nobody_kept_is_lost_but_not_while_the_line_is_away() -> None:
    said = {1: [(10.0, {"volume": worth("1.5")}), (30.0, {"volume": worth("1.50")}), (50.0, {"volume": worth("2")})]}
    kept = {("pty", 1): [{"volume": Decimal("1.5")}]}
    log = [{"what": "request", "mono": 100.0, "hex": NKE}]
    assert lost_readings(log, said, kept) == ["pty_1 at 50.000"]
    assert lost_readings([{"what": "event", "mono": 48.0}, *log], said, kept) == []
