"""What can be asked about the configuration of the running gateway."""
from __future__ import annotations

from concurrent.futures import Future

from mbusgw.app.signals import Controls, ReloadRequest
from mbusgw.commands.params import Params
from mbusgw.config.source import ConfigSource
from mbusgw.model.command import Document, Tell
from mbusgw.wired.adopt import adopt
from mbusgw.wired.finds import Finds


class ConfigOperations:
    """Operations for the table of commands that only the main thread can do; it is asked. **any thread**"""

    def __init__(self, controls: Controls, source: ConfigSource, finds: Finds) -> None:
        self._controls = controls
        self._source = source
        self._finds = finds

    def reload(self, given: Document, _tell: Tell) -> Future[Document]:
        """``{}``: takes over what the configuration file says now. The future fails with ``ConfigError``."""
        Params(given).done()
        return self._ask(ReloadRequest())

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
