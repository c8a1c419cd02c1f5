"""What a command changes until the next start."""
from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import pytest

from mbusgw.app.operations import RESTART_AFTER_S, ConfigOperations
from mbusgw.app.settings import LiveSettings
from mbusgw.app.signals import Controls, ReloadRequest
from mbusgw.config.models import BusConfig, DeviceConfig
from mbusgw.config.source import ConfigSource
from mbusgw.model.errors import RequestError
from mbusgw.registry.registry import Registry
from mbusgw.runtime.metrics import Metrics
from mbusgw.wired.finds import Finds
from mbusgw.wired.lane import WiredLane
from tests.fakes.clock import FakeClock
from tests.simulator.wire import CLOCK
from tests.wait import PATIENCE_S, wait_until
from tests.wired.house import KeepingDelivery

BUS = BusConfig(name="main", port="/nowhere/x", scan_interval=60)
DEVICES = [DeviceConfig(id="one", bus="main", address=1), DeviceConfig(id="two", bus="main", address=2, interval=5)]


class House:
    def __init__(self) -> None:
        self.registry = Registry(CLOCK, radio_ttl_s=60)
        self.lane = WiredLane(
            [BUS], DEVICES, registry=self.registry, delivery=KeepingDelivery(), metrics=Metrics(), clock=CLOCK
        )
        self.levels: list[str] = []
        self.changed: list[str] = []
        self.settings = LiveSettings(self.lane, "INFO", self.levels.append)
        self.settings.changed = self.changed.append

    def set(self, **given: Any) -> dict[str, Any]:
        answer = self.settings.set(given, lambda _progress: None)
        return dict(answer.result(PATIENCE_S) if isinstance(answer, Future) else answer)


@pytest.fixture
def house() -> Iterator[House]:
    house = House()
    for worker in house.lane.workers:
        worker.start()
    yield house
    for worker in house.lane.workers:
        worker.stop()
    assert all(worker.join(PATIENCE_S) for worker in house.lane.workers)


def test_a_meter_gets_another_interval_and_its_own_again(house: House) -> None:
    assert house.settings.meters()["one"].interval_s == 60
    assert house.set(device="one", interval="15m") == {
        "device": "one", "interval_s": 900.0, "paused": False, "as_configured": False
    }  # fmt: skip
    assert house.lane.interval_s("one") == 900 and house.lane.interval_s("two") == 5
    assert house.set(device="one", interval=30.0)["interval_s"] == 30
    assert house.set(device="one", interval="configured")["as_configured"] is True
    assert house.lane.interval_s("one") == 60
    assert house.changed == ["one"] * 3


def test_a_meter_is_paused_and_goes_on(house: House) -> None:
    assert house.set(device="two", paused=True)["paused"] is True
    state = house.registry.get("two")
    assert state is not None and state.breaker == "paused"
    assert house.set(device="two", paused=False) == {
        "device": "two", "interval_s": 5.0, "paused": False, "as_configured": True
    }  # fmt: skip
    wait_until(lambda: (state := house.registry.get("two")) is not None and state.breaker != "paused")


def test_what_was_set_lasts_while_the_configuration_of_the_meter_is_the_same(house: House) -> None:
    house.set(device="one", interval=120)
    house.set(device="two", interval=120)
    house.lane.change([BUS], [DEVICES[0], DEVICES[1].model_copy(update={"interval": 7.0})])
    assert {name: one.interval_s for name, one in house.settings.meters().items()} == {"one": 120, "two": 7}


def test_the_level_of_the_logs_is_set(house: House) -> None:
    assert house.set(log_level="warn") == {"log_level": "WARNING"}
    assert (house.levels, house.settings.level, house.changed) == (["WARNING"], "WARNING", [""])


@pytest.mark.parametrize(
    ("given", "status", "field"),
    [
        ({"device": "ona", "interval": 5}, 404, "device"),
        ({"interval": 5}, 400, "device"),
        ({"device": "one"}, 400, None),
        ({"device": "one", "interval": 0}, 400, "interval"),
        ({"device": "one", "interval": -5}, 400, "interval"),
        ({"device": "one", "interval": True}, 400, "interval"),
        ({"device": "one", "interval": "soon"}, 400, "interval"),
        ({"device": "one", "interval": 1e300}, 400, "interval"),
        ({"device": "one", "interval": [5]}, 400, "interval"),
        ({"device": "one", "paused": "yes"}, 400, "paused"),
        ({"device": "one", "pause": True}, 400, "pause"),
        ({"log_level": "LOUD"}, 400, "log_level"),
        ({"log_level": "INFO", "device": "one"}, 400, "device"),
    ],
)
def test_what_cannot_be_set_is_refused_by_name(
    house: House, given: dict[str, Any], status: int, field: str | None
) -> None:
    with pytest.raises(RequestError) as caught:
        house.set(**given)
    assert (caught.value.status, caught.value.field) == (status, field)
    assert house.changed == [] and house.levels == []
    if status == 404:
        assert "did you mean `one`" in str(caught.value)


def test_a_restart_is_refused_in_the_first_seconds_of_a_run(tmp_path: Any) -> None:
    clock, controls = FakeClock(), Controls()
    operations = ConfigOperations(controls, ConfigSource(tmp_path / "x.yaml", {}), Finds(CLOCK), clock=clock)
    with pytest.raises(RequestError) as caught:
        operations.restart({}, lambda _progress: None)
    assert caught.value.status == 429 and controls.empty()
    clock.advance(RESTART_AFTER_S)
    operations.restart({}, lambda _progress: None)
    request = controls.get_nowait()
    assert isinstance(request, ReloadRequest) and request.anew
