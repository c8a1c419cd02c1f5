"""The names and numbers of ``GET /metrics``."""
from __future__ import annotations

import threading

from prometheus_client.parser import text_string_to_metric_families

from mbusgw.runtime.metrics import GATEWAYS_MAX, Metrics
from mbusgw.runtime.worker import spawn
from tests.wait import PATIENCE_S


def samples(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(metrics.render().decode())
        for sample in family.samples
    }


def test_every_metric_of_the_contract_is_there_under_its_name() -> None:
    metrics = Metrics()
    metrics.read_done("meter_1", 0.2)
    metrics.read_failed("meter_1", "NoAnswer")
    metrics.published(3)
    metrics.published(success=False)
    metrics.telegram("gw1", "accepted")
    metrics.lobaro_request("ok")
    metrics.worker_crashes("store", 2)
    with metrics.parse_duration.time():
        pass
    metrics.gauge("mqtt_queue_size", "Messages that wait", lambda: 7)
    metrics.gauge("oms_queue_depth", "Telegrams that wait", lambda: 8)
    found = samples(metrics)
    assert found["mbus_reads_total", (("device", "meter_1"),)] == 1
    assert found["mbus_read_duration_seconds_count", (("device", "meter_1"),)] == 1
    assert found["mbus_read_duration_seconds_bucket", (("device", "meter_1"), ("le", "0.25"))] == 1
    assert found["mbus_errors_total", (("device", "meter_1"), ("type", "NoAnswer"))] == 1
    assert found["mqtt_publish_total", (("result", "success"),)] == 3
    assert found["mqtt_publish_total", (("result", "failure"),)] == 1
    assert found["oms_telegrams_total", (("gateway", "gw1"), ("result", "accepted"))] == 1
    assert found["oms_parse_duration_seconds_count", ()] == 1
    assert found["lobaro_requests_total", (("result", "ok"),)] == 1
    assert found["mbusgw_worker_crashes", (("worker", "store"),)] == 2
    assert found["mqtt_queue_size", ()] == 7
    assert found["oms_queue_depth", ()] == 8


def test_the_numbers_of_a_meter_that_is_not_read_any_more_are_gone() -> None:
    metrics = Metrics()
    for device in ("meter_1", "meter_2"):
        metrics.read_done(device, 0.2)
        metrics.read_failed(device, "NoAnswer")
        metrics.read_failed(device, "FrameDamaged")
    metrics.forget_device("meter_1")
    metrics.forget_device("never_read")
    devices = {value for _, labels in samples(metrics) for name, value in labels if name == "device"}
    assert devices == {"meter_2"}
    metrics.read_done("meter_1", 0.2)
    assert samples(metrics)["mbus_reads_total", (("device", "meter_1"),)] == 1, "it begins anew"


def test_what_others_count_is_looked_up() -> None:
    metrics, counted = Metrics(), {("main", "timeouts"): 3.0}
    metrics.counts("mbus_line", "of a bus", ("bus", "event"), lambda: counted)
    counted["main", "timeouts"] = 4
    assert samples(metrics)["mbus_line_total", (("bus", "main"), ("event", "timeouts"))] == 4


def test_two_of_them_live_side_by_side() -> None:
    one, other = Metrics(), Metrics()
    one.telegram("gw1", "accepted")
    assert ("oms_telegrams_total", (("gateway", "gw1"), ("result", "accepted"))) not in samples(other)


def test_no_count_is_lost_between_threads() -> None:
    metrics = Metrics()
    start = threading.Barrier(4)

    def count() -> None:
        start.wait(PATIENCE_S)
        for number in range(500):
            metrics.telegram(f"gw{number % 5}", "accepted")

    threads = [spawn(f"count{number}", count) for number in range(4)]
    for thread in threads:
        thread.join(PATIENCE_S)
    found = samples(metrics)
    assert all(found["oms_telegrams_total", (("gateway", f"gw{n}"), ("result", "accepted"))] == 400 for n in range(5))


def test_made_up_gateways_do_not_grow_the_list_for_ever() -> None:
    metrics = Metrics()
    for number in range(GATEWAYS_MAX + 50):
        metrics.telegram(f"gw{number}", "accepted")
    metrics.telegram("gw1", "accepted")
    text = metrics.render().decode()
    assert 'oms_telegrams_total{gateway="others",result="accepted"} 50.0' in text
    assert 'oms_telegrams_total{gateway="gw1",result="accepted"} 2.0' in text


def test_several_gauges_are_looked_up_together_once_a_scrape() -> None:
    metrics, looks = Metrics(), []

    def read() -> dict[str, tuple[float, float]]:
        looks.append(1)
        return {"gw1": (1.0, 2.0), "gw2": (3.0, 4.0)}

    metrics.families([("first", "The first"), ("second", "The second")], "gateway", read)
    found = samples(metrics)
    assert len(looks) == 1
    assert found["first", (("gateway", "gw2"),)] == 3.0 and found["second", (("gateway", "gw1"),)] == 2.0
