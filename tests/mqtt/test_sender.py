"""From the outbox to a real broker and back."""
from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from mbusgw.config.models import MqttConfig
from mbusgw.mqtt import standing
from mbusgw.mqtt.client import Broker
from mbusgw.mqtt.sender import GATHER_S, SILENCE_S, Sender
from mbusgw.runtime.clock import SystemClock
from mbusgw.runtime.metrics import Metrics
from mbusgw.store import arrivals, outbox, telegrams
from mbusgw.store.outbox import Message
from mbusgw.store.telegrams import Status
from mbusgw.store.writer import Store
from tests.fakes.broker import BadBroker, Close, Taken, accept
from tests.fakes.clock import FakeClock
from tests.fakes.stores import rows, write
from tests.fakes.telegrams import received
from tests.mosquitto import Mosquitto, subscribed
from tests.simulator.memory import MovableClock, SkippingClock
from tests.wait import PATIENCE_S, wait_until

CLOCK = SystemClock()


class Lane:
    """Store, broker connection and sender, as the daemon has them; ``clock`` goes, and a test may move it on."""

    def __init__(self, path: Path, port: int, *, clock: MovableClock | None = None, **options: object) -> None:
        self.clock = clock or SkippingClock()
        self.metrics = Metrics()
        self.store = Store(path, clock=CLOCK)
        self.store.open()
        config = MqttConfig.model_validate({"url": f"mqtt://127.0.0.1:{port}", **options})
        self.broker = Broker(config, f"test-{port}", clock=self.clock, will=("mbus/bridge/state", "offline"))
        self.sender = Sender(self.broker, self.store, metrics=self.metrics, clock=self.clock)
        self.broker.on_up = self.sender.ring
        self.broker.on_ack = self.sender.acknowledged
        self.store.on_commit(self.sender.committed)
        self.store.start()
        self.sender.start()
        self.broker.start()

    def put(self, *messages: Message) -> None:
        self.store.submit(outbox.enqueue(messages, CLOCK.now())).result(PATIENCE_S)

    def close(self) -> None:
        self.broker.stop()
        for worker in (self.sender, self.store):
            worker.stop()
            assert worker.join(PATIENCE_S)
        self.store.close()


@pytest.fixture
def lane(tmp_path: Path, mosquitto: Mosquitto) -> Iterator[Callable[..., Lane]]:
    lanes: list[Lane] = []

    def make(*, clock: MovableClock | None = None, **options: object) -> Lane:
        lanes.append(Lane(tmp_path / "test.db", mosquitto.port, clock=clock, **options))
        return lanes[-1]

    yield make
    for one in lanes:
        one.close()


def deaf_at_first(taken: Taken) -> int | None:
    """Acknowledges nothing on its first connection."""
    return None if taken.connection == 1 else 0


def numbered(count: int, *, topic: str = "t/readings") -> list[Message]:
    return [Message(topic, str(number), retain=False) for number in range(count)]


def take_broker_away(one: Lane, mosquitto: Mosquitto) -> None:
    """Once it was connected; what is put from then on waits."""
    wait_until(lambda: one.broker.connected)
    mosquitto.stop()
    wait_until(lambda: not one.broker.connected)


@pytest.mark.parametrize("protocol", [5, 4])
def test_messages_arrive_in_order_and_leave_the_outbox(
    lane: Callable[..., Lane], mosquitto: Mosquitto, protocol: int
) -> None:
    with subscribed(mosquitto.port, "t/#") as subscriber:
        one = lane(protocol=protocol)
        one.put(*numbered(500))
        wait_until(lambda: one.store.count("outbox") == 0)
        wait_until(lambda: len(subscriber.messages) >= 500)
        assert subscriber.payloads("t/readings") == [str(number) for number in range(500)]
        assert b'mqtt_publish_total{result="success"} 500.0' in one.metrics.render()


