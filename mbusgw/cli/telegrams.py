"""``mbusgw telegrams``: what became of radio telegrams, and running them again."""
from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from typing import Any, Protocol
from urllib.parse import quote, urlencode

from mbusgw.cli.options import add_json_option
from mbusgw.cli.remote import Remote
from mbusgw.cli.upkeep import add_database_options, database, database_config
from mbusgw.config.kinds import parse_duration
from mbusgw.config.models import Config
from mbusgw.model.errors import RequestError
from mbusgw.model.wording import counted
from mbusgw.runtime.clock import iso, parse_iso
from mbusgw.runtime.exactjson import dumps
from mbusgw.store.archive import REPLAYABLE, STATUSES
from mbusgw.store.replays import Telegrams
from mbusgw.web.admin import number
from mbusgw.web.archive import LARGEST_PAGE, PATH, page, replay_answer

NAME = "telegrams"
HELP = "list radio telegrams, show one, or have some parsed again"

_FILTERS = ("status", "meter", "gateway", "since", "until")


class Archive(Protocol):
    """Whoever keeps the telegrams."""

    def page(self, query: Mapping[str, str]) -> dict[str, Any]:
        """A page, as ``GET /v1/admin/telegrams``. Raises ``MbusgwError``."""

    def show(self, ingest_id: str) -> dict[str, Any]:
        """One telegram. Raises ``MbusgwError``."""

    def replay(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Has some parsed again, as ``POST /v1/admin/telegrams/replay``. Raises ``MbusgwError``."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own options."""
    actions = parser.add_subparsers(title="actions", metavar="ACTION", dest="action", required=True)
    newest, everything = "the newest telegrams and what became of them", "everything about one telegram"
    listing = actions.add_parser("list", help=newest, description=f"Lists {newest}; of all, or of those that fit.")
    showing = actions.add_parser(
        "show", help=f"{everything}, with what the parser made of it",
        description=f"Shows {everything} as JSON: who heard it, what was asked for, what the parser made of it.",
    )
    replaying = actions.add_parser(
        "replay", help="parse telegrams again",
        description="Has telegrams parsed again: those named, or those that fit the filter. Without --status these are"
        " the ones that could not be read (failed, key_missing, deferred); --status published reads again what was"
        " read already, and publishes a new reading of each.",
    )
    showing.add_argument("ingest_id", metavar="ID", help="the ingest_id of the telegram")
    replaying.add_argument("ingest_ids", metavar="ID", nargs="*", help="the ingest_id of a telegram")
    for action, statuses in ((listing, STATUSES), (replaying, REPLAYABLE)):
        action.add_argument("--status", metavar="STATUS", help=f"one or more, parted by commas: {', '.join(statuses)}")
        action.add_argument("--meter", metavar="METER", help="12345678 or els_12345678")
        action.add_argument("--gateway", metavar="GATEWAY", help="heard by this gateway")
        action.add_argument("--since", metavar="TIME", help="2026-01-31T12:00:00Z, or how long ago: 2h, 1d")
        action.add_argument("--until", metavar="TIME", help="the same")
    listing.add_argument("--limit", metavar="N", default="20", help="so many at most (default: %(default)s)")
    for action in (listing, showing, replaying):
        add_database_options(action)
        add_json_option(action)


def run(args: argparse.Namespace) -> int:
    """0 when it is done. Raises ``MbusgwError``."""
    return {"list": _list, "show": _show, "replay": _replay}[args.action](args)


# ------------------------------------------------------------------ the actions
def _list(args: argparse.Namespace) -> int:
    wanted = number("--limit", args.limit, default=20, largest=10**9)
    telegrams: list[dict[str, Any]] = []
    query, cursor = _filters(args), None
    with _archive(database_config(args)) as archive:
        while len(telegrams) < wanted:
            more = {"limit": str(min(wanted - len(telegrams), LARGEST_PAGE)), **({"cursor": cursor} if cursor else {})}
            found = archive.page({**query, **more})
            telegrams += found["telegrams"]
            cursor = found["next"]
            if cursor is None:
                break
    if args.json:
        print(dumps({"telegrams": telegrams, "more": cursor is not None}, indent=2))
        return 0
    print(f"{'CAME IN':<24} {'ID':<36} {'GATEWAY':<12} {'METER':<13} {'STATUS':<11} TRIES  REASON")
    for one in telegrams:
        meter = f"{one['manufacturer'] or '???'}_{one['meter_id']}".lower() if one["meter_id"] else "-"
        who = f"{one['created_at']:<24} {one['ingest_id']:<36} {one['gateway_id']:<12} {meter:<13}"
        print(f"{who} {one['status']:<11} {one['tries']:>5}  {one['reason'] or ''}".rstrip())
    if cursor is not None:
        print("… and older ones; --limit shows more")
    return 0


def _show(args: argparse.Namespace) -> int:
    with _archive(database_config(args)) as archive:
        print(dumps(archive.show(args.ingest_id), indent=2))
    return 0


def _replay(args: argparse.Namespace) -> int:
    body: dict[str, Any] = dict(_filters(args))
    if args.ingest_ids:
        body["ingest_ids"] = args.ingest_ids
    if not body:
        raise RequestError(400, "no_filter", "say which: ids, or --status, --meter, --gateway, --since, --until")
    with _archive(database_config(args)) as archive:
        answer = archive.replay(body)
    if args.json:
        print(dumps(answer))
        return 0
    more = "; there are more, which do not fit in now: ask again later" if answer["more"] else ""
    print(f"{counted(answer['replayed'], 'telegram is', 'telegrams are')} parsed again{more}")
    return 0


def _filters(args: argparse.Namespace) -> dict[str, str]:
    found = {name: getattr(args, name) for name in _FILTERS if getattr(args, name)}
    for name in ("since", "until"):
        if name in found:
            found[name] = _time(f"--{name}", found[name])
    return found


def _time(name: str, text: str) -> str:
    """A length of time is so long ago. Raises ``RequestError``."""
    try:
        ago_s = parse_duration(text)
        return iso(datetime.now(timezone.utc) - timedelta(seconds=ago_s))
    except (ValueError, OverflowError):
        pass
    try:
        parse_iso(text)
    except (ValueError, OverflowError):
        message = f"{name} is neither a time (2026-01-31T12:00:00Z) nor how long ago (2h, 1d): {text!r}"
        raise RequestError(400, "bad_time", message, field=name) from None
    return text


# ------------------------------------------------------------------ who keeps them
@contextmanager
def _archive(config: Config) -> Iterator[Archive]:
    with database(config, create=False) as keeper:
        if isinstance(keeper, Remote):
            yield _Remote(keeper)
        else:
            yield _Direct(Telegrams(keeper, max_backlog=config.ingest.max_backlog))


class _Remote:
    """The running gateway. **own thread**"""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote

    def page(self, query: Mapping[str, str]) -> dict[str, Any]:
        return dict(self._remote.admin("GET", f"{PATH}?{urlencode(query)}"))

    def show(self, ingest_id: str) -> dict[str, Any]:
        return dict(self._remote.admin("GET", f"{PATH}/{quote(ingest_id, safe='')}"))

    def replay(self, body: Mapping[str, Any]) -> dict[str, Any]:
        return dict(self._remote.admin("POST", f"{PATH}/replay", dict(body)))


class _Direct:
    """The database itself; what is to be parsed again waits for the gateway. **own thread**"""

    def __init__(self, telegrams: Telegrams) -> None:
        self._telegrams = telegrams

    def page(self, query: Mapping[str, str]) -> dict[str, Any]:
        return page(self._telegrams, query)

    def show(self, ingest_id: str) -> dict[str, Any]:
        return self._telegrams.show(ingest_id)

    def replay(self, body: Mapping[str, Any]) -> dict[str, Any]:
        return replay_answer(self._telegrams, body)
