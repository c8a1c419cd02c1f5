"""The keyring: what is set, removed, sealed at the start, and what it says of it."""
from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mbusgw.model.errors import KeyLocked, RequestError, StoreBusy
from mbusgw.store import arrivals, telegrams
from mbusgw.store.keyring import Changed, Keyring
from mbusgw.store.keys import MeterKey
from mbusgw.store.telegrams import Status
from mbusgw.store.vault import PLAIN, Vault, fingerprint
from mbusgw.store.writer import Store
from tests.fakes.clock import FakeClock
from tests.fakes.stores import one, opened_store, write
from tests.fakes.telegrams import received
from tests.wait import PATIENCE_S

KEY = bytes.fromhex("0102030405060708090A0B0C0D0E0F11")
OTHER = bytes([7]) * 16
ELS = MeterKey("12345678", "ELS", KEY)
RIGHT, WRONG = Vault(bytes(range(32))), Vault(bytes(32))


@contextmanager
def started(path: Path, vault: Vault, *configured: MeterKey) -> Iterator[Keyring]:
    """The keys of one run of the daemon."""
    with opened_store(path) as store:
        keyring = Keyring(store, vault, clock=FakeClock())
        keyring.prepare(configured)
        store.start()
        try:
            yield keyring
        finally:
            store.stop()
            assert store.join(PATIENCE_S)


@pytest.fixture
def keyring(live_store: Store) -> Keyring:
    return Keyring(live_store, PLAIN, clock=FakeClock())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.db"


def opened(keyring: Keyring) -> bytes | None:
    reader = keyring._store.reader()
    try:
        found = keyring.find(reader, [("12345678", "ELS")])
        return found.key if found else None
    finally:
        reader.close()


# ------------------------------------------------------------------ setting
def test_setting_a_key_rings_for_what_waited_for_it(keyring: Keyring, live_store: Store) -> None:
    write(
        live_store,
        lambda connection: arrivals.insert(connection, [received("t1")], dedup_window_s=None),
        telegrams.settle("t1", Status.KEY_MISSING, meter_id="12345678"),
    )
    rung: list[str] = []
    keyring.ring = rung.extend
    assert keyring.set([ELS]) == Changed(keys=1, retried=1)
    assert rung == ["t1"] and one(live_store, "SELECT status FROM telegrams") == Status.RECEIVED
    assert keyring.set([ELS]) == Changed(keys=0, retried=0), "it was the same key"


def test_nothing_of_a_set_of_keys_is_stored_when_one_cannot_be(keyring: Keyring) -> None:
    with pytest.raises(RuntimeError):
        keyring.set(_breaking(ELS))
    assert keyring.entries() == []


def _breaking(first: MeterKey) -> list[MeterKey]:
    class Bad(MeterKey):
        @property
        def who(self) -> tuple[str, str | None]:
            raise RuntimeError("a mistake of ours")

    return [first, Bad("1", None, KEY)]


def test_entries_name_keys_by_their_fingerprint(keyring: Keyring) -> None:
    keyring.set([ELS])
    (entry,) = keyring.entries()
    assert (entry.meter_id, entry.manufacturer, entry.fingerprint) == ("12345678", "ELS", fingerprint(KEY))


# ------------------------------------------------------------------ removing
def test_a_key_is_removed_by_number_and_maker_or_by_number_where_that_is_enough(keyring: Keyring) -> None:
    keyring.set([ELS])
    assert keyring.remove("12345678", None).manufacturer == "ELS"
    keyring.set([ELS, MeterKey("12345678", "LUG", OTHER)])
    with pytest.raises(RequestError, match="ELS, LUG") as caught:
        keyring.remove("12345678", None)
    assert caught.value.status == 409
    keyring.remove("12345678", "LUG")
    keyring.remove("12345678", "ELS")
    with pytest.raises(RequestError) as caught:
        keyring.remove("12345678", "ELS")
    assert caught.value.status == 404


