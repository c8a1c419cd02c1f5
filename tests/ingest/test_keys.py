"""Which key opens a telegram."""
from __future__ import annotations

import pytest

from mbusgw.ingest.keys import find_key
from mbusgw.parsers.sender import Sender
from mbusgw.store import keys
from mbusgw.store.keys import MeterKey
from mbusgw.store.writer import Store
from tests.fakes.clock import START
from tests.fakes.stores import write
from tests.fakes.telegrams import received

A, B = bytes([1]) * 16, bytes([2]) * 16


@pytest.mark.parametrize(
    ("stored", "sender", "hint", "found"),
    [
        ([MeterKey("12345678", None, A)], Sender("12345678", "ELS", True), None, A),
        ([MeterKey("12345678", "ELS", A)], Sender("12345678", "ELS", True), None, A),
        ([MeterKey("12345678", "LUG", A)], Sender("12345678", "ELS", True), None, None),
        ([MeterKey("12345678", None, A), MeterKey("87654321", None, B)], Sender("12345678", None, True), "87654321", A),
        ([MeterKey("87654321", "ELS", B)], Sender("12345678", "LUG", True), "87654321", B),
        ([MeterKey("87654321", "ELS", B)], None, "87654321", B),
        ([MeterKey("87654321", "LUG", B)], None, "87654321", None),
        ([], Sender("12345678", "ELS", True), "87654321", None),
        ([MeterKey("12345678", None, A)], None, None, None),
    ],
)
def test_the_meters_own_number_comes_before_the_gateways_hint(
    store: Store, stored: list[MeterKey], sender: Sender | None, hint: str | None, found: bytes | None
) -> None:
    """The hint's manufacturer is ELS throughout."""
    write(store, keys.put(stored, START))
    reader = store.reader()
    assert find_key(reader, received(hint_meter_id=hint), sender) == found
    reader.close()
