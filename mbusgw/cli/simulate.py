"""``mbusgw simulate``: meters that do not exist, on a port that programs can open.

While it runs it takes orders on stdin, one a line (``simulator.orders``).
"""
from __future__ import annotations

import argparse
import math
import signal
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import TextIO

from mbusgw.cli import simulate_lobaro
from mbusgw.cli.simulate_meters import read_meters
from mbusgw.cli.simulate_orders import attend
from mbusgw.model.errors import MbusgwError, RequestError, TransportOpenFailed
from mbusgw.runtime.clock import Clock, SystemClock
from mbusgw.simulator.catalogue import ALL_KINDS, KINDS, USUAL_TELEGRAMS, build_meter
from mbusgw.simulator.chaos import Chaos
from mbusgw.simulator.fault import FaultKind, parse_fault
from mbusgw.simulator.journal import Journal
from mbusgw.simulator.line import PtyLine, SimulatedLine, TcpLine
from mbusgw.simulator.meter import SimulatedMeter
from mbusgw.simulator.orders import WrongOrder, chosen
from mbusgw.simulator.segment import Segment

NAME = "simulate"
HELP = "run simulated M-Bus meters on a pseudo terminal or TCP port, at the speed of the wire"
EXAMPLES = """\
mbusgw simulate --meters 20 --pty /tmp/meters
mbusgw simulate --tcp 127.0.0.1:4001 --fault 3:late:2.0
mbusgw simulate --chaos 7:0.1 --log wire.jsonl
"""

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
    parser.add_argument(
        "--secondary-only", metavar="N", type=_more, default=0, help="so many more at address 0, told by selection only"
    )
    kinds = f"what they are in turn, of {', '.join(ALL_KINDS)}"
    parser.add_argument("--kinds", metavar="LIST", type=_kinds, default=list(KINDS), help=kinds)
    parser.add_argument(
        "--telegrams", metavar="N", type=_telegrams, default=1, help="how many telegrams a readout has (default 1)"
    )
    parser.add_argument("--meters-file", metavar="FILE", type=Path, help="the meters one by one, as YAML")
    parser.add_argument("--echo", action="store_true", help="send back what is heard, as some converters do")
    parser.add_argument(
        "--fault",
        metavar="METER:KIND[:SECONDS][:p=SHARE][:times=N]",
        type=_fault,
        action="append",
        default=[],
        help="a fault of one meter (primary address, number, or `all`); may be given several times. "
        f"KIND is one of {', '.join(kind.value for kind in FaultKind)}",
    )
    parser.add_argument("--chaos", metavar="SEED:RATE", type=_chaos, help="spoil that share of answers at random")
    parser.add_argument("--log", metavar="FILE", type=Path, help="keep every frame and every value said, as JSON lines")
    parser.add_argument("--duration", metavar="SECONDS", type=_duration, default=None, help="end by itself")
    simulate_lobaro.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Runs the segment until Ctrl-C, SIGTERM or ``--duration``. Raises ``TransportOpenFailed``."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does: with the link taken away
    if args.lobaro:
        return simulate_lobaro.serve(args)
    clock = SystemClock()
    meters = read_meters(args.meters_file, clock=clock) if args.meters_file else _build(args, clock)
    _apply_faults(meters, args.fault)
    with ExitStack() as stack:
        log = stack.enter_context(_log_file(args.log)) if args.log else None
        journal = Journal(log, clock=clock, baudrate=args.baud) if log is not None else None
        line: SimulatedLine = TcpLine(*args.tcp) if args.tcp else PtyLine(args.pty)
        segment = Segment(
            line, meters, clock=clock, baudrate=args.baud, echo=args.echo, chaos=args.chaos, witness=journal
        )
        try:
            segment.start()
        except OSError as error:
            place = f"{args.tcp[0]}:{args.tcp[1]}" if args.tcp else args.pty or "of a pseudo terminal"
            raise TransportOpenFailed(f"cannot make the port {place}: {error.strerror or error}") from error
        try:
            _describe(segment)
            attend(segment, journal, args.duration)
        except KeyboardInterrupt:
            pass
        finally:
            segment.stop()
            segment.join(JOIN_S)
            if journal is not None:
                journal.flush()
    return 0


