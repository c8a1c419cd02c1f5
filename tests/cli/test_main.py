"""The frame of the command line: exit codes, errors, help."""
from __future__ import annotations

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from mbusgw import __version__
from mbusgw.cli.main import COMMANDS, HELP_WIDTH, _parser, main
from tests.wait import PATIENCE_S


@pytest.fixture
def talkative(monkeypatch: pytest.MonkeyPatch) -> None:
    """One more row in the table of commands."""
    monkeypatch.setitem(COMMANDS, "talkative", "tests.cli.talkative")


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """A configuration that sets nothing."""
    file = tmp_path / "mbusgw.yaml"
    file.touch()
    return file


def python(*arguments: str, **options: Any) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, *arguments], text=True, capture_output=True, timeout=PATIENCE_S, check=False, **options
    )


@pytest.mark.usefixtures("talkative")
@pytest.mark.parametrize("code", [0, 1, 2, 3])
def test_the_exit_code_is_the_commands(code: int) -> None:
    assert main(["talkative", str(code)]) == code


@pytest.mark.usefixtures("talkative")
def test_an_error_of_ours_is_a_line_and_an_advice(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["talkative", "error"]) == 1
    assert capsys.readouterr().err == "mbusgw: the port is gone\n  plug it in\n"


@pytest.mark.usefixtures("talkative")
def test_every_problem_of_a_configuration_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["talkative", "config"]) == 3
    assert capsys.readouterr().err == (
        "f.yaml:1: a: is wrong\nf.yaml:2: b: is wrong (try c)\n"
        "mbusgw: the configuration has 2 problems\n"
    )


@pytest.mark.usefixtures("talkative")
def test_ctrl_c_ends_quietly(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["talkative", "interrupt"]) == 130
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("talkative")
def test_a_bug_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        main(["talkative", "bug"])


def test_a_reader_that_goes_away_ends_a_command_quietly() -> None:
    code = (
        "import sys\nfrom mbusgw.cli import main as frame\nframe.COMMANDS['talkative'] = 'tests.cli.talkative'\n"
        "sys.exit(frame.main(['talkative', '--text', 'x' * 1000000, '0']))"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    with process.stderr:
        assert process.stderr.read() == ""
    assert process.wait(PATIENCE_S) == 1


def test_a_command_alone_lists_all_and_is_a_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    for name in COMMANDS:
        assert f"    {name}" in shown.err


def test_what_a_command_does_not_know_is_told_with_that_commands_own_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["status", "--json", "meter_1", "--fly"])
    assert caught.value.code == 2
    shown = capsys.readouterr().err
    assert "usage: mbusgw status" in shown and "unrecognized arguments: meter_1 --fly" in shown


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_an_output_that_cannot_be_written_is_said_in_a_line(empty: Path) -> None:
    command = [sys.executable, "-m", "mbusgw", "check-config", "-c", str(empty)]
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=PATIENCE_S, check=False
        )
    assert (result.returncode, result.stderr) == (
        1,
        "mbusgw: the output cannot be written: No space left on device\n",
    )


def test_a_command_works_without_standard_streams(empty: Path) -> None:
    command = [sys.executable, "-m", "mbusgw", "check-config", "-c", str(empty)]
    result = subprocess.run(
        ["/bin/sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *command], timeout=PATIENCE_S, check=False
    )
    assert result.returncode == 0


def test_letters_that_the_locale_lacks_do_not_end_a_command() -> None:
    poor = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    code = (
        "import sys\nfrom mbusgw.cli import main as frame\nframe.COMMANDS['talkative'] = 'tests.cli.talkative'\n"
        "sys.exit(frame.main(['talkative', '--text', 'm\\u00b3', '0']))"
    )
    result = subprocess.run([sys.executable, "-c", code], env=poor, capture_output=True, timeout=PATIENCE_S, check=True)
    assert result.stdout == "m³\n".encode()


@pytest.mark.parametrize("arguments", [["fly"], ["check-config", "--fly"], ["--fly"]])
def test_a_wrong_call_is_explained_and_exits_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: mbusgw" in capsys.readouterr().err


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    for name, module in COMMANDS.items():
        assert name in text and import_module(module).HELP.split()[0] in text


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([name, "--help"])
    assert caught.value.code == 0
    assert f"usage: mbusgw {name}" in capsys.readouterr().out


@pytest.mark.parametrize(
    "line",
    [
        line
        for module in COMMANDS.values()
        for line in getattr(import_module(module), "EXAMPLES", "").splitlines()
        if line.startswith("mbusgw ")
    ],
)
def test_every_example_of_the_help_can_be_typed(line: str) -> None:
    command, *arguments = line.split("  ")[0].split()
    assert command == "mbusgw" and len(line) <= HELP_WIDTH - 2
    assert _parser(arguments).parse_args(arguments).command.NAME == arguments[0]


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_row_of_the_table_is_a_command_of_that_name(name: str) -> None:
    module = import_module(COMMANDS[name])
    assert name == module.NAME
    assert module.HELP and not module.HELP.endswith(".")


def test_the_version_is_told_without_loading_a_command() -> None:
    code = (
        "import sys\nfrom mbusgw.cli.main import main\n"
        "try: main(['--version'])\nexcept SystemExit as end: print(end.code, 'pydantic' in sys.modules)"
    )
    assert python("-c", code).stdout == f"mbusgw {__version__}\n0 False\n"


def test_the_package_runs_as_a_module() -> None:
    assert python("-m", "mbusgw", "--version").stdout == f"mbusgw {__version__}\n"
