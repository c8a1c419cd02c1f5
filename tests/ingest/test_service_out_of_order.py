"""Telegrams while the Lobaro API, or what stands before it, answers and does not do its work."""
from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from mbusgw.model.meter import MeterIdentity
from mbusgw.parsers.lobaro import LobaroBackend
from mbusgw.parsers.settings import LobaroSettings
from mbusgw.runtime.breaker import CircuitBreaker
from mbusgw.runtime.clock import SystemClock
from mbusgw.simulator.lobaro import StandInLobaro
from mbusgw.simulator.radio import RadioMeter, telegram
from mbusgw.store import archive, telegrams
from mbusgw.store.telegrams import Status
from mbusgw.store.writer import Store
from tests.fakes.clock import FakeClock
from tests.fakes.stores import write
from tests.ingest.conftest import Lane, submission
from tests.wait import PATIENCE_S

HOUR_S = 3600.0
#: An outage for everybody, and what it says of a telegram over which it stumbles.
OUTAGES = ("error", "unavailable", "bad_gateway", "reset", "redirect")
STUMBLES = ("html", "null", "empty", "huge", "truncated", "parse_error")


@pytest.fixture
def service() -> Iterator[StandInLobaro]:
    stand_in = StandInLobaro(SystemClock())
    stand_in.start()
    yield stand_in
    stand_in.stop()
    assert stand_in.join(PATIENCE_S)


@pytest.fixture
def breaker(store: Store, clock: FakeClock) -> CircuitBreaker:
    return CircuitBreaker(
        clock, max_pause_s=60, on_close=lambda: store.submit(telegrams.recall(clock.now())).result(PATIENCE_S)
    )


@pytest.fixture
def served(
    store: Store, clock: FakeClock, service: StandInLobaro, breaker: CircuitBreaker
) -> Iterator[Lane]:
    settings = LobaroSettings(service.url, "any", "mbus", per_second=1000)
    backend = LobaroBackend(settings, clock=clock, wait=lambda seconds: False, breaker=breaker)
    yield Lane(store, clock, backend)
    backend.close()


def raw(number: int) -> bytes:
    """What the ``number``-th meter sends."""
    meter = RadioMeter(MeterIdentity(f"{number:08d}", "SIM", 1, 7), records=lambda: bytes.fromhex("0c1378563412"))
    return telegram(meter, number % 256)


def hand_in(lane: Lane, *numbers: int) -> list[str]:
    return lane.accept(*(submission(raw=raw(number)) for number in numbers))


@pytest.fixture
def hours(served: Lane, clock: FakeClock) -> Callable[[int], list[str]]:
    """Lets hours go by, with a new telegram every ten minutes; all that were handed in."""

    def pass_by(count: int) -> list[str]:
        ids = []
        for number in range(6 * count):
            ids += hand_in(served, 1000 + number)
            served.work()
            clock.advance(HOUR_S / 6)
        return ids

    return pass_by


@pytest.mark.parametrize("behaviour", OUTAGES)
def test_what_everybody_gets_for_hours_costs_no_reading(
    served: Lane, service: StandInLobaro, hours: Callable[[int], list[str]], behaviour: str
) -> None:
    early = hand_in(served, 1)
    served.work()
    service.behave(behaviour)
    ids = hours(2)
    assert {served.status(ingest_id) for ingest_id in ids} == {Status.DEFERRED}
    service.behave("ok")
    ids += hours(1)
    assert {served.status(ingest_id) for ingest_id in early + ids} == {Status.PARSED}
    assert all(document["will_retry"] for _, document in served.sent("errors"))


@pytest.mark.parametrize("behaviour", STUMBLES)
def test_what_one_telegram_gets_fails_that_one_at_once_and_keeps_no_other_waiting(
    served: Lane, service: StandInLobaro, breaker: CircuitBreaker, behaviour: str
) -> None:
    bad = {number: raw(number) for number in range(10)}
    service.poison |= {damaging: behaviour for damaging in bad.values()}
    failing = hand_in(served, *bad)
    others = hand_in(served, *range(50, 60))
    served.work()
    assert {served.status(ingest_id) for ingest_id in failing} == {Status.FAILED}
    assert {served.status(ingest_id) for ingest_id in others} == {Status.PARSED}
    assert breaker.state.value == "closed"
    assert not any(document["will_retry"] for _, document in served.sent("errors"))


def test_a_telegram_the_service_cannot_read_fails_when_an_outage_is_over_and_not_before(
    served: Lane, service: StandInLobaro, hours: Callable[[int], list[str]]
) -> None:
    service.behave("unavailable")
    (bad,) = hand_in(served, 1)
    waiting = hours(1)
    assert served.status(bad) == Status.DEFERRED
    service.poison[raw(1)] = "null"
    service.behave("ok")
    read = hours(1)
    assert served.status(bad) == Status.FAILED
    assert {served.status(ingest_id) for ingest_id in waiting + read} == {Status.PARSED}


def test_what_failed_while_something_else_answered_is_read_when_it_is_replayed(
    store: Store, served: Lane, service: StandInLobaro, hours: Callable[[int], list[str]]
) -> None:
    service.behave("html")
    ids = hours(1)
    assert {served.status(ingest_id) for ingest_id in ids} == {Status.FAILED}
    service.behave("ok")
    write(store, lambda connection: archive.replay(connection, ids))
    served.work()
    assert {served.status(ingest_id) for ingest_id in ids} == {Status.PARSED}
