"""Every route others rely on, as a client meets it."""
from __future__ import annotations

import http.client
import json

import pytest
import yaml

from tests.contracts.conftest import World
from tests.daemon import KEY
from tests.wait import PATIENCE_S
from tests.wmbus.samples import OMS_GAS

pytestmark = pytest.mark.slow


def ask(world: World, method: str, path: str, body: str | None = None, **headers: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", world.daemon.http_port, timeout=PATIENCE_S)
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        response.read()
        return response
    finally:
        connection.close()


def fetch(world: World, path: str) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", world.daemon.http_port, timeout=PATIENCE_S)
    try:
        connection.request("GET", path)
        return connection.getresponse().read().decode()
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("HEAD", "/v1/telegrams", 204),
        ("GET", "/v1/telegrams", 405),
        ("POST", "/v1/telegrams", 401),
        ("GET", "/health", 200),
        ("GET", "/healthz", 200),
        ("GET", "/metrics", 200),
        ("GET", "/state", 200),
        ("GET", "/", 200),
        ("GET", "/v1/admin/commands", 200),
        ("POST", "/v1/admin/commands/fly", 404),
        ("GET", "/v1/admin/commands/unknown", 404),
        ("DELETE", "/v1/admin/commands/unknown", 404),
        ("GET", "/trigger-scan", 405),
        ("GET", "/v1/admin/keys", 200),
        ("PUT", "/v1/admin/keys/12345678", 400),
        ("DELETE", "/v1/admin/keys/00000000", 404),
        ("GET", "/v1/admin/telegrams", 200),
        ("GET", "/v1/admin/telegrams/nobody", 404),
        ("POST", "/v1/admin/telegrams/replay", 400),
        ("GET", "/v1/admin/mappings", 200),
        ("GET", "/v1/admin/dashboard", 200),
        ("GET", "/v1/admin/mappings/active", 200),
        ("PUT", "/v1/admin/mappings/active", 400),
        ("GET", "/nothing/here", 404),
    ],
)
def test_a_route_answers_with_its_status(world: World, method: str, path: str, status: int) -> None:
    body = "{}" if method in ("POST", "PUT") else None
    headers = {"Content-Length": "2"} if body else {}
    assert ask(world, method, path, body, **headers).status == status


def test_the_interface_is_described_as_it_is(world: World) -> None:
    described = yaml.safe_load(fetch(world, "/openapi.yaml"))
    documented = {
        (method.upper(), path)
        for path, methods in described["paths"].items()
        for method in methods
        if method in ("get", "post", "put", "delete", "head")
    }
    served = {(route["method"], route["path"]) for route in json.loads(fetch(world, "/"))["routes"]}
    assert documented == served | {("GET", "/")}


def test_a_wrong_method_is_told_the_right_ones(world: World) -> None:
    assert ask(world, "GET", "/v1/telegrams").headers["Allow"] == "HEAD, POST"


def test_a_telegram_is_acknowledged_with_its_id(world: World) -> None:
    status, answer = world.daemon.post({"gateway_id": "gw1", "raw_hex": OMS_GAS.hex()})
    assert status == 202 and answer["accepted"] is True and len(answer["ingest_id"]) == 36


def test_a_batch_is_acknowledged_with_a_list(world: World) -> None:
    field_gateway = {"gateway": "gw1", "status": "ok", "rssi": -71, "logical_hex": OMS_GAS.hex()}
    status, answers = world.daemon.post([{"gateway_id": "gw1", "raw_hex": OMS_GAS.hex()}, field_gateway], key=KEY)
    assert status == 202 and [answer["accepted"] for answer in answers] == [True, True]


def test_with_sync_the_parsed_result_comes_back(world: World) -> None:
    raw = OMS_GAS[:-1] + bytes([OMS_GAS[-1] ^ 1])  # damaged: new, and settled at once
    status, answer = world.daemon.post({"gateway_id": "gw1", "raw_hex": raw.hex()}, query="?sync=true")
    assert status == 200 and answer["status"] == "failed" and "CRC" in answer["reason"]


def test_health_names_every_component(world: World) -> None:
    document = world.daemon.get("/health")[1]
    assert document["status"] in ("healthy", "degraded")
    named = {"store", "mqtt", "http", "outbox", "history", "backlog", "threads", "bus main"}
    assert named <= document["components"].keys()
    assert all(component["status"] for component in document["components"].values())


def test_readiness_names_broker_parser_and_queues(world: World) -> None:
    document = world.daemon.get("/healthz")[1]
    assert document["status"] == "ready" and document["mqtt_connected"] is True and "parser_reachable" in document
    assert document["queues"].keys() == {"outbox", "backlog", "parser_queue"}


def test_state_has_every_device_bus_and_queue(world: World) -> None:
    document = world.daemon.get("/state")[1]
    assert document["devices"].keys() == {"meter_1", "silent", "els_12345678"}
    assert document["devices"]["meter_1"]["values"]["energy"]["unit"] == "kWh"
    assert document["devices"]["meter_1"]["polling"]["reads"] >= 1
    assert document["devices"]["silent"]["online"] is False
    assert document["buses"]["main"]["connected"] is True
