"""A file whose age tells whoever looks from outside that we live."""
from __future__ import annotations

import logging
import os
from pathlib import Path

log = logging.getLogger(__name__)


class HeartbeatFile:
    """Written whole or not at all; trouble is logged when it begins and when it ends. **own thread**"""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._trouble = False

    def write(self, text: str) -> bool:
        """Replaces the content, and with it the time of the file; False when that was not possible."""
        new = self._path.with_name(f".{self._path.name}.new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            new.write_text(text, encoding="utf-8")
            os.replace(new, self._path)
        except OSError as error:
            if not self._trouble:
                log.warning("the heartbeat file %s cannot be written: %s", self._path, error.strerror or error)
            self._trouble = True
            return False
        if self._trouble:
            log.info("the heartbeat file %s is written again", self._path)
        self._trouble = False
        return True

    def remove(self) -> None:
        """We stop in order: there is nothing to watch any more."""
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("the heartbeat file %s cannot be removed: %s", self._path, error.strerror or error)
