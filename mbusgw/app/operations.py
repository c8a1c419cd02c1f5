"""What can be asked about the configuration of the running gateway."""
from __future__ import annotations

from concurrent.futures import Future

from mbusgw.app.signals import Controls, ReloadRequest
from mbusgw.commands.params import Params
from mbusgw.model.command import Document, Tell


class ConfigOperations:
    """Operations for the table of commands that only the main thread can do; it is asked. **any thread**"""

    def __init__(self, controls: Controls) -> None:
        self._controls = controls

    def reload(self, given: Document, _tell: Tell) -> Future[Document]:
        """``{}``: takes over what the configuration file says now. The future fails with ``ConfigError``."""
        Params(given).done()
        return self._ask(ReloadRequest())

    def _ask(self, request: ReloadRequest) -> Future[Document]:
        self._controls.put(request)
        return request.future
