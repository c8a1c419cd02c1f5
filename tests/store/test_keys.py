"""The meters' keys on disk."""
from __future__ import annotations

import hashlib

import pytest

from mbusgw.store import keys
from mbusgw.store.keys import MeterKey
from mbusgw.store.writer import Store
from tests.fakes.clock import START
from tests.fakes.stores import rows, write

KEY = bytes.fromhex("0102030405060708090A0B0C0D0E0F11")
OTHER = bytes(16)


def find(store: Store, meter_id: str, manufacturer: str | None) -> bytes | None:
    reader = store.reader()
    try:
        return keys.find(reader, meter_id, manufacturer)
    finally:
        reader.close()


def put(store: Store, *entries: MeterKey) -> None:
    write(store, keys.put(entries, START))


@pytest.mark.parametrize(
    ("stored_for", "asked_for", "found"),
    [
        ("ELS", "ELS", True),
        ("els", "ELS", True),
        ("ELS", "els", True),
        ("ELS", "LUG", False),
        ("ELS", None, True),
        (None, "LUG", True),
        (None, None, True),
        ("", "LUG", True),
    ],
)
def test_a_key_serves_its_meter_and_not_another_makers_of_the_same_number(
    store: Store, stored_for: str | None, asked_for: str | None, found: bool
) -> None:
    put(store, MeterKey("12345678", stored_for, KEY))
    assert find(store, "12345678", asked_for) == (KEY if found else None)


def test_numbers_with_letters_are_found_in_either_case(store: Store) -> None:
    put(store, MeterKey("0000abcd", None, KEY))
    assert find(store, "0000ABCD", None) == KEY
    assert find(store, "0000abcd", None) == KEY
    assert find(store, "0000ABCE", None) is None


def test_a_new_key_replaces_the_old_one(store: Store) -> None:
    put(store, MeterKey("12345678", "ELS", OTHER))
    put(store, MeterKey("12345678", "ELS", KEY), MeterKey("87654321", None, OTHER))
    assert find(store, "12345678", "ELS") == KEY
    assert rows(store, "SELECT meter_id, updated_at FROM meter_keys ORDER BY 1") == [
        ("12345678", "2026-03-01T12:00:00.000Z"),
        ("87654321", "2026-03-01T12:00:00.000Z"),
    ]


def test_a_key_never_shows_itself() -> None:
    assert "0102" not in repr(MeterKey("12345678", "ELS", KEY)).lower()


def test_the_fingerprint_is_upper_case_sha256_of_the_bytes() -> None:
    assert keys.fingerprint(KEY) == hashlib.sha256(KEY).hexdigest().upper()
    assert keys.fingerprint(KEY) != keys.fingerprint(OTHER)
