"""Where the configuration of a running gateway comes from, and whether it has changed there."""
from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from mbusgw.config.difference import Stamp
from mbusgw.config.loader import load, with_state_dir
from mbusgw.config.models import Config
from mbusgw.model.errors import ConfigError


class ConfigSource:
    """The file that the gateway was started with, and what overrides it. **own thread** (the main one)

    ``changed`` is to be called again and again, a second or so apart: a file that is just being written
    is not looked at before it has been the same for two looks. ``trouble`` (**any thread**) is why what was loaded last
    cannot be used; empty where it can.
    """

    def __init__(self, path: Path, environ: Mapping[str, str], *, state_dir: Path | None = None) -> None:
        self.path = path
        self.environ = environ
        self.trouble = ""
        self._state_dir = state_dir
        self._stamp: Stamp = None
        self._seen: bytes | None = None
        self._unsettled = False

    def load(self) -> Config:
        """The configuration as it is now. Raises ``ConfigError``; what it was raised for counts as seen."""
        self._stamp, self._seen, self._unsettled = self._look(), self._digest(), False
        try:
            config = load(self.path, self.environ)
        except ConfigError as error:
            more = len(error.problems) - 1
            self.trouble = str(error.problems[0]) + (f" (and {more} more)" if more else "")
            raise
        self.trouble = ""
        return with_state_dir(config, self._state_dir) if self._state_dir else config

    def changed(self) -> bool:
        """The file says something else than when it was last loaded, and is not being written any more."""
        stamp = self._look()
        if stamp != self._stamp:
            self._stamp, self._unsettled = stamp, True
            return False
        if not self._unsettled:
            return False
        self._unsettled = False
        return self._digest() != self._seen

    def _look(self) -> Stamp:
        try:
            status = self.path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino

    def _digest(self) -> bytes | None:
        try:
            return hashlib.sha256(self.path.read_bytes()).digest()
        except OSError:
            return None
