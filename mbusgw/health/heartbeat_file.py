"""A file whose age tells whoever looks from outside that we live."""
from __future__ import annotations

import logging
import os
from pathlib import Path

from mbusgw.model.errors import OutputError
from mbusgw.runtime.clock import Clock
from mbusgw.runtime.condition import Condition

log = logging.getLogger(__name__)


class HeartbeatFile:
    """Written whole or not at all; trouble is logged when it begins and when it ends. **own thread**"""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._condition = Condition(log, f"heartbeat file {path}", clock)

    def write(self, text: str) -> None:
        """Replaces the content, and with it the time of the file."""
        new = self._path.with_name(f".{self._path.name}.new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            new.write_text(text, encoding="utf-8")
            os.replace(new, self._path)
        except OSError as error:
            self._condition.failed(OutputError(f"cannot be written: {error.strerror or error}"))
        else:
            self._condition.cleared("is written again")

    def remove(self) -> None:
        """We stop in order: there is nothing to watch any more."""
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("heartbeat file %s cannot be removed: %s", self._path, error.strerror or error)
