"""The systemd unit: what it promises, and that systemd understands it."""
from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.wait import PATIENCE_S

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "systemd" / "mbusgw.service"
ANALYZE = shutil.which("systemd-analyze")

needs_systemd = pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not installed")


def settings() -> dict[str, str]:
    return dict(re.findall(r"^(\w+)=(.*)$", UNIT.read_text(), re.M))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("Type", "notify"),
        ("WatchdogSec", "120"),
        ("Restart", "always"),
        ("RestartSec", "10"),
        ("MemoryMax", "256M"),
        ("CPUQuota", "50%"),
        ("User", "mbusgw"),
        ("SupplementaryGroups", "dialout"),
        ("StateDirectory", "mbusgw"),
        ("LogsDirectory", "mbusgw"),
        ("RuntimeDirectory", "mbusgw"),
        ("EnvironmentFile", "-/etc/default/mbusgw"),
        ("ExecStart", "/usr/bin/mbusgw run"),
        ("ExecReload", "/bin/kill -HUP $MAINPID"),
        ("WantedBy", "multi-user.target"),
    ],
)
def test_the_unit_keeps_the_contract(key: str, value: str) -> None:
    assert settings()[key] == value


def test_the_folder_of_the_configuration_may_be_written_as_far_as_its_owner_lets() -> None:
    assert "-/etc/mbusgw" in settings()["ReadWritePaths"].split()


def test_a_wrong_configuration_is_not_tried_again_and_again() -> None:
    assert settings()["RestartPreventExitStatus"] == "3"


def test_an_ordered_stop_has_more_time_than_it_needs() -> None:
    assert 5 < int(settings()["TimeoutStopSec"]) <= 90


@needs_systemd
def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    # `verify` insists that the program exists, which it does only where the package is installed.
    unit = tmp_path / "mbusgw.service"
    unit.write_text(UNIT.read_text().replace("/usr/bin/mbusgw run", str(shutil.which("true"))))
    assert ANALYZE is not None
    command = [ANALYZE, "verify", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@needs_systemd
def test_systemd_finds_the_unit_well_guarded() -> None:
    assert ANALYZE is not None
    command = [ANALYZE, "security", "--offline=true", "--no-pager", str(UNIT)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    exposure = re.search(r"Overall exposure level for .*: ([\d.]+)", done.stdout)
    assert exposure is not None, done.stdout + done.stderr
    assert float(exposure[1]) <= 2.0
