"""What can be asked of a running gateway, and what became of it: the same words for MQTT, HTTP and the command line."""
from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from types import MappingProxyType
from typing import Any

from mbusgw.model.errors import ConfigError, MbusgwError, RequestError

#: A document: what a command is given, tells while it works, and answers.
Document = Mapping[str, Any]
#: Told how far the work is. **any thread**
Tell = Callable[[Document], None]
#: Does what a command asks for. Called in the asker's thread, so it must not block: long work returns a future.
#: Raises ``RequestError`` for what is wrong with the parameters, and any other ``MbusgwError``.
Operation = Callable[[Document, Tell], Document | Future[Document]]

#: The status of an answer to work that was accepted and failed: nothing is wrong with the request.
FAILED_STATUS = 503
_NOTHING: Document = MappingProxyType({})
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


@dataclass(frozen=True, slots=True)
class Command:
    """One row of the table. **immutable**

    ``cancel`` asks the running work to end, and says whether there was any; without it only work that
    has not begun can be cancelled.
    """

    name: str
    operation: Operation
    summary: str
    cancel: Callable[[], bool] | None = None


class TaskState(str, Enum):
    """What became of one request."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Task:
    """One request at one moment. **immutable**

    ``progress`` is what the work told last. ``result`` is there when it is done (of a cancelled one: what there
    was until then), ``error`` when it failed.
    """

    id: str
    command: str
    started_at: datetime
    state: TaskState = TaskState.RUNNING
    progress: Document = field(default_factory=lambda: _NOTHING)
    result: Document | None = None
    error: MbusgwError | None = None

    @property
    def ended(self) -> bool:
        """Nothing more comes."""
        return self.state is not TaskState.RUNNING

    def document(self) -> dict[str, Any]:
        """For HTTP: everything, ``result`` and ``error`` only where they are."""
        document: dict[str, Any] = {
            "id": self.id,
            "command": self.command,
            "state": self.state.value,
            "started_at": self.started_at,
            "progress": dict(self.progress),
        }
        if self.result is not None:
            document["result"] = dict(self.result)
        if self.error is not None:
            document["error"] = {**error_document(self.error), "status": status_of(self.error)}
        return document


def error_document(error: MbusgwError) -> dict[str, Any]:
    """``{code, message}`` with ``hint``, ``field`` and ``problems`` where there are any.

    ``code`` is a word for programs: the request error's own, or the kind of error (``no_answer``).
    """
    code = error.code if isinstance(error, RequestError) else kind_of(type(error))
    document: dict[str, Any] = {"code": code, "message": str(error)}
    if error.hint:
        document["hint"] = error.hint
    if isinstance(error, RequestError) and error.field is not None:
        document["field"] = error.field
    if isinstance(error, ConfigError):
        document["problems"] = [str(problem) for problem in error.problems]
    return document


def kind_of(error: type[MbusgwError]) -> str:
    """The word for a kind of error: ``no_answer``."""
    return _HUMP.sub("_", error.__name__).lower()


def status_of(error: MbusgwError) -> int:
    """The HTTP status that tells of ``error``."""
    return error.status if isinstance(error, RequestError) else FAILED_STATUS
