"""The connection to the broker. The home of paho."""
from __future__ import annotations

import logging
import math
import socket
import ssl
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from mbusgw.config.models import MqttConfig
from mbusgw.model.errors import OutputError
from mbusgw.mqtt.channel import Channel, HasFile
from mbusgw.mqtt.limits import Limits, packet_bytes, read_limits
from mbusgw.mqtt.standing import Standing
from mbusgw.runtime.clock import Clock
from mbusgw.runtime.worker import spawn

log = logging.getLogger(__name__)

#: The session must outlive the will's delay, or its end would publish the will at once (MQTT 5, 3.1.2.5).
SESSION_LONGER_S = 30
#: A broker that has accepted us and then says nothing for so long is not well.
SILENCE_S = 30.0
#: Reasons of a DISCONNECT (MQTT 5, 3.14.2.1): ours, that the will is to be told, and that of a broker with a rival.
DISCONNECT_WITH_WILL = 0x04
SESSION_TAKEN_OVER = 0x8E
#: What paho tells of a connection that ended without a DISCONNECT.
NO_REASON = 0x80
#: Reasons for which a broker ends a connection whatever was sent last: busy, shutting down, keep alive, taken over,
#: receive maximum, rate, quota, by its administrator, use another server, moved, connection rate, maximum time.
WHATEVER_WAS_SENT = frozenset((0x89, 0x8B, 0x8D, 0x8E, 0x93, 0x96, 0x97, 0x98, 0x9C, 0x9D, 0x9F, 0xA0))
#: A broker that is well acknowledges the last word within this.
GOODBYE_S = 0.5
#: A host that drops packets holds a try, and so a stop, no longer than this.
CONNECT_TIMEOUT_S = 3.0
#: What paho calls errors, and is the end of a connection: ``Broker`` tells that itself, once.
TOLD_BY_US = ("Client is not connected", "failed to receive on socket", "timeout on socket")
#: So many messages that stand outside the outbox may be unacknowledged; they are kept in memory only.
ASIDE_MAX = 100


