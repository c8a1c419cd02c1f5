"""The whole daemon as a user starts it: meters in, MQTT out."""
from __future__ import annotations

import json
import signal
import socket
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from mbusgw.model.units import plain_text
from mbusgw.simulator.fault import Fault, FaultKind
from mbusgw.simulator.segment import Segment
from tests.daemon import KEY, Daemon, running
from tests.mosquitto import Mosquitto, Subscriber, subscribed
from tests.wait import PATIENCE_S, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_daemon_outlives_its_test")]

#: The published example of an encrypted OMS telegram (gas meter, mode 5, format A with CRCs) and its key.
OMS = "2e44931578563412330333637a2a0020055923c95aaa26d1b2e7493b2a8b013ec4a6f6d3529b520edff0ea6defc955b29d6d69ebf3ec8a"
OMS_KEY = "0102030405060708090A0B0C0D0E0F11"
KEYS = f"keys: [{{meter_id: '12345678', manufacturer: ELS, key: {OMS_KEY}}}]\n"


#: The same telegram may be posted again.
AGAIN = {"ENABLE_DEDUP": "false"}


def buses(segment: Segment, *addresses: int, interval: float = 1) -> str:
    devices = "".join(
        f"  - {{id: meter_{address}, name: Meter {address}, bus: main, address: {address}, interval: {interval}}}\n"
        for address in addresses
    )
    return (
        f"buses: [{{name: main, port: '{segment.port}', baudrate: {segment.baudrate}, max_retries: 1,"
        f" retry_delay: 0.1, device_offline_timeout: 3}}]\ndevices:\n{devices}"
    )


def document(subscriber: Subscriber, topic: str) -> dict[str, Any]:
    parsed = json.loads(wait_until(lambda: subscriber.last(topic), what=f"nothing on {topic}"))
    assert isinstance(parsed, dict)
    return parsed


def test_every_value_of_five_wired_meters_arrives_right(tmp_path: Path, mosquitto: Mosquitto, segment: Segment) -> None:
    with subscribed(mosquitto.port, "#") as subscriber:
        with running(tmp_path, buses(segment, 1, 2, 3, 4, 5), broker=mosquitto.url):
            for meter in segment.meters:
                device = f"meter_{meter.address}"
                attributes = document(subscriber, f"mbus/{device}/attributes")
                assert subscriber.last(f"mbus/{device}/availability") == "online"
                for name, (_, unit) in meter.expected().items():
                    value = wait_until(lambda: subscriber.last(f"mbus/{device}/{name}"), what=name)  # noqa: B023
                    assert value in {plain_text(sent) for sent in meter.sent_values(name)}
                    assert attributes["units"].get(name, "") == unit
                assert not attributes["stale"] and attributes["meter"]["id"]
            wait_until(lambda: subscriber.last("mbus/bridge/state") == "online")
            wait_until(lambda: len(announced(subscriber)) == 6, what="five meters and the gateway are not announced")


def test_meters_called_by_secondary_address_arrive_right_and_another_one_never(
    tmp_path: Path, mosquitto: Mosquitto, segment: Segment
) -> None:
    segment.meters[2].fault = Fault(FaultKind.WRONG_ID)
    addresses = [meter.secondary_address for meter in segment.meters[:3]]
    config = buses(segment, 4) + "".join(
        f"  - {{id: by_number_{n}, bus: main, address: {address}, interval: 1}}\n"
        for n, address in enumerate(addresses, start=1)
    )
    config += "  - {id: by_parts, bus: main, address: {id: 40000005, manufacturer: SIM}, interval: 1}\n"
    read = {"by_number_1": 0, "by_number_2": 1, "meter_4": 3, "by_parts": 4}
    with subscribed(mosquitto.port, "mbus/#") as subscriber:
        with running(tmp_path, config, broker=mosquitto.url) as daemon:
            for device, number in read.items():
                meter = segment.meters[number]
                attributes = document(subscriber, f"mbus/{device}/attributes")
                assert attributes["meter"]["id"] == meter.identity.id
                for name in meter.expected():
                    value = wait_until(lambda: subscriber.last(f"mbus/{device}/{name}"), what=name)  # noqa: B023
                    assert value in {plain_text(sent) for sent in meter.sent_values(name)}
            wait_until(lambda: daemon.get("/state")[1]["devices"]["by_number_3"]["last_error"])
            state = daemon.get("/state")[1]["devices"]
        assert state["by_number_1"]["polling"]["address"] == str(addresses[0])
        assert state["meter_4"]["polling"]["address"] == 4
        assert f"answered, {addresses[2]} was asked" in state["by_number_3"]["last_error"]
        assert not state["by_number_3"]["online"]
        told = [topic for topic, _, _ in subscriber.messages if topic.startswith("mbus/by_number_3/")]
        assert set(told) <= {f"mbus/by_number_3/{one}" for one in ("availability", "attributes", "settings")}


