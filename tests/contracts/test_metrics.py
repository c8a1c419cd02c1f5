"""Every metric others rely on, on ``GET /metrics`` of a daemon that works."""
from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.contracts.conftest import World

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("mbus_reads_total", {"device": "meter_1"}),
        ("mbus_read_duration_seconds_bucket", {"device": "meter_1", "le": "+Inf"}),
        ("mbus_errors_total", {"device": "silent", "type": "NoAnswer"}),
        ("mbus_line_total", {"bus": "main", "event": "answers"}),
        ("mbus_line_total", {"bus": "main", "event": "timeouts"}),
        ("mqtt_publish_total", {"result": "success"}),
        ("mqtt_queue_size", {}),
        ("mqtt_queue_oldest_seconds", {}),
        ("mqtt_queued", {}),
        ("mqtt_coalesced", {}),
        ("mqtt_history_thinned", {}),
        ("mqtt_sent_total", {}),
        ("mqtt_set_aside_total", {}),
        ("mqtt_set_aside_kept", {}),
        ("oms_telegrams_total", {"gateway": "gw1", "result": "accepted"}),
        ("oms_telegrams_total", {"gateway": "gw1", "result": "parsed"}),
        ("oms_telegrams_total", {"gateway": "gw1", "result": "key_missing"}),
        ("oms_parse_duration_seconds_bucket", {"le": "+Inf"}),
        ("oms_queue_depth", {}),
        ("oms_format_changes_total", {}),
        ("mbusgw_uptime_seconds", {}),
        ("mbusgw_threads", {}),
        ("mbusgw_resident_memory_bytes", {}),
        ("mbusgw_database_bytes", {}),
        ("mbusgw_meters_online", {}),
        ("mbusgw_meters_known", {}),
        ("mbusgw_meters_awaited", {}),
        ("mbusgw_worker_crashes", {"worker": "store"}),
    ],
)
def test_a_metric_has_its_name_and_labels(world: World, name: str, labels: dict[str, str]) -> None:
    text = world.daemon.get("/metrics")[1]
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    assert [sample for sample in samples if sample.name == name and dict(sample.labels) == labels], name


def test_calls_of_the_parsers_web_api_have_a_metric(world: World) -> None:
    assert "# TYPE lobaro_requests_total counter" in world.daemon.get("/metrics")[1]


def test_the_process_is_measured_in_bytes_and_seconds(world: World) -> None:
    text = world.daemon.get("/metrics")[1]
    found = {sample.name: sample.value for family in text_string_to_metric_families(text) for sample in family.samples}
    assert 10e6 < found["mbusgw_resident_memory_bytes"] < 256e6
    assert 0 < found["mbusgw_uptime_seconds"] < 600
    assert found["mbusgw_database_bytes"] >= 4096
    assert (found["mbusgw_meters_online"], found["mbusgw_meters_known"]) == (2, 3)
