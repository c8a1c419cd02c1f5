"""What can be configured: one frozen model per section, every key with its default.

A home of pydantic. A file that sets nothing but ``buses`` and ``devices`` is complete,
and so is an empty one (radio meters only). All durations are seconds.
"""
from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, field_validator, model_validator

from mbusgw.config.kinds import (
    BusName,
    DeviceId,
    Duration,
    FilePath,
    HexKey,
    Manufacturer,
    MeterId,
    Period,
    Topic,
    TopicLevel,
)

Count = Annotated[int, Field(ge=1)]

MQTT_PORTS = {"mqtt": 1883, "mqtts": 8883, "ws": 80, "wss": 443}
BAUDRATES = (300, 600, 1200, 2400, 4800, 9600, 19200, 38400)


class Section(BaseModel):
    """A part of the configuration. **immutable**"""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class GatewayConfig(Section):
    """Who we are, and the language of the names a person sees."""

    id: TopicLevel = "mbusgw"
    language: Literal["en", "de"] = "en"


class StorageConfig(Section):
    """Where the database is."""

    path: FilePath = Path("/var/lib/mbusgw/mbusgw.db")


def _protocol(value: Any) -> int:
    number = {"5": 5, "5.0": 5, "3.1.1": 4, "3.1": 4, "311": 4, "4": 4}.get(str(value).strip())
    if number is None:
        raise ValueError("must be 5 or 3.1.1")
    return number


def _whole_number(value: Any) -> Any:
    # 0x0A is a usual way to write an address; YAML texts reach us as they were written.
    text = str(value).strip().lower()
    return int(text, 16) if re.fullmatch(r"0x[0-9a-f]+", text) else value


def _check_port(parts: SplitResult) -> None:
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise ValueError("the port behind the host must be a number from 1 to 65535")


class MqttConfig(Section):
    """The broker, and the topics. ``protocol``: 5, or 4 for MQTT 3.1.1 (the number it has on the wire)."""

    url: str = "mqtt://127.0.0.1:1883"
    username: str | None = None
    password: SecretStr | None = None
    password_file: FilePath | None = None
    protocol: Annotated[Literal[5, 4], BeforeValidator(_protocol)] = 5
    qos: Annotated[int, Field(ge=0, le=2)] = 1
    retain: bool = True
    topic_prefix: Topic = "mbus"
    telegram_topic: Topic = "oms/v1/gw/{gateway_id}/meter/{meter_id}"
    client_id: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    keepalive: Period = 60.0
    max_queue: Count = 10_000
    window: Count = 100
    heartbeat: Period = 60.0
    reconnect_min: Period = 5.0
    reconnect_max: Period = 300.0
    ca_file: FilePath | None = None
    cert_file: FilePath | None = None
    key_file: FilePath | None = None
    tls_insecure: bool = False

    @model_validator(mode="before")
    @classmethod
    def _credentials_out_of_url(cls, data: Any) -> Any:
        # mqtt://user:password@host is common; the password must not stay in a field that is shown.
        if not isinstance(data, dict) or "@" not in str(data.get("url", "")):
            return data
        try:
            parts = urlsplit(str(data["url"]))
        except ValueError:
            return data
        host = parts.netloc.rpartition("@")[2]
        found = {"url": urlunsplit(parts._replace(netloc=host))}
        for key, value in (("username", parts.username), ("password", parts.password)):
            if value is not None and data.get(key) is None:
                found[key] = unquote(value)
        return {**data, **found}

    @field_validator("url")
    @classmethod
    def _check_url(cls, value: str) -> str:
        try:
            parts = urlsplit(value.strip())
        except ValueError:
            raise ValueError("no URL: write mqtt://host:1883") from None
        if parts.scheme not in MQTT_PORTS or "://" not in value:
            raise ValueError("begins with mqtt://, mqtts:// (TLS), ws:// or wss://")
        if not parts.hostname:
            raise ValueError("names no host: write mqtt://host:1883")
        _check_port(parts)
        if parts.scheme in ("mqtt", "mqtts") and parts.path.strip("/"):
            raise ValueError("a path behind the host has a meaning for ws:// and wss:// only")
        return value.strip()

    @field_validator("telegram_topic")
    @classmethod
    def _check_telegram_topic(cls, value: str) -> str:
        gateway, meter = value.find("{gateway_id}"), value.find("{meter_id}")
        if gateway < 0 or meter < 0 or gateway > meter:
            raise ValueError("holds {gateway_id} and, behind it, {meter_id}")
        rest = value.replace("{gateway_id}", "", 1).replace("{meter_id}", "", 1)
        if "{" in rest or "}" in rest:
            raise ValueError("holds no other placeholders than {gateway_id} and {meter_id}, each once")
        if not any("{meter_id}" in level and "{gateway_id}" not in level for level in value.split("/")):
            raise ValueError("{gateway_id} and {meter_id} are on levels of their own, parted by a slash")
        return value

    @model_validator(mode="after")
    def _check_pairs(self) -> MqttConfig:
        if self.password is not None and self.password_file is not None:
            raise ValueError("password and password_file exclude each other")
        if self.key_file is not None and self.cert_file is None:
            raise ValueError("key_file needs cert_file, the certificate that belongs to it")
        if self.reconnect_max < self.reconnect_min:
            raise ValueError("reconnect_max is shorter than reconnect_min")
        return self

    @property
    def host(self) -> str:
        """The broker's host."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """The broker's port; the usual one of the scheme when none is written."""
        parts = urlsplit(self.url)
        return parts.port or MQTT_PORTS[parts.scheme]

    @property
    def tls(self) -> bool:
        """Encrypted: mqtts or wss."""
        return urlsplit(self.url).scheme in ("mqtts", "wss")

    @property
    def transport(self) -> Literal["tcp", "websockets"]:
        """What carries the packets, in paho's words."""
        return "websockets" if urlsplit(self.url).scheme in ("ws", "wss") else "tcp"

    @property
    def websocket_path(self) -> str:
        """The path of a ws:// URL, ``/mqtt`` when none is written."""
        return urlsplit(self.url).path or "/mqtt"

    @property
    def telegram_root(self) -> str:
        """What raw telegrams, readings and errors of one radio gateway have in common: ``oms/v1/gw/{gateway_id}``."""
        levels = self.telegram_topic.split("/")
        meter = next(number for number, level in enumerate(levels) if "{meter_id}" in level)
        if levels[meter - 1] == "meter":
            meter -= 1
        return "/".join(levels[:meter])


