"""Taking over a changed configuration."""
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mbusgw.app.base import build_base
from mbusgw.app.lanes import build_wired_lane
from mbusgw.app.reload import Reload
from mbusgw.app.wayout import build_outputs
from mbusgw.config.source import ConfigSource
from mbusgw.model.errors import ConfigError
from mbusgw.model.reading import Lane
from mbusgw.runtime.clock import SystemClock
from mbusgw.wired.lane import LaneChange
from tests.fakes.stores import rows
from tests.fakes.telegrams import reading
from tests.wait import PATIENCE_S, wait_until

BUSES = "buses: [{name: main, port: /nowhere/x}]\n"


def device(number: int, **more: str) -> str:
    extra = "".join(f", {key}: {value}" for key, value in more.items())
    return f"  - {{id: meter_{number}, bus: main, address: {number}{extra}}}\n"


class House:
    """What a reload touches, running; ``write`` changes the file."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "mbusgw.yaml"
        self.head = f"storage: {{path: {folder / 'mbusgw.db'}}}\n{BUSES}"
        self.write("devices:\n" + device(1) + device(2))
        source = ConfigSource(self.file, {})
        self.base = base = build_base(source.load(), SystemClock())
        self.lane = build_wired_lane(base)
        self.outputs = build_outputs(base)
        self.levels: list[str] = []
        base.store.open()
        for worker in (base.store, *self.lane.workers):
            worker.start()
        self.reload = Reload(
            base.config,
            source,
            self.lane,
            self.outputs,
            registry=base.registry,
            recorder=base.recorder,
            announcer=None,
            metrics=base.metrics,
            set_level=self.levels.append,
        )

    def write(self, text: str) -> None:
        self.file.write_text(self.head + text)

    def close(self) -> None:
        workers = [*self.outputs.workers, *self.lane.workers, self.base.store]
        for worker in workers:
            worker.stop()
        assert all(worker.join(PATIENCE_S) for worker in workers)
        self.base.store.close()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    one = House(tmp_path)
    yield one
    one.close()


def test_a_meter_that_was_added_is_read_and_the_others_are_left_alone(house: House) -> None:
    before = house.lane.workers
    house.write("devices:\n" + device(1) + device(2) + device(3, name="Three"))
    outcome = house.reload.run(asked=False)
    assert outcome.lane == LaneChange(added=("meter_3",)) and outcome.restart == ()
    assert house.lane.workers[: len(before)] == before
    assert outcome.document()["devices"] == {"added": ["meter_3"], "changed": [], "removed": []}
    three = house.base.registry.get("meter_3")
    assert three is not None and three.name == "Three"


def test_of_a_meter_that_was_removed_nothing_is_left(house: House) -> None:
    house.base.recorder.deliver(reading("meter_2", lane=Lane.WIRED, energy=5)).result(PATIENCE_S)
    house.base.metrics.read_done("meter_2", 0.1)
    house.write("devices:\n" + device(1))
    assert house.reload.run(asked=False).lane == LaneChange(removed=("meter_2",))
    assert house.base.registry.snapshot().keys() == {"meter_1"}
    wait_until(lambda: not rows(house.base.store, "SELECT * FROM device_states"))
    left = rows(house.base.store, "SELECT payload FROM mqtt_queue WHERE retain AND topic LIKE 'mbus/meter_2/%'")
    assert set(left) == {("",)}
    assert b"meter_2" not in house.base.metrics.render()


def test_a_radio_meter_of_the_same_name_stays(house: House) -> None:
    house.base.recorder.deliver(reading("meter_2", lane=Lane.WIRELESS, energy=5)).result(PATIENCE_S)
    house.write("devices:\n" + device(1))
    house.reload.run(asked=False)
    assert "meter_2" in house.base.registry.snapshot()


def test_a_file_that_is_wrong_changes_nothing(house: House) -> None:
    before = house.lane.workers
    house.write("devices:\n" + device(1).replace("address", "adress"))
    with pytest.raises(ConfigError, match="did you mean"):
        house.reload.run(asked=True)
    assert house.lane.workers == before and all(worker.alive for worker in before)
    house.write("devices:\n" + device(1))
    assert house.reload.run(asked=False).lane.removed == ("meter_2",), "the next good one is compared with the old one"


def test_what_needs_a_new_start_touches_nothing_before(house: House, caplog: pytest.LogCaptureFixture) -> None:
    before = house.lane.workers
    house.write("devices: []\ngateway: {id: other}\nmqtt: {password: secret}\n")
    with caplog.at_level("INFO"):
        outcome = house.reload.run(asked=False)
    assert outcome.restart == ("gateway.id", "mqtt.password") and outcome.config.gateway.id == "other"
    assert house.lane.workers == before
    assert "changed: gateway.id, mqtt.password; this needs a new start" in caplog.text and "secret" not in caplog.text


def test_the_level_of_the_logs_changes_in_place(house: House) -> None:
    house.write("devices:\n" + device(1) + device(2) + "logging: {level: DEBUG}\n")
    outcome = house.reload.run(asked=False)
    assert house.levels == ["DEBUG"] and not outcome.lane and outcome.changed == {"logging.level"}


def test_without_a_change_nothing_happens_unless_a_port_is_away_and_somebody_asks(house: House) -> None:
    before = house.lane.workers
    assert not house.reload.run(asked=False).lane and house.lane.workers == before
    assert house.reload.run(asked=True).lane.buses == ("main",)
    assert not set(house.lane.workers) & set(before)


def test_a_certificate_that_was_renewed_needs_a_new_start_for_who_asks(tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    ca.write_text("old")
    file = tmp_path / "mbusgw.yaml"
    file.write_text(f"storage: {{path: {tmp_path / 'x.db'}}}\nmqtt: {{url: mqtts://broker, ca_file: {ca}}}\n")
    source = ConfigSource(file, {})
    base = build_base(source.load(), SystemClock())
    reload = Reload(
        base.config,
        source,
        build_wired_lane(base),
        build_outputs(base),
        registry=base.registry,
        recorder=base.recorder,
        announcer=None,
        metrics=base.metrics,
        set_level=lambda _level: None,
    )
    assert reload.run(asked=True).restart == ()
    ca.write_text("renewed")
    assert reload.run(asked=False).restart == ()
    assert reload.run(asked=True).restart == ("mqtt.ca_file",)


def test_a_new_start_exchanges_nothing_in_place(house: House) -> None:
    before = house.lane.workers
    house.write("devices:\n" + device(1))
    outcome = house.reload.run(asked=True, anew=True)
    assert outcome.starts_anew and outcome.restart == () and len(outcome.config.devices) == 1
    assert house.lane.workers == before


def test_a_new_start_with_a_wrong_file_is_refused(house: House) -> None:
    house.write("devices: 5\n")
    with pytest.raises(ConfigError):
        house.reload.run(asked=True, anew=True)
