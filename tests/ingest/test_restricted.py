"""Radio meters of which only some gateways' telegrams count, in whichever order the telegrams come."""
from __future__ import annotations

import itertools

import pytest

from mbusgw.model.guests import Guest, GuestList
from mbusgw.model.submission import Submission
from mbusgw.parsers.local import LocalBackend
from mbusgw.store import archive
from mbusgw.store.keys import MeterKey
from mbusgw.store.telegrams import Status
from mbusgw.store.vault import Vault
from mbusgw.store.writer import Store
from tests.fakes.backends import ScriptedBackend, parsed
from tests.fakes.clock import FakeClock
from tests.fakes.stores import one, rows, write
from tests.ingest.conftest import Lane
from tests.wmbus.samples import KEY, OMS_GAS

GAS = "els_12345678"


def only(*gateways: str) -> GuestList:
    return GuestList([Guest(GAS, "gas", "Gas", gateways=frozenset(gateways))])


@pytest.fixture
def lane(store: Store, clock: FakeClock) -> Lane:
    """Its own decoder and the meter's key; the meter is restricted to ``gw1``."""
    lane = Lane(store, clock, LocalBackend(), guests=only("gw1"))
    lane.keyring.set([MeterKey("12345678", "ELS", KEY)])
    return lane


def post(lane: Lane, gateway_id: str, *, key: bytes | None = None, rssi_dbm: float | None = None) -> str:
    (answer,) = lane.intake.accept([Submission(gateway_id, OMS_GAS, key=key, rssi_dbm=rssi_dbm)])
    return answer.ingest_id


def ended(lane: Lane) -> dict[str, str]:
    """Telegram → its state, once everything has ended."""
    lane.work()
    lane.acknowledge_all()
    return dict(rows(lane.store, "SELECT ingest_id, status FROM telegrams"))


def test_a_telegram_by_another_gateway_is_no_reading_and_ends_with_its_reason(lane: Lane) -> None:
    other = post(lane, "gw2")
    lane.work()
    assert lane.registry.get("gas") is None and rows(lane.store, "SELECT * FROM readings") == []
    topic, document = lane.sent("errors")[0]
    assert topic == f"oms/v1/gw/gw2/errors/{other}"
    assert document["error"]["type"] == "GatewayExcluded" and document["will_retry"] is False
    assert [topic for topic, _ in lane.sent("raw")] == [f"oms/v1/gw/gw2/raw/{other}"]
    assert ended(lane) == {other: Status.FAILED}
    (found,), _ = archive.select(lane.store.reader(), archive.Wanted(statuses=["failed"], meter_id="12345678"), limit=9)
    assert found["reason"].startswith("GatewayExcluded: els_12345678 is restricted to other gateways")
    assert b'oms_telegrams_total{gateway="gw2",result="excluded"} 1.0' in lane.metrics.render()


def test_without_a_restriction_and_for_other_meters_every_gateway_counts(store: Store, clock: FakeClock) -> None:
    others = GuestList([Guest("kam_1", "heat", "H", gateways=frozenset("x"))])
    lane = Lane(store, clock, ScriptedBackend(), guests=others)
    posted = post(lane, "gw2", key=KEY)
    assert ended(lane) == {posted: Status.PUBLISHED}


@pytest.mark.parametrize("order", sorted(set(itertools.permutations(("gw1", "gw2", "gw3")))))
@pytest.mark.parametrize("parse_after", range(1, 4))
def test_in_whichever_order_copies_come_the_listed_one_is_read_once_and_each_ends_once(
    lane: Lane, order: tuple[str, ...], parse_after: int
) -> None:
    posted = {}
    for count, gateway_id in enumerate(order, 1):
        posted[gateway_id] = post(lane, gateway_id)
        if count >= parse_after:
            lane.work()
    states = ended(lane)
    assert states[posted["gw1"]] == Status.PUBLISHED
    assert {states[posted["gw2"]], states[posted["gw3"]]} <= {Status.FAILED, Status.DUPLICATE}
    assert rows(lane.store, "SELECT device_id, ingest_id FROM readings") == [("gas", posted["gw1"])]
    assert lane.store.count("backlog") == 0
    said = rows(lane.store, "SELECT topic FROM mqtt_queue")
    assert said == [], "all was sent"
    document = archive.show(lane.store.reader(), posted["gw1"])
    assert document is not None and document["receptions"][0]["gateway_id"] in order


def test_of_copies_that_came_before_it_was_looked_at_all_are_receptions_of_the_one_that_counts(lane: Lane) -> None:
    first, second, third = post(lane, "gw2", rssi_dbm=-50), post(lane, "gw3"), post(lane, "gw1", rssi_dbm=-80)
    assert lane.work() == 2
    raws = [topic for topic, _ in lane.sent("raw")]
    each = {f"oms/v1/gw/gw2/raw/{first}", f"oms/v1/gw/gw3/raw/{second}", f"oms/v1/gw/gw1/raw/{third}"}
    assert len(raws) == 3 and set(raws) == each, "each raw message once"
    assert ended(lane) == {first: Status.FAILED, second: Status.DUPLICATE, third: Status.PUBLISHED}
    document = archive.show(lane.store.reader(), third)
    assert document is not None
    assert {reception["ingest_id"] for reception in document["receptions"]} == {first, second, third}
    state = lane.registry.get("gas")
    assert state is not None and state.radio is not None and state.gateway_id == "gw1"
    assert {reception.gateway_id for reception in state.radio.receptions} == {"gw1", "gw2"}


