"""What people type: ``mbusgw COMMAND``.

A command is a module with ``NAME``, ``HELP``, ``add_arguments(parser)`` and
``run(args) -> int``, perhaps ``EXAMPLES``, and a row in ``COMMANDS``. Only the one that is asked for is
imported, because imports are most of the time a short command takes.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 wrong configuration, 130 Ctrl-C.
"""
from __future__ import annotations

import argparse
import errno
import sys
import textwrap
from collections.abc import Sequence
from importlib import import_module
from typing import Protocol, cast

from mbusgw import __version__
from mbusgw.cli.streams import drop_stdout, prepare
from mbusgw.model.errors import ConfigError, MbusgwError, RequestError
from mbusgw.model.wording import counted

#: Command → module, in the order of ``--help``.
COMMANDS: dict[str, str] = {
    "run": "mbusgw.cli.run",
    "check-config": "mbusgw.cli.check_config",
    "status": "mbusgw.cli.status",
    "scan": "mbusgw.cli.scan",
    "read": "mbusgw.cli.read",
    "set-address": "mbusgw.cli.set_address",
    "reset": "mbusgw.cli.reset",
    "adopt": "mbusgw.cli.adopt",
    "bus-doctor": "mbusgw.cli.bus_doctor",
    "keys": "mbusgw.cli.keys",
    "telegrams": "mbusgw.cli.telegrams",
    "dashboard": "mbusgw.cli.dashboard",
    "decode": "mbusgw.cli.decode",
    "simulate": "mbusgw.cli.simulate",
    "demo": "mbusgw.cli.demo",
}

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_CONFIG = 3
EXIT_INTERRUPTED = 130

HELP_WIDTH = 78


class Command(Protocol):
    """What a command's module offers."""

    NAME: str
    HELP: str

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Adds the command's own options."""

    def run(self, args: argparse.Namespace) -> int:
        """Does it and returns the exit code. Raises ``MbusgwError``."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code; errors that we know become a line on stderr."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    prepare()
    try:
        code = _dispatch(arguments)
        sys.stdout.flush()  # a reader that is gone shows here, not in the interpreter's last moment
        return code
    except ConfigError as error:
        _report_problems(error)
        return EXIT_CONFIG
    except MbusgwError as error:
        _complain(f"mbusgw: {error}", error.hint)
        asked_wrongly = isinstance(error, RequestError) and error.status in (400, 404)
        return EXIT_USAGE if asked_wrongly else EXIT_FAILED
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except OSError as error:
        if error.errno not in (errno.EPIPE, errno.ENOSPC) or error.filename is not None:
            raise
        drop_stdout()
        if error.errno == errno.ENOSPC:  # where the reader is gone there is nobody to tell
            _complain(f"mbusgw: the output cannot be written: {error.strerror}")
        return EXIT_FAILED


def _dispatch(arguments: list[str]) -> int:
    parser = _parser(arguments)
    if not arguments:
        parser.print_help(sys.stderr)
        return EXIT_USAGE
    args, strangers = parser.parse_known_args(arguments)
    if strangers:
        args.parser.error(f"unrecognized arguments: {' '.join(strangers)}")
    command = cast(Command, args.command)
    return command.run(args)


def _parser(arguments: list[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mbusgw",
        description="M-Bus and wireless M-Bus meters to MQTT and Home Assistant.",
        epilog="`mbusgw COMMAND --help` explains a command. Exit codes: 0 done, 1 failed, 2 usage, 3 configuration.",
    )
    parser.add_argument("--version", action="version", version=f"mbusgw {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name in _wanted(arguments):
        command = cast(Command, import_module(COMMANDS[name]))
        examples = getattr(command, "EXAMPLES", "")
        own = commands.add_parser(
            name,
            help=command.HELP,
            description=textwrap.fill(_sentence(command.HELP), HELP_WIDTH),
            epilog=f"examples:\n{textwrap.indent(examples, '  ')}" if examples else None,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add_arguments(own)
        own.set_defaults(command=command, parser=own)
    return parser


def _wanted(arguments: list[str]) -> list[str]:
    """The commands to import: the one asked for, or all where they must be listed."""
    if arguments[:1] == ["--version"]:
        return []
    return arguments[:1] if arguments and arguments[0] in COMMANDS else list(COMMANDS)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


def _report_problems(error: ConfigError) -> None:
    for problem in error.problems:
        _complain(str(problem))
    problems = counted(len(error.problems), "problem")
    _complain(f"mbusgw: the configuration has {problems}")


def _complain(text: str, hint: str = "") -> None:
    print(text, file=sys.stderr)
    if hint:
        print(f"  {hint}", file=sys.stderr)
