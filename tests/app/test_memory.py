"""What an earlier run left, and what becomes of it at the next start."""
from __future__ import annotations

from pathlib import Path

import pytest

from mbusgw.app.base import Base, build_base
from mbusgw.app.lanes import build_wired_lane
from mbusgw.app.memory import Memory
from mbusgw.config.loader import loads
from mbusgw.model.reading import Lane
from mbusgw.parsers.formats import FormatMemory
from mbusgw.store import arrivals, telegrams
from mbusgw.store.telegrams import Status
from mbusgw.wired.finds import Finds
from tests.fakes.clock import FakeClock
from tests.fakes.stores import one, rows, running_store, write
from tests.fakes.telegrams import reading, received
from tests.wait import PATIENCE_S

KEY = "0102030405060708090A0B0C0D0E0F11"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mbusgw.db"


class Run:
    """One run of the house as far as it remembers: store, registry, recorder."""

    def __init__(self, path: Path, clock: FakeClock, config: str) -> None:
        self.base: Base = build_base(loads(f"storage: {{path: {path}}}\n{config}", {}), clock)
        build_wired_lane(self.base)
        base = self.base
        formats, finds = FormatMemory(), Finds(base.clock)
        Memory(base.config, base.registry, base.recorder, base.store, base.keyring, formats, finds).load()
        base.store.start()

    def close(self) -> None:
        self.base.store.stop()
        assert self.base.store.join(PATIENCE_S)
        self.base.store.close()


def device(number: int) -> str:
    return f"{{id: meter_{number}, name: Meter {number}, bus: main, address: {number}}}"


def wired(*numbers: int) -> str:
    return f"buses: [{{name: main, port: /dev/null}}]\ndevices: [{', '.join(map(device, numbers))}]\n"


def test_the_last_state_is_there_stale_until_it_is_read_again(path: Path, clock: FakeClock) -> None:
    first = Run(path, clock, wired(1))
    first.base.recorder.deliver(reading("meter_1", energy=5)).result(PATIENCE_S)
    first.close()
    clock.advance(10)
    second = Run(path, clock, wired(1))
    try:
        state = second.base.registry.get("meter_1")
        assert state is not None and state.stale and state.online and state.name == "Meter 1"
        assert state.fields["energy"].value == 5
        second.base.store.submit().result(PATIENCE_S)
        sent = dict(rows(second.base.store, "SELECT topic, payload FROM mqtt_queue ORDER BY id"))
        assert sent["mbus/meter_1/energy"] == "5" and '"stale":true' in sent["mbus/meter_1/attributes"]
    finally:
        second.close()


def test_a_meter_that_is_not_configured_any_more_is_forgotten_and_its_topics_are_cleared(
    path: Path, clock: FakeClock
) -> None:
    first = Run(path, clock, wired(1, 2))
    for name in ("meter_1", "meter_2"):
        first.base.recorder.deliver(reading(name, energy=5)).result(PATIENCE_S)
    first.close()
    second = Run(path, clock, wired(2))
    try:
        second.base.store.submit().result(PATIENCE_S)
        assert second.base.registry.get("meter_1") is None and second.base.registry.get("meter_2") is not None
        assert rows(second.base.store, "SELECT device_id FROM device_states") == [("meter_2",)]
        cleared = rows(second.base.store, "SELECT payload FROM mqtt_queue WHERE retain AND topic LIKE 'mbus/meter_1/%'")
        assert cleared and set(cleared) == {("",)}
    finally:
        second.close()


def test_a_radio_meter_is_remembered_though_no_configuration_names_it(path: Path, clock: FakeClock) -> None:
    first = Run(path, clock, "")
    first.base.recorder.deliver(reading("els_12345678", lane=Lane.WIRELESS, volume=7)).result(PATIENCE_S)
    first.close()
    second = Run(path, clock, "")
    try:
        state = second.base.registry.get("els_12345678")
        assert state is not None and state.fields["volume"].value == 7
    finally:
        second.close()


def test_a_key_that_is_configured_opens_what_waited_for_it(path: Path, clock: FakeClock) -> None:
    with running_store(path, clock) as store:
        write(
            store,
            lambda connection: arrivals.insert(connection, [received("t1")], dedup_window_s=None),
            telegrams.settle("t1", Status.KEY_MISSING, meter_id="12345678"),
        )
    later = Run(path, clock, f"keys: [{{meter_id: '12345678', manufacturer: ELS, key: {KEY}}}]\n")
    try:
        later.base.store.submit().result(PATIENCE_S)
        assert one(later.base.store, "SELECT status FROM telegrams") == Status.RECEIVED
        reader = later.base.store.reader()
        found = later.base.keyring.find(reader, [("12345678", "ELS")])
        assert found is not None and found.key == bytes.fromhex(KEY)
        reader.close()
    finally:
        later.close()


LISTED = "devices: [{id: gas, name: Gas, radio: els_12345678}, {id: quiet, radio: kam_00000001, hidden: true}]\n"


def test_a_listed_radio_meter_that_was_never_heard_is_offline_and_taken_back_once_it_is_not_listed(
    path: Path, clock: FakeClock
) -> None:
    first = Run(path, clock, LISTED)
    first.base.store.submit().result(PATIENCE_S)
    assert rows(first.base.store, "SELECT topic, payload FROM mqtt_queue") == [("mbus/gas/availability", "offline")]
    assert rows(first.base.store, "SELECT * FROM readings") == []
    first.close()
    again = Run(path, clock, LISTED)
    state = again.base.registry.get("gas")
    assert state is not None and not (state.online or state.stale) and state.read_at is None and state.expected
    again.close()
    later = Run(path, clock, "")
    try:
        later.base.store.submit().result(PATIENCE_S)
        assert later.base.registry.snapshot() == {}
        assert rows(later.base.store, "SELECT topic, payload FROM mqtt_queue") == [("mbus/gas/availability", "")]
        assert rows(later.base.store, "SELECT * FROM device_states") == []
    finally:
        later.close()


def test_a_wired_meter_that_was_never_read_is_taken_back_too(path: Path, clock: FakeClock) -> None:
    Run(path, clock, wired(1)).close()
    later = Run(path, clock, "")
    try:
        later.base.store.submit().result(PATIENCE_S)
        assert ("mbus/meter_1/availability", "") in rows(later.base.store, "SELECT topic, payload FROM mqtt_queue")
    finally:
        later.close()
