"""``mbusgw dashboard`` on a database that no gateway has open."""
from __future__ import annotations

import json
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path

import pytest
import yaml

from mbusgw.cli.main import main
from mbusgw.model.device import DeviceState
from mbusgw.model.fields import name_fields
from mbusgw.model.meter import MeterIdentity
from mbusgw.model.quantity import QUANTITIES
from mbusgw.model.record import Record
from mbusgw.mqtt.discovery import Discovery
from mbusgw.store import announced
from tests.fakes.stores import running_store, write
from tests.mqtt.house import TOPICS

NOW = datetime.now(timezone.utc)
NAMES = {"meter_1": "Küche 🚿", "els_10000002": "els_10000002", "els_10000003": "els_10000003"}


def config(folder: Path, extra: str = "") -> Path:
    file = folder / "mbusgw.yaml"
    file.write_text(f"http: {{listen: '127.0.0.1:1'}}\nstorage: {{path: {folder}/x.db}}\n{extra}")
    return file


def announce(folder: Path, names: dict[str, str]) -> None:
    """What a gateway would have left in its database."""
    discovery = Discovery(TOPICS, gateway_id="mbusgw", language="en", expire_after_s=300)
    fields = name_fields([Record(QUANTITIES["volume"], "m³", Decimal("1.5"), vib=b"\x13")])
    with running_store(folder / "x.db") as store:
        told = [discovery.gateway()]
        for number, (device_id, name) in enumerate(names.items()):
            meter = MeterIdentity(f"{number:08d}", "ELS", 1, 7)
            one = discovery.meter(DeviceState(device_id, name, read_at=NOW, meter=meter, fields=fields))
            assert one is not None
            told.append(one)
        for one in told:
            write(
                store,
                lambda connection, one=one: announced.remember(
                    connection, one.topic, one.device_id, one.payload, NOW
                ),
            )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    announce(tmp_path, NAMES)
    return config(tmp_path)


def run(file: Path, *arguments: str) -> int:
    return main(["dashboard", *arguments, "-c", str(file)])


def headings(text: str) -> list[str]:
    return [section["cards"][0]["heading"] for section in yaml.safe_load(text)["sections"]]


def test_the_view_is_yaml_that_can_be_pasted_as_it_is(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(file) == 0
    text = capsys.readouterr().out
    assert headings(text) == ["ELS 00000001 water meter", "ELS 00000002 water meter", "Küche 🚿", "M-Bus gateway"]
    assert text.startswith("# ") and "Küche 🚿" in text, "letters are as they are"
    assert yaml.safe_load(text)["type"] == "sections"


def test_json_is_the_same_view(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(file, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert run(file) == 0
    assert yaml.safe_load(capsys.readouterr().out) == document


def test_meters_can_be_chosen_by_id_and_pattern(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(file, "els_*3") == 0
    assert headings(capsys.readouterr().out) == ["ELS 00000002 water meter", "M-Bus gateway"]


def test_the_headings_come_in_the_language_asked_for(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(file, "--language", "de") == 0
    assert yaml.safe_load(capsys.readouterr().out)["title"] == "Zähler"


def test_a_meter_that_is_not_known_is_named_with_one_that_is_alike(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(file, "meter_2") == 2
    answered = capsys.readouterr()
    assert "meter_1" in answered.err and not answered.out


def test_without_a_meter_it_says_so_and_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    announce(tmp_path, {})
    assert run(config(tmp_path)) == 1
    answered = capsys.readouterr()
    assert "no meter" in answered.err and not answered.out


def test_without_discovery_it_says_which_setting_is_off(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(config(file.parent, "homeassistant: {enabled: false}\n")) == 1
    assert "homeassistant.enabled" in capsys.readouterr().err


def test_without_gateway_and_database_none_is_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(config(tmp_path)) == 1
    assert "no gateway answers" in capsys.readouterr().err
    assert not (tmp_path / "x.db").exists()


def test_too_many_meters_are_to_be_named(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("mbusgw.app.dashboard.MOST", 2)
    assert run(file) == 2
    assert "3 meters are too many" in capsys.readouterr().err
    assert run(file, "els_*") == 0
