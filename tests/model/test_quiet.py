"""Times at which radio meters keep silent."""
from __future__ import annotations

from datetime import datetime

import pytest

from mbusgw.model.quiet import QuietHours

#: A Friday.
FRIDAY = "2026-03-06T"


@pytest.mark.parametrize(
    "text, moments",
    [
        ("20:00-06:00", {"06T19:59": False, "06T20:00": True, "07T05:59": True, "07T06:00": False}),
        ("12:00 - 13:30", {"06T11:59": False, "06T12:00": True, "06T13:29": True, "06T13:30": False}),
        ("Sat Sun", {"06T23:59": False, "07T00:00": True, "08T23:59": True, "09T00:00": False}),
        ("saturday, Sunday", {"06T12:00": False, "07T12:00": True}),
        ("Fri 16:00-24:00", {"06T15:59": False, "06T23:59": True, "07T00:00": False, "07T17:00": False}),
        ("Fri 22:00-05:00", {"06T04:00": False, "06T22:00": True, "07T04:59": True, "07T22:00": False}),
        ("Fri-Sun 10:00-11:00", {"05T10:30": False, "06T10:30": True, "08T10:30": True, "09T10:30": False}),
        ("sat-mon", {"06T10:30": False, "07T10:30": True, "09T10:30": True, "10T10:30": False}),
        ("00:00-24:00", {"06T00:00": True, "06T12:00": True}),
    ],
)
def test_hours_and_days_hold_when_they_say(text: str, moments: dict[str, bool]) -> None:
    hours = QuietHours.parse(text)
    held = {moment: hours.hold(datetime.fromisoformat(f"2026-03-{moment}")) for moment in moments}
    assert held == moments


@pytest.mark.parametrize("text", ["", "sometimes", "25:00-06:00", "20:00", "20:60-21:00", "Sat-", "20:00-06:00 daily"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no quiet time"):
        QuietHours.parse(text)
