"""The parser threads: what becomes of a telegram, whatever the back end and the store do."""
from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from mbusgw.ingest import backlog as backlog_module
from mbusgw.ingest import pool as pool_module
from mbusgw.ingest.outcomes import Outcomes
from mbusgw.ingest.pool import CALLED_DEFER_S, DEFER_S, FORMAT_TRIES, format_name
from mbusgw.model.errors import (
    FormatPending,
    FormatUnknown,
    KeyMissing,
    KeyWrong,
    LobaroAuthError,
    LobaroBadRequestError,
    LobaroTimeoutError,
    MbusgwError,
)
from mbusgw.model.submission import Submission
from mbusgw.model.telegram import ReceivedTelegram
from mbusgw.parsers.base import ParsedTelegram
from mbusgw.parsers.formats import FormatMemory
from mbusgw.parsers.local import LocalBackend
from mbusgw.runtime.clock import SystemClock
from mbusgw.store import archive, formats, telegrams
from mbusgw.store.keys import MeterKey
from mbusgw.store.telegrams import Status
from mbusgw.store.writer import Store
from tests.fakes.backends import ScriptedBackend, parsed, raising
from tests.fakes.clock import START, FakeClock
from tests.fakes.stores import one, rows, running_store, write
from tests.ingest.conftest import Lane, submission
from tests.parsers.compact import compact, full
from tests.wait import PATIENCE_S, wait_until
from tests.wmbus.samples import KEY, OMS_GAS

ENCRYPTED = Submission("gw1", OMS_GAS)


def put_key(lane: Lane, meter_id: str = "12345678", manufacturer: str | None = "ELS", key: bytes = KEY) -> None:
    """As when an operator sets one: stored, and all that waited for it are due."""
    lane.keyring.set([MeterKey(meter_id, manufacturer, key)])


# ------------------------------------------------------------------ success
def test_a_parsed_telegram_is_one_transaction_of_all_that_follows_from_it(lane: Lane) -> None:
    (ingest_id,) = lane.accept(submission(rssi_dbm=-70.0))
    lane.work()
    assert lane.status(ingest_id) == Status.PARSED
    assert one(lane.store, "SELECT meter_id FROM telegrams") == "12345678"
    assert [topic for topic, _ in lane.sent()] == [
        f"oms/v1/gw/gw1/raw/{ingest_id}",
        "oms/v1/gw/gw1/meter/12345678/reading",
    ]
    reading = lane.sent("reading")[0][1]
    assert reading["ingest_id"] == ingest_id and reading["reading"]["fields"]["volume"]["value"] == 28504.27
    assert one(lane.store, "SELECT parsed_json FROM parse_results WHERE ingest_id = ?", ingest_id)
    assert rows(lane.store, "SELECT device_id, ingest_id FROM readings") == [("els_12345678", ingest_id)]
    assert rows(lane.store, "SELECT device_id, online FROM device_states") == [("els_12345678", 1)]
    assert one(lane.store, "SELECT payload FROM mqtt_queue WHERE topic = 'mbus/els_12345678/volume'") == "28504.27"
    state = lane.registry.get("els_12345678")
    assert state is not None and state.online and state.rssi_dbm == -70


def test_it_is_published_when_the_broker_has_taken_everything(lane: Lane) -> None:
    (ingest_id,) = lane.accept()
    lane.work()
    lane.acknowledge_all()
    assert lane.status(ingest_id) == Status.PUBLISHED
    assert one(lane.store, "SELECT published_at FROM parse_results")
    assert lane.due() == []


def test_an_answer_that_names_no_meter_goes_to_unknown_unchanged(lane: Lane, backend: ScriptedBackend) -> None:
    backend.answer = lambda _telegram, _key: ParsedTelegram(None, {"body": [1, None]}, "lobaro")
    (ingest_id,) = lane.accept()
    lane.work()
    topic, document = lane.sent("reading")[0]
    assert topic == "oms/v1/gw/gw1/meter/unknown/reading"
    assert document["lobaro"] == {"metering_domain_model": {"body": [1, None]}} and document["reading"] is None
    assert lane.status(ingest_id) == Status.PARSED
    assert rows(lane.store, "SELECT * FROM device_states") == []
    lane.acknowledge_all()
    assert lane.status(ingest_id) == Status.PUBLISHED


