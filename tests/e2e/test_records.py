"""What is wanted otherwise with single records, from the file to MQTT and back."""
from __future__ import annotations

import json
import sqlite3
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from mbusgw.simulator.segment import Segment
from tests.daemon import Daemon, running
from tests.e2e.test_daemon import AGAIN, KEYS, OMS, buses, document
from tests.mosquitto import Mosquitto, Subscriber, subscribed
from tests.wait import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_daemon_outlives_its_test")]

WISHES = """\
    area: Boiler room
    records:
      energy: {name: Heat total, factor: 10, unit: kWh}
      flow_temperature: {hidden: true}
      enrgy: {factor: 2}
"""


def with_wishes(config: str, wishes: str) -> str:
    """``config``, whose only device gets ``wishes``, in block style."""
    head, _, device = config.partition("  - {")
    lines = "".join(f"    {part}\n" for part in device.rstrip("}\n").split(", "))
    return f"{head}  -\n{lines}{wishes}"


def discovered(told: Subscriber) -> dict[str, Any]:
    """What Home Assistant knows of the meter."""
    newest = {topic: text for topic, text, _ in list(told.messages) if topic.startswith("homeassistant/device/mbusgw_")}
    texts = [json.loads(text) for topic, text in newest.items() if text and "_gateway_" not in topic]
    meters = [one for one in texts if "energy" in one["components"]]
    return dict(meters[0]) if meters else {}


def energy_sent(told: Subscriber) -> Decimal:
    return Decimal(document(told, "mbus/meter_1/attributes")["records"]["energy"]["value"])


def is_alike(daemon: Daemon, told: Subscriber, factor: int) -> bool:
    """The record as sent, topic, ``/state`` and history say the same."""
    sent = energy_sent(told) / 1000 * factor
    state = Decimal(str(daemon.get("/state")[1]["devices"]["meter_1"]["values"]["energy"]["value"]))
    connection = sqlite3.connect(daemon.database)
    try:
        [[kept]] = connection.execute("SELECT fields_json FROM readings ORDER BY id DESC LIMIT 1")
    finally:
        connection.close()
    topic = Decimal(told.last("mbus/meter_1/energy") or 0)
    return sent == topic == state == Decimal(str(json.loads(kept)["energy"][0]))


def test_a_wired_meter_is_shown_as_wanted_and_a_reload_takes_other_wishes_over(
    tmp_path: Path, mosquitto: Mosquitto, segment: Segment
) -> None:
    plain = buses(segment, 1, interval=600)  # read at each start and reload, and it stands still to be compared
    with subscribed(mosquitto.port, "mbus/#", "homeassistant/#") as told:
        with running(tmp_path, plain, broker=mosquitto.url) as daemon:
            head = daemon.file.read_text().removesuffix(plain)
            wait_until(lambda: discovered(told) and told.last("mbus/meter_1/flow_temperature"))
            before = discovered(told)["components"]
            assert is_alike(daemon, told, 1) or wait_until(lambda: is_alike(daemon, told, 1))

            daemon.file.write_text(head + with_wishes(plain, WISHES))
            wait_until(lambda: told.last("mbus/meter_1/flow_temperature") == "", what=lambda: daemon.log)
            wait_until(lambda: discovered(told)["components"]["energy"]["name"] == "Heat total")
            wait_until(lambda: "flow_temperature" not in discovered(told)["components"])
            wait_until(lambda: is_alike(daemon, told, 10), what="topic, state and history differ")
            after = discovered(told)
            assert after["device"]["suggested_area"] == "Boiler room"
            assert after["components"]["energy"]["unique_id"] == before["energy"]["unique_id"]
            wait_until(lambda: "speaks of enrgy, which the meter does not have" in daemon.log)
            assert not daemon.get("/state")[1]["devices"]["meter_1"]["quarantine"], "another factor is no jump"
            assert daemon.log.count("mbusgw 0.") == 1, "no new start"
            shown = told.payloads("mbus/meter_1/flow_temperature")

            daemon.kill()
            daemon.start()
            wait_until(lambda: daemon.get("/state")[1]["devices"]["meter_1"]["stale"] is False)
            wait_until(lambda: is_alike(daemon, told, 10))
            assert set(told.payloads("mbus/meter_1/flow_temperature")[len(shown) :]) <= {""}
            daemon.file.write_text(head + plain)
            wait_until(lambda: told.last("mbus/meter_1/flow_temperature") != "")
            wait_until(lambda: is_alike(daemon, told, 1))


def test_a_radio_meter_is_shown_as_wanted(tmp_path: Path, mosquitto: Mosquitto) -> None:
    config = (
        f"{KEYS}devices: [{{id: gas, radio: els_12345678, records: {{volume: {{factor: 0.1, name: Gas}},"
        " error_flags: {hidden: true}}}]\n"
    )
    with subscribed(mosquitto.port, "mbus/#", "oms/#") as told:
        with running(tmp_path, config, broker=mosquitto.url, environ=AGAIN) as daemon:
            assert daemon.post({"gateway_id": "gw1", "raw_hex": OMS, "rssi_dbm": -70})[0] == 202
            wait_until(lambda: told.last("mbus/gas/volume") == "2850.427")
            assert document(told, "mbus/gas/attributes")["records"]["volume"]["value"] == 28504.27
            reading = wait_until(lambda: [text for topic, text, _ in told.messages if topic.endswith("/reading")])
            assert json.loads(reading[0])["reading"]["fields"]["volume"]["value"] == 2850.427
            assert told.last("mbus/gas/error_flags") in (None, "")
