"""A bus whose adapter comes back under another name, or whose name comes back with another adapter."""
from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from mbusgw.model.errors import AdapterChanged, BusError, BusLocked
from mbusgw.simulator.line import PtyLine
from mbusgw.transports.lockfile import LockDirectory
from mbusgw.transports.serialport import SerialPort, open_port
from mbusgw.wired.bus import Bus
from tests.fakes.adapters import Adapters
from tests.simulator.wire import CLOCK, running_segment
from tests.wait import PATIENCE_S, wait_until
from tests.wired.house import bus_config, running


def ask(bus: Bus, address: int = 1) -> bool:
    """Whether the meter answers."""
    future = bus.submit(lambda session: session.read_user_data(address), deadline_mono=CLOCK.mono() + PATIENCE_S)
    try:
        return future.result(PATIENCE_S).complete
    except BusError:
        return False


@pytest.mark.slow
def test_an_adapter_that_comes_back_under_another_name_is_used(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.INFO, "mbusgw.wired")
    adapters = Adapters()
    old, new = tmp_path / "ttyUSB0", tmp_path / "ttyUSB1"
    with running_segment(PtyLine(old)) as segment, running_segment(PtyLine(new)) as returned:
        adapters.plug(old, "A1")
        bus = Bus(bus_config(str(old)), clock=CLOCK, list_usb_ports=adapters)
        with running(bus):
            wait_until(lambda: ask(bus))
            assert (bus.snapshot().port, bus.snapshot().port_in_use) == (str(old), str(old))
            adapters.pull(old)
            segment.unplug()
            wait_until(lambda: not segment.connected)
            wait_until(lambda: not ask(bus))
            assert (bus.snapshot().port, bus.snapshot().port_in_use) == (str(old), None)
            device = adapters.plug(new, "A1", location="1-3").device
            wait_until(lambda: bus.snapshot().connected)
            assert ask(bus) and returned.requests
            assert (bus.snapshot().port, bus.snapshot().port_in_use) == (str(old), device)
    messages = [record.getMessage() for record in caplog.records]
    assert f"bus main: {old} is now {device} (USB adapter 0403:6001, serial number A1)" in messages
    assert sum(f"{device} is open again after" in message for message in messages) == 1


@pytest.mark.slow
def test_another_adapter_that_took_the_name_is_never_spoken_to(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    adapters = Adapters()
    old, new = tmp_path / "ttyUSB0", tmp_path / "ttyUSB1"
    with running_segment(PtyLine(old)) as segment, running_segment(PtyLine(new)) as returned:
        adapters.plug(old, "A1")
        bus = Bus(bus_config(str(old)), clock=CLOCK, list_usb_ports=adapters)
        with running(bus):
            wait_until(lambda: ask(bus))
            segment.unplug()
            wait_until(lambda: not segment.connected and not ask(bus))
            asked = len(segment.requests)
            adapters.pull(old)
            segment.plug()  # the same name ...
            wait_until(lambda: segment.connected)
            adapters.plug(old, "B2")  # ... leads to somebody else
            wait_until(lambda: isinstance(bus._trouble, AdapterChanged) and bus._condition.failures >= 3)
            assert not ask(bus) and not bus.snapshot().connected
            assert "B2" in (bus.snapshot().last_error or "")
            adapters.plug(new, "A1")
            wait_until(lambda: bus.snapshot().connected)
            assert ask(bus) and returned.requests
            assert len(segment.requests) == asked
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert sum("is now USB adapter 0403:6001, serial number B2; before it was" in text for text in warnings) == 1


@pytest.mark.slow
def test_a_port_that_became_another_while_it_was_opened_is_closed_unspoken(tmp_path: Path) -> None:
    adapters = Adapters()
    name = tmp_path / "ttyUSB0"
    opened: list[SerialPort] = []

    def open_and_swap(url: str, *, baudrate: int, parity: str) -> SerialPort:
        opened.append(open_port(url, baudrate=baudrate, parity=parity))
        if len(opened) == 2:
            adapters.plug(name, "B2")
        return opened[-1]

    with running_segment(PtyLine(name)) as segment:
        adapters.plug(name, "A1")
        bus = Bus(bus_config(str(name)), clock=CLOCK, open_port=open_and_swap, list_usb_ports=adapters)
        with running(bus):
            wait_until(lambda: ask(bus))
            asked = len(segment.requests)
            segment.unplug()
            wait_until(lambda: not segment.connected and not ask(bus))
            segment.plug()
            wait_until(lambda: isinstance(bus._trouble, AdapterChanged))
            assert (bus.snapshot().port_in_use, bus.snapshot().connected) == (None, False)
            assert len(opened) == 2 and not opened[1]._port.is_open
            assert len(segment.requests) == asked


def test_the_bus_takes_the_lock_of_its_port_and_gives_it_back(tmp_path: Path) -> None:
    locks = LockDirectory(tmp_path, without=())

    def open_locked(url: str, *, baudrate: int, parity: str) -> SerialPort:
        return open_port(url, baudrate=baudrate, parity=parity, locks=locks)

    with running_segment() as segment:
        path = tmp_path / f"LCK..{os.path.basename(segment.port)}"
        first = Bus(bus_config(segment.port), clock=CLOCK, open_port=open_locked)
        second = Bus(bus_config(segment.port, name="second"), clock=CLOCK, open_port=open_locked)
        with running(first):
            assert ask(first)
            assert int(path.read_text()) == os.getpid()
            with running(second):
                wait_until(lambda: isinstance(second._trouble, BusLocked))
                assert "another bus of this process" in (second.snapshot().last_error or "")
            assert path.exists() and ask(first)
        assert not path.exists()


@pytest.mark.slow
def test_a_lock_that_cannot_be_written_is_said_once_however_often_the_port_is_opened(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    warning = "/dev/ttyUSB0 has no lock file /var/lock/LCK..ttyUSB0: Permission denied"

    def open_unlocked(url: str, *, baudrate: int, parity: str) -> SerialPort:
        port = open_port(url, baudrate=baudrate, parity=parity)
        port.warning = warning  # the name of a pty, and with it the text, would be another each time
        return port

    with running_segment(PtyLine(tmp_path / "meters")) as segment:
        bus = Bus(bus_config(segment.port), clock=CLOCK, open_port=open_unlocked)
        with running(bus):
            wait_until(lambda: ask(bus))
            segment.unplug()
            wait_until(lambda: not segment.connected and not ask(bus))
            segment.plug()
            wait_until(lambda: ask(bus))
    texts = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert texts.count(f"bus main: {warning} (it is opened exclusively all the same)") == 1
