"""How long a stop may take."""
from __future__ import annotations

from pathlib import Path
from queue import SimpleQueue

from mbusgw.app.build import FLUSH_S, build
from mbusgw.config.source import ConfigSource
from mbusgw.mqtt.client import GOODBYE_S
from mbusgw.runtime.notify import ServiceManager
from tests.fakes.clock import FakeClock


def test_all_that_a_stop_waits_for_is_less_than_five_seconds(tmp_path: Path) -> None:
    file = tmp_path / "mbusgw.yaml"
    file.write_text("buses: [{name: main, port: /dev/null}]\n", encoding="utf-8")
    source = ConfigSource(file, {}, state_dir=tmp_path)
    gateway = build(
        source.load(),
        source,
        controls=SimpleQueue(),
        set_level=lambda level: None,
        clock=FakeClock(),
        service=ServiceManager(),
    )
    budgets_s = [stage.budget_s for stage in gateway._stages._stages]
    assert sum(budgets_s) + FLUSH_S + GOODBYE_S <= 5
