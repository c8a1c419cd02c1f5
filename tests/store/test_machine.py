"""Anything that may happen to telegrams and messages, in any order: the books always balance."""
from __future__ import annotations

import tempfile
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from mbusgw.model.errors import StoreError
from mbusgw.store import arrivals, outbox, retention, retries, telegrams
from mbusgw.store.outbox import Message
from mbusgw.store.retention import TELEGRAMS
from mbusgw.store.telegrams import Status
from tests.fakes.clock import START, FakeClock
from tests.fakes.stores import one, opened_store, rows, write
from tests.fakes.telegrams import received

OUTCOMES = st.sampled_from([Status.PARSED, Status.DEFERRED, Status.KEY_MISSING, Status.FAILED])
METERS = st.sampled_from(["00000001", "00000002"])
GATEWAYS = st.sampled_from(["gw1", "gw2", "gw3"])
TOPICS = st.sampled_from(["a", "b", "c"])


class Books(RuleBasedStateMachine):
    """A store, what is done to it, and a plain list of what the outbox must hold."""

    def __init__(self) -> None:
        super().__init__()
        self._stack = ExitStack()
        folder = self._stack.enter_context(tempfile.TemporaryDirectory())
        self.clock = FakeClock()
        self.store = self._stack.enter_context(opened_store(Path(folder) / "mbusgw.db", self.clock))
        self.model: list[tuple[str, bool]] = []
        self.number = 0

    def teardown(self) -> None:
        self._stack.close()

    def put(self, *messages: Message) -> None:
        for message in messages:
            if message.retain and (message.topic, True) in self.model:
                self.model.remove((message.topic, True))
            self.model.append((message.topic, message.retain))

    def ids(self) -> list[int]:
        return [row[0] for row in rows(self.store, "SELECT id FROM mqtt_queue ORDER BY id")]

    # -------------------------------------------------- what happens
    @rule(content=st.integers(0, 3), dedup=st.booleans(), gateway_id=GATEWAYS)
    def hear(self, content: int, dedup: bool, gateway_id: str) -> None:
        self.number += 1
        telegram = received(f"t{self.number}", gateway_id=gateway_id, raw=bytes([content]) * 20, at=self.clock.now())
        window_s = 60.0 if dedup else None
        write(self.store, lambda connection: arrivals.insert(connection, [telegram], dedup_window_s=window_s))

    @precondition(lambda self: self.number)
    @rule(pick=st.integers(0, 5), outcome=OUTCOMES, meter_id=METERS, count=st.integers(1, 3))
    def settle(self, pick: int, outcome: str, meter_id: str, count: int) -> None:
        """Mostly one that waits; now and then one that is settled already."""
        known = rows(
            self.store,
            "SELECT ingest_id, status FROM telegrams ORDER BY status NOT IN ('received', 'deferred'), rowid LIMIT 6",
        )
        if not known:
            return
        ingest_id, status = known[pick % len(known)]
        messages = [Message(f"oms/{ingest_id}", str(n), retain=False, ingest_id=ingest_id) for n in range(count)]
        at = self.clock.now()
        try:
            write(
                self.store,
                outbox.enqueue(messages, at),
                telegrams.settle(ingest_id, outcome, meter_id=meter_id, retry_at=at + timedelta(seconds=30)),
            )
        except StoreError:
            assert status not in (Status.RECEIVED, Status.DEFERRED), "only what does not wait is refused"
        else:
            assert status in (Status.RECEIVED, Status.DEFERRED)
            self.put(*messages)

    @rule(pick=st.integers(0, 5), listed=st.sets(GATEWAYS, min_size=1))
    def leave_out(self, pick: int, listed: set[str]) -> None:
        """Its meter is restricted to other gateways: a copy of theirs stands for it, if there is one."""
        waiting = rows(
            self.store, "SELECT ingest_id, gateway_id FROM telegrams WHERE status IN ('received', 'deferred') LIMIT 6"
        )
        left_out = [ingest_id for ingest_id, gateway_id in waiting if gateway_id not in listed]
        if not left_out:
            return
        ingest_id = left_out[pick % len(left_out)]
        # One that was left out itself before is a reception of this, but has ended: it is not called back.
        copies = rows(
            self.store,
            "SELECT ingest_id, gateway_id FROM telegrams WHERE duplicate_of = ? AND status = 'duplicate'",
            ingest_id,
        )
        heir, _ = write(
            self.store,
            arrivals.hand_over(ingest_id, listed),
            telegrams.settle(ingest_id, Status.FAILED, meter_id="00000001", reason="GatewayExcluded: x"),
        )
        assert (heir in [copy for copy, gateway_id in copies if gateway_id in listed]) or (
            heir is None and not any(gateway_id in listed for _, gateway_id in copies)
        )

    @rule(topic=TOPICS, retain=st.booleans())
    def say(self, topic: str, retain: bool) -> None:
        message = Message(topic, "x", retain=retain)
        write(self.store, outbox.enqueue([message], self.clock.now()))
        self.put(message)

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def acknowledge(self, data: st.DataObject) -> None:
        ids = self.ids()
        taken = data.draw(st.lists(st.sampled_from(ids), unique=True))
        write(self.store, outbox.acknowledged(taken, self.clock.now()))
        self.model = [entry for row_id, entry in zip(ids, self.model) if row_id not in taken]

    @precondition(lambda self: self.model)
    @rule(pick=st.integers(0, 10**6))
    def refuse(self, pick: int) -> None:
        ids = self.ids()
        index = pick % len(ids)
        write(self.store, outbox.refused([ids[index]], "Not authorized", START))
        del self.model[index]

    @rule(topic=TOPICS)
    def fail_half_way(self, topic: str) -> None:
        """A unit whose last part fails leaves no trace, also not in the counters; its neighbour stays."""
        good, bad = Message("good", "x", retain=False), Message(topic, "x", retain=True)
        telegram = received("half", raw=b"\xee" * 20, at=self.clock.now())
        self.store.submit(
            outbox.enqueue([bad, bad], self.clock.now()),
            lambda connection: arrivals.insert(connection, [telegram], dedup_window_s=None),
            lambda connection: connection.execute("INSERT INTO nowhere VALUES (1)"),
        )
        write(self.store, outbox.enqueue([good], self.clock.now()))
        self.put(good)

    @rule(meter_id=METERS)
    def bring_key(self, meter_id: str) -> None:
        write(self.store, lambda connection: retries.keys_changed(connection, [(meter_id, None)]))

    @rule(seconds=st.sampled_from([1.0, 45.0, 100.0]))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule()
    def forget(self) -> None:
        before = self.clock.now() - timedelta(seconds=30)
        reader = self.store.reader()
        last = retention.last_before(reader, TELEGRAMS, before, self.clock.now())
        reader.close()
        if last is not None:
            write(self.store, lambda connection: retention.forget(connection, TELEGRAMS, last, 2))

    # -------------------------------------------------- what is always true
    @invariant()
    def counters_are_what_counting_finds(self) -> None:
        assert self.store.count("outbox") == one(self.store, "SELECT count(*) FROM mqtt_queue")
        assert self.store.count("telemetry") == one(self.store, "SELECT count(*) FROM mqtt_queue WHERE NOT retain")
        waiting = one(self.store, "SELECT count(*) FROM telegrams WHERE status IN ('received', 'deferred')")
        assert self.store.count("backlog") == waiting

    @invariant()
    def the_outbox_holds_what_was_said_in_its_order(self) -> None:
        found = rows(self.store, "SELECT topic, retain FROM mqtt_queue ORDER BY id")
        assert [(topic, bool(retain)) for topic, retain in found] == self.model

    @invariant()
    def published_means_that_nothing_is_left_to_send_and_parsed_that_something_is(self) -> None:
        for status, left in rows(
            self.store,
            "SELECT status, (SELECT count(*) FROM mqtt_queue q WHERE q.ingest_id = t.ingest_id) FROM telegrams t",
        ):
            assert not (status == Status.PUBLISHED and left)
            assert not (status == Status.PARSED and not left)

    @invariant()
    def a_duplicate_is_one_of_a_telegram_that_stands_for_itself_and_may_count(self) -> None:
        assert not rows(
            self.store,
            "SELECT * FROM telegrams d JOIN telegrams o ON o.ingest_id = d.duplicate_of WHERE d.status = 'duplicate'"
            " AND o.status = 'duplicate'",
        )

    @invariant()
    def whatever_waits_is_found(self) -> None:
        reader = self.store.reader()
        found = telegrams.due(reader, None, 1000)
        reader.close()
        waiting = "SELECT ingest_id FROM telegrams WHERE status IN ('received', 'deferred')"
        assert sorted(found) == sorted(row[0] for row in rows(self.store, waiting))


Books.TestCase.settings = settings(
    max_examples=50, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
test_the_books_balance_whatever_happens = pytest.mark.slow(Books.TestCase)
