"""Which keys may open a telegram."""
from __future__ import annotations

from dataclasses import replace

import pytest

from mbusgw.ingest.keys import candidates
from mbusgw.model.errors import KeyLocked
from mbusgw.model.telegram import ReceivedTelegram
from mbusgw.parsers.sender import Sender
from mbusgw.store.keyring import Keyring
from mbusgw.store.keys import MeterKey
from mbusgw.store.vault import PLAIN, Vault
from mbusgw.store.writer import Store
from tests.fakes.clock import START, FakeClock
from tests.fakes.telegrams import received

A, B = bytes([1]) * 16, bytes([2]) * 16
ELS = Sender("12345678", "ELS", True)
NOBODYS = Sender("12345678", None, True)


def tried(store: Store, telegram: ReceivedTelegram, sender: Sender | None, vault: Vault = PLAIN) -> list[bytes]:
    reader = store.reader()
    try:
        keyring = Keyring(store, vault, clock=FakeClock(START))
        return [key.key for key in candidates(reader, telegram, sender, keyring)]
    finally:
        reader.close()


def put(store: Store, *entries: MeterKey, vault: Vault = PLAIN) -> None:
    Keyring(store, vault, clock=FakeClock(START)).set(entries)


@pytest.mark.parametrize(
    ("stored", "sender", "hint", "found"),
    [
        ([MeterKey("12345678", None, A)], ELS, None, [A]),
        ([MeterKey("12345678", "ELS", A)], ELS, None, [A]),
        ([MeterKey("12345678", "LUG", A)], ELS, None, []),
        ([MeterKey("12345678", None, A), MeterKey("87654321", None, B)], NOBODYS, "87654321", [A]),
        ([MeterKey("87654321", "ELS", B)], Sender("12345678", "LUG", True), "87654321", [B]),
        ([MeterKey("87654321", "ELS", B)], None, "87654321", [B]),
        ([MeterKey("87654321", "LUG", B)], None, "87654321", []),
        ([MeterKey("*", "ELS", A), MeterKey("87654321", "ELS", B)], ELS, "87654321", [B]),
        ([MeterKey("*", "ELS", A)], ELS, "87654321", [A]),
        ([], ELS, "87654321", []),
        ([MeterKey("12345678", None, A)], None, None, []),
    ],
)
def test_the_meters_own_number_comes_before_the_gateways_hint_and_both_before_the_makers_default(
    store: Store, stored: list[MeterKey], sender: Sender | None, hint: str | None, found: list[bytes]
) -> None:
    """The hint's manufacturer is ELS throughout."""
    put(store, *stored)
    assert tried(store, received(hint_meter_id=hint), sender) == found


def test_the_requests_own_key_is_tried_first_and_the_stored_one_if_it_is_another(store: Store) -> None:
    put(store, MeterKey("12345678", "ELS", A))
    assert tried(store, received(key=B), ELS) == [B, A]
    assert tried(store, received(key=A), ELS) == [A]


def test_a_key_that_cannot_be_opened_makes_an_encrypted_telegram_wait_and_no_other(store: Store) -> None:
    put(store, MeterKey("12345678", "ELS", A), vault=Vault(bytes(32)))
    with pytest.raises(KeyLocked, match="no master key"):
        tried(store, received(), ELS)
    assert tried(store, received(), replace(ELS, encrypted=False)) == []
    assert tried(store, received(), Sender("87654321", "ELS", True)) == []


def test_a_requests_key_that_cannot_be_opened_any_more_makes_it_wait(store: Store) -> None:
    with pytest.raises(KeyLocked, match="came with the telegram"):
        tried(store, replace(received(), key_locked=True), ELS)
    put(store, MeterKey("12345678", "ELS", A))
    assert tried(store, replace(received(), key_locked=True), ELS) == [A]