class HomeAssistantConfig(Section):
    """Discovery. ``status_topic`` is where Home Assistant says that it started: ``<prefix>/status`` when not set."""

    enabled: bool = True
    prefix: Topic = "homeassistant"
    expire_after: Period = 300.0
    status_topic: Topic = "homeassistant/status"

    @model_validator(mode="before")
    @classmethod
    def _default_status_topic(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("status_topic") is None:
            return {**data, "status_topic": f"{data.get('prefix', 'homeassistant')}/status"}
        return data


class HttpConfig(Section):
    """The HTTP server. Without ``admin_token`` administration is open to loopback only."""

    listen: str = "0.0.0.0:8080"
    admin_token: SecretStr | None = None
    workers: Annotated[int, Field(ge=1, le=256)] = 16

    @field_validator("listen", mode="before")
    @classmethod
    def _check_listen(cls, value: Any) -> str:
        text = str(value).strip()
        host, _, port = text.rpartition(":")
        if not port.isascii() or not port.isdigit() or int(port) > 65535:
            raise ValueError("write HOST:PORT, such as 0.0.0.0:8080, with a port from 0 to 65535")
        if ":" in host and not (host.startswith("[") and host.endswith("]")):
            raise ValueError("an IPv6 address stands in brackets: [::]:8080")
        return f"{host or '0.0.0.0'}:{int(port)}"

    @property
    def host(self) -> str:
        """The address to listen on, without brackets."""
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """The port; 0 takes any that is free."""
        return int(self.listen.rpartition(":")[2])


class IngestConfig(Section):
    """Radio telegrams: ``keys`` is bearer key by gateway; ``offline_after`` the silence that makes a radio meter
    offline."""

    keys: dict[TopicLevel, SecretStr] = Field(default_factory=dict)
    dedup: bool = True
    dedup_window: Duration = 300.0
    max_backlog: Count = 100_000
    key_policy: Literal["strict", "lenient"] = "strict"
    offline_after: Period = 86400.0

    @field_validator("keys")
    @classmethod
    def _check_keys(cls, value: dict[str, SecretStr]) -> dict[str, SecretStr]:
        empty = [gateway for gateway, key in value.items() if not key.get_secret_value().strip()]
        if empty:
            raise ValueError(f"the key of {', '.join(empty)} is empty")
        return value


class ParserConfig(Section):
    """Who parses radio telegrams, with how many threads."""

    backend: Literal["lobaro", "local", "lobaro_then_local", "compare"] = "lobaro_then_local"
    n_workers: Annotated[int, Field(ge=1, le=8)] = 4


class LobaroConfig(Section):
    """The Lobaro wMbus parser's web API."""

    url: str = "https://platform.lobaro.com"
    token: SecretStr | None = None
    endpoint: Literal["meterData", "mbus"] = "meterData"
    timeout: Period = 10.0
    mapping_file: FilePath | None = None

    @field_validator("url")
    @classmethod
    def _check_url(cls, value: str) -> str:
        try:
            parts = urlsplit(value.strip())
        except ValueError:
            raise ValueError("no URL: write https://platform.lobaro.com") from None
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("begins with https:// (or http://) and names a host")
        _check_port(parts)
        if "@" in parts.netloc:
            raise ValueError("holds no user and password; the token has a key of its own: lobaro.token")
        return value.strip().rstrip("/")


class KeyConfig(Section):
    """The AES-128 key of one radio meter. Without ``manufacturer`` it serves every meter of that number."""

    meter_id: MeterId
    manufacturer: Manufacturer | None = None
    key: HexKey

    @property
    def key_bytes(self) -> bytes:
        """The 16 bytes."""
        return bytes.fromhex(self.key.get_secret_value())


class BusConfig(Section):
    """One M-Bus segment and the port it hangs on. The times are upper bounds (EN 13757-2)."""

    name: BusName
    port: Annotated[str, Field(min_length=1)]
    baudrate: int = 2400
    parity: Annotated[Literal["E", "N", "O"], BeforeValidator(lambda value: str(value).upper()[:1])] = "E"
    serial_timeout: Period = 5.0
    retry_delay: Duration = 2.0
    max_retries: Annotated[int, Field(ge=0, le=20)] = 3
    scan_interval: Period = 15.0
    device_offline_timeout: Period = 90.0
    latency_ms: Annotated[float, Field(ge=0, le=60_000, allow_inf_nan=False)] = 0.0
    echo: Literal["auto", "on", "off"] = "auto"
    decoder: Literal["mbusgw", "meterbus"] = "mbusgw"

    @field_validator("port")
    @classmethod
    def _check_port(cls, value: str) -> str:
        scheme, found, rest = value.partition("://")
        if found and scheme not in ("socket", "rfc2217"):
            raise ValueError("a URL begins with socket:// or rfc2217://; a serial port is /dev/...")
        if found:
            parts = urlsplit(value)
            _check_port(parts)
            if not parts.hostname or parts.port is None:
                raise ValueError(f"names host and port: {scheme}://host:port")
        return value

    @field_validator("baudrate")
    @classmethod
    def _check_baudrate(cls, value: int) -> int:
        if value not in BAUDRATES:
            raise ValueError(f"must be one of {', '.join(str(rate) for rate in BAUDRATES)}")
        return value


class DeviceConfig(Section):
    """One wired meter. Without ``interval`` it is read as often as its bus says (``scan_interval``)."""

    id: DeviceId
    name: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    bus: BusName
    address: Annotated[int, BeforeValidator(_whole_number)]
    interval: Period | None = None
    enabled: bool = True

    @field_validator("address")
    @classmethod
    def _check_address(cls, value: int) -> int:
        if not 0 <= value <= 250 and value != 254:
            raise ValueError("a primary address is 0 to 250, or 254 for the only meter on a bus")
        return value


def _level(value: Any) -> Any:
    text = str(value).strip().upper()
    return {"WARN": "WARNING", "FATAL": "CRITICAL"}.get(text, text)


class LoggingConfig(Section):
    """What is logged, where, and as text or JSON lines."""

    level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(_level)] = "INFO"
    directory: FilePath = Path("/var/log/mbusgw")
    format: Literal["text", "json"] = "text"


