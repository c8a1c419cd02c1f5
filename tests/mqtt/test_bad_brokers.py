"""Brokers that do not do what they should."""
from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import pytest

from mbusgw.config.models import MqttConfig
from mbusgw.mqtt.client import SILENCE_S, Broker
from mbusgw.mqtt.limits import packet_bytes
from mbusgw.mqtt.reasons import SESSION_TAKEN_OVER
from tests.fakes.broker import BadBroker, Close, Taken
from tests.simulator.memory import SkippingClock
from tests.wait import PATIENCE_S, wait_until


class Publisher:
    """A connection on a clock that a test may move on."""

    def __init__(self, bad: BadBroker, **options: object) -> None:
        self.clock = SkippingClock()
        config = MqttConfig.model_validate({"url": f"mqtt://127.0.0.1:{bad.port}", **options})
        self.broker = Broker(config, "gateway", clock=self.clock, will=("mbus/bridge/state", "offline"))

    def start(self) -> Publisher:
        self.broker.start()
        return self


@pytest.fixture
def publisher() -> Iterator[Callable[..., Publisher]]:
    made: list[Publisher] = []

    def make(bad: BadBroker, **options: object) -> Publisher:
        made.append(Publisher(bad, **options).start())
        return made[-1]

    yield make
    for one in made:
        one.broker.stop()
        assert one.broker.join(PATIENCE_S)


def test_one_that_never_answers_our_subscriptions_is_left(publisher: Callable[..., Publisher]) -> None:
    with BadBroker() as bad:
        bad.answers_subscriptions = False
        one = publisher(bad)
        wait_until(lambda: bad.connections == 1 and one.broker._accepted_mono is not None)
        one.broker.watch()
        assert not one.broker.connected and bad.connections == 1
        one.clock.advance(SILENCE_S)
        bad.answers_subscriptions = True
        one.broker.watch()
        wait_until(lambda: one.broker.connected)
        assert bad.connections == 2


@pytest.mark.slow
def test_what_was_under_way_when_the_connection_broke_is_forgotten_with_it(
    publisher: Callable[..., Publisher]
) -> None:
    def silent_at_first(taken: Taken) -> int | None:
        return None if taken.connection == 1 else 0

    with BadBroker(silent_at_first) as bad:
        one = publisher(bad)
        wait_until(lambda: one.broker.connected)
        assert one.broker.connection == 1
        # What is rung when the broker is back sends at once, in another thread or, as here, in paho's own.
        one.broker.on_up = lambda: None if one.broker.publish("t", "new", retain=True) else None
        for value in ("1", "2", "3"):
            one.broker.publish("t", value, retain=True)
        wait_until(lambda: len(bad.taken) == 3)
        one.broker.renew("it is silent")
        wait_until(lambda: one.broker.acks)
        assert bad.payloads() == ["1", "2", "3", "new"]
        assert one.broker.connection == 2 and one.broker.last_error is None
        assert one.broker.thrown_out is None, "we have ended it ourselves"


@pytest.mark.parametrize(
    ("reason", "words"), [(None, "Unspecified error"), (0x95, "Packet too large"), (0x8B, None), (0x96, None)]
)
def test_why_a_broker_has_ended_the_connection_is_kept_where_it_may_be_for_what_was_sent(
    publisher: Callable[..., Publisher], reason: int | None, words: str | None
) -> None:
    def end(_taken: Taken) -> int | None:
        raise Close(reason)

    with BadBroker(end) as bad:
        one = publisher(bad)
        wait_until(lambda: one.broker.connected)
        one.broker.thrown_out = "nothing"
        one.broker.publish("t", "x", retain=False)
        wait_until(lambda: not one.broker.connected)
        assert one.broker.thrown_out == words


@pytest.mark.slow
def test_another_client_with_our_name_is_told_once_and_not_fought(
    publisher: Callable[..., Publisher], caplog: pytest.LogCaptureFixture
) -> None:
    with BadBroker() as bad, caplog.at_level(logging.INFO, "mbusgw"):
        one = publisher(bad, reconnect_min=1, reconnect_max=2)
        for count in (1, 2, 3):
            wait_until(lambda: one.broker.connected and bad.connections == count)  # noqa: B023
            bad.disconnect(SESSION_TAKEN_OVER)
            rival = "another client has our client id 'gateway'"
            wait_until(lambda: not one.broker.connected and rival in str(one.broker.trouble))  # noqa: B023
        wait_until(lambda: one.broker.connected)
        assert "another client" in str(one.broker.trouble) and one.broker.last_error is None
        told = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
        one.clock.advance(3600)
        assert one.broker.trouble is None
    assert len(told) == 1 and "mqtt.client_id" in told[0]


def test_too_large_a_message_is_refused_before_it_is_sent(publisher: Callable[..., Publisher]) -> None:
    most = b"\x27" + (60).to_bytes(4, "big")
    with BadBroker(properties=most) as bad:
        one = publisher(bad)
        wait_until(lambda: one.broker.connected)
        fits = next(size for size in range(60, 0, -1) if packet_bytes("t", "x" * size) <= 60)
        with pytest.raises(Exception, match="Packet too large: 61 bytes, the broker takes 60"):
            one.broker.publish("t", "x" * (fits + 1), retain=False)
        one.broker.publish("t", "x" * fits, retain=False)
        wait_until(lambda: bad.payloads() == ["x" * fits])


def test_a_broker_that_knows_no_retained_messages_and_no_qos_1_gets_none(publisher: Callable[..., Publisher]) -> None:
    with BadBroker(properties=b"\x24\x00\x25\x00") as bad:
        one = publisher(bad)
        wait_until(lambda: one.broker.connected)
        assert one.broker.publish("t", "x", retain=True) is not None
        assert (one.broker.limits.qos, one.broker.limits.retain) == (0, False)
