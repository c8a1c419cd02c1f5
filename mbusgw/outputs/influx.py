"""InfluxDB line protocol: a line per reading, to the write interface of version 2 and 3 or of version 1."""
from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta, timezone
from decimal import Decimal

from mbusgw.config.outputs import InfluxConfig
from mbusgw.model.units import plain_text
from mbusgw.runtime.http import Request
from mbusgw.store.readings import KeptReading

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
#: Of a second.
_PRECISIONS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}

# Line breaks end a line wherever they stand, and nothing can escape them; nor a backslash or a quotation mark in a
# name, of which the one would escape what follows it, and the other begin a text.
_BREAKS = (*range(0x20), 0x7F, 0x85, 0x2028, 0x2029)
_NAME = dict.fromkeys((*_BREAKS, ord(" ")), "\\ ") | {
    ord("\\"): "/",
    ord('"'): "'",
    ord(","): "\\,",
    ord("="): "\\=",
}
_TEXT = dict.fromkeys(_BREAKS, " ") | {ord("\\"): "\\\\", ord('"'): '\\"'}

#: What the field of a value in quarantine ends in.
QUARANTINED = "_quarantined"
#: A field may not be called like a tag, like the time of a point, or like what is known of it besides its values.
_TAKEN = frozenset({"time", "device", "id", "manufacturer", "medium", "status"})


class Influx:
    """Points of one measurement, with the tags ``device``, ``id``, ``manufacturer``, ``medium``, and a field per value.

    Numbers are written as they are read, and all of them as floats, since a field has one type for ever and a counter
    that counts in thousands today may show tenths tomorrow. A value in quarantine has a field of its own, so that no
    graph and no difference is made of it by mistake. Units stand in the names of fields if that is wanted: a tag
    would be that of all fields of a line. **immutable**
    """

    batch = 500

    def __init__(self, config: InfluxConfig, _gateway_id: str) -> None:
        self._config = config

    def request(self, readings: Sequence[KeptReading]) -> Request | None:
        """The points of ``readings``; one without a value has none."""
        config = self._config
        text = "".join(f"{line}\n" for one in readings if (line := self.line(one)))
        if not text:
            return None
        if config.bucket is not None:
            path, place = "/api/v2/write", {"bucket": config.bucket, **({"org": config.org} if config.org else {})}
        else:
            path, place = "/write", {"db": config.database or ""}
        return Request(
            config.url.rstrip("/") + path,
            text.encode(),
            content_type="text/plain; charset=utf-8",
            query={**place, "precision": _precision_word(config)},
            authorization=self._authorization(),
        )

    def line(self, reading: KeptReading) -> str:
        """One point; empty where it has no field."""
        fields = [f"{self._field(reading, name)}={_value(value)}" for name, (value, _unit) in reading.values.items()]
        if reading.rssi_dbm is not None:
            fields.append(f"rssi_dbm={reading.rssi_dbm}")
        if not fields:
            return ""
        if reading.status is not None:
            fields.append(f"status={reading.status}")
        tags = "".join(f",{name}={value.translate(_NAME)}" for name, value in _tags(reading) if value)
        return f"{self._config.measurement}{tags} {','.join(fields)} {self._time(reading.read_at)}"

    def _field(self, reading: KeptReading, name: str) -> str:
        unit = reading.values[name][1].translate(_NAME) if self._config.units else ""
        doubted = reading.quarantined is not None and name in reading.quarantined
        return f"{_key(name)}{f'_{unit}' if unit else ''}{QUARANTINED if doubted else ''}"

    def _time(self, moment: datetime) -> int:
        return (moment - _EPOCH) // timedelta(microseconds=1) * _PRECISIONS[self._config.precision] // 10**6

    def _authorization(self) -> str | None:
        config = self._config
        if config.token is not None:
            return f"Token {config.token.get_secret_value()}"
        if config.username is not None:
            password = config.password.get_secret_value() if config.password else ""
            return f"Basic {b64encode(f'{config.username}:{password}'.encode()).decode()}"
        return None


def _precision_word(config: InfluxConfig) -> str:
    """Version 1 says ``u`` for microseconds."""
    return "u" if config.precision == "us" and config.bucket is None else config.precision


def _tags(reading: KeptReading) -> Iterable[tuple[str, str]]:
    """In the order of their names, in which the database sorts them anyway."""
    meter = reading.meter
    yield "device", reading.device_id
    if meter is not None:
        yield "id", meter.id
        yield "manufacturer", meter.manufacturer or ""
        yield "medium", meter.medium_name


def _key(name: str) -> str:
    return f"{name}_value" if name in _TAKEN else name.translate(_NAME)


def _value(value: Decimal | int | str) -> str:
    return f'"{value.translate(_TEXT)}"' if isinstance(value, str) else plain_text(value)
