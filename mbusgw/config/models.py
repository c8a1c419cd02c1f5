"""What can be configured: one frozen model per section, every key with its default.

A home of pydantic. A file that sets nothing but ``buses`` and ``devices`` is complete,
and so is an empty one (radio meters only). All durations are seconds.
"""
from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    SecretStr,
    Tag,
    field_validator,
    model_validator,
)

from mbusgw.config.address import MeterAddress, MeterName
from mbusgw.config.broker import HomeAssistantConfig, MqttConfig
from mbusgw.config.daytimes import NEVER, DayTimes, Interval, longest_gap_s
from mbusgw.config.kinds import (
    BaseUrl,
    BusName,
    DeviceId,
    Duration,
    FilePath,
    HexKey,
    Manufacturer,
    MeterId,
    Network,
    Period,
    QuietTime,
    TopicLevel,
)
from mbusgw.config.outputs import AnyOutput
from mbusgw.config.radio import RadioDeviceConfig
from mbusgw.config.readings import ChangesConfig, PlausibilityConfig
from mbusgw.config.records import DescribedMeter, RecordConfig
from mbusgw.config.section import Count, Section, check_port

__all__ = [
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

BAUDRATES = (300, 600, 1200, 2400, 4800, 9600, 19200, 38400)


def _check_baudrate(value: int) -> int:
    if value not in BAUDRATES:
        raise ValueError(f"must be one of {', '.join(str(rate) for rate in BAUDRATES)}")
    return value


Baudrate = Annotated[int, AfterValidator(_check_baudrate)]


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


class IngestConfig(Section):
    """Radio telegrams: ``keys`` is bearer key by gateway; ``trusted_networks`` are those whose gateways need none;
    ``max_rate`` is telegrams a second of one gateway. A radio meter is offline after a silence of
    ``offline_intervals`` of its own, or of ``offline_after``; ``quiet`` are the times at which they keep silent.
    ``announce``: whether those that ``devices`` does not list have topics and entities.
    """

    keys: dict[TopicLevel, SecretStr] = Field(default_factory=dict)
    trusted_networks: tuple[Network, ...] = ()
    max_rate: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    dedup: bool = True
    dedup_window: Duration = 300.0
    max_backlog: Count = 100_000
    key_policy: Literal["strict", "lenient"] = "strict"
    offline_after: Period = 86400.0
    offline_intervals: Annotated[int, Field(ge=2, le=1000)] = 3
    quiet: tuple[QuietTime, ...] = ()
    announce: Literal["all", "listed"] = "all"

    @field_validator("keys")
    @classmethod
    def _check_keys(cls, value: dict[str, SecretStr]) -> dict[str, SecretStr]:
        empty = [gateway for gateway, key in value.items() if not key.get_secret_value().strip()]
        if empty:
            raise ValueError(f"the key of {', '.join(empty)} is empty")
        return value


class WmbusmetersConfig(Section):
    """The program wmbusmeters, if the operator installed it: it reads meters with protocols of their maker's own."""

    enabled: bool = False
    command: Annotated[str, Field(min_length=1)] = "wmbusmeters"
    timeout: Period = 5.0


class ParserConfig(Section):
    """Who parses radio telegrams, with how many threads."""

    backend: Literal["lobaro", "local", "lobaro_then_local", "compare"] = "lobaro_then_local"
    n_workers: Annotated[int, Field(ge=1, le=8)] = 4
    wmbusmeters: WmbusmetersConfig = WmbusmetersConfig()


class LobaroConfig(Section):
    """The Lobaro wMbus parser's web API. ``rate``: requests a second."""

    url: BaseUrl = "https://platform.lobaro.com"
    token: SecretStr | None = None
    endpoint: Literal["meterData", "mbus"] = "meterData"
    timeout: Period = 10.0
    connect_timeout: Period = 5.0
    tries: Annotated[int, Field(ge=1, le=10)] = 3
    rate: Annotated[float, Field(gt=0, le=10_000, allow_inf_nan=False)] = 10.0
    max_parallel: Annotated[int, Field(ge=1, le=64)] = 2
    mapping_file: FilePath | None = None
    confirm_later: bool = False


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
    baudrate: Baudrate = 2400
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
            check_port(parts)
            if not parts.hostname or parts.port is None:
                raise ValueError(f"names host and port: {scheme}://host:port")
        return value


class DeviceConfig(DescribedMeter):
    """One wired meter. Without ``interval`` it is read as often as its bus says (``scan_interval``).

    ``meter``: who must answer at a primary address; what another one sends is refused. ``baudrate``: its own speed;
    with ``baud_switch`` it is told to take that one. ``at``: times of the day at which it is read besides, and
    alone if ``interval`` is ``off``.
    """

    id: DeviceId
    name: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    bus: BusName
    address: MeterAddress
    meter: MeterName | None = None
    interval: Interval | None = None
    at: DayTimes = ()
    baudrate: Baudrate | None = None
    baud_switch: bool = False
    max_telegrams: Annotated[int, Field(ge=1, le=64)] = 16
    enabled: bool = True

    @model_validator(mode="after")
    def _check(self) -> DeviceConfig:
        if self.interval == NEVER and not self.at:
            raise ValueError("`interval: off` leaves only the times of `at`, and there are none")
        if self.baud_switch and self.baudrate is None:
            raise ValueError("`baud_switch` needs `baudrate`, the speed to switch to")
        return self

    @property
    def own_baudrate(self) -> int | None:
        """The speed at which it lives; None for that of its bus, from which it may be told to change."""
        return None if self.baud_switch else self.baudrate

    def due_on(self, bus: BusConfig) -> float | None:
        """Seconds from one read to the next; None where it is read at its times of the day only."""
        return (self.interval or None) if self.interval is not None else bus.scan_interval

    def interval_on(self, bus: BusConfig) -> float:
        """Seconds from one read to the next, at most."""
        return self.due_on(bus) or longest_gap_s(self.at)

    def offline_after_on(self, bus: BusConfig) -> float:
        """Seconds of silence that make it offline: one that is read once an hour is not after 90 seconds."""
        return max(bus.device_offline_timeout, 3 * self.interval_on(bus))


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
