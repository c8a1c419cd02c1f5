"""A simulated segment: the speed of the wire, ptys and TCP ports, and the command that runs one."""
from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from mbusgw.mbus.decode import decode_frame
from mbusgw.mbus.session import Session
from mbusgw.model.errors import FrameDamaged, TransportLost
from mbusgw.simulator.catalogue import build_meter
from mbusgw.simulator.line import PtyLine, TcpLine
from mbusgw.transports.serialport import SerialPort, open_port
from tests.simulator.memory import memory_segment
from tests.simulator.wire import CLOCK, running_segment
from tests.wait import PATIENCE_S, wait_until

REQUEST = bytes.fromhex("107B017C16")


def receive(port: SerialPort, size: int) -> bytes:
    data = b""
    while len(data) < size and (some := port.read(size - len(data), PATIENCE_S)):
        data += some
    return data


@pytest.mark.parametrize("baudrate", [2400, 9600])
def test_an_answer_takes_the_time_of_its_bytes(baudrate: int) -> None:
    """Counted from the request, as only this end is sure: a busy machine may see bytes late, but none early."""
    with running_segment(baudrate=baudrate, answer_delay_s=0.02) as segment:
        port = open_port(segment.port, baudrate=baudrate)
        begun_mono = CLOCK.mono()
        port.write(REQUEST)
        head = receive(port, 2)
        rest = receive(port, head[1] + 4)
        taken_s = CLOCK.mono() - begun_mono
        port.close()
    assert decode_frame(head + rest).header.address == 1
    bytes_s = (len(REQUEST) + len(head) + len(rest)) * 11 / baudrate
    assert taken_s >= bytes_s + 0.02 - 0.002


def test_a_request_that_breaks_off_is_forgotten() -> None:
    with running_segment() as segment:
        port = open_port(segment.port, baudrate=38400)
        port.write(REQUEST[:3])
        assert port.read(1, 0.2) == b""
        port.write(REQUEST)
        assert port.read(1, PATIENCE_S) == b"\x68"
        port.close()


def test_noise_before_a_request_does_no_harm() -> None:
    with running_segment() as segment:
        port = open_port(segment.port, baudrate=38400)
        port.write(b"\x00\xFF\x16" + REQUEST)
        assert port.read(1, PATIENCE_S) == b"\x68"
        port.close()


def test_two_meters_with_one_address_spoil_each_other() -> None:
    twins = [build_meter("heat", 1, clock=CLOCK), build_meter("gas", 1, clock=CLOCK)]
    with memory_segment(twins) as segment:
        session = Session(segment.open_port(), baudrate=segment.baudrate, mono=segment.clock.mono)
        with pytest.raises(FrameDamaged):
            session.read_user_data(1)


def test_the_link_leads_to_the_pty_and_is_taken_away(tmp_path: Path) -> None:
    link = tmp_path / "meters"
    link.symlink_to("/dev/pts/from-yesterday")
    with running_segment(PtyLine(link)) as segment:
        assert segment.port == str(link)
        assert os.path.realpath(link).startswith("/dev/pts/")
    assert not link.is_symlink()


