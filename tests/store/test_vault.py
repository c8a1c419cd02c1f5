"""Keys sealed with a master key."""
from __future__ import annotations

import hashlib

import pytest

from mbusgw.model.errors import KeyLocked
from mbusgw.store.vault import PLAIN, Vault, fingerprint, is_sealed

KEY = bytes.fromhex("0102030405060708090A0B0C0D0E0F11")
VAULT = Vault(bytes(range(32)))


def test_the_fingerprint_is_upper_case_sha256_of_the_bytes() -> None:
    assert fingerprint(KEY) == hashlib.sha256(KEY).hexdigest().upper()
    assert fingerprint(KEY).startswith("6CDF4E13B88E3B89"), "the published example"


def test_a_sealed_key_comes_back_and_looks_different_every_time() -> None:
    one, two = VAULT.seal(KEY, "12345678 ELS"), VAULT.seal(KEY, "12345678 ELS")
    assert one != two and KEY.hex() not in one and is_sealed(one)
    assert VAULT.open(one, "12345678 ELS") == VAULT.open(two, "12345678 ELS") == KEY


def test_without_a_master_key_a_key_is_its_hex() -> None:
    assert PLAIN.seal(KEY, "12345678") == KEY.hex()
    assert PLAIN.open(KEY.hex().upper(), "12345678") == KEY


def test_a_sealed_key_opens_for_its_own_meter_only() -> None:
    with pytest.raises(KeyLocked, match="damaged"):
        VAULT.open(VAULT.seal(KEY, "12345678 ELS"), "12345678 LUG")


@pytest.mark.parametrize("position", [-1, -40, -80])
def test_a_changed_byte_is_noticed(position: int) -> None:
    text = VAULT.seal(KEY, "x")
    changed = text[:position] + ("0" if text[position] != "0" else "1") + text[len(text) + position + 1 :]
    assert not VAULT.opens(changed, "x")


def test_another_master_key_is_named_and_so_is_that_of_the_key() -> None:
    other = Vault(bytes(32))
    with pytest.raises(KeyLocked, match=f"master key {VAULT.name}, and not with {other.name}") as caught:
        other.open(VAULT.seal(KEY, "12345678"), "12345678")
    assert caught.value.retryable and "master_key_file" in caught.value.hint


def test_a_master_key_that_cannot_be_used_neither_seals_nor_stores_plain() -> None:
    vault = Vault(trouble="/x cannot be read")
    for work in (lambda: vault.seal(KEY, "x"), lambda: vault.open(VAULT.seal(KEY, "x"), "x")):
        with pytest.raises(KeyLocked, match="/x cannot be read"):
            work()
    assert vault.open(KEY.hex(), "x") == KEY


def test_no_error_shows_the_key() -> None:
    for text in (KEY.hex() + "zz", VAULT.seal(KEY, "x")):
        with pytest.raises(KeyLocked) as caught:
            PLAIN.open(text, "x")
        assert KEY.hex() not in str(caught.value) and text not in str(caught.value)
