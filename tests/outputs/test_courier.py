"""Readings on their way to an output."""
from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator

import pytest

from mbusgw.outputs.courier import DOUBTS, Courier
from mbusgw.store import outputs, retention
from mbusgw.store.retention import READINGS
from mbusgw.store.writer import Store
from tests.fakes.consumer import Consumer, Reply, Taken
from tests.fakes.stores import write
from tests.outputs.driven import INFLUX, WEBHOOK, Driven
from tests.wait import PATIENCE_S, wait_until


@pytest.fixture(params=[INFLUX, WEBHOOK], ids=["influx", "webhook"])
def driven(request: pytest.FixtureRequest, store: Store, consumer: Consumer) -> Iterator[Driven]:
    one = Driven(store, consumer, request.param)
    yield one
    one.close()


def energies(*bodies: str) -> list[int]:
    """What was posted, in order."""
    return [int(text) for body in bodies for text in re.findall(r'energy(?:=|":{"value":)(\d+)', body)]


def taken(consumer: Consumer) -> list[int]:
    return energies(*consumer.bodies())


def refusing(*bad: int) -> Callable[[Taken], Reply]:
    """Answers that refuse each request with one of these in it."""

    def answer(request: Taken) -> Reply:
        if set(bad) & set(energies(request.body.decode())):
            return Reply(400, '{"message": "field type conflict"}')
        good.extend(energies(request.body.decode()))
        return Reply()

    good: list[int] = []
    answer.good = good  # type: ignore[attr-defined]
    return answer


def set_aside(store: Store, name: str) -> list[tuple[str, str]]:
    reader = store.reader()
    try:
        return [(one["read_at"], one["reason"]) for one in outputs.set_aside(reader, name, 100)]
    finally:
        reader.close()


def test_readings_arrive_in_order_and_once(driven: Driven, consumer: Consumer) -> None:
    driven.add(*range(1, 30))
    driven.all_of_it()
    assert taken(consumer) == list(range(1, 30))
    driven.add(30)
    driven.all_of_it()
    assert taken(consumer) == list(range(1, 31))
    assert driven.counted("mbusgw_output_readings") == {"sent": 30}


def test_after_a_kill_it_goes_on_where_it_was_and_at_most_repeats_the_last(driven: Driven, consumer: Consumer) -> None:
    driven.add(1, 2, 3)
    driven.all_of_it()
    driven.kill()
    driven.add(4)
    driven.all_of_it()
    assert taken(consumer) == [1, 2, 3, 4]


