"""Connections that are encrypted, that prove who we are, or that go over websockets."""
from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from mbusgw.config.models import MqttConfig
from mbusgw.model.errors import OutputError
from mbusgw.mqtt.client import Broker
from mbusgw.mqtt.window import Window
from mbusgw.runtime.clock import SystemClock
from mbusgw.store.outbox import Waiting
from tests.certificates import KeyAndCertificate, issue, write_certificate
from tests.fakes.websocket import WebsocketProxy
from tests.mosquitto import Mosquitto
from tests.wait import PATIENCE_S, wait_until


def folder(path: Path) -> Path:
    path.mkdir()
    return path


def pem(path: Path, authority: KeyAndCertificate) -> Path:
    path.write_bytes(authority[1].public_bytes(serialization.Encoding.PEM))
    return path


class World:
    """A broker whose certificate for ``localhost`` is signed by an authority of ours, and connections to it."""

    def __init__(self, tmp_path: Path) -> None:
        self.authority = issue("authority")
        self.ca_file = pem(tmp_path / "ca.crt", self.authority)
        self.server = write_certificate(folder(tmp_path / "server"), "localhost", issuer=self.authority)
        self.client = write_certificate(folder(tmp_path / "client"), "gateway", issuer=self.authority)
        self._folder = folder(tmp_path / "broker")
        self.broker: Mosquitto | None = None
        self._made: list[Broker] = []

    def start(self, extra: str = "") -> None:
        tls = f"cafile {self.ca_file}\ncertfile {self.server[0]}\nkeyfile {self.server[1]}\n"
        self.broker = Mosquitto(self._folder, extra=f"{tls}{extra}allow_anonymous true\n")
        self.broker.start()

    def connect(self, *, host: str = "localhost", scheme: str = "mqtts", port: int = 0, **options: object) -> Broker:
        port = port or (self.broker.port if self.broker else 0)
        config = MqttConfig.model_validate({"url": f"{scheme}://{host}:{port}", **options})
        made = Broker(config, "gateway", clock=SystemClock())
        made.start()
        self._made.append(made)
        return made

    def close(self) -> None:
        for made in self._made:
            made.stop()
            assert made.join(PATIENCE_S)
        if self.broker:
            self.broker.stop()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    one = World(tmp_path)
    yield one
    one.close()


def test_a_broker_whose_authority_is_named_is_trusted(world: World) -> None:
    world.start()
    one = world.connect(ca_file=world.ca_file)
    wait_until(lambda: one.connected)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (lambda _world, _folder: {}, "its certificate is not accepted: self"),
        (lambda _world, path: {"ca_file": pem(path / "other.crt", issue("authority"))}, "its certificate is not"),
        (lambda world, _path: {"ca_file": world.ca_file, "host": "127.0.0.1"}, "IP address mismatch"),
    ],
)
def test_a_broker_that_cannot_prove_who_it_is_is_refused_with_the_reason(
    world: World, tmp_path: Path, options: Callable[[World, Path], dict[str, str]], words: str
) -> None:
    world.start()
    one = world.connect(**options(world, tmp_path))  # type: ignore[arg-type]
    assert words in wait_until(lambda: one.last_error) and not one.connected


def test_a_broker_without_proof_is_taken_where_that_is_said(world: World) -> None:
    world.start()
    one = world.connect(ca_file=world.ca_file, host="127.0.0.1", tls_insecure=True)
    wait_until(lambda: one.connected)


def test_a_client_certificate_proves_who_we_are(world: World) -> None:
    world.start("require_certificate true\n")
    cert_file, key_file = world.client
    one = world.connect(ca_file=world.ca_file, cert_file=cert_file, key_file=key_file)
    wait_until(lambda: one.connected)


def test_a_broker_that_wants_a_client_certificate_is_told_as_that(world: World) -> None:
    world.start("require_certificate true\n")
    one = world.connect(ca_file=world.ca_file)
    assert "mqtt.cert_file" in wait_until(lambda: one.last_error) and not one.connected


def test_a_broker_without_tls_is_told_as_that(world: World, mosquitto: Mosquitto) -> None:
    one = world.connect(port=mosquitto.port)
    assert "TLS" in wait_until(lambda: one.last_error)


def test_a_name_that_nobody_knows_is_told_as_that(world: World) -> None:
    one = world.connect(host="broker.invalid", scheme="mqtt", port=1883)
    assert wait_until(lambda: one.last_error) == "its name is not known"


def test_files_that_are_no_certificates_are_a_clear_error(world: World, tmp_path: Path) -> None:
    (tmp_path / "no.crt").write_text("hello")
    with pytest.raises(OutputError, match="TLS cannot be set up"):
        world.connect(port=1883, ca_file=tmp_path / "no.crt")


def test_the_name_of_the_broker_is_said_when_tls_begins(world: World) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(world.server[0], world.server[1])
    names: list[str | None] = []
    context.sni_callback = lambda _socket, name, _context: names.append(name)

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection, context.wrap_socket(connection, server_side=True):
            return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        world.connect(port=listener.getsockname()[1], ca_file=world.ca_file)
        thread.join(PATIENCE_S)
    assert names == ["localhost"]


@pytest.mark.parametrize("scheme", ["ws", "wss"])
def test_messages_go_over_websockets_too(world: World, mosquitto: Mosquitto, scheme: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(world.server[0], world.server[1])
    with WebsocketProxy(mosquitto.port, tls=context if scheme == "wss" else None) as proxy:
        one = world.connect(scheme=scheme, port=proxy.port, ca_file=world.ca_file)
        wait_until(lambda: one.connected)
        assert one.publish("t", "x" * 10_000, retain=False) is not None
        wait_until(lambda: one.acks)
        assert one.acks[0].refused is None and proxy.protocols == ["mqtt"]
        drain(one)
        one.stop()
        assert one.join(PATIENCE_S)


def test_what_waits_goes_as_fast_as_it_is_acknowledged_when_it_is_encrypted(world: World) -> None:
    world.start()
    one = world.connect(ca_file=world.ca_file)
    wait_until(lambda: one.connected)
    drain(one)


def drain(one: Broker) -> None:
    """What paho's thread hands over by itself is gathered in packets below TLS and websockets."""
    window = Window(one)
    one.acks.clear()
    one.on_ack = window.answered
    window.renew(0.0)
    window.feed(Waiting(number, "t", str(number), False) for number in range(1, 301))
    assert window.fill(0.0) is None
    wait_until(lambda: len(one.acks) == 300)
    assert not any(ack.refused for ack in one.acks)
