"""What can be configured about radio telegrams, their parsers and keys, and the meters that send them."""
from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SecretStr, field_validator

from mbusgw.config.kinds import (
    BaseUrl,
    DeviceId,
    Duration,
    FilePath,
    HeaderText,
    HexKey,
    Label,
    Manufacturer,
    MeterId,
    Network,
    Period,
    QuietTime,
    TopicLevel,
)
from mbusgw.config.records import DescribedMeter
from mbusgw.config.section import Count, Section


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
    token: HeaderText | None = None
    endpoint: Literal["meterData", "mbus"] = "meterData"
    timeout: Period = 10.0
    connect_timeout: Period = 5.0
    tries: Annotated[int, Field(ge=1, le=10)] = 3
    rate: Annotated[float, Field(gt=0, le=10_000, allow_inf_nan=False)] = 10.0
    max_parallel: Annotated[int, Field(ge=1, le=64)] = 2
    mapping_file: FilePath | None = None
    confirm_later: bool = False

    @field_validator("token", mode="before")
    @classmethod
    def _none_if_empty(cls, value: Any) -> Any:
        return None if value == "" else value


class KeyConfig(Section):
    """The AES-128 key of one radio meter. Without ``manufacturer`` it serves every meter of that number."""

    meter_id: MeterId
    manufacturer: Manufacturer | None = None
    key: HexKey

    @property
    def key_bytes(self) -> bytes:
        """The 16 bytes."""
        return bytes.fromhex(self.key.get_secret_value())


def _radio_name(value: Any) -> str:
    text = str(value).strip().lower().replace(" ", "_")
    if not re.fullmatch(r"([a-z]{3}|0x[0-9a-f]{4})_[0-9a-f]{8}", text):
        raise ValueError("no radio meter: write manufacturer and number, such as els_12345678")
    return text


class RadioDeviceConfig(DescribedMeter):
    """One radio meter that is called otherwise, hidden, or restricted to some gateways; all are heard without it.

    ``radio`` is what it would be called by itself: ``<manufacturer>_<id>``. ``hidden``: it is parsed and kept, but has
    no topics of its own and no entities. ``gateways``: only what these have heard of it counts.
    """

    id: DeviceId
    radio: Annotated[str, BeforeValidator(_radio_name)]
    name: Label | None = None
    hidden: bool = False
    gateways: Annotated[tuple[TopicLevel, ...], Field(min_length=1)] | None = None
