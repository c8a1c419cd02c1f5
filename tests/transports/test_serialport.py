"""Ports: what opens, what does not and what is said about it, what happens when one goes."""
from __future__ import annotations

import errno
import fcntl
import os
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import serial
from serial import rfc2217

from mbusgw.model.errors import BusLocked, TransportLost, TransportOpenFailed
from mbusgw.transports import latency
from mbusgw.transports.enumerate import holders, present_ports
from mbusgw.transports.latency import PROMPT_SLACK_S
from mbusgw.transports.serialport import NETWORK_SLACK_S, open_error, open_port
from tests.transports.test_latency import adapter_in
from tests.wait import PATIENCE_S


class Pty:
    """A pseudo terminal whose far end is ours."""

    def __init__(self) -> None:
        self.master, self.slave = os.openpty()
        self.path = os.ttyname(self.slave)

    def close(self) -> None:
        for descriptor in (self.slave, self.master):
            try:
                os.close(descriptor)
            except OSError:
                pass


@pytest.fixture
def pty() -> Iterator[Pty]:
    pair = Pty()
    yield pair
    pair.close()


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


def url_of(server: socket.socket) -> str:
    return f"socket://127.0.0.1:{server.getsockname()[1]}"


def test_bytes_go_both_ways(pty: Pty) -> None:
    port = open_port(pty.path, baudrate=2400)
    port.write(b"\x10\x40\x01\x41\x16")
    assert os.read(pty.master, 100) == b"\x10\x40\x01\x41\x16"
    os.write(pty.master, b"\xE5")
    assert port.read(10, PATIENCE_S) == b"\xE5"
    port.close()


def test_no_byte_is_changed_on_the_way(pty: Pty) -> None:
    port = open_port(pty.path, baudrate=2400)
    every = bytes(range(256))
    os.write(pty.master, every)
    got = b""
    while len(got) < 256 and (some := port.read(256, PATIENCE_S)):
        got += some
    assert got == every
    port.write(every)
    assert os.read(pty.master, 1000) == every
    port.close()


def test_a_read_returns_as_soon_as_a_byte_is_there(pty: Pty) -> None:
    port = open_port(pty.path, baudrate=2400)
    os.write(pty.master, b"\x68")
    assert port.read(100, PATIENCE_S) == b"\x68"
    port.close()


def test_a_read_ends_with_its_timeout(pty: Pty) -> None:
    port = open_port(pty.path, baudrate=2400)
    started = time.monotonic()
    assert port.read(1, 0.05) == b""
    assert time.monotonic() - started > 0.04
    port.close()


def test_a_read_takes_no_more_than_asked_for(pty: Pty) -> None:
    port = open_port(pty.path, baudrate=2400)
    os.write(pty.master, b"abcdef")
    assert port.read(2, PATIENCE_S) == b"ab"
    assert port.purge() == b"cdef"
    assert port.purge() == b""
    port.close()


def test_a_pty_can_be_opened_again_and_again_although_it_holds_no_parity(pty: Pty) -> None:
    for _ in range(3):
        open_port(pty.path, baudrate=2400, parity="E").close()


def test_a_link_to_a_port_is_followed(pty: Pty, tmp_path: Path) -> None:
    link = tmp_path / "meters"
    link.symlink_to(pty.path)
    for _ in range(2):
        port = open_port(str(link), baudrate=9600)
        assert port.url == str(link)
        port.close()


def test_a_port_that_does_not_exist_is_named_with_those_that_do() -> None:
    with pytest.raises(TransportOpenFailed, match="/dev/ttyUSB77 does not exist") as caught:
        open_port("/dev/ttyUSB77", baudrate=2400)
    assert "port" in caught.value.hint
    assert caught.value.retryable


@pytest.mark.parametrize("path", ["/etc/passwd", "/dev/null", "/tmp"])
def test_what_is_no_serial_port_is_said_to_be_none(path: str) -> None:
    with pytest.raises(TransportOpenFailed, match="is no serial port"):
        open_port(path, baudrate=2400)


def test_a_port_without_permission_names_the_group() -> None:
    # Root may open everything, so the refusal itself is given.
    error = open_error("/dev/ttyUSB0", serial.SerialException(errno.EACCES, "could not open port"))
    assert isinstance(error, TransportOpenFailed)
    assert "no permission to open /dev/ttyUSB0" in str(error) and "dialout" in error.hint


def test_a_second_instance_on_a_port_is_refused(pty: Pty) -> None:
    first = open_port(pty.path, baudrate=2400)
    with pytest.raises(BusLocked, match="in use by") as caught:
        open_port(pty.path, baudrate=2400)
    assert "stop one" in caught.value.hint
    first.close()
    open_port(pty.path, baudrate=2400).close()


def test_the_process_that_holds_a_port_is_named(pty: Pty) -> None:
    code = f"""
import fcntl, os, sys
from tests.wait import PATIENCE_S
port = os.open({pty.path!r}, os.O_RDWR | os.O_NOCTTY)
fcntl.flock(port, fcntl.LOCK_EX)
print("locked", flush=True)
sys.stdin.read()
"""
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None and other.stdin is not None
        assert other.stdout.readline() == "locked\n"
        with pytest.raises(BusLocked, match=rf"\(pid {other.pid}\)"):
            open_port(pty.path, baudrate=2400)
        assert any(f"(pid {other.pid})" in one for one in holders(pty.path))
        other.stdin.close()


def test_our_own_process_is_not_named_as_holder(pty: Pty) -> None:
    fcntl.flock(pty.slave, fcntl.LOCK_EX)
    assert all(str(os.getpid()) not in one for one in holders(pty.path))


