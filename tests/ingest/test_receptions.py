"""One telegram, several gateways: parsed once, every reception known."""
from __future__ import annotations

from mbusgw.ingest.content import content_of
from mbusgw.ingest.receptions import FURTHER_MAX, KEPT, Receptions
from mbusgw.model.reception import Reception
from mbusgw.model.submission import Submission
from mbusgw.parsers.local import LocalBackend
from mbusgw.store.telegrams import Status
from mbusgw.store.writer import Store
from mbusgw.wmbus.crc import crc_field
from tests.fakes.clock import FakeClock
from tests.fakes.stores import rows
from tests.fakes.telegrams import received
from tests.ingest.conftest import Lane

#: An unencrypted water meter (format A is made of it below).
PLAIN = bytes.fromhex("1E44AE4C785634120107" + "7A01000000" + "0C1378563412" + "046D2A0D1A27" + "02FD170000")[:31]


def plain() -> bytes:
    body = PLAIN[1:]
    return bytes((len(body),)) + body


def format_a(stripped: bytes) -> bytes:
    blocks = [stripped[:10]] + [stripped[at : at + 16] for at in range(10, len(stripped), 16)]
    return b"".join(block + crc_field(block) for block in blocks)


def test_crcs_make_no_other_telegram() -> None:
    assert content_of(format_a(plain())) == content_of(plain())
    assert content_of(plain()) != content_of(plain()[:-1] + b"\x01")


def test_what_is_no_telegram_is_known_by_its_bytes() -> None:
    assert content_of(b"\x01\x02" * 20) == content_of(b"\x01\x02" * 20) != content_of(b"\x02\x01" * 20)


def test_receptions_before_and_after_the_parsing_reach_the_device() -> None:
    told: list[tuple[str, Reception]] = []
    receptions = Receptions(lambda device_id, reception: told.append((device_id, reception)))
    receptions.again(received("t2", gateway_id="gw2"), "t1")
    assert [one.gateway_id for one in receptions.of(received("t1"), "els_1")] == ["gw1", "gw2"]
    assert told == []
    receptions.again(received("t3", gateway_id="gw3"), "t1")
    assert [(device_id, one.gateway_id) for device_id, one in told] == [("els_1", "gw3")]


def test_the_memory_of_receptions_is_bounded() -> None:
    receptions = Receptions(lambda device_id, reception: None)
    for number in range(KEPT + 100):
        receptions.again(received(f"d{number}", gateway_id="gw2"), f"t{number}")
    assert len(receptions._telegrams) == KEPT


def test_a_gateway_that_repeats_one_telegram_without_end_fills_no_memory() -> None:
    receptions = Receptions(lambda device_id, reception: None)
    for number in range(2 * FURTHER_MAX):
        receptions.again(received(f"d{number}", gateway_id="gw2"), "t1")
    assert len(receptions.of(received("t1"), "els_1")) == 1 + FURTHER_MAX


def test_a_telegram_through_three_gateways_is_parsed_once_and_the_best_is_known(store: Store, clock: FakeClock) -> None:
    lane = Lane(store, clock, LocalBackend())  # type: ignore[arg-type]
    first, second = lane.accept(
        Submission("gw1", plain(), rssi_dbm=-90.0), Submission("gw2", format_a(plain()), rssi_dbm=-60.0)
    )
    lane.work()
    (third,) = lane.accept(Submission("gw3", plain(), rssi_dbm=-75.0))
    lane.work()
    assert [lane.status(one) for one in (first, second, third)] == [Status.PARSED, Status.DUPLICATE, Status.DUPLICATE]
    assert len(lane.sent("reading")) == 1
    assert len(lane.sent("raw")) == 3, "each gateway's own word is told"
    assert rows(store, "SELECT gateway_id, rssi, duplicate_of FROM telegrams ORDER BY rowid") == [
        ("gw1", -90.0, None),
        ("gw2", -60.0, first),
        ("gw3", -75.0, first),
    ]
    (state,) = lane.registry.snapshot().values()
    assert state.radio is not None and state.radio.best is not None
    assert state.radio.best.gateway_id == "gw2" and state.radio.best.rssi_dbm == -60.0
    assert {one.gateway_id for one in state.radio.receptions} == {"gw1", "gw2", "gw3"}
    assert {one.gateway_id: (one.telegrams, one.duplicates) for one in lane.fleet.snapshot()} == {
        "gw1": (1, 0), "gw2": (1, 1), "gw3": (1, 1),
    }  # fmt: skip


def test_after_the_window_another_gateways_copy_is_parsed_again(store: Store, clock: FakeClock) -> None:
    lane = Lane(store, clock, LocalBackend(), dedup_window_s=60.0)  # type: ignore[arg-type]
    lane.accept(Submission("gw1", plain()))
    lane.work()
    clock.advance(100)
    (late,) = lane.accept(Submission("gw2", plain()))
    lane.work()
    assert lane.status(late) == Status.PARSED
