"""Asking over MQTT, with a real broker."""
from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import pytest

from mbusgw.commands.desk import Desk
from mbusgw.config.models import MqttConfig
from mbusgw.model.command import Document, Tell
from mbusgw.model.errors import NoAnswer
from mbusgw.mqtt.client import ASIDE_MAX, Broker, Incoming
from mbusgw.mqtt.commands import MAX_BYTES, WAITING, MqttCommands
from tests.fakes.clock import FakeClock
from tests.mosquitto import Mosquitto, Subscriber, subscribed
from tests.mqtt.house import CLOCK, TOPICS
from tests.wait import PATIENCE_S, wait_until

REQUEST, RESPONSE = "mbus/bridge/request/", "mbus/bridge/response/"


class Party:
    """A desk with one short and one long command, whoever asks, and what is answered."""

    def __init__(self, mosquitto: Mosquitto, subscriber: Subscriber) -> None:
        self.subscriber = subscriber
        self.futures: list[Future[Document]] = []
        self.tells: list[Tell] = []
        self.clock = FakeClock()
        desk = Desk(CLOCK)
        desk.add("echo", lambda given, _tell: {"given": given}, "answers what it was given")
        desk.add("long", self._work, "takes long")
        self.broker = Broker(
            MqttConfig.model_validate({"url": mosquitto.url}), "party", clock=CLOCK, subscriptions=[TOPICS.request("+")]
        )
        self.commands = MqttCommands(desk, self.broker, TOPICS, clock=self.clock)
        self.broker.on_message = self.commands.received

    def _work(self, _given: Document, tell: Tell) -> Future[Document]:
        self.tells.append(tell)
        self.futures.append(Future())
        return self.futures[-1]

    def ask(self, command: str, payload: object, *, retain: bool = False) -> None:
        text = payload if isinstance(payload, str) else json.dumps(payload)
        self.subscriber.publish(REQUEST + command, text, retain=retain)

    def answers(self, command: str) -> list[Any]:
        return [json.loads(text) for text in self.subscriber.payloads(RESPONSE + command)]

    def answer(self, command: str, number: int = 1) -> Any:
        return wait_until(lambda: len(self.answers(command)) >= number and self.answers(command)[number - 1])


@pytest.fixture
def party(mosquitto: Mosquitto) -> Iterator[Party]:
    with subscribed(mosquitto.port, RESPONSE + "#") as subscriber:
        party = Party(mosquitto, subscriber)
        party.broker.start()
        party.commands.start()
        wait_until(lambda: party.broker.connected)
        wait_until(lambda: party.answers("ready") or party.ask("ready", {}))  # answered: it has subscribed
        yield party
        party.commands.stop()
        party.broker.stop()
        assert party.commands.join(PATIENCE_S) and party.broker.join(PATIENCE_S)


def test_a_request_is_answered_with_its_transaction(party: Party) -> None:
    party.ask("echo", {"a": 1.5, "transaction": {"mine": [1]}})
    answer = party.answer("echo")
    assert answer.pop("id")
    assert answer == {"status": "ok", "state": "done", "data": {"given": {"a": 1.5}}, "transaction": {"mine": [1]}}
    assert not any(retained for _, _, retained in party.subscriber.messages), "an answer is not retained"


def test_progress_and_the_end_are_told_on_the_same_topic(party: Party) -> None:
    party.ask("long", {"transaction": 7})
    wait_until(lambda: party.tells)
    party.tells[0]({"percent": 10})
    first = party.answer("long")
    party.tells[0]({"percent": 20})  # at once: too often
    party.ask("echo", {})
    party.answer("echo")  # by now that was looked at
    party.clock.advance(2)
    party.tells[0]({"percent": 30})
    second = party.answer("long", 2)
    party.futures[0].set_result({"found": 2})
    last = party.answer("long", 3)
    assert [one.get("progress") for one in (first, second, last)] == [{"percent": 10}, {"percent": 30}, None]
    assert {one["transaction"] for one in (first, second, last)} == {7}
    assert last["status"] == "ok" and last["data"] == {"found": 2}


