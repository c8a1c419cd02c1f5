"""What the log says of meters that come and go."""
from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta

import pytest

from mbusgw.model.device import DeviceState
from mbusgw.model.meter import MeterIdentity
from mbusgw.model.reading import Lane
from mbusgw.registry import presence_log
from mbusgw.registry.changes import Change
from tests.fakes.clock import START

NEW = DeviceState("els_12345678", "els_12345678", lane=Lane.WIRELESS)
HEARD = replace(NEW, read_at=START, online=True, meter=MeterIdentity("12345678", "ELS", 51, 3))
SILENT = replace(HEARD, online=False)


@pytest.mark.parametrize(
    ("before", "after", "line"),
    [
        (NEW, HEARD, "INFO els_12345678 is heard for the first time: ELS 12345678, gas"),
        (NEW, replace(HEARD, lane=Lane.WIRED), "INFO els_12345678 is read for the first time: ELS 12345678, gas"),
        (NEW, replace(HEARD, meter=None), "INFO els_12345678 is heard for the first time"),
        (NEW, replace(HEARD, meter=MeterIdentity("12345678", None, None, 3)),
         "INFO els_12345678 is heard for the first time: 12345678, gas"),
        (HEARD, SILENT, "WARNING els_12345678 is offline: it was not heard in time"),
        (HEARD, replace(SILENT, last_error="no answer"), "WARNING els_12345678 is offline: no answer"),
        (SILENT, HEARD, "INFO els_12345678 is online again"),
        (HEARD, replace(HEARD, read_at=START + timedelta(seconds=15)), None),
        (SILENT, replace(SILENT, last_error="no answer"), None),
    ],
)  # fmt: skip
def test_a_meter_that_comes_or_goes_is_told_once(
    before: DeviceState, after: DeviceState, line: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    presence_log.changed(Change(before, after, frozenset()))
    assert [f"{one.levelname} {one.getMessage()}" for one in caplog.records] == ([line] if line else [])
