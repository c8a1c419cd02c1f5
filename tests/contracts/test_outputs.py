"""What every kind of output keeps to: each row of their table, against a real web server."""
from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from mbusgw.config.outputs import OutputConfig
from mbusgw.outputs.kinds import KINDS
from tests.fakes.consumer import Consumer, Reply
from tests.fakes.stores import running_store
from tests.outputs.driven import INFLUX, WEBHOOK, Driven

#: An output of each kind, as a person writes it.
SAMPLES = {"influx": INFLUX, "webhook": WEBHOOK}


@pytest.fixture
def consumer() -> Iterator[Consumer]:
    with Consumer() as consumer:
        yield consumer


@pytest.fixture(params=list(KINDS))
def driven(request: pytest.FixtureRequest, consumer: Consumer, tmp_path: Path) -> Iterator[Driven]:
    with running_store(tmp_path / "mbusgw.db") as store:
        one = Driven(store, consumer, SAMPLES[request.param])
        yield one
        one.close()


def test_every_type_of_the_configuration_is_a_row_of_the_table() -> None:
    types = {get_args(model.model_fields["type"].annotation)[0] for model in get_args(OutputConfig)}
    assert types == KINDS.keys() == SAMPLES.keys()


#: Values that stand in a body for nothing else.
FIRST, SECOND, THIRD, OTHER = 70011, 70012, 70013, 70014


def places(consumer: Consumer, *energies: int) -> list[int]:
    """Where they stand in what was posted."""
    text = "".join(consumer.bodies())
    return [text.index(str(energy)) for energy in energies]


def test_every_reading_arrives_in_order_with_whose_it_is_and_with_the_secret(
    driven: Driven, consumer: Consumer
) -> None:
    driven.add(FIRST, SECOND, THIRD)
    driven.add(OTHER, device="meter_2")
    driven.all_of_it()
    found = places(consumer, FIRST, SECOND, THIRD, OTHER)
    assert found == sorted(found)
    assert all(word in "".join(consumer.bodies()) for word in ("meter_1", "meter_2", "12345678", "ELS", "gas"))
    assert all(one.headers["Authorization"].endswith("-token") for one in consumer.taken)


def test_what_was_not_taken_is_there_after_a_kill(driven: Driven, consumer: Consumer) -> None:
    consumer.answer = lambda _request: Reply(503)
    driven.add(FIRST, SECOND)
    driven.step(2)
    driven.kill()
    consumer.taken.clear()
    consumer.answer = lambda _request: Reply(200, "thank you")
    driven.all_of_it()
    first, second = places(consumer, FIRST, SECOND)
    assert first < second


def test_one_bad_reading_does_not_stop_the_others(driven: Driven, consumer: Consumer) -> None:
    consumer.answer = lambda request: Reply(400 if str(SECOND).encode() in request.body else 204)
    driven.add(FIRST, SECOND, THIRD)
    driven.all_of_it()
    assert driven.counted("mbusgw_output_readings") == {"sent": 2, "set_aside": 1}


def test_nothing_that_is_logged_or_shown_has_a_secret(
    driven: Driven, consumer: Consumer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for status in (0, 400, 401, 503, 204):
        consumer.answer = lambda _request, status=status: Reply(status)
        driven.add(FIRST)
        driven.step(2 if status == 400 else 1)
    assert "-token" not in caplog.text + repr(driven.courier.snapshot()) + repr(driven.config)
