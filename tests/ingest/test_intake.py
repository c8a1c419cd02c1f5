"""From a gateway's telegram to a promise: stored first, then said."""
from __future__ import annotations

import sqlite3
import threading
from concurrent.futures import Future
from datetime import timedelta
from pathlib import Path

import pytest

from mbusgw.ingest import intake as intake_module
from mbusgw.model.errors import RequestError
from mbusgw.runtime.worker import spawn
from mbusgw.store.telegrams import Status
from mbusgw.store.writer import Store
from tests.fakes.backends import ScriptedBackend
from tests.fakes.clock import START, FakeClock
from tests.fakes.stores import one, opened_store, rows, write
from tests.ingest.conftest import RAW, Lane, submission
from tests.wait import PATIENCE_S


def count(lane: Lane, status: str = "%") -> int:
    return int(one(lane.store, "SELECT count(*) FROM telegrams WHERE status LIKE ?", status))


# ------------------------------------------------------------------ the promise
def test_an_accepted_telegram_is_on_disk_with_all_it_came_with(lane: Lane) -> None:
    key = bytes(range(16))
    (ingest_id,) = lane.accept(
        submission(
            rx_time=START - timedelta(seconds=2),
            rssi_dbm=-80.0,
            mode="C1",
            hint_meter_id="12345678",
            hint_manufacturer="ELS",
            key=key,
        )
    )
    assert rows(
        lane.store,
        "SELECT ingest_id, gateway_id, rx_time, created_at, rssi, mode, raw_hex, hint_meter_id, hint_manufacturer,"
        " key_hex, status FROM telegrams",
    ) == [
        (
            ingest_id,
            "gw1",
            "2026-03-01T11:59:58.000Z",
            "2026-03-01T12:00:00.000Z",
            -80.0,
            "C1",
            (RAW + b"\0").hex().upper(),
            "12345678",
            "ELS",
            key.hex(),
            "received",
        )
    ]


def test_nothing_is_promised_before_the_commit(tmp_path: Path, clock: FakeClock, backend: ScriptedBackend) -> None:
    with opened_store(tmp_path / "a.db", clock) as store:
        lane = Lane(store, clock, backend)
        answered = threading.Event()
        thread = spawn("gateway", lambda: (lane.accept(), answered.set()) and None)
        try:
            assert not answered.wait(0.1)
        finally:
            store.step()
            thread.join(PATIENCE_S)
        assert answered.is_set()
        assert count(lane) == 1


def test_every_telegram_has_an_id_of_its_own_and_a_batch_keeps_its_order(lane: Lane) -> None:
    ids = lane.accept(*[submission(number) for number in range(5)])
    assert len(set(ids)) == 5
    found = rows(lane.store, "SELECT ingest_id, raw_hex FROM telegrams ORDER BY rowid")
    assert found == [(ingest_id, (RAW + bytes([n])).hex().upper()) for n, ingest_id in enumerate(ids)]


def test_an_accepted_telegram_rings_for_the_parsers(lane: Lane) -> None:
    lane.work()  # the first look at the disk is over
    reader = lane.store.reader()
    assert lane.backlog.take(0, reader) is None
    ids = lane.accept(submission(1), submission(2))
    assert [lane.backlog.take(0, reader), lane.backlog.take(0, reader)] == ids
    reader.close()


def test_without_a_time_of_its_own_a_telegram_was_received_now(lane: Lane) -> None:
    lane.accept(submission(1), submission(2, rx_time=START - timedelta(days=3)))
    assert [row[0] for row in rows(lane.store, "SELECT rx_time FROM telegrams ORDER BY rowid")] == [
        "2026-03-01T12:00:00.000Z",
        "2026-02-26T12:00:00.000Z",
    ]


# ------------------------------------------------------------------ duplicates
def test_a_duplicate_is_accepted_marked_told_of_and_not_parsed(lane: Lane) -> None:
    (first,) = lane.accept()
    lane.work()
    (answer,) = lane.intake.accept([submission()])
    assert answer.duplicate and answer.ingest_id != first
    assert lane.status(answer.ingest_id) == Status.DUPLICATE
    assert lane.due() == []
    topic, document = lane.sent("raw/")[-1]
    assert topic == f"oms/v1/gw/gw1/raw/{answer.ingest_id}" and document["duplicate"] is True
    lane.acknowledge_all()
    assert lane.status(answer.ingest_id) == Status.DUPLICATE


def test_without_dedup_every_reception_is_parsed(store: Store, clock: FakeClock, backend: ScriptedBackend) -> None:
    lane = Lane(store, clock, backend, dedup_window_s=None)
    lane.accept(submission(), submission(), submission())
    assert lane.work() == 3


