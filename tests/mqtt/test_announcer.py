"""What Home Assistant is told, when, and in which order, through a real broker."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from mbusgw.model.device import DeviceState
from mbusgw.model.errors import RequestError
from mbusgw.model.meter import MeterIdentity
from mbusgw.model.quantity import QUANTITIES
from mbusgw.model.record import Record
from mbusgw.mqtt.ledger import ON_THEIR_WAY
from mbusgw.registry.changes import Change
from mbusgw.runtime import exactjson
from mbusgw.store import outbox
from tests.fakes.stores import rows
from tests.mosquitto import Mosquitto, Subscriber, subscribed
from tests.mqtt.house import GATEWAY, METER, STATUS_TOPIC, House, discovery_topic, reading
from tests.wait import wait_until

ENERGY = Record(QUANTITIES["energy"], "Wh", Decimal("1234000"), dib=b"\x04", vib=b"\x06")
#: No running counter: another unit needs no confirmation.
DUE, DUE_TOPIC = replace(ENERGY, storage=1), "mbus/meter_1/energy_storage_1"
POWER = Record(QUANTITIES["power"], "W", Decimal("250"), dib=b"\x02", vib=b"\x2b")
VOLUME = Record(QUANTITIES["volume"], "m³", Decimal("17.5"), dib=b"\x04", vib=b"\x13")
DOCUMENT = discovery_topic(METER)
OTHER = MeterIdentity("87654321", "KAM", 7, 6)


@pytest.fixture
def house(tmp_path: Path, mosquitto: Mosquitto) -> Iterator[Callable[..., House]]:
    houses: list[House] = []

    def make(*devices: str) -> House:
        one = House(tmp_path / "house.db", mosquitto.port)
        for device_id in devices:
            one.registry.expect(device_id, name=device_id, ttl_s=3600)
        houses.append(one)
        return one

    yield make
    for one in houses:
        if one.store.alive:
            one.close()


@pytest.fixture
def told(mosquitto: Mosquitto) -> Iterator[Subscriber]:
    with subscribed(mosquitto.port, "#") as subscriber:
        yield subscriber


def components(payload: str) -> set[str]:
    return set(exactjson.loads(payload)["components"])


def read_and_announced(one: House, told: Subscriber, record: Record = ENERGY) -> None:
    """The first reading, told before the next comes: else one announcement would serve both."""
    wait_until(lambda: told.payloads(GATEWAY))
    one.read("meter_1", record)
    wait_until(lambda: told.payloads(DOCUMENT))


def announced(house: House) -> dict[str, str]:
    return dict(rows(house.store, "SELECT topic, device_id FROM discovery"))


def test_gateway_and_known_meters_are_announced_when_the_broker_is_there(
    house: Callable[..., House], told: Subscriber
) -> None:
    first = house("meter_1").start()
    wait_until(lambda: told.payloads(GATEWAY))
    assert not told.payloads(DOCUMENT)  # it has not said who it is
    first.read("meter_1", ENERGY)
    wait_until(lambda: told.payloads(DOCUMENT))
    assert components(told.payloads(DOCUMENT)[0]) == {
        "status", "last_reading", "problem", "polling", "quarantine", "energy"
    }
    wait_until(lambda: announced(first) == {GATEWAY: "", DOCUMENT: "meter_1"})


def test_announcements_are_retained(house: Callable[..., House], mosquitto: Mosquitto) -> None:
    one = house("meter_1").start()
    one.read("meter_1", ENERGY)
    wait_until(lambda: len(announced(one)) == 2 and one.settled)
    with subscribed(mosquitto.port, "homeassistant/#") as late:
        wait_until(lambda: {topic for topic, _, retained in late.messages if retained} >= {GATEWAY, DOCUMENT})


def test_a_meter_that_says_the_same_again_is_not_announced_again(
    house: Callable[..., House], told: Subscriber
) -> None:
    one = house("meter_1", "meter_2").start()
    one.read("meter_1", ENERGY)
    one.read("meter_1", ENERGY)
    one.read("meter_1", Record(QUANTITIES["energy"], "Wh", Decimal("1235000"), dib=b"\x04", vib=b"\x06"))
    state = one.registry.get("meter_1")
    assert state is not None
    one.announcer.changed(Change(DeviceState("meter_1", "meter_1"), state, frozenset()))  # asked once too often
    one.read("meter_2", ENERGY, meter=OTHER)  # orders are taken in turn: after this all have been
    wait_until(lambda: told.payloads(discovery_topic(OTHER)))
    assert len(told.payloads(DOCUMENT)) == 1


def test_a_new_record_makes_a_new_entity(house: Callable[..., House], told: Subscriber) -> None:
    one = house("meter_1").start()
    read_and_announced(one, told)
    one.read("meter_1", ENERGY, POWER)
    wait_until(lambda: len(told.payloads(DOCUMENT)) == 2)
    assert components(told.payloads(DOCUMENT)[1]) - components(told.payloads(DOCUMENT)[0]) == {"power"}


@pytest.mark.slow
def test_an_entity_that_is_gone_for_good_is_removed_and_then_left_out(
    house: Callable[..., House], told: Subscriber
) -> None:
    one = house("meter_1").start()
    wait_until(lambda: told.payloads(GATEWAY))
    one.read("meter_1", ENERGY, POWER)
    wait_until(lambda: told.payloads(DOCUMENT))
    one.registry.forget("meter_1")
    one.registry.expect("meter_1", name="meter_1", ttl_s=3600)
    one.read("meter_1", ENERGY)
    wait_until(lambda: len(told.payloads(DOCUMENT)) == 3)
    documents = [exactjson.loads(payload)["components"] for payload in told.payloads(DOCUMENT)]
    assert documents[0]["power"]["unique_id"]
    assert documents[1] == {**documents[2], "power": {"platform": "sensor"}}
    wait_until(lambda: one.settled)
    assert rows(one.store, "SELECT payload FROM discovery WHERE device_id = 'meter_1'") == [(told.last(DOCUMENT),)]


@pytest.mark.slow
def test_an_entity_that_was_not_yet_removed_at_a_stop_is_removed_by_the_next_run(
    house: Callable[..., House], told: Subscriber, mosquitto: Mosquitto
) -> None:
    one = house("meter_1").start()
    one.read("meter_1", ENERGY, POWER)
    wait_until(lambda: told.payloads(DOCUMENT) and one.settled)
    one.close()
    two = house("meter_1")  # it has not heard of the power
    two.registry.record(reading("meter_1", [ENERGY]))
    two.start()
    wait_until(lambda: "power" not in components(told.last(DOCUMENT) or ""))
    removals = [exactjson.loads(payload)["components"].get("power") for payload in told.payloads(DOCUMENT)[1:-1]]
    assert removals and all(one == {"platform": "sensor"} for one in removals)


@pytest.mark.parametrize(
    ("later", "key", "before", "after"),
    [
        (Record(ENERGY.quantity, "J", Decimal("5E9"), vib=b"\x0e", storage=1), "unit_of_measurement", "kWh", "GJ"),
        (Record(ENERGY.quantity, "Wh", "ERROR", vib=b"\x06", storage=1), "device_class", "energy", None),
    ],
    ids=["another unit", "a text"],
)
def test_an_entity_that_is_shown_otherwise_is_announced_anew(
    house: Callable[..., House], told: Subscriber, later: Record, key: str, before: str, after: str | None
) -> None:
    one = house("meter_1").start()
    wait_until(lambda: told.payloads(GATEWAY))
    one.read("meter_1", replace(ENERGY, storage=1))
    wait_until(lambda: told.payloads(DOCUMENT))
    one.read("meter_1", later)
    wait_until(lambda: len(told.payloads(DOCUMENT)) == 2)
    shown = [exactjson.loads(payload)["components"]["energy_storage_1"].get(key) for payload in told.payloads(DOCUMENT)]
    assert shown == [before, after]


def test_a_value_of_another_unit_is_not_sent_before_home_assistant_was_told_and_then_not_at_once(
    house: Callable[..., House], told: Subscriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mbusgw.mqtt.settling.SETTLE_S", 1000)  # more than a busy machine may take
    one = house("meter_1").start()
    read_and_announced(one, told, DUE)
    joules = replace(DUE, unit="J", value=Decimal("4500000000"))
    one.read("meter_1", joules)
    wait_until(lambda: len(told.payloads(DOCUMENT)) == 2)
    one.read("meter_1", replace(joules, value=Decimal("4600000000")), POWER)  # the next reading is withheld as well
    one.recorder.publish_all(one.registry.snapshot().values())  # and so it is in a heartbeat
    wait_until(lambda: len(told.payloads("mbus/meter_1/power")) == 2 and len(told.payloads(DOCUMENT)) == 3)
    assert told.payloads(DUE_TOPIC) == ["1234.000"]
    one.clock.advance(1001)
    wait_until(lambda: len(told.payloads(DUE_TOPIC)) > 1)
    assert set(told.payloads(DUE_TOPIC)[1:]) == {"4.600000000"}, "never the old value, never the first new one"


def test_the_values_follow_what_home_assistant_was_told_otherwise_because_it_takes_them_for_expired(
    house: Callable[..., House], told: Subscriber
) -> None:
    one = house("meter_1").start()
    read_and_announced(one, told)
    one.read("meter_1", ENERGY, POWER)
    wait_until(lambda: len(told.payloads(DOCUMENT)) == 2)
    wait_until(lambda: told.payloads("mbus/meter_1/power") and one.settled)
    one.clock.advance(10)
    wait_until(lambda: len(told.payloads("mbus/meter_1/energy")) == 2)
    assert set(told.payloads("mbus/meter_1/energy")) == {"1234.000"}


def test_what_changes_nothing_in_the_announcement_withholds_no_value(
    house: Callable[..., House], told: Subscriber
) -> None:
    one = house("meter_1").start()
    read_and_announced(one, told)
    one.recorder.withhold("meter_1", frozenset({"energy"}))
    one.announcer.refresh("meter_1")
    wait_until(lambda: len(told.payloads("mbus/meter_1/energy")) == 2)
    assert len(told.payloads(DOCUMENT)) == 1


@pytest.mark.slow
def test_a_document_that_waits_for_the_broker_stays_before_the_values_that_wait_behind_it(
    house: Callable[..., House], told: Subscriber, mosquitto: Mosquitto
) -> None:
    one = house("meter_1").start()
    read_and_announced(one, told, DUE)
    wait_until(lambda: one.settled)
    mosquitto.stop()
    wait_until(lambda: not one.broker.connected)
    one.read("meter_1", replace(DUE, unit="J", value=Decimal("4500000000")))
    wait_until(lambda: DOCUMENT in waiting(one))
    one.clock.advance(10)
    wait_until(lambda: DUE_TOPIC in waiting(one))
    one.announcer.everything()
    wait_until(lambda: GATEWAY in waiting(one))
    one.read("meter_1", replace(DUE, unit="J", value=Decimal("4600000000")))
    order = waiting(one)
    mosquitto.start()
    assert order.index(DOCUMENT) < order.index(DUE_TOPIC)


def waiting(house: House) -> list[str]:
    """The topics in the outbox, in order."""
    return [topic for topic, in rows(house.store, "SELECT topic FROM mqtt_queue ORDER BY id")]


def test_a_value_that_is_missing_once_changes_no_announcement(house: Callable[..., House], told: Subscriber) -> None:
    one = house("meter_1").start()
    wait_until(lambda: told.payloads(GATEWAY))
    one.read("meter_1", Record(ENERGY.quantity, "Wh", "ERROR", vib=b"\x06"))
    one.read("meter_1", Record(ENERGY.quantity, "Wh", None, vib=b"\x06"))
    one.read("meter_2", ENERGY, meter=OTHER)
    wait_until(lambda: told.payloads(discovery_topic(OTHER)))
    assert len(told.payloads(DOCUMENT)) == 1


def test_a_replaced_meter_is_taken_back_before_the_new_one_is_announced(
    house: Callable[..., House], told: Subscriber
) -> None:
    one = house("meter_1").start()
    read_and_announced(one, told)
    one.read("meter_1", VOLUME, meter=OTHER)
    wait_until(lambda: told.payloads(discovery_topic(OTHER)))
    assert told.last(DOCUMENT) == ""
    topics = [topic for topic, _, _ in told.messages]
    assert topics.index(DOCUMENT, topics.index(DOCUMENT) + 1) < topics.index(discovery_topic(OTHER))
    wait_until(lambda: announced(one) == {GATEWAY: "", discovery_topic(OTHER): "meter_1"})


def test_a_meter_that_names_two_media_in_turn_does_not_come_and_go(
    house: Callable[..., House], told: Subscriber
) -> None:
    one = house("meter_1", "meter_2").start()
    cooling = replace(METER, medium=0x0A)
    for meter in (METER, cooling, METER, cooling):
        one.read("meter_1", ENERGY, meter=meter)
    one.read("meter_2", ENERGY, meter=OTHER)
    wait_until(lambda: told.payloads(discovery_topic(OTHER)))
    assert "" not in told.payloads(DOCUMENT) + told.payloads(discovery_topic(cooling))


def test_of_two_names_of_one_meter_that_is_announced_under_which_it_is_heard(
    house: Callable[..., House], mosquitto: Mosquitto
) -> None:
    one = house("meter_1")
    one.registry.expect("meter_0", name="meter_0", ttl_s=3600)
    one.registry.expect("meter_2", name="meter_2", ttl_s=0)
    for device_id in ("meter_0", "meter_1", "meter_2"):
        one.registry.record(reading(device_id, [ENERGY]))
    one.registry.record(reading("meter_0", [ENERGY]))
    one.registry.expire()  # meter_2 is silent
    one.start()
    wait_until(lambda: announced(one) == {GATEWAY: "", DOCUMENT: "meter_0"} and one.settled)
    with subscribed(mosquitto.port, DOCUMENT) as told:
        wait_until(lambda: told.messages)
        energy = exactjson.loads(told.last(DOCUMENT) or "")["components"]["energy"]
        assert energy["state_topic"] == "mbus/meter_0/energy"


def test_one_meter_under_two_names_is_shown_under_the_first_and_told_in_the_log(
    house: Callable[..., House], told: Subscriber, caplog: pytest.LogCaptureFixture
) -> None:
    one = house("meter_1", "meter_2").start()
    read_and_announced(one, told)
    one.read("meter_2", ENERGY)
    one.read("meter_2", ENERGY, POWER)
    one.read("meter_1", ENERGY, POWER)
    wait_until(lambda: len(told.payloads(DOCUMENT)) == 2)
    shown = exactjson.loads(told.payloads(DOCUMENT)[1])["components"]
    assert shown["power"]["state_topic"] == "mbus/meter_1/power"
    warnings = [record.getMessage() for record in caplog.records if "are one meter" in record.getMessage()]
    assert warnings == [
        f"meter_1 and meter_2 are one meter ({METER.manufacturer} {METER.id}): Home Assistant is shown meter_1 only; "
        "take the other one out, or hide it"
    ]


def test_when_the_one_that_is_shown_is_taken_out_the_other_one_is(
    house: Callable[..., House], told: Subscriber
) -> None:
    one = house("meter_1", "meter_2").start()
    read_and_announced(one, told)
    one.read("meter_2", ENERGY)
    wait_until(lambda: one.settled)
    one.registry.forget("meter_1")
    one.announcer.refresh("meter_1")
    wait_until(lambda: announced(one).get(DOCUMENT) == "meter_2")
    wait_until(lambda: "mbus/meter_2/energy" in told.payloads(DOCUMENT)[-1])


def test_the_other_name_takes_over_from_one_that_is_silent(house: Callable[..., House], told: Subscriber) -> None:
    one = house("meter_1")
    one.registry.expect("meter_2", name="meter_2", ttl_s=0)
    one.start()
    wait_until(lambda: told.payloads(GATEWAY))
    one.read("meter_2", ENERGY)
    wait_until(lambda: announced(one).get(DOCUMENT) == "meter_2")
    one.registry.expire()
    one.read("meter_1", ENERGY)
    wait_until(lambda: announced(one).get(DOCUMENT) == "meter_1")


def test_a_birth_is_answered_with_discovery_then_availability_then_states(
    house: Callable[..., House], told: Subscriber
) -> None:
    one = house("meter_1").start()
    wait_until(lambda: told.payloads(GATEWAY) and told.payloads("mbus/bridge/state"))
    one.read("meter_1", ENERGY, POWER)
    wait_until(lambda: told.payloads(DOCUMENT) and told.payloads("mbus/meter_1/attributes") and one.settled)
    told.messages.clear()
    told.publish(STATUS_TOPIC, "online")
    wait_until(lambda: told.payloads("mbus/meter_1/attributes"))
    answer = [topic for topic, _, _ in told.messages if topic != STATUS_TOPIC]
    assert set(answer[:2]) == {GATEWAY, DOCUMENT}
    assert answer[2:] == [f"mbus/meter_1/{last}" for last in ("availability", "energy", "power", "attributes")]


@pytest.mark.slow
def test_a_birth_is_answered_a_while_later_and_two_in_that_while_once(tmp_path: Path, mosquitto: Mosquitto) -> None:
    asked: list[tuple[float, float]] = []

    def uniform(low: float, high: float) -> float:
        asked.append((low, high))
        return 600.0

    one = House(tmp_path / "house.db", mosquitto.port, uniform=uniform)
    with subscribed(mosquitto.port, "homeassistant/#") as told:
        one.start()
        try:
            wait_until(lambda: told.payloads(GATEWAY))
            told.publish(STATUS_TOPIC, "online")
            told.publish(STATUS_TOPIC, "online")
            wait_until(lambda: len(asked) == 2)
            one.read("meter_2", ENERGY, meter=OTHER)
            wait_until(lambda: told.payloads(discovery_topic(OTHER)))
            assert len(told.payloads(GATEWAY)) == 1
            wait_until(lambda: one.settled)  # what is not acknowledged in 30 s makes it connect anew
            one.clock.advance(600)
            wait_until(lambda: len(told.payloads(discovery_topic(OTHER))) == 2)
            assert len(told.payloads(GATEWAY)) == 2
        finally:
            one.close()
    assert asked == [(3.0, 10.0)] * 2


@pytest.mark.parametrize(
    ("topic", "payload", "retained"),
    [(STATUS_TOPIC, "online", True), (STATUS_TOPIC, "offline", False), ("homeassistant/other", "online", False)],
)
def test_what_is_no_birth_is_not_answered(
    house: Callable[..., House], mosquitto: Mosquitto, topic: str, payload: str, retained: bool
) -> None:
    with subscribed(mosquitto.port, "homeassistant/#") as told:
        if retained:
            told.publish(topic, payload, retain=True)
        one = house("meter_1").start()
        wait_until(lambda: told.payloads(GATEWAY))
        if not retained:
            told.publish(topic, payload)
        # Without a delay a birth would be answered before the next order but one.
        one.read("meter_1", ENERGY)
        wait_until(lambda: told.payloads(DOCUMENT))
        one.read("meter_1", ENERGY, POWER)
        wait_until(lambda: len(told.payloads(DOCUMENT)) == 2)
        assert len(told.payloads(GATEWAY)) == 1


def test_what_an_earlier_run_announced_and_is_gone_is_taken_back(
    house: Callable[..., House], mosquitto: Mosquitto
) -> None:
    earlier = house("meter_1", "meter_2").start()
    earlier.read("meter_1", ENERGY)
    earlier.read("meter_2", ENERGY, meter=OTHER)
    wait_until(lambda: len(announced(earlier)) == 3)
    earlier.close()
    later = house("meter_1")
    later.registry.record(reading("meter_1", [ENERGY]))
    later.start()
    wait_until(lambda: announced(later) == {GATEWAY: "", DOCUMENT: "meter_1"})
    wait_until(lambda: later.settled)
    with subscribed(mosquitto.port, "homeassistant/#") as told:
        wait_until(lambda: told.payloads(DOCUMENT) and told.payloads(GATEWAY))
        assert not told.payloads(discovery_topic(OTHER))


def test_a_device_that_is_forgotten_while_it_runs_is_taken_back_alone(
    house: Callable[..., House], told: Subscriber
) -> None:
    one = house("meter_1", "meter_2").start()
    read_and_announced(one, told)
    one.read("meter_2", ENERGY, meter=OTHER)
    wait_until(lambda: told.payloads(discovery_topic(OTHER)))
    one.registry.forget("meter_1")
    one.announcer.refresh("meter_1")
    wait_until(lambda: told.payloads(DOCUMENT)[-1] == "")
    assert announced(one) == {GATEWAY: "", discovery_topic(OTHER): "meter_2"}
    assert len(told.payloads(GATEWAY)) == len(told.payloads(discovery_topic(OTHER))) == 1


def test_a_device_that_has_another_name_now_is_announced_with_it(
    house: Callable[..., House], told: Subscriber
) -> None:
    one = house("meter_1").start()
    read_and_announced(one, told)
    one.announcer.refresh("meter_1")  # nothing is different: nothing is said
    one.registry.expect("meter_1", name="Heat attic", ttl_s=3600)
    one.announcer.refresh("meter_1")
    wait_until(lambda: "Heat attic" in told.payloads(DOCUMENT)[-1])
    assert len(told.payloads(DOCUMENT)) == 2


def test_a_configured_meter_that_was_not_read_yet_in_this_run_keeps_its_announcement(
    house: Callable[..., House], mosquitto: Mosquitto
) -> None:
    earlier = house("meter_1").start()
    earlier.read("meter_1", ENERGY)
    wait_until(lambda: len(announced(earlier)) == 2)
    earlier.close()
    later = house("meter_1")  # configured, but its last state is lost
    with subscribed(mosquitto.port, "homeassistant/#") as told:
        wait_until(lambda: told.last(DOCUMENT))
        later.start()
        wait_until(lambda: len(told.payloads(GATEWAY)) == 2, what="the gateway is announced last of all")
        later.read("meter_1", ENERGY)
        wait_until(lambda: later.settled)
        assert "" not in told.payloads(DOCUMENT)
    assert announced(later) == {GATEWAY: "", DOCUMENT: "meter_1"}


@pytest.mark.slow
def test_a_broker_that_has_lost_its_memory_is_told_everything_again(
    house: Callable[..., House], mosquitto: Mosquitto
) -> None:
    one = house("meter_1").start()
    one.read("meter_1", ENERGY)
    wait_until(lambda: one.settled)
    mosquitto.stop()
    mosquitto.wipe()
    mosquitto.start()
    expected = {GATEWAY, DOCUMENT, "mbus/bridge/state"}
    expected |= {f"mbus/meter_1/{last}" for last in ("availability", "energy", "attributes")}
    with subscribed(mosquitto.port, "#") as told:
        wait_until(lambda: {topic for topic, _, _ in told.messages} >= expected)


def test_it_tells_everything_anew_when_asked_and_not_too_often(house: Callable[..., House], told: Subscriber) -> None:
    one = house("meter_1").start()
    read_and_announced(one, told)
    wait_until(lambda: told.payloads("mbus/meter_1/attributes") and one.settled)
    told.messages.clear()
    assert one.announcer.rediscover({}, lambda _progress: None) == {"devices": 1}
    wait_until(lambda: told.payloads("mbus/meter_1/attributes"))
    topics = [topic for topic, _, _ in told.messages]
    assert topics.index(DOCUMENT) < topics.index("mbus/meter_1/availability") < topics.index("mbus/meter_1/energy")
    one.announcer.rediscover({}, lambda _progress: None)
    with pytest.raises(RequestError) as caught:
        one.announcer.rediscover({}, lambda _progress: None)
    assert caught.value.status == 429
    with pytest.raises(RequestError):
        one.announcer.rediscover({"device": "meter_1"}, lambda _progress: None)


# ------------------------------------------------------------------ a large fleet
def fleet(one: House, count: int) -> list[str]:
    """So many meters that were read; the topics of their announcements."""
    meters = [MeterIdentity(f"{number:08d}", "ELS", 51, 4) for number in range(count)]
    for meter in meters:
        one.registry.record(reading(f"meter_{meter.id}", [ENERGY], meter=meter))
    return [discovery_topic(meter) for meter in meters]


class Steps:
    """Store and announcer, turned by hand; the test is the broker."""

    def __init__(self, one: House) -> None:
        self.house = one
        self.sent: list[str] = []

    def turn(self) -> list[str]:
        """One step of the announcer; what waits then."""
        self.house.announcer.step()
        self.commit()
        return waiting(self.house)

    def commit(self) -> None:
        while self.house.store._units:
            self.house.store.step()

    def take(self, count: int) -> None:
        """The broker acknowledges the first so many."""
        first = rows(self.house.store, f"SELECT id, topic FROM mqtt_queue ORDER BY id LIMIT {count}")
        self.sent += [topic for _, topic in first]
        self.house.store.submit(outbox.acknowledged([row_id for row_id, _ in first], self.house.clock.now()))
        self.commit()


def test_however_many_are_announced_news_waits_behind_a_few_documents_only(house: Callable[..., House]) -> None:
    one = house()
    documents = {GATEWAY, *fleet(one, 60)}
    steps = Steps(one)
    one.announcer.everything()
    value = 2_000_000
    while not documents <= set(steps.sent):
        assert len(documents & set(steps.turn())) <= ON_THEIR_WAY + 1, "the gateway's is told in any case"
        value += 1000
        one.recorder.deliver(reading("meter_1", [replace(ENERGY, value=Decimal(value))]))
        steps.commit()
        ahead = waiting(one)[: waiting(one).index("mbus/meter_1/energy")]
        assert len(documents & set(ahead)) <= ON_THEIR_WAY + 1
        steps.take(5)


def test_a_birth_of_a_large_fleets_home_assistant_is_answered_with_states_when_all_is_announced(
    house: Callable[..., House],
) -> None:
    one = house()
    documents = fleet(one, 25)
    steps = Steps(one)
    one.announcer.rediscover({}, lambda *_: None)
    while not any(topic.endswith("/attributes") for topic in steps.sent):
        steps.turn()
        steps.take(10)
    last = max(steps.sent.index(topic) for topic in documents)
    first = next(number for number, topic in enumerate(steps.sent) if topic.startswith("mbus/meter_"))
    assert last < first


@pytest.mark.slow
def test_while_the_broker_takes_nothing_no_more_is_put_behind_and_it_goes_on_when_it_does(
    house: Callable[..., House], mosquitto: Mosquitto
) -> None:
    one = house()
    documents = {GATEWAY, *fleet(one, 40)}
    one.start()
    wait_until(lambda: len(announced(one)) == 41 and one.settled)
    mosquitto.stop()
    wait_until(lambda: not one.broker.connected)
    one.announcer.everything()
    wait_until(lambda: len(documents & set(waiting(one))) >= ON_THEIR_WAY)
    assert len(documents & set(waiting(one))) == ON_THEIR_WAY
    mosquitto.start()
    with subscribed(mosquitto.port, "homeassistant/#") as told:
        wait_until(lambda: {topic for topic, payload, _ in told.messages if payload} >= documents)
