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
from tests.mosquitto import Mosquitto, subscribed
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
    acknowledged: list[int] = []

    def wait(mid: int) -> bool:  # paho's thread
        # As after much talk to and fro: the system waits before it acknowledges anything.
        connection().setsockopt(socket.IPPROTO_TCP, channel.QUICKACK, 0)
        acknowledged.append(mid)
        return False

    def connection() -> socket.socket:
        found = broker._client.socket()
        assert isinstance(found, socket.socket)
        return found

    broker.on_ack = wait
    with started(broker):
        wait_until(lambda: broker.connected)
        for number in range(20):
            mid = broker.publish("t/burst", str(number), retain=False)
            wait_until(lambda: acknowledged[-1:] == [mid])  # noqa: B023
            wait_until(lambda: connection().getsockopt(socket.IPPROTO_TCP, channel.QUICKACK))


@pytest.mark.skipif(channel.CORK is None, reason="the system has no such option")
def test_what_is_gathered_leaves_when_all_is_written() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as ours:
        one = Channel()
        one.opened(ours)
        for _ in range(2):
            one.gather()
            one.gather()
            assert ours.getsockopt(socket.IPPROTO_TCP, channel.CORK)
            one.release()
            assert not ours.getsockopt(socket.IPPROTO_TCP, channel.CORK)
        one.gather()
        one.closed()
        one.release()


@pytest.mark.skipif(channel.CORK is None, reason="the system has no such option")
def test_nothing_that_takes_the_place_of_what_was_acknowledged_is_kept_back(mosquitto: Mosquitto) -> None:
    broker = Broker(MqttConfig.model_validate({"url": mosquitto.url}), "alone", clock=SystemClock())
    rest = list(range(50))

    def follow(_mid: int) -> bool:
        return bool(rest) and broker.publish("t/next", str(rest.pop(0)), retain=False) is not None

    broker.on_ack = follow
    with started(broker):
        with subscribed(mosquitto.port, "t/next") as subscriber:
            wait_until(lambda: broker.connected)
            broker.publish("t/first", "x", retain=False)
            wait_until(lambda: len(subscriber.messages) == 50)
        connection = broker._client.socket()
        assert isinstance(connection, socket.socket)
        wait_until(lambda: not connection.getsockopt(socket.IPPROTO_TCP, channel.CORK))
