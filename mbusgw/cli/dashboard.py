"""``mbusgw dashboard``: a view for Home Assistant with the meters at hand."""
from __future__ import annotations

import argparse
from typing import Any
from urllib.parse import urlencode

from mbusgw.app.dashboard import LANGUAGES, Dashboard
from mbusgw.cli.options import add_json_option
from mbusgw.cli.remote import Remote
from mbusgw.cli.upkeep import add_database_options, database, database_config
from mbusgw.config.writing import as_yaml
from mbusgw.runtime.exactjson import dumps
from mbusgw.web.dashboard import PATH

NAME = "dashboard"
HELP = "write a dashboard view for Home Assistant with the meters at hand"

_HEAD = """\
# Home Assistant: open a dashboard, Edit, add a view, "Edit in YAML" in its menu, and put all this there.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own options."""
    parser.description = (
        "Writes a view of Home Assistant's own cards for the gateway and the meters that were announced, wired and"
        " radio, to standard output: mbusgw dashboard > view.yaml"
    )
    parser.add_argument("meters", metavar="METER", nargs="*", help="an id, or a pattern such as 'els_*' (default: all)")
    parser.add_argument(
        "--language", choices=LANGUAGES, help="of the headings (default: that of the configuration, as the values')"
    )
    add_database_options(parser)
    add_json_option(parser)


def run(args: argparse.Namespace) -> int:
    """0 when it is written. Raises ``MbusgwError``."""
    config = database_config(args)
    with database(config, create=False) as keeper:
        if isinstance(keeper, Remote):
            view = _asked(keeper, args)
        else:
            view = Dashboard(keeper, config).view(args.meters, args.language)
    print(dumps(view, indent=2) if args.json else _HEAD + as_yaml(view), end="\n" if args.json else "")
    return 0


def _asked(gateway: Remote, args: argparse.Namespace) -> dict[str, Any]:
    """From the gateway that runs."""
    query = {"meters": ",".join(args.meters), "language": args.language or ""}
    return dict(gateway.admin("GET", f"{PATH}?{urlencode(query)}"))