@pytest.mark.slow
def test_what_waits_while_the_broker_is_away_arrives_in_order_when_it_is_back(
    lane: Callable[..., Lane], mosquitto: Mosquitto
) -> None:
    one = lane()
    take_broker_away(one, mosquitto)
    one.put(*numbered(300))
    assert one.store.count("outbox") == 300
    mosquitto.start()
    with subscribed(mosquitto.port, "t/#") as subscriber:
        wait_until(lambda: subscriber.last("t/readings") == "299")
        received = [int(payload) for payload in subscriber.payloads("t/readings")]
    # The subscriber may have come after the first ones; from there on none is missing and none is out of order.
    assert received == list(range(300))[300 - len(received) :]
    wait_until(lambda: one.sender.idle)


@pytest.mark.slow
def test_an_outage_in_the_middle_loses_nothing(lane: Callable[..., Lane], mosquitto: Mosquitto) -> None:
    one = lane()
    with subscribed(mosquitto.port, "t/#") as subscriber:
        for number in range(3000):
            one.put(Message(f"t/{number}", str(number), retain=True))
            if number == 1500:
                mosquitto.stop()
                mosquitto.start()
        wait_until(lambda: one.sender.idle)
        wait_until(lambda: len({topic for topic, _, _ in subscriber.messages}) == 3000)


@pytest.mark.slow
def test_of_a_retained_topic_only_the_newest_waiting_value_is_sent(
    lane: Callable[..., Lane], mosquitto: Mosquitto
) -> None:
    one = lane()
    take_broker_away(one, mosquitto)
    for value in ("1", "2", "3"):
        one.put(Message("t/value", value, retain=True), Message("t/telemetry", value, retain=False))
    assert one.store.count("outbox") == 4
    mosquitto.start()
    wait_until(lambda: one.sender.idle)
    with subscribed(mosquitto.port, "t/value") as subscriber:
        wait_until(lambda: subscriber.messages)
        assert subscriber.messages == [("t/value", "3", True)]


def test_what_the_last_run_left_is_sent_by_the_next(tmp_path: Path, mosquitto: Mosquitto) -> None:
    store = Store(tmp_path / "test.db", clock=CLOCK)
    store.open()
    store.start()
    store.submit(outbox.enqueue(numbered(10), CLOCK.now())).result(PATIENCE_S)
    store.stop()
    assert store.join(PATIENCE_S)
    store.close()
    with subscribed(mosquitto.port, "t/#") as subscriber:
        next_run = Lane(tmp_path / "test.db", mosquitto.port)
        try:
            wait_until(lambda: len(subscriber.payloads("t/readings")) == 10)
        finally:
            next_run.close()


def test_a_topic_no_broker_would_take_is_set_aside_and_the_next_message_goes_on(
    lane: Callable[..., Lane], mosquitto: Mosquitto
) -> None:
    with subscribed(mosquitto.port, "t/#") as subscriber:
        one = lane()
        one.put(Message("t/#/wrong", "x", retain=False), Message("t/right", "y", retain=False))
        wait_until(lambda: subscriber.payloads("t/right"))
        wait_until(lambda: one.store.count("outbox") == 0)
        assert b'mqtt_publish_total{result="failure"} 1.0' in one.metrics.render()


def test_the_will_is_told_when_the_process_vanishes(lane: Callable[..., Lane], mosquitto: Mosquitto) -> None:
    one = lane(protocol=4)  # without the delay that MQTT 5 allows
    wait_until(lambda: one.broker.connected)
    with subscribed(mosquitto.port, "mbus/bridge/state") as subscriber:
        sock = one.broker._client.socket()
        assert sock is not None
        one.broker._client.reconnect_delay_set(30, 30)
        sock.shutdown(2)
        wait_until(lambda: subscriber.last("mbus/bridge/state") == "offline")


@pytest.mark.slow
def test_wrong_credentials_are_said_and_messages_are_kept_until_they_are_taken(tmp_path: Path) -> None:
    folder = tmp_path / "locked"
    folder.mkdir()
    broker = Mosquitto(folder, extra="allow_anonymous false\n")
    broker.start()
    one = Lane(tmp_path / "test.db", broker.port, username="meter", password="wrong")
    try:
        one.put(*numbered(3))
        wait_until(lambda: one.broker.last_error and "refuses" in one.broker.last_error)
        assert one.store.count("outbox") == 3
        assert "wrong" not in str(one.broker.last_error)
        broker.stop()
        broker.configure("allow_anonymous false", "allow_anonymous true")
        broker.start()
        wait_until(lambda: one.store.count("outbox") == 0)
    finally:
        one.close()
        broker.stop()


