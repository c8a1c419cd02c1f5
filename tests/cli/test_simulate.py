"""``mbusgw simulate``: the configuration that it offers."""
from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from mbusgw.config.loader import loads
from mbusgw.model.address import SecondaryAddress
from tests.wait import PATIENCE_S

METERS = """
meters:
  - {kind: heat, address: 1}
  - {kind: water, address: 1}
  - {kind: heat_history, count: 2}
  - {kind: gas, address: 5}
"""


def test_what_it_prints_is_a_configuration_that_reads_every_meter(tmp_path: Path) -> None:
    file = tmp_path / "meters.yaml"
    file.write_text(METERS)
    command = [sys.executable, "-m", "mbusgw", "simulate", "--tcp", "127.0.0.1:0", "--meters-file", str(file)]
    told = subprocess.run(
        [*command, "--duration", "0.1"], capture_output=True, text=True, timeout=PATIENCE_S, check=True
    ).stdout
    port, _, rest = told.partition("\n")
    config = loads(rest.partition("\nCtrl-C")[0], {})
    assert config.buses[0].port == port
    addresses = [device.address for device in config.wired_devices]
    assert len(addresses) == 5 and addresses[-1] == 5
    # Those that share an address, or have none, are told apart by what is printed on them.
    assert all(isinstance(address, SecondaryAddress) for address in addresses[:-1])
