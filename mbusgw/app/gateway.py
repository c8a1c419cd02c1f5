"""The main thread: starts the house, waits for requests, stops it."""
from __future__ import annotations

import logging
import time
from collections.abc import Callable
from queue import Empty
from typing import Protocol

from mbusgw.app.reload import Outcome
from mbusgw.app.signals import Control, Controls, ReloadRequest
from mbusgw.app.stages import Stages
from mbusgw.config.models import Config
from mbusgw.model.errors import MbusgwError, StoreFull
from mbusgw.runtime.ending import Part, end
from mbusgw.runtime.notify import ServiceManager

log = logging.getLogger(__name__)

#: How often what could not start is tried again, and the status line renewed.
STATUS_S = 5.0
#: How long those that were sent away meanwhile may take to get their answer.
SENT_AWAY_S = 0.5
#: How often the configuration file is looked at, and at a start the disk, if it is full.
LOOK_S = 1.0


class Reloading(Protocol):
    """Takes over what the file says now."""

    def __call__(self, *, asked: bool, anew: bool) -> Outcome: ...


class Gateway:
    """One run of the whole house. The main thread only.

    ``prepare`` opens what must be there before anything starts (the database) and loads
    what an earlier run left; it is called again while it raises ``StoreFull``. ``close`` is its
    counterpart. Meanwhile ``waiting_room`` stands in for the HTTP server: it sends everybody away for now.
    ``status`` is a line for ``systemctl status``. ``file_changed`` is asked every second;
    ``reload`` takes over what the file says then.
    """

    def __init__(
        self,
        stages: Stages,
        *,
        prepare: Callable[[], None],
        close: Callable[[], None],
        status: Callable[[], str],
        service: ServiceManager,
        file_changed: Callable[[], bool],
        reload: Reloading,
        waiting_room: Part | None = None,
    ) -> None:
        self._stages = stages
        self._prepare = prepare
        self._close = close
        self._status = status
        self._service = service
        self._file_changed = file_changed
        self._reload = reload
        self._waiting_room = waiting_room

    def run(self, controls: Controls) -> Config | None:
        """Runs until it is told to stop, or until a configuration comes that needs a new start; returns that.

        A configuration that cannot be used is refused, and the one in force stays.
        Raises ``MbusgwError`` when it cannot start. Everything accepted is on disk when it returns.
        """
        following: Config | None = None
        try:
            if not self._prepared(controls):
                return None
            self._stages.start()
            self._service.ready(self._status())
            log.info("ready: %s", self._status())
            following = self._wait(controls)
            return following
        finally:
            if following is None:
                self._service.stopping()
            clean = self._stages.stop(for_good=following is None)
            self._close()
            log.info("stopped%s", "" if clean else ", but not everything ended in its time")

    def _prepared(self, controls: Controls) -> bool:
        """A disk that is full ends nobody who runs, so it is waited for here too; False when told to stop meanwhile."""
        full = False
        try:
            while True:
                try:
                    self._prepare()
                except StoreFull as error:
                    if not full:
                        log.error("it cannot start yet, and waits: %s (%s)", error, error.hint)
                        full = True
                        self._open_waiting_room()
                    self._service.waiting(f"waiting for room on the disk: {error}")
                else:
                    if full:
                        log.warning("there is room on the disk again")
                    return True
                try:
                    if controls.get(timeout=LOOK_S) is Control.STOP:
                        return False
                except Empty:
                    pass
        finally:
            if full and self._waiting_room is not None:
                end([self._waiting_room], SENT_AWAY_S)

    def _open_waiting_room(self) -> None:
        if self._waiting_room is None:
            return
        try:
            self._waiting_room.start()
        except MbusgwError as error:
            log.warning("meanwhile nobody can be told so over HTTP: %s", error)

    def _wait(self, controls: Controls) -> Config | None:
        told_mono = time.monotonic()
        while True:
            try:
                control = controls.get(timeout=LOOK_S)
            except Empty:
                following = self._take_over() if self._file_changed() else None
            else:
                if control is Control.STOP:
                    return None
                following = self._answer(control) if isinstance(control, ReloadRequest) else self._take_over(asked=True)
            if following is not None:
                return following
            if time.monotonic() - told_mono >= STATUS_S:
                told_mono = time.monotonic()
                self._stages.retry()
                self._service.status(self._status())

    # -------------------------------------------------- reloads
    def _take_over(self, *, asked: bool = False) -> Config | None:
        """The configuration to start anew with; None if there is no need to, or it is wrong."""
        try:
            return _following(self._reloaded(asked=asked, anew=False))
        except MbusgwError as error:
            log.error("the changed configuration cannot be used; the old one stays in force: %s", error)
            return None

    def _answer(self, request: ReloadRequest) -> Config | None:
        """The same for somebody who waits for it."""
        if not request.future.set_running_or_notify_cancel():
            return None
        try:
            done = request.change() if request.change is not None else {}
            outcome = self._reloaded(asked=request.change is None, anew=request.anew)
        except MbusgwError as error:
            request.future.set_exception(error)
            return None
        request.future.set_result({**done, **outcome.document()})
        return _following(outcome)

    def _reloaded(self, *, asked: bool, anew: bool) -> Outcome:
        """Raises ``MbusgwError``. The service manager is told of the beginning and the end (sd_notify(3))."""
        self._service.reloading()
        restart = False
        try:
            outcome = self._reload(asked=asked, anew=anew)
            restart = outcome.starts_anew
            return outcome
        finally:
            if not restart:  # the next run says when it is ready
                self._service.ready(self._status())
                log.info("ready: %s", self._status())


def _following(outcome: Outcome) -> Config | None:
    return outcome.config if outcome.starts_anew else None
