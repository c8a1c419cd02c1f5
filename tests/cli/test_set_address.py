"""``mbusgw set-address`` and ``reset`` without a gateway."""
from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from mbusgw.cli.main import main
from mbusgw.simulator.segment import Segment
from tests.cli.without_gateway import written_config
from tests.simulator.wire import running_segment


class Terminal(io.StringIO):
    """Somebody who types."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def segment() -> Iterator[Segment]:
    with running_segment(meters=3) as segment:
        yield segment


@pytest.fixture
def config(tmp_path: Path, segment: Segment) -> Path:
    devices = "  - {id: heat, bus: main, address: 1}\n  - {id: spare, bus: main, address: 50, enabled: false}\n"
    return written_config(tmp_path, segment, devices)


def types(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(text))


def set_address(config: Path, *arguments: object) -> int:
    return main(["set-address", *map(str, arguments), "-c", str(config)])


def test_an_address_is_changed_when_the_question_is_answered_with_yes(
    config: Path, segment: Segment, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    types(monkeypatch, "y\n")
    number = segment.meters[1].identity.id
    assert set_address(config, 2, 7) == 0
    heard = capsys.readouterr()
    assert f"SIM {number} (water) at address 2: give it the address 7? [y/N]" in heard.err
    assert heard.out == f"SIM {number} (water) answers at address 7 now; it was 2\n"
    assert segment.meters[1].address == 7


@pytest.mark.parametrize("answer", ["n\n", "\n", "", "what?\n"])
def test_any_other_answer_changes_nothing(
    config: Path, segment: Segment, answer: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    types(monkeypatch, answer)
    assert set_address(config, 2, 7) == 1
    assert "nothing was changed" in capsys.readouterr().err and segment.meters[1].address == 2


def test_where_nobody_can_be_asked_yes_must_be_written(
    config: Path, segment: Segment, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert set_address(config, 2, 7) == 2
    assert "write --yes" in capsys.readouterr().err and segment.meters[1].address == 2


@pytest.mark.parametrize("called", ["address", "device", "secondary"])
def test_the_line_of_the_configuration_that_must_follow_is_named(
    config: Path, segment: Segment, called: str, capsys: pytest.CaptureFixture[str]
) -> None:
    meter = segment.meters[0]
    old = {"address": "1", "device": "heat", "secondary": f"{meter.identity.id}FFFFFFFF"}[called]
    assert set_address(config, old, 7, "--yes", "--json") == 0
    heard = capsys.readouterr()
    assert f"{config}:5: device heat is read at 1; change that line to `address: 7`" in heard.err
    assert json.loads(heard.out)["address"] == 7 and meter.address == 7


def test_an_address_that_the_configuration_gives_to_another_is_refused(
    config: Path, segment: Segment, capsys: pytest.CaptureFixture[str]
) -> None:
    assert set_address(config, 2, 50, "--yes") == 1
    told = capsys.readouterr().err
    assert f"{config}:6: device spare is configured at address 50, so nothing was changed" in told
    assert segment.meters[1].address == 2


def test_an_address_that_a_meter_has_is_refused(
    config: Path, segment: Segment, capsys: pytest.CaptureFixture[str]
) -> None:
    assert set_address(config, "heat", 3, "--yes") == 1
    told = capsys.readouterr().err
    assert "a meter answers at address 3 already" in told and "change that line" not in told


@pytest.mark.parametrize("new", ["0", "251", "-1", "seven"])
def test_what_is_no_address_is_a_wrong_call(config: Path, new: str) -> None:
    with pytest.raises(SystemExit) as caught:
        set_address(config, 2, new, "--yes")
    assert caught.value.code == 2


def test_nobody_at_the_old_address_is_exit_1(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert set_address(config, 99, 7, "--yes") == 1
    assert "no answer from address 99" in capsys.readouterr().err


def test_a_meter_is_reset(config: Path, segment: Segment, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reset", "heat", "--code", "0x10", "-c", str(config)]) == 0
    assert capsys.readouterr().out == "the meter at 1 has acknowledged the reset\n"
    assert main(["reset", "2", "--json", "-c", str(config)]) == 0
    assert json.loads(capsys.readouterr().out) == {"bus": "main", "address": 2, "code": None}
    told = [request for _, request in segment.requests if len(request) > 5]
    assert [(request[6], request[7:-2]) for request in told] == [(0x50, b"\x10"), (0x50, b"")]


@pytest.mark.parametrize(("arguments", "code"), [(["99"], 1), (["254"], 2), (["heat", "--code", "256"], 2)])
def test_a_reset_of_nobody_fails(config: Path, arguments: list[str], code: int) -> None:
    assert main(["reset", *arguments, "-c", str(config)]) == code


def test_a_sub_code_is_a_number(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["reset", "1", "--code", "x", "-c", str(config)])
    assert caught.value.code == 2
    assert "expected a number such as 16 or 0x10, not 'x'" in capsys.readouterr().err