def test_an_answer_that_only_names_its_meter_is_told_of_that_one(lane: Lane, backend: ScriptedBackend) -> None:
    backend.answer = lambda _telegram, _key: ParsedTelegram(None, {}, "lobaro", meter_id="87654321")
    lane.accept()
    lane.work()
    assert lane.sent("reading")[0][0] == "oms/v1/gw/gw1/meter/87654321/reading"
    assert one(lane.store, "SELECT meter_id FROM telegrams") == "87654321"


def test_records_without_a_meter_make_no_device(lane: Lane, backend: ScriptedBackend) -> None:
    backend.answer = lambda _telegram, _key: parsed(meter=None)
    lane.accept()
    lane.work()
    assert lane.registry.snapshot() == {}
    assert lane.sent("reading")[0][1]["reading"]["fields"]["volume"]["value"] == 28504.27


# ------------------------------------------------------------------ failure
@pytest.mark.parametrize("error", [FormatUnknown("no frame"), KeyWrong("bad key"), LobaroBadRequestError("null")])
def test_a_telegram_that_cannot_be_parsed_fails_with_its_reason_and_the_next_goes_on(
    lane: Lane, backend: ScriptedBackend, error: MbusgwError
) -> None:
    backend.answer = raising(error)
    (bad,) = lane.accept(submission(1))
    lane.work()
    backend.answer = lambda _telegram, _key: parsed()
    (good,) = lane.accept(submission(2))
    lane.work()
    assert lane.status(bad) == Status.FAILED and lane.status(good) == Status.PARSED
    topic, document = lane.sent("errors")[0]
    assert topic == f"oms/v1/gw/gw1/errors/{bad}"
    assert document["error"]["type"] == type(error).__name__ and document["error"]["message"] == str(error)
    assert document["will_retry"] is False and document["status"] == "failed"
    assert str(error) in one(lane.store, "SELECT reason FROM telegrams WHERE ingest_id = ?", bad)
    assert lane.sent("raw")[0][0].endswith(bad)
    lane.acknowledge_all()
    assert lane.status(bad) == Status.FAILED


