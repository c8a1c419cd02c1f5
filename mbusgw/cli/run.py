"""``mbusgw run``: the gateway, until it is told to stop."""
from __future__ import annotations

import argparse
import logging
import os
from pathlib import Path
from queue import SimpleQueue

from mbusgw import __version__
from mbusgw.app.build import build
from mbusgw.app.signals import Controls, listen
from mbusgw.cli.options import add_config_option
from mbusgw.config.models import Config
from mbusgw.config.secrets import secret_values
from mbusgw.config.source import ConfigSource
from mbusgw.runtime.clock import SystemClock
from mbusgw.runtime.logs import LogSettings, configure
from mbusgw.runtime.notify import ServiceManager

NAME = "run"
HELP = "run the gateway (what the service does)"

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own options."""
    add_config_option(parser)
    parser.add_argument(
        "--state-dir",
        metavar="DIR",
        type=Path,
        help="keep database, logs and heartbeat file below DIR instead of the system's folders",
    )


def run(args: argparse.Namespace) -> int:
    """Runs until SIGTERM or SIGINT; a changed configuration is taken over, at once on SIGHUP."""
    controls: Controls = SimpleQueue()
    listen(controls)
    source = ConfigSource(args.config, os.environ, state_dir=args.state_dir)
    config: Config | None = source.load()
    while config is not None:
        logs = configure(_log_settings(config))
        try:
            log.info("mbusgw %s starts with %s", __version__, args.config)
            gateway = build(
                config,
                source,
                controls=controls,
                set_level=logs.set_level,
                clock=SystemClock(),
                service=ServiceManager(),
            )
            config = gateway.run(controls)
        finally:
            logs.close()
    return 0


def _log_settings(config: Config) -> LogSettings:
    return LogSettings(
        level=config.logging.level,
        directory=config.logging.directory,
        format=config.logging.format,
        secrets=secret_values(config),
    )
