"""A device's state as messages, and a reading's way into registry, database and outbox."""
from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from mbusgw.model.device import DeviceState
from mbusgw.model.fields import name_fields
from mbusgw.model.meter import MeterIdentity
from mbusgw.model.quantity import QUANTITIES
from mbusgw.model.reading import Lane
from mbusgw.model.record import Record, Value
from mbusgw.model.wishes import MeterWishes, RecordWish, RecordWishes
from mbusgw.mqtt.states import LEFT_OUT_MOST, StateRecorder, all_messages, attributes, change_messages
from mbusgw.registry.changes import Change
from mbusgw.registry.registry import Registry
from mbusgw.runtime import exactjson
from mbusgw.store import states
from mbusgw.store.outbox import Message
from mbusgw.store.writer import Store
from tests.fakes.clock import START, FakeClock
from tests.fakes.stores import opened_store, rows
from tests.mqtt.house import TOPICS, reading
from tests.wait import PATIENCE_S

TTL_S = 90.0


def energy(value: Value | None) -> Record:
    problem = "invalid" if value is None else None
    return Record(QUANTITIES["energy"], "Wh", value, dib=b"\x04", vib=b"\x06", data=b"\x01", problem=problem)


POWER = Record(QUANTITIES["power"], "W", Decimal("250"), dib=b"\x02", vib=b"\x2b")
DAY = Record(QUANTITIES["date"], "", date(2025, 12, 31), storage=1, dib=b"\x42", vib=b"\x6c")


@pytest.fixture
def registry(clock: FakeClock) -> Registry:
    made = Registry(clock, radio_ttl_s=3600)
    made.expect("meter_1", name="Heat", ttl_s=TTL_S)
    return made


@pytest.fixture
def store(tmp_path: Path, clock: FakeClock) -> Iterator[Store]:
    with opened_store(tmp_path / "mbusgw.db", clock) as opened:
        yield opened


@pytest.fixture
def recorder(registry: Registry, store: Store, clock: FakeClock) -> StateRecorder:
    return StateRecorder(registry, store, TOPICS, clock=clock)


def change(registry: Registry, *records: Record, **options: Any) -> Change:
    return registry.record(reading("meter_1", records, read_at=START, **options))


def payloads(messages: list[Message]) -> dict[str, str]:
    """Last part of the topic -> payload."""
    assert all(message.retain and message.topic.startswith("mbus/meter_1/") for message in messages)
    return {message.topic.rpartition("/")[2]: message.payload for message in messages}


def waiting(store: Store) -> dict[str, str]:
    """What the outbox holds, after everything submitted was written."""
    store.step()
    return dict(rows(store, "SELECT topic, payload FROM mqtt_queue ORDER BY id"))


# ------------------------------------------------------------------ messages
def test_the_first_reading_is_told_whole(registry: Registry) -> None:
    messages = change_messages(TOPICS, change(registry, energy(Decimal("1234000")), POWER, DAY))
    names = [message.topic.rpartition("/")[2] for message in messages]
    assert names == ["energy", "power", "date_storage_1", "availability", "attributes"]
    told = payloads(messages)
    assert (told["energy"], told["power"], told["date_storage_1"]) == ("1234.000", "250", "2025-12-31")
    assert told["availability"] == "online"


def test_later_only_what_changed_is_told(registry: Registry) -> None:
    change(registry, energy(Decimal("1234000")), POWER)
    assert set(payloads(change_messages(TOPICS, change(registry, energy(Decimal("1234000")), POWER)))) == {"attributes"}
    told = payloads(change_messages(TOPICS, change(registry, energy(Decimal("1235000")), POWER)))
    assert set(told) == {"energy", "attributes"} and told["energy"] == "1235.000"


def test_a_value_that_became_invalid_clears_its_topic(registry: Registry) -> None:
    change(registry, energy(Decimal("1234000")))
    assert payloads(change_messages(TOPICS, change(registry, energy(None))))["energy"] == ""


def test_a_value_that_never_was_is_not_told(registry: Registry) -> None:
    first = change(registry, energy(None), POWER)
    assert "energy" not in payloads(change_messages(TOPICS, first))
    assert "energy" not in payloads(all_messages(TOPICS, first.after))


