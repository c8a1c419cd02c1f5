"""Gateways that always send link layer CRCs."""
from __future__ import annotations

import pytest

from mbusgw.model.errors import FormatUnknown
from mbusgw.model.telegram import ReceivedTelegram
from mbusgw.parsers.habits import MOST_GATEWAYS, SURE, CrcHabits
from mbusgw.parsers.local import LocalBackend
from mbusgw.simulator.radio import Security, telegram
from mbusgw.wmbus.frame import LinkFormat
from tests.parsers.received import received
from tests.wmbus.samples import KEY, meter

WHOLE = telegram(meter(Security.NONE, LinkFormat.B), 5)
STRIPPED = telegram(meter(Security.NONE), 5)


def damaged(raw: bytes, index: int, mask: int = 0x55) -> bytes:
    """Several wrong bits in one byte, which no simple error explains."""
    changed = bytearray(raw)
    changed[index] ^= mask
    return bytes(changed)


def read(backend: LocalBackend, raw: bytes, key: bytes | None = None) -> None:
    telegram_: ReceivedTelegram = received(raw)
    backend.parse(telegram_, key)


def test_a_gateway_that_always_sends_crcs_is_not_believed_without() -> None:
    backend = LocalBackend()
    for _ in range(SURE):
        read(backend, WHOLE)
    for index in range(20, len(WHOLE)):
        read(backend, WHOLE)
        read(backend, WHOLE)
        with pytest.raises(FormatUnknown, match="CRC"):
            read(backend, damaged(WHOLE, index))


def test_a_gateway_that_was_set_up_anew_is_believed_again_soon() -> None:
    habits = CrcHabits()
    for _ in range(100):
        assert habits.heard("gw1", WHOLE) is None
    refused = [habits.heard("gw1", STRIPPED) for _ in range(20)]
    assert 0 < refused.count(True) <= 5
    assert refused[-10:] == [None] * 10


def test_one_gateway_says_nothing_about_another() -> None:
    habits = CrcHabits()
    for _ in range(100):
        habits.heard("gw1", WHOLE)
    assert habits.heard("gw2", STRIPPED) is None
    assert habits.heard("gw1", STRIPPED) is True


def test_what_is_certainly_damaged_tells_nothing() -> None:
    habits = CrcHabits()
    long = telegram(meter(Security.NONE, LinkFormat.A), 5)
    for _ in range(100):
        habits.heard("gw1", damaged(long, 5))
    assert habits.heard("gw1", STRIPPED) is None


@pytest.mark.parametrize("security", [Security.MODE_7, Security.ELL])
def test_a_telegram_whose_own_checksum_proves_it_needs_no_other(security: Security) -> None:
    backend = LocalBackend()
    for _ in range(SURE):
        read(backend, WHOLE)
    read(backend, telegram(meter(security), 5), KEY)


def test_only_so_many_gateways_are_remembered() -> None:
    habits = CrcHabits()
    for number in range(MOST_GATEWAYS + 5):
        habits.heard(f"gw{number}", WHOLE)
    assert len(habits._scores) == MOST_GATEWAYS
