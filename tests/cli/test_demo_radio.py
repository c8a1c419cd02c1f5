from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from mbusgw.cli.demo_radio import RadioGateway, Transmitter, build_transmitters
from mbusgw.model.errors import DecodeError
from mbusgw.model.fields import name_fields
from mbusgw.parsers.local import decode_telegram
from mbusgw.runtime.clock import SystemClock
from mbusgw.simulator.gateway import SimulatedGateway
from tests.mosquitto import free_port


class Ingress(HTTPServer):
    """Answers every post with one status, and keeps the bodies."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.status = 202
        self.bodies: list[bytes] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Answer(BaseHTTPRequestHandler):
    server: Ingress

    def do_POST(self) -> None:
        self.server.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def ingress() -> Iterator[Ingress]:
    server = Ingress()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def radio_gateway(url: str) -> RadioGateway:
    """One that does not wait between its steps."""
    clock = SystemClock()
    gateway = RadioGateway(SimulatedGateway(url, "gw"), build_transmitters(clock=clock), clock=clock)
    gateway.stop()
    return gateway


@pytest.mark.parametrize("number", range(3))
def test_what_a_transmitter_sends_opens_with_its_key_and_holds_what_it_remembers(number: int) -> None:
    transmitter: Transmitter = build_transmitters(clock=SystemClock())[number]
    decoded = decode_telegram(transmitter.telegram(), transmitter.key)
    fields = name_fields(decoded.records)
    assert decoded.header.meter == transmitter.identity
    assert set(fields) == {channel.field for channel in transmitter.channels}
    for channel in transmitter.channels:
        assert {fields[channel.field].value} == transmitter.sent_values(channel.field)
        assert fields[channel.field].unit == channel.unit


@pytest.mark.parametrize("number", range(3))
def test_nobody_else_can_read_it(number: int) -> None:
    transmitter = build_transmitters(clock=SystemClock())[number]
    for key in (None, bytes(16)):
        with pytest.raises(DecodeError):
            decode_telegram(transmitter.telegram(), key)


def test_no_telegram_is_sent_twice() -> None:
    transmitter = build_transmitters(clock=SystemClock())[0]
    assert transmitter.telegram() != transmitter.telegram()


def test_every_meter_has_its_turn(ingress: Ingress) -> None:
    gateway = radio_gateway(ingress.url)
    for _ in range(3):
        gateway.step()
    gateway.teardown()
    assert gateway.accepted == 3 and not gateway.refused
    assert len(set(ingress.bodies)) == 3


def test_a_telegram_that_is_not_taken_is_noted(ingress: Ingress) -> None:
    ingress.status = 401
    gateway = radio_gateway(ingress.url)
    gateway.step()
    gateway.teardown()
    assert gateway.accepted == 0
    assert "HTTP 401" in gateway.refused[0]


def test_a_gateway_that_is_not_there_yet_is_no_fault() -> None:
    gateway = radio_gateway(f"http://127.0.0.1:{free_port()}")
    gateway.step()
    assert (gateway.accepted, list(gateway.refused)) == (0, [])


def test_a_gateway_that_goes_away_is_one(ingress: Ingress) -> None:
    gateway = radio_gateway(ingress.url)
    gateway.step()
    ingress.socket.close()
    gateway.teardown()
    gateway.step()
    assert gateway.accepted == 1 and len(gateway.refused) == 1