def test_a_value_that_a_telegram_leaves_out_keeps_its_topic(registry: Registry) -> None:
    change(registry, energy(Decimal("1234000")), POWER)
    last = change(registry, POWER)
    assert "energy" not in payloads(change_messages(TOPICS, last))
    assert payloads(all_messages(TOPICS, last.after))["energy"] == "1234.000"


def test_a_value_that_a_wired_meter_has_stopped_to_send_is_not_told_again(registry: Registry) -> None:
    for _ in range(LEFT_OUT_MOST):
        assert "power" in payloads(all_messages(TOPICS, change(registry, energy(Decimal("1000")), POWER).after))
        left_out = change(registry, energy(Decimal("1000")))
    assert "power" in payloads(all_messages(TOPICS, left_out.after)), "it comes in turn with others"
    for _ in range(LEFT_OUT_MOST):
        left_out = change(registry, energy(Decimal("1000")))
    assert payloads(all_messages(TOPICS, left_out.after)).keys() == {"availability", "energy", "attributes"}
    again = change(registry, energy(Decimal("1000")), POWER)
    assert "power" in payloads(all_messages(TOPICS, again.after))


def test_a_value_that_a_radio_meter_leaves_out_is_told_again(registry: Registry) -> None:
    whole = reading("meter_1", [energy(Decimal("1000")), POWER], read_at=START)
    registry.record(replace(whole, lane=Lane.WIRELESS))
    part = reading("meter_1", [energy(Decimal("1000"))], read_at=START)
    for _ in range(2 * LEFT_OUT_MOST):
        after = registry.record(replace(part, lane=Lane.WIRELESS)).after
    assert "power" in payloads(all_messages(TOPICS, after))


def test_of_a_meter_that_was_replaced_nothing_is_left(registry: Registry) -> None:
    change(registry, energy(Decimal("1234000")), POWER)
    replaced = change(registry, POWER, meter=MeterIdentity("87654321", "KAM", 7, 6))
    assert set(replaced.after.fields) == {"power"}
    assert payloads(change_messages(TOPICS, replaced)) | {"attributes": ""} == {"energy": "", "attributes": ""}


def test_a_device_that_is_back_is_told_online_again(registry: Registry, clock: FakeClock) -> None:
    change(registry, POWER)
    clock.advance(TTL_S)
    (gone,) = registry.expire()
    assert payloads(change_messages(TOPICS, gone))["availability"] == "offline"
    assert payloads(change_messages(TOPICS, change(registry, POWER)))["availability"] == "online"


def test_the_whole_state_begins_with_the_availability(registry: Registry) -> None:
    messages = all_messages(TOPICS, change(registry, energy(Decimal("1000")), POWER).after)
    names = [message.topic.rpartition("/")[2] for message in messages]
    assert names == ["availability", "energy", "power", "attributes"]


def test_of_a_device_that_was_never_read_only_the_availability_is_told() -> None:
    assert payloads(all_messages(TOPICS, DeviceState("meter_1", "Heat"))) == {"availability": "offline"}


def test_attributes_explain_the_values(registry: Registry) -> None:
    state = change(registry, energy(None), POWER).after
    document = exactjson.loads(payloads(all_messages(TOPICS, state))["attributes"])
    assert set(document) == {
        "name", "read_at", "stale", "version", "lane", "meter", "access_no", "status", "status_flags",
        "gateway_id", "rssi_dbm", "radio", "format", "units", "records", "quarantine",
        "manufacturer_data", "problems", "breaker",
    }  # fmt: skip
    assert document["read_at"] == "2026-03-01T12:00:00.000Z"
    assert (document["name"], document["stale"], document["version"], document["lane"]) == ("Heat", False, 1, "wired")
    assert document["meter"] == {
        "id": "12345678", "manufacturer": "ELS", "version": 51, "medium": 4, "medium_name": "heat"
    }  # fmt: skip
    assert document["units"] == {"energy": "kWh", "power": "W"}
    assert document["records"]["energy"] == {
        "quantity": "Energy", "function": "instantaneous", "storage": 0, "tariff": 0, "subunit": 0, "value": None,
        "unit": "Wh", "dib": "04", "vib": "06", "data": "01", "problem": "invalid",
        "field": "energy", "qualifiers": [],
    }  # fmt: skip
    assert document["records"]["power"]["value"] == 250


