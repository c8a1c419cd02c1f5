"""Keys and telegrams of a running gateway, administered from the shell and over HTTP as an operator does it."""
from __future__ import annotations

import http.client
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mbusgw.runtime.clock import SystemClock
from mbusgw.simulator.lobaro import StandInLobaro
from mbusgw.simulator.radio import Security, telegram
from mbusgw.store.vault import fingerprint
from tests.daemon import Daemon, running
from tests.fakes.workers import started
from tests.mosquitto import Mosquitto, subscribed
from tests.wait import PATIENCE_S, wait_until
from tests.wmbus.samples import KEY, OMS_GAS, WATER, meter

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_daemon_outlives_its_test")]

WRONG = "99" * 16
HEAT = {"filter": {"manafacture": "KAM"}, "heat": {"currentValueIdx": 0}}
WATER_MAPPING = {"filter": {"type": "07"}, "water": {"currentValueIdx": 0}}
MASTER = "77" * 32
GATEWAY_KEY, ADMIN = "gateway-secret-1", "admin-secret-1"


def mbusgw(daemon: Daemon, *arguments: str, given: str = "") -> str:
    command = [sys.executable, "-m", "mbusgw", *arguments, "-c", daemon.file, "--state-dir", daemon.folder / "state"]
    done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def admin(daemon: Daemon, method: str, path: str, body: object = None, token: str = ADMIN) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", daemon.http_port, timeout=PATIENCE_S)
    try:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def post(daemon: Daemon, raw: bytes) -> str:
    status, answer = daemon.post({"gateway_id": "gw1", "raw_hex": raw.hex()})
    assert status == 202
    return str(answer["ingest_id"])


def status(daemon: Daemon, ingest_id: str) -> str:
    return str(admin(daemon, "GET", f"/v1/admin/telegrams/{ingest_id}")[1]["status"])


def test_late_wrong_and_right_keys_a_replay_and_nothing_written_shows_a_secret(
    tmp_path: Path, mosquitto: Mosquitto
) -> None:
    (tmp_path / "master").write_text(MASTER)
    config = f"storage: {{master_key_file: {tmp_path}/master}}\nlogging: {{level: DEBUG}}\n"
    shown: list[str] = []
    with subscribed(mosquitto.port, "#") as subscriber, running(
        tmp_path, config, broker=mosquitto.url, http_options=f"admin_token: {ADMIN}"
    ) as daemon:
        gas, water = post(daemon, OMS_GAS), post(daemon, telegram(meter(Security.MODE_5), 1))
        for ingest_id in (gas, water):
            wait_until(lambda: status(daemon, ingest_id) == "key_missing")  # noqa: B023
        shown.append(mbusgw(daemon, "keys", "set", "12345678", given=WRONG))
        wait_until(lambda: status(daemon, gas) == "failed")
        error = json.loads(subscriber.payloads(f"oms/v1/gw/gw1/errors/{gas}")[-1])
        assert error["error"]["key_fingerprint"] == fingerprint(bytes.fromhex(WRONG))
        keys = tmp_path / "keys.csv"
        keys.write_text(f"serial;maker;aes\n12345678;;{KEY.hex()}\n{WATER.id};{WATER.manufacturer};{KEY.hex()}\n")
        shown.append(mbusgw(daemon, "keys", "import", str(keys)))
        for ingest_id in (gas, water):
            wait_until(lambda: status(daemon, ingest_id) == "published")  # noqa: B023
        shown.append(mbusgw(daemon, "keys", "list"))
        shown.append(mbusgw(daemon, "telegrams", "list", "--json"))
        assert fingerprint(KEY) in shown[-2] and "keys imported, 2 of them new" in shown[-3]

        topic = "oms/v1/gw/gw1/meter/12345678/reading"
        assert len(subscriber.payloads(topic)) == 1
        replay = ("telegrams", "replay", "--status", "published", "--meter", "12345678")
        assert "1 telegram is parsed again" in mbusgw(daemon, *replay)
        wait_until(lambda: len(subscriber.payloads(topic)) == 2)
        wait_until(lambda: status(daemon, gas) == "published")
        metrics = daemon.get("/metrics")[1]
        assert 'oms_telegrams_total{gateway="gw1",result="replayed"} 1.0' in metrics

        for path in ("/v1/admin/keys", "/v1/admin/telegrams", f"/v1/admin/telegrams/{gas}"):
            assert admin(daemon, "GET", path, token="wrong")[0] == 401
            assert admin(daemon, "GET", path, token="")[0] == 401
            shown.append(json.dumps(admin(daemon, "GET", path)[1]))
        for path in ("/state", "/health", "/healthz", "/"):
            shown.append(json.dumps(daemon.get(path)[1]))
        shown.append(json.dumps(admin(daemon, "PUT", "/v1/admin/keys/12345678", {"key": KEY.hex() + "0"})[1]))
        shown.append(json.dumps(admin(daemon, "PUT", f"/v1/admin/keys/{KEY.hex()}", {"key": KEY.hex()})[1]))
        shown += [metrics, *(payload for _, payload, _ in list(subscriber.messages))]
        keys.unlink()
        (tmp_path / "master").unlink()
    written = [file for file in tmp_path.rglob("*") if file.is_file() and file.suffix != ".yaml"]
    assert {"main.log", "mbusgw.db", "stderr.log"} <= {file.name for file in written}
    for secret in (KEY.hex(), WRONG, MASTER, GATEWAY_KEY, ADMIN):
        assert not [text for text in shown if secret.lower() in text.lower()], secret
        for file in written:
            assert secret.lower().encode() not in file.read_bytes().lower(), (secret, file)
    for raw_key in (KEY, bytes.fromhex(MASTER)):
        assert not [file for file in written if raw_key in file.read_bytes()]


