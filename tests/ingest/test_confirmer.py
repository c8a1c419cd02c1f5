"""Readings of our own decoder that the service is asked about later."""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from mbusgw.ingest.confirmer import LOOK_S, TRIES, Confirmer
from mbusgw.model.errors import LobaroBadRequestError, LobaroUnavailableError, MbusgwError
from mbusgw.model.submission import Submission
from mbusgw.model.telegram import ReceivedTelegram
from mbusgw.parsers.base import ParsedTelegram
from mbusgw.parsers.chain import LobaroThenLocal
from mbusgw.parsers.local import LocalBackend
from mbusgw.store import confirmations
from mbusgw.store.keys import MeterKey
from mbusgw.store.writer import Store
from tests.fakes.backends import ScriptedBackend, raising
from tests.fakes.clock import FakeClock
from tests.fakes.stores import one, rows, write
from tests.ingest.conftest import Lane
from tests.wmbus.samples import KEY, OMS_GAS

GAS = Submission("gw1", OMS_GAS)


def as_we_read_it(telegram: ReceivedTelegram, key: bytes | None) -> ParsedTelegram:
    return replace(LocalBackend().parse(telegram, key), backend="lobaro", domain_model={"meterId": "12345678"})


class House:
    """A lane whose service was away, and the confirmer."""

    def __init__(self, store: Store, clock: FakeClock) -> None:
        self.service = ScriptedBackend(raising(LobaroUnavailableError("away")))
        self.chain = LobaroThenLocal(self.service, LocalBackend())
        self.lane = Lane(store, clock, self.chain, confirm_later=True)
        self.open = True
        self.confirmer = Confirmer(
            store,
            self.chain.service,
            self.chain.own,
            messages=self.lane.messages,
            keyring=self.lane.keyring,
            open_for_calls=lambda: self.open,
            max_outbox=1000,
            metrics=self.lane.metrics,
            clock=clock,
        )
        self.confirmer.setup()
        self.confirmer.stop()  # its steps are called here, and one that is told to stop waits for nothing

    def read(self) -> str:
        """A reading that is to be confirmed."""
        self.lane.keyring.set([MeterKey("12345678", "ELS", KEY)])
        (ingest_id,) = self.lane.accept(GAS)
        self.lane.work()
        return ingest_id

    @property
    def waiting(self) -> int:
        return int(str(one(self.lane.store, "SELECT count(*) FROM confirmations")))


@pytest.fixture
def house(store: Store, clock: FakeClock) -> Iterator[House]:
    house = House(store, clock)
    yield house
    house.confirmer.teardown()


def test_a_reading_made_during_an_outage_is_confirmed_when_the_service_is_back(house: House) -> None:
    ingest_id = house.read()
    assert house.waiting == 1
    house.service.answer = as_we_read_it
    house.confirmer.step()
    assert house.waiting == 0
    first, second = (document for _, document in house.lane.sent("reading"))
    assert second["ingest_id"] == ingest_id and second["confirmed"] is True and second["differences"] == []
    assert second["lobaro"] == {"metering_domain_model": {"meterId": "12345678"}}
    assert second["reading"] == first["reading"] and "confirmed" not in first
    assert one(house.lane.store, "SELECT confirmed_at FROM parse_results")
    assert b'lobaro_confirmations_total{result="confirmed"} 1.0' in house.lane.metrics.render()


def test_a_key_that_came_with_the_telegram_is_kept_until_the_service_was_asked(house: House) -> None:
    house.lane.accept(replace(GAS, key=KEY))
    house.lane.work()
    house.service.answer = as_we_read_it
    house.confirmer.step()
    assert house.service.asked[-1][1] == KEY
    assert house.lane.sent("reading")[-1][1]["confirmed"] is True
    assert one(house.lane.store, "SELECT key_hex FROM telegrams") is None


