"""On which terms paho connects to the broker: protocol, session, will, TLS. A home of paho, beside ``client``."""
from __future__ import annotations

import logging
import math
import ssl

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from mbusgw.config.models import MqttConfig
from mbusgw.model.errors import OutputError

#: The session must outlive the will's delay, or its end would publish the will at once (MQTT 5, 3.1.2.5).
SESSION_LONGER_S = 30
#: A host that drops packets holds a try, and so a stop, no longer than this.
CONNECT_TIMEOUT_S = 3.0
#: What paho calls errors, and is the end of a connection: ``Broker`` tells that itself, once.
TOLD_BY_US = ("Client is not connected", "failed to receive on socket", "timeout on socket")


def build_client(config: MqttConfig, client_id: str, will: tuple[str, str] | None) -> paho.Client:
    """A client that is not connected and calls nobody yet; ``will`` is topic and payload. Any thread."""
    client = paho.Client(
        CallbackAPIVersion.VERSION2,
        client_id=client_id,
        clean_session=None if config.protocol == 5 else True,
        protocol=paho.MQTTv5 if config.protocol == 5 else paho.MQTTv311,
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
        client.username_pw_set(config.username, config.password.get_secret_value() if config.password else None)
    if will:
        _set_will(client, config, *will)
    return client


def secure(client: paho.Client, config: MqttConfig) -> None:
    """TLS, if it is wanted. Raises ``OutputError`` for unusable files. The main thread."""
    if not config.tls:
        return
    try:
        client.tls_set(
            ca_certs=str(config.ca_file) if config.ca_file else None,
            certfile=str(config.cert_file) if config.cert_file else None,
            keyfile=str(config.key_file) if config.key_file else None,
        )
    except (OSError, ValueError, ssl.SSLError) as error:
        raise OutputError(
            f"TLS cannot be set up: {error}", hint="check mqtt.ca_file, mqtt.cert_file and mqtt.key_file"
        ) from error
    client.tls_insecure_set(config.tls_insecure)


def connect(client: paho.Client, config: MqttConfig) -> None:
    """Names host and session; paho's thread connects once it is started. The main thread."""
    keepalive_s = math.ceil(config.keepalive)
    if config.protocol != 5:
        client.connect_async(config.host, config.port, keepalive_s)
        return
    expiry_s = math.ceil(config.will_delay) + SESSION_LONGER_S
    # A clean start would end the old session, and with it publish its will at once.
    client.connect_async(
        config.host,
        config.port,
        keepalive_s,
        clean_start=False,
        properties=_properties(PacketTypes.CONNECT, SessionExpiryInterval=expiry_s),
    )


def _set_will(client: paho.Client, config: MqttConfig, topic: str, payload: str) -> None:
    properties = None
    if config.protocol == 5:
        properties = _properties(PacketTypes.WILLMESSAGE, WillDelayInterval=math.ceil(config.will_delay))
    client.will_set(topic, payload, qos=1, retain=True, properties=properties)


def _properties(packet: int, **values: int) -> Properties:
    properties = Properties(packet)  # type: ignore[no-untyped-call]
    for name, value in values.items():
        setattr(properties, name, value)
    return properties


def _is_news(record: logging.LogRecord) -> bool:
    """Not what we say ourselves: that the broker is away is no error of the program, and is told once."""
    return not record.getMessage().startswith(TOLD_BY_US)
