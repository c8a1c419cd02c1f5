"""What the log is told of telegrams that are not read."""
from __future__ import annotations

import logging

import pytest

from mbusgw.ingest import reasons as reasons_module
from mbusgw.ingest.reasons import Reasons
from mbusgw.model.errors import FormatUnknown, KeyMissing, LobaroTimeoutError, MbusgwError
from mbusgw.parsers.sender import Sender
from tests.fakes.telegrams import received

GAS, WATER = Sender("12345678", "ELS", True), Sender("11223344", "ZRI", False)


def told(caplog: pytest.LogCaptureFixture, *failures: tuple[Sender | None, MbusgwError]) -> list[bool]:
    """Which of some failures, one after the other, are told at level INFO."""
    caplog.set_level(logging.DEBUG, "mbusgw.ingest.reasons")
    reasons = Reasons()
    for sender, error in failures:
        reasons.tell(received(), sender, "key_missing", error)
    return [record.levelno == logging.INFO for record in caplog.records]


def test_each_kind_of_failure_of_each_meter_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    failures: list[tuple[Sender | None, MbusgwError]] = [
        (GAS, KeyMissing("no key")),
        (GAS, KeyMissing("no key")),
        (GAS, FormatUnknown("damaged")),
        (WATER, FormatUnknown("damaged")),
        (None, FormatUnknown("noise")),
        (None, FormatUnknown("other noise")),
    ]
    assert told(caplog, *failures) == [True, False, True, True, True, False]
    assert "gw1: key_missing: no key (more of this kind: mbusgw telegrams list --status key_missing)" in caplog.text


def test_a_service_that_is_away_is_not_told_with_every_telegram(caplog: pytest.LogCaptureFixture) -> None:
    assert told(caplog, (GAS, LobaroTimeoutError("slow"))) == [False]


def test_noise_fills_no_memory(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reasons_module, "REMEMBERED", 2)
    made_up = [Sender(f"{number:08d}", "SIM", False) for number in (1, 2, 3, 1)]
    assert told(caplog, *((sender, FormatUnknown("noise")) for sender in made_up)) == [True] * 4
