"""The simulated gateway posts as gateways in the field do."""
from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from mbusgw.model.errors import OutputError
from mbusgw.runtime.clock import SystemClock
from mbusgw.runtime.worker import Worker
from mbusgw.simulator.gateway import SimulatedGateway
from tests.wait import PATIENCE_S
from tests.wmbus.samples import OMS_GAS


class Ingress(Worker):
    """A small ingress that remembers what was posted and may close connections early."""

    def __init__(self) -> None:
        super().__init__("test-ingress", SystemClock())
        self.requests: list[tuple[str, str, str | None, bytes]] = []
        self.keep_alive = True
        self.status = 202
        ingress = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = PATIENCE_S

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                ingress.requests.append((self.command, self.path, self.headers.get("Authorization"), body))
                answer = b'{"accepted":true,"ingest_id":"1"}' if ingress.status == 202 else b"no"
                self.send_response(ingress.status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)
                self.close_connection = not ingress.keep_alive

            def do_HEAD(self) -> None:
                ingress.requests.append((self.command, self.path, self.headers.get("Authorization"), b""))
                self.send_response(204)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Quiet."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.server.timeout = 0.05
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def step(self) -> None:
        self.server.handle_request()

    def teardown(self) -> None:
        self.server.server_close()


@pytest.fixture
def ingress() -> Iterator[Ingress]:
    worker = Ingress()
    worker.start()
    yield worker
    worker.stop()
    assert worker.join(PATIENCE_S)


def test_a_telegram_is_posted_with_gateway_key_and_rssi(ingress: Ingress) -> None:
    gateway = SimulatedGateway(ingress.url, "gw1", "secret")
    assert gateway.post(OMS_GAS, -71.5) == (202, {"accepted": True, "ingest_id": "1"})
    gateway.close()
    ((method, path, authorization, body),) = ingress.requests
    assert (method, path, authorization) == ("POST", "/v1/telegrams", "Bearer secret")
    assert json.loads(body) == {"gateway_id": "gw1", "raw_hex": OMS_GAS.hex(), "rssi_dbm": -71.5}


def test_an_answer_that_is_no_json_is_handed_on_as_a_status(ingress: Ingress) -> None:
    ingress.status = 503
    gateway = SimulatedGateway(ingress.url, "gw1")
    assert gateway.post(OMS_GAS) == (503, {})
    gateway.close()


def test_a_connection_that_the_server_closed_in_between_is_opened_again(ingress: Ingress) -> None:
    ingress.keep_alive = False
    gateway = SimulatedGateway(ingress.url, "gw1")
    assert [gateway.post(OMS_GAS)[0] for _ in range(3)] == [202, 202, 202]
    gateway.close()
    assert len(ingress.requests) == 3


def test_the_probe_of_gateways_is_a_head_request(ingress: Ingress) -> None:
    gateway = SimulatedGateway(ingress.url, "gw1")
    assert gateway.probe() == 204
    gateway.close()
    assert ingress.requests[0][:2] == ("HEAD", "/v1/telegrams")


def test_nobody_listening_is_an_error_of_ours() -> None:
    with pytest.raises(OutputError, match="no answer"):
        SimulatedGateway("http://127.0.0.1:1", "gw1").post(OMS_GAS)


def test_a_url_that_is_not_plain_http_is_refused() -> None:
    with pytest.raises(ValueError):
        SimulatedGateway("https://x", "gw1")