@pytest.mark.slow
def test_acknowledged_messages_that_cannot_be_removed_at_once_are_removed_later(
    lane: Callable[..., Lane], mosquitto: Mosquitto
) -> None:
    one = lane()
    take_broker_away(one, mosquitto)
    one.put(Message("t/value", "1", retain=True))
    other = sqlite3.connect(one.store.path, isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")  # another program holds the database: the deletion fails
        mosquitto.start()
        wait_until(lambda: one.store.last_error is not None)
    finally:
        other.close()
    assert one.store.count("outbox") == 1
    wait_until(lambda: one.store.count("outbox") == 0)
    assert b'mqtt_publish_total{result="success"} 1.0' in one.metrics.render()


@pytest.mark.slow
def test_a_refusal_that_cannot_be_noted_at_once_does_not_become_an_acknowledgement(
    lane: Callable[..., Lane], mosquitto: Mosquitto
) -> None:
    one = lane()
    write(
        one.store,
        lambda connection: arrivals.insert(connection, [received("t1")], dedup_window_s=None),
        telegrams.settle("t1", Status.PARSED, meter_id=None),
    )
    take_broker_away(one, mosquitto)
    one.put(Message("t/#/wrong", "x", retain=False, ingest_id="t1"))
    other = sqlite3.connect(one.store.path, isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        mosquitto.start()
        wait_until(lambda: one.store.last_error is not None)
    finally:
        other.close()
    wait_until(lambda: one.store.count("outbox") == 0)
    assert rows(one.store, "SELECT status FROM telegrams") == [("failed",)]


# ------------------------------------------------------------------ acknowledgements are gathered
def published(one: Lane, count: int) -> bool:
    return f'mqtt_publish_total{{result="success"}} {count}.0'.encode() in one.metrics.render()


def test_what_the_broker_took_one_by_one_leaves_the_outbox_in_one_commit(lane: Callable[..., Lane]) -> None:
    one = lane(clock=FakeClock())
    for message in numbered(10):
        one.put(message)
    wait_until(lambda: published(one, 10))
    assert one.store.count("outbox") == 10
    commits: list[None] = []
    one.store.on_commit(lambda: commits.append(None))
    one.clock.advance(GATHER_S)
    wait_until(lambda: one.sender.idle)
    assert len(commits) == 1


def test_at_the_end_nothing_is_gathered(lane: Callable[..., Lane]) -> None:
    one = lane(clock=FakeClock())
    one.put(*numbered(10))
    wait_until(lambda: published(one, 10))
    one.sender.hasten()
    wait_until(lambda: one.sender.quiet.is_set())
    one.put(*numbered(10))
    wait_until(lambda: one.sender.idle)


def test_messages_that_wait_for_a_place_in_the_window_do_not_wait_for_more_acknowledgements(
    lane: Callable[..., Lane], mosquitto: Mosquitto
) -> None:
    with subscribed(mosquitto.port, "t/#") as subscriber:
        one = lane(clock=FakeClock(), window=2)
        one.put(*numbered(300))
        wait_until(lambda: len(subscriber.messages) >= 300)
        assert subscriber.payloads("t/readings") == [str(number) for number in range(300)]


# ------------------------------------------------------------------ brokers that behave badly
@pytest.mark.parametrize(
    ("reason", "words"),
    [(0x87, "Not authorized"), (0x90, "Topic name invalid"), (0x97, "Quota exceeded")],
)
def test_what_the_broker_refuses_is_set_aside_told_once_and_the_rest_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, reason: int, words: str
) -> None:
    def refuse_some(taken: Taken) -> int | None:
        return reason if taken.topic == "t/bad" else 0

    with BadBroker(refuse_some) as bad, caplog.at_level("ERROR", "mbusgw"):
        one = Lane(tmp_path / "test.db", bad.port)
        try:
            one.put(*[Message(f"t/{'bad' if number % 3 == 0 else 'good'}", str(number), False) for number in range(30)])
            wait_until(lambda: one.store.count("outbox") == 0)
            assert rows(one.store, "SELECT DISTINCT reason, topic FROM set_aside") == [(words, "t/bad")]
            assert one.store.count("set_aside") == 10
            assert [int(payload) for payload in bad.payloads()] == list(range(30))
        finally:
            one.close()
    assert sum(words in text for text in caplog.messages) == 1


def test_a_broker_that_takes_one_message_at_a_time_gets_all_in_order(tmp_path: Path) -> None:
    with BadBroker(properties=b"\x21\x00\x01") as bad, closing(Lane(tmp_path / "test.db", bad.port)) as one:
        wait_until(lambda: one.broker.connected)
        assert one.broker.window == 1
        one.put(*numbered(50))
        wait_until(lambda: len(bad.taken) == 50)
        assert [int(payload) for payload in bad.payloads()] == list(range(50))


def test_too_large_a_message_is_set_aside_without_being_sent(tmp_path: Path) -> None:
    with BadBroker(properties=b"\x27\x00\x00\x00\x50") as bad, closing(Lane(tmp_path / "test.db", bad.port)) as one:
        one.put(Message("t/1", "x" * 100, False), Message("t/2", "y", False))
        wait_until(lambda: one.store.count("outbox") == 0)
        assert bad.payloads() == ["y"]
        ((reason,),) = rows(one.store, "SELECT reason FROM set_aside")
        assert reason == "Packet too large: 110 bytes, the broker takes 80"


@pytest.mark.slow
def test_a_broker_that_never_acknowledges_gets_a_new_connection_and_all_in_order(tmp_path: Path) -> None:
    with BadBroker(deaf_at_first) as bad, closing(Lane(tmp_path / "test.db", bad.port)) as one:
        one.put(*numbered(5))
        wait_until(lambda: len(bad.taken) == 5)
        assert bad.connections == 1
        one.clock.advance(SILENCE_S[0])
        one.sender.ring()
        wait_until(lambda: one.store.count("outbox") == 0)
        assert bad.payloads()[5:] == [str(number) for number in range(5)] and bad.connections == 2


@pytest.mark.slow
def test_a_broker_that_closes_after_every_tenth_message_gets_all_in_order(tmp_path: Path) -> None:
    served: dict[int, int] = {}

    def ten_each(taken: Taken) -> int | None:
        served[taken.connection] = served.get(taken.connection, 0) + 1
        if served[taken.connection] > 10:
            raise Close
        return 0

    with BadBroker(ten_each) as bad, closing(Lane(tmp_path / "test.db", bad.port)) as one:
        one.put(*numbered(35))
        wait_until(lambda: one.store.count("outbox") == 0)
        first = list(dict.fromkeys(int(payload) for payload in bad.payloads()))
        assert first == list(range(35)) and bad.connections >= 4


class Picky:
    """Takes all but what is longer than ten characters; ``refuse`` is what it does then."""

    def __init__(self, refuse: Callable[[], int | None]) -> None:
        self._refuse = refuse

    def __call__(self, taken: Taken) -> int | None:
        return self._refuse() if len(taken.payload) > 10 else 0


def close() -> int | None:
    raise Close


def disconnect() -> int | None:
    raise Close(0x95)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second between two connections."""
    monkeypatch.setattr(standing, "UNREACHABLE_S", (0.1, 0.1))


def announced(one: Lane) -> None:
    """On each connection the bridge's own state is told first, as the daemon does."""

    def up() -> None:
        one.broker.publish("mbus/bridge/state", "online", retain=True)
        one.sender.ring()

    one.broker.on_up = up


@pytest.mark.slow
@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("protocol", "refuse", "words"),
    [
        (4, close, "Unspecified error"),
        (5, disconnect, "Packet too large"),
        (5, lambda: 0x95, ""),  # a reason that no PUBACK may have: paho ends the connection itself
    ],
)
def test_a_message_for_which_the_broker_ends_every_connection_is_set_aside_and_all_others_arrive_in_order(
    tmp_path: Path, protocol: int, refuse: Callable[[], int | None], words: str
) -> None:
    with BadBroker(Picky(refuse)) as bad, closing(Lane(tmp_path / "test.db", bad.port, protocol=protocol)) as one:
        announced(one)
        wait_until(lambda: one.broker.connected)
        good = [Message("t/good", str(number), False) for number in range(30)]
        one.put(*good[:10], Message("t/bad", "x" * 20, False), *good[10:])
        wait_until(lambda: one.store.count("outbox") == 0)
        assert one.store.count("set_aside") == 1
        ((topic, reason),) = rows(one.store, "SELECT topic, reason FROM set_aside")
        assert topic == "t/bad" and reason.startswith("the connection ends with it: 3 times") and words in reason
        arrived = [int(taken.payload) for taken in bad.taken if taken.topic == "t/good"]
        assert list(dict.fromkeys(arrived)) == list(range(30))
        # The next of its kind is not tried again, a smaller one is.
        before = bad.connections
        one.put(Message("t/bad", "y" * 20, True), Message("t/bad", "short", False))
        wait_until(lambda: one.store.count("outbox") == 0)
        assert one.store.count("set_aside") == 2 and bad.connections == before
        assert bad.payloads()[-1] == "short"


