"""What Home Assistant was last told."""
from __future__ import annotations

from mbusgw.store import announced
from mbusgw.store.writer import Store
from tests.fakes.clock import START
from tests.fakes.stores import write


def load(store: Store) -> dict[str, tuple[str, str]]:
    reader = store.reader()
    try:
        return {topic: (device_id, payload) for topic, device_id, payload in announced.rows(reader)}
    finally:
        reader.close()


def test_the_newest_announcement_is_remembered_until_it_is_taken_back(store: Store) -> None:
    write(store, lambda connection: announced.remember(connection, "ha/a", "meter_1", "{1}", START))
    write(store, lambda connection: announced.remember(connection, "ha/a", "meter_1", "{2}", START))
    write(store, lambda connection: announced.remember(connection, "ha/b", "meter_2", "{3}", START))
    assert load(store) == {"ha/a": ("meter_1", "{2}"), "ha/b": ("meter_2", "{3}")}
    write(store, lambda connection: announced.forget(connection, "ha/a"))
    write(store, lambda connection: announced.forget(connection, "ha/a"))
    assert load(store) == {"ha/b": ("meter_2", "{3}")}
