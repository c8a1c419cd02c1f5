"""Which USB adapter is behind a port: what is taken from the system's list, and that the tests' own list is alike."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from serial.tools.list_ports_common import ListPortInfo

from mbusgw.model.errors import TransportOpenFailed
from mbusgw.transports.enumerate import ListUsbPorts, UsbPort, process_name, usb_ports
from tests.fakes.adapters import Adapters


def info(device: str, **known: Any) -> ListPortInfo:
    """One entry of pyserial's list, as it fills it in."""
    entry = ListPortInfo(device)
    for name, value in known.items():
        setattr(entry, name, value)
    return entry


def plugged() -> Adapters:
    adapters = Adapters()
    adapters.plug("/dev/ttyUSB0", "A1")
    adapters.plug("/dev/ttyUSB1", location="1-2")
    return adapters


def real() -> list[UsbPort]:
    """The real function over pyserial's real entries."""
    entries = [
        info("/dev/ttyUSB0", vid=0x0403, pid=0x6001, serial_number="A1", location="1-1"),
        info("/dev/ttyUSB1", vid=0x0403, pid=0x6001, serial_number=None, location="1-2"),
    ]
    return usb_ports(lambda: entries)


@pytest.mark.parametrize("list_ports", [usb_ports, real, plugged()], ids=["this machine", "pyserial", "the tests' own"])
def test_every_list_of_ports_keeps_the_same_contract(list_ports: ListUsbPorts) -> None:
    ports = list_ports()
    assert len({port.device for port in ports}) == len(ports)
    for port in ports:
        assert port.device.startswith("/dev/")
        assert 0 < port.vid < 0x10000 and 0 <= port.pid < 0x10000
        assert isinstance(port.number, str) and isinstance(port.part, str)
        assert port.location and ":" not in port.location


def test_the_tests_own_list_says_the_same_as_the_real_one() -> None:
    def essence(port: UsbPort) -> tuple[object, ...]:
        return port.device, port.vid, port.pid, port.number, port.location

    assert [essence(port) for port in plugged()()] == [essence(port) for port in real()]


def test_a_port_that_is_no_usb_adapter_is_not_listed() -> None:
    assert usb_ports(lambda: [info("/dev/ttyS0"), info("/dev/ttyAMA0")]) == []


def test_the_parts_of_an_adapter_with_several_ports_are_told_apart(tmp_path: Path) -> None:
    entries = []
    for number in (0, 1):
        folder = tmp_path / f"ttyUSB{number}"
        folder.mkdir()
        (folder / "port_number").write_text(f"{number}\n")
        known = {"vid": 0x9710, "pid": 0x7840, "serial_number": "X", "location": "1-1", "device_path": str(folder)}
        entries.append(info(f"/dev/ttyUSB{number}", **known))
    for interface in (0, 1):
        known = {"vid": 0x0403, "pid": 0x6011, "serial_number": "Y", "location": f"1-2:1.{interface}"}
        entries.append(info(f"/dev/ttyUSB{2 + interface}", **known))
    assert [(port.location, port.part) for port in usb_ports(lambda: entries)] == [
        ("1-1", "/0"),
        ("1-1", "/1"),
        ("1-2", "1.0/"),
        ("1-2", "1.1/"),
    ]


@pytest.mark.parametrize("error", [OSError("gone"), TypeError("int() argument must be a string"), ValueError("''")])
def test_an_adapter_that_goes_while_it_is_listed_is_a_reason_to_look_again(error: Exception) -> None:
    def going() -> list[ListPortInfo]:
        raise error

    with pytest.raises(TransportOpenFailed, match="changing just now") as caught:
        usb_ports(going)
    assert caught.value.retryable


def test_an_adapter_is_spoken_of_with_its_number_or_its_socket() -> None:
    adapters = Adapters()
    assert str(adapters.plug("/dev/ttyUSB0", "A1")) == "USB adapter 0403:6001, serial number A1"
    text = "USB adapter 0403:6001, no serial number, in socket 1-4"
    assert str(adapters.plug("/dev/ttyUSB0", location="1-4")) == text


def test_a_process_that_is_gone_or_hidden_has_no_name(tmp_path: Path) -> None:
    assert process_name(1, tmp_path) == ""
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "comm").write_text("minicom\n")
    assert process_name(7, tmp_path) == "minicom"
