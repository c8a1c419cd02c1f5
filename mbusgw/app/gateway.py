"""The main thread: starts the house, waits for requests, stops it."""
from __future__ import annotations

import logging
from collections.abc import Callable
from queue import Empty

from mbusgw.app.signals import Control, Controls
from mbusgw.app.stages import Stages
from mbusgw.model.errors import MbusgwError
from mbusgw.runtime.notify import ServiceManager

log = logging.getLogger(__name__)

STATUS_S = 5.0


class Gateway:
    """One run of the whole house with one configuration. The main thread only.

    ``prepare`` opens what must be there before anything starts (the database) and loads
    what an earlier run left; ``close`` is its counterpart. ``status`` is a line for
    ``systemctl status``.
    """

    def __init__(
        self,
        stages: Stages,
        *,
        prepare: Callable[[], None],
        close: Callable[[], None],
        status: Callable[[], str],
        service: ServiceManager,
    ) -> None:
        self._stages = stages
        self._prepare = prepare
        self._close = close
        self._status = status
        self._service = service

    def run(self, controls: Controls, accept: Callable[[Control], bool]) -> Control:
        """Runs until a request that ``accept`` agrees to (a reload of a bad file is refused); returns it.

        Raises ``MbusgwError`` when it cannot start. Everything accepted is on disk when it returns.
        """
        outcome = Control.STOP
        try:
            self._prepare()
            self._stages.start()
            self._service.ready(self._status())
            log.info("ready: %s", self._status())
            outcome = self._wait(controls, accept)
            return outcome
        finally:
            for_good = outcome is Control.STOP
            if for_good:
                self._service.stopping()
            clean = self._stages.stop(for_good=for_good)
            self._close()
            log.info("stopped%s", "" if clean else ", but not everything ended in its time")

    def _wait(self, controls: Controls, accept: Callable[[Control], bool]) -> Control:
        while True:
            try:
                control = controls.get(timeout=STATUS_S)
            except Empty:
                self._stages.retry()
                self._service.status(self._status())
                continue
            try:
                if accept(control):
                    return control
            except MbusgwError as error:
                log.error("%s refused: %s", control.value, error)
