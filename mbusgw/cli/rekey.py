"""``mbusgw keys rekey``: another master key for the meters' keys, while the gateway is stopped."""
from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from mbusgw.cli.upkeep import database_config, stopped_database
from mbusgw.config.master_key import MasterKey, find_master_key
from mbusgw.model.errors import MbusgwError
from mbusgw.model.wording import counted
from mbusgw.runtime.exactjson import dumps
from mbusgw.store.reseal import reseal
from mbusgw.store.vault import PLAIN, Vault

_FORM_HINT = "openssl rand -hex 32 | install -m 600 /dev/stdin FILE makes one"


def add_rekey(actions: Any) -> argparse.ArgumentParser:
    """The action's own options; ``actions`` are the subparsers of ``mbusgw keys``."""
    parser: argparse.ArgumentParser = actions.add_parser(
        "rekey",
        help="change the master key that the stored keys are encrypted with",
        description="Encrypts all stored keys with another master key, in one transaction: afterwards all are, or, if"
        " anything goes wrong, none. The gateway must be stopped; before it starts again, the new file takes the old"
        " one's place.",
    )
    parser.add_argument(
        "--old", metavar="FILE", type=Path, help="the master key until now, if not that of the configuration"
    )
    target = parser.add_mutually_exclusive_group(required=True)
    target.add_argument("--new", metavar="FILE", type=Path, help="the master key from now on")
    target.add_argument("--plain", action="store_true", help="from now on none: keys are kept in plain text")
    return parser


def rekey(args: argparse.Namespace) -> int:
    """0 when every key is kept as asked for. Raises ``MbusgwError``; then nothing was changed."""
    config = database_config(args)
    old = _vault(find_master_key(args.old or config.storage.master_key_file, os.environ))
    new = PLAIN if args.plain else _vault(find_master_key(args.new, {}))
    with stopped_database(config) as store:
        done = store.prepare(lambda connection: reseal(connection, old, new))
        store.scrub()  # what the old master key opens must not be left in the file
    document = {"changed": done.changed, "unchanged": done.unchanged, "master_key": new.name, "before": old.name}
    if args.json:
        print(dumps(document))
        return 0
    how = f"encrypted with master key {new.name}" if new.name else "kept in plain text"
    again = f" ({counted(done.unchanged, 'was', 'were')} already)" if done.unchanged else ""
    print(f"{counted(done.changed, 'key is', 'keys are')} {how} now{again}")
    if new.name != old.name:
        place = config.storage.master_key_file or "systemd's credential mbusgw-master-key"
        print(f"before mbusgw starts: {_next(args, place)}")
    return 0


def _next(args: argparse.Namespace, place: object) -> str:
    if args.plain:
        return f"take {place} away, or it encrypts them again"
    return f"{args.new} takes the place of the old master key ({place})"


def _vault(master: MasterKey) -> Vault:
    """Raises ``MbusgwError`` for a file that cannot be used."""
    if master.trouble:
        raise MbusgwError(f"{master.trouble}; nothing was changed", hint=_FORM_HINT)
    return Vault(master.key)
