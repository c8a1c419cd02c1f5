"""Keys that come late, are wrong, or cannot be opened: no telegram is given up for want of one."""
from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mbusgw.model.errors import KeyMissing, KeyWrong, MbusgwError
from mbusgw.model.submission import Submission
from mbusgw.model.telegram import ReceivedTelegram
from mbusgw.parsers.base import ParsedTelegram
from mbusgw.parsers.local import LocalBackend
from mbusgw.simulator.radio import Security, telegram
from mbusgw.store.keys import MeterKey
from mbusgw.store.telegrams import Status
from mbusgw.store.vault import Vault, fingerprint
from mbusgw.store.writer import Store
from tests.fakes.backends import ScriptedBackend, parsed
from tests.fakes.clock import FakeClock
from tests.fakes.stores import one, running_store
from tests.ingest.conftest import Lane
from tests.wmbus.samples import KEY, OMS_GAS, WATER, meter

ENCRYPTED = Submission("gw1", OMS_GAS)
WRONG_KEY = bytes([9]) * 16
MASTER = Vault(bytes(range(32)))


@pytest.fixture
def local(store: Store, clock: FakeClock) -> Lane:
    """With our own decoder."""
    return Lane(store, clock, ScriptedBackend(LocalBackend().parse))


def put(lane: Lane, key: bytes, meter_id: str = "12345678", manufacturer: str | None = "ELS") -> None:
    lane.keyring.set([MeterKey(meter_id, manufacturer, key)])


# ------------------------------------------------------------------ wrong keys
def test_a_wrong_key_is_named_by_its_fingerprint_and_told_from_a_damaged_telegram(local: Lane) -> None:
    put(local, WRONG_KEY)
    (wrong,) = local.accept(ENCRYPTED)
    (damaged,) = local.accept(Submission("gw1", OMS_GAS[:-1] + bytes([OMS_GAS[-1] ^ 1])))
    local.work()
    errors = {document["ingest_id"]: document["error"] for _, document in local.sent("/errors/")}
    assert errors[wrong]["type"] == "KeyWrong" and errors[wrong]["key_fingerprint"] == fingerprint(WRONG_KEY)
    assert errors[damaged]["type"] == "FormatUnknown" and "key_fingerprint" not in errors[damaged]
    reason = one(local.store, "SELECT reason FROM telegrams WHERE ingest_id = ?", wrong)
    assert reason.startswith("KeyWrong: ") and fingerprint(WRONG_KEY) in reason


def test_a_key_that_has_opened_telegrams_of_the_meter_is_said_to_have(local: Lane) -> None:
    """Without CRCs damage looks like a wrong key; that the key was right before tells them apart."""

    def hear(number: int, *, damaged: bool) -> None:
        raw = bytearray(telegram(meter(Security.MODE_5), number))
        raw[16] ^= 0xFF * damaged  # within the first encrypted block
        local.accept(Submission("gw1", bytes(raw)))
        local.work()

    put(local, KEY, WATER.id, WATER.manufacturer)
    hear(1, damaged=True)
    hear(2, damaged=False)
    hear(3, damaged=True)
    put(local, WRONG_KEY, WATER.id, WATER.manufacturer)
    local.work()
    hear(4, damaged=False)
    said = [document["error"] for _, document in local.sent("/errors/")]
    assert {error["type"] for error in said} == {"KeyWrong"}
    assert ["before" in (error["hint"] or "") for error in said] == [False, True, False, False, False]


def test_when_a_wrong_key_is_put_right_what_failed_with_it_is_parsed(local: Lane) -> None:
    put(local, WRONG_KEY)
    (ingest_id,) = local.accept(ENCRYPTED)
    local.work()
    assert local.status(ingest_id) == Status.FAILED
    put(local, KEY)
    assert local.work() == 1
    assert local.status(ingest_id) == Status.PARSED
    assert len(local.sent("/raw/")) == 1, "it came once"


def test_a_wrong_key_in_the_request_is_no_reason_not_to_try_the_stored_one(local: Lane) -> None:
    put(local, KEY)
    (ingest_id,) = local.accept(replace(ENCRYPTED, key=WRONG_KEY))
    local.work()
    assert local.status(ingest_id) == Status.PARSED


