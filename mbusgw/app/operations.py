"""What can be asked about the configuration of the running gateway."""
from __future__ import annotations

from concurrent.futures import Future
from math import ceil

from mbusgw.app.signals import Controls, ReloadRequest
from mbusgw.commands.params import Params
from mbusgw.config.source import ConfigSource
from mbusgw.model.command import Document, Tell
from mbusgw.model.errors import RequestError
from mbusgw.runtime.clock import Clock
from mbusgw.wired.adopt import adopt
from mbusgw.wired.finds import Finds

#: A run lasts at least so long before a command may end it.
RESTART_AFTER_S = 5.0


class ConfigOperations:
    """Operations for the table of commands that only the main thread can do; it is asked. **any thread**"""

    def __init__(self, controls: Controls, source: ConfigSource, finds: Finds, *, clock: Clock) -> None:
        self._clock = clock
        self._started_mono = clock.mono()
        self._controls = controls
        self._source = source
        self._finds = finds

    def reload(self, given: Document, _tell: Tell) -> Future[Document]:
        """``{}``: takes over what the configuration file says now. The future fails with ``ConfigError``."""
        Params(given).done()
        return self._ask(ReloadRequest())

    def restart(self, given: Document, _tell: Tell) -> Future[Document]:
        """``{}``: ends everything in order and starts it anew in the same process, with what the file says now.

        Refused in the first seconds of a run, so that a client that keeps asking keeps nothing from working. The
        future fails with ``ConfigError`` for a file that cannot be used: then all goes on as it is.
        """
        Params(given).done()
        left_s = RESTART_AFTER_S - (self._clock.mono() - self._started_mono)
        if left_s > 0:
            raise RequestError(
                429, "too_soon", "mbusgw has just started", retry_after_s=max(1, ceil(left_s))
            )
        return self._ask(ReloadRequest(anew=True))

    def adopt(self, given: Document, _tell: Tell) -> Future[Document]:
        """``{meters: "all" | [id or secondary address], bus}``: found meters become devices of the configuration file.

        Answers what was ``added``, what is configured ``already`` and what was ``refused``, and what the reload did.
        The future fails with ``ConfigNotWritable`` where the file belongs to another user.
        """
        params = Params(given)
        wanted = params.texts("meters", every="all")
        bus = params.text("bus", None)
        params.done()
        path, environ = self._source.path, self._source.environ
        return self._ask(ReloadRequest(lambda: adopt(path, environ, self._finds.all(), wanted=wanted, bus=bus)))

    def _ask(self, request: ReloadRequest) -> Future[Document]:
        self._controls.put(request)
        return request.future
