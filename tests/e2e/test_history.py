"""A subscriber that holds every reading of the simulated meters against what arrived."""
from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from mbusgw.model.units import plain_text
from mbusgw.runtime import exactjson
from mbusgw.simulator.segment import Segment
from tests.daemon import Daemon, running
from tests.e2e.test_daemon import KEYS, OMS, buses, state_of
from tests.mosquitto import Mosquitto, Subscriber, subscribed
from tests.wait import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_daemon_outlives_its_test")]

DEVICES = ("meter_1", "meter_2")


def stored(daemon: Daemon) -> dict[tuple[str, str], dict[str, list[str]]]:
    """Every reading that was made: (device, time) -> fields."""
    with closing(sqlite3.connect(f"file:{daemon.database}?mode=ro", uri=True)) as reader:
        rows = reader.execute("SELECT device_id, read_at, fields_json FROM readings").fetchall()
    return {
        (device, read_at): {name: [plain(value), unit] for name, (value, unit) in exactjson.loads(fields).items()}
        for device, read_at, fields in rows
    }


def until_more(daemon: Daemon, count: int) -> None:
    """Returns when each device was read so many times more."""

    def made() -> dict[str, int]:
        keys = list(stored(daemon))
        return {device: sum(key[0] == device for key in keys) for device in DEVICES}

    before = made()
    wait_until(lambda: all(now >= before[device] + count for device, now in made().items()))


def documents(subscriber: Subscriber, kind: str) -> dict[tuple[str, str], dict[str, Any]]:
    """What came on the topics of all devices that end in ``kind``, by device and time of the reading."""
    found = {}
    for topic, payload, retained in list(subscriber.messages):
        _, device, name = topic.split("/", 2)
        if name == kind and payload:
            document = exactjson.loads(payload)
            found[device, document["read_at"]] = document
            assert kind == "attributes" or not retained
    return found


def test_after_an_outage_with_a_kill_in_it_each_reading_has_arrived_with_its_own_time(
    tmp_path: Path, mosquitto: Mosquitto, segment: Segment
) -> None:
    with subscribed(mosquitto.port, "mbus/+/+") as subscriber:
        daemon = Daemon(tmp_path, buses(segment, 1, 2), broker=mosquitto.url)
        daemon.start()
        until_more(daemon, 2)
        wait_until(lambda: len(documents(subscriber, "attributes")) >= 4)
        mosquitto.stop()
        until_more(daemon, 3)
        daemon.kill()
        daemon.start()
        until_more(daemon, 3)
        mosquitto.start()
        until_more(daemon, 2)
        made = stored(daemon)
        wait_until(lambda: made.keys() <= {*documents(subscriber, "attributes"), *documents(subscriber, "history")})
        daemon.stop()
        made = stored(daemon)
        missed = documents(subscriber, "history")
        assert {device for device, _ in missed} == set(DEVICES) and len(missed) >= 6
        for key, document in missed.items():
            fields = {name: [plain(field["value"]), field["unit"]] for name, field in document["fields"].items()}
            assert fields == made[key]
            meter = segment.meters[DEVICES.index(key[0])]
            for name, (value, _) in fields.items():
                assert value in {plain_text(sent) for sent in meter.sent_values(name)} or name not in meter.expected()
        # Nothing is replayed into now: what came on the state topics never goes back in time.
        for device in DEVICES:
            times = [json.loads(payload)["read_at"] for payload in subscriber.payloads(f"mbus/{device}/attributes")]
            assert times == sorted(times)


def plain(value: object) -> str:
    assert isinstance(value, (int, str, Decimal))
    return str(value)


def test_radio_telegrams_that_come_late_go_to_the_history(tmp_path: Path, mosquitto: Mosquitto) -> None:
    times = ["2026-01-01T10:00:00Z", "2026-01-01T08:00:00Z", "2026-01-01T09:00:00Z", "2026-01-01T11:00:00Z"]
    with subscribed(mosquitto.port, "mbus/+/+") as subscriber:
        with running(tmp_path, KEYS, broker=mosquitto.url, environ={"ENABLE_DEDUP": "false"}) as daemon:
            for rx_time in times:
                status, answer = daemon.post({"gateway_id": "gw1", "raw_hex": OMS, "rx_time": rx_time})
                assert status == 202
                wait_until(lambda: state_of(daemon, answer["ingest_id"]) == "published")  # noqa: B023
            wait_until(lambda: len(documents(subscriber, "history")) == 2)
        late = documents(subscriber, "history")
        assert [at for _, at in late] == ["2026-01-01T08:00:00.000Z", "2026-01-01T09:00:00.000Z"]
        newest = json.loads(subscriber.last("mbus/els_12345678/attributes") or "")
        assert newest["read_at"] == "2026-01-01T11:00:00.000Z"
        assert {one["fields"]["volume"]["value"] for one in late.values()} == {Decimal("28504.27")}
