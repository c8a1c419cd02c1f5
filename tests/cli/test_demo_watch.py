from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path

from mbusgw.cli.demo_watch import Arrival, Watch
from mbusgw.runtime.clock import SystemClock
from tests.mosquitto import Mosquitto, subscribed
from tests.wait import wait_until

ATTRIBUTES = {
    "name": "Water, ground floor",
    "read_at": "2026-03-01T12:00:00.000Z",
    "lane": "wireless",
    "meter": {"id": "12345678", "medium_name": "water"},
    "rssi_dbm": -71.0,
    "units": {"volume": "m³"},
}
DISCOVERY = {
    "device": {"name": "Water down there"},
    "availability": [{"topic": "mbus/bridge/state"}, {"topic": "mbus/water/availability"}],
    "components": {"volume": {"name": "Water", "state_topic": "mbus/water/volume"}},
}


def made(*messages: tuple[str, str], arrivals: list[Arrival] | None = None) -> Watch:
    on_value = arrivals.append if arrivals is not None else None
    watch = Watch("mqtt://127.0.0.1:1", clock=SystemClock(), on_value=on_value)
    for topic, payload in messages:
        watch.take_in(topic, payload)
    return watch


def test_a_device_is_what_its_topics_say() -> None:
    watch = made(
        ("mbus/water/availability", "online"),
        ("mbus/water/volume", "318.204"),
        ("mbus/water/attributes", json.dumps(ATTRIBUTES)),
    )
    seen = watch.devices["water"]
    assert (seen.online, seen.values, seen.unit("volume")) == (True, {"volume": "318.204"}, "m³")
    assert (seen.name, seen.medium, seen.lane, seen.rssi_dbm) == ("Water, ground floor", "water", "wireless", -71.0)
    assert seen.age_s(datetime(2026, 3, 1, 12, 0, 7, tzinfo=timezone.utc)) == 7


def test_a_device_of_which_nothing_is_known_yet_has_its_id_for_a_name_and_no_age() -> None:
    seen = made(("mbus/water/availability", "offline")).devices["water"]
    assert (seen.name, seen.medium, seen.lane, seen.online) == ("water", "", "", False)
    assert seen.age_s(datetime.now(timezone.utc)) is None


def test_a_configured_name_is_known_before_the_meter_was_read() -> None:
    watch = Watch("mqtt://127.0.0.1:1", clock=SystemClock(), names={"water": "Water, ground floor"})
    watch.take_in("mbus/water/availability", "offline")
    assert watch.devices["water"].name == "Water, ground floor"


def test_an_announcement_belongs_to_the_device_whose_availability_it_names() -> None:
    watch = made(("homeassistant/device/mbusgw_SIM_1/config", json.dumps(DISCOVERY)))
    assert watch.devices["water"].name == "Water down there"
    assert list(watch.devices["water"].components()) == ["volume"]
    assert "bridge" not in watch.devices


def test_every_value_is_passed_on_and_a_cleared_topic_takes_it_away() -> None:
    arrivals: list[Arrival] = []
    watch = made(("mbus/water/volume", "1"), ("mbus/water/volume", "2"), ("mbus/water/volume", ""), arrivals=arrivals)
    assert arrivals == [("water", "volume", "1"), ("water", "volume", "2")]
    assert watch.devices["water"].values == {}


def test_the_bridge_is_no_device() -> None:
    watch = made(("mbus/bridge/state", "online"), ("mbus/bridge/info", "{}"))
    assert watch.bridge_online and watch.devices == {}
    watch.take_in("mbus/bridge/state", "offline")
    assert not watch.bridge_online


def test_what_is_no_json_object_says_nothing() -> None:
    watch = made(
        ("mbus/water/attributes", "{"), ("mbus/water/attributes", "[1]"), ("homeassistant/device/x/config", "")
    )
    assert watch.devices["water"].attributes == {}


def test_what_is_on_the_broker_is_seen_by_who_comes_later(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path)
    broker.start()
    watch = Watch(broker.url, clock=SystemClock())
    try:
        with subscribed(broker.port, "x") as somebody:
            somebody.publish("mbus/water/volume", "318.204", retain=True)
        watch.start()
        wait_until(lambda: watch.update() or watch.devices)
        assert watch.devices["water"].values == {"volume": "318.204"}
    finally:
        watch.stop()
        broker.stop()