def test_with_another_master_key_telegrams_wait_and_go_on_when_the_right_one_is_back(
    tmp_path: Path, mosquitto: Mosquitto
) -> None:
    master = tmp_path / "master"
    credentials = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    (tmp_path / "mbusgw-master-key").write_text(MASTER)
    with running(tmp_path, "", broker=mosquitto.url, environ=credentials) as daemon:
        mbusgw(daemon, "keys", "set", "12345678", given=KEY.hex())
        daemon.stop()
        (tmp_path / "mbusgw-master-key").rename(master)
        daemon.start()
        component = daemon.get("/health")[1]["components"]["keys"]
        assert component["status"] == "degraded" and "1 key is" in component["detail"]
        waiting = post(daemon, OMS_GAS)
        wait_until(lambda: status(daemon, waiting) == "deferred")
        assert "KeyLocked" in admin(daemon, "GET", f"/v1/admin/telegrams/{waiting}")[1]["reason"]
        assert admin(daemon, "PUT", "/v1/admin/keys/87654321", {"key": KEY.hex()})[0] == 409
        master.rename(tmp_path / "mbusgw-master-key")
        daemon.stop()
        daemon.start()
        wait_until(lambda: status(daemon, waiting) == "published")


def test_a_mapping_that_is_put_in_force_goes_to_the_service_with_the_next_telegram(
    tmp_path: Path, mosquitto: Mosquitto
) -> None:
    with started(StandInLobaro(SystemClock())) as service:
        daemon = Daemon(tmp_path, f"lobaro: {{url: '{service.url}', token: secret-token-1}}\n", broker=mosquitto.url)
        daemon.file.write_text(daemon.file.read_text().replace("backend: local", "backend: lobaro_then_local"))

        def sent(number: int) -> list[object]:
            """The mappings that go to the service with a telegram."""
            count = len(service.seen)
            post(daemon, telegram(meter(), number))
            wait_until(lambda: len(service.seen) > count)
            return list(json.loads(service.seen[-1].body)["mappings"])

        daemon.start()
        for number, mappings in enumerate([[HEAT], [HEAT, WATER_MAPPING]]):
            assert admin(daemon, "PUT", "/v1/admin/mappings/active", {"mappings": mappings})[0] == 200
            assert sent(number) == mappings
        first = admin(daemon, "GET", "/v1/admin/mappings")[1]["versions"][-1]["id"]
        assert admin(daemon, "POST", f"/v1/admin/mappings/{first}/activate")[0] == 200
        assert sent(9) == [HEAT]
        daemon.stop()


def test_while_the_gateway_is_stopped_the_shell_works_on_the_database_and_the_next_run_goes_on(
    tmp_path: Path, mosquitto: Mosquitto
) -> None:
    with running(tmp_path, "", broker=mosquitto.url) as daemon:
        locked = post(daemon, OMS_GAS)
        wait_until(lambda: admin(daemon, "GET", f"/v1/admin/telegrams/{locked}")[1]["status"] == "key_missing")
        daemon.stop()
        assert "1 telegram that waited" in mbusgw(daemon, "keys", "set", "12345678", given=KEY.hex())
        assert '"status": "received"' in mbusgw(daemon, "telegrams", "show", locked)
        daemon.start()
        wait_until(lambda: status(daemon, locked) == "published")


def test_after_a_change_of_the_master_key_everything_is_read_as_before(tmp_path: Path, mosquitto: Mosquitto) -> None:
    old, new = tmp_path / "master", tmp_path / "new"
    old.write_text(MASTER)
    new.write_text("55" * 32)
    config = f"storage: {{master_key_file: {old}}}\n"
    with running(tmp_path, config, broker=mosquitto.url) as daemon:
        mbusgw(daemon, "keys", "set", "12345678", "--manufacturer", "ELS", given=KEY.hex())
        command = [sys.executable, "-m", "mbusgw", "keys", "rekey", "--new", new, "-c", daemon.file]
        command += ["--state-dir", tmp_path / "state"]
        refused = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        assert refused.returncode == 1 and "systemctl stop mbusgw" in refused.stderr
        daemon.stop()
        assert "1 key is encrypted with master key" in mbusgw(daemon, "keys", "rekey", "--new", str(new))
        daemon.start()  # the old file is still in place
        waiting = post(daemon, OMS_GAS)
        wait_until(lambda: status(daemon, waiting) == "deferred", what="it waits for the master key")
        daemon.stop()
        new.replace(old)
        daemon.start()
        wait_until(lambda: status(daemon, waiting) == "published", what=lambda: daemon.log[-2000:])
