"""What can be configured about the broker and Home Assistant."""
from __future__ import annotations

from typing import Annotated, Any, Literal
from urllib.parse import unquote, urlsplit, urlunsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, field_validator, model_validator

from mbusgw.config.kinds import Duration, FilePath, Period, Topic, check_printable
from mbusgw.config.section import Count, Section, check_exclusive, check_port

MQTT_PORTS = {"mqtt": 1883, "mqtts": 8883, "ws": 80, "wss": 443}


def _protocol(value: Any) -> int:
    number = {"5": 5, "5.0": 5, "3.1.1": 4, "3.1": 4, "311": 4, "4": 4}.get(str(value).strip())
    if number is None:
        raise ValueError("must be 5 or 3.1.1")
    return number


class MqttConfig(Section):
    """The broker, and the topics. ``protocol``: 5, or 4 for MQTT 3.1.1 (the number it has on the wire)."""

    url: str = "mqtt://127.0.0.1:1883"
    username: Annotated[str, AfterValidator(check_printable)] | None = None
    password: SecretStr | None = None
    password_file: FilePath | None = None
    protocol: Annotated[Literal[5, 4], BeforeValidator(_protocol)] = 5
    qos: Annotated[int, Field(ge=0, le=2)] = 1
    retain: bool = True
    topic_prefix: Topic = "mbus"
    telegram_topic: Topic = "oms/v1/gw/{gateway_id}/meter/{meter_id}"
    client_id: Annotated[str, Field(min_length=1, max_length=128), AfterValidator(check_printable)] | None = None
    keepalive: Period = 60.0
    max_queue: Count = 10_000
    window: Count = 100
    commands: bool = True
    heartbeat: Period = 60.0
    will_delay: Annotated[Duration, Field(le=3600)] = 30.0
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
        check_port(parts)
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
        check_exclusive(self, "password", "password_file")
        if self.key_file is not None and self.cert_file is None:
            raise ValueError("key_file needs cert_file, the certificate that belongs to it")
        if self.reconnect_max < self.reconnect_min:
            raise ValueError("reconnect_max is shorter than reconnect_min")
        return self

    @property
    def max_history(self) -> int:
        """So many missed readings of wired meters may wait; the other half stays for what radio gateways hand in."""
        return max(1, self.max_queue // 2)

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
