"""Reading one meter through the bus thread, as a multiple of what the wire itself takes; medians of one run.

    python benchmarks/bench_read.py

The meter is simulated by a process of its own on a pty at true byte times. The limit of a
read is (request + answer) × 11 bits / baud + the meter's answer delay of 20 ms; reads in a row add the
idle time of 33 bits between them. By secondary address the selection comes on top: 17 bytes, the
acknowledgement, the meter's delay once more, and the idle time before the request. pyMeterBus reads
the same meter the way its tool does.
"""
from __future__ import annotations

import logging
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import meterbus
import serial

from mbusgw.config.models import BusConfig
from mbusgw.mbus.answer import Answer
from mbusgw.mbus.decode import decode_frame
from mbusgw.mbus.session import Session
from mbusgw.model.address import Address, SecondaryAddress
from mbusgw.model.errors import NoAnswer
from mbusgw.runtime.clock import SystemClock
from mbusgw.simulator.cable import ANSWER_DELAY_S
from mbusgw.wired.bus import Bus

GOAL = 1.05
SECONDARY_GOAL = 1.06
SILENT_GOAL = 1.3
ROUNDS = {2400: 11, 9600: 25}
REQUEST_BYTES = 5
SELECT_BYTES = 17
ABSENT = 99
ABSENT_SECONDARY = SecondaryAddress(id="99999999")


def main() -> int:
    """Prints the table; 0 if every goal is met."""
    met = True
    logging.getLogger("mbusgw").setLevel(logging.WARNING)
    print(f"{'baud':>6} {'what':<38} {'seconds':>8} {'limit':>8} {'ratio':>6} {'goal':>6}")
    for baudrate, rounds in ROUNDS.items():
        for what, seconds, limit_s, goal in _measure(baudrate, rounds):
            ratio = seconds / limit_s
            met = met and (goal is None or ratio <= goal)
            print(f"{baudrate:>6} {what:<38} {seconds:>8.4f} {limit_s:>8.4f} {ratio:>6.3f} {goal or '':>6}")
    print("goals met" if met else "GOALS MISSED")
    return 0 if met else 1


def _measure(baudrate: int, rounds: int) -> Iterator[tuple[str, float, float, float | None]]:
    with simulator(baudrate) as port, running_bus(port, baudrate) as bus:
        answer = _read(bus, 1)
        wire_s = (REQUEST_BYTES + len(answer.frames[0])) * 11 / baudrate + ANSWER_DELAY_S
        idle_s = 33 / baudrate
        pause = threading.Event()
        single = _median(rounds, lambda: _read(bus, 1), before=lambda: pause.wait(2 * idle_s))
        yield "mbusgw, one read", single, wire_s, GOAL
        yield "mbusgw, reads in a row", _median(rounds, lambda: _read(bus, 1)), wire_s + idle_s, GOAL
        silent_s = REQUEST_BYTES * 11 / baudrate + (330 + 11) / baudrate + 0.05
        yield "mbusgw, absent meter", _median(5, lambda: _ask_absent(bus, ABSENT)), silent_s, SILENT_GOAL
        yield from _measure_secondary(bus, baudrate, rounds, answer.frames[0])
    with simulator(baudrate) as port, serial.Serial(port, baudrate, timeout=1) as line:
        yield "pyMeterBus, as its tool reads", _median(3, lambda: _read_with_meterbus(line)), wire_s, None


def _measure_secondary(
    bus: Bus, baudrate: int, rounds: int, frame: bytes
) -> Iterator[tuple[str, float, float, float | None]]:
    meter = decode_frame(frame).header.meter
    assert meter is not None
    address = SecondaryAddress.of(meter)
    _read(bus, address)  # the first one resets the meter
    idle_s = 33 / baudrate
    wire_s = (SELECT_BYTES + 1 + REQUEST_BYTES + len(frame)) * 11 / baudrate + 2 * ANSWER_DELAY_S + idle_s
    pause = threading.Event()
    single = _median(rounds, lambda: _read(bus, address), before=lambda: pause.wait(2 * idle_s))
    yield "mbusgw, one read by secondary address", single, wire_s, SECONDARY_GOAL
    in_a_row = _median(rounds, lambda: _read(bus, address))
    yield "mbusgw, such reads in a row", in_a_row, wire_s + idle_s, SECONDARY_GOAL
    silent_s = SELECT_BYTES * 11 / baudrate + (330 + 11) / baudrate + 0.05
    absent = _median(5, lambda: _ask_absent(bus, ABSENT_SECONDARY))
    yield "mbusgw, absent secondary address", absent, silent_s, SILENT_GOAL


def _median(rounds: int, work: Callable[[], object], *, before: Callable[[], object] = lambda: None) -> float:
    taken = []
    for _ in range(rounds):
        before()
        begun = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken)


def _read(bus: Bus, address: Address) -> Answer:
    def job(session: Session) -> Answer:
        return session.read_user_data(address)

    return bus.submit(job, deadline_mono=bus.clock.mono() + 10).result(30)


def _ask_absent(bus: Bus, address: Address) -> None:
    try:
        _read(bus, address)
    except NoAnswer:
        return
    raise AssertionError("the absent meter answered")


def _read_with_meterbus(line: serial.Serial) -> None:
    meterbus.send_ping_frame(line, 1)
    meterbus.recv_frame(line, 1)
    meterbus.send_request_frame(line, 1)
    if not meterbus.recv_frame(line, meterbus.FRAME_DATA_LENGTH):
        raise AssertionError("pyMeterBus got no answer")


@contextmanager
def simulator(baudrate: int, meters: int = 1) -> Iterator[str]:
    """Simulated meters (the first one is a heat meter) in a process of their own; gives their port."""
    with tempfile.TemporaryDirectory() as folder:
        link = str(Path(folder) / "meters")
        code = "import sys; from mbusgw.cli.main import main; sys.exit(main(sys.argv[1:]))"
        command = [sys.executable, "-c", code, "simulate", "--pty", link]
        command += ["--baud", str(baudrate), "--meters", str(meters)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            try:
                while process.stdout.readline().strip() != "Ctrl-C ends it.":
                    assert process.poll() is None, "the simulator did not start"
                yield link
            finally:
                process.terminate()


@contextmanager
def running_bus(port: str, baudrate: int) -> Iterator[Bus]:
    bus = Bus(BusConfig(name="bench", port=port, baudrate=baudrate), clock=SystemClock())
    bus.start()
    try:
        yield bus
    finally:
        bus.stop()
        bus.join(5)


if __name__ == "__main__":
    sys.exit(main())
