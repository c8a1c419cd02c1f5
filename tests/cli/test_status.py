"""``mbusgw status``: the page, and what it says where nobody is."""
from __future__ import annotations

import socket
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from mbusgw.cli.main import main
from mbusgw.cli.status import duration, page

NOW = datetime(2026, 3, 1, 12, 0, 30, tzinfo=timezone.utc)
HEALTH: dict[str, Any] = {
    "status": "degraded", "version": "0.1.0", "uptime_s": 90_061, "meters_online": 1, "meters_known": 2,
    "components": {"store": {"status": "healthy", "detail": "writable"}, "mqtt": {"status": "degraded", "detail": ""}},
}  # fmt: skip
BUS = {"port": "/dev/ttyUSB0", "port_in_use": "/dev/ttyUSB1", "connected": True, "requests": 7, "errors": 1}
STATE: dict[str, Any] = {
    "queues": {"outbox": 3},
    "buses": {"main": {**BUS, "last_error": "no answer"}},
    "devices": {
        "heat": {
            "name": "Heat", "online": True, "read_at": "2026-03-01T12:00:00.000Z", "last_error": None,
            "status_flags": ["power_low", "alarm"], "quarantine": {"energy": {}},
        },
        "cold": {"name": "Cold", "online": False, "read_at": None, "last_error": "no answer from\naddress 2" * 20},
    },
}


def test_the_page_has_everything_in_a_line_each() -> None:
    lines = page(HEALTH, STATE, NOW)
    text = "\n".join(lines)
    assert lines[0] == "mbusgw 0.1.0  degraded  up 1 d 1 h  1 of 2 meters online"
    assert "  mqtt            degraded" in lines and "waiting: outbox 3" in lines
    assert "main  /dev/ttyUSB1  open   7         1       no answer" in text
    assert "heat   Heat  online   30 s ago  it says: power low, alarm; in quarantine: energy" in text
    assert "cold   Cold  offline  never     no answer from address 2" in text and max(map(len, lines)) < 130


def test_without_buses_and_meters_there_are_no_empty_tables() -> None:
    assert page(HEALTH, {"queues": {"outbox": 0}, "buses": {}, "devices": {}}, NOW)[-1] == "waiting: outbox 0"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-5, "0 s"), (0.4, "0 s"), (59, "59 s"), (61, "1 min 1 s"), (3600, "1 h 0 min"), (200_000, "2 d 7 h")],
)
def test_a_time_has_its_two_largest_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_where_no_gateway_runs_that_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mbusgw.yaml"
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        file.write_text(f"http: {{listen: '127.0.0.1:{silent.getsockname()[1]}'}}\n")
        assert main(["status", "-c", str(file)]) == 1
    assert "no gateway with this configuration answers" in capsys.readouterr().err
