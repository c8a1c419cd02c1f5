"""What can be configured: one frozen model per section, every key with its default.

A home of pydantic. A file that sets nothing but ``buses`` and ``devices`` is complete,
and so is an empty one (radio meters only). All durations are seconds.
"""
from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, SecretStr, Tag, field_validator, model_validator

from mbusgw.config.broker import HomeAssistantConfig, MqttConfig
from mbusgw.config.kinds import FilePath, Period, TopicLevel
from mbusgw.config.outputs import AnyOutput
from mbusgw.config.radio import IngestConfig, KeyConfig, LobaroConfig, ParserConfig, RadioDeviceConfig
from mbusgw.config.readings import ChangesConfig, PlausibilityConfig
from mbusgw.config.records import RecordConfig
from mbusgw.config.section import Section
from mbusgw.config.wired import BAUDRATES, BusConfig, DeviceConfig

__all__ = [
    "BAUDRATES",
    "BusConfig",
    "ChangesConfig",
    "Config",
    "DeviceConfig",
    "GatewayConfig",
    "HealthConfig",
    "HomeAssistantConfig",
    "HttpConfig",
    "IngestConfig",
    "KeyConfig",
    "LobaroConfig",
    "LoggingConfig",
    "MqttConfig",
    "ParserConfig",
    "PlausibilityConfig",
    "RadioDeviceConfig",
    "RecordConfig",
    "StorageConfig",
]


class GatewayConfig(Section):
    """Who we are, and the language of the names a person sees."""

    id: TopicLevel = "mbusgw"
    language: Literal["en", "de"] = "en"


class StorageConfig(Section):
    """Where the database is, and how long settled telegrams and the history of readings stay in it.

    ``master_key_file``: the key that meters' keys are encrypted with; without one, systemd's credential.
    """

    path: FilePath = Path("/var/lib/mbusgw/mbusgw.db")
    master_key_file: FilePath | None = None
    keep_readings: Period = 30 * 86400.0
    keep_telegrams: Period = 30 * 86400.0


class HttpConfig(Section):
    """The HTTP server. Without ``admin_token`` administration is open to loopback only."""

    listen: str = "0.0.0.0:8080"
    admin_token: SecretStr | None = None
    workers: Annotated[int, Field(ge=1, le=256)] = 16
    tls_cert_file: FilePath | None = None
    tls_key_file: FilePath | None = None

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

    @model_validator(mode="after")
    def _check_tls(self) -> HttpConfig:
        if self.tls_key_file is not None and self.tls_cert_file is None:
            raise ValueError("tls_key_file needs tls_cert_file, the certificate that belongs to it")
        return self

    @property
    def host(self) -> str:
        """The address to listen on, without brackets."""
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """The port; 0 takes any that is free."""
        return int(self.listen.rpartition(":")[2])


def _kind_of_device(value: Any) -> str:
    """A device that is heard names ``radio``; any other is on a bus."""
    radio = "radio" in value if isinstance(value, dict) else isinstance(value, RadioDeviceConfig)
    return RADIO if radio else WIRED


#: In brackets: what stands so in the place of an error is no key of the file.
WIRED, RADIO = "[wired]", "[radio]"
_WIRED = Annotated[DeviceConfig, Tag(WIRED)]
_RADIO = Annotated[RadioDeviceConfig, Tag(RADIO)]


LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


def log_level(value: Any) -> Any:
    """The level of the logs that is meant by ``value``, ``warn`` for one. **any thread**"""
    text = str(value).strip().upper()
    return {"WARN": "WARNING", "FATAL": "CRITICAL"}.get(text, text)


class LoggingConfig(Section):
    """What is logged, where, and as text or JSON lines."""

    level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(log_level)] = "INFO"
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
    devices: tuple[Annotated[_WIRED | _RADIO, Discriminator(_kind_of_device)], ...] = ()
    plausibility: PlausibilityConfig = PlausibilityConfig()
    changes: ChangesConfig = ChangesConfig()
    outputs: tuple[AnyOutput, ...] = ()
    logging: LoggingConfig = LoggingConfig()
    health: HealthConfig = HealthConfig()

    @property
    def wired_devices(self) -> tuple[DeviceConfig, ...]:
        """Those on a bus."""
        return tuple(device for device in self.devices if isinstance(device, DeviceConfig))

    @property
    def radio_devices(self) -> tuple[RadioDeviceConfig, ...]:
        """Those that are heard."""
        return tuple(device for device in self.devices if isinstance(device, RadioDeviceConfig))

    def bus(self, name: str) -> BusConfig:
        """The bus of that name. Raises ``KeyError``."""
        return {bus.name: bus for bus in self.buses}[name]

    @property
    def client_id(self) -> str:
        """How the broker knows us: ``mqtt.client_id``, or made of the gateway's id."""
        return self.mqtt.client_id or f"mbusgw-{self.gateway.id}"
