"""The connection to the broker. The home of paho."""
from __future__ import annotations

import logging
import math
import ssl
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from mbusgw.config.models import MqttConfig
from mbusgw.model.errors import OutputError
from mbusgw.runtime.backoff import Backoff
from mbusgw.runtime.clock import Clock
from mbusgw.runtime.worker import spawn

log = logging.getLogger(__name__)

#: The broker waits so long before it tells our will: a quick restart shows nobody as gone (MQTT 5).
WILL_DELAY_S = 30
#: The session must outlive the will's delay, or its end would publish the will at once (MQTT 5, 3.1.2.5).
SESSION_EXPIRY_S = 60
#: A broker that is well acknowledges the last word within this.
GOODBYE_S = 0.5
#: A host that drops packets holds a try, and so a stop, no longer than this.
CONNECT_TIMEOUT_S = 3.0
#: What paho calls errors, and is the end of a connection: ``Broker`` tells that itself, once.
TOLD_BY_US = ("Client is not connected", "failed to receive on socket", "timeout on socket")
#: So many messages that stand outside the outbox may be unacknowledged; they are kept in memory only.
ASIDE_MAX = 100
#: Nobody listens: one SYN a try, so try often. A broker that refuses us gets ``reconnect_min`` … ``reconnect_max``.
UNREACHABLE_S = (1.0, 4.0)


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """The broker's word on one message: ``refused`` is its reason, or None when it took it. **immutable**"""

    mid: int
    refused: str | None = None


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message from the broker. **immutable**"""

    topic: str
    payload: bytes
    retained: bool


class Broker:
    """One MQTT connection that paho's thread keeps alive.

    What is handed to ``publish`` while connected is paho's until it is acknowledged,
    over any number of reconnects (it sends it again, in order); nothing is handed over
    otherwise. Acknowledgements gather in ``acks``; the callbacks only append and ring.
    ``start``, ``stop``: the main thread. ``publish``, ``connected``: **any thread**
    """

    def __init__(
        self,
        config: MqttConfig,
        client_id: str,
        *,
        clock: Clock,
        will: tuple[str, str] | None = None,
        subscriptions: Sequence[str] = (),
    ) -> None:
        self.name = "mqtt"
        self.thread_id: int | None = None  # paho keeps its thread to itself
        self.acks: deque[Acknowledgement] = deque()
        self.last_error: str | None = None
        self.on_up: Callable[[], None] = _nothing
        self.on_ack: Callable[[], None] = _nothing
        self.on_message: Callable[[Incoming], None] = _ignore
        self._config = config
        self._clock = clock
        self._will = will
        self._subscriptions = list(subscriptions)
        self._up = threading.Event()
        self._down_since_mono: float | None = None
        self._receive_maximum = 65_535
        self._unreachable = Backoff(*UNREACHABLE_S)
        self._refused = Backoff(config.reconnect_min, config.reconnect_max)
        self._ending: threading.Thread | None = None
        self._aside: deque[paho.MQTTMessageInfo] = deque()
        self._client = self._build(client_id)

    # -------------------------------------------------- the main thread
    def start(self) -> None:
        """Begins to connect; returns at once. Raises ``OutputError`` for unusable TLS files."""
        self._secure()
        client = self._client
        self._down_since_mono = self._clock.mono()
        if self._config.protocol == 5:
            properties = _properties(PacketTypes.CONNECT, SessionExpiryInterval=SESSION_EXPIRY_S)
            # A clean start would end the old session, and with it publish its will at once.
            client.connect_async(
                self._config.host,
                self._config.port,
                math.ceil(self._config.keepalive),
                clean_start=False,
                properties=properties,
            )
        else:
            client.connect_async(self._config.host, self._config.port, math.ceil(self._config.keepalive))
        self._retry_after(self._unreachable.next_s())
        client.loop_start()

    def say_goodbye(self, topic: str, payload: str) -> None:
        """One last retained message before ``stop``, waited for as long as a broker may need that is well."""
        if self.connected:
            info = self._client.publish(topic, payload, qos=1, retain=self._config.retain)
            info.wait_for_publish(GOODBYE_S)

    def stop(self) -> None:
        """Disconnects in order; the broker forgets the will. Returns at once."""
        self._up.clear()
        self._client.disconnect()
        self._ending = spawn("mqtt-stop", self._client.loop_stop)

    def join(self, timeout: float) -> bool:
        """Waits for the end of paho's thread; says whether it came."""
        if self._ending is None:
            return True
        self._ending.join(max(0.0, timeout))
        return not self._ending.is_alive()

    # -------------------------------------------------- anyone
    @property
    def connected(self) -> bool:
        """The broker has accepted us."""
        return self._up.is_set()

    @property
    def window(self) -> int:
        """How many messages may be unacknowledged at once: ours, or the broker's receive maximum if that is less."""
        return max(1, min(self._config.window, self._receive_maximum - 2))

    def publish(self, topic: str, payload: str, *, retain: bool, qos: int | None = None) -> int | None:
        """Hands one message to paho; its ``mid`` comes back in ``acks``. None: not connected, nothing was handed over.

        Raises ``OutputError`` for a message that no broker could take (a topic with wildcards).
        """
        if not self._up.is_set():
            return None
        quality = self._config.qos if qos is None else qos
        try:
            info = self._client.publish(topic, payload, qos=quality, retain=retain and self._config.retain)
        except ValueError as error:
            raise _unpublishable(topic, error) from None
        if info.rc == paho.MQTT_ERR_SUCCESS:
            return info.mid
        # With QoS 1 and 2 paho keeps a message that met a dying connection, and sends it on the next one.
        return info.mid if quality > 0 and info.rc == paho.MQTT_ERR_NO_CONN else None

    def publish_aside(self, topic: str, payload: str) -> bool:
        """A message that is worth something now or never (QoS 1, not retained); whether it went out.

        Not while the broker is away, and not behind a hundred of its kind that were not acknowledged.
        One thread only. Raises ``OutputError`` as ``publish`` does.
        """
        if not self._up.is_set():
            return False
        while self._aside and self._aside[0].is_published():
            self._aside.popleft()
        if len(self._aside) >= ASIDE_MAX:
            return False
        try:
            info = self._client.publish(topic, payload, qos=1)
        except ValueError as error:
            raise _unpublishable(topic, error) from None
        if info.rc == paho.MQTT_ERR_SUCCESS:
            self._aside.append(info)
        return info.rc == paho.MQTT_ERR_SUCCESS

    # -------------------------------------------------- building
    def _build(self, client_id: str) -> paho.Client:
        config = self._config
        protocol = paho.MQTTv5 if config.protocol == 5 else paho.MQTTv311
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            clean_session=None if config.protocol == 5 else True,
            protocol=protocol,
            transport=config.transport,
        )
        client.suppress_exceptions = True
        client.connect_timeout = CONNECT_TIMEOUT_S
        client.max_inflight_messages_set(config.window)
        paho_log = logging.getLogger("mbusgw.paho")
        paho_log.addFilter(_is_news)
        client.enable_logger(paho_log)
        if config.transport == "websockets":
            client.ws_set_options(path=config.websocket_path)
        if config.username:
            client.username_pw_set(config.username, self._password())
        if self._will:
            self._set_will(client, *self._will)
        client.on_connect = self._connected
        client.on_connect_fail = self._connect_failed
        client.on_disconnect = self._disconnected
        client.on_publish = self._published
        client.on_message = self._received
        return client

    def _password(self) -> str | None:
        return self._config.password.get_secret_value() if self._config.password else None

    def _set_will(self, client: paho.Client, topic: str, payload: str) -> None:
        properties = None
        if self._config.protocol == 5:
            properties = _properties(PacketTypes.WILLMESSAGE, WillDelayInterval=WILL_DELAY_S)
        client.will_set(topic, payload, qos=1, retain=True, properties=properties)

    def _secure(self) -> None:
        config = self._config
        if not config.tls:
            return
        try:
            self._client.tls_set(
                ca_certs=str(config.ca_file) if config.ca_file else None,
                certfile=str(config.cert_file) if config.cert_file else None,
                keyfile=str(config.key_file) if config.key_file else None,
            )
        except (OSError, ValueError, ssl.SSLError) as error:
            raise OutputError(
                f"TLS cannot be set up: {error}", hint="check mqtt.ca_file, mqtt.cert_file and mqtt.key_file"
            ) from error
        self._client.tls_insecure_set(config.tls_insecure)

    # -------------------------------------------------- paho's thread
    def _connected(
        self, client: paho.Client, _userdata: Any, _flags: Any, reason: ReasonCode, properties: Properties | None
    ) -> None:
        if reason.is_failure:
            self._lost(f"the broker refuses us: {reason}")
            self._retry_after(self._refused.next_s())
            return
        self._unreachable.reset()
        self._refused.reset()
        self._retry_after(self._unreachable.next_s())
        self._receive_maximum = getattr(properties, "ReceiveMaximum", 65_535)
        for topic in self._subscriptions:
            client.subscribe(topic, qos=1)
        self._found()
        self._up.set()
        self.on_up()

    def _connect_failed(self, _client: paho.Client, _userdata: Any) -> None:
        self._lost("it cannot be reached")
        self._retry_after(self._unreachable.next_s())

    def _disconnected(
        self, _client: paho.Client, _userdata: Any, _flags: Any, reason: ReasonCode, _properties: Properties | None
    ) -> None:
        if self._up.is_set() and reason.is_failure:
            self._lost(f"the connection broke: {reason}")
        self._up.clear()

    def _published(
        self, _client: paho.Client, _userdata: Any, mid: int, reason: ReasonCode, _properties: Properties | None
    ) -> None:
        self.acks.append(Acknowledgement(mid, str(reason) if reason.is_failure else None))
        self.on_ack()

    def _received(self, _client: paho.Client, _userdata: Any, message: paho.MQTTMessage) -> None:
        self.on_message(Incoming(message.topic, bytes(message.payload), message.retain))

    # -------------------------------------------------- what is said once
    def _lost(self, why: str) -> None:
        if self.last_error is None:
            log.warning(
                "broker %s:%d: %s; messages are kept until it is back", self._config.host, self._config.port, why
            )
            self._down_since_mono = self._clock.mono()
        elif self.last_error != why:
            log.warning("broker %s:%d: %s", self._config.host, self._config.port, why)
        self.last_error = why

    def _found(self) -> None:
        down_s = self._clock.mono() - (self._down_since_mono or self._clock.mono())
        after = f" after {down_s:.0f} s" if self.last_error else ""
        log.info("connected to broker %s:%d%s", self._config.host, self._config.port, after)
        self.last_error = None

    def _retry_after(self, seconds: float) -> None:
        # One value for both ends: the growth and its jitter are ours, paho only waits.
        delay_s = max(1, math.ceil(seconds))
        self._client.reconnect_delay_set(min_delay=delay_s, max_delay=delay_s)


def _properties(packet: int, **values: int) -> Properties:
    properties = Properties(packet)  # type: ignore[no-untyped-call]
    for name, value in values.items():
        setattr(properties, name, value)
    return properties


def _unpublishable(topic: str, error: ValueError) -> OutputError:
    return OutputError(f"cannot be published on {topic[:100]!r}: {error}", retryable=False)


def _is_news(record: logging.LogRecord) -> bool:
    """Not what we say ourselves: that the broker is away is no error of the program, and is told once."""
    return not record.getMessage().startswith(TOLD_BY_US)


def _nothing() -> None:
    pass


def _ignore(_message: Incoming) -> None:
    pass
