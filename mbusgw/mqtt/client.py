"""The life of the connection to the broker. The home of paho, with ``terms``."""
from __future__ import annotations

import logging
import math
import ssl
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from mbusgw.config.models import MqttConfig
from mbusgw.model.errors import OutputError
from mbusgw.mqtt.channel import Channel, HasFile
from mbusgw.mqtt.limits import Limits, packet_bytes, read_limits
from mbusgw.mqtt.reasons import (
    DISCONNECT_WITH_WILL,
    SESSION_TAKEN_OVER,
    WHATEVER_WAS_SENT,
    why_broken,
    why_unanswered,
    why_unreachable,
    why_unusable,
)
from mbusgw.mqtt.standing import Standing
from mbusgw.mqtt.terms import build_client, connect, secure
from mbusgw.runtime.clock import Clock
from mbusgw.runtime.worker import spawn

log = logging.getLogger(__name__)

#: A broker that has accepted us and then says nothing for so long is not well.
SILENCE_S = 30.0
#: A broker that is well acknowledges the last word within this.
GOODBYE_S = 0.5
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
        self._client = build_client(config, client_id, will)
        self._listen_to(self._client)

    # -------------------------------------------------- the main thread
    def start(self) -> None:
        """Begins to connect; returns at once. Raises ``OutputError`` for unusable TLS files."""
        secure(self._client, self._config)
        connect(self._client, self._config)
        self._retry_after(self._standing.first())
        self._client.loop_start()

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

    # -------------------------------------------------- paho's thread
    def _listen_to(self, client: paho.Client) -> None:
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
            self._retry_after(self._standing.unusable(why_unusable(error)))
        else:
            self._retry_after(self._standing.unreachable(why_unreachable(error, tls=self._config.tls)))

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
            self._retry_after(self._standing.unreachable(why_unanswered(tls=self._config.tls)))
        if not stood or not reason.is_failure:
            return
        if reason.value == SESSION_TAKEN_OVER:
            self._retry_after(self._standing.taken_over())
        else:
            self._retry_after(self._standing.broke(why or why_broken(reason.value, str(reason))))

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


def _unpublishable(topic: str, error: ValueError) -> OutputError:
    return OutputError(f"Topic name invalid: {topic[:100]!r}: {error}", retryable=False)


def _nothing() -> None:
    pass


def _nobody(_mid: int) -> bool:
    return False


def _ignore(_message: Incoming) -> None:
    pass
