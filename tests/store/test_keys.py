"""The meters' keys in their table: whose key is found, how rows are named, what encryption does to them."""
from __future__ import annotations

import pytest

from mbusgw.model.errors import KeyLocked
from mbusgw.store import keys
from mbusgw.store.keys import MeterKey, Who
from mbusgw.store.vault import PLAIN, Vault, fingerprint
from mbusgw.store.writer import Store
from tests.fakes.clock import START
from tests.fakes.stores import rows, write

KEY = bytes.fromhex("0102030405060708090A0B0C0D0E0F11")
OTHER, THIRD, FOURTH = bytes(16), bytes([3]) * 16, bytes([4]) * 16
SEALING = Vault(bytes(range(32)))


def find(store: Store, *wanted: Who) -> bytes | None:
    reader = store.reader()
    try:
        stored = keys.find(reader, wanted)
        return PLAIN.open(stored.text, stored.about) if stored else None
    finally:
        reader.close()


def put(store: Store, *entries: MeterKey, vault: Vault = PLAIN) -> list[MeterKey]:
    (changed,) = write(store, lambda connection: keys.put(connection, entries, START, vault))
    assert isinstance(changed, list)
    return changed


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
    assert find(store, ("12345678", asked_for)) == (KEY if found else None)


ALL = [
    MeterKey("12345678", "ELS", KEY),
    MeterKey("12345678", "LUG", OTHER),
    MeterKey("12345678", None, THIRD),
    MeterKey("*", "KAM", FOURTH),
]


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 2, 1, 0], [1, 0, 2, 3], [2, 3, 0, 1], [0, 2, 1, 3]])
def test_the_most_specific_key_counts_in_whatever_order_they_came(store: Store, order: list[int]) -> None:
    for number in order:
        assert put(store, ALL[number]) == [ALL[number]]
    assert find(store, ("12345678", "ELS")) == KEY
    assert find(store, ("12345678", "LUG")) == OTHER
    assert find(store, ("12345678", "KAM")) == THIRD, "the number alone is more than the maker alone"
    assert find(store, ("00000001", "KAM")) == FOURTH
    assert find(store, ("00000001", "ELS")) is None
    assert find(store, ("12345678", None)) == THIRD
    plain = "SELECT manufacturer FROM meter_keys WHERE meter_id = '12345678'"
    assert rows(store, plain) == [(None,)], "the plain number is the key without a manufacturer"


def test_two_makers_of_one_number_have_two_rows_and_the_first_has_the_plain_number(store: Store) -> None:
    put(store, ALL[0], ALL[1])
    found = rows(store, "SELECT meter_id, manufacturer, key_hex FROM meter_keys ORDER BY meter_id")
    assert found == [("12345678", "ELS", KEY.hex()), ("12345678:LUG", "LUG", OTHER.hex())]


def test_a_number_is_not_the_beginning_of_another(store: Store) -> None:
    put(store, MeterKey("12345678", "ELS", KEY))
    reader = store.reader()
    assert keys.of_meter(reader, "1234567") == []
    reader.close()


def test_numbers_with_letters_are_found_in_either_case(store: Store) -> None:
    put(store, MeterKey("0000abcd", None, KEY))
    assert find(store, ("0000ABCD", None)) == KEY
    assert find(store, ("0000abcd", None)) == KEY
    assert find(store, ("0000ABCE", None)) is None


def test_a_new_key_replaces_the_old_one_and_only_what_is_new_is_told(store: Store) -> None:
    put(store, MeterKey("12345678", "ELS", OTHER))
    other = MeterKey("87654321", None, OTHER)
    assert put(store, MeterKey("12345678", "ELS", KEY), other) == [MeterKey("12345678", "ELS", KEY), other]
    assert put(store, MeterKey("12345678", "ELS", KEY), other) == []
    assert find(store, ("12345678", "ELS")) == KEY
    assert rows(store, "SELECT meter_id, updated_at, fingerprint FROM meter_keys ORDER BY 1") == [
        ("12345678", "2026-03-01T12:00:00.000Z", fingerprint(KEY)),
        ("87654321", "2026-03-01T12:00:00.000Z", fingerprint(OTHER)),
    ]


def test_a_key_never_shows_itself(store: Store) -> None:
    put(store, ALL[0])
    reader = store.reader()
    for text in (repr(ALL[0]), repr(keys.get(reader, "12345678", "ELS"))):
        assert "0102" not in text.lower() and "\\x01\\x02" not in text
    reader.close()


# ------------------------------------------------------------------ encrypted
def stored_texts(store: Store) -> list[str]:
    return [row[0] for row in rows(store, "SELECT key_hex FROM meter_keys ORDER BY meter_id")]


def test_with_a_master_key_only_sealed_keys_are_stored(store: Store) -> None:
    put(store, *ALL, vault=SEALING)
    assert all(text.startswith(f"gcm:{SEALING.name}:") and KEY.hex() not in text for text in stored_texts(store))
    reader = store.reader()
    for key in ALL:
        stored = keys.get(reader, *key.who)
        assert stored is not None and SEALING.open(stored.text, stored.about) == key.key
    reader.close()


def test_a_sealed_key_still_opens_after_its_row_was_renamed(store: Store) -> None:
    put(store, ALL[0], vault=SEALING)
    put(store, ALL[2], vault=SEALING)
    reader = store.reader()
    moved = keys.get(reader, "12345678", "ELS")
    assert moved is not None and moved.row == "12345678:ELS" and SEALING.open(moved.text, moved.about) == KEY
    reader.close()


def test_a_key_that_another_master_key_sealed_is_sealed_anew_when_it_is_set_again(store: Store) -> None:
    put(store, ALL[0], vault=Vault(bytes(32)))
    assert put(store, ALL[0], vault=SEALING) == [ALL[0]]
    assert stored_texts(store)[0].startswith(f"gcm:{SEALING.name}:")


def test_plain_keys_are_sealed_once_and_keep_their_fingerprint(store: Store) -> None:
    put(store, *ALL)
    write(store, lambda connection: connection.execute("UPDATE meter_keys SET fingerprint = ''"))
    (first,) = write(store, lambda connection: keys.protect(connection, SEALING))
    texts = stored_texts(store)
    (second,) = write(store, lambda connection: keys.protect(connection, SEALING))
    assert (first, second) == ((4, 0), (0, 0))
    assert stored_texts(store) == texts
    marks = {row[0] for row in rows(store, "SELECT fingerprint FROM meter_keys")}
    assert marks == {fingerprint(key.key) for key in ALL}


def test_without_a_master_key_plain_keys_stay_and_sealed_ones_are_counted_and_kept(store: Store) -> None:
    put(store, ALL[0])
    put(store, ALL[1], vault=SEALING)
    before = stored_texts(store)
    for vault in (PLAIN, Vault(trouble="it is gone")):
        (counted,) = write(store, lambda connection, vault=vault: keys.protect(connection, vault))
        assert counted == (0, 1) and stored_texts(store) == before


def test_a_damaged_row_does_no_harm_to_the_others(store: Store) -> None:
    put(store, *ALL)
    damage = "UPDATE meter_keys SET key_hex = 'zz', fingerprint = '' WHERE manufacturer = 'ELS'"
    write(store, lambda connection: connection.execute(damage))
    (counted,) = write(store, lambda connection: keys.protect(connection, SEALING))
    assert counted == (3, 1)
    with pytest.raises(KeyLocked, match="damaged"):
        find(store, ("12345678", "ELS"))
