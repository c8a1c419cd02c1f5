"""A real broker for a test: its own process, port and folder; and a subscriber that remembers."""
from __future__ import annotations

import itertools
import os
import re
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import which

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tests.wait import PATIENCE_S, wait_until

MOSQUITTO = which("mosquitto") or which("mosquitto", path="/usr/sbin:/usr/local/sbin") or "mosquitto"


#: Below the ports that the system hands out by itself; each worker of a test run has a thousand of its own.
_PORTS = 1000
_FIRST_PORT = 12_000 + int(re.sub(r"\D", "", os.environ.get("PYTEST_XDIST_WORKER", "")) or 0) % 18 * _PORTS
_next = itertools.count(os.getpid())


def free_port() -> int:
    """A TCP port that nobody uses now, and nobody else of this test run is given."""
    for _ in range(_PORTS):
        port = _FIRST_PORT + next(_next) % _PORTS
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no port is free")


class Mosquitto:
    """One broker process; ``stop`` and ``start`` play an outage, ``wipe`` one that has lost its memory."""

    def __init__(self, folder: Path, *, extra: str = "allow_anonymous true\n") -> None:
        self.port = free_port()
        self.folder = folder
        self._config = folder / "mosquitto.conf"
        self._config.write_text(
            f"listener {self.port} 127.0.0.1\npersistence true\npersistence_location {folder}/\n"
            f"user root\nlog_dest file {folder}/mosquitto.log\nmax_queued_messages 0\n{extra}"
        )
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    def configure(self, old: str, new: str) -> None:
        """Another line in its configuration, from its next start on."""
        self._config.write_text(self._config.read_text().replace(old, new))

    def start(self) -> None:
        self._process = subprocess.Popen(
            [MOSQUITTO, "-c", str(self._config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_until(self._listens, what="mosquitto does not listen")

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(PATIENCE_S)
            self._process = None

    def hang(self) -> None:
        """Its connections stay, and nothing is answered, until ``go_on``."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """The end of ``hang``."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def wipe(self) -> None:
        """Forgets every retained message; only while stopped."""
        (self.folder / "mosquitto.db").unlink(missing_ok=True)

    def _listens(self) -> bool:
        assert self._process is not None and self._process.poll() is None, "mosquitto has ended"
        with socket.socket() as probe:
            probe.settimeout(PATIENCE_S)
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


class Subscriber:
    """Remembers every message on some topics, in order; its session outlives a restart of the broker."""

    def __init__(self, port: int, *topics: str) -> None:
        self.messages: list[tuple[str, str, bool]] = []
        self._subscribed = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, f"subscriber-{id(self)}", protocol=paho.MQTTv5)
        session = Properties(PacketTypes.CONNECT)
        session.SessionExpiryInterval = 300
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = lambda client, *_: client.subscribe([(topic, 1) for topic in topics])
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = self._received
        self._client.connect_async("127.0.0.1", port, clean_start=False, properties=session)
        self._client.loop_start()
        assert self._subscribed.wait(PATIENCE_S), "the subscriber cannot subscribe"

    def _received(self, _client: paho.Client, _userdata: object, message: paho.MQTTMessage) -> None:
        self.messages.append((message.topic, message.payload.decode(), message.retain))

    def payloads(self, topic: str) -> list[str]:
        return [payload for name, payload, _ in self.messages if name == topic]

    def last(self, topic: str) -> str | None:
        found = self.payloads(topic)
        return found[-1] if found else None

    def publish(self, topic: str, payload: str, *, retain: bool = False) -> None:
        wait_until(self._client.is_connected)  # it comes back by itself, but refuses meanwhile
        self._client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(PATIENCE_S)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@contextmanager
def subscribed(port: int, *topics: str) -> Iterator[Subscriber]:
    """A subscriber for the length of a block."""
    subscriber = Subscriber(port, *topics)
    try:
        yield subscriber
    finally:
        subscriber.close()
