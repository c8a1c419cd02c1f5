"""Brokers of tests come back at once."""
from __future__ import annotations

import pytest

from mbusgw.mqtt import standing


@pytest.fixture(autouse=True)
def a_broker_that_is_away_is_tried_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits for a broker's return waits for it alone."""
    monkeypatch.setattr(standing, "UNREACHABLE_S", (0.05, 0.2))
