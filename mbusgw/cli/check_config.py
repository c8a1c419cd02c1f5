"""``mbusgw check-config``: says whether a configuration is right, and opens no port, database or connection."""
from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from mbusgw.cli.options import add_config_option, add_json_option
from mbusgw.config.exposure import exposed
from mbusgw.config.loader import check
from mbusgw.config.master_key import find_master_key
from mbusgw.config.models import Config
from mbusgw.model.errors import ConfigError, Problem
from mbusgw.model.wording import counted
from mbusgw.runtime.exactjson import dumps

NAME = "check-config"
HELP = "check the configuration; opens nothing"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own options."""
    add_config_option(parser)
    add_json_option(parser)


def run(args: argparse.Namespace) -> int:
    """0 when it is right; raises ``ConfigError`` (or, with ``--json``, returns 3) when it is not."""
    if args.json:
        return _run_json(args.config)
    config, doubts = check(args.config, os.environ)
    print(f"OK: {summary(config)}")
    for note in [*map(str, doubts), *notes(config), *exposed(args.config, config)]:
        print(f"note: {note}")
    return 0


def summary(config: Config) -> str:
    """``1 bus, 2 devices, 0 meter keys, 1 radio gateway``."""
    return ", ".join(
        [
            counted(len(config.buses), "bus", "buses"),
            counted(len(config.devices), "device"),
            counted(len(config.keys), "meter key"),
            counted(len(config.ingest.keys), "radio gateway"),
            *([counted(len(config.outputs), "other output")] if config.outputs else []),
        ]
    )


def notes(config: Config) -> list[str]:
    """What is allowed, and perhaps not meant."""
    found = []
    used = {device.bus for device in config.wired_devices if device.enabled}
    for bus in config.buses:
        if bus.name not in used:
            found.append(f"bus {bus.name} has no enabled device")
    if not config.buses and not config.ingest.keys:
        found.append("there are neither buses nor ingest.keys: no meter can be read")
    if config.parser.backend == "lobaro" and config.lobaro.token is None:
        found.append("parser.backend is lobaro, which asks for a lobaro.token")
    if trouble := find_master_key(config.storage.master_key_file, {}).trouble:
        found.append(f"storage.master_key_file: {trouble}")
    if config.mqtt.tls_insecure:
        found.append("mqtt.tls_insecure: anybody on the way can pretend to be the broker")
    return found


def _run_json(file: Path) -> int:
    try:
        config, doubts = check(file, os.environ)
    except ConfigError as error:
        _write({"ok": False, "file": str(file), "problems": [_plain(problem) for problem in error.problems]})
        return 3
    counts = {"buses": len(config.buses), "devices": len(config.devices), "keys": len(config.keys)}
    said = {"problems": [], "doubts": [*map(_plain, doubts)], "notes": [*notes(config), *exposed(file, config)]}
    _write({"ok": True, "file": str(file), **said, **counts})
    return 0


def _plain(problem: Problem) -> dict[str, Any]:
    return {
        "source": problem.source,
        "line": problem.line,
        "key": problem.key,
        "message": problem.message,
        "suggestion": problem.suggestion,
    }


def _write(document: dict[str, Any]) -> None:
    sys.stdout.write(dumps(document, indent=2) + "\n")
