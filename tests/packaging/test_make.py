"""The Makefile and the scripts behind it, as far as they can be tried without installing anything."""
from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.wait import PATIENCE_S

ROOT = Path(__file__).parents[2]


def call(*command: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    surroundings = {"cwd": ROOT, "env": {**os.environ, **variables}, "stdin": subprocess.DEVNULL}
    return subprocess.run(command, **surroundings, text=True, capture_output=True, timeout=PATIENCE_S, check=False)


@pytest.mark.parametrize("target", ["venv", "demo", "test", "fast", "lint", "bench", "clean"])
def test_make_help_lists_every_target(target: str) -> None:
    assert f"make {target} " in call("make", "help").stdout


def test_a_python_that_is_too_old_is_refused_with_advice() -> None:
    done = call(".ci/prepare", "venv", PYTHON="/bin/false")
    assert done.returncode == 1
    assert done.stderr == "mbusgw: /bin/false is no Python 3.11 or newer\n"


def test_a_program_that_is_there_is_not_installed() -> None:
    done = call(".ci/prepare", "tool", "bash", "no-such-package")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_wrong_call_of_the_script_is_explained() -> None:
    done = call(".ci/prepare", "everything")
    assert done.returncode == 1 and "usage:" in done.stderr


@pytest.mark.parametrize("script", ["run", "prepare"])
def test_the_scripts_can_be_run_and_end_at_the_first_error(script: str) -> None:
    file = ROOT / ".ci" / script
    assert os.access(file, os.X_OK)
    assert "set -euo pipefail" in file.read_text()
    assert call("bash", "-n", str(file)).returncode == 0


def test_ci_runs_what_everybody_runs() -> None:
    assert "make --no-print-directory lint test" in (ROOT / ".ci" / "run").read_text()
