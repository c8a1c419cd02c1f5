"""The connection alone."""
from __future__ import annotations

import logging
import socket

import pytest

from mbusgw.config.models import MqttConfig
from mbusgw.mqtt.client import Broker
from mbusgw.runtime.clock import SystemClock
from tests.mosquitto import Mosquitto
from tests.wait import PATIENCE_S, wait_until


@pytest.mark.slow
def test_a_broker_that_is_away_from_the_start_is_one_warning_and_no_error(caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket() as nobody_listens:
        nobody_listens.bind(("127.0.0.1", 0))
        config = MqttConfig.model_validate({"url": f"mqtt://127.0.0.1:{nobody_listens.getsockname()[1]}"})
        broker = Broker(config, "alone", clock=SystemClock())
        with caplog.at_level(logging.DEBUG, "mbusgw"):
            broker.start()
            wait_until(lambda: sum("Connection failed" in text for text in caplog.messages) >= 3)
            broker.stop()
            assert broker.join(PATIENCE_S)
    told = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(told) == 1 and "cannot be reached" in told[0]


def test_a_pause_before_the_next_try_keeps_no_stop_from_being_a_clean_one() -> None:
    with socket.socket() as nobody_listens:
        nobody_listens.bind(("127.0.0.1", 0))
        config = MqttConfig.model_validate({"url": f"mqtt://127.0.0.1:{nobody_listens.getsockname()[1]}"})
        broker = Broker(config, "alone", clock=SystemClock())
        broker.start()
        wait_until(lambda: broker.last_error is not None)
        broker.stop()
        assert broker.join(0)


@pytest.mark.slow
def test_a_connection_that_is_reset_is_one_warning_and_no_error(
    caplog: pytest.LogCaptureFixture, mosquitto: Mosquitto
) -> None:
    broker = Broker(MqttConfig.model_validate({"url": mosquitto.url}), "alone", clock=SystemClock())
    with caplog.at_level(logging.INFO, "mbusgw"):
        broker.start()
        wait_until(lambda: broker.connected)
        # What paho says when its next read fails; whether it meets a reset or an orderly end is a matter of timing.
        logging.getLogger("mbusgw.paho").error("failed to receive on socket: %s", "Connection reset by peer")
        mosquitto.stop()
        wait_until(lambda: not broker.connected)
        mosquitto.start()
        wait_until(lambda: broker.connected)
        broker.stop()
        assert broker.join(PATIENCE_S)
    told = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(told) == 1 and "the connection broke: the broker or the network has ended it" in told[0]