def announced(subscriber: Subscriber) -> set[str]:
    return {topic for topic, _, _ in list(subscriber.messages) if topic.startswith("homeassistant/device/")}


def test_a_radio_telegram_becomes_a_reading_a_device_and_a_final_state(tmp_path: Path, mosquitto: Mosquitto) -> None:
    with subscribed(mosquitto.port, "oms/#", "mbus/#") as subscriber:
        with running(tmp_path, KEYS, broker=mosquitto.url) as daemon:
            status, answer = daemon.post({"gateway_id": "gw1", "raw_hex": OMS, "rssi_dbm": -70})
            assert status == 202 and answer["accepted"] is True
            ingest_id = answer["ingest_id"]
            reading = document(subscriber, "oms/v1/gw/gw1/meter/12345678/reading")
            assert reading["schema"] == "oms.bridge.v1" and reading["ingest_id"] == ingest_id
            assert reading["reading"]["fields"]["volume"] == {"value": 28504.27, "unit": "m³"}
            assert document(subscriber, f"oms/v1/gw/gw1/raw/{ingest_id}")["raw_hex"] == OMS.upper()
            wait_until(lambda: subscriber.last("mbus/els_12345678/volume") == "28504.27")
            wait_until(lambda: state_of(daemon, ingest_id) == "published")
        assert not [topic for topic, _, retained in subscriber.messages if topic.startswith("oms/") and retained]


def state_of(daemon: Daemon, ingest_id: str) -> str:
    connection = sqlite3.connect(daemon.database)
    try:
        row = connection.execute("SELECT status FROM telegrams WHERE ingest_id = ?", (ingest_id,)).fetchone()
        return str(row[0])
    finally:
        connection.close()


def test_the_same_telegram_twice_is_accepted_and_parsed_once(tmp_path: Path, mosquitto: Mosquitto) -> None:
    with subscribed(mosquitto.port, "oms/#") as subscriber:
        with running(tmp_path, KEYS, broker=mosquitto.url) as daemon:
            first = daemon.post({"gateway_id": "gw1", "raw_hex": OMS})[1]
            status, second = daemon.post({"gateway_id": "gw1", "raw_hex": OMS})
            assert status == 202 and second["ingest_id"] != first["ingest_id"]
            wait_until(lambda: state_of(daemon, first["ingest_id"]) == "published")
            assert state_of(daemon, second["ingest_id"]) == "duplicate"
            wait_until(lambda: subscriber.last(f"oms/v1/gw/gw1/raw/{second['ingest_id']}"))
    assert len(subscriber.payloads("oms/v1/gw/gw1/meter/12345678/reading")) == 1


def test_a_telegram_without_its_key_waits_and_is_parsed_when_the_key_is_configured(
    tmp_path: Path, mosquitto: Mosquitto
) -> None:
    with subscribed(mosquitto.port, "oms/#") as subscriber:
        with running(tmp_path, "", broker=mosquitto.url) as daemon:
            ingest_id = daemon.post({"gateway_id": "gw1", "raw_hex": OMS})[1]["ingest_id"]
            error = document(subscriber, f"oms/v1/gw/gw1/errors/{ingest_id}")
            assert error["status"] == "key_missing" and error["will_retry"] is True
            assert "12345678" in error["error"]["message"]
            wait_until(lambda: state_of(daemon, ingest_id) == "key_missing")
            daemon.file.write_text(daemon.file.read_text() + KEYS)
            assert daemon.process is not None
            daemon.process.send_signal(signal.SIGHUP)
            reading = document(subscriber, "oms/v1/gw/gw1/meter/12345678/reading")
            assert reading["ingest_id"] == ingest_id
            wait_until(lambda: state_of(daemon, ingest_id) == "published")
            wait_until(daemon.answers)


