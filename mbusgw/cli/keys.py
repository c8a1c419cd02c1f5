"""``mbusgw keys``: the meters' keys, through the running gateway or directly on the database."""
from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

from mbusgw.cli.key_file import BadLine, read_keys
from mbusgw.cli.options import add_json_option
from mbusgw.cli.rekey import add_rekey, rekey
from mbusgw.cli.remote import Remote
from mbusgw.cli.upkeep import add_database_options, database, database_config, keyring_of
from mbusgw.config.kinds import check_manufacturer, check_meter_id
from mbusgw.config.models import Config
from mbusgw.model.errors import MbusgwError, RequestError
from mbusgw.model.wording import counted
from mbusgw.runtime.exactjson import dumps
from mbusgw.store.keyring import Changed, Keyring
from mbusgw.store.keys import ANY, MeterKey, name_of
from mbusgw.store.vault import fingerprint
from mbusgw.web.keys import PATH, list_document

NAME = "keys"
HELP = "list, set, remove and import the keys of radio meters, and change the master key"

#: So many keys go to the running gateway in one request, which takes 64 KiB.
AT_ONCE = 400


class Keys(Protocol):
    """Whoever keeps the keys."""

    def listed(self) -> dict[str, Any]:
        """Every key's meter and fingerprint, as ``GET /v1/admin/keys``."""

    def set(self, keys: Sequence[MeterKey]) -> Changed:
        """Stores keys. Raises ``MbusgwError``."""

    def remove(self, meter_id: str, manufacturer: str | None) -> str:
        """Forgets a key and says whose it was. Raises ``MbusgwError``."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own options."""
    actions = parser.add_subparsers(title="actions", metavar="ACTION", dest="action", required=True)
    what = "each meter and the fingerprint of its key; never the key"
    listing = actions.add_parser("list", help=what, description=f"Lists {what}.")
    setting = actions.add_parser(
        "set", help="set a key; it is asked for, or read from standard input",
        description="Sets a meter's key, which is asked for on a terminal and else read from standard input, so that"
        " it stands in no list of processes and no history. What waited for it is parsed.",
    )
    removing = actions.add_parser("remove", help="forget a key", description="Forgets the key of a meter.")
    importing = actions.add_parser(
        "import", help="set many keys from a CSV or JSON file",
        description="Sets the keys of a CSV or JSON file with columns for the meter's number (meter_id, serial, ...),"
        " its key (key, aes, ...) and perhaps its manufacturer. A file with a bad line is not imported at all,"
        " unless --skip-bad says so.",
    )
    for action in (setting, removing):
        action.add_argument("meter_id", metavar="METER_ID", help="8 digits; * for all meters of a manufacturer")
        action.add_argument("--manufacturer", metavar="ABC", help="where two makes share a number: three letters")
    importing.add_argument("file", metavar="FILE", help="the file; - is standard input")
    importing.add_argument("--skip-bad", action="store_true", help="import the good lines and name the bad ones")
    for action in (listing, setting, removing, importing, add_rekey(actions)):
        add_database_options(action)
        add_json_option(action)


def run(args: argparse.Namespace) -> int:
    """0 when it is done. Raises ``MbusgwError``."""
    return {"list": _list, "set": _set, "remove": _remove, "import": _import, "rekey": rekey}[args.action](args)


# ------------------------------------------------------------------ the actions
def _list(args: argparse.Namespace) -> int:
    with _keys(database_config(args), create=False) as keys:
        document = keys.listed()
    if args.json:
        print(dumps(document, indent=2))
        return 0
    print(f"{'METER':<9} {'MAKER':<6} {'FINGERPRINT':<64}  CHANGED")
    for key in document["keys"]:
        maker = key["manufacturer"] or ""
        print(f"{key['meter_id']:<9} {maker:<6} {key['fingerprint']:<64}  {key['updated_at']}")
    if document["locked"]:
        _complain(f"{counted(document['locked'], 'key')} cannot be opened with the master key that is here")
    return 0


def _set(args: argparse.Namespace) -> int:
    key = MeterKey(*_meter(args), _asked_key(args.meter_id))
    with _keys(database_config(args)) as keys:
        changed = keys.set([key])
    document = {"meter_id": key.who[0], "manufacturer": key.who[1], "fingerprint": fingerprint(key.key)}
    if args.json:
        print(dumps({**document, "changed": bool(changed.keys), "retried": changed.retried}))
        return 0
    done = "set" if changed.keys else "the same as before"
    print(f"the key of meter {name_of(key.who)} is {done} (fingerprint {document['fingerprint']}){_going(changed)}")
    return 0


