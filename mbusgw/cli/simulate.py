"""``mbusgw simulate``: meters that do not exist, on a port that programs can open."""
from __future__ import annotations

import argparse
import signal
import threading
from pathlib import Path

from mbusgw.cli import simulate_lobaro
from mbusgw.model.errors import MbusgwError, TransportOpenFailed
from mbusgw.runtime.clock import SystemClock
from mbusgw.simulator.catalogue import build_meters
from mbusgw.simulator.fault import Fault, FaultKind
from mbusgw.simulator.line import PtyLine, SimulatedLine, TcpLine
from mbusgw.simulator.meter import SimulatedMeter
from mbusgw.simulator.segment import Segment

NAME = "simulate"
HELP = "run simulated M-Bus meters on a pseudo terminal or TCP port, at the speed of the wire"

MAX_METERS = 250
JOIN_S = 2.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``mbusgw simulate``."""
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--pty", metavar="LINK", type=Path, help="make LINK point to the pseudo terminal")
    where.add_argument(
        "--lobaro", metavar="HOST:PORT", type=_address, help="no meters: a stand-in for the Lobaro parser's web API"
    )
    where.add_argument("--tcp", metavar="HOST:PORT", type=_address, help="listen like a serial-over-TCP converter")
    parser.add_argument("--baud", metavar="N", type=_baud, default=2400, help="speed of the wire (default 2400)")
    parser.add_argument(
        "--meters", metavar="N", type=_meters, default=5, help="how many, of five kinds in turn (default 5)"
    )
    parser.add_argument(
        "--first-address", metavar="A", type=_primary, default=1, help="primary address of the first (default 1)"
    )
    parser.add_argument("--echo", action="store_true", help="send back what is heard, as some converters do")
    parser.add_argument(
        "--fault",
        metavar="ADDRESS:KIND",
        type=_fault,
        action="append",
        default=[],
        help=f"a lasting fault of one meter; KIND is one of {', '.join(kind.value for kind in FaultKind)}",
    )
    parser.add_argument("--duration", metavar="SECONDS", type=float, default=None, help="end by itself")
    simulate_lobaro.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Runs the segment until Ctrl-C, SIGTERM or ``--duration``. Raises ``TransportOpenFailed``."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does: with the link taken away
    if args.lobaro:
        return simulate_lobaro.serve(args)
    clock = SystemClock()
    meters = build_meters(args.meters, clock=clock, first_address=args.first_address)
    if meters[-1].address > MAX_METERS:
        raise MbusgwError(f"address {meters[-1].address} is beyond {MAX_METERS}, the last primary address")
    _apply_faults(meters, args.fault)
    line: SimulatedLine = TcpLine(*args.tcp) if args.tcp else PtyLine(args.pty)
    segment = Segment(line, meters, clock=clock, baudrate=args.baud, echo=args.echo)
    stop = threading.Event()
    try:
        segment.start()
    except OSError as error:
        raise TransportOpenFailed(f"cannot make the port: {error.strerror or error}") from error
    try:
        _describe(segment)
        stop.wait(args.duration)
    except KeyboardInterrupt:
        pass
    finally:
        segment.stop()
        segment.join(JOIN_S)
    return 0


def _describe(segment: Segment) -> None:
    """The port, and a configuration that reads it; the first line is the port alone, for scripts."""
    print(segment.port)
    print(f"\nbuses:\n  - {{name: simulated, port: {segment.port}, baudrate: {segment.baudrate}}}\ndevices:")
    for meter in segment.meters:
        print(f"  - {{id: {meter.name}_{meter.address}, bus: simulated, address: {meter.address}}}")
    print("\n# The same meters by what is printed on them, their secondary addresses:")
    for meter in segment.meters:
        print(f'#  - {{id: {meter.name}_{meter.address}, bus: simulated, address: "{meter.secondary_address}"}}')
    print("\nCtrl-C ends it.", flush=True)


def _apply_faults(meters: list[SimulatedMeter], faults: list[tuple[int, FaultKind]]) -> None:
    by_address = {meter.address: meter for meter in meters}
    for address, kind in faults:
        if address not in by_address:
            raise MbusgwError(f"--fault: no meter has address {address}")
        by_address[address].fault = Fault(kind)


def _whole(text: str, first: int, last: int) -> int:
    if not text.isdecimal() or not first <= int(text) <= last:
        raise argparse.ArgumentTypeError(f"expected a whole number from {first} to {last}, not {text!r}")
    return int(text)


def _baud(text: str) -> int:
    return _whole(text, 300, 115200)


def _meters(text: str) -> int:
    return _whole(text, 1, MAX_METERS)


def _primary(text: str) -> int:
    return _whole(text, 0, MAX_METERS)


def _address(text: str) -> tuple[str, int]:
    host, found, port = text.rpartition(":")
    if not found or not port.isdigit() or int(port) > 65535:
        raise argparse.ArgumentTypeError("expected HOST:PORT; port 0 chooses a free one")
    return host or "127.0.0.1", int(port)


def _fault(text: str) -> tuple[int, FaultKind]:
    address, _, kind = text.partition(":")
    try:
        return int(address), FaultKind(kind)
    except ValueError:
        raise argparse.ArgumentTypeError("expected ADDRESS:KIND, for example 3:silent") from None