def test_a_wrong_key_never_yields_a_record(tmp_path: Path, mosquitto: Mosquitto) -> None:
    with subscribed(mosquitto.port, "oms/#", "mbus/#") as subscriber:
        with running(tmp_path, KEYS.replace("0F11", "0F12"), broker=mosquitto.url) as daemon:
            ingest_id = daemon.post({"gateway_id": "gw1", "raw_hex": OMS})[1]["ingest_id"]
            error = document(subscriber, f"oms/v1/gw/gw1/errors/{ingest_id}")
            assert error["error"]["type"] == "KeyWrong" and error["will_retry"] is False
            assert OMS_KEY.replace("0F11", "0F12").lower() not in daemon.log.lower()
        assert not [topic for topic, _, _ in subscriber.messages if "els_12345678" in topic or "reading" in topic]


@pytest.mark.parametrize(
    ("body", "key", "status", "word"),
    [
        ({"gateway_id": "gw1", "raw_hex": OMS[:-1]}, KEY, 400, "odd"),
        ({"gateway_id": "gw1", "raw_hex": "xy" + OMS}, KEY, 400, "raw_hex"),
        ({"gateway_id": "gw1"}, KEY, 400, "raw_hex"),
        ({"gateway_id": "gw1", "raw_hex": OMS}, "not-the-key", 401, "key"),
        ({"gateway_id": "other", "raw_hex": OMS}, KEY, 403, "gateway"),
        ("{broken", KEY, 400, "JSON"),
    ],
)
def test_wrong_posts_are_told_what_is_wrong(
    tmp_path: Path, mosquitto: Mosquitto, body: object, key: str, status: int, word: str
) -> None:
    with running(tmp_path, KEYS, broker=mosquitto.url) as daemon:
        code, answer = daemon.post(body, key=key)
        assert code == status
        assert {"error", "message"} <= set(answer)
        assert word in answer["message"]
        assert daemon.post({"gateway_id": "gw1", "raw_hex": OMS})[0] == 202


def test_a_silent_meter_goes_offline_and_comes_back_and_costs_the_others_nothing(
    tmp_path: Path, mosquitto: Mosquitto, segment: Segment
) -> None:
    with subscribed(mosquitto.port, "mbus/#") as subscriber:
        # Nothing but a silence of thrice its interval may make the second one offline, not even a busy machine.
        config = buses(segment, 1) + "  - {id: meter_2, bus: main, address: 2, interval: 10}\n"
        with running(tmp_path, config, broker=mosquitto.url) as daemon:
            wait_until(lambda: subscriber.last("mbus/meter_1/availability") == "online")
            wait_until(lambda: subscriber.last("mbus/meter_2/availability") == "online")
            segment.meters[0].fault = Fault(FaultKind.SILENT)
            wait_until(lambda: subscriber.last("mbus/meter_1/availability") == "offline")
            assert "no answer" in daemon.get("/state")[1]["devices"]["meter_1"]["last_error"]
            segment.meters[0].fault = None
            wait_until(lambda: subscriber.last("mbus/meter_1/availability") == "online")
        before_the_end = subscriber.payloads("mbus/meter_2/availability")
        assert "offline" not in before_the_end[before_the_end.index("online") :]


def test_a_restart_publishes_the_last_state_as_stale_until_fresh_data_comes(
    tmp_path: Path, mosquitto: Mosquitto, segment: Segment
) -> None:
    daemon = Daemon(tmp_path, buses(segment, 1), broker=mosquitto.url)
    daemon.start()
    with subscribed(mosquitto.port, "mbus/#") as subscriber:
        wait_until(lambda: subscriber.last("mbus/meter_1/attributes"))
    assert daemon.stop() == 0
    segment.meters[0].fault = Fault(FaultKind.SILENT)
    with subscribed(mosquitto.port, "mbus/#") as subscriber:
        daemon.start()
        wait_until(lambda: document(subscriber, "mbus/meter_1/attributes")["stale"] is True)
        assert subscriber.last("mbus/meter_1/energy")
        segment.meters[0].fault = None
        wait_until(lambda: document(subscriber, "mbus/meter_1/attributes")["stale"] is False)
        assert daemon.stop() == 0