def test_a_port_that_is_pulled_out_is_lost(pty: Pty) -> None:
    port = open_port(pty.path, baudrate=2400)
    pty.close()
    with pytest.raises(TransportLost, match="lost .*") as caught:
        port.read(1, PATIENCE_S)
    assert "plugged" in caught.value.hint
    with pytest.raises(TransportLost):
        port.write(b"\x10")
        port.read(1, 0.1)
    port.close()
    port.close()


def test_a_tcp_converter_is_talked_to(server: socket.socket) -> None:
    port = open_port(url_of(server), baudrate=2400)
    connection, _ = server.accept()
    with connection:
        port.write(b"abc")
        assert connection.recv(10) == b"abc"
        connection.sendall(b"answer")
        assert port.read(3, PATIENCE_S) == b"ans"
        assert port.purge() == b"wer"
        assert port.read(3, 0.01) == b""
    with pytest.raises(TransportLost, match="the connection was closed") as caught:
        port.read(1, PATIENCE_S)
    assert "network" in caught.value.hint
    port.close()


class Rfc2217Converter(threading.Thread):
    """A converter whose serial side hears itself; serves one connection."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"rfc2217://127.0.0.1:{self.listener.getsockname()[1]}"
        self.far_side = serial.serial_for_url("loop://", timeout=0)
        self.hang_up = threading.Event()

    def run(self) -> None:
        connection, _ = self.listener.accept()
        with connection, self.listener:
            writer = SimpleNamespace(write=connection.sendall)
            manager = rfc2217.PortManager(self.far_side, writer)
            while not self.hang_up.is_set():
                if select.select([connection], [], [], 0.01)[0]:
                    data = connection.recv(1024)
                    if not data:
                        return
                    self.far_side.write(b"".join(manager.filter(data)))
                if heard := self.far_side.read(1024):
                    connection.sendall(b"".join(manager.escape(heard)))


@pytest.mark.filterwarnings("ignore:set:DeprecationWarning")  # pyserial names its reader thread the old way
def test_a_converter_that_speaks_rfc2217_is_talked_to() -> None:
    converter = Rfc2217Converter()
    converter.start()
    port = open_port(converter.url, baudrate=2400)
    try:
        assert (converter.far_side.baudrate, converter.far_side.parity) == (2400, "E")
        port.write(b"\x10\xFF\x01")
        assert port.read(1, PATIENCE_S) == b"\x10", "FF is special to telnet and comes back all the same"
        rest = b""
        while len(rest) < 2:
            rest += port.read(2 - len(rest), PATIENCE_S)
        assert rest == b"\xFF\x01"
        started = time.monotonic()
        assert port.read(5, 0.1) == b""
        assert time.monotonic() - started > 0.08
        converter.hang_up.set()
        converter.join(PATIENCE_S)
        with pytest.raises(TransportLost):
            for _ in range(50):
                port.read(1, 0.1)
    finally:
        port.close()
        converter.hang_up.set()
        converter.join(PATIENCE_S)


def test_nagle_does_not_hold_back_a_request(server: socket.socket) -> None:
    port = open_port(url_of(server), baudrate=2400)
    with socket.socket(fileno=os.dup(port._port.fileno())) as connection:
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
    port.close()


def test_a_converter_that_refuses_is_explained() -> None:
    with socket.socket() as deaf:  # held, so that nobody else takes the port meanwhile
        deaf.bind(("127.0.0.1", 0))
        with pytest.raises(TransportOpenFailed, match="refused") as caught:
            open_port(url_of(deaf), baudrate=2400)
    assert "nothing listens" in caught.value.hint


@pytest.mark.parametrize("url", ["socket://nowhere", "socket://", "gopher://host:1", "rfc2217://host"])
def test_an_impossible_address_is_refused_with_the_right_form(url: str) -> None:
    with pytest.raises(TransportOpenFailed) as caught:
        open_port(url, baudrate=2400)
    assert caught.value.hint


def test_a_name_that_is_no_host_is_said_so() -> None:
    with pytest.raises(TransportOpenFailed) as caught:
        open_port("socket://converter.invalid:4001", baudrate=2400)
    assert "no such host" in caught.value.hint


def test_a_network_is_given_more_time_than_a_cable(pty: Pty, server: socket.socket) -> None:
    local, remote = open_port(pty.path, baudrate=2400), open_port(url_of(server), baudrate=2400)
    assert local.slack_s == PROMPT_SLACK_S < remote.slack_s == NETWORK_SLACK_S
    local.close()
    remote.close()


def test_an_adapter_that_collects_bytes_is_asked_to_hurry_and_opened_all_the_same_if_it_cannot(
    pty: Pty, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(latency, "SYSFS", adapter_in(tmp_path, pty.path, "16\n"))
    port = open_port(pty.path, baudrate=2400)
    os.write(pty.master, b"\xE5")
    assert port.read(1, PATIENCE_S) == b"\xE5"
    assert port.slack_s == pytest.approx(0.019)
    port.close()


def test_ports_with_a_lasting_name_come_first_and_once(tmp_path: Path) -> None:
    for name in ("ttyUSB0", "ttyUSB1", "ttyACM0", "tty5"):
        (tmp_path / name).touch()
    folder = tmp_path / "serial" / "by-id"
    folder.mkdir(parents=True)
    (folder / "usb-FTDI_A1").symlink_to("../../ttyUSB1")
    names = [Path(port).name for port in present_ports(tmp_path)]
    assert names == ["usb-FTDI_A1", "ttyACM0", "ttyUSB0"]


def test_a_machine_without_proc_knows_no_holders(tmp_path: Path) -> None:
    assert holders("/dev/ttyUSB0", tmp_path / "nothing") == []
