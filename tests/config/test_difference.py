"""What differs between two configurations."""
from __future__ import annotations

from pathlib import Path

import pytest

from mbusgw.config.difference import IN_PLACE, changed_keys, file_stamps
from mbusgw.config.loader import loads

BASE = "buses: [{name: main, port: /dev/x}]\n"


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        (BASE, set()),
        (BASE + "gateway: {id: mbusgw}\n", set()),
        (BASE + "devices: [{id: a, bus: main, address: 1}]\n", {"devices"}),
        ("", {"buses"}),
        (BASE + "logging: {level: debug}\n", {"logging.level"}),
        (BASE + "mqtt: {url: 'mqtt://elsewhere', password: secret}\n", {"mqtt.url", "mqtt.password"}),
        (BASE + "keys: [{meter_id: '12345678', key: 0102030405060708090A0B0C0D0E0F11}]\n", {"keys"}),
        (BASE + "ingest: {keys: {gw1: secret}}\n", {"ingest.keys"}),
    ],
)
def test_the_keys_that_differ_are_named_without_their_values(text: str, keys: set[str]) -> None:
    assert changed_keys(loads(BASE, {}), loads(text, {})) == keys


def test_buses_devices_outputs_and_the_level_of_the_logs_are_taken_over_in_place() -> None:
    assert IN_PLACE == {"buses", "devices", "logging.level", "outputs"}


def test_a_file_that_is_named_may_change_while_its_name_stays(tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    ca.write_text("old")
    config = loads(f"mqtt: {{url: mqtts://broker, ca_file: {ca}}}\n", {})
    before = file_stamps(config)
    assert before.keys() == {"mqtt.ca_file"} and before == file_stamps(config)
    ca.write_text("renewed")
    assert file_stamps(config) != before
    ca.unlink()
    assert file_stamps(config) == {"mqtt.ca_file": None}


def test_a_master_key_that_came_back_is_noticed(tmp_path: Path) -> None:
    config = loads(f"storage: {{master_key_file: {tmp_path}/key}}", {})
    assert file_stamps(config) == {"storage.master_key_file": None}
    (tmp_path / "key").write_text("11" * 32)
    assert file_stamps(config)["storage.master_key_file"] is not None
