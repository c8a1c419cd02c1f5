"""How others learn that the gateway has gone, and that a quick restart is not that."""
from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from mbusgw.config.models import MqttConfig
from mbusgw.mqtt.client import Broker
from mbusgw.runtime.clock import SystemClock
from tests.mosquitto import Mosquitto, subscribed
from tests.wait import PATIENCE_S, wait_until

STATE = "mbus/bridge/state"
#: Long enough for a machine that stands still for a while, short enough to wait for.
DELAY_S = 6


@pytest.fixture
def made(mosquitto: Mosquitto) -> Iterator[Callable[..., Broker]]:
    brokers: list[Broker] = []

    def make(client_id: str = "gateway", topic: str = STATE, **options: object) -> Broker:
        config = MqttConfig.model_validate({"url": mosquitto.url, **options})
        broker = Broker(config, client_id, clock=SystemClock(), will=(topic, "offline"))
        brokers.append(broker)
        broker.start()
        wait_until(lambda: broker.connected)
        return broker

    yield make
    for broker in brokers:
        end(broker)


def end(broker: Broker) -> None:
    broker.stop()
    assert broker.join(PATIENCE_S)


@pytest.mark.slow
def test_a_stop_for_good_is_told_when_the_wills_delay_is_over(
    made: Callable[..., Broker], mosquitto: Mosquitto
) -> None:
    with subscribed(mosquitto.port, STATE) as others:
        broker = made(will_delay=1)
        broker.publish(STATE, "online", retain=True)
        wait_until(lambda: others.last(STATE) == "online")
        broker.say_goodbye()
        end(broker)
        wait_until(lambda: others.payloads(STATE) == ["online", "offline"])


def test_without_a_delay_it_is_told_at_once(made: Callable[..., Broker], mosquitto: Mosquitto) -> None:
    with subscribed(mosquitto.port, STATE) as others:
        broker = made(will_delay=0)
        broker.say_goodbye()
        end(broker)
        wait_until(lambda: others.payloads(STATE) == ["offline"])


def test_with_mqtt_3_a_stop_for_good_is_told_at_once_and_is_the_last_word(
    made: Callable[..., Broker], mosquitto: Mosquitto
) -> None:
    with subscribed(mosquitto.port, STATE) as others:
        broker = made(protocol="3.1.1")
        broker.publish(STATE, "online", retain=True)
        broker.say_goodbye()
        assert broker.publish(STATE, "online", retain=True) is None
        end(broker)
        wait_until(lambda: others.payloads(STATE) == ["online", "offline"])


def test_with_mqtt_3_a_restart_by_ourselves_is_not_told(made: Callable[..., Broker], mosquitto: Mosquitto) -> None:
    with subscribed(mosquitto.port, STATE) as others:
        end(made(protocol="3.1.1"))
        made(protocol="3.1.1").publish(STATE, "online", retain=True)
        wait_until(lambda: others.payloads(STATE) == ["online"])


@pytest.mark.slow
def test_a_restart_within_the_wills_delay_is_not_told_to_anybody(
    made: Callable[..., Broker], mosquitto: Mosquitto
) -> None:
    with subscribed(mosquitto.port, STATE, "witness") as others:
        for _ in range(3):
            broker = made(will_delay=DELAY_S)
            broker.publish(STATE, "online", retain=True)
            broker.say_goodbye()
            end(broker)
        made(will_delay=DELAY_S)
        # Whose will has the same delay, and is told after ours would have been.
        witness = made("witness", "witness", will_delay=DELAY_S + 1)
        end(witness)
        wait_until(lambda: others.last("witness") == "offline")
        assert set(others.payloads(STATE)) == {"online"}


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_who_vanishes_is_told_by_the_broker(made: Callable[..., Broker], mosquitto: Mosquitto, protocol: str) -> None:
    with subscribed(mosquitto.port, STATE) as others:
        broker = made(protocol=protocol, will_delay=0)
        broker.renew("the connection is cut")
        wait_until(lambda: others.last(STATE) == "offline")
        wait_until(lambda: broker.connected)