def _remove(args: argparse.Namespace) -> int:
    meter_id, maker = _meter(args)
    config = database_config(args)
    with _keys(config, create=False) as keys:
        about = keys.remove(meter_id, maker)
    if args.json:
        print(dumps({"removed": about}))
    else:
        print(f"the key of meter {about} is removed")
    if any(name_of((key.meter_id, key.manufacturer)) == about for key in config.keys):
        _complain("it stands in the configuration as well (keys), which sets it again at the next start")
    return 0


def _import(args: argparse.Namespace) -> int:
    config = database_config(args)
    found = read_keys(_content(args.file))
    _tell_bad(found.bad, "standard input" if args.file == "-" else args.file)
    if found.bad and not args.skip_bad:
        raise MbusgwError(
            f"{counted(len(found.bad), 'bad line')}, so that nothing was imported",
            hint=f"--skip-bad imports the {counted(len(found.keys), 'good one')} all the same",
        )
    with _keys(config) as keys:
        changed = keys.set(found.keys) if found.keys else Changed(0, 0)
    document = {"keys": len(found.keys), "changed": changed.keys, "bad": len(found.bad), "retried": changed.retried}
    if args.json:
        print(dumps(document))
        return 0
    bad = f", {counted(len(found.bad), 'bad line')} left out" if found.bad else ""
    imported = counted(len(found.keys), "key")
    print(f"{imported} imported, {changed.keys} of them new or other than before{bad}{_going(changed)}")
    return 0


# ------------------------------------------------------------------ who keeps them
@contextmanager
def _keys(config: Config, *, create: bool = True) -> Iterator[Keys]:
    with database(config, create=create) as keeper:
        yield _Remote(keeper) if isinstance(keeper, Remote) else _Direct(keyring_of(keeper, config))


class _Remote:
    """The running gateway. **own thread**"""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote

    def listed(self) -> dict[str, Any]:
        return dict(self._remote.admin("GET", PATH))

    def set(self, keys: Sequence[MeterKey]) -> Changed:
        """In slices, each whole or not at all; what is sent was checked before, and may be sent again."""
        done = retried = 0
        for start in range(0, len(keys), AT_ONCE):
            items = [
                {"meter_id": key.meter_id, "manufacturer": key.manufacturer, "key": key.key.hex()}
                for key in keys[start : start + AT_ONCE]
            ]
            answer = self._remote.admin("POST", PATH, {"keys": items})
            done, retried = done + answer["changed"], retried + answer["retried"]
        return Changed(done, retried)

    def remove(self, meter_id: str, manufacturer: str | None) -> str:
        query = f"?manufacturer={manufacturer}" if manufacturer else ""
        removed = self._remote.admin("DELETE", f"{PATH}/{quote(meter_id, safe='')}{query}")["removed"]
        return name_of((removed["meter_id"], removed["manufacturer"]))


class _Direct:
    """The database itself. **own thread**"""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def listed(self) -> dict[str, Any]:
        return list_document(self._keyring)

    def set(self, keys: Sequence[MeterKey]) -> Changed:
        return self._keyring.set(keys)

    def remove(self, meter_id: str, manufacturer: str | None) -> str:
        return self._keyring.remove(meter_id, manufacturer).about


# ------------------------------------------------------------------ what was typed
def _meter(args: argparse.Namespace) -> tuple[str, str | None]:
    """Raises ``RequestError``."""
    try:
        maker = check_manufacturer(args.manufacturer) if args.manufacturer else None
        meter_id = ANY if args.meter_id == ANY else check_meter_id(args.meter_id)
    except ValueError as error:
        raise RequestError(400, "bad_value", str(error)) from None
    if meter_id == ANY and maker is None:
        raise RequestError(400, "bad_value", "a default key needs its --manufacturer")
    return meter_id, maker


def _asked_key(meter_id: str) -> bytes:
    """From the terminal, unseen, or the first line of standard input. Raises ``RequestError`` that does not show it."""
    if sys.stdin.isatty():
        text = getpass.getpass(f"Key of meter {meter_id} (32 hex digits, not shown): ")
    else:
        text = sys.stdin.readline()
    digits = "".join(text.split())
    try:
        key = bytes.fromhex(digits)
    except ValueError:
        key = b""
    if len(key) != 16:
        what = f"has {counted(len(digits), 'character')}" if len(digits) != 32 else "holds another character"
        raise RequestError(400, "bad_key", f"a key is 32 hex digits (0-9, A-F); this one {what}")
    return key


def _content(name: str) -> bytes:
    if name == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise MbusgwError(f"{name} cannot be read: {error.strerror}") from None


def _going(changed: Changed) -> str:
    waited = counted(changed.retried, "telegram that waited for it is", "telegrams that waited for it are")
    return f"; {waited} parsed" if changed.retried else ""


def _tell_bad(bad: Sequence[BadLine], name: str) -> None:
    for one in bad:
        _complain(f"{name}:{one.line}: {one.message}")


def _complain(text: str) -> None:
    print(text, file=sys.stderr)
