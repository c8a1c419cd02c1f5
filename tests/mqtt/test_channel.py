"""The connection below TLS and websockets."""
from __future__ import annotations

import socket

import pytest

from mbusgw.config.models import MqttConfig
from mbusgw.mqtt import channel
from mbusgw.mqtt.channel import Channel
from mbusgw.mqtt.client import Broker
from mbusgw.runtime.clock import SystemClock
from tests.fakes.workers import started
from tests.mosquitto import Mosquitto
from tests.wait import wait_until


def test_a_connection_that_is_cut_ends_for_both_sides() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        one = Channel()
        one.opened(ours)
        assert one.open
        one.cut()
        assert ours.recv(1) == b"" and theirs.recv(1) == b""
        one.closed()
        assert not one.open


def test_what_is_asked_of_a_connection_that_has_ended_is_no_error() -> None:
    one = Channel()
    one.hurry()
    one.cut()
    one.closed()
    ours, theirs = socket.socketpair()
    with theirs:
        one.opened(ours)
        ours.close()
    one.cut()
    one.hurry()  # this one is not even of TCP
    one.closed()


@pytest.mark.skipif(channel.QUICKACK is None, reason="the system has no such option")
def test_the_broker_is_not_kept_waiting_for_what_it_has_to_acknowledge_next(mosquitto: Mosquitto) -> None:
    broker = Broker(MqttConfig.model_validate({"url": mosquitto.url}), "alone", clock=SystemClock())
    at_once: list[int] = []

    def acknowledged() -> None:  # paho's thread, the only one that sends and receives
        connection = broker._client.socket()
        assert connection is not None and channel.QUICKACK is not None
        at_once.append(connection.getsockopt(socket.IPPROTO_TCP, channel.QUICKACK))
        # As after much talk to and fro: the system waits before it acknowledges anything.
        connection.setsockopt(socket.IPPROTO_TCP, channel.QUICKACK, 0)

    broker.on_ack = acknowledged
    with started(broker):
        wait_until(lambda: broker.connected)
        for number in range(20):
            broker.publish("t/burst", str(number), retain=False)
        wait_until(lambda: len(at_once) == 20)
        assert all(at_once)
