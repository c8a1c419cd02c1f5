"""Requests over MQTT: ``mbus/bridge/request/<command>`` and the answers on ``mbus/bridge/response/<command>``."""
from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mbusgw.commands.bucket import Bucket
from mbusgw.commands.desk import Desk
from mbusgw.model.command import Task, error_document
from mbusgw.model.errors import MbusgwError, RequestError
from mbusgw.mqtt.client import Broker, Incoming
from mbusgw.mqtt.topics import Topics
from mbusgw.runtime import exactjson
from mbusgw.runtime.clock import Clock
from mbusgw.runtime.mailbox import Mailbox
from mbusgw.runtime.worker import Worker

log = logging.getLogger(__name__)

#: A longer request is answered with an error; none of it is kept.
MAX_BYTES = 64 * 1024
#: So many requests and pieces of news may wait for this thread.
WAITING = 100
#: So many requests a second are answered at all, refusals included; of a flood the rest is dropped.
ANSWERED_PER_S = 50.0
#: Progress of one task is told no more often.
PROGRESS_S = 1.0


@dataclass(frozen=True, slots=True)
class _Request:
    """What came; ``payload`` is None where it was too long to keep."""

    command: str
    payload: bytes | None
    retained: bool


@dataclass(slots=True)
class _Asker:
    """Who is told of one task: on which topic, and with which transaction."""

    command: str
    transaction: Any = None
    told_mono: float | None = None


@dataclass(frozen=True, slots=True)
class _News:
    asker: _Asker
    task: Task


class MqttCommands(Worker):
    """Takes requests from paho's thread, asks the desk, and answers.

    An answer is QoS 1 and not retained. It does not wait in the outbox: behind a backlog it would come when nobody
    waits for it any more; and it is dropped while the broker is away. A retained request would be carried out again at
    every connection, so it is answered with an error instead.
    ``received``, ``stop``: **any thread**; the rest: **own thread**
    """

    def __init__(self, desk: Desk, broker: Broker, topics: Topics, *, clock: Clock) -> None:
        super().__init__("mqtt-cmd", clock)
        self._desk = desk
        self._broker = broker
        self._topics = topics
        self._prefix = topics.request("")
        self._box: Mailbox[_Request | _News] = Mailbox(WAITING)
        self._bucket = Bucket(clock, rate_per_s=ANSWERED_PER_S, burst=WAITING)
        self._flooded = False
        self._dropped = 0

    # -------------------------------------------------- any thread
    def received(self, message: Incoming) -> None:
        """A message from the broker; those that are no requests are left alone. Only posts."""
        if not message.topic.startswith(self._prefix):
            return
        payload = message.payload if len(message.payload) <= MAX_BYTES else None
        if not self._box.offer(_Request(message.topic[len(self._prefix) :], payload, message.retained)):
            self._dropped += 1

    def stop(self) -> None:
        self._box.close()
        super().stop()

    # -------------------------------------------------- worker
    def step(self) -> None:
        """Answers one request, or tells one piece of news."""
        event = self._box.take(10.0)
        self._look_at_flood(calm=event is None)
        if isinstance(event, _News):
            self._tell(event.asker, event.task)
        elif event is not None:
            self._serve(event)

    def _look_at_flood(self, *, calm: bool) -> None:
        if self._dropped and not self._flooded:
            self._flooded = True
            log.warning("more requests come over MQTT than can be answered; some are dropped")
        elif self._flooded and calm:
            log.warning("requests come over MQTT at a bearable rate again; %d were dropped", self._dropped)
            self._flooded, self._dropped = False, 0

    def _serve(self, request: _Request) -> None:
        if not self._bucket.allow():
            self._dropped += 1
            return
        asker = _Asker(request.command)
        try:
            params = _parameters(request, asker)
        except MbusgwError as error:
            log.info("request %.60r over MQTT refused: %s", request.command, error)
            self._answer(asker, _failure(error))
            return
        try:
            task = self._desk.submit(request.command, params, lambda task: self._post(asker, task))
        except MbusgwError as error:  # the desk has said so in the log
            self._answer(asker, _failure(error))
        else:
            log.debug("request %s over MQTT is task %s", request.command, task.id)

    # -------------------------------------------------- answers
    def _post(self, asker: _Asker, task: Task) -> None:
        """Any thread: there is news of a task."""
        if not self._box.offer(_News(asker, task)):
            self._dropped += 1

    def _tell(self, asker: _Asker, task: Task) -> None:
        document: dict[str, Any] = {"status": "ok", "id": task.id}
        if not task.ended:
            now_mono = self.clock.mono()
            if asker.told_mono is not None and now_mono - asker.told_mono < PROGRESS_S:
                return
            asker.told_mono = now_mono
            document["progress"] = dict(task.progress)
        elif task.error is not None:
            document.update(_failure(task.error))
        else:
            document["state"] = task.state.value
            document["data"] = dict(task.result or {})
        self._answer(asker, document)

    def _answer(self, asker: _Asker, document: Mapping[str, Any]) -> None:
        if asker.transaction is not None:
            document = {**document, "transaction": asker.transaction}
        try:
            sent = self._broker.publish_aside(self._topics.response(asker.command), exactjson.dumps(document))
        except MbusgwError as error:  # no such topic can be published on
            log.warning("request %.60r over MQTT cannot be answered: %s", asker.command, error)
            return
        if not sent:
            log.info("the answer to request %s is dropped: the broker is away or does not take it", asker.command)


def _parameters(request: _Request, asker: _Asker) -> dict[str, Any]:
    """What is asked for; ``asker`` learns its transaction. Raises ``RequestError``."""
    if request.payload is None:
        raise RequestError(413, "too_long", f"a request has at most {MAX_BYTES} bytes")
    try:
        document = exactjson.loads(request.payload) if request.payload.strip() else {}
    except (ValueError, RecursionError) as error:
        raise RequestError(400, "bad_json", f"this is no JSON: {error}") from None
    if not isinstance(document, dict):
        raise RequestError(400, "bad_request", 'a request is a JSON object, such as {"transaction": 1}')
    asker.transaction = document.pop("transaction", None)
    if request.retained:
        raise RequestError(
            400, "retained", "a retained request is not carried out: it would be again at every connection"
        )
    return document


def _failure(error: MbusgwError) -> dict[str, Any]:
    """``error`` is the sentence, the rest of its document stands beside it."""
    document = error_document(error)
    return {"status": "error", "error": document.pop("message"), **document}
