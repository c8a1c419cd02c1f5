"""``mbusgw adopt``: found meters become devices of the configuration."""
from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mbusgw.cli.options import add_config_option, add_json_option
from mbusgw.cli.remote import Remote
from mbusgw.config.loader import load
from mbusgw.model.command import Document
from mbusgw.model.errors import ConfigNotWritable, MbusgwError, RequestError
from mbusgw.model.found import FoundMeter
from mbusgw.runtime.exactjson import dumps
from mbusgw.wired.adopt import adopt

NAME = "adopt"
HELP = "put meters that a scan of the running gateway has found into its configuration"
EXAMPLES = """\
mbusgw adopt els_12345678 pad_00000005    as the scan has named them
mbusgw adopt --all --bus main
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own options."""
    parser.add_argument(
        "meters",
        metavar="METER",
        nargs="*",
        help="els_12345678, or the 16 digits of a secondary address, as the scan has told them",
    )
    parser.add_argument("--all", action="store_true", help="every meter that was found")
    parser.add_argument("--bus", metavar="NAME", help="only those found on that bus")
    add_config_option(parser)
    add_json_option(parser)


def run(args: argparse.Namespace) -> int:
    """0 when they are devices now, 1 when one that was named cannot be. Raises ``MbusgwError``."""
    if args.all == bool(args.meters):
        raise RequestError(400, "bad_request", "name the meters, or write --all")
    remote = Remote.find(load(args.config, os.environ))
    if remote is None:
        raise MbusgwError("no gateway runs with this configuration", hint="`mbusgw scan --adopt` does it without one")
    document = adopt_found(args.config, remote, None if args.all else args.meters, args.bus)
    print(dumps(document, indent=2) if args.json else describe(document, args.config))
    return exit_code(document, named=bool(args.meters))


def exit_code(document: Document, *, named: bool) -> int:
    """1 where one that was asked for by name cannot be adopted; of all that were found, some never can."""
    return 1 if named and document["refused"] else 0


def adopt_found(
    file: Path,
    remote: Remote,
    wanted: Sequence[str] | None,
    bus: str | None,
) -> Document:
    """Has the running gateway adopt what it has found; where its user may not write the file, this one tries, and the
    gateway notices. Raises ``MbusgwError``.
    """
    request: dict[str, Any] = {"meters": "all" if wanted is None else list(wanted)}
    try:
        return remote.run("adopt", request if bus is None else {**request, "bus": bus})
    except ConfigNotWritable:
        found = [FoundMeter.from_document(document) for document in remote.get("/state")["found"]]
        return adopt(file, os.environ, found, wanted=wanted, bus=bus)


def describe(document: Document, file: Path) -> str:
    """For a person."""
    added = document["added"]
    lines = [f"{entry['id']} is read at address {entry['address']} of bus {entry['bus']}" for entry in added]
    lines += [f"{name} is configured already, as {device}" for name, device in document["already"].items()]
    lines += [f"{name} was not added: {why}" for name, why in document["refused"].items()]
    if added:
        lines.append(f"{file} was changed; a running gateway has noticed, or will within seconds")
    return "\n".join(lines) or "nothing was found yet; scan first"