def _build(args: argparse.Namespace, clock: Clock) -> list[SimulatedMeter]:
    last = args.first_address + args.meters - 1
    if last > MAX_METERS:
        raise RequestError(400, "bad_request", f"address {last} is beyond {MAX_METERS}, the last primary address")
    meters = []
    for n in range(args.meters + args.secondary_only):
        address = args.first_address + n if n < args.meters else 0
        kind = args.kinds[n % len(args.kinds)]
        telegrams = max(args.telegrams, USUAL_TELEGRAMS.get(kind, 1))
        meters.append(build_meter(kind, address, clock=clock, number=n + 1, telegrams=telegrams))
    return meters


def _log_file(path: Path) -> TextIO:
    try:
        return path.open("a", encoding="utf-8")
    except OSError as error:
        raise MbusgwError(f"cannot write {path}: {error.strerror}") from error


def _describe(segment: Segment) -> None:
    """The port, and a configuration that reads it; the first line is the port alone, for scripts."""
    print(segment.port)
    print(f"\nbuses:\n  - {{name: simulated, port: {segment.port}, baudrate: {segment.baudrate}}}\ndevices:")
    sharing = Counter(meter.address for meter in segment.meters)
    for meter in segment.meters:
        alone = meter.address and sharing[meter.address] == 1
        address = meter.address if alone else f'"{meter.secondary_address}"'
        print(f"  - {{id: {_id(meter)}, bus: simulated, address: {address}}}")
    print("\n# The same meters by what is printed on them, their secondary addresses:")
    for meter in segment.meters:
        print(f'#  - {{id: {_id(meter)}, bus: simulated, address: "{meter.secondary_address}"}}')
    print("\nCtrl-C ends it.", flush=True)


def _id(meter: SimulatedMeter) -> str:
    return f"{meter.name}_{meter.address or meter.identity.id.lower()}"


def _apply_faults(meters: list[SimulatedMeter], faults: list[tuple[str, str]]) -> None:
    for who, what in faults:
        try:
            for meter in chosen(tuple(meters), who):
                meter.faults = (*meter.faults, parse_fault(what))
        except WrongOrder:
            raise RequestError(400, "bad_request", f"--fault: no meter has address {who}") from None


def _whole(text: str, first: int, last: int) -> int:
    if not text.isdecimal() or not first <= int(text) <= last:
        raise argparse.ArgumentTypeError(f"expected a whole number from {first} to {last}, not {text!r}")
    return int(text)


def _baud(text: str) -> int:
    return _whole(text, 300, 115200)


def _duration(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number of seconds above 0, not {text!r}")
    return seconds


def _meters(text: str) -> int:
    return _whole(text, 1, MAX_METERS)


def _primary(text: str) -> int:
    return _whole(text, 0, MAX_METERS)


def _address(text: str) -> tuple[str, int]:
    host, found, port = text.rpartition(":")
    if not found or not port.isdigit() or int(port) > 65535:
        raise argparse.ArgumentTypeError("expected HOST:PORT; port 0 chooses a free one")
    return host or "127.0.0.1", int(port)


def _fault(text: str) -> tuple[str, str]:
    who, _, what = text.partition(":")
    try:
        parse_fault(what)
    except ValueError as error:
        message = f"expected ADDRESS:KIND, for example 3:silent or 3:late:2.0: {error}"
        raise argparse.ArgumentTypeError(message) from None
    return who, what


def _chaos(text: str) -> Chaos:
    seed, _, rate = text.partition(":")
    try:
        if 0 <= float(rate) <= 1:
            return Chaos(int(seed), float(rate))
    except ValueError:
        pass
    raise argparse.ArgumentTypeError("expected SEED:RATE, a whole number and a share from 0 to 1, for example 7:0.1")


def _kinds(text: str) -> list[str]:
    kinds = text.split(",")
    if wrong := [kind for kind in kinds if kind not in ALL_KINDS]:
        raise argparse.ArgumentTypeError(f"no such kind: {wrong[0]!r}; there are {', '.join(ALL_KINDS)}")
    return kinds


def _more(text: str) -> int:
    return _whole(text, 0, 10_000)


def _telegrams(text: str) -> int:
    return _whole(text, 1, 16)