@pytest.mark.parametrize("options", ["will_delay: 1", "protocol: 3.1.1"])
def test_sigterm_ends_it_and_others_learn_that_it_is_offline(
    tmp_path: Path, mosquitto: Mosquitto, segment: Segment, options: str
) -> None:
    with subscribed(mosquitto.port, "mbus/bridge/state") as subscriber:
        with running(tmp_path, buses(segment, 1, 2, 9), broker=mosquitto.url, mqtt_options=options) as daemon:
            wait_until(lambda: subscriber.last("mbus/bridge/state") == "online")
            assert daemon.stop() == 0
        wait_until(lambda: subscriber.last("mbus/bridge/state") == "offline")
        assert "Traceback" not in daemon.log


def test_a_restart_shows_nobody_as_gone(tmp_path: Path, mosquitto: Mosquitto, segment: Segment) -> None:
    states = ("mbus/bridge/state", "mbus/meter_1/availability", "mbus/meter_2/availability")
    with subscribed(mosquitto.port, "mbus/#") as subscriber:
        config = buses(segment, 1, 2).replace("device_offline_timeout: 3", "device_offline_timeout: 90")
        with running(tmp_path, config, broker=mosquitto.url) as daemon:
            wait_until(lambda: all(subscriber.last(topic) == "online" for topic in states))
            known = len(subscriber.messages)  # before it was read for the first time, a meter is offline
            for end in (signal.SIGTERM, signal.SIGKILL, signal.SIGTERM):
                daemon.stop(end)
                before = len(subscriber.payloads("mbus/bridge/state"))
                daemon.start()
                wait_until(lambda: len(subscriber.payloads("mbus/bridge/state")) > before)  # noqa: B023
        told = {(topic, payload) for topic, payload, _ in subscriber.messages[known:] if topic in states}
        assert told == {(topic, "online") for topic in states}


def test_a_port_that_does_not_exist_is_said_and_stops_nothing_else(
    tmp_path: Path, mosquitto: Mosquitto, segment: Segment
) -> None:
    config = buses(segment, 1).replace("buses: [", "buses: [{name: gone, port: /dev/ttyUSB77}, ")
    config += "  - {id: meter_9, bus: gone, address: 9}\n"
    with subscribed(mosquitto.port, "mbus/#") as subscriber:
        with running(tmp_path, config, broker=mosquitto.url) as daemon:
            wait_until(lambda: subscriber.last("mbus/meter_1/availability") == "online")
            assert "/dev/ttyUSB77" in daemon.log
            status, health = daemon.get("/health")
            assert status == 200 and health["components"]["bus gone"]["status"] == "degraded"


def test_a_second_daemon_on_the_same_serial_port_is_told_so(
    tmp_path: Path, mosquitto: Mosquitto, segment: Segment
) -> None:
    (tmp_path / "second").mkdir()
    config = "gateway: {id: second}\n" + buses(segment, 1)
    with running(tmp_path, buses(segment, 1), broker=mosquitto.url) as first:
        wait_until(lambda: first.get("/state")[1]["buses"]["main"]["connected"])
        with running(tmp_path / "second", config, broker=mosquitto.url) as second:
            error = wait_until(lambda: second.get("/state")[1]["buses"]["main"]["last_error"])
            assert first.process is not None
            assert segment.port in error and "in use" in error and str(first.process.pid) in error
            assert first.get("/state")[1]["buses"]["main"]["connected"]


def test_a_second_daemon_on_the_same_database_does_not_start(tmp_path: Path, mosquitto: Mosquitto) -> None:
    with running(tmp_path, "", broker=mosquitto.url):
        second = Daemon(tmp_path, "gateway: {id: second}\n", broker=mosquitto.url)
        second.start(wait=False)
        assert second.process is not None
        assert second.process.wait(PATIENCE_S) == 1
        assert "another mbusgw" in second.log