# ------------------------------------------------------------------ refusals
def refused(lane: Lane, *numbers: int) -> RequestError:
    with pytest.raises(RequestError) as caught:
        lane.accept(*[submission(number) for number in numbers])
    assert caught.value.status == 503 and caught.value.retry_after_s and caught.value.retryable
    return caught.value


def test_beyond_the_backlog_telegrams_are_refused_and_later_accepted_again(
    store: Store, clock: FakeClock, backend: ScriptedBackend, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "mbusgw.ingest.intake")
    lane = Lane(store, clock, backend, max_backlog=3)
    lane.accept(submission(1), submission(2))
    assert refused(lane, 3, 4).code == "backlog_full"
    assert refused(lane, 3, 4).code == "backlog_full"
    assert count(lane) == 2, "of a batch all or none"
    lane.accept(submission(3))
    refused(lane, 4)
    lane.work()
    lane.accept(submission(4))
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("ERROR", "taking in telegrams: too many telegrams wait for the parser"),
        ("INFO", "taking in telegrams: works again after 2 failures in 0 s"),
        ("ERROR", "taking in telegrams: too many telegrams wait for the parser"),
        ("INFO", "taking in telegrams: works again after 1 failure in 6 s"),
    ], "said when it begins and when it ends"


def test_a_duplicate_that_cannot_be_told_of_is_refused(
    store: Store, clock: FakeClock, backend: ScriptedBackend
) -> None:
    lane = Lane(store, clock, backend, max_outbox=2)
    lane.accept(submission(1))
    lane.work()
    assert store.count("telemetry") == 2
    assert refused(lane, 1).code == "outbox_full"
    assert refused(lane, 2, 1).code == "outbox_full"
    assert count(lane) == 1
    lane.accept(submission(2))
    assert store.count("telemetry") == 2


def test_a_full_disk_is_503_nothing_is_promised_and_it_recovers_by_itself(lane: Lane) -> None:
    pages = one(lane.store, "PRAGMA page_count")
    limit = "PRAGMA max_page_count = "
    write(lane.store, lambda connection: connection.execute(f"{limit}{pages}").fetchone())
    accepted, batch = 0, [submission(number) for number in range(200)]
    assert refused(lane, *range(200)).code == "store_unavailable"
    assert count(lane) == accepted
    write(lane.store, lambda connection: connection.execute(f"{limit}1000000").fetchone())
    assert len(lane.accept(*batch)) == 200
    assert count(lane) == 200


def test_a_database_held_by_another_process_is_503(lane: Lane) -> None:
    write(lane.store, lambda connection: connection.execute("PRAGMA busy_timeout = 20").fetchone())
    holder = sqlite3.connect(lane.store.path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    assert refused(lane, 1).code == "store_unavailable"
    holder.close()
    lane.accept(submission(1))


def test_a_store_that_does_not_answer_is_503_and_what_it_stores_later_is_parsed(
    tmp_path: Path,
    clock: FakeClock,
    backend: ScriptedBackend,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(intake_module, "COMMIT_TIMEOUT_S", 0.05)
    with opened_store(tmp_path / "a.db", clock) as store:
        lane = Lane(store, clock, backend)
        assert refused(lane, 1).code == "store_unavailable"
        assert "the database does not answer" in caplog.text
        store.step()
        assert len(lane.due()) == 1, "not promised, but kept: the gateway's second try is its duplicate"


def test_a_closed_store_is_503(lane: Lane) -> None:
    lane.store.stop()
    assert refused(lane, 1).code == "store_unavailable"


def test_refusals_and_acceptances_are_counted_for_their_gateway(lane: Lane) -> None:
    lane.accept(submission(1), submission(1), submission(2))
    lane.store.stop()
    refused(lane, 3)
    text = lane.metrics.render().decode()
    assert 'oms_telegrams_total{gateway="gw1",result="accepted"} 2.0' in text
    assert 'oms_telegrams_total{gateway="gw1",result="duplicate"} 1.0' in text
    assert 'oms_telegrams_total{gateway="gw1",result="refused"} 1.0' in text


def test_many_gateways_at_once_get_all_their_telegrams_stored(lane: Lane) -> None:
    results: dict[int, Future[list[str]]] = {who: Future() for who in range(8)}

    def post(who: int) -> None:
        ids: list[str] = []
        for number in range(30):
            ids += lane.accept(submission(number, gateway_id=f"gw{who}"))
        results[who].set_result(ids)

    threads = [spawn(f"gw{who}", lambda who=who: post(who)) for who in results]
    for thread in threads:
        thread.join(PATIENCE_S)
    promised = {ingest_id for future in results.values() for ingest_id in future.result(0)}
    assert len(promised) == 240
    assert promised == {row[0] for row in rows(lane.store, "SELECT ingest_id FROM telegrams")}
