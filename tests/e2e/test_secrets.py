"""With the Lobaro API the meter's key travels in the URL: whatever goes wrong, nobody but the API is shown it."""
from __future__ import annotations

import json
from pathlib import Path

import pytest

from mbusgw.model.meter import MeterIdentity
from mbusgw.runtime.clock import SystemClock
from mbusgw.simulator.lobaro import BEHAVIOURS, StandInLobaro
from mbusgw.simulator.radio import RadioMeter, Security, telegram
from tests.daemon import KEY as GATEWAY_KEY
from tests.daemon import Daemon, running
from tests.fakes.workers import started
from tests.mosquitto import Mosquitto, subscribed
from tests.wait import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_daemon_outlives_its_test")]

#: The key in the configuration, that of a request, a wrong one, the master key.
KNOWN, BROUGHT, WRONG = (bytes([first]) * 8 + bytes(range(8)) for first in (0xC1, 0xB2, 0xA3))
MASTER = bytes([0xD4]) * 32
TOKEN = "eyJhbGciOiJub25lIn0.a-token-of-lobaro"
ADMIN = "the-administrators-own-token"

#: What makes the service slow costs the time of its timeout.
SLOW = {"hang", "drip"}
CONFIG = """
lobaro: {{url: '{url}', token: {token}, endpoint: mbus, timeout: 0.3, connect_timeout: 0.3, tries: 1, rate: 1000}}
parser: {{backend: {backend}, n_workers: 2}}
logging: {{level: DEBUG}}
storage: {{master_key_file: '{folder}/master'}}
keys: [{{meter_id: '10000001', key: {known}}}, {{meter_id: '10000003', key: {wrong}}}]
"""


def secrets() -> list[bytes]:
    """Each in every form in which it could be written."""
    found = [text.encode() for text in (TOKEN, ADMIN, GATEWAY_KEY)]
    for key in (KNOWN, BROUGHT, WRONG, MASTER):
        found += [key.hex().encode(), key.hex().upper().encode(), key]
    return found


def raw(meter_id: str, key: bytes, number: int) -> str:
    records = b"\x04\x13" + number.to_bytes(4, "little")
    meter = RadioMeter(
        MeterIdentity(meter_id, "SIM", 1, 7), records=lambda: records, security=Security.MODE_5, key=key
    )
    return telegram(meter, number % 256).hex()


@pytest.mark.parametrize("backend", ["lobaro", "compare"])
def test_whatever_the_service_does_nothing_that_is_written_or_told_holds_a_key_or_token(
    tmp_path: Path, mosquitto: Mosquitto, backend: str
) -> None:
    (tmp_path / "master").write_text(MASTER.hex())
    service = StandInLobaro(SystemClock(), token=TOKEN)
    service.keys = {"10000001": KNOWN, "10000002": BROUGHT}
    with started(service):
        config = CONFIG.format(
            url=service.url, token=TOKEN, backend=backend, folder=tmp_path, known=KNOWN.hex(), wrong=WRONG.hex()
        )
        with subscribed(mosquitto.port, "#") as subscriber:
            with running(tmp_path, config, broker=mosquitto.url, http_options=f"admin_token: {ADMIN}") as daemon:
                asked = _provoke(daemon, service)
                said = [*_told_over_http(daemon, asked), daemon.log.encode()]
            said += [f"{topic} {payload}".encode() for topic, payload, _ in list(subscriber.messages)]
    assert any(seen.with_key for seen in service.seen), "the service was told keys"
    files = [path for path in (tmp_path / "state").rglob("*") if path.is_file()]
    assert {"mbusgw.db", "main.log", "error.log"} <= {path.name for path in files}
    said += [path.read_bytes() for path in files]
    said.append((tmp_path / "stderr.log").read_bytes())
    leaks = [text[max(0, text.find(secret) - 80) :][:200] for text in said for secret in secrets() if secret in text]
    assert not leaks, leaks[:3]


def _provoke(daemon: Daemon, service: StandInLobaro) -> list[str]:
    """One after the other everything that the service is feared to do; the telegrams that were handed in."""
    asked = []
    for number, name in enumerate(sorted(BEHAVIOURS, key=lambda name: (name in SLOW, name != "ok", name))):
        if _leaves_it_alone(daemon):
            daemon.kill()
            daemon.start()
        service.behave(name)
        seen = len(service.seen)
        for meter_id, key, more in (
            ("10000001", KNOWN, {}),
            ("10000002", BROUGHT, {"key_hex": BROUGHT.hex()}),
            ("10000003", KNOWN, {}),
        ):
            body = {"gateway_id": "gw1", "raw_hex": raw(meter_id, key, number), **more}
            status, answer = daemon.post(body)
            assert status == 202
            asked.append(str(answer["ingest_id"]))
        wait_until(lambda: len(service.seen) > seen or _leaves_it_alone(daemon), what=f"{name}: nobody asks")
    daemon.post({"gateway_id": "gw1", "raw_hex": raw("10000001", KNOWN, 99), "key_hex": "zz" + KNOWN.hex()[2:]})
    daemon.post({"gateway_id": "gw1", "raw_hex": raw("10000001", KNOWN, 99)}, key=BROUGHT.hex())
    return asked


def _leaves_it_alone(daemon: Daemon) -> bool:
    """The service has failed so that it is not asked for a while."""
    return daemon.get("/healthz")[1]["parser_reachable"] is not True


def _told_over_http(daemon: Daemon, asked: list[str]) -> list[bytes]:
    admin = {"Authorization": f"Bearer {ADMIN}"}
    paths = ["/state", "/metrics", "/health", "/healthz", "/", "/v1/admin/keys", "/v1/admin/telegrams?limit=500"]
    paths += ["/v1/admin/mappings", "/v1/admin/commands", *(f"/v1/admin/telegrams/{one}" for one in asked)]
    told = []
    for path in paths:
        status, document = daemon._request("GET", path, None, admin)
        assert status in (200, 503), (path, status)
        told.append((document if isinstance(document, str) else json.dumps(document)).encode())
    return told