def test_a_copy_that_comes_when_the_listed_one_is_read_is_its_duplicate(lane: Lane) -> None:
    first = post(lane, "gw1")
    lane.work()
    again = post(lane, "gw2")
    assert ended(lane) == {first: Status.PUBLISHED, again: Status.DUPLICATE}


def test_the_key_that_came_with_the_listed_copy_is_kept_until_it_is_read_and_no_longer(
    store: Store, clock: FakeClock
) -> None:
    lane = Lane(store, clock, LocalBackend(), guests=only("gw1"), vault=Vault(bytes(32)))
    first, second, third = post(lane, "gw2"), post(lane, "gw1", key=KEY), post(lane, "gw3", key=KEY)
    assert one(store, "SELECT key_hex FROM telegrams WHERE ingest_id = ?", second).startswith("gcm:")
    assert ended(lane) == {first: Status.FAILED, second: Status.PUBLISHED, third: Status.DUPLICATE}
    assert rows(store, "SELECT ingest_id FROM telegrams WHERE key_hex IS NOT NULL") == []


def test_of_several_listed_copies_the_one_that_brought_the_key_is_read(store: Store, clock: FakeClock) -> None:
    lane = Lane(store, clock, LocalBackend(), guests=only("gw1", "gw3"))
    first, second, third = post(lane, "gw2"), post(lane, "gw1"), post(lane, "gw3", key=KEY)
    assert ended(lane) == {first: Status.FAILED, second: Status.DUPLICATE, third: Status.PUBLISHED}


def test_a_listed_copy_whose_key_is_missing_waits_for_it(store: Store, clock: FakeClock) -> None:
    lane = Lane(store, clock, LocalBackend(), guests=only("gw1"))
    first, second = post(lane, "gw2"), post(lane, "gw1")
    assert ended(lane) == {first: Status.FAILED, second: Status.KEY_MISSING}
    lane.keyring.set([MeterKey("12345678", "ELS", KEY)])
    assert ended(lane) == {first: Status.FAILED, second: Status.PUBLISHED}


def test_with_another_list_after_a_restart_what_still_waits_is_judged_by_that(lane: Lane) -> None:
    first, second = post(lane, "gw2"), post(lane, "gw1")
    lane.restart(only("gw2"))
    assert ended(lane) == {first: Status.PUBLISHED, second: Status.DUPLICATE}
    lane.restart(only("gw3"))
    later = post(lane, "gw1")  # the same telegram once more
    assert ended(lane)[later] == Status.DUPLICATE, "it was read already"


def test_what_was_left_out_is_read_on_request_once_the_list_names_its_gateway(lane: Lane) -> None:
    other = post(lane, "gw2")
    assert ended(lane) == {other: Status.FAILED}
    write(lane.store, lambda connection: archive.replay(connection, [other]))
    assert ended(lane) == {other: Status.FAILED}, "the same list, the same end"
    lane.restart(only("gw1", "gw2"))
    write(lane.store, lambda connection: archive.replay(connection, [other]))
    assert ended(lane) == {other: Status.PUBLISHED}


def test_without_looking_for_duplicates_each_gateway_is_judged_by_itself(store: Store, clock: FakeClock) -> None:
    lane = Lane(store, clock, LocalBackend(), guests=only("gw1"), dedup_window_s=None)
    first, second = post(lane, "gw2", key=KEY), post(lane, "gw1", key=KEY)
    assert ended(lane) == {first: Status.FAILED, second: Status.PUBLISHED}


def test_a_meter_that_only_says_in_its_records_who_it_is_is_restricted_all_the_same(
    store: Store, clock: FakeClock, backend: ScriptedBackend
) -> None:
    lane = Lane(store, clock, backend, guests=only("gw1"))
    backend.answer = lambda _telegram, _key: parsed()  # ELS 12345678, whatever the link layer says
    (other,) = lane.accept(Submission("gw2", bytes(range(30))))
    assert ended(lane) == {other: Status.FAILED}


def test_if_the_outcome_cannot_be_stored_nothing_of_it_is_and_the_next_run_finds_all(
    lane: Lane, clock: FakeClock
) -> None:
    first, second = post(lane, "gw2"), post(lane, "gw1")
    trouble = "CREATE TRIGGER no BEFORE INSERT ON mqtt_queue BEGIN SELECT raise(ABORT, 'no'); END"
    write(lane.store, lambda connection: connection.execute(trouble))
    worker = lane.worker()
    worker.setup()
    worker.stop()  # does not wait
    worker._settle(first)
    worker.teardown()
    states = "SELECT ingest_id, status FROM telegrams"
    assert dict(rows(lane.store, states)) == {first: Status.RECEIVED, second: Status.DUPLICATE}
    write(lane.store, lambda connection: connection.execute("DROP TRIGGER no"))
    later = Lane(lane.store, clock, lane.backend, guests=lane.guests)
    assert ended(later) == {first: Status.FAILED, second: Status.PUBLISHED}


def test_what_has_ended_before_the_list_changed_is_read_when_it_is_replayed(lane: Lane, store: Store) -> None:
    first, second = post(lane, "gw2"), post(lane, "gw1")
    worker = lane.worker()
    worker.setup()
    worker._settle(first)
    worker.teardown()
    lane.restart(only("gw2"))
    assert ended(lane) == {first: Status.FAILED, second: Status.FAILED}
    write(store, lambda connection: archive.replay(connection, [first, second]))
    assert ended(lane) == {first: Status.PUBLISHED, second: Status.FAILED}
