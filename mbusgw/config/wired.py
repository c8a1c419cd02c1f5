"""What can be configured about buses and the meters on them."""
from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from mbusgw.config.address import MeterAddress, MeterName
from mbusgw.config.daytimes import NEVER, DayTimes, Interval, longest_gap_s
from mbusgw.config.kinds import DeviceId, Duration, Label, Name, Period, check_printable
from mbusgw.config.records import DescribedMeter
from mbusgw.config.section import Section, check_port

BAUDRATES = (300, 600, 1200, 2400, 4800, 9600, 19200, 38400)


def _check_baudrate(value: int) -> int:
    if value not in BAUDRATES:
        raise ValueError(f"must be one of {', '.join(str(rate) for rate in BAUDRATES)}")
    return value


Baudrate = Annotated[int, AfterValidator(_check_baudrate)]


class BusConfig(Section):
    """One M-Bus segment and the port it hangs on. The times are upper bounds (EN 13757-2)."""

    name: Name
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
        return check_printable(value)


class DeviceConfig(DescribedMeter):
    """One wired meter. Without ``interval`` it is read as often as its bus says (``scan_interval``).

    ``meter``: who must answer at a primary address; what another one sends is refused. ``baudrate``: its own speed;
    with ``baud_switch`` it is told to take that one. ``at``: times of the day at which it is read besides, and
    alone if ``interval`` is ``off``.
    """

    id: DeviceId
    name: Label | None = None
    bus: Name
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
