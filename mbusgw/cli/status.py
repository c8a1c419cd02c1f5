"""``mbusgw status``: how the running gateway is, on one page."""
from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from mbusgw.cli.buses import tool_config
from mbusgw.cli.options import add_config_option, add_json_option
from mbusgw.cli.remote import Remote
from mbusgw.model.errors import MbusgwError
from mbusgw.model.wording import counted
from mbusgw.runtime.clock import parse_iso
from mbusgw.runtime.exactjson import dumps

NAME = "status"
HELP = "show how the running gateway is: buses, meters, queues, broker"

_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own options."""
    add_config_option(parser)
    add_json_option(parser)


def run(args: argparse.Namespace) -> int:
    """0 when it is healthy, 1 otherwise. Raises ``MbusgwError`` where none runs."""
    config = tool_config(args.config)
    remote = Remote.find(config)
    if remote is None:
        raise MbusgwError(
            f"no gateway with this configuration answers on port {config.http.port} (http.listen)",
            hint="start it with: systemctl start mbusgw (or mbusgw run); its log says why it ended",
        )
    health, state = remote.get("/health"), remote.get("/state")
    if args.json:
        print(dumps({"health": health, "state": state}, indent=2))
    else:
        print("\n".join(page(health, state, datetime.now(timezone.utc))))
    return 0 if health["status"] == "healthy" else 1


def page(health: Mapping[str, Any], state: Mapping[str, Any], now: datetime) -> list[str]:
    """The lines for a person."""
    online, known = health["meters_online"], health["meters_known"]
    lines = [
        f"mbusgw {health['version']}  {health['status']}  up {duration(health['uptime_s'])}  "
        f"{online} of {counted(known, 'meter')} online",
        "",
    ]
    for name, one in health["components"].items():
        detail = f"  {one['detail']}" if one["detail"] else ""
        lines.append(f"  {name:<14}  {one['status']}{detail}")
    lines += ["", "waiting: " + ", ".join(f"{name} {number}" for name, number in state["queues"].items())]
    if state["buses"]:
        lines += ["", *_table(("bus", "port", "state", "requests", "errors", "last error"), _buses(state["buses"]))]
    if state["devices"]:
        head = ("meter", "name", "state", "read", "remarks")
        lines += ["", *_table(head, [_meter(name, one, now) for name, one in state["devices"].items()])]
    return lines


def duration(seconds: float) -> str:
    """The two largest units of a time: ``3 d 4 h``."""
    left = int(max(0, seconds))
    parts: list[str] = []
    for size, unit in _UNITS:
        number, left = divmod(left, size)
        if number or parts:
            parts.append(f"{number} {unit}")
    return " ".join(parts[:2]) or "0 s"


def _buses(buses: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, ...]]:
    return [
        (
            name,
            str(bus["port_in_use"] or bus["port"]),
            "open" if bus["connected"] else "away",
            str(bus["requests"]),
            str(bus["errors"]),
            _short(bus["last_error"]),
        )
        for name, bus in buses.items()
    ]


def _meter(device_id: str, device: Mapping[str, Any], now: datetime) -> tuple[str, ...]:
    read_at = device["read_at"]
    ago = f"{duration((now - parse_iso(read_at)).total_seconds())} ago" if read_at else "never"
    state = "online" if device["online"] else "offline"
    return device_id, _short(device["name"], 30), state, ago, _short("; ".join(_remarks(device)))


def _remarks(device: Mapping[str, Any]) -> Iterator[str]:
    """What is not as it should be: why it cannot be read, what it says of itself, what is not believed."""
    if device["last_error"]:
        yield str(device["last_error"])
    if device.get("status_flags"):
        yield "it says: " + ", ".join(flag.replace("_", " ") for flag in device["status_flags"])
    if device.get("quarantine"):
        yield f"in quarantine: {', '.join(device['quarantine'])}"


def _short(text: object, length: int = 70) -> str:
    one = " ".join(str(text or "").split())
    return one if len(one) <= length else f"{one[:length - 3]}..."


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in (head, *rows)]
