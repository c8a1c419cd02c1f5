"""``mbusgw reset``: an application reset of one meter."""
from __future__ import annotations

import argparse

from mbusgw.cli.buses import add_bus_options, tool_config
from mbusgw.cli.direct import asker_for
from mbusgw.cli.options import add_json_option
from mbusgw.cli.read import METER_HELP, find_target, place
from mbusgw.runtime.exactjson import dumps

NAME = "reset"
HELP = "reset the application of a wired meter (CI 50): it begins again with its first telegram"
EXAMPLES = """\
mbusgw reset meter_1                      begins with its first telegram
mbusgw reset 5 --code 0x10                and sends what that code names
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own options."""
    parser.add_argument("meter", metavar="ADDRESS|DEVICE", help=METER_HELP)
    parser.add_argument(
        "--code",
        metavar="N",
        type=_number,
        help="the sub-code, 0 to 255 (0x10): which telegrams it sends from now on, where the meter knows that",
    )
    add_bus_options(parser)
    add_json_option(parser)


def _number(text: str) -> int:
    try:
        return int(text, 0)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a number such as 16 or 0x10, not {text!r}") from None


def run(args: argparse.Namespace) -> int:
    """0 when the meter has acknowledged. Raises ``MbusgwError``."""
    config = tool_config(args.config)
    target = find_target(config, args.meter, bus=args.bus, anybody=False)
    with asker_for(config, target.bus, args.baud) as (asker, bus):
        document = asker.run("application_reset", {**place(target, bus, args.baud), "code": args.code})
    if args.json:
        print(dumps(document, indent=2))
    else:
        print(f"the meter at {document['address']} has acknowledged the reset")
    return 0
