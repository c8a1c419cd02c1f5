from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mbusgw.cli.main import main
from tests.wait import PATIENCE_S


def test_help_explains_the_options(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["demo", "--help"])
    assert caught.value.code == 0
    out = capsys.readouterr().out
    assert "--duration" in out and "--listen" in out and "--json" in out


@pytest.mark.parametrize(
    "arguments",
    [["--duration", "0"], ["--duration", "nan"], ["--duration", "soon"], ["--listen", "here"], ["--listen", "::1"]],
)
def test_a_wrong_option_is_a_usage_error(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["demo", *arguments])
    assert caught.value.code == 2
    assert "expected" in capsys.readouterr().err


def test_without_mosquitto_it_says_how_to_install_it_and_leaves_nothing(tmp_path: Path) -> None:
    program = (
        "import sys; from mbusgw.cli import demo_process, main\n"
        "demo_process.SYSTEM_PATH = ''; sys.exit(main.main(['demo']))"
    )
    environ = {**os.environ, "PATH": str(tmp_path), "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environ, text=True, capture_output=True, timeout=PATIENCE_S, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "mbusgw: mosquitto is not installed\n  install it with: sudo apt install mosquitto\n"
    assert list(tmp_path.iterdir()) == []
