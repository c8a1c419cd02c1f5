"""``mbusgw demo``: simulated meters, a broker and the real gateway, in this terminal."""
from __future__ import annotations

import argparse
import ipaddress
import os
import sys
from queue import Empty, SimpleQueue
from typing import Any

from mbusgw.app.signals import Controls, listen
from mbusgw.cli.demo_house import LOOPBACK, NAMES, SCAN_INTERVAL_S, House
from mbusgw.cli.demo_lines import Doors, LineView, NoView, View
from mbusgw.cli.demo_verdict import Judge, reasons
from mbusgw.cli.demo_watch import Watch
from mbusgw.cli.options import add_json_option
from mbusgw.model.wording import counted
from mbusgw.runtime import exactjson
from mbusgw.runtime.clock import Clock, SystemClock

NAME = "demo"
HELP = "try the gateway without hardware: simulated meters, a broker, the real daemon"

EXIT_FAILED = 1
EXIT_INTERRUPTED = 130
JSON_DURATION_S = 30.0
TICK_S = 0.5
#: A reading that is older at the end is no news: two rounds and what a slow machine may add.
MAX_AGE_S = 3.0 * SCAN_INTERVAL_S


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own options."""
    parser.add_argument(
        "--duration",
        metavar="SECONDS",
        type=_seconds,
        help=f"end by itself, and fail unless all values arrived right (with --json: {JSON_DURATION_S:.0f})",
    )
    parser.add_argument(
        "--listen",
        metavar="ADDRESS",
        type=_address,
        default=LOOPBACK,
        help="where broker and HTTP listen: 0.0.0.0 lets other machines in, without a password (default: %(default)s)",
    )
    add_json_option(parser)


def run(args: argparse.Namespace) -> int:
    """Runs until Ctrl-C, SIGTERM, SIGHUP or ``--duration``. Raises ``MbusgwError``.

    0: all values arrived right, or an open-ended demo was ended; 1: they did not; 130: ended before its time.
    """
    duration_s = JSON_DURATION_S if args.json and args.duration is None else args.duration
    end = _End()
    clock = SystemClock()
    with House(listen=args.listen, clock=clock, pause=end.wait) as house:
        doors = Doors(house.listen, house.host, house.mqtt_port, house.http_port, house.config_file)
        judge = Judge.of(house.wired, house.radio)
        watch = Watch(house.mqtt_url, clock=clock, on_value=judge.arrived, names=NAMES)
        started_mono = clock.mono()
        watch.start()
        try:
            with _view(args.json, doors) as view:
                _look_on(house, watch, view, end, clock, duration_s)
            document = _document(house, watch, judge, doors, clock)
        finally:
            watch.stop()
        document["duration_s"] = round(clock.mono() - started_mono, 1)
    return _conclude(document, as_json=args.json, open_end=duration_s is None, interrupted=end.asked)


class _End:
    """Whether a signal has asked for the end. The main thread."""

    def __init__(self) -> None:
        self.asked = False
        self._controls: Controls = SimpleQueue()
        listen(self._controls)

    def wait(self, seconds: float) -> bool:
        """Waits that long, or until asked to end; True means end."""
        if not self.asked:
            try:
                self._controls.get(timeout=max(0.0, seconds))
                self.asked = True
            except Empty:
                pass
        return self.asked


def _look_on(
    house: House, watch: Watch, view: View, end: _End, clock: Clock, duration_s: float | None
) -> None:
    """Shows what arrives until the end."""
    end_mono = None if duration_s is None else clock.mono() + duration_s
    left_s = TICK_S
    while left_s > 0 and not end.wait(min(TICK_S, left_s)):
        watch.update()
        house.check()
        view.show(watch.devices, clock.now())
        if end_mono is not None:
            left_s = end_mono - clock.mono()


def _document(house: House, watch: Watch, judge: Judge, doors: Doors, clock: Clock) -> dict[str, Any]:
    watch.update()
    document = judge.verdict(watch.devices, clock.now(), max_age_s=MAX_AGE_S)
    refused = list(house.gateway.refused) if house.gateway else []
    accepted = house.gateway.accepted if house.gateway else 0
    document["telegrams"] = {"accepted": accepted, "refused": refused}
    document["bridge_online"] = watch.bridge_online
    document["urls"] = doors.urls()
    document["ok"] = bool(document["ok"] and watch.bridge_online and accepted and not refused and not watch.lost)
    document["reasons"] = [
        *reasons(document),
        *(f"a telegram was refused: {why}" for why in refused),
        *([] if watch.bridge_online else ["the gateway does not say that it is online"]),
        *([f"{counted(watch.lost, 'message')} came faster than they could be looked at"] if watch.lost else []),
    ]
    return document


def _conclude(document: dict[str, Any], *, as_json: bool, open_end: bool, interrupted: bool) -> int:
    if as_json:
        print(exactjson.dumps(document, indent=2))
    if open_end:  # Ctrl-C is how such a demo ends
        print("the demo has ended: everything is stopped and removed")
        return 0
    if interrupted:
        return EXIT_INTERRUPTED
    for reason in document["reasons"]:
        print(reason, file=sys.stderr)
    if not as_json and document["ok"]:
        print(f"every value of {counted(len(document['meters']), 'meter')} arrived right")
    return 0 if document["ok"] else EXIT_FAILED


def _view(as_json: bool, doors: Doors) -> View:
    if as_json:
        return NoView()
    if not sys.stdout.isatty() or os.environ.get("TERM", "dumb") == "dumb":
        return LineView(doors)
    try:
        from mbusgw.cli.demo_view import LiveView
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "rich":
            raise
        print("(pip install 'mbusgw[demo]' makes this a live table)\n")
        return LineView(doors)
    return LiveView(doors)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 1 <= seconds < 1e9:
        raise argparse.ArgumentTypeError(f"expected a number of seconds from 1 on, not {text!r}")
    return seconds


def _address(text: str) -> str:
    try:
        return str(ipaddress.IPv4Address(text))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected an IPv4 address of this machine, or 0.0.0.0 for all, not {text!r}"
        ) from None
