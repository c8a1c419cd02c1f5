"""What the gateway says of itself."""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from mbusgw.app.base import Base, build_base
from mbusgw.app.checks import build_checks, parser_reachable
from mbusgw.app.documents import Documents, file_bytes, resident_bytes
from mbusgw.app.lanes import build_wired_lane, build_wireless_lane
from mbusgw.app.settings import LiveSettings
from mbusgw.app.wayout import build_outputs, build_way_out
from mbusgw.commands.desk import Desk
from mbusgw.config.loader import loads
from mbusgw.config.source import ConfigSource
from mbusgw.health import checks
from mbusgw.health.report import Status
from mbusgw.ingest.fleet import Fleet
from mbusgw.model.reading import Lane
from mbusgw.model.reception import Reception
from mbusgw.runtime.breaker import CircuitBreaker
from mbusgw.wired.lane import WiredLane
from tests.fakes.clock import FakeClock
from tests.fakes.telegrams import reading

CONFIG = """
storage: {{path: '{path}'}}
buses: [{{name: main, port: /dev/null}}]
devices: [{{id: meter_1, bus: main, address: 1}}, {{id: off, bus: main, address: 2, enabled: false}}]
"""


@pytest.fixture
def base(tmp_path: Path) -> Iterator[Base]:
    base = build_base(loads(CONFIG.format(path=tmp_path / "mbusgw.db"), {}), FakeClock())
    base.store.open()
    yield base
    base.store.stop()
    base.store.close()


def settings(lane: WiredLane) -> LiveSettings:
    return LiveSettings(lane, "INFO", lambda level: None)


@pytest.fixture
def documents(base: Base) -> Documents:
    wired = build_wired_lane(base)
    return Documents(
        base.registry,
        base.store,
        build_way_out(base, wired.interval_s, Desk(base.clock), settings(wired)).broker,
        wired,
        Fleet(base.clock),
        build_outputs(base),
        parser_reachable=lambda: None,
        parser_queue=lambda: 3,
        clock=base.clock,
    )


def test_state_has_every_device_with_its_values_and_how_it_is_read(base: Base, documents: Documents) -> None:
    base.registry.record(reading("meter_1", energy=5))
    document = documents.state()
    assert document["devices"].keys() == {"meter_1"}, "a device that is switched off is not read"
    meter = document["devices"]["meter_1"]
    assert meter["values"] == {"energy": {"value": 5, "unit": "kWh"}}
    assert meter["meter"]["id"] == "12345678" and meter["polling"]["address"] == 1
    assert document["buses"]["main"]["port"] == "/dev/null"
    assert document["buses"]["main"]["port_in_use"] is None
    assert document["queues"] == {"outbox": 0, "backlog": 0, "parser_queue": 3}
    assert document["parsers"] == {"differences": 0, "newest_differences": [], "to_confirm": 0}


def test_it_is_ready_only_with_a_broker(documents: Documents) -> None:
    assert documents.readiness()["status"] == "unavailable"


def test_the_status_line_counts_meters_and_messages(base: Base, documents: Documents) -> None:
    base.registry.record(reading("meter_1", energy=5))
    assert documents.status_line() == "1 of 1 meter online, broker away, 0 messages wait"


def test_memory_and_files_are_measured_in_bytes(tmp_path: Path) -> None:
    assert 5e6 < resident_bytes() < 5e9
    (tmp_path / "file").write_bytes(bytes(100))
    assert file_bytes(tmp_path / "file") == 100
    assert file_bytes(tmp_path / "none") == 0


def test_the_checks_name_store_broker_http_queues_threads_and_every_bus(base: Base) -> None:
    lane = build_wired_lane(base)
    table = build_checks(
        base.config,
        ConfigSource(Path("mbusgw.yaml"), {}),
        store=base.store,
        broker=build_way_out(base, lane.interval_s, Desk(base.clock), settings(lane)).broker,
        lane=lane,
        outputs=build_outputs(base),
        keyring=base.keyring,
        fleet=Fleet(base.clock),
        lobaro=build_wireless_lane(base).lobaro,
        serving=lambda: False,
        workers=lambda: [],
    )
    found = {name: result.status for name, result in checks.run(table()).items()}
    assert found == {
        "configuration": Status.HEALTHY,
        "store": Status.HEALTHY,
        "mqtt": Status.DEGRADED,
        "http": Status.DEGRADED,
        "outbox": Status.HEALTHY,
        "history": Status.HEALTHY,
        "backlog": Status.HEALTHY,
        "threads": Status.HEALTHY,
        "keys": Status.HEALTHY,
        "bus main": Status.DEGRADED,
    }
    lane.buses = ()
    assert "bus main" not in table(), "a bus that was taken out is not looked at any more"


@pytest.mark.parametrize(
    ("config", "broken", "reachable"),
    [
        ("parser: {backend: local}", False, None),
        ("lobaro: {token: t}", True, None),
        ("parser: {backend: lobaro}\nlobaro: {token: t}", False, True),
        ("parser: {backend: lobaro}\nlobaro: {token: t}", True, False),
    ],
)
def test_a_parser_counts_as_away_only_where_telegrams_wait_for_it(
    config: str, broken: bool, reachable: bool | None
) -> None:
    lobaro = CircuitBreaker(FakeClock())
    if broken:
        lobaro.open_for(60)
    assert parser_reachable(loads(config, {}), lobaro) is reachable


def test_state_tells_of_each_radio_gateway_and_how_each_radio_meter_is_heard(base: Base, tmp_path: Path) -> None:
    fleet = Fleet(base.clock)
    wired = build_wired_lane(base)
    documents = Documents(
        base.registry,
        base.store,
        build_way_out(base, wired.interval_s, Desk(base.clock), settings(wired)).broker,
        wired,
        fleet,
        build_outputs(base),
        parser_reachable=lambda: None,
        parser_queue=lambda: 0,
        clock=base.clock,
    )
    documents.add_gauges(base.metrics)
    fleet.contact("gw1", telegrams=2, duplicates=0)
    fleet.contact("gw2", telegrams=1, duplicates=1)
    heard = (Reception("gw1", -90.0, base.clock.now()), Reception("gw2", -60.0, base.clock.now()))
    base.registry.record(replace(reading("els_12345678", lane=Lane.WIRELESS, volume=5), receptions=heard))
    document = documents.state()
    assert [(name, one["meters_heard"], one["meters_best"]) for name, one in document["gateways"].items()] == [
        ("gw1", 1, 0),
        ("gw2", 1, 1),
    ]
    radio = document["devices"]["els_12345678"]["radio"]
    assert radio["best_gateway"] == "gw2" and radio["best_rssi_dbm"] == -60.0 and radio["interval_s"] is None
    assert 'oms_gateway_telegrams_per_minute{gateway="gw1"} 2.0' in base.metrics.render().decode()
    assert 'oms_gateway_silent_seconds{gateway="gw2"} 0.0' in base.metrics.render().decode()
    assert 'oms_gateway_meters_heard{gateway="gw2"} 1.0' in base.metrics.render().decode()
    assert 'oms_gateway_gone{gateway="gw1"} 0.0' in base.metrics.render().decode()
    for number in range(1, 6):
        at = base.clock.now() + timedelta(seconds=60 * number)
        again = (Reception("gw1", -90.0, at),)
        base.registry.record(replace(reading("els_12345678", at=at, lane=Lane.WIRELESS, volume=5), receptions=again))
    assert 'oms_meter_completeness_ratio{device="els_12345678"} 1.0' in base.metrics.render().decode()
