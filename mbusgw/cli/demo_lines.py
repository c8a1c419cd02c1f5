"""The demo's texts: what a meter shows, how to go on, and the view for a terminal that can do no more than lines."""
from __future__ import annotations

import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from mbusgw.cli.demo_house import EVERYWHERE, LOOPBACK
from mbusgw.cli.demo_watch import Seen

LINES_EVERY_S = 5.0
LONGEST_NAME = 32


@dataclass(frozen=True, slots=True)
class Doors:
    """Where the demo can be reached. **immutable**

    ``listen`` is the address that was asked for, ``host`` the one by which this machine reaches it.
    """

    listen: str
    host: str
    mqtt_port: int
    http_port: int
    config_file: Path

    @property
    def outside(self) -> str:
        """The address for other machines; the loopback address where they cannot reach us."""
        return own_address() if self.listen == EVERYWHERE else self.listen

    def urls(self) -> dict[str, str]:
        """For the JSON document."""
        http = f"http://{self.host}:{self.http_port}"
        return {
            "mqtt": f"mqtt://{self.host}:{self.mqtt_port}",
            "state": f"{http}/state",
            "health": f"{http}/health",
            "metrics": f"{http}/metrics",
        }

    def hints(self) -> list[tuple[str, str]]:
        """What to do next: a caption and a line each."""
        return [
            ("All meters as JSON", f"http://{self.outside}:{self.http_port}/state   (also /health, /metrics)"),
            ("Everything on MQTT", f"mosquitto_sub -h {self.outside} -p {self.mqtt_port} -t 'mbus/#' -v"),
            ("Home Assistant", "Settings → Devices & services → Add integration → MQTT"),
            ("", f"broker {self.outside}, port {self.mqtt_port}: meters appear by themselves"),
            *self._reach(),
            ("Its configuration", str(self.config_file)),
        ]

    def _reach(self) -> list[tuple[str, str]]:
        if self.listen == LOOPBACK:
            return [("  on another host", f"{own_command()} demo --listen {EVERYWHERE}   (no password)")]
        return [("  mind", "whoever reaches this address may use this broker: it asks for no password")]


class View(Protocol):
    """Shows the meters; opened and closed by ``with``."""

    def __enter__(self) -> View:
        """Begins."""

    def __exit__(self, *_: object) -> None:
        """Leaves the terminal as it was."""

    def show(self, devices: Mapping[str, Seen], now: datetime) -> None:
        """How things are now; called a few times a second."""


class LineView:
    """Lines, every few seconds: for pipes, logs and plain terminals. The main thread."""

    def __init__(self, doors: Doors) -> None:
        self._doors = doors
        self._shown_at: datetime | None = None

    def __enter__(self) -> LineView:
        for caption, text in self._doors.hints():
            print(f"{caption:20} {text}", flush=True)
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, devices: Mapping[str, Seen], now: datetime) -> None:
        """Prints all meters, when it is time again."""
        if not devices or (self._shown_at and (now - self._shown_at).total_seconds() < LINES_EVERY_S):
            return
        self._shown_at = now
        print(f"\n{now.astimezone():%H:%M:%S}")
        for seen in in_order(devices):
            who = f"{online_text(seen):8} {seen.name:{LONGEST_NAME}} {seen.medium:20}"
            values = "  ".join(f"{name} {value}" for name, value in main_values(seen))
            print(f"{who} {age_text(seen, now):>6}  {values}".rstrip())
        sys.stdout.flush()


class NoView:
    """Shows nothing: for ``--json``. The main thread."""

    def __enter__(self) -> NoView:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, devices: Mapping[str, Seen], now: datetime) -> None:
        """Nothing."""


def in_order(devices: Mapping[str, Seen]) -> list[Seen]:
    """Wired meters first; otherwise as they came."""
    return sorted(devices.values(), key=lambda seen: seen.lane == "wireless")


def main_values(seen: Seen) -> list[tuple[str, str]]:
    """Name and value with unit of what Home Assistant shows first: no history, no diagnostics."""
    shown = []
    for field, component in seen.components().items():
        if field in seen.values and "entity_category" not in component and component.get("enabled_by_default", True):
            shown.append((str(component["name"]), f"{seen.values[field]} {seen.unit(field)}".rstrip()))
    return shown


def online_text(seen: Seen) -> str:
    """In a word."""
    return "online" if seen.online else "offline"


def age_text(seen: Seen, now: datetime) -> str:
    """How old the last reading is."""
    age_s = seen.age_s(now)
    return "" if age_s is None else f"{max(0, int(age_s))} s"


def own_address() -> str:
    """This machine's address on the network, as far as it can be told; else its name."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing: only asks which way a packet would go (RFC 5737)
            return str(probe.getsockname()[0])
        except OSError:
            return socket.gethostname()


def own_command() -> str:
    """How this program was called."""
    return sys.argv[0] if Path(sys.argv[0]).name == "mbusgw" else "mbusgw"