def test_a_key_is_not_kept_for_a_question_that_is_refused(house: House) -> None:
    house.lane.accept(replace(GAS, key=KEY))
    house.lane.work()
    house.service.answer = raising(LobaroBadRequestError("no"))
    house.confirmer.step()
    assert one(house.lane.store, "SELECT key_hex FROM telegrams") is None


def test_a_key_is_forgotten_where_too_many_wait_for_an_answer(house: House, clock: FakeClock) -> None:
    (ingest_id,) = house.lane.accept(replace(GAS, key=KEY))
    house.lane.work()
    assert one(house.lane.store, "SELECT key_hex FROM telegrams") is not None
    write(house.lane.store, confirmations.queue(ingest_id, clock.now(), most=0))
    assert one(house.lane.store, "SELECT key_hex FROM telegrams") is None


def test_a_service_that_reads_it_differently_is_told_and_kept(house: House) -> None:
    house.read()

    def otherwise(telegram: ReceivedTelegram, key: bytes | None) -> ParsedTelegram:
        parsed = as_we_read_it(telegram, key)
        assert parsed.decoded is not None
        first, *others = parsed.decoded.records
        wrong = replace(parsed.decoded, records=(replace(first, value=Decimal(1)), *others))
        return replace(parsed, decoded=wrong)

    house.service.answer = otherwise
    house.confirmer.step()
    assert house.lane.sent("reading")[-1][1]["confirmed"] is False
    assert len(rows(house.lane.store, "SELECT difference FROM parse_differences")) == 2


def test_while_the_service_is_away_nobody_asks_and_the_reading_waits(house: House, clock: FakeClock) -> None:
    house.read()
    asked = len(house.service.asked)
    house.open = False
    house.confirmer.step()
    assert len(house.service.asked) == asked and house.waiting == 1
    house.open = True
    house.confirmer.step()
    assert len(house.service.asked) == asked + 1 and house.waiting == 1
    house.confirmer.step()
    assert len(house.service.asked) == asked + 1, "not before its pause is over"
    clock.advance(3600 + LOOK_S)
    house.confirmer.step()
    assert len(house.service.asked) == asked + 2


@pytest.mark.parametrize("error", [LobaroBadRequestError("no mapping matches")])
def test_what_the_service_refuses_is_not_asked_again(house: House, error: MbusgwError) -> None:
    house.read()
    house.service.answer = raising(error)
    house.confirmer.step()
    assert house.waiting == 0 and len(house.lane.sent("reading")) == 1


def test_after_many_tries_nobody_asks_any_more(house: House, clock: FakeClock) -> None:
    house.read()
    for _ in range(TRIES + 1):
        clock.advance(3600 + LOOK_S)
        house.confirmer.step()
    assert house.waiting == 0


def test_when_the_service_is_back_all_are_asked_about_at_once(house: House, clock: FakeClock) -> None:
    house.read()
    house.confirmer.step()
    house.service.answer = as_we_read_it
    write(house.lane.store, confirmations.recall(clock.now()))
    house.confirmer.step()
    assert house.waiting == 0


def test_a_question_put_off_before_the_clock_was_set_back_is_asked(house: House, clock: FakeClock) -> None:
    ingest_id = house.read()
    write(house.lane.store, confirmations.postpone(ingest_id, clock.now() + timedelta(days=30000)))
    house.service.answer = as_we_read_it
    house.confirmer.step()
    assert house.waiting == 0


def test_an_answer_that_meets_a_mistake_of_ours_stops_nobody(house: House) -> None:
    house.read()
    house.service.answer = raising(ZeroDivisionError("a mistake"))
    house.confirmer.step()
    assert house.waiting == 0


def test_only_so_many_wait(house: House, clock: FakeClock) -> None:
    ingest_id = house.read()
    write(house.lane.store, confirmations.done(ingest_id), confirmations.queue(ingest_id, clock.now(), most=0))
    assert house.waiting == 0
