"""Every topic others rely on: there, in its form, retained or not as promised."""
from __future__ import annotations

import json

import pytest

from tests.contracts.conftest import World
from tests.mosquitto import subscribed
from tests.wait import wait_until

pytestmark = pytest.mark.slow

STATE = {
    "mbus/bridge/state", "mbus/bridge/info", "mbus/bridge/health",
    "mbus/bridge/settings", "mbus/meter_1/settings",
    "mbus/meter_1/availability", "mbus/meter_1/energy", "mbus/meter_1/attributes",
}  # fmt: skip


@pytest.mark.parametrize(
    ("topic", "payloads"),
    [
        ("mbus/bridge/state", {"online"}),
        ("mbus/meter_1/availability", {"online"}),
        ("mbus/silent/availability", {"offline"}),
        ("mbus/els_12345678/availability", {"online"}),
        ("mbus/els_12345678/volume", {"28504.27"}),
        ("mbus/els_12345678/datetime", {"2008-05-31T23:50:00"}),
    ],
)
def test_a_value_topic_has_plain_text(world: World, topic: str, payloads: set[str]) -> None:
    wait_until(lambda: world.subscriber.last(topic) in payloads, what=topic)


@pytest.mark.parametrize(
    ("topic", "keys"),
    [
        ("mbus/bridge/info", {"status", "version", "started_at", "uptime_s", "meters_online", "meters_known"}),
        ("mbus/bridge/health", {"status", "components", "last_error", "messages_waiting"}),
        ("mbus/bridge/settings", {"log_level"}),
        ("mbus/meter_1/settings", {"interval_s", "paused"}),
        ("mbus/meter_1/attributes", {"read_at", "stale", "version", "meter", "units", "records"}),
        ("homeassistant/device/mbusgw_SIM_60000001_40_4/config", {"device", "origin", "components", "availability"}),
        ("homeassistant/device/mbusgw_mbusgw_gateway/config", {"device", "origin", "components"}),
    ],
)
def test_a_document_topic_has_its_keys(world: World, topic: str, keys: set[str]) -> None:
    document = json.loads(wait_until(lambda: world.subscriber.last(topic), what=topic))
    assert keys <= document.keys()


def test_the_topics_of_a_telegram_that_was_read(world: World) -> None:
    raw = json.loads(world.subscriber.last(f"oms/v1/gw/gw1/raw/{world.opened}") or "{}")
    reading = json.loads(world.subscriber.last("oms/v1/gw/gw1/meter/12345678/reading") or "{}")
    envelope = {"schema", "ingest_id", "gateway_id", "rx_time", "rssi_dbm", "raw_hex"}
    assert envelope <= raw.keys()
    assert envelope | {"lobaro", "reading"} == reading.keys()
    assert reading["schema"] == "oms.bridge.v1" and "metering_domain_model" in reading["lobaro"]


def test_the_topic_of_a_telegram_that_was_not(world: World) -> None:
    error = json.loads(world.subscriber.last(f"oms/v1/gw/gw1/errors/{world.locked}") or "{}")
    assert error["status"] == "key_missing" and error["will_retry"] is True and error["error"]["message"]


def test_state_is_retained_and_telemetry_is_not(world: World) -> None:
    with subscribed(world.broker.port, "#") as newcomer:
        wait_until(lambda: STATE <= {topic for topic, _, retained in list(newcomer.messages) if retained})
        assert not [topic for topic, _, retained in newcomer.messages if topic.startswith("oms/") and retained]


def test_a_request_is_answered_on_the_topic_of_its_command(world: World) -> None:
    world.subscriber.publish("mbus/bridge/request/read", json.dumps({"device": "meter_1", "transaction": "t-1"}))
    answer = json.loads(wait_until(lambda: world.subscriber.last("mbus/bridge/response/read")))
    assert answer["status"] == "ok" and answer["transaction"] == "t-1"
    assert answer["data"]["device"] == "meter_1" and answer["data"]["records"]
