"""A small working command: says what it is told, then ends as it is told."""
from __future__ import annotations

import argparse

from mbusgw.model.errors import ConfigError, MbusgwError, Problem

NAME = "talkative"
HELP = "say something and end"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The text and the end."""
    parser.add_argument("--text", default="")
    parser.add_argument("end")


def run(args: argparse.Namespace) -> int:
    """Ends by a number, or by the error named."""
    print(args.text)
    if args.end == "config":
        raise ConfigError([Problem("f.yaml", 1, "a", "is wrong"), Problem("f.yaml", 2, "b", "is wrong", "try c")])
    if args.end == "error":
        raise MbusgwError("the port is gone", hint="plug it in")
    if args.end == "interrupt":
        raise KeyboardInterrupt
    if args.end == "bug":
        raise ZeroDivisionError("a bug")
    return int(args.end)