@pytest.mark.parametrize("error", [ValueError("a mistake"), RecursionError("deep"), AssertionError(), KeyError("x")])
def test_a_mistake_of_ours_costs_this_telegram_only_and_no_thread(
    lane: Lane, backend: ScriptedBackend, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    backend.answer = raising(error)
    (bad,) = lane.accept(submission(1))
    assert lane.work() == 1
    assert lane.status(bad) == Status.FAILED
    assert any(record.exc_info for record in caplog.records), "with its trace"
    assert type(error).__name__ in lane.sent("errors")[0][1]["error"]["message"]
    backend.answer = lambda _telegram, _key: parsed()
    (good,) = lane.accept(submission(2))
    lane.work()
    assert lane.status(good) == Status.PARSED


def test_an_answer_that_is_no_json_fails_its_telegram(lane: Lane, backend: ScriptedBackend) -> None:
    backend.answer = lambda _telegram, _key: ParsedTelegram(None, {"value": float("nan")}, "lobaro")
    (bad,) = lane.accept()
    lane.work()
    assert lane.status(bad) == Status.FAILED


def test_a_lack_of_memory_is_not_the_telegrams_fault(lane: Lane, backend: ScriptedBackend) -> None:
    backend.answer = raising(MemoryError())
    (ingest_id,) = lane.accept()
    with pytest.raises(MemoryError):
        lane.work()
    assert lane.status(ingest_id) == Status.RECEIVED
    backend.answer = lambda _telegram, _key: parsed()
    lane.work()
    assert lane.status(ingest_id) == Status.PARSED


# ------------------------------------------------------------------ deferral
@pytest.mark.parametrize("error", [LobaroTimeoutError("slow"), LobaroAuthError("token")])
def test_a_telegram_is_deferred_while_the_parser_is_away_and_parsed_when_it_is_back(
    lane: Lane, backend: ScriptedBackend, clock: FakeClock, error: MbusgwError
) -> None:
    backend.answer = raising(error)
    (ingest_id,) = lane.accept()
    lane.work()
    assert lane.status(ingest_id) == Status.DEFERRED
    ((_, document),) = lane.sent("errors")
    assert document["will_retry"] is True and document["status"] == "deferred"
    lane.acknowledge_all()
    assert lane.status(ingest_id) == Status.DEFERRED
    backend.answer = lambda _telegram, _key: parsed()
    clock.advance(DEFER_S[0])
    lane.work()
    assert lane.status(ingest_id) == Status.PARSED
    assert lane.sent("raw") == [], "said with the first outcome, not again"
    lane.acknowledge_all()
    assert lane.status(ingest_id) == Status.PUBLISHED


def test_who_asked_a_parser_in_vain_asks_again_as_soon_as_it_may_be_asked(
    lane: Lane, backend: ScriptedBackend, clock: FakeClock
) -> None:
    error = LobaroTimeoutError("slow")
    error.retry_after_s = 40.0
    backend.answer = raising(error)
    (ingest_id,) = lane.accept()
    for _ in range(6):  # however often: the pause of the one that probes does not grow
        lane.work()
        assert lane.status(ingest_id) == Status.DEFERRED
        clock.advance(39.0 - 2.0)
        assert not lane.due()
        clock.advance(3.0)
        assert lane.due() == [ingest_id]


def test_what_is_deferred_is_due_at_once_when_it_is_recalled(
    lane: Lane, backend: ScriptedBackend, clock: FakeClock
) -> None:
    backend.answer = raising(LobaroTimeoutError("slow"))
    ids = lane.accept(submission(1), submission(2))
    lane.work()
    assert not lane.due()
    lane.store.submit(telegrams.recall(clock.now())).result(PATIENCE_S)
    assert sorted(lane.due()) == sorted(ids)


@pytest.mark.parametrize("asked,last", [(True, [600, 600, 600]), (False, [960, 1920, 3600])])
def test_the_pauses_between_tries_double_up_to_the_longest(
    lane: Lane, backend: ScriptedBackend, clock: FakeClock, asked: bool, last: list[float]
) -> None:
    error = LobaroTimeoutError("slow")
    error.asked = asked  # a service that is known to be away calls when it is back
    backend.answer = raising(error)
    lane.accept()
    pauses = []
    for _ in range(9):
        before = clock.now()
        lane.work()
        retry_at = one(lane.store, "SELECT retry_at FROM telegrams")
        waited = (clock.now() - before).total_seconds()
        due_s = (pool_module.datetime.fromisoformat(retry_at) - clock.now()).total_seconds()
        pauses.append(due_s)
        assert waited == 2, "one step"
        clock.advance(due_s - 0.01)
        assert lane.due() == [], "not before its time"
        clock.advance(0.01)
    assert pauses == [15, 30, 60, 120, 240, 480, *last]


def test_an_outage_is_said_when_it_begins_and_what_follows_when_it_ends(
    lane: Lane, backend: ScriptedBackend, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "mbusgw.ingest")
    backend.answer = raising(LobaroTimeoutError("slow"))
    lane.accept()
    for _ in range(4):
        lane.work()
        clock.advance(DEFER_S[1])
    backend.answer = raising(LobaroBadRequestError("null"))
    lane.work()
    assert [document["status"] for _, document in lane.sent("errors")] == ["deferred", "failed"]
    assert len(lane.sent("raw")) == 1
    (said,) = [record.message for record in caplog.records if "telegram" in record.message]
    assert "failed: null" in said, "that the service is away is told by whoever asks it"


# ------------------------------------------------------------------ keys
def test_without_its_key_a_telegram_waits_and_the_parser_is_not_asked(lane: Lane, backend: ScriptedBackend) -> None:
    (ingest_id,) = lane.accept(ENCRYPTED)
    lane.work()
    assert lane.status(ingest_id) == Status.KEY_MISSING
    assert backend.asked == []
    ((_, document),) = lane.sent("errors")
    assert document["error"]["type"] == "KeyMissing" and document["will_retry"] is True
    assert "12345678" in document["error"]["message"]


def test_as_soon_as_the_key_arrives_all_that_waited_for_it_are_parsed(
    store: Store, clock: FakeClock
) -> None:
    lane = Lane(store, clock, LocalBackend())  # type: ignore[arg-type]
    ids = lane.accept(ENCRYPTED)
    lane.work()
    clock.advance(301)  # the same again would be a duplicate within the window
    ids += lane.accept(Submission("gw2", OMS_GAS))
    lane.work()
    assert [lane.status(ingest_id) for ingest_id in ids] == [Status.KEY_MISSING] * 2
    put_key(lane, "87654321")
    assert lane.due() == []
    put_key(lane)
    lane.work()
    assert [lane.status(ingest_id) for ingest_id in ids] == [Status.PARSED] * 2
    assert len(lane.sent("raw")) == 2, "each once"
    assert lane.sent("reading")[0][1]["reading"]["fields"]["volume"]["value"] == 28504.27
    lane.acknowledge_all()
    assert [lane.status(ingest_id) for ingest_id in ids] == [Status.PUBLISHED] * 2


def test_a_gateway_that_sends_the_telegram_again_with_the_key_gets_it_parsed(store: Store, clock: FakeClock) -> None:
    lane = Lane(store, clock, LocalBackend())  # type: ignore[arg-type]
    lane.accept(ENCRYPTED)
    lane.work()
    (second,) = lane.accept(Submission("gw1", OMS_GAS, key=KEY))
    lane.work()
    assert lane.status(second) == Status.PARSED
    assert one(lane.store, "SELECT count(*) FROM telegrams WHERE key_hex IS NOT NULL") == 0


@pytest.mark.parametrize(
    ("in_request", "in_table", "used"),
    [(KEY, None, KEY), (None, KEY, KEY), (KEY, bytes(16), KEY), (None, None, None)],
)
def test_the_key_of_the_request_comes_before_that_of_the_table(
    store: Store,
    clock: FakeClock,
    backend: ScriptedBackend,
    in_request: bytes | None,
    in_table: bytes | None,
    used: bytes | None,
) -> None:
    lane = Lane(store, clock, backend, strict_keys=False)
    if in_table:
        put_key(lane, key=in_table)
    (ingest_id,) = lane.accept(Submission("gw1", OMS_GAS, key=in_request))
    lane.work()
    assert backend.asked == [(ingest_id, used)]


def test_a_lenient_policy_asks_the_parser_anyway_and_believes_what_it_says(
    store: Store, clock: FakeClock, backend: ScriptedBackend
) -> None:
    lane = Lane(store, clock, backend, strict_keys=False)
    backend.answer = raising(KeyMissing("cannot decrypt"))
    (ingest_id,) = lane.accept(ENCRYPTED)
    lane.work()
    assert len(backend.asked) == 1
    assert lane.status(ingest_id) == Status.KEY_MISSING
    put_key(lane)
    assert lane.due() == [ingest_id]


@pytest.mark.parametrize(("newer", "says"), [(None, "KeyMissing"), (bytes(16), "KeyWrong")])
def test_what_is_run_again_without_the_key_it_came_with_keeps_its_reading(
    store: Store, clock: FakeClock, newer: bytes | None, says: str
) -> None:
    lane = Lane(store, clock, LocalBackend())
    (ingest_id,) = lane.accept(Submission("gw1", OMS_GAS, key=KEY))
    lane.work()
    lane.acknowledge_all()
    if newer:
        put_key(lane, key=newer)
    write(store, lambda connection: archive.replay(connection, [ingest_id]))
    lane.work()
    (error,) = [document for _, document in lane.sent("errors")]
    assert (error["error"]["type"], error["status"], error["will_retry"]) == (says, Status.PARSED, False)
    lane.acknowledge_all()
    assert lane.status(ingest_id) == Status.PUBLISHED
    assert rows(store, "SELECT ingest_id FROM readings") == [(ingest_id,)]


def test_a_key_is_in_nothing_that_is_said_or_kept(
    store: Store, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    lane = Lane(store, clock, LocalBackend())  # type: ignore[arg-type]
    wrong = bytes.fromhex("DEADBEEF" * 4)
    lane.accept(Submission("gw1", OMS_GAS, key=KEY), Submission("gw2", OMS_GAS, key=wrong))
    lane.work()
    everything = caplog.text + str([rows(store, f"SELECT * FROM {t}") for t in ("telegrams", "mqtt_queue", "readings")])
    for key in (KEY, wrong):
        assert key.hex() not in everything.lower()
        assert repr(key) not in everything


# ------------------------------------------------------------------ a store in trouble
def test_an_outcome_that_cannot_be_stored_leaves_the_telegram_to_be_parsed_again(
    lane: Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_module.ParseWorker, "wait", lambda self, seconds: False)
    (ingest_id,) = lane.accept()
    write(lane.store, lambda connection: connection.execute("PRAGMA busy_timeout = 20").fetchone())
    holder = sqlite3.connect(lane.store.path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    worker = lane.worker()
    worker.setup()
    worker.step()
    assert lane.status(ingest_id) == Status.RECEIVED
    assert lane.sent() == []
    holder.close()
    worker.teardown()
    lane.work()
    assert lane.status(ingest_id) == Status.PARSED
    assert len(lane.sent()) == 2
    assert one(lane.store, "SELECT count(*) FROM readings") == 1


def test_while_the_outbox_is_full_nothing_is_parsed(
    store: Store, clock: FakeClock, backend: ScriptedBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_module.ParseWorker, "wait", lambda self, seconds: False)
    lane = Lane(store, clock, backend, max_outbox=4)
    lane.accept(*[submission(number) for number in range(5)])
    worker = lane.worker()
    worker.setup()
    for _ in range(6):
        worker.step()
    assert len(backend.asked) == 2
    # Of each its raw form and its reading; the meter's first state was replaced by its second, and is history.
    assert store.count("telemetry") == 5 and store.count("backlog") == 3
    lane.acknowledge_all()
    worker.step()
    assert len(backend.asked) == 3
    worker.teardown()


# ------------------------------------------------------------------ restart and threads
def test_after_a_restart_everything_unfinished_goes_on(tmp_path: Path, clock: FakeClock) -> None:
    path = tmp_path / "mbusgw.db"
    with running_store(path, clock) as store:
        lane = Lane(store, clock, ScriptedBackend(raising(LobaroTimeoutError("slow"))))
        (deferred,) = lane.accept(submission(1))
        lane.work()
        (waiting,) = lane.accept(submission(2))
        (keyless,) = lane.accept(ENCRYPTED)
        write(store, telegrams.settle(keyless, Status.KEY_MISSING, meter_id="12345678"))
    with running_store(path, clock) as store:
        lane = Lane(store, clock, ScriptedBackend())
        worker = lane.worker()
        worker.setup()
        worker.step()
        worker.step()
        worker.teardown()
        assert [lane.status(i) for i in (deferred, waiting, keyless)] == [
            Status.PARSED,
            Status.PARSED,
            Status.KEY_MISSING,
        ]
        assert len(lane.sent("raw")) == 2


def start(lane: Lane, count: int) -> Callable[[], None]:
    """Parser threads; the answer stops them."""
    workers = [lane.worker(number) for number in range(count)]
    for worker in workers:
        worker.start()

    def stop() -> None:
        for worker in workers:
            worker.stop()
        assert all(worker.join(PATIENCE_S) for worker in workers)

    return stop


def test_each_telegram_is_parsed_by_one_thread_once(store: Store, backend: ScriptedBackend) -> None:
    lane = Lane(store, SystemClock(), backend)
    first = [ingest_id for n in range(20) for ingest_id in lane.accept(submission(n))]
    stop = start(lane, 4)
    try:
        rest = [ingest_id for n in range(20, 120) for ingest_id in lane.accept(submission(n))]
        wait_until(lambda: store.count("backlog") == 0)
    finally:
        stop()
    assert sorted(ingest_id for ingest_id, _ in backend.asked) == sorted(first + rest)
    assert one(store, "SELECT count(*) FROM telegrams WHERE status = 'parsed'") == 120
    assert len(lane.sent("raw")) == len(lane.sent("reading")) == one(store, "SELECT count(*) FROM readings") == 120
    state = lane.registry.get("els_12345678")
    assert state is not None and state.version == 120
    assert one(store, "SELECT version FROM device_states") == 120


def test_a_telegram_is_parsed_at_once_and_not_at_the_next_look(
    store: Store, backend: ScriptedBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog_module, "LOOK_S", 10 * PATIENCE_S)
    lane = Lane(store, SystemClock(), backend)
    stop = start(lane, 2)
    try:
        for number in range(10):
            lane.accept(submission(number))
            wait_until(lambda: store.count("backlog") == 0)
    finally:
        stop()


def test_parser_threads_stop_at_once_and_leave_the_rest_on_disk(store: Store, backend: ScriptedBackend) -> None:
    lane = Lane(store, SystemClock(), backend)
    stop = start(lane, 4)
    stop()
    (ingest_id,) = lane.accept()
    assert lane.status(ingest_id) == Status.RECEIVED


@pytest.mark.slow
def test_a_crash_in_one_thread_gives_its_telegram_back(store: Store, backend: ScriptedBackend) -> None:
    lane = Lane(store, SystemClock(), backend)
    crashes = iter([MemoryError("on purpose")])

    def answer(telegram: ReceivedTelegram, _key: bytes | None) -> ParsedTelegram:
        for error in crashes:
            raise error
        return parsed()

    backend.answer = answer
    stop = start(lane, 2)
    try:
        (ingest_id,) = lane.accept()
        wait_until(lambda: lane.status(ingest_id) == Status.PARSED)
    finally:
        stop()


# ------------------------------------------------------------------ sync=true
def outcomes(lane: Lane) -> Any:
    return Outcomes(lane.store, lane.clock)


def test_who_waits_for_the_outcome_gets_it_as_soon_as_it_is_there(store: Store, backend: ScriptedBackend) -> None:
    lane = Lane(store, SystemClock(), backend)
    waiting = outcomes(lane)
    stop = start(lane, 1)
    try:
        (ingest_id,) = lane.accept()
        document = waiting.wait(ingest_id, 5)
    finally:
        stop()
    assert (document["status"], document["ingest_id"], document["reason"]) == ("parsed", ingest_id, None)
    assert document["result"]["reading"]["meter"]["id"] == "12345678"


def test_who_waits_for_a_failure_is_told_the_reason(lane: Lane, backend: ScriptedBackend) -> None:
    backend.answer = raising(KeyWrong("bad key"))
    (ingest_id,) = lane.accept()
    lane.work()
    document = outcomes(lane).wait(ingest_id, 0)
    assert document["status"] == "failed" and "bad key" in document["reason"] and document["result"] is None


def test_who_waits_too_long_gets_nothing(lane: Lane) -> None:
    (ingest_id,) = lane.accept()
    assert outcomes(lane).wait(ingest_id, 0) is None


def test_each_outcome_is_counted_for_its_gateway(lane: Lane, backend: ScriptedBackend, clock: FakeClock) -> None:
    lane.accept(submission(1), ENCRYPTED)
    lane.work()
    backend.answer = raising(LobaroTimeoutError("slow"))
    lane.accept(submission(2))
    lane.work()
    text = lane.metrics.render().decode()
    for result in ("parsed", "key_missing", "deferred"):
        assert f'oms_telegrams_total{{gateway="gw1",result="{result}"}} 1.0' in text
    assert "oms_parse_duration_seconds_count 3.0" in text


def test_time_of_reception_is_the_time_of_the_reading(lane: Lane) -> None:
    lane.accept(submission(rx_time=START - timedelta(minutes=10)))
    lane.work()
    assert one(lane.store, "SELECT read_at FROM readings") == "2026-03-01T11:50:00.000Z"


# ------------------------------------------------------------------ compact frames
def test_a_compact_frame_waits_for_its_format_and_is_parsed_as_soon_as_that_is_heard(
    store: Store, clock: FakeClock
) -> None:
    def heard(signature: int, format_bytes: bytes) -> None:
        store.submit(
            formats.keep(signature, format_bytes, clock.now(), most=10),
            telegrams.arrived(format_name(signature), clock.now()),
        ).result(PATIENCE_S)

    lane = Lane(store, clock, LocalBackend(FormatMemory(on_new=heard)))  # type: ignore[arg-type]
    (waiting,) = lane.accept(Submission("gw1", compact()))
    lane.work()
    assert lane.status(waiting) == Status.DEFERRED
    assert "format unknown yet" in one(lane.store, "SELECT reason FROM telegrams")
    error = lane.sent("errors")[0][1]
    assert error["will_retry"] and error["error"]["type"] == "FormatPending"
    (bringing,) = lane.accept(Submission("gw1", full()))
    lane.work()
    assert lane.status(bringing) == lane.status(waiting) == Status.PARSED
    assert one(lane.store, "SELECT count(*) FROM formats") == 1


def test_the_service_coming_back_does_not_call_who_waits_for_a_format(lane: Lane, backend: ScriptedBackend) -> None:
    backend.answer = raising(FormatPending(0xEF92))
    (ingest_id,) = lane.accept()
    lane.work()
    write(lane.store, telegrams.recall(lane.clock.now()))
    assert lane.due() == []
    write(lane.store, telegrams.arrived(format_name(0x1234), lane.clock.now()))
    assert lane.due() == []
    write(lane.store, telegrams.arrived(format_name(0xEF92), lane.clock.now()))
    assert lane.due() == [ingest_id]


def test_a_format_that_does_not_come_within_a_day_fails_the_telegram(
    lane: Lane, backend: ScriptedBackend, clock: FakeClock
) -> None:
    backend.answer = raising(FormatPending(0xEF92))
    (ingest_id,) = lane.accept()
    lane.work()
    clock.set_wall(START + timedelta(days=26_000))  # in 2097
    lane.work()
    assert lane.status(ingest_id) == Status.DEFERRED, "a clock that jumps ends no wait"
    for _ in range(FORMAT_TRIES):
        clock.advance(CALLED_DEFER_S[1])
        lane.work()
    assert lane.status(ingest_id) == Status.FAILED
    assert not lane.sent("errors")[-1][1]["will_retry"]


def test_what_a_service_said_meanwhile_is_published_where_the_format_does_not_come(
    lane: Lane, backend: ScriptedBackend, clock: FakeClock
) -> None:
    pending = FormatPending(0xEF92)
    pending.answer = ParsedTelegram(None, {"meterId": "12345678"}, "lobaro", meter_id="12345678")
    backend.answer = raising(pending)
    (ingest_id,) = lane.accept()
    for _ in range(FORMAT_TRIES):
        lane.work()
        assert lane.status(ingest_id) == Status.DEFERRED and not lane.sent("reading")
        clock.advance(CALLED_DEFER_S[1])
    clock.advance(timedelta(days=1).total_seconds())
    lane.work()
    assert lane.status(ingest_id) == Status.PARSED
    ((topic, document),) = lane.sent("reading")
    assert topic == "oms/v1/gw/gw1/meter/12345678/reading" and document["reading"] is None
    assert document["lobaro"]["metering_domain_model"] == {"meterId": "12345678"}


def test_who_waits_for_a_format_asks_ever_less_often_up_to_once_an_hour(
    lane: Lane, backend: ScriptedBackend, clock: FakeClock
) -> None:
    backend.answer = raising(FormatPending(0xEF92))
    lane.accept()
    for _ in range(48):  # a day
        lane.work()
        clock.advance(1800)
    assert FORMAT_TRIES <= len(backend.asked) < 2 * FORMAT_TRIES


# ------------------------------------------------------------------ two parsers
def test_where_two_parsers_differ_is_kept_counted_and_told(lane: Lane, backend: ScriptedBackend) -> None:
    found = ("only we have volume", "only Lobaro has it")
    backend.answer = lambda _telegram, _key: replace(parsed(), differences=found)
    (ingest_id,) = lane.accept()
    lane.work()
    kept = rows(lane.store, "SELECT ingest_id, gateway_id, meter_id, difference FROM parse_differences ORDER BY id")
    assert kept == [
        (ingest_id, "gw1", "12345678", "only we have volume"),
        (ingest_id, "gw1", "12345678", "only Lobaro has it"),
    ]
    assert lane.sent("reading")[0][1]["differences"] == list(found)
    assert b'oms_parser_differences_total{gateway="gw1"} 1.0' in lane.metrics.render()


def test_the_reading_says_whose_it_is(lane: Lane) -> None:
    lane.accept()
    lane.work()
    document = lane.sent("reading")[0][1]
    assert document["reading"]["parser"] == "scripted" and "differences" not in document