def test_a_meter_without_an_identity_has_attributes_too(registry: Registry) -> None:
    assert attributes(change(registry, POWER, meter=None).after)["meter"] is None


# ------------------------------------------------------------------ the way of a reading
def test_a_reading_is_state_history_and_messages_at_once(recorder: StateRecorder, store: Store) -> None:
    future = recorder.deliver(reading("meter_1", [POWER], read_at=START))
    told = waiting(store)
    future.result(0)
    assert set(told) == {f"mbus/meter_1/{last}" for last in ("power", "availability", "attributes")}
    assert rows(store, "SELECT device_id, online, version FROM device_states") == [("meter_1", 1, 1)]
    assert rows(store, "SELECT count(*) FROM readings")[0][0] > 0


def test_a_device_that_falls_silent_is_published_as_offline(
    recorder: StateRecorder, registry: Registry, store: Store, clock: FakeClock
) -> None:
    recorder.deliver(reading("meter_1", [POWER], read_at=START))
    clock.advance(TTL_S - 1)
    assert registry.expire() == []
    clock.advance(1)
    (gone,) = registry.expire()
    recorder.publish_change(gone)
    assert waiting(store)["mbus/meter_1/availability"] == "offline"
    assert rows(store, "SELECT online FROM device_states") == [(0,)]


@pytest.mark.parametrize(("away_s", "availability"), [(TTL_S / 2, "online"), (TTL_S * 2, "offline")])
def test_after_a_restart_the_last_state_is_told_as_stale_until_a_reading_confirms_it(
    recorder: StateRecorder, store: Store, clock: FakeClock, away_s: float, availability: str
) -> None:
    recorder.deliver(reading("meter_1", [energy(Decimal("1234000"))], read_at=START))
    waiting(store)
    clock.advance(away_s)
    registry = Registry(clock, radio_ttl_s=3600)
    registry.expect("meter_1", name="Heat", ttl_s=TTL_S)
    registry.restore(states.load(store.reader()))
    later = StateRecorder(registry, store, TOPICS, clock=clock)
    later.publish_all(registry.snapshot().values())
    told = waiting(store)
    assert (told["mbus/meter_1/availability"], told["mbus/meter_1/energy"]) == (availability, "1234.000")
    assert exactjson.loads(told["mbus/meter_1/attributes"])["stale"] is True
    later.deliver(reading("meter_1", [energy(Decimal("1234000"))], read_at=clock.now()))
    told = waiting(store)
    assert told["mbus/meter_1/availability"] == "online"
    assert exactjson.loads(told["mbus/meter_1/attributes"])["stale"] is False


def test_a_forgotten_device_leaves_no_retained_message(
    recorder: StateRecorder, registry: Registry, store: Store
) -> None:
    recorder.deliver(reading("meter_1", [energy(Decimal("1234000")), POWER], read_at=START))
    told = waiting(store)
    state = registry.get("meter_1")
    assert state is not None
    recorder.forget(replace(state, left_out={"power": LEFT_OUT_MOST}))
    left = waiting(store)
    assert left.pop(TOPICS.history("meter_1"))  # nobody has seen that reading
    assert left == dict.fromkeys([*told, TOPICS.settings("meter_1")], "")
    assert rows(store, "SELECT * FROM device_states") == []


def test_nothing_that_is_still_under_way_brings_a_forgotten_device_back(
    recorder: StateRecorder, registry: Registry, store: Store
) -> None:
    recorder.deliver(reading("meter_1", [energy(Decimal("1234000"))], read_at=START))
    told = waiting(store)
    state = registry.get("meter_1")
    assert state is not None
    late = registry.record(reading("meter_1", [POWER], read_at=START + timedelta(seconds=5)))
    registry.forget("meter_1")
    recorder.forget(state)
    recorder.publish_change(late)  # of a thread that was just about to
    recorder.publish_all([state])  # and of one that looked before
    left = waiting(store)
    assert left.pop(TOPICS.history("meter_1"))
    assert left == dict.fromkeys([*told, TOPICS.settings("meter_1")], "")
    assert rows(store, "SELECT * FROM device_states") == []