class Acknowledgement(NamedTuple):
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

    What is handed to ``publish`` is under way until it is acknowledged or the connection ends;
    then it is forgotten here, and its owner hands it over again (``connection`` counts them).
    Acknowledgements gather in ``acks``; the callbacks only append, ring and hand over what is next: ``on_ack`` says
    whether it did.
    Its own will's topic is among what it subscribes to. ``start``, ``stop``, ``say_goodbye``: the main thread.
    ``publish``, ``connected``, ``watch``, ``renew``: **any thread**
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
        self.limits = Limits()
        self.connection = 0  # how many there have been
        self.thrown_out: str | None = None  # why the other side ended the last one; None: for nothing we sent
        self.on_up: Callable[[], None] = _nothing
        self.on_ack: Callable[[int], bool] = _nobody
        self.on_message: Callable[[Incoming], None] = _ignore
        self._config = config
        self._clock = clock
        self._will = will
        self._subscriptions = [*subscriptions, *([will[0]] if will else [])]
        self._up = threading.Event()
        self._standing = Standing(
            f"{config.host}:{config.port}",
            client_id,
            reconnect_s=(config.reconnect_min, config.reconnect_max),
            clock=clock,
        )
        self._answered = True  # our CONNECT, whatever it said
        self._accepted_mono: float | None = None  # and not yet answered our subscriptions
        self._renewed_for: str | None = None
        self._channel = Channel()
        self._ending: threading.Thread | None = None
        self._aside: deque[paho.MQTTMessageInfo] = deque()
        self._aside_connection = 0
        self._client = self._build(client_id)

    # -------------------------------------------------- the main thread
    def start(self) -> None:
        """Begins to connect; returns at once. Raises ``OutputError`` for unusable TLS files."""
        self._secure()
        client = self._client
        if self._config.protocol == 5:
            expiry_s = math.ceil(self._config.will_delay) + SESSION_LONGER_S
            properties = _properties(PacketTypes.CONNECT, SessionExpiryInterval=expiry_s)
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
        self._retry_after(self._standing.first())
        client.loop_start()

    def say_goodbye(self) -> None:
        """Before ``stop``, if nobody comes after us: others are told so by our will.

        With MQTT 5 by the broker, once the will's delay has passed in which nobody came back. MQTT 3.1.1 has no such
        delay, and there it is told now; waited for as long as a broker may need that is well.
        """
        if not self.connected:
            return
        self._up.clear()  # nothing may come after the last word
        if self._config.protocol != 5 and self._will is not None:
            info = self._client.publish(*self._will, qos=1, retain=True)
            info.wait_for_publish(GOODBYE_S)

    def stop(self) -> None:
        """Disconnects in order. Returns at once.

        With MQTT 5 the will stands until somebody with our client id is back within its delay; with 3.1.1 it is
        forgotten.
        """
        self._up.clear()
        if self._config.protocol == 5:
            self._client.disconnect(ReasonCode(PacketTypes.DISCONNECT, identifier=DISCONNECT_WITH_WILL))
        else:
            self._client.disconnect()
        self._ending = spawn("mqtt-stop", self._client.loop_stop)

    def join(self, timeout: float) -> bool:
        """Waits for the end of paho's thread; says whether it came, or is sure to.

        Without a connection that thread has nothing in hand and ends by itself, but perhaps late: it sleeps up to a
        second between two tries, and waits for an address that does not answer.
        """
        if self._ending is None:
            return True
        self._ending.join(max(0.0, timeout))
        return not self._ending.is_alive() or self._client.socket() is None

    # -------------------------------------------------- anyone
    @property
    def connected(self) -> bool:
        """The broker has accepted us."""
        return self._up.is_set()

    @property
    def window(self) -> int:
        """How many messages may be unacknowledged at once: ours, or the broker's receive maximum if that is less."""
        return max(1, min(self._config.window, self.limits.receive_maximum - 2))

    @property
    def last_error(self) -> str | None:
        """Why we are not connected; None while we are."""
        return self._standing.last_error

    @property
    def trouble(self) -> str | None:
        """What is wrong with the connection, also where it stands just now."""
        return self._standing.trouble

    def renew(self, why: str) -> None:
        """Ends a connection that does not do what it is there for; paho makes a new one."""
        if self._channel.open:
            self._renewed_for = why
            self._channel.cut()

    def watch(self) -> None:
        """Ends a connection on which the broker has fallen silent before we could use it. To be called now and then."""
        accepted_mono = self._accepted_mono
        if accepted_mono is not None and self._clock.mono() - accepted_mono >= SILENCE_S:
            self._accepted_mono = None
            self.renew(f"it has not answered our subscriptions for {SILENCE_S:.0f} s")

    def publish(self, topic: str, payload: str, *, retain: bool, qos: int | None = None) -> int | None:
        """Hands one message to paho: its ``mid``, which comes back in ``acks`` unless the connection ends; or None, if
        there is no connection.

        Raises ``OutputError`` for a message that no broker could take (a topic with wildcards), or this one not (its
        size); what stands before the colon is the kind of reason.
        """
        if not self._up.is_set():
            return None
        quality = min(self._config.qos if qos is None else qos, self.limits.qos)
        retained = retain and self._config.retain and self.limits.retain
        most_bytes = self.limits.packet_bytes
        if most_bytes is not None and (size_bytes := packet_bytes(topic, payload)) > most_bytes:
            raise OutputError(f"Packet too large: {size_bytes} bytes, the broker takes {most_bytes}", retryable=False)
        try:
            info = self._client.publish(topic, payload, qos=quality, retain=retained)
        except ValueError as error:
            raise _unpublishable(topic, error) from None
        return info.mid if info.rc == paho.MQTT_ERR_SUCCESS else None

    def publish_aside(self, topic: str, payload: str) -> bool:
        """A message that is worth something now or never (QoS 1, not retained); whether it went out.

        Not while the broker is away, and not behind a hundred of its kind that were not acknowledged.
        One thread only. Raises ``OutputError`` as ``publish`` does.
        """
        if not self._up.is_set():
            return False
        if self._aside_connection != self.connection:
            self._aside_connection = self.connection
            self._aside.clear()  # forgotten with the connection they were sent on
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
        client.on_pre_connect = self._begin
        client.on_socket_open = self._opened
        client.on_socket_close = self._closed
        client.on_socket_unregister_write = self._written
        client.on_connect = self._connected
        client.on_connect_fail = self._connect_failed
        client.on_disconnect = self._disconnected
        client.on_subscribe = self._subscribed
        client.on_publish = self._published
        client.on_message = self._received
        return client

    def _password(self) -> str | None:
        return self._config.password.get_secret_value() if self._config.password else None

    def _set_will(self, client: paho.Client, topic: str, payload: str) -> None:
        properties = None
        if self._config.protocol == 5:
            properties = _properties(PacketTypes.WILLMESSAGE, WillDelayInterval=math.ceil(self._config.will_delay))
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
    def _begin(self, client: paho.Client, _userdata: Any) -> None:
        # paho would send again what was under way: also what has been replaced by something newer since, and also
        # the message for which the broker ends every connection.
        client.drop_out_messages()
        self._answered = False

    def _opened(self, _client: paho.Client, _userdata: Any, connection: HasFile) -> None:
        self._channel.opened(connection)

    def _closed(self, _client: paho.Client, _userdata: Any, _connection: HasFile) -> None:
        self._channel.closed()

    def _connected(
        self, client: paho.Client, _userdata: Any, _flags: Any, reason: ReasonCode, properties: Properties | None
    ) -> None:
        self._answered = True
        if reason.is_failure:
            self._retry_after(self._standing.refused(str(reason)))
            return
        self._retry_after(self._standing.connected())
        self.limits = read_limits(properties)
        if not self._subscriptions:
            self._ready()
            return
        # Until we hear what others say (a birth, our own will) we do not speak.
        self._accepted_mono = self._clock.mono()
        client.subscribe([(topic, 1) for topic in self._subscriptions])

    def _subscribed(
        self, _client: paho.Client, _userdata: Any, _mid: int, reasons: list[ReasonCode], _properties: Properties | None
    ) -> None:
        for topic, reason in zip(self._subscriptions, reasons):
            if reason.is_failure:
                log.warning("the broker does not let us read %s: %s", topic, reason)
        self._ready()

    def _ready(self) -> None:
        self._accepted_mono = None
        self.connection += 1
        self._up.set()
        self.on_up()

    def _connect_failed(self, _client: paho.Client, _userdata: Any) -> None:
        error = sys.exc_info()[1]  # paho calls while it handles the error, and does not hand it over
        if isinstance(error, ssl.SSLError):
            self._retry_after(self._standing.unusable(_tls_trouble(error)))
        else:
            self._retry_after(self._standing.unreachable(_why_unreachable(error, tls=self._config.tls)))

    def _disconnected(
        self, _client: paho.Client, _userdata: Any, _flags: Any, reason: ReasonCode, _properties: Properties | None
    ) -> None:
        stood = self._up.is_set() or self._accepted_mono is not None
        why, self._renewed_for = self._renewed_for, None
        if self._up.is_set():
            blameless = why is not None or not reason.is_failure or reason.value in WHATEVER_WAS_SENT
            self.thrown_out = None if blameless else str(reason)
        self._up.clear()
        self._accepted_mono = None
        if not self._answered:
            hint = "; perhaps it wants a client certificate (mqtt.cert_file)" if self._config.tls else ""
            self._retry_after(self._standing.unreachable(f"it ends the connection without an answer{hint}"))
        if not stood or not reason.is_failure:
            return
        if reason.value == SESSION_TAKEN_OVER:
            self._retry_after(self._standing.taken_over())
        else:
            self._retry_after(self._standing.broke(why or _why_broken(reason)))

    def _published(
        self, _client: paho.Client, _userdata: Any, mid: int, reason: ReasonCode, _properties: Properties | None
    ) -> None:
        self.acks.append(Acknowledgement(mid, str(reason) if reason.is_failure else None))
        if self.on_ack(mid):
            self._channel.gather()  # until paho, which reads on first, has written all of it
        else:
            self._channel.hurry()

    def _written(self, _client: paho.Client, _userdata: Any, _connection: HasFile) -> None:
        self._channel.release()

    def _received(self, _client: paho.Client, _userdata: Any, message: paho.MQTTMessage) -> None:
        self.on_message(Incoming(message.topic, bytes(message.payload), message.retain))

    def _retry_after(self, seconds: float) -> None:
        # One value for both ends: the growth and its jitter are ours, paho only waits.
        delay_s = max(1, math.ceil(seconds))
        self._client.reconnect_delay_set(min_delay=delay_s, max_delay=delay_s)


