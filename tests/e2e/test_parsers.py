"""The wireless lane of the whole daemon with each parser: what must not be lost over restarts and outages."""
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mbusgw.model.meter import MeterIdentity
from mbusgw.runtime.clock import SystemClock
from mbusgw.simulator.lobaro import StandInLobaro
from mbusgw.simulator.radio import address_bytes, encode_link
from mbusgw.wmbus.frame import LinkFormat
from tests.daemon import Daemon, running
from tests.fakes.wmbusmeters import StandInWmbusmeters
from tests.fakes.workers import started
from tests.mosquitto import Mosquitto, Subscriber, subscribed
from tests.parsers.compact import compact, full
from tests.wait import wait_until
from tests.wmbus.samples import KEY, OMS_GAS

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_daemon_outlives_its_test")]

KEYS = f"keys: [{{meter_id: '12345678', manufacturer: ELS, key: {KEY.hex()}}}]\n"
TOKEN = "eyJhbGciOiJub25lIn0.a-token"


def hand_in(daemon: Daemon, raw: bytes) -> str:
    status, answer = daemon.post({"gateway_id": "gw1", "raw_hex": raw.hex()})
    assert status == 202
    return str(answer["ingest_id"])


def reading(subscriber: Subscriber, topic: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(wait_until(lambda: subscriber.last(topic), what=f"nothing on {topic}"))
    return document


def test_a_compact_frame_is_read_by_a_format_that_an_earlier_run_heard(tmp_path: Path, mosquitto: Mosquitto) -> None:
    with subscribed(mosquitto.port, "#") as subscriber:
        with running(tmp_path, "", broker=mosquitto.url) as daemon:
            waiting = hand_in(daemon, compact())
            wait_until(lambda: subscriber.last(f"oms/v1/gw/gw1/errors/{waiting}"), what="the wait is not told")
            hand_in(daemon, full())
            wait_until(
                lambda: daemon.get("/state")[1]["queues"] == {"outbox": 0, "backlog": 0, "parser_queue": 0},
                what="the compact frame still waits",
            )
            daemon.kill()
            daemon.start()
            later = hand_in(daemon, compact(bytes.fromhex("0c1380563412" "426cbf2c" "4c1301000000" "02fd170000")))
            wait_until(lambda: reading(subscriber, "oms/v1/gw/gw1/meter/11223344/reading")["ingest_id"] == later)
            assert subscriber.last("mbus/zri_11223344/volume") == "12345.680"


def test_a_proprietary_meter_is_read_by_the_program_and_looks_like_any_other(
    tmp_path: Path, mosquitto: Mosquitto
) -> None:
    program = StandInWmbusmeters(tmp_path)
    program.answer("21202120", {"meter": "izar", "total_m3": 159.832})
    raw = encode_link(0x44, address_bytes(MeterIdentity("21202120", "TCH", 1, 7)), b"\xa2" + bytes(12), LinkFormat.A)
    config = f"parser: {{backend: local, n_workers: 2, wmbusmeters: {{enabled: true, command: '{program.command}'}}}}\n"
    with subscribed(mosquitto.port, "#") as subscriber:
        with running(tmp_path, config, broker=mosquitto.url) as daemon:
            hand_in(daemon, raw)
            assert wait_until(lambda: subscriber.last("mbus/tch_21202120/volume")) == "159.832"
            assert 'wmbusmeters_requests_total{result="ok"} 1.0' in daemon.get("/metrics")[1]
        assert not Path(f"/proc/{program.starts[0]}/exe").exists(), "the program outlives the daemon"


def test_the_service_is_told_no_secret_is_written_and_its_outage_costs_no_reading(
    tmp_path: Path, mosquitto: Mosquitto
) -> None:
    with started(StandInLobaro(SystemClock(), token=TOKEN)) as service:
        config = (
            KEYS + f"lobaro: {{url: '{service.url}', token: {TOKEN}, endpoint: mbus}}\n"
            "parser: {backend: lobaro_then_local, n_workers: 2}\nlogging: {level: DEBUG}\n"
        )
        topic = "oms/v1/gw/gw1/meter/12345678/reading"
        with subscribed(mosquitto.port, "#") as subscriber:
            with running(tmp_path, config, broker=mosquitto.url) as daemon:
                first = hand_in(daemon, OMS_GAS)
                wait_until(lambda: reading(subscriber, topic)["ingest_id"] == first)
                assert reading(subscriber, topic)["lobaro"]["metering_domain_model"]["IdString"] == "12345678"
                service.behave("reset")
                away = hand_in(daemon, full())
                told = reading(subscriber, "oms/v1/gw/gw1/meter/11223344/reading")
                assert (told["ingest_id"], told["reading"]["parser"]) == (away, "local")
                said = daemon.get("/metrics")[1] + json.dumps(daemon.get("/state")[1]) + daemon.log
            for path in (tmp_path / "state").rglob("*.log"):
                said += path.read_text()
            for secret in (KEY.hex(), TOKEN):
                assert secret not in said.lower() and secret not in said
