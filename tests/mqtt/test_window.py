"""Who hands over what, and how much at a time."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from mbusgw.config.models import MqttConfig
from mbusgw.mqtt.client import Broker
from mbusgw.mqtt.window import Window
from mbusgw.runtime.clock import SystemClock
from mbusgw.store.outbox import Waiting
from tests.fakes.broker import BadBroker, Taken
from tests.fakes.workers import started
from tests.wait import wait_until


@contextmanager
def connected(bad: BadBroker, **options: object) -> Iterator[tuple[Broker, Window]]:
    """A window on its first connection, and what it hands over to."""
    config = MqttConfig.model_validate({"url": f"mqtt://127.0.0.1:{bad.port}", **options})
    broker = Broker(config, "gateway", clock=SystemClock())
    window = Window(broker)
    broker.on_ack = window.answered
    with started(broker):
        wait_until(lambda: broker.connected)
        assert window.outdated and window.renew(0.0) == 0
        yield broker, window


def numbered(count: int, *, first: int = 1, topic: str = "t") -> list[Waiting]:
    return [Waiting(number, topic, str(number), False) for number in range(first, first + count)]


def payloads(count: int) -> list[str]:
    return [str(number) for number in range(1, count + 1)]


def silent(_taken: Taken) -> int | None:
    return None


def test_what_is_at_hand_goes_as_places_become_free_without_another_round_of_the_sender() -> None:
    with BadBroker() as bad, connected(bad, window=3) as (_, window):
        window.feed(numbered(300))
        assert window.fill(0.0) is None
        wait_until(lambda: len(bad.taken) == 300)
        assert bad.payloads() == payloads(300)
        assert (window.handed, window.ahead, window.under_way) == (300, 0, 300), "none is settled yet"


@pytest.mark.parametrize(
    ("properties", "options", "most"), [(b"", {"window": 7}, 7), (b"\x21\x00\x14", {}, 18), (b"\x21\x00\x01", {}, 1)]
)
def test_no_more_are_unacknowledged_than_we_want_and_the_broker_takes(
    properties: bytes, options: dict[str, object], most: int
) -> None:
    with BadBroker(silent, properties=properties) as bad, connected(bad, **options) as (broker, window):
        window.feed(numbered(50))
        assert window.fill(0.0) is None and window.fill(0.0) is None
        assert (window.handed, window.ahead) == (most, 50 - most)
        broker.publish("last", "", retain=False, qos=0)
        wait_until(lambda: bad.taken[-1:] and bad.taken[-1].topic == "last")
        assert len(bad.taken) == most + 1


def test_what_the_broker_owes_is_what_was_not_handed_over_or_not_acknowledged() -> None:
    def second_is_ignored(taken: Taken) -> int | None:
        return None if taken.payload == "2" else 0

    with BadBroker(second_is_ignored) as bad, connected(bad, window=3) as (broker, window):
        window.feed(numbered(3))
        assert all(window.owes(number) for number in (1, 2, 3))
        window.fill(0.0)
        wait_until(lambda: len(broker.acks) == 2)
        assert [window.owes(number) for number in (1, 2, 3, 4)] == [False, True, False, True]


def test_a_message_that_cannot_be_handed_over_waits_for_the_sender_who_takes_it_out() -> None:
    with BadBroker() as bad, connected(bad, window=2) as (_, window):
        window.feed([*numbered(9), Waiting(10, "t/#", "x", False), *numbered(5, first=11)])
        assert window.fill(0.0) is None
        wait_until(lambda: len(bad.taken) == 9)
        refusal = window.fill(0.0)
        assert refusal is not None and refusal.row_id == 10 and "Topic name invalid" in refusal.reason
        assert window.fill(0.0) is None
        wait_until(lambda: bad.payloads() == [*payloads(9), *[str(number) for number in range(11, 16)]])


@pytest.mark.slow
def test_on_a_new_connection_it_begins_with_the_first_that_was_not_settled() -> None:
    def takes_two(taken: Taken) -> int | None:
        return 0 if taken.connection > 1 or int(taken.payload) <= 2 else None

    with BadBroker(takes_two) as bad, connected(bad, window=5) as (broker, window):
        window.feed(numbered(20))
        window.fill(0.0)
        wait_until(lambda: len(bad.taken) == 7)
        for mid in (broker.acks.popleft().mid for _ in range(2)):
            assert window.settle(mid) is not None
        broker.renew("enough")
        wait_until(lambda: window.outdated)
        assert window.fill(0.0) is None and window.handed == 7
        assert window.renew(0.0) == 2 and (window.ahead, window.under_way) == (0, 0)
        window.feed(numbered(18, first=3))
        window.fill(0.0)
        wait_until(lambda: len(bad.taken) == 25)
        assert [int(one.payload) for one in bad.taken if one.connection == 2] == list(range(3, 21))


def test_paho_never_waits_for_the_turn_of_the_sender() -> None:
    with BadBroker() as bad, connected(bad, window=1) as (broker, window):
        told: list[bool] = []
        broker.on_ack = _told(window.answered, told)
        window.feed(numbered(3))
        with window._turn:
            window._hand_over()
            wait_until(lambda: told == [False])
        window.fill(0.0)
        wait_until(lambda: len(bad.taken) == 3)
        assert bad.payloads() == payloads(3)


def test_a_callback_of_a_connection_that_is_not_known_yet_hands_over_nothing() -> None:
    with BadBroker() as bad, connected(bad) as (broker, window):
        told: list[bool] = []
        broker.on_ack = _told(window.answered, told)
        window.feed(numbered(3))
        window._connection = 0  # as before ``renew``
        broker.publish("mbus/bridge/state", "online", retain=True)
        wait_until(lambda: told == [False])
        assert window.handed == 0


def _told(answered: Callable[[int], bool], told: list[bool]) -> Callable[[int], bool]:
    def listen(mid: int) -> bool:
        told.append(answered(mid))
        return told[-1]

    return listen
