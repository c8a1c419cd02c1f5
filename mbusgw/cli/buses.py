"""Which bus a tool is to use, and which configuration it goes by."""
from __future__ import annotations

import argparse
import os
from pathlib import Path

from mbusgw.cli.options import add_config_option
from mbusgw.cli.remote import same_port
from mbusgw.config.loader import DEFAULT_FILE, load, loads
from mbusgw.config.models import BAUDRATES, BusConfig, Config
from mbusgw.model.errors import ConfigError, RequestError

#: The name of a bus that is in no configuration.
UNNAMED = "port"


def add_bus_options(parser: argparse.ArgumentParser) -> None:
    """``-c FILE``, ``--bus NAME|PORT`` and ``--baud N``."""
    add_config_option(parser)
    parser.add_argument(
        "--bus",
        metavar="NAME|PORT",
        help="a bus of the configuration, or a port (/dev/ttyUSB0, socket://host:port) that need not be in it",
    )
    parser.add_argument(
        "--baud", metavar="N", type=int, choices=BAUDRATES, help="the speed of the meter (default: that of the bus)"
    )


def tool_config(file: Path) -> Config:
    """The configuration; an empty one where the usual file is not there. Raises ``ConfigError``."""
    if file == DEFAULT_FILE and not os.path.exists(file):
        return Config()
    return load(file, os.environ)


def choose_bus(config: Config, wanted: str | None, *, option: str = "--bus ") -> BusConfig:
    """The bus that is meant: by its name or port, or the only one; ``option`` is how it is written on the command line.

    Raises ``RequestError`` 400, 404.
    """
    names = ", ".join(bus.name for bus in config.buses) or "none"
    if wanted is None:
        if len(config.buses) == 1:
            return config.buses[0]
        how = f"Name it with {option}NAME, or its port" if option else "Name it, or its port"
        raise RequestError(400, "bad_request", f"which bus? {how} (/dev/ttyUSB0); the configuration has {names}")
    for bus in config.buses:
        if bus.name == wanted or same_port(bus.port, wanted):
            return bus
    if "/" not in wanted:
        unknown = RequestError(404, "unknown_bus", f"there is no bus {wanted!r}; the configuration has {names}")
        if wanted.startswith("tty"):
            unknown.hint = f"a port is written with its whole name: /dev/{wanted}"
        raise unknown
    return _unnamed(wanted, option)


def _unnamed(port: str, option: str) -> BusConfig:
    text = "buses: [{name: %s, port: '%s'}]" % (UNNAMED, port.replace("'", "''"))
    try:
        return loads(text, {}, source="--bus").buses[0]
    except ConfigError as error:
        raise RequestError(400, "bad_request", f"{option}{port}: {error.problems[0].message}") from None
