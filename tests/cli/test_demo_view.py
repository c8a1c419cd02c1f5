from __future__ import annotations

import io
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from rich.console import Console

from mbusgw.cli.demo_lines import Doors, LineView, main_values, own_address
from mbusgw.cli.demo_view import LiveView
from mbusgw.cli.demo_watch import Seen

NOW = datetime(2026, 3, 1, 12, 0, 4, tzinfo=timezone.utc)
DOORS = Doors("127.0.0.1", "127.0.0.1", 40001, 40002, Path("/tmp/demo/mbusgw.yaml"))
FIELDS = ["energy", "volume", "volume_flow", "power", "flow_temperature", "return_temperature", "date", "error_flags"]


def meter(device_id: str, *, online: bool = True, rssi_dbm: float | None = None) -> Seen:
    seen = Seen(device_id, online, {name: f"{number}.5" for number, name in enumerate(FIELDS)})
    seen.attributes = {
        "read_at": (NOW - timedelta(seconds=4)).isoformat(),
        "meter": {"medium_name": "heat"},
        "lane": "wired" if rssi_dbm is None else "wireless",
        "rssi_dbm": rssi_dbm,
        "units": {"energy": "kWh", "volume": "m³"},
    }
    components = {name: {"name": name.replace("_", " ").capitalize()} for name in FIELDS}
    components["date"]["enabled_by_default"] = False  # type: ignore[assignment]
    components["error_flags"]["entity_category"] = "diagnostic"
    seen.discovery = {"device": {"name": f"Place {device_id}"}, "components": components}
    return seen


def screen(*devices: Seen, width: int = 130, height: int = 40) -> list[str]:
    console = Console(width=width, height=height, file=io.StringIO(), record=True)
    console.print(LiveView(DOORS, console).picture({seen.device_id: seen for seen in devices}, NOW))
    return console.export_text().splitlines()


def line_of(text: str, lines: list[str]) -> str:
    return next(line for line in lines if text in line)


def test_the_main_values_are_those_that_home_assistant_shows_first() -> None:
    assert main_values(meter("a"))[:3] == [("Energy", "0.5 kWh"), ("Volume", "1.5 m³"), ("Volume flow", "2.5")]
    assert {"Date", "Error flags"}.isdisjoint(name for name, _ in main_values(meter("a")))


def test_a_value_that_has_not_arrived_is_not_shown() -> None:
    seen = meter("a")
    seen.values.clear()
    assert main_values(seen) == []


def test_a_meter_is_a_row_with_name_medium_values_age_and_state() -> None:
    line = line_of("Place a", screen(meter("a")))
    assert line.startswith("●")
    for text in ("heat", "Energy 0.5 kWh", "4 s", "wired"):
        assert text in line


def test_a_radio_meter_shows_how_well_it_is_heard_and_stands_below_the_wired_ones() -> None:
    lines = screen(meter("b", rssi_dbm=-71.0), meter("a"))
    assert line_of("Place b", lines).endswith("-71 dBm")
    assert lines.index(line_of("Place a", lines)) < lines.index(line_of("Place b", lines))


def test_a_meter_that_is_offline_looks_so() -> None:
    lines = screen(meter("a"), meter("b", online=False))
    assert line_of("Place b", lines).startswith("○")
    assert "1 of 2 meters online" in lines[0]


def test_a_meter_of_which_nothing_is_known_yet_is_a_row_too() -> None:
    assert "nobody" in line_of("nobody", screen(Seen("nobody")))


@pytest.mark.parametrize(("width", "height"), [(80, 24), (100, 30), (130, 40), (200, 60)])
def test_everything_fits_on_the_screen(width: int, height: int) -> None:
    meters = [meter(f"{number}", rssi_dbm=-70.0 if number > 5 else None) for number in range(1, 9)]
    lines = screen(*meters, width=width, height=height)
    assert len(lines) < height
    assert all(len(line) <= width for line in lines)
    assert sum("Place " in line for line in lines) == 8
    assert "Ctrl-C" in lines[-1]


def test_the_view_says_where_to_look_and_how_to_point_a_home_assistant_at_it() -> None:
    text = "\n".join(screen(meter("a")))
    assert "http://127.0.0.1:40002/state" in text
    assert "mosquitto_sub -h 127.0.0.1 -p 40001" in text
    assert "Settings → Devices & services → Add integration → MQTT" in text
    assert "broker 127.0.0.1, port 40001" in text
    assert "demo --listen 0.0.0.0" in text


def test_a_demo_that_is_open_to_the_network_names_its_own_address_and_warns() -> None:
    doors = Doors("0.0.0.0", "127.0.0.1", 40001, 40002, Path("/tmp/demo/mbusgw.yaml"))
    text = "\n".join(f"{caption} {line}" for caption, line in doors.hints())
    assert f"broker {own_address()}, port 40001" in text
    assert "asks for no password" in text
    assert "--listen" not in text


def test_lines_come_every_five_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    view = LineView(DOORS)
    with view:
        for second in range(11):
            view.show({"a": meter("a")}, NOW + timedelta(seconds=second))
    out = capsys.readouterr().out
    assert out.count("Place a") == 3
    assert "Energy 0.5 kWh" in out and "\x1b" not in out


@pytest.mark.parametrize("width", range(80, 140, 3))
def test_values_are_shown_whole_or_not_at_all(width: int) -> None:
    lines = screen(meter("a"), width=width, height=16)
    whole = [f"{name} {value}" for name, value in main_values(meter("a")) if value in "\n".join(lines)]
    assert whole and all(any(part in line for line in lines) for part in whole)
