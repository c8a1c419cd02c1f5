"""``mbusgw scan``: which meters are on a bus."""
from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from mbusgw.cli.adopt import adopt_found
from mbusgw.cli.buses import UNNAMED, choose_bus, tool_config
from mbusgw.cli.direct import Direct, asker_for
from mbusgw.cli.options import add_config_option, add_json_option
from mbusgw.cli.remote import Asker, Remote
from mbusgw.cli.scan_place import forget_place, keep_place, kept_place
from mbusgw.cli.scan_text import progress_line, result_text
from mbusgw.config.models import BAUDRATES, BusConfig, Config
from mbusgw.model.command import Document
from mbusgw.model.found import FoundMeter
from mbusgw.runtime.exactjson import dumps
from mbusgw.wired.adopt import adopt

NAME = "scan"
HELP = "search a bus for meters, through the running gateway or directly"
EXAMPLES = """\
mbusgw scan main                          both searches on that bus
mbusgw scan /dev/ttyUSB0 --baud 300,2400  no configuration needed
mbusgw scan main --secondary --mask 12    only numbers that begin with 12
mbusgw scan main --adopt                  what is new is written down
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own options."""
    parser.add_argument(
        "bus",
        metavar="BUS",
        nargs="?",
        help="a bus of the configuration (may be left out where there is one), or a port: /dev/ttyUSB0, "
        "socket://host:port",
    )
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--primary", action="store_const", dest="kind", const="primary", help="only addresses 0 to 250")
    kind.add_argument("--secondary", action="store_const", dest="kind", const="secondary", help="only by selection")
    kind.add_argument("--both", action="store_const", dest="kind", const="both", help="one after the other (default)")
    parser.add_argument(
        "--baud", metavar="N[,N]", type=_baudrates, default=[], help="speeds to search at, e.g. 300,2400,9600"
    )
    parser.add_argument(
        "--mask", metavar="DIGITS", help="only meters whose secondary address fits; F stands for any: 12FFFFFF"
    )
    parser.add_argument("--hex", action="store_true", help="look for the letters A to E in meter numbers too")
    parser.add_argument("--resume", action="store_true", help="go on with the scan that was broken off")
    parser.add_argument("--adopt", action="store_true", help="write what was found into the configuration file")
    add_config_option(parser)
    add_json_option(parser)


def run(args: argparse.Namespace) -> int:
    """0 when the scan came to its end. Raises ``MbusgwError``."""
    config = tool_config(args.config)
    bus = choose_bus(config, args.bus, option="")
    baudrate = args.baud[0] if len(args.baud) == 1 else None
    asker: Asker | None = None
    try:
        with asker_for(config, bus, baudrate) as (asker, name):
            document = _scan(asker, name, args)
    except KeyboardInterrupt:
        _tell_how_to_go_on(asker, bus)
        raise
    if isinstance(asker, Direct):
        forget_place(bus.port)
    if args.adopt:
        document = {**document, **_adopt(document, asker, bus, config, args)}
    print(dumps(document, indent=2) if args.json else result_text(document))
    return 0


def _scan(asker: Asker, name: str, args: argparse.Namespace) -> dict[str, Any]:
    line = _Line()
    if not isinstance(asker, Direct):
        return line.during(lambda: asker.run("scan", _parameters(asker, name, args), line))
    port, kept = asker.buses[0].config.port, kept_place(asker.buses[0].config.port) if args.resume else None
    asker.finds.keep_place(name, kept)

    def told(progress: Document) -> None:
        nonlocal kept
        place = asker.finds.place(name)
        if place is not None and place is not kept:  # nobody else would know it if this process were killed
            keep_place(port, place)
            kept = place
        line(progress)

    return line.during(lambda: asker.run("scan", _parameters(asker, name, args), told))


def _parameters(asker: Asker, name: str, args: argparse.Namespace) -> dict[str, Any]:
    given: dict[str, Any] = {"bus": name}
    if args.resume:
        given["resume"] = True
    if args.kind is not None:
        given["kind"] = args.kind
    if args.baud and (isinstance(asker, Remote) or len(args.baud) > 1):
        given["baud"] = args.baud
    if args.mask is not None:
        given["mask"] = args.mask
    if args.hex:
        given["hex"] = True
    return given


def _tell_how_to_go_on(asker: Asker | None, bus: BusConfig) -> None:
    if asker is None:
        return
    if isinstance(asker, Direct):
        place = asker.finds.place(bus.name)
        if place is None:
            return
        keep_place(bus.port, place)
    name = bus.port if bus.name == UNNAMED else bus.name
    print(f"mbusgw: cancelled; `mbusgw scan {name} --resume` goes on where it was", file=sys.stderr)


# ------------------------------------------------------------------ adopting
def _adopt(document: Document, asker: Asker, bus: BusConfig, config: Config, args: argparse.Namespace) -> Document:
    """New devices for what was found, and their bus if it is new too; what became of each. Raises ``MbusgwError``."""
    new = [meter for meter in document["meters"] if meter["configured"] is None]
    if not new:
        return {"adopted": [], "refused": {}}
    if isinstance(asker, Remote):
        done = adopt_found(args.config, asker, [meter["device_id"] for meter in new], document["bus"])
    else:
        name = bus.name if bus in config.buses else _free_bus(config)
        rate = args.baud[0] if len(args.baud) == 1 else bus.baudrate
        new_bus = None if bus in config.buses else bus.model_copy(update={"name": name, "baudrate": rate})
        meters = [replace(FoundMeter.from_document(meter), bus=name) for meter in document["meters"]]
        done = adopt(args.config, os.environ, meters, new_bus=new_bus)
    return {"adopted": [entry["id"] for entry in done["added"]], "refused": done["refused"]}


def _free_bus(config: Config) -> str:
    names = {bus.name for bus in config.buses}
    return next(name for name in ("main", *(f"bus{n}" for n in range(2, len(names) + 3))) if name not in names)


# ------------------------------------------------------------------ the terminal
class _Line:
    """A line on stderr that tells the progress, where a person looks, and elsewhere why it waits. **own thread**"""

    def __init__(self) -> None:
        self._shown = False
        self._waits: str | None = None

    def __call__(self, progress: Document) -> None:
        if sys.stderr.isatty():
            print(f"\r{progress_line(progress)}\x1b[K", end="", file=sys.stderr, flush=True)
            self._shown = True
        elif progress.get("waits") != self._waits:
            self._waits = progress["waits"]
            print(f"mbusgw: the scan {f'waits: {self._waits}' if self._waits else 'goes on'}", file=sys.stderr)

    def during(self, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """``work``, with the line below it, which is taken away afterwards."""
        try:
            return work()
        finally:
            self._end()

    def _end(self) -> None:
        if self._shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def _baudrates(text: str) -> list[int]:
    parts = [part.strip() for part in text.split(",")]
    known = {str(baudrate): baudrate for baudrate in BAUDRATES}
    if not all(part in known for part in parts):
        raise argparse.ArgumentTypeError(f"{text!r}: one or more of {', '.join(known)}")
    return [known[part] for part in parts]
