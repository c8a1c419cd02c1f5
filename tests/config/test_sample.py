"""The sample that is installed: right as it stands, and complete."""
from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import SecretStr

from mbusgw.config.environment import PLAIN, SPECIAL
from mbusgw.config.loader import load, loads
from mbusgw.config.models import Config
from mbusgw.config.secrets import secret_values
from mbusgw.config.shape import sections_at

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "etc" / "mbusgw.yaml"
#: "#qos: 1" is a setting; "# Words" are an explanation.
SETTING = re.compile(r"^( *)#((?:- )?[a-z])", re.M)


def uncommented() -> str:
    return SETTING.sub(r"\1\2", SAMPLE.read_text())


def test_the_sample_loads_as_it_stands() -> None:
    config = load(SAMPLE, {})
    assert [bus.name for bus in config.buses] == ["main"]
    assert [device.id for device in config.devices] == ["meter_1"]


def test_the_sample_holds_no_secret_in_force() -> None:
    assert secret_values(load(SAMPLE, {})) == frozenset()


def test_the_sample_shows_the_defaults() -> None:
    sample = load(SAMPLE, {})
    for name in Config.model_fields:
        if name not in ("buses", "devices"):
            assert getattr(sample, name) == getattr(Config(), name), name


def test_every_setting_of_the_sample_can_be_uncommented() -> None:
    config = loads(uncommented(), {})
    assert config.ingest.keys == {"gw1": SecretStr("a-long-random-text")}
    assert config.keys[0].meter_id == "12345678"
    assert [output.name for output in config.outputs] == ["influx", "influx-old", "webhook"]
    for name in ("mqtt", "homeassistant", "http", "parser", "lobaro", "gateway", "storage", "logging", "health"):
        assert getattr(config, name) == getattr(Config(), name), name


@pytest.mark.parametrize("name", list(Config.model_fields))
def test_the_sample_explains_every_key(name: str) -> None:
    sections = sections_at((name,)) or sections_at((name, 0))
    assert sections
    block = re.search(rf"^{name}:\n((?:[ #].*\n|\n)*)", uncommented(), re.M)
    assert block is not None, f"no section {name}"
    keys = {key for section in sections for key in section.model_fields}
    missing = [key for key in keys if not re.search(rf"^\s+(- )?{key}:", block[1], re.M)]
    assert missing == []


def test_the_environment_file_names_every_variable() -> None:
    text = (ROOT / "etc" / "default" / "mbusgw").read_text()
    assert set(re.findall(r"^#?([A-Z_]+)=", text, re.M)) == {*PLAIN, *SPECIAL}
