"""Options that several commands share, so that they are spelled and explained alike."""
from __future__ import annotations

import argparse
from pathlib import Path

from mbusgw.config.loader import DEFAULT_FILE


def add_config_option(parser: argparse.ArgumentParser) -> None:
    """``-c FILE``; the value is a ``Path`` in ``args.config``."""
    text = "the configuration (default: %(default)s)"
    parser.add_argument("-c", "--config", metavar="FILE", type=Path, default=DEFAULT_FILE, help=text)


def add_json_option(parser: argparse.ArgumentParser) -> None:
    """``--json``; ``args.json`` is a bool."""
    parser.add_argument("--json", action="store_true", help="write JSON, for other programs")
