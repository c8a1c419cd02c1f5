"""A person's word on values in quarantine."""
from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from mbusgw.app.quarantine import QuarantineOperations
from mbusgw.config.models import HomeAssistantConfig, MqttConfig
from mbusgw.model.errors import RequestError
from mbusgw.mqtt.states import StateRecorder
from mbusgw.mqtt.topics import Topics
from mbusgw.registry.registry import Registry
from mbusgw.store.writer import Store
from tests.fakes.clock import START, FakeClock
from tests.fakes.stores import rows, running_store
from tests.fakes.telegrams import reading
from tests.wait import PATIENCE_S


@pytest.fixture
def registry(clock: FakeClock) -> Registry:
    return Registry(clock, radio_ttl_s=3600)


@pytest.fixture
def store(tmp_path: Path, clock: FakeClock) -> Iterator[Store]:
    with running_store(tmp_path / "mbusgw.db", clock) as running:
        yield running


@pytest.fixture
def operations(registry: Registry, clock: FakeClock, store: Store) -> QuarantineOperations:
    recorder = StateRecorder(registry, store, Topics(MqttConfig(), HomeAssistantConfig()), clock=clock)
    for seconds, value in enumerate((1000, 5)):
        at = START + timedelta(seconds=seconds)
        recorder.deliver(reading(at=at, energy=Decimal(value), volume=Decimal(2 * value)))
    return QuarantineOperations(registry, recorder)


def release(operations: QuarantineOperations, **given: Any) -> dict[str, Any]:
    return dict(operations.release(given, lambda _progress: None).result(PATIENCE_S))


def test_one_field_or_all_are_released_and_published(operations: QuarantineOperations, store: Store) -> None:
    assert release(operations, device="meter_1", field="energy") == {
        "device": "meter_1", "released": {"energy": 5}, "quarantine": ["volume"]
    }  # fmt: skip
    assert release(operations, device="meter_1", accept=True)["released"] == {"volume": 10}
    topics = dict(rows(store, "SELECT topic, payload FROM mqtt_queue"))
    assert (topics["mbus/meter_1/energy"], topics["mbus/meter_1/volume"]) == ("5", "10")
    assert topics["mbus/meter_1/quarantine"] == ""


def test_a_refused_value_stays(operations: QuarantineOperations, registry: Registry) -> None:
    answer = release(operations, device="meter_1", field="energy", accept=False)
    assert answer == {"device": "meter_1", "released": {}, "quarantine": ["energy", "volume"]}
    state = registry.get("meter_1")
    assert state is not None and state.quarantine["energy"].refused and not state.quarantine["volume"].refused


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({}, 400),
        ({"device": "nobody"}, 404),
        ({"device": "meter_1", "field": "power"}, 409),
        ({"device": "meter_1", "accept": "yes"}, 400),
        ({"device": "meter_1", "value": 5}, 400),
    ],
)
def test_what_is_wrong_with_a_request_is_told(
    operations: QuarantineOperations, given: dict[str, Any], status: int
) -> None:
    with pytest.raises(RequestError) as caught:
        release(operations, **given)
    assert caught.value.status == status
