"""A radio meter's format: known from its telegrams, remembered, and told when it changes."""
from __future__ import annotations

import json
import logging

import pytest

from mbusgw.ingest.signatures import FormatWatch, signature_of
from mbusgw.model.telegram import DecodedTelegram, Header
from mbusgw.parsers.local import LocalBackend, decode_telegram
from mbusgw.simulator.radio import Security, telegram
from mbusgw.store import states
from mbusgw.store.writer import Store
from tests.fakes.backends import ScriptedBackend
from tests.fakes.clock import FakeClock
from tests.ingest.conftest import Lane, submission
from tests.wmbus.samples import KEY, OMS_GAS, meter

VOLUME, WITH_FLAGS = bytes.fromhex("0c1378563412"), bytes.fromhex("0c1378563412" "02fd170000")
DEVICE = "zri_11223344"


@pytest.fixture
def lane(store: Store, clock: FakeClock) -> Lane:
    lane = Lane(store, clock, ScriptedBackend(LocalBackend().parse))
    lane.registry.observe(FormatWatch(lane.metrics).changed)
    return lane


def hear(lane: Lane, records: bytes, number: int) -> None:
    raw = telegram(meter(Security.NONE, records=records), number)
    assert isinstance(lane.clock, FakeClock)
    lane.clock.advance(60)
    lane.accept(submission(raw=raw))
    lane.work()


def test_the_published_example_has_its_published_signature() -> None:
    assert signature_of(decode_telegram(OMS_GAS, KEY)) == 61330


def test_what_was_not_read_to_its_end_has_no_signature() -> None:
    good = decode_telegram(OMS_GAS, KEY)
    broken = DecodedTelegram(good.header, good.records, problems=("record 4: lost",))
    assert signature_of(broken) is None and signature_of(DecodedTelegram(Header(0x7A), ())) is None


def test_a_meter_that_begins_to_send_another_format_is_logged_counted_and_shown_once(
    lane: Lane, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    for number, records in enumerate([VOLUME, VOLUME, WITH_FLAGS, WITH_FLAGS, VOLUME]):
        hear(lane, records, number)
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 1 and DEVICE in said[0] and "another format" in said[0]
    assert b"oms_format_changes_total 1.0" in lane.metrics.render()
    state = lane.registry.get(DEVICE)
    assert state is not None and state.format is not None
    assert len(state.format.known) == 2 and state.format.changed_at is not None
    (attributes,) = [document for topic, document in lane.sent(f"mbus/{DEVICE}/attributes")]
    assert attributes["format"]["signature_hex"] == f"{state.format.signature:04X}"
    assert attributes["format"]["changed_at"] is not None


def test_the_format_is_remembered_over_a_restart(lane: Lane, store: Store, clock: FakeClock) -> None:
    hear(lane, VOLUME, 1)
    hear(lane, WITH_FLAGS, 2)
    reader = store.reader()
    (loaded,) = states.load(reader)
    reader.close()
    now = lane.registry.get(DEVICE)
    assert now is not None and now.format is not None and loaded.format == now.format
    document = json.loads(json.dumps(loaded.format.known))
    assert document == list(now.format.known)