@pytest.mark.slow
@pytest.mark.usefixtures("impatient")
def test_a_broker_that_takes_nothing_at_all_makes_no_message_guilty(tmp_path: Path) -> None:
    with BadBroker(lambda _taken: close()) as bad, closing(Lane(tmp_path / "test.db", bad.port)) as one:
        announced(one)
        one.put(*numbered(3))
        wait_until(lambda: bad.connections >= 6)
        assert one.store.count("set_aside") == 0 and one.store.count("outbox") == 3
        bad.answer = accept
        wait_until(lambda: one.store.count("outbox") == 0)


@pytest.mark.slow
@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(("window", "protocol"), [(100, 5), (3, 4)])
def test_a_broker_that_refuses_some_and_ends_connections_at_random_gets_all_in_order(
    tmp_path: Path, window: int, protocol: int
) -> None:
    chance, refused = random.Random(1), set[str]()

    def whim(taken: Taken) -> int | None:
        if chance.random() < 0.006:
            raise Close
        if protocol == 5 and taken.topic == "t/readings" and chance.random() < 0.01:
            refused.add(taken.payload)
            return 0x87
        return 0

    with BadBroker(whim, properties=b"\x21\x00\x14") as bad:
        one = Lane(tmp_path / "test.db", bad.port, window=window, protocol=protocol)
        announced(one)
        try:
            one.put(*numbered(250), Message("t/#", "x", retain=False), *numbered(500)[250:])
            wait_until(lambda: one.store.count("outbox") == 0)
            arrived = [int(taken.payload) for taken in bad.taken if taken.topic == "t/readings"]
            assert list(dict.fromkeys(arrived)) == list(range(500)) and bad.connections > 1
            assert {payload for payload, in rows(one.store, "SELECT payload FROM set_aside")} <= {"x", *refused}
            assert rows(one.store, "SELECT count(*) FROM set_aside WHERE payload = 'x'") == [(1,)]
        finally:
            one.close()


@pytest.mark.slow
def test_what_was_replaced_while_it_was_under_way_is_not_sent_again(tmp_path: Path) -> None:
    with BadBroker(deaf_at_first) as bad, closing(Lane(tmp_path / "test.db", bad.port)) as one:
        one.put(Message("t/value", "old", True), Message("t/other", "x", True))
        wait_until(lambda: len(bad.taken) == 2)
        one.put(Message("t/value", "new", True))
        wait_until(lambda: len(bad.taken) == 3)
        bad.disconnect(0x8B)
        wait_until(lambda: one.store.count("outbox") == 0)
        assert bad.payloads() == ["old", "x", "new", "x", "new"]
