"""What is published because time passes, through a real broker."""
from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from mbusgw.model.quantity import QUANTITIES
from mbusgw.model.record import Record
from tests.mosquitto import Mosquitto, subscribed
from tests.mqtt.house import HEARTBEAT_S, House
from tests.wait import wait_until

POWER = Record(QUANTITIES["power"], "W", Decimal("250"), dib=b"\x02", vib=b"\x2b")


@pytest.fixture
def house(tmp_path: Path, mosquitto: Mosquitto) -> Iterator[House]:
    one = House(tmp_path / "house.db", mosquitto.port)
    yield one
    one.close()


def test_a_silent_meter_is_told_offline(house: House, mosquitto: Mosquitto) -> None:
    house.registry.expect("meter_1", name="Heat", ttl_s=600)
    with subscribed(mosquitto.port, "mbus/meter_1/availability") as told:
        house.start().read("meter_1", POWER)
        wait_until(lambda: told.last("mbus/meter_1/availability") == "online")
        house.clock.advance(601)
        wait_until(lambda: told.last("mbus/meter_1/availability") == "offline")


def test_that_a_meter_is_left_alone_for_a_while_is_told(house: House, mosquitto: Mosquitto) -> None:
    house.registry.expect("meter_1", name="Heat", ttl_s=3600)
    with subscribed(mosquitto.port, "mbus/meter_1/attributes") as told:
        house.start().read("meter_1", POWER)
        house.registry.polled("meter_1", "open")
        wait_until(lambda: '"breaker":"open"' in (told.last("mbus/meter_1/attributes") or "").replace(" ", ""))


def test_a_heartbeat_tells_everything_of_those_online_again_and_of_those_offline_only_that(
    house: House, mosquitto: Mosquitto
) -> None:
    house.registry.expect("meter_1", name="Heat", ttl_s=2 * HEARTBEAT_S)
    house.registry.expect("meter_2", name="Water", ttl_s=HEARTBEAT_S / 2)
    with subscribed(mosquitto.port, "mbus/#") as told:
        house.start().read("meter_1", POWER)
        house.read("meter_2", POWER, meter=None)
        wait_until(lambda: told.payloads("mbus/bridge/state") == ["online"])
        told.publish("mbus/bridge/state", "offline")  # the next round denies it, and so the first, with all, is over
        wait_until(lambda: told.payloads("mbus/bridge/state").count("online") == 2)
        house.clock.advance(HEARTBEAT_S + 1)
        again = [f"mbus/meter_1/{last}" for last in ("availability", "power", "attributes")]
        wait_until(lambda: all(len(told.payloads(topic)) == 2 for topic in again))
        wait_until(lambda: told.payloads("mbus/meter_2/availability") == ["online", "offline"])
        wait_until(lambda: told.payloads("mbus/bridge/state").count("online") == 3)
        assert told.payloads("mbus/meter_1/availability") == ["online", "online"]
        assert told.payloads("mbus/meter_2/power") == ["250"]


@pytest.mark.slow
def test_of_a_broker_that_was_away_also_those_offline_are_told_again(house: House, mosquitto: Mosquitto) -> None:
    house.registry.expect("meter_1", name="Heat", ttl_s=600)
    house.start().read("meter_1", POWER)
    house.clock.advance(601)
    wait_until(lambda: not house.registry.snapshot()["meter_1"].online and house.settled)
    mosquitto.stop()
    mosquitto.wipe()
    mosquitto.start()
    with subscribed(mosquitto.port, "mbus/#") as told:
        wait_until(lambda: told.last("mbus/bridge/state") == "online")
        wait_until(lambda: told.last("mbus/meter_1/availability") == "offline")
        wait_until(lambda: told.last("mbus/meter_1/power") == "250")


def test_at_the_start_nothing_is_told_twice(house: House, mosquitto: Mosquitto) -> None:
    house.registry.expect("meter_1", name="Heat", ttl_s=3600)
    with subscribed(mosquitto.port, "mbus/meter_1/#") as told:
        house.start().read("meter_1", POWER)
        house.read("meter_1", Record(QUANTITIES["power"], "W", Decimal("300"), dib=b"\x02", vib=b"\x2b"))
        wait_until(lambda: told.last("mbus/meter_1/power") == "300" and house.settled)
        assert told.payloads("mbus/meter_1/availability") == ["online"]


@pytest.mark.slow
def test_a_forgotten_meter_that_comes_back_has_a_heartbeat_of_its_own(house: House, mosquitto: Mosquitto) -> None:
    def next_round() -> None:
        for _ in range(2):  # when the second is denied, the round of the first is over
            before = told.payloads("mbus/bridge/state").count("online")
            told.publish("mbus/bridge/state", "offline")
            wait_until(lambda: told.payloads("mbus/bridge/state").count("online") > before)

    def appear() -> None:
        house.registry.expect("meter_1", name="Heat", ttl_s=3 * HEARTBEAT_S)
        house.read("meter_1", POWER)
        next_round()

    with subscribed(mosquitto.port, "mbus/#") as told:
        house.start()
        appear()
        house.registry.forget("meter_1")
        next_round()
        house.clock.advance(HEARTBEAT_S * 0.6)
        appear()
        wait_until(lambda: len(told.payloads("mbus/meter_1/power")) == 2)
        house.clock.advance(HEARTBEAT_S * 0.6)
        next_round()
        wait_until(lambda: house.settled)
        assert len(told.payloads("mbus/meter_1/power")) == 2
        house.clock.advance(HEARTBEAT_S * 0.6)
        wait_until(lambda: len(told.payloads("mbus/meter_1/power")) == 3)


def test_whoever_says_that_we_are_offline_is_contradicted_at_once(house: House, mosquitto: Mosquitto) -> None:
    with subscribed(mosquitto.port, "mbus/bridge/state") as told:
        house.start()
        wait_until(lambda: told.payloads("mbus/bridge/state") == ["online"])
        told.publish("mbus/bridge/state", "offline", retain=True)  # the will of a run with another client id
        wait_until(lambda: told.payloads("mbus/bridge/state") == ["online", "offline", "online"])
