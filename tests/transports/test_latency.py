"""How late a port passes bytes on: what its driver tells, and what is taken for it where it tells nothing."""
from __future__ import annotations

import os
from pathlib import Path

import pytest

from mbusgw.transports.latency import PROMPT_SLACK_S, latency_timer, slack_s


def adapter_in(sysfs: Path, port: str, timer: str) -> Path:
    """A tree like that of the kernel, in which ``port`` is an adapter with a latency timer."""
    device = sysfs / os.path.basename(port) / "device"
    device.mkdir(parents=True)
    (device / "latency_timer").write_text(timer, encoding="ascii")
    return sysfs


@pytest.mark.parametrize(("timer", "slack"), [("1\n", 0.004), ("16\n", 0.019), ("255\n", 0.258), ("", None)])
def test_an_adapter_is_waited_for_as_long_as_it_collects(tmp_path: Path, timer: str, slack: float | None) -> None:
    sysfs = adapter_in(tmp_path, "/dev/ttyUSB7", timer)
    assert slack_s("/dev/ttyUSB7", sysfs) == pytest.approx(slack)


def test_an_adapter_is_known_by_its_lasting_name_too(tmp_path: Path) -> None:
    sysfs = adapter_in(tmp_path / "sys", "/dev/ttyUSB7", "1\n")
    (tmp_path / "ttyUSB7").touch()
    link = tmp_path / "usb-FTDI_1234-if00-port0"
    link.symlink_to("ttyUSB7")
    assert latency_timer(str(link), sysfs) == sysfs / "ttyUSB7/device/latency_timer"


def test_of_other_ports_a_pty_is_prompt_and_the_rest_may_have_a_fifo(tmp_path: Path) -> None:
    assert latency_timer("/dev/ttyS0", tmp_path) is None
    assert slack_s("/dev/ttyS0", tmp_path) is None
    assert slack_s("/dev/pts/0", tmp_path) == PROMPT_SLACK_S


@pytest.mark.parametrize(("bytes_held", "slack"), [("1\n", PROMPT_SLACK_S), ("8\n", None), ("", None)])
def test_a_uart_that_was_told_to_pass_each_byte_on_is_prompt(
    tmp_path: Path, bytes_held: str, slack: float | None
) -> None:
    (tmp_path / "ttyS0").mkdir()
    (tmp_path / "ttyS0/rx_trig_bytes").write_text(bytes_held, encoding="ascii")
    assert slack_s("/dev/ttyS0", tmp_path) == slack