class HealthConfig(Section):
    """How often we look at ourselves, and the file that shows it."""

    interval: Period = 30.0
    heartbeat_file: FilePath = Path("/run/mbusgw/heartbeat")


class Config(Section):
    """The whole configuration. **immutable**

    Names that must be there once, and buses that devices speak of, are checked by
    ``config.consistency``; ``config.loader.load`` does both.
    """

    gateway: GatewayConfig = GatewayConfig()
    storage: StorageConfig = StorageConfig()
    mqtt: MqttConfig = MqttConfig()
    homeassistant: HomeAssistantConfig = HomeAssistantConfig()
    http: HttpConfig = HttpConfig()
    ingest: IngestConfig = IngestConfig()
    parser: ParserConfig = ParserConfig()
    lobaro: LobaroConfig = LobaroConfig()
    keys: tuple[KeyConfig, ...] = ()
    buses: tuple[BusConfig, ...] = ()
    devices: tuple[DeviceConfig, ...] = ()
    logging: LoggingConfig = LoggingConfig()
    health: HealthConfig = HealthConfig()

    @property
    def client_id(self) -> str:
        """How the broker knows us: ``mqtt.client_id``, or made of the gateway's id."""
        return self.mqtt.client_id or f"mbusgw-{self.gateway.id}"