def test_a_makers_default_is_never_removed_by_accident(keyring: Keyring) -> None:
    keyring.set([MeterKey("*", "ELS", KEY)])
    with pytest.raises(RequestError):
        keyring.remove("*", None)
    assert keyring.remove("*", "ELS").meter_id == "*"


# ------------------------------------------------------------------ a key that comes at the wrong moment
def test_a_telegram_is_not_given_up_when_its_key_has_come_meanwhile(keyring: Keyring, live_store: Store) -> None:
    wanted = [("12345678", "ELS")]
    write(live_store, keyring.unchanged(wanted, [None]))
    keyring.set([ELS])
    with pytest.raises(StoreBusy, match="changed meanwhile"):
        write(live_store, keyring.unchanged(wanted, [None]))
    write(live_store, keyring.unchanged(wanted, [fingerprint(KEY)]))
    with pytest.raises(StoreBusy):
        write(live_store, keyring.unchanged(wanted, [fingerprint(OTHER)]))


# ------------------------------------------------------------------ the master key
def everything_in(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.iterdir())


def test_when_a_master_key_appears_plain_keys_are_sealed_and_their_bytes_are_nowhere_any_more(path: Path) -> None:
    with started(path, PLAIN) as keyring:
        keyring.set([MeterKey("12345678", "ELS", OTHER)])
        keyring.set([ELS, *(MeterKey(f"{number:08d}", None, KEY) for number in range(50))])
    assert KEY.hex().encode() in everything_in(path.parent)
    with started(path, RIGHT) as keyring:
        found = everything_in(path.parent)
        assert KEY.hex().encode() not in found and OTHER.hex().encode() not in found and KEY not in found
        assert opened(keyring) == KEY
        keyring.set([MeterKey("12345678", "LUG", OTHER)])
    assert OTHER.hex().encode() not in everything_in(path.parent)


@pytest.mark.parametrize("vault", [PLAIN, WRONG, Vault(trouble="/run/key cannot be read")])
def test_with_the_wrong_master_key_or_none_nothing_is_lost_and_nothing_is_overwritten(
    path: Path, vault: Vault, caplog: pytest.LogCaptureFixture
) -> None:
    with started(path, RIGHT) as keyring:
        keyring.set([ELS])
    with started(path, vault) as keyring:
        assert keyring.locked == 1 and "1 meter key cannot be opened" in caplog.text
        with pytest.raises(KeyLocked):
            opened(keyring)
        with pytest.raises(KeyLocked):
            keyring.set([MeterKey("87654321", None, OTHER)])
        assert [entry.fingerprint for entry in keyring.entries()] == [fingerprint(KEY)], "they can still be named"
    with started(path, RIGHT) as keyring:
        assert keyring.locked == 0 and opened(keyring) == KEY


def test_a_key_whose_master_key_is_lost_for_good_can_be_removed_and_set_anew(path: Path) -> None:
    with started(path, RIGHT) as keyring:
        keyring.set([ELS])
    with started(path, WRONG) as keyring:
        keyring.remove("12345678", "ELS")
        keyring.set([ELS])
        assert keyring.locked == 0 and opened(keyring) == KEY


def test_keys_of_the_configuration_are_taken_over_at_the_start_under_the_master_key_of_then(path: Path) -> None:
    with started(path, RIGHT, ELS) as keyring:
        assert opened(keyring) == KEY
    with started(path, WRONG, ELS) as keyring:
        assert opened(keyring) == KEY and keyring.locked == 0
    with started(path, Vault(trouble="gone"), ELS) as keyring:
        assert keyring.locked == 1


def test_how_keys_are_kept_is_said_at_the_start(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with started(path, PLAIN, ELS):
        assert "plain text" in caplog.text
    with started(path, RIGHT):
        assert f"1 meter key that was plain is encrypted with master key {RIGHT.name} now" in caplog.text
    assert KEY.hex() not in caplog.text.lower()
