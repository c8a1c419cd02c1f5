"""The one table of what can be asked, and the memory of what was."""
from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from dataclasses import replace

from mbusgw.commands.bucket import Bucket
from mbusgw.model.command import Command, Document, Operation, Task, TaskState, Tell
from mbusgw.model.errors import MbusgwError, RequestError
from mbusgw.runtime.clock import Clock

log = logging.getLogger(__name__)

#: How many requests are remembered, and how many may be at work at once.
KEPT = 100
RUNNING_MAX = 32
#: So many requests a second in the long run, and so many at once.
RATE_PER_S = 10.0
BURST = 30

#: Told every change of one task, in whatever thread made it; must not block.
OnChange = Callable[[Task], None]


class _Entry:
    """One task, who follows it, and the end of it."""

    __slots__ = ("follow", "future", "over", "task", "wish")

    def __init__(self, task: Task, follow: OnChange) -> None:
        self.task = task
        self.follow = follow
        self.over = threading.Event()  # nobody need wait any more
        self.future: Future[Document] | None = None
        self.wish = False  # to be cancelled


class Desk:
    """Takes requests, has the work done, remembers the last ones. **any thread**

    ``add`` is for building the house, before anybody asks. Nothing here blocks but ``wait``. Too many requests a second
    or at once are refused; a request that was refused is not remembered.
    """

    def __init__(
        self, clock: Clock, *, rate_per_s: float = RATE_PER_S, burst: int = BURST, running_max: int = RUNNING_MAX
    ) -> None:
        self._clock = clock
        self._bucket = Bucket(clock, rate_per_s=rate_per_s, burst=burst)
        self._running_max = running_max
        self._commands: dict[str, Command] = {}
        self._lock = threading.Lock()
        self._closed = False
        self._entries: dict[str, _Entry] = {}

    # -------------------------------------------------- the table
    def add(
        self, name: str, operation: Operation, summary: str, *, cancel: Callable[[], bool] | None = None
    ) -> None:
        """A new row. Raises ``ValueError`` for a name that is taken."""
        if name in self._commands:
            raise ValueError(f"there is a command {name} already")
        self._commands[name] = Command(name, operation, summary, cancel)

    @property
    def commands(self) -> tuple[Command, ...]:
        """The rows."""
        return tuple(self._commands.values())

    # -------------------------------------------------- requests
    def submit(self, name: str, params: Document, on_change: OnChange | None = None) -> Task:
        """Begins the work; the task as it is then, which may be its end already.

        ``on_change`` is told every change from then on, the last one when it has ended. Raises ``RequestError``
        404 (no such command), 429 (too many), 503 (closed), and whatever the operation refuses the request with.
        """
        entry = _Entry(Task(secrets.token_hex(8), name, self._clock.now()), on_change or _ignore)
        try:
            command = self._admitted(name)
            outcome = command.operation(params, self._tell(entry))
        except MbusgwError as error:
            log.info("request %.60r refused: %s", name, error)
            raise
        self._remember(entry)
        log.info("%s %s: %s", name, entry.task.id, _summary(params))
        if isinstance(outcome, Future):
            entry.future = outcome
            outcome.add_done_callback(lambda future: self._ended(entry, future))
        else:
            self._change(entry, TaskState.DONE, result=outcome)
        return entry.task

    def get(self, task_id: str) -> Task:
        """The task as it is now. Raises ``RequestError`` 404 for one that is not remembered."""
        return self._entry(task_id).task

    def tasks(self) -> list[Task]:
        """Those remembered, the oldest first."""
        with self._lock:
            return [entry.task for entry in self._entries.values()]

    def wait(self, task_id: str, timeout_s: float) -> Task:
        """Waits until the task has ended, or ``timeout_s``; the task as it is then. Raises ``RequestError`` 404."""
        entry = self._entry(task_id)
        if not self._closed:
            entry.over.wait(max(0.0, timeout_s))
        return entry.task

    def cancel(self, task_id: str) -> Task:
        """Asks the work to end; it may take a while to. Raises ``RequestError`` 404, or 409 where it cannot be."""
        entry = self._entry(task_id)
        command, future = self._commands[entry.task.command], entry.future
        entry.wish = True  # first: the end may come before the next line
        stopped = command.cancel() if command.cancel is not None else future is not None and future.cancel()
        if not stopped and not entry.task.ended:
            entry.wish = False
            raise RequestError(409, "not_cancelled", f"{command.name} is at work and cannot be stopped half way")
        return entry.task

    def close(self) -> None:
        """Nothing new is begun, and nobody waits any more."""
        self._closed = True
        with self._lock:
            entries = list(self._entries.values())
        for entry in entries:
            entry.over.set()

    # -------------------------------------------------- entries
    def _admitted(self, name: str) -> Command:
        command = self._commands.get(name)
        if command is None:
            raise RequestError(404, "unknown_command", f"there is no command {name[:40]!r}; {self._known()}")
        if self._closed:
            raise RequestError(503, "stopping", "mbusgw is stopping", retry_after_s=10)
        self._bucket.take()
        self._check_room()
        return command

    def _check_room(self) -> None:
        with self._lock:
            running = sum(not one.task.ended for one in self._entries.values())
        if running >= self._running_max:
            raise RequestError(429, "busy", f"{running} requests are at work already", retry_after_s=5)

    def _remember(self, entry: _Entry) -> None:
        with self._lock:
            ended = [one.task.id for one in self._entries.values() if one.task.ended]
            for task_id in ended[: max(0, len(self._entries) - KEPT + 1)]:  # those at work stay
                del self._entries[task_id]
            self._entries[entry.task.id] = entry

    def _entry(self, task_id: str) -> _Entry:
        with self._lock:
            entry = self._entries.get(task_id)
        if entry is None:
            raise RequestError(404, "unknown_task", "no such task is remembered; only the last ones are")
        return entry

    def _known(self) -> str:
        return f"there are {', '.join(sorted(self._commands)) or 'none'}"

    # -------------------------------------------------- what happens
    def _tell(self, entry: _Entry) -> Tell:
        return lambda progress: self._change(entry, TaskState.RUNNING, progress=progress)

    def _ended(self, entry: _Entry, future: Future[Document]) -> None:
        try:
            result = future.result()
        except CancelledError:
            self._change(entry, TaskState.CANCELLED)
        except MbusgwError as error:
            self._change(entry, TaskState.FAILED, error=error)
        else:
            self._change(entry, TaskState.CANCELLED if entry.wish else TaskState.DONE, result=result)
        finally:  # a mistake of ours: whoever waits must not wait for ever
            if not entry.task.ended:
                self._change(entry, TaskState.FAILED, error=MbusgwError("mbusgw failed here; its log says why"))

    def _change(
        self,
        entry: _Entry,
        state: TaskState,
        *,
        progress: Document | None = None,
        result: Document | None = None,
        error: MbusgwError | None = None,
    ) -> None:
        with self._lock:
            before = entry.task
            if before.ended:
                return  # news of work that has ended
            known = before.progress if progress is None else progress
            entry.task = after = replace(before, state=state, progress=known, result=result, error=error)
        if after.ended:
            entry.over.set()
            log.info("%s %s: %s", after.command, after.id, after.error or after.state.value)
        entry.follow(after)


def _summary(params: Document) -> str:
    text = ", ".join(f"{name}={value!r}" for name, value in params.items())
    return text if len(text) <= 200 else f"{text[:197]}..."


def _ignore(_task: Task) -> None:
    pass