@pytest.mark.parametrize("reply", [Reply(0), Reply(500), Reply(503), Reply(408), Reply(429)])
def test_what_is_away_or_busy_is_asked_again_and_nothing_is_lost(
    driven: Driven, consumer: Consumer, reply: Reply, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    consumer.answer = lambda _request: reply
    driven.add(1, 2)
    driven.step(3)
    assert driven.waiting() == 2 and driven.courier.snapshot().trouble
    consumer.taken.clear()
    consumer.answer = lambda _request: Reply()
    driven.all_of_it()
    assert taken(consumer) == [1, 2] and driven.courier.snapshot().trouble is None
    told = [record.getMessage() for record in caplog.records if record.name.startswith("mbusgw")]
    assert len(told) == 2 and "takes readings again after 3 failures" in told[1]


@pytest.mark.parametrize("status", [301, 401, 403, 404, 405])
def test_one_that_denies_everything_is_an_alarm_and_nothing_is_dropped(
    driven: Driven, consumer: Consumer, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    consumer.answer = lambda _request: Reply(status, "who are you?")
    driven.add(1, 2)
    driven.step(3)
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert f"HTTP {status}: who are you?" in record.getMessage()
    assert not any(secret in caplog.text for secret in ("influx-token", "hook-token", "/hook"))
    consumer.taken.clear()
    consumer.answer = lambda _request: Reply()
    driven.all_of_it()
    assert taken(consumer) == [1, 2]


def test_a_pause_that_is_asked_for_is_kept(driven: Driven, consumer: Consumer) -> None:
    consumer.answer = lambda _request: Reply(429, "", {"Retry-After": "120"})
    driven.add(1)
    driven.courier.step()
    assert driven.courier._again_mono - driven.clock.mono() == 120


def test_the_one_bad_reading_is_set_aside_and_all_others_arrive(driven: Driven, consumer: Consumer) -> None:
    consumer.answer = answer = refusing(7)
    driven.add(*range(1, 21))
    driven.all_of_it()
    good = answer.good  # type: ignore[attr-defined]
    assert good == [number for number in range(1, 21) if number != 7]
    ((read_at, reason),) = set_aside(driven.store, driven.config.name)
    assert read_at == "2026-03-01T12:07:00.000Z" and "field type conflict" in reason
    assert driven.counted("mbusgw_output_readings") == {"sent": 19, "set_aside": 1}
    assert driven.courier.snapshot().trouble is None


def test_a_reason_is_logged_once(driven: Driven, consumer: Consumer, caplog: pytest.LogCaptureFixture) -> None:
    consumer.answer = refusing(2, 5)
    driven.add(*range(1, 7))
    driven.all_of_it()
    assert len(set_aside(driven.store, driven.config.name)) == 2
    (record,) = caplog.records
    assert record.levelno == logging.ERROR and "field type conflict" in record.getMessage()


def test_many_bad_readings_cost_few_requests(store: Store, consumer: Consumer) -> None:
    driven = Driven(store, consumer, INFLUX)
    consumer.answer = refusing(100)
    driven.add(*range(1, 401))
    driven.all_of_it()
    driven.close()
    assert len(consumer.taken) < 40


def test_a_bad_reading_waits_until_another_was_taken_and_survives_a_kill(driven: Driven, consumer: Consumer) -> None:
    consumer.answer = refusing(1)
    driven.add(1)
    driven.step()
    assert set_aside(driven.store, driven.config.name) == [], "perhaps everything is refused"
    driven.kill()
    driven.add(2)
    driven.all_of_it()
    assert len(set_aside(driven.store, driven.config.name)) == 1


def test_one_that_refuses_every_reading_has_another_trouble_and_nothing_is_set_aside(
    driven: Driven, consumer: Consumer, caplog: pytest.LogCaptureFixture
) -> None:
    many = range(1, DOUBTS + 5)
    consumer.answer = refusing(*many)
    driven.add(*many)
    while driven.courier.snapshot().trouble is None:
        driven.step()
    assert "it refuses every reading: HTTP 400" in (driven.courier.snapshot().trouble or "")
    assert any(record.levelno == logging.ERROR for record in caplog.records)
    consumer.taken.clear()
    consumer.answer = answer = refusing()
    driven.all_of_it()
    assert answer.good == list(many)  # type: ignore[attr-defined]
    assert set_aside(driven.store, driven.config.name) == []


def test_a_meter_of_which_every_reading_is_refused_holds_up_no_other(driven: Driven, consumer: Consumer) -> None:
    bad = [number for number in range(1, 4 * DOUBTS) if number % 13]
    consumer.answer = answer = refusing(*bad)
    for number in range(1, 4 * DOUBTS):
        driven.add(number, device="broken" if number in bad else "whole")
    driven.all_of_it()
    assert list(dict.fromkeys(sorted(answer.good))) == [13, 26, 39]  # type: ignore[attr-defined]
    assert len(set_aside(driven.store, driven.config.name)) == len(bad)
    assert driven.counted("mbusgw_output_readings") == {"sent": 3, "set_aside": len(bad)}


def test_what_was_refused_until_somebody_put_the_server_right_is_not_missing(
    driven: Driven, consumer: Consumer
) -> None:
    many = list(range(1, DOUBTS))
    consumer.answer = refusing(*many)
    driven.add(*many)
    while len(driven.courier._doubts) < 5:
        driven.step()
    consumer.answer = answer = refusing()
    driven.add(DOUBTS)
    driven.all_of_it()
    assert sorted(answer.good) == [*many, DOUBTS]  # type: ignore[attr-defined]
    assert set_aside(driven.store, driven.config.name) == []


def test_while_those_that_were_refused_are_tried_once_more_the_server_may_go_away(
    driven: Driven, consumer: Consumer
) -> None:
    consumer.answer = answer = refusing(1, 2)
    driven.add(1, 2, 3)
    while not driven.courier._suspects:
        driven.step()
    consumer.answer = lambda _request: Reply(503)
    driven.step(3)
    assert driven.courier.snapshot().trouble and driven.waiting() == 3
    consumer.answer = answer
    driven.all_of_it()
    assert answer.good == [3] and driven.courier.snapshot().trouble is None  # type: ignore[attr-defined]
    assert len(set_aside(driven.store, driven.config.name)) == 2


def test_the_readings_of_hidden_meters_are_left_out(driven: Driven, consumer: Consumer) -> None:
    driven.hidden.add("neighbour")
    driven.add(1)
    driven.add(2, device="neighbour")
    driven.add(3)
    driven.add(4, device="neighbour")
    driven.all_of_it()
    assert taken(consumer) == [1, 3]


def test_readings_that_the_history_has_forgotten_hold_up_nothing(driven: Driven, consumer: Consumer) -> None:
    driven.add(1, 2, 3)
    write(driven.store, lambda connection: retention.forget(connection, READINGS, 1, 9))
    driven.all_of_it()
    assert taken(consumer) == [2, 3]
    driven.add(4)
    write(driven.store, lambda connection: retention.forget(connection, READINGS, 4, 9))
    driven.all_of_it()
    assert taken(consumer) == [2, 3]


def test_what_cannot_be_written_down_is_written_later(
    driven: Driven, consumer: Consumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    driven.add(1)
    driven.step()
    with monkeypatch.context() as patch:
        patch.setattr(outputs, "advance", lambda *_: lambda connection: connection.execute("no SQL"))
        driven.add(2)
        driven.step()
    driven.add(3)
    driven.step()
    driven.kill()
    assert taken(consumer) == [1, 2, 3] and driven.waiting() == 0


def test_a_server_that_never_answers_costs_its_timeout(store: Store, consumer: Consumer) -> None:
    driven = Driven(store, consumer, WEBHOOK.replace("timeout: 5", "timeout: 0.2"))
    consumer.answer = lambda _request: Reply() if consumer.released.wait(PATIENCE_S) else Reply()
    driven.add(1)
    driven.step()
    assert driven.courier.snapshot().trouble == "no answer in time"
    driven.close()


def test_the_thread_sends_what_is_committed_and_ends_when_told(store: Store, consumer: Consumer) -> None:
    driven = Driven(store, consumer, WEBHOOK)
    courier: Courier = driven.courier
    store.on_commit(courier.ring)
    courier.start()
    driven.add(1)
    wait_until(lambda: taken(consumer) == [1])
    driven.add(2)
    wait_until(lambda: taken(consumer) == [1, 2])
    courier.stop()
    assert courier.join(PATIENCE_S)
    driven.kill()
    assert driven.waiting() == 0, "at the end it wrote down how far it had got"
    driven.close()