def test_a_makers_default_opens_its_meters_and_their_own_key_comes_before_it(local: Lane) -> None:
    (ingest_id,) = local.accept(ENCRYPTED)
    local.work()
    assert local.status(ingest_id) == Status.KEY_MISSING
    put(local, WRONG_KEY, "*", "ELS")
    local.work()
    assert local.status(ingest_id) == Status.FAILED
    put(local, KEY)
    local.work()
    assert local.status(ingest_id) == Status.PARSED


# ------------------------------------------------------------------ a key that comes at the wrong moment
@pytest.mark.parametrize("error", [KeyMissing("no key"), KeyWrong("not this one")])
def test_a_key_that_comes_while_the_telegram_is_given_up_is_not_missed(lane: Lane, error: MbusgwError) -> None:
    """Between the look for a key and the commit that says there is none."""
    put(lane, WRONG_KEY)

    def answer(_telegram: ReceivedTelegram, key: bytes | None) -> ParsedTelegram:
        if key == KEY:
            return parsed()
        put(lane, KEY)
        raise error

    lane.backend.answer = answer
    (ingest_id,) = lane.accept(ENCRYPTED)
    lane.work()
    assert lane.status(ingest_id) == Status.PARSED
    assert lane.sent("/errors/") == []


# ------------------------------------------------------------------ encrypted keys
def test_with_a_master_key_neither_the_meters_nor_the_requests_key_is_on_disk(
    tmp_path: Path, clock: FakeClock
) -> None:
    with running_store(tmp_path / "x.db", clock) as store:
        lane = Lane(store, clock, ScriptedBackend(LocalBackend().parse), vault=MASTER)
        put(lane, WRONG_KEY)
        (ingest_id,) = lane.accept(replace(ENCRYPTED, key=KEY))
        on_disk = b"".join(file.read_bytes() for file in tmp_path.iterdir()).lower()
        lane.work()
        assert lane.status(ingest_id) == Status.PARSED
    for key in (KEY, WRONG_KEY):
        assert key.hex().encode() not in on_disk and key not in on_disk


def test_while_the_master_key_is_away_telegrams_wait_and_go_on_when_it_is_back(
    tmp_path: Path, clock: FakeClock
) -> None:
    def lane_with(store: Store, vault: Vault) -> Lane:
        return Lane(store, clock, ScriptedBackend(LocalBackend().parse), vault=vault)

    path = tmp_path / "x.db"
    with running_store(path, clock) as store:
        lane = lane_with(store, MASTER)
        put(lane, KEY)
        (own,) = lane.accept(replace(ENCRYPTED, gateway_id="gw2", key=KEY))
    clock.advance(301)  # the same again would be a duplicate within the window
    with running_store(path, clock) as store:
        lane = lane_with(store, Vault(trouble="/run/key cannot be read"))
        (ingest_id,) = lane.accept(ENCRYPTED)
        lane.work()
        assert [lane.status(one_id) for one_id in (own, ingest_id)] == [Status.DEFERRED] * 2
        (error, *_) = [document for _, document in lane.sent("/errors/") if document["ingest_id"] == ingest_id]
        assert error["error"]["type"] == "KeyLocked" and error["will_retry"] is True
        assert "/run/key cannot be read" in error["error"]["message"]
    clock.advance(700)
    with running_store(path, clock) as store:
        lane = lane_with(store, MASTER)
        lane.work()
        assert [lane.status(one_id) for one_id in (own, ingest_id)] == [Status.PARSED] * 2


def test_a_telegram_with_its_own_key_is_taken_in_also_when_the_master_key_cannot_be_used(
    store: Store, clock: FakeClock
) -> None:
    lane = Lane(store, clock, ScriptedBackend(LocalBackend().parse), vault=Vault(trouble="gone"))
    (ingest_id,) = lane.accept(replace(ENCRYPTED, key=KEY))
    lane.work()
    assert lane.status(ingest_id) == Status.PARSED
    assert one(store, "SELECT key_hex FROM telegrams") is None