def _properties(packet: int, **values: int) -> Properties:
    properties = Properties(packet)  # type: ignore[no-untyped-call]
    for name, value in values.items():
        setattr(properties, name, value)
    return properties


def _tls_trouble(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {error.verify_message} (mqtt.ca_file names whom we trust)"
    return f"it does not speak TLS with us: {error.reason or error}"


def _why_broken(reason: ReasonCode) -> str:
    if reason.value == NO_REASON:
        return "the connection broke: the broker or the network has ended it"
    return f"the connection broke: {reason}"


def _why_unreachable(error: BaseException | None, *, tls: bool) -> str:
    if isinstance(error, socket.gaierror):
        return "its name is not known"
    if tls and isinstance(error, ConnectionResetError):
        return "it ends the connection when TLS begins: perhaps it has none on this port"
    return "it cannot be reached"


def _unpublishable(topic: str, error: ValueError) -> OutputError:
    return OutputError(f"Topic name invalid: {topic[:100]!r}: {error}", retryable=False)


def _is_news(record: logging.LogRecord) -> bool:
    """Not what we say ourselves: that the broker is away is no error of the program, and is told once."""
    return not record.getMessage().startswith(TOLD_BY_US)


def _nothing() -> None:
    pass


def _nobody(_mid: int) -> bool:
    return False


def _ignore(_message: Incoming) -> None:
    pass
