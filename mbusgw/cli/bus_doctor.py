"""``mbusgw bus-doctor``: how a bus is, and what to do about it."""
from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from mbusgw.cli.buses import choose_bus, tool_config
from mbusgw.cli.direct import asker_for
from mbusgw.cli.options import add_config_option, add_json_option
from mbusgw.model.wording import counted
from mbusgw.runtime.exactjson import dumps
from mbusgw.wired.doctor_operations import ROUNDS

NAME = "bus-doctor"
HELP = "examine a bus: how well its meters answer, and what is wrong"
EXAMPLES = """\
mbusgw bus-doctor main --rounds 20        the longer, the surer
mbusgw bus-doctor main --rounds 0         only what was counted until now

It ends with 0 if nothing is wrong, and with 1 if something is.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own options."""
    parser.add_argument(
        "bus",
        metavar="BUS",
        nargs="?",
        help="a bus of the configuration, or its port (may be left out where there is one)",
    )
    parser.add_argument(
        "--rounds", metavar="N", type=int, default=ROUNDS, help=f"how often each meter is read (default {ROUNDS})"
    )
    add_config_option(parser)
    add_json_option(parser)


def run(args: argparse.Namespace) -> int:
    """0 when nothing is wrong, 1 when something is, or no meter is there to be read. Raises ``MbusgwError``."""
    config = tool_config(args.config)
    with asker_for(config, choose_bus(config, args.bus, option="")) as (asker, bus):
        try:
            document = asker.run("doctor", {"bus": bus, "rounds": args.rounds}, _progress)
        finally:
            _progress({})
    print(dumps(document, indent=2) if args.json else "\n".join(_lines(document)))
    return 1 if document["findings"] else 0


def _progress(progress: Mapping[str, Any]) -> None:
    """A line where a person looks, which goes away with the end of the work (nothing to tell)."""
    if sys.stderr.isatty():
        text = f"read {progress['done']} of {progress['of']}" if progress else ""
        print(f"\r{text}\x1b[K", end="", file=sys.stderr, flush=True)


def _lines(document: Mapping[str, Any]) -> Iterator[str]:
    yield f"bus {document['bus']} at {document['port']}, since it was opened"
    yield f"  {counted(document['answers'], 'answer')} to {counted(document['requests'], 'request')}" + (
        ", our own bytes come back (echo)" if document["echoes"] else ""
    )
    load = document["load"]
    if load["meters"]:
        yield f"  busy {load['busy_percent']:.0f} % of the time, {load['round_s']:.1f} s to read each meter once"
    yield ""
    if document["meters"]:
        yield (f"{'meter':<20} {'address':>16} {'answers':>12} {'silent':>6} {'spoilt':>6}"
               f" {'repeats':>7} {'answer after':>18}")  # fmt: skip
    for meter in document["meters"]:
        spoilt = meter["damaged"] + meter["broken_off"] + meter["garbage"]
        answered = f"{meter['answers']} of {meter['requests']}"
        yield (f"{meter['device']:<20} {meter['address']:>16} {answered:>12} {meter['timeouts']:>6} {spoilt:>6}"
               f" {meter['repeats']:>7} {_delay(meter['answer_ms']):>18}")  # fmt: skip
    if document["meters"]:
        yield ""
    if not document["findings"]:
        yield "nothing is wrong"
    for finding in document["findings"]:
        yield f"- {finding['about']}: {finding['what']}"
        yield f"  {finding['advice']}"


def _delay(answer_ms: Mapping[str, float] | None) -> str:
    if answer_ms is None:
        return "-"
    return f"{answer_ms['median']:.0f} ms ({answer_ms['min']:.0f}-{answer_ms['max']:.0f})"
