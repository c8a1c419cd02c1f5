"""A radio meter that is restricted to some gateways, with the whole daemon: every 202 ends once."""
from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

from mbusgw.model.meter import MeterIdentity
from mbusgw.simulator.radio import RadioMeter, telegram
from tests.daemon import Daemon, running
from tests.mosquitto import Mosquitto, Subscriber, subscribed
from tests.wait import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_daemon_outlives_its_test")]

GATEWAYS = ("gw1", "gw2", "gw3")
DEVICES = "devices: [{{id: water, radio: sim_12345678, gateways: [{0}]}}]\n"
_ENDS = {"published", "failed", "duplicate"}
ENVIRON = {"INGEST_API_KEYS": ";".join(f"{name}:key-{name}" for name in GATEWAYS)}


def water(number: int) -> str:
    """A telegram with a value of its own."""
    records = b"\x04\x13" + number.to_bytes(4, "little")
    return telegram(RadioMeter(MeterIdentity("12345678", "SIM", 1, 7), records=lambda: records), number % 256).hex()


def post(daemon: Daemon, gateway_id: str, raw_hex: str) -> str:
    status, answer = daemon.post({"gateway_id": gateway_id, "raw_hex": raw_hex}, key=f"key-{gateway_id}")
    assert status == 202, answer
    return str(answer["ingest_id"])


def status(daemon: Daemon, ingest_id: str) -> str:
    return str(daemon.get(f"/v1/admin/telegrams/{ingest_id}")[1]["status"])


def reads(subscriber: Subscriber) -> list[tuple[str, str]]:
    """Gateway and telegram of every reading that was sent."""
    told = [json.loads(payload) for topic, payload, _ in list(subscriber.messages) if topic.endswith("/reading")]
    return [(one["gateway_id"], one["ingest_id"]) for one in told]


def restrict(daemon: Daemon, *gateways: str) -> None:
    """The file names these now, and the daemon has taken that over."""
    starts = daemon.log.count("ready:")
    text = daemon.file.read_text()
    daemon.file.write_text(text[: text.index("devices:")] + DEVICES.format(", ".join(gateways)))
    wait_until(lambda: daemon.log.count("ready:") > starts and daemon.answers(), what=lambda: daemon.log[-2000:])


def test_copies_in_every_order_over_kills_and_other_lists_end_once_and_only_listed_ones_are_read(
    tmp_path: Path, mosquitto: Mosquitto
) -> None:
    numbers = itertools.count(1)
    posted: dict[str, tuple[str, tuple[str, ...]]] = {}  # telegram -> its gateway, the list of then
    with subscribed(mosquitto.port, "oms/#") as told:
        with running(tmp_path, DEVICES.format("gw1"), broker=mosquitto.url, environ=ENVIRON) as daemon:
            for listed in (("gw1",), ("gw2", "gw3"), ("gw1", "gw3")):
                if listed != ("gw1",):
                    restrict(daemon, *listed)
                for round_, order in enumerate(itertools.permutations(GATEWAYS)):
                    raw_hex = water(next(numbers))
                    for gateway_id in order:
                        posted[post(daemon, gateway_id, raw_hex)] = gateway_id, listed
                    if round_ == 3:
                        daemon.kill()
                        daemon.start()
                wait_until(lambda: all(status(daemon, one) in _ENDS for one in posted), what="not all have ended")
            states = {ingest_id: status(daemon, ingest_id) for ingest_id in posted}
            read = wait_until(lambda: reads(told) if len({one for _, one in reads(told)}) == 18 else None)
            assert all(gateway_id in posted[ingest_id][1] for gateway_id, ingest_id in read)
            assert {ingest_id for _, ingest_id in read} == {one for one in posted if states[one] == "published"}
            failed = [one for one in posted if states[one] == "failed"]
            assert failed and all(posted[one][0] not in posted[one][1] for one in failed)
            listing = daemon.get("/v1/admin/telegrams?status=failed&meter=12345678")[1]["telegrams"]
            assert {one["ingest_id"] for one in listing} == set(failed)
            assert all(one["reason"].startswith("GatewayExcluded") for one in listing)
            assert daemon.get("/state")[1]["queues"]["backlog"] == 0


def test_a_gateway_that_nobody_knows_is_warned_of_at_the_start(tmp_path: Path, mosquitto: Mosquitto) -> None:
    with running(tmp_path, DEVICES.format("gw9"), broker=mosquitto.url, environ=ENVIRON) as daemon:
        assert "devices[0].gateways[0]: no gateway of ingest.keys is named `gw9`" in daemon.log
