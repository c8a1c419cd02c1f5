"""``mbusgw check-config``."""
from __future__ import annotations

import json
from pathlib import Path

import pytest

from mbusgw.cli.main import main
from mbusgw.config.environment import PLAIN, SPECIAL

GOOD = """
buses: [{name: main, port: /dev/nowhere}]
devices: [{id: a, bus: main, address: 1}, {id: b, bus: main, address: 2}]
ingest: {keys: {gw1: Hidden99}}
"""


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's own variables must not decide."""
    for name in (*PLAIN, *SPECIAL):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the configuration is."""
    return tmp_path / "mbusgw.yaml"


def test_a_right_configuration_is_counted(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(GOOD)
    assert main(["check-config", "-c", str(file)]) == 0
    assert capsys.readouterr() == ("OK: 1 bus, 2 devices, 0 meter keys, 1 radio gateway\n", "")


def test_a_wrong_one_is_explained_and_exits_3(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text("mqqt: {}\nhttp: {listen: x}\n")
    assert main(["check-config", "--config", str(file)]) == 3
    captured = capsys.readouterr()
    assert captured.out == ""
    assert f"{file}:1: mqqt: unknown key (did you mean `mqtt`?)\n{file}:2: http.listen: " in captured.err
    assert "2 problems" in captured.err


def test_a_file_that_is_not_there_exits_3(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check-config", "-c", str(file)]) == 3
    assert f"{file}: there is no such file" in capsys.readouterr().err


def test_the_environment_counts(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text(GOOD)
    monkeypatch.setenv("MQTT_QOS", "9")
    assert main(["check-config", "-c", str(file)]) == 3
    assert "environment: MQTT_QOS: must be at most 2; found `9`" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("buses: [{name: m, port: /dev/x}]", "bus m has no enabled device"),
        ("", "there are neither buses nor ingest.keys"),
        ("parser: {backend: lobaro}", "asks for a lobaro.token"),
        ("storage: {master_key_file: /nowhere/key}", "storage.master_key_file: /nowhere/key cannot be read"),
        ("buses: [{name: m, port: ttyUSB0}]", "did you mean `/dev/ttyUSB0`?"),
        ("mqtt: {tls_insecure: true}", "can pretend to be the broker"),
    ],
)
def test_what_was_perhaps_not_meant_is_noted(
    file: Path, capsys: pytest.CaptureFixture[str], text: str, note: str
) -> None:
    file.write_text(text)
    assert main(["check-config", "-c", str(file)]) == 0
    assert note in capsys.readouterr().out


def test_json_tells_the_same_to_programs(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(GOOD)
    assert main(["check-config", "-c", str(file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "ok": True, "file": str(file), "problems": [], "doubts": [], "notes": [], "buses": 1, "devices": 2, "keys": 0,
    }  # fmt: skip
    file.write_text("gateway:\n  langage: en\n")
    assert main(["check-config", "-c", str(file), "--json"]) == 3
    captured = capsys.readouterr()
    assert captured.err == ""
    problem = {"source": str(file), "line": 2, "key": "gateway.langage", "message": "unknown key"}
    problem["suggestion"] = "did you mean `language`?"
    assert json.loads(captured.out) == {"ok": False, "file": str(file), "problems": [problem]}


def test_a_gateway_that_nobody_knows_is_noted_with_its_line_and_key(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "ingest: {keys: {attic: a, cellar: b}}\ndevices:\n- id: water\n  radio: els_12345678\n"
    text += "  gateways: [atic, cellar]\n"
    file.write_text(text)
    assert main(["check-config", "-c", str(file)]) == 0
    said = capsys.readouterr().out
    assert f"note: {file}:5: devices[0].gateways[0]: no gateway of ingest.keys is named `atic`" in said
    assert "did you mean `attic`?" in said and "cellar" not in said
    assert main(["check-config", "-c", str(file), "--json"]) == 0
    (doubt,) = json.loads(capsys.readouterr().out)["doubts"]
    assert (doubt["line"], doubt["key"]) == (5, "devices[0].gateways[0]")
    for free in ("ingest: {}\n", "ingest: {keys: {attic: a}, trusted_networks: [10.0.0.0/8]}\n"):
        file.write_text(free + text.partition("\n")[2])
        main(["check-config", "-c", str(file)])
        assert "atic" not in capsys.readouterr().out, "any name may come there"


def test_nothing_is_opened_or_written(file: Path, tmp_path: Path) -> None:
    database = tmp_path / "state" / "x.db"
    file.write_text(f"{GOOD}storage: {{path: {database}}}\nlogging: {{directory: {tmp_path}/log}}\n")
    assert main(["check-config", "-c", str(file)]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["mbusgw.yaml"]