def test_work_that_fails_is_an_error_with_advice(party: Party) -> None:
    party.ask("long", "")
    wait_until(lambda: party.futures)[0].set_exception(NoAnswer("nobody is there", hint="look at the wiring"))
    answer = party.answer("long")
    assert answer.pop("id")
    assert answer == {"status": "error", "error": "nobody is there", "code": "no_answer", "hint": "look at the wiring"}


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ("{", "bad_json"),
        ("[1]", "bad_request"),
        ("5", "bad_request"),
        ('{"a": NaN', "bad_json"),
        ("[" * 50_000, "bad_json"),
        ("x" * (MAX_BYTES + 1), "too_long"),
        ("x" * 1_000_000, "too_long"),
    ],
    ids=["broken", "list", "number", "nan", "deep", "long", "megabyte"],
)
def test_what_is_no_request_is_answered_with_what_is_wrong(party: Party, payload: str, code: str) -> None:
    party.ask("echo", payload)
    answer = party.answer("echo")
    assert (answer["status"], answer["code"]) == ("error", code)


def test_an_unknown_command_is_answered_with_those_there_are(party: Party) -> None:
    party.ask("fly", {"transaction": 1})
    answer = party.answer("fly")
    assert answer["code"] == "unknown_command" and "echo, long" in answer["error"] and answer["transaction"] == 1


def test_a_refusal_is_one_line_in_the_log(party: Party, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    party.ask("fly", {})
    party.ask("echo", "{")
    party.answer("fly")
    party.answer("echo")
    refused = [record.getMessage() for record in caplog.records if "refused" in record.getMessage()]
    assert [line.partition(":")[0] for line in refused] == ["request 'fly' refused", "request 'echo' over MQTT refused"]


def test_a_retained_request_is_not_carried_out(party: Party) -> None:
    payload = b'{"transaction": 3}'
    party.commands.received(Incoming(REQUEST + "long", payload, retained=True))
    answer = party.answer("long")
    assert (answer["code"], answer["transaction"]) == ("retained", 3)
    assert party.futures == []


def test_a_flood_is_limited_and_the_next_request_is_served(party: Party) -> None:
    for _ in range(10 * WAITING):
        party.commands.received(Incoming(REQUEST + "echo", b"{}", retained=False))
    party.clock.advance(60)
    wait_until(lambda: any(one["status"] == "error" for one in party.answers("echo")))
    refused = [one["code"] for one in party.answers("echo") if one["status"] == "error"]
    assert set(refused) == {"too_many_requests"}

    def served() -> bool:
        party.clock.advance(60)
        party.ask("echo", {"transaction": "after"})
        return any(one["status"] == "ok" and one.get("transaction") == "after" for one in party.answers("echo"))

    wait_until(served)


def test_what_is_said_on_other_topics_is_left_alone(party: Party) -> None:
    party.commands.received(Incoming("homeassistant/status", b"online", retained=False))
    party.ask("echo", {"transaction": 1})
    assert party.answer("echo")["transaction"] == 1


@pytest.mark.slow
def test_answers_are_dropped_while_the_broker_is_away(party: Party, mosquitto: Mosquitto) -> None:
    party.ask("long", {})
    wait_until(lambda: party.futures)
    mosquitto.stop()
    wait_until(lambda: not party.broker.connected)
    assert party.broker.publish_aside("mbus/x", "y") is False
    party.futures[0].set_result({})
    mosquitto.start()
    wait_until(lambda: party.broker.connected)
    wait_until(lambda: party.answers("echo") or party.ask("echo", {}))
    assert party.answers("long") == []


def test_messages_that_nobody_acknowledges_are_bounded(party: Party) -> None:
    """More than the bound at once: some may be acknowledged meanwhile, but never is more kept than that."""
    sent = [party.broker.publish_aside("mbus/x", "y") for _ in range(3 * ASIDE_MAX)]
    half = ASIDE_MAX // 2  # answers to earlier requests may still be on their way
    assert sent[:half] == [True] * half
    assert len(party.broker._aside) <= ASIDE_MAX
