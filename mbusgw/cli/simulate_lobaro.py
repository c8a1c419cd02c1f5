"""``mbusgw simulate --lobaro``: a stand-in for the Lobaro parser's web API, for people without a token."""
from __future__ import annotations

import argparse
import threading

from mbusgw.model.errors import TransportOpenFailed
from mbusgw.runtime.clock import SystemClock
from mbusgw.simulator.lobaro import BEHAVIOURS, StandInLobaro

JOIN_S = 2.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that go with ``--lobaro``."""
    parser.add_argument("--lobaro-token", metavar="TOKEN", default=None, help="with --lobaro: the only token it takes")
    parser.add_argument(
        "--lobaro-behaves",
        metavar="HOW",
        choices=sorted(BEHAVIOURS),
        default="ok",
        help=f"with --lobaro: what every request gets; one of {', '.join(sorted(BEHAVIOURS))}",
    )


def serve(args: argparse.Namespace) -> int:
    """Answers until Ctrl-C, SIGTERM or ``--duration``. Raises ``TransportOpenFailed``."""
    host, port = args.lobaro
    stand_in = StandInLobaro(SystemClock(), host=host, port=port, token=args.lobaro_token)
    stand_in.behave(args.lobaro_behaves)
    try:
        stand_in.start()
    except OSError as error:
        raise TransportOpenFailed(f"cannot listen on {host}:{port}: {error.strerror or error}") from error
    try:
        token = args.lobaro_token or "any"
        print(stand_in.url)
        print(f"\nlobaro: {{url: {stand_in.url}, token: {token}}}\n\nCtrl-C ends it.", flush=True)
        threading.Event().wait(args.duration)
    except KeyboardInterrupt:
        pass
    finally:
        stand_in.stop()
        stand_in.join(JOIN_S)
    return 0
