"""The only writer of the database: everything that waits goes into one commit."""
from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from mbusgw.model.errors import MbusgwError, StoreBusy, StoreError
from mbusgw.model.ports import Write
from mbusgw.runtime.clock import Clock
from mbusgw.runtime.condition import Condition
from mbusgw.runtime.mailbox import Mailbox
from mbusgw.runtime.worker import Worker
from mbusgw.store import database
from mbusgw.store.lock import DatabaseLock

log = logging.getLogger(__name__)

T = TypeVar("T")

#: Units of work in one commit. More would not be faster, only slower to answer the first.
GROUP = 256


class _Unit(NamedTuple):
    writes: tuple[Write, ...]
    future: Future[list[Any]]


class Store(Worker):
    """Owns the database file and the thread that writes to it.

    ``submit`` takes a unit of work: functions that get the connection. A unit is done whole
    or not at all; its future gets their results once it is on the disk (group commit,
    ``synchronous=FULL``), or the error. One unit's error does not touch the others of its
    commit. ``open``, ``close``: the main thread. ``submit``, ``reader``, ``count``: **any thread**
    """

    def __init__(self, path: Path, *, clock: Clock, waiting: int = 20_000) -> None:
        super().__init__("store", clock)
        self.path = path
        self.last_error: StoreError | None = None
        self._condition = Condition(log, f"database {path}", clock, level=logging.ERROR)
        self._lock = DatabaseLock(path)
        self._units: Mailbox[_Unit] = Mailbox(waiting)
        self._connection: sqlite3.Connection | None = None
        self._counters: dict[str, int] = {}
        self._listeners: list[Callable[[], None]] = []

    # -------------------------------------------------- the main thread
    def open(self) -> None:
        """Opens the file and brings its schema up to date. Raises ``StoreError``."""
        self._lock.acquire()
        try:
            self._connection = database.open_writer(self.path)
            self._counters = self._read_counters()
        except StoreError:
            self._lock.release()
            raise

    def prepare(self, write: Callable[[sqlite3.Connection], T]) -> T:
        """Changes the database before anybody works with it, overwriting what that replaces.

        Between ``open`` and ``start``. Raises ``StoreError``.
        """
        assert self._connection is not None
        try:
            return database.rewrite(self._connection, write)
        except sqlite3.Error as error:
            raise database.translate(error) from error

    def scrub(self) -> None:
        """Takes earlier versions of what is stored out of the file, as far as that can be done quickly.

        Between ``open`` and ``start``.
        """
        assert self._connection is not None
        database.scrub(self._connection)

    def on_commit(self, listener: Callable[[], None]) -> None:
        """``listener`` is called in the store's thread after each commit; it must not block."""
        self._listeners.append(listener)

    def stop(self) -> None:
        """Accepts nothing more; what was accepted is still written."""
        self._units.close()  # before the thread can see the stop: what it no longer takes must be refused
        super().stop()

    def close(self) -> None:
        """Closes the file, once the thread has ended."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._lock.release()

    # -------------------------------------------------- anyone
    def submit(self, *writes: Write) -> Future[list[Any]]:
        """Queues a unit of work; never blocks. A full queue or a closed store fails the future with ``StoreBusy``."""
        future: Future[list[Any]] = Future()
        if not self._units.offer(_Unit(writes, future)):
            reason = "the store is closed" if self._units.closed else "too much waits to be written"
            future.set_exception(StoreBusy(reason))
        return future

    def check(self) -> None:
        """Raises the ``StoreError`` of the last commit, if that failed."""
        if self.last_error is not None:
            raise self.last_error

    def reader(self) -> sqlite3.Connection:
        """A new read-only connection; the caller closes it. Raises ``StoreError``."""
        return database.open_reader(self.path)

    def count(self, name: str) -> int:
        """How many rows wait: ``outbox``, ``telemetry`` (the part of it that is not retained), ``spare`` (the part
        of that which may be thinned out), ``backlog``; how many messages are ``set_aside``; how many were ever
        ``queued``, ``coalesced`` (replaced while they waited) and ``thinned``;
        the id of the newest of ``readings``."""
        return self._counters.get(name, 0)

    # -------------------------------------------------- own thread
    def _run(self) -> None:
        super()._run()
        self._finish()

    def step(self) -> None:
        """One commit for all that wait."""
        first = self._units.take(5.0)
        if first is not None:
            self._commit([first, *self._units.drain(GROUP - 1)])

    def _finish(self) -> None:
        """Writes what was accepted before the stop."""
        while rest := self._units.drain(GROUP):
            self._commit(rest)

    def _commit(self, taken: list[_Unit]) -> None:
        assert self._connection is not None, "open() comes before start()"
        units = [unit for unit in taken if unit.future.set_running_or_notify_cancel()]
        try:
            outcomes = self._transaction(units)
        except sqlite3.Error as error:
            self._roll_back()
            self.last_error = database.translate(error)
            self._condition.failed(self.last_error)
            outcomes = [self.last_error] * len(units)
        else:
            self.last_error = None
            self._condition.cleared("works again")
        for unit, outcome in zip(units, outcomes):
            if isinstance(outcome, Exception):
                unit.future.set_exception(outcome)
            else:
                unit.future.set_result(outcome)
        if self.last_error is None:  # or who tries again when told would do so as fast as a full disk refuses
            for listener in self._listeners:
                listener()

    def _transaction(self, units: list[_Unit]) -> list[list[Any] | Exception]:
        assert self._connection is not None
        self._connection.execute("BEGIN IMMEDIATE")
        outcomes = [self._apply(unit) for unit in units]
        counters = self._read_counters()
        self._connection.execute("COMMIT")
        self._counters = counters
        return outcomes

    def _apply(self, unit: _Unit) -> list[Any] | Exception:
        """Runs one unit in a savepoint. An error of its own is returned, one that spoils the transaction raised."""
        assert self._connection is not None
        self._connection.execute("SAVEPOINT unit")
        try:
            results = [write(self._connection) for write in unit.writes]
        except sqlite3.Error as error:
            if database.spoils_transaction(error):
                raise
            self._connection.execute("ROLLBACK TO unit")
            return database.translate(error)
        except MbusgwError as error:  # the unit itself refuses, e.g. because a limit is reached
            self._connection.execute("ROLLBACK TO unit")
            return error
        except Exception as error:  # a mistake of ours in one unit must not fail the others
            self._connection.execute("ROLLBACK TO unit")
            log.exception("a unit of work failed")
            return error
        self._connection.execute("RELEASE unit")
        return results

    def _roll_back(self) -> None:
        assert self._connection is not None
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except sqlite3.Error as error:  # whoever waits for the outcome must still get it
            log.error("the transaction cannot be taken back: %s", error)

    def _read_counters(self) -> dict[str, int]:
        assert self._connection is not None
        # Every message and every reading ever stored had its own id.
        return dict(
            self._connection.execute(
                "SELECT name, value FROM counters"
                " UNION ALL SELECT iif(name = 'mqtt_queue', 'queued', name), seq FROM sqlite_sequence"
                " WHERE name IN ('mqtt_queue', 'readings')"
            )
        )