def test_a_taken_http_port_keeps_nothing_else_from_working(
    tmp_path: Path, mosquitto: Mosquitto, segment: Segment
) -> None:
    daemon = Daemon(tmp_path, buses(segment, 1), broker=mosquitto.url)
    with socket.socket() as other, subscribed(mosquitto.port, "mbus/#") as subscriber:
        other.bind(("127.0.0.1", daemon.http_port))
        other.listen()
        daemon.start(wait=False)
        wait_until(lambda: subscriber.last("mbus/meter_1/availability") == "online")
        assert str(daemon.http_port) in daemon.log
        other.close()
        wait_until(lambda: daemon.answers())
        assert daemon.stop() == 0


def test_a_bad_file_at_a_reload_is_refused_and_the_old_one_stays(
    tmp_path: Path, mosquitto: Mosquitto, segment: Segment
) -> None:
    with running(tmp_path, buses(segment, 1), broker=mosquitto.url) as daemon:
        assert daemon.process is not None
        good = daemon.file.read_text()
        daemon.file.write_text(good.replace("address: 1", "adress: 1"))
        daemon.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "adress" in daemon.log and "stays in force" in daemon.log)
        assert daemon.get("/state")[1]["devices"]["meter_1"]
        daemon.file.write_text(good + "  - {id: meter_2, bus: main, address: 2, interval: 1}\n")
        daemon.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "ready: " in daemon.log and "of 2 meters" in daemon.log)
        assert "meter_2" in daemon.get("/state")[1]["devices"]


def test_a_typo_in_the_configuration_ends_the_start_with_code_3(tmp_path: Path, mosquitto: Mosquitto) -> None:
    daemon = Daemon(tmp_path, "buses: [{name: main, prot: /dev/null}]\n", broker=mosquitto.url)
    daemon.start(wait=False)
    assert daemon.process is not None and daemon.process.wait(PATIENCE_S) == 3
    assert "mbusgw.yaml:5" in daemon.log and "did you mean" in daemon.log


def test_systemd_is_told_when_ready_and_when_stopping(tmp_path: Path, mosquitto: Mosquitto) -> None:
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        manager.settimeout(PATIENCE_S)
        daemon = Daemon(
            tmp_path, "", broker=mosquitto.url, environ={"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "400000"}
        )
        daemon.start()

        def told(word: str) -> str:
            return wait_until(lambda: next((text for text in [manager.recv(4096).decode()] if word in text), ""))

        assert "STATUS=" in told("READY=1")
        assert told("WATCHDOG=1")
        assert daemon.stop() == 0
        assert told("STOPPING=1")


def test_a_radio_meter_is_called_and_shown_as_the_configuration_says(tmp_path: Path, mosquitto: Mosquitto) -> None:
    body = {"gateway_id": "gw1", "raw_hex": OMS, "rssi_dbm": -70}
    with subscribed(mosquitto.port, "mbus/#", "homeassistant/#") as subscriber:
        with running(tmp_path, KEYS, broker=mosquitto.url) as daemon:
            assert daemon.post(body)[0] == 202
            wait_until(lambda: subscriber.last("mbus/els_12345678/volume") == "28504.27")
            wait_until(lambda: announced(subscriber))
        named = f"{KEYS}devices: [{{id: gas_cellar, radio: els_12345678, name: Gas cellar}}]\n"
        with running(tmp_path, named, broker=mosquitto.url, environ=AGAIN) as daemon:
            wait_until(lambda: subscriber.last("mbus/els_12345678/volume") == "", what="the old topic is not cleared")
            assert daemon.post(body)[0] == 202
            wait_until(lambda: subscriber.last("mbus/gas_cellar/volume") == "28504.27")
            (topic,) = {one for one in announced(subscriber) if "12345678" in one}
            wait_until(lambda: json.loads(subscriber.last(topic) or "{}").get("device", {}).get("name") == "Gas cellar")
        hidden = named.replace("name: Gas cellar", "hidden: true")
        with running(tmp_path, hidden, broker=mosquitto.url, environ=AGAIN) as daemon:
            wait_until(lambda: subscriber.last("mbus/gas_cellar/volume") == "")
            wait_until(lambda: subscriber.last(topic) == "", what="Home Assistant still shows it")
            assert daemon.post(body)[0] == 202
            wait_until(lambda: daemon.get("/state")[1]["devices"].get("gas_cellar", {}).get("stale") is False)
            assert subscriber.last("mbus/gas_cellar/volume") == ""
