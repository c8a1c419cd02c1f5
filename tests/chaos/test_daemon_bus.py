"""The real daemon on two buses with faults: whatever it publishes, that meter has said."""
from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.daemon import house
from tests.mosquitto import Mosquitto

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_daemon_outlives_its_test")]


def test_what_is_published_was_said_through_faults_a_lost_connection_and_an_unplugged_port(
    tmp_path: Path, mosquitto: Mosquitto
) -> None:
    with house(tmp_path, mosquitto, seed=7) as living:
        living.trouble()
        verdict = living.judge()
    assert verdict.readings > 20
    assert verdict.untrue == []
    assert verdict.violations == []
    assert verdict.lost == []
