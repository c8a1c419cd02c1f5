"""``mbusgw run``: the gateway, until it is told to stop."""
from __future__ import annotations

import argparse
import logging
import os
from pathlib import Path
from queue import SimpleQueue

from mbusgw import __version__
from mbusgw.app.build import build
from mbusgw.app.signals import Control, Controls, listen
from mbusgw.cli.options import add_config_option
from mbusgw.config.loader import load, with_state_dir
from mbusgw.config.models import Config
from mbusgw.config.secrets import secret_values
from mbusgw.model.errors import ConfigError
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
    """Runs until SIGTERM or SIGINT; SIGHUP starts anew with the configuration as it is then."""
    controls: Controls = SimpleQueue()
    listen(controls)
    config = _load(args)
    while True:
        logs = configure(_log_settings(config))
        try:
            log.info("mbusgw %s starts with %s", __version__, args.config)
            reloaded = _run_once(config, args, controls)
        finally:
            logs.close()
        if reloaded is None:
            return 0
        config = reloaded


def _run_once(config: Config, args: argparse.Namespace, controls: Controls) -> Config | None:
    """One life of the house; returns the configuration of the next one, None at the end."""
    following: list[Config] = []

    def accept(control: Control) -> bool:
        if control is Control.RELOAD:
            following[:] = [_reloaded(args)]
        return True

    gateway = build(config, clock=SystemClock(), service=ServiceManager())
    control = gateway.run(controls, accept)
    return following[0] if control is Control.RELOAD else None


def _load(args: argparse.Namespace) -> Config:
    config = load(args.config, os.environ)
    return with_state_dir(config, args.state_dir) if args.state_dir else config


def _reloaded(args: argparse.Namespace) -> Config:
    """Raises ``ConfigError`` for a file that cannot be used; the old configuration stays in force then."""
    try:
        return _load(args)
    except ConfigError:
        log.error("the changed configuration cannot be used; the old one stays in force")
        raise


def _log_settings(config: Config) -> LogSettings:
    return LogSettings(
        level=config.logging.level,
        directory=config.logging.directory,
        format=config.logging.format,
        secrets=secret_values(config),
    )
