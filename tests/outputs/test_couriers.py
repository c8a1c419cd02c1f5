"""All outputs together, exchanged while they work."""
from __future__ import annotations

from collections.abc import Iterator

import pytest

from mbusgw.config.loader import loads
from mbusgw.config.outputs import OutputConfig
from mbusgw.outputs.couriers import Couriers
from mbusgw.runtime.clock import SystemClock
from mbusgw.runtime.metrics import Metrics
from mbusgw.store import readings
from mbusgw.store.writer import Store
from tests.fakes.consumer import Consumer, Reply
from tests.fakes.stores import rows, write
from tests.fakes.telegrams import reading
from tests.wait import PATIENCE_S, wait_until


def configs(consumer: Consumer, *names: str, keys: str = "") -> tuple[OutputConfig, ...]:
    items = ", ".join(f"{{type: webhook, name: {name}, url: '{consumer.url}/{name}?secret=1'{keys}}}" for name in names)
    return loads(f"outputs: [{items}]", {}).outputs


@pytest.fixture
def couriers(store: Store, consumer: Consumer) -> Iterator[Couriers]:
    one = Couriers(
        configs(consumer, "a", "b"),
        store,
        gateway_id="mbusgw",
        hides=lambda _: False,
        metrics=Metrics(),
        clock=SystemClock(),
    )
    one.prepare()
    for courier in one.workers:
        courier.start()
    wait_until(lambda: all(courier.snapshot().position is not None for courier in one.workers))
    yield one
    for courier in one.workers:
        courier.stop()
    assert all(courier.join(PATIENCE_S) for courier in one.workers)


def add(store: Store, energy: int) -> None:
    write(store, lambda connection: readings.add(connection, reading(energy=energy)))


def posted(consumer: Consumer, name: str) -> int:
    return sum(one.path.startswith(f"/{name}?") for one in list(consumer.taken))


def test_every_output_gets_every_reading(couriers: Couriers, store: Store, consumer: Consumer) -> None:
    add(store, 1)
    wait_until(lambda: posted(consumer, "a") == posted(consumer, "b") == 1)


def test_one_that_is_away_does_not_hold_up_the_other(couriers: Couriers, store: Store, consumer: Consumer) -> None:
    consumer.answer = lambda request: Reply(0 if request.path.startswith("/a") else 204)
    for energy in range(3):
        add(store, energy)
    wait_until(lambda: posted(consumer, "b") == 3 and couriers.troubles()["a"])
    wait_until(lambda: couriers.waiting() == {"a": 3.0, "b": 0.0})
    assert couriers.documents()["a"] == {
        "type": "webhook",
        "server": consumer.url,
        "trouble": "no connection",
        "waiting": 3,
    }
    assert couriers.troubles()["b"] is None


def test_outputs_come_and_go_and_one_that_is_the_same_goes_on(
    couriers: Couriers, store: Store, consumer: Consumer
) -> None:
    a = couriers.workers[0]
    assert couriers.change(configs(consumer, "c", "a")) == ("b", "c")
    assert [courier.config.name for courier in couriers.workers] == ["c", "a"] and couriers.workers[1] is a
    wait_until(lambda: rows(store, "SELECT name FROM outputs ORDER BY name") == [("a",), ("c",)])
    add(store, 1)
    wait_until(lambda: posted(consumer, "a") == posted(consumer, "c") == 1)
    assert posted(consumer, "b") == 0


def test_one_whose_settings_change_goes_on_where_it_was(couriers: Couriers, store: Store, consumer: Consumer) -> None:
    consumer.answer = lambda _request: Reply(401)
    add(store, 1)
    wait_until(lambda: couriers.troubles()["a"] and couriers.troubles()["b"])
    consumer.answer = lambda _request: Reply(204 if "Authorization" in _request.headers else 401)
    assert couriers.change(configs(consumer, "a", "b", keys=", token: right")) == ("a", "b")
    wait_until(lambda: couriers.waiting() == {"a": 0.0, "b": 0.0})
    assert couriers.troubles() == {"a": None, "b": None}