def test_what_is_stored_late_does_not_tell_old_values(
    recorder: StateRecorder, registry: Registry, store: Store
) -> None:
    # Two threads: the one whose state is newer gets to the store first.
    older = registry.record(reading("meter_1", [energy(Decimal("1000000"))], read_at=START))
    later_at = START + timedelta(seconds=5)
    recorder.deliver(reading("meter_1", [energy(Decimal("1200000"))], read_at=later_at))
    recorder.publish_change(older)
    assert waiting(store)["mbus/meter_1/energy"] == "1200.000"


def test_many_devices_are_told_a_few_at_a_time(recorder: StateRecorder, registry: Registry, store: Store) -> None:
    many = [DeviceState(f"els_{number}", "x", version=1) for number in range(250)]
    registry.restore(many)
    recorder.publish_all(many)
    assert len(waiting(store)) == 250


def test_the_report_goes_to_both_topics_of_the_bridge(recorder: StateRecorder, store: Store) -> None:
    recorder.publish_report({"status": "healthy"})
    assert waiting(store) == {f"mbus/bridge/{last}": '{"status":"healthy"}' for last in ("info", "health")}


# ------------------------------------------------------------------ quarantine
def test_a_value_in_quarantine_has_a_topic_of_its_own_until_it_is_over(
    recorder: StateRecorder, registry: Registry, store: Store
) -> None:
    for seconds, watt_hours in enumerate(("1000000", "5000")):
        at = START + timedelta(seconds=seconds)
        recorder.deliver(reading("meter_1", [energy(Decimal(watt_hours))], read_at=at))
    told = waiting(store)
    assert told["mbus/meter_1/energy"] == "1000.000"
    document = exactjson.loads(told["mbus/meter_1/quarantine"])
    assert document["count"] == 1 and document["values"]["energy"]["value"] == 5
    assert document["values"] == exactjson.loads(told["mbus/meter_1/attributes"])["quarantine"]
    state = registry.get("meter_1")
    assert state is not None and payloads(all_messages(TOPICS, state))["quarantine"]
    change = registry.release("meter_1", ["energy"], accept=True)
    assert change is not None
    recorder.publish_change(change)
    told = waiting(store)
    assert told["mbus/meter_1/quarantine"] == "" and told["mbus/meter_1/energy"] == "5.000"
    assert "5.000" in str(rows(store, "SELECT fields_json FROM readings"))  # the history has what was read


def test_a_hidden_value_has_no_topic_but_is_in_the_history(
    recorder: StateRecorder, registry: Registry, store: Store
) -> None:
    wishes = RecordWishes((("energy", RecordWish(hidden=True)),))
    registry.expect("meter_1", name="M", ttl_s=TTL_S, wishes=MeterWishes(records=wishes))
    records = [energy(Decimal(5000)), Record(QUANTITIES["power"], "W", 7, dib=b"\x02", vib=b"\x2b")]
    one = replace(reading("meter_1", records), fields=MappingProxyType(name_fields(records, wishes)))
    recorder.deliver(one)
    recorder.publish_all(registry.snapshot().values())
    recorder.publish_change(change(registry))
    told = waiting(store)
    assert "mbus/meter_1/energy" not in told and told["mbus/meter_1/power"] == "7"
    assert "energy" in str(rows(store, "SELECT fields_json FROM readings"))
    recorder.hide(registry.snapshot().values())
    recorder.publish_change(change(registry))
    assert waiting(store)["mbus/meter_1/energy"] == ""


class _Interrupted(frozenset[str]):
    """Names that are just being added to others when another thread comes; it gets a moment."""

    other: threading.Thread

    def __ror__(self, others: object) -> frozenset[str]:
        self.other.start()
        self.other.join(0.2)
        assert isinstance(others, frozenset)
        return frozenset((*others, *self))


def test_what_two_threads_withhold_at_once_is_all_withheld(
    registry: Registry, recorder: StateRecorder, store: Store
) -> None:
    after = change(registry, energy(Decimal("1234000")), POWER).after
    names = _Interrupted({"energy"})
    names.other = threading.Thread(target=recorder.withhold, args=("meter_1", frozenset({"power"})))
    recorder.withhold("meter_1", names)
    names.other.join(PATIENCE_S)
    recorder.publish_all([after])
    assert {topic.rpartition("/")[2] for topic in waiting(store)} == {"availability", "attributes"}
