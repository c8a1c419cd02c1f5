"""``mbusgw set-address``: gives a meter another primary address, after a question."""
from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mbusgw.cli.buses import add_bus_options, tool_config
from mbusgw.cli.direct import asker_for
from mbusgw.cli.options import add_json_option
from mbusgw.cli.read import METER_HELP, Target, find_target, place
from mbusgw.config.address import LAST_PRIMARY
from mbusgw.config.lines import read_document
from mbusgw.config.models import Config
from mbusgw.model.errors import MbusgwError, RequestError
from mbusgw.runtime.exactjson import dumps

NAME = "set-address"
HELP = "give a wired meter another primary address"
EXAMPLES = """\
mbusgw set-address 0 7 --bus main         a new meter, alone at address 0
mbusgw set-address 12345678FFFFFFFF 7     one that shares its address
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own options."""
    parser.add_argument("meter", metavar="OLD", help=METER_HELP)
    parser.add_argument("new", metavar="NEW", type=_primary, help="its new primary address, 1 to 250")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    add_bus_options(parser)
    add_json_option(parser)


def run(args: argparse.Namespace) -> int:
    """0 when the meter answers at its new address, 1 otherwise. Raises ``MbusgwError``."""
    config = tool_config(args.config)
    target = find_target(config, args.meter, bus=args.bus, anybody=False)
    if not args.yes and not sys.stdin.isatty():
        raise RequestError(400, "bad_request", "nobody can be asked here; write --yes to go on without a question")
    with asker_for(config, target.bus, args.baud) as (asker, bus):
        where = place(target, bus, args.baud)
        there = asker.run("read", where)["header"]
        notes = _lines_to_change(config, args.config, target, there["address"], args.new)
        if not args.yes and not _agreed(there, args.new):
            print("nothing was changed", file=sys.stderr)
            return 1
        document = asker.run("set_address", {**where, "new": args.new, "force": True})
    print(dumps(document, indent=2) if args.json else _text(document))
    for note in notes:
        print(note, file=sys.stderr)
    return 0


def _primary(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= LAST_PRIMARY:
        raise argparse.ArgumentTypeError(f"expected a number from 1 to {LAST_PRIMARY}, not {text!r}")
    return int(text)


def _agreed(there: Mapping[str, Any], new: int) -> bool:
    question = f"{_name(there)} at address {there['address']}: give it the address {new}? [y/N] "
    print(question, end="", file=sys.stderr, flush=True)
    try:
        return sys.stdin.readline().strip().lower() in ("y", "yes", "j", "ja")
    except KeyboardInterrupt:
        print(file=sys.stderr)
        raise


def _lines_to_change(config: Config, file: Path, target: Target, old: int | None, new: int) -> list[str]:
    """Which lines of the configuration must follow, as they speak of the old address.

    Raises ``MbusgwError`` where a device is configured at the new address: the two would be taken for each other.
    """
    notes = []
    for number, device in enumerate(config.wired_devices):
        if device.bus != target.bus.name:
            continue
        place_of = f"{file}:{_line(file, number)}"
        if device.address == new:
            raise MbusgwError(
                f"{place_of}: device {device.id} is configured at address {new}, so nothing was changed",
                hint="choose another address, or give that device another one there first",
            )
        if device.address == old:
            notes.append(f"{place_of}: device {device.id} is read at {old}; change that line to `address: {new}`")
    return notes


def _line(file: Path, number: int) -> int:
    lines = read_document(file).lines
    return lines.get(("devices", number, "address")) or lines.get(("devices", number)) or 1


def _name(there: Mapping[str, Any]) -> str:
    return f"{there['manufacturer'] or 'meter'} {there['id']} ({there['medium_name']})"


def _text(document: Mapping[str, Any]) -> str:
    before = document["address_before"]
    was = "" if before is None else f"; it was {before}"
    return f"{_name(document['meter'])} answers at address {document['address']} now{was}"