def test_a_file_is_not_overwritten_by_the_link(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("data")
    line = PtyLine(tmp_path / "precious")
    with pytest.raises(FileExistsError):
        line.open()
    assert not line.connected
    assert (tmp_path / "precious").read_text() == "data"


def test_unplugging_is_seen_and_plugging_in_makes_it_work_again(tmp_path: Path) -> None:
    with running_segment(PtyLine(tmp_path / "meters")) as segment:
        port = open_port(segment.port, baudrate=38400)
        segment.unplug()
        with pytest.raises(TransportLost):
            port.read(1, PATIENCE_S)
        port.close()
        wait_until(lambda: not segment.connected)  # its end is heard before the link to it is taken away
        segment.plug()
        wait_until(lambda: segment.connected)
        port = open_port(segment.port, baudrate=38400)
        port.write(REQUEST)
        assert port.read(1, PATIENCE_S) == b"\x68"
        port.close()


def test_a_tcp_port_serves_one_connection_after_the_other() -> None:
    with running_segment(TcpLine()) as segment:
        host, port_number = segment.port.removeprefix("socket://").rsplit(":", 1)
        for _ in range(2):
            with socket.create_connection((host, int(port_number)), timeout=PATIENCE_S) as connection:
                connection.sendall(REQUEST)
                answer = b""
                while len(answer) < 2 or len(answer) < answer[1] + 6:
                    answer += connection.recv(1000)
                assert decode_frame(answer).header.address == 1


# ------------------------------------------------------------------ the command
def simulate(*options: str) -> "subprocess.Popen[str]":
    code = "import sys; from mbusgw.cli.main import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "simulate", *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_the_command_prints_its_port_first_and_leaves_nothing_behind(how: signal.Signals, tmp_path: Path) -> None:
    link = tmp_path / "meters"
    with simulate("--pty", str(link), "--meters", "2", "--baud", "9600") as process:
        try:
            assert process.stdout is not None
            lines = [process.stdout.readline().strip()]
            while lines[-1] != "Ctrl-C ends it.":
                lines.append(process.stdout.readline().strip())
            port = open_port(str(link), baudrate=9600)
            port.write(REQUEST)
            assert port.read(1, PATIENCE_S) == b"\x68"
            port.close()
            process.send_signal(how)
            _, errors = process.communicate(timeout=PATIENCE_S)
        finally:
            process.kill()
    assert process.returncode == 0 and errors == ""
    assert lines[0] == str(link)
    assert f"- {{name: simulated, port: {link}, baudrate: 9600}}" in lines
    assert "- {id: water_2, bus: simulated, address: 2}" in lines
    assert '#  - {id: water_2, bus: simulated, address: "100000022D4D1907"}' in lines
    assert not link.is_symlink()


@pytest.mark.slow
def test_the_command_takes_orders_and_keeps_a_log(tmp_path: Path) -> None:
    log = tmp_path / "wire.jsonl"
    options = ("--meters", "2", "--secondary-only", "2", "--baud", "38400", "--log", str(log), "--chaos", "7:0.0")
    code = "import sys; from mbusgw.cli.main import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "simulate", *options]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdin is not None
        try:
            port = process.stdout.readline().strip()
            while process.stdout.readline().strip() != "Ctrl-C ends it.":
                pass
            serial = open_port(port, baudrate=38400)
            serial.write(REQUEST)
            assert serial.read(1, PATIENCE_S) == b"\x68"
            serial.close()
            process.stdin.write("fault 1 silent\nfault 9 silent\nlist\nquit\n")
            process.stdin.flush()
            said, _ = process.communicate(timeout=PATIENCE_S)
        finally:
            process.kill()
    assert process.returncode == 0
    assert "heat 1: silent" in said and "? no meter is called '9'" in said
    assert "  0  30000003" in said, "a meter that only a selection tells from the others"
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["what"] for line in lines[:2]] == ["request", "values"]
    assert any(line.get("text") == "fault 1 silent" for line in lines)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--pty", "/nowhere/port"], 1, "cannot make the port /nowhere/port"),
        (["--fault", "3:tired"], 2, "ADDRESS:KIND"),
        (["--fault", "77:silent"], 2, "no meter has address 77"),
        (["--meters", "many"], 2, "whole number from 1 to 250"),
        (["--meters", "10", "--first-address", "245"], 2, "beyond 250"),
        (["--tcp", "localhost"], 2, "HOST:PORT"),
        (["--chaos", "7"], 2, "SEED:RATE"),
        (["--kinds", "heat,steam"], 2, "no such kind: 'steam'"),
        (["--log", "/nowhere/log"], 1, "cannot write /nowhere/log"),
        (["--meters-file", "/nowhere/meters.yaml"], 3, "/nowhere/meters.yaml"),
        (["--duration", "-1"], 2, "a number of seconds above 0"),
    ],
)
def test_a_wrong_option_of_the_command_is_explained(options: list[str], code: int, message: str) -> None:
    with simulate(*options, "--duration", "0.1") as process:
        _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == code
    assert message in errors and "Traceback" not in errors
