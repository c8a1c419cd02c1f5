"""The pool that answers, and the queues it takes from."""
from __future__ import annotations

import logging
import queue
from collections.abc import Callable, Sequence
from typing import Protocol

from mbusgw.model.errors import RequestError, Stopping
from mbusgw.runtime.clock import Clock
from mbusgw.runtime.worker import Worker
from mbusgw.web.conversations import Conversations, Job, Timing
from mbusgw.web.message import Request, Response, error_response, render

log = logging.getLogger(__name__)

#: Answers a request. It raises nothing on purpose: the router turns errors into answers.
Answer = Callable[[Request], Response]
AnswerMany = Callable[[Sequence[Request]], Sequence[Response]]
Jobs = queue.SimpleQueue[Job | None]


class Together(Protocol):
    """Answers several requests at once where that is cheaper than one by one. **any thread**"""

    def takes(self, request: Request) -> bool:
        """Is this one of those requests?"""

    def answer_together(self, requests: Sequence[Request]) -> Sequence[Response]:
        """One response each, in order."""


class Handler(Worker):
    """Answers what waits in its queue, up to ``group`` requests at once. **own thread**"""

    def __init__(
        self,
        number: int,
        jobs: Jobs,
        conversations: Conversations,
        answer: AnswerMany,
        *,
        group: int,
        clock: Clock,
        timing: Timing,
    ) -> None:
        super().__init__(f"http_{number}", clock)
        self._jobs = jobs
        self._conversations = conversations
        self._answer = answer
        self._group = group
        self._timing = timing

    def stop(self) -> None:
        super().stop()
        self._jobs.put(None)

    def step(self) -> None:
        """Takes what waits, answers it."""
        jobs = self._take()
        served = 0
        try:
            for job, response in zip(jobs, self._responses(jobs)):
                self._send(job, response)
                served += 1
        finally:
            for job in jobs[served:]:
                self._conversations.abandoned(job.connection)

    def _take(self) -> list[Job]:
        jobs: list[Job] = []
        try:
            while len(jobs) < self._group:
                job = self._jobs.get_nowait() if jobs else self._jobs.get(timeout=10)
                if job is None:
                    if not jobs:
                        raise Stopping
                    self._jobs.put(None)  # for the next round
                    break
                jobs.append(job)
        except queue.Empty:
            pass
        return jobs

    def _responses(self, jobs: Sequence[Job]) -> Sequence[Response]:
        if not jobs:
            return ()
        waited_s = self.clock.mono() - jobs[0].ready_mono
        if waited_s > self._timing.queue_s:  # the sender has given up by now; spare the work
            busy = error_response(RequestError(503, "busy", "too many requests wait", retry_after_s=1))
            return [busy] * len(jobs)
        requests = [job.request for job in jobs]
        try:
            return self._answer(requests)
        except Exception:  # the top of this thread: no request may end it
            log.exception("%s %.200r failed", requests[0].method, requests[0].path)
            failed = error_response(RequestError(500, "internal_error", "mbusgw failed here; its log says why"))
            return [failed] * len(jobs)

    def _send(self, job: Job, response: Response) -> None:
        keep_alive = job.request.keep_alive and not self._conversations.stopping
        data = render(
            response,
            epoch_s=int(self.clock.now().timestamp()),
            keep_alive=keep_alive,
            head_only=job.request.method == "HEAD",
        )
        if job.connection.send(data, close=not keep_alive, now_mono=self.clock.mono()):
            self._conversations.answered(job.connection)
        else:
            self._conversations.hand_back(job.connection)
