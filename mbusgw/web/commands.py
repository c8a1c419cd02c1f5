"""``/v1/admin/commands``: asking something of the running gateway, and looking what became of it."""
from __future__ import annotations

import math
import threading
from functools import partial
from typing import Any

from mbusgw.commands.desk import Desk
from mbusgw.model.command import Task, TaskState, error_document, status_of
from mbusgw.model.errors import RequestError
from mbusgw.web.admin import NO_STORE, guarded, json_object
from mbusgw.web.message import Request, Response, json_response
from mbusgw.web.router import Route

PATH = "/v1/admin/commands"
#: How long a request may wait for the end of the work, and how many may at once: each holds a handler.
WAIT_MAX_S = 25.0
WAITING_MAX = 4


class CommandRoutes:
    """Asks the desk for an administrator. **any thread**

    ``?wait=SECONDS`` waits for the end of the work, for so long at most, and not at all where too many wait already.
    """

    def __init__(self, desk: Desk, token: str | None, *, waiting_max: int = WAITING_MAX) -> None:
        self._desk = desk
        self._token = token
        self._slots = threading.BoundedSemaphore(waiting_max)

    def routes(self) -> list[Route]:
        """The rows for the table."""
        admin = partial(guarded, token=self._token)
        return [
            Route("GET", PATH, admin(self.list), "what can be asked, and what was lately (admin)"),
            Route("POST", f"{PATH}/{{name}}", admin(self.submit), "ask for it; ?wait=SECONDS for the result (admin)"),
            Route("GET", f"{PATH}/{{name}}", admin(self.get), "what became of a task, by its id; ?wait= (admin)"),
            Route("DELETE", f"{PATH}/{{name}}", admin(self.cancel), "stop a task, by its id (admin)"),
            Route("POST", "/trigger-scan", admin(self.scan), "search a bus for meters: the command scan (admin)"),
        ]

    def list(self, _request: Request) -> Response:
        """The table, and the last tasks."""
        commands = [{"command": one.name, "what": one.summary} for one in self._desk.commands]
        tasks = [task.document() for task in self._desk.tasks()]
        return json_response(200, {"commands": commands, "tasks": tasks}, headers=NO_STORE)

    def submit(self, request: Request) -> Response:
        """200 with the result, or 202 with the task that is still at work."""
        return self._submit(request, request.names["name"], _wait_s(request))

    def scan(self, request: Request) -> Response:
        """202: a scan takes minutes."""
        return self._submit(request, "scan", 0.0)

    def get(self, request: Request) -> Response:
        """The task; 200 whatever became of it."""
        task = self._wait(self._desk.get(request.names["name"]), _wait_s(request))
        return json_response(200, task.document(), headers=NO_STORE)

    def cancel(self, request: Request) -> Response:
        """202: it ends soon; 200: it has."""
        task = self._desk.cancel(request.names["name"])
        return json_response(200 if task.ended else 202, task.document(), headers=NO_STORE)

    def _submit(self, request: Request, command: str, wait_s: float) -> Response:
        task = self._wait(self._desk.submit(command, _parameters(request)), wait_s)
        if task.error is not None:
            return _failed(task)
        if task.state is TaskState.DONE and task.result is not None:
            return json_response(200, dict(task.result), headers=NO_STORE)
        headers = {**NO_STORE, "Location": f"{PATH}/{task.id}"}
        return json_response(202, task.document(), headers=headers)

    def _wait(self, task: Task, wait_s: float) -> Task:
        if task.ended or wait_s <= 0 or not self._slots.acquire(blocking=False):
            return task
        try:
            return self._desk.wait(task.id, wait_s)
        finally:
            self._slots.release()


def _parameters(request: Request) -> dict[str, Any]:
    return json_object(request) if request.body.strip() else {}


def _wait_s(request: Request) -> float:
    text = request.query.get("wait", "0")
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise RequestError(400, "bad_request", "wait is a number of seconds", field="wait")
    return min(seconds, WAIT_MAX_S)


def _failed(task: Task) -> Response:
    """The same form as every other error; ``id`` names the task."""
    assert task.error is not None
    document = error_document(task.error)
    document = {"error": document.pop("code"), **document, "id": task.id}
    return json_response(status_of(task.error), document, headers=NO_STORE)
