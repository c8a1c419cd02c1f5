"""How far outputs have got."""
from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from mbusgw.model.reading import Lane
from mbusgw.store import arrivals, outputs, readings, retention
from mbusgw.store.outputs import SET_ASIDE_MAX, Refusal
from mbusgw.store.retention import READINGS
from mbusgw.store.writer import Store
from tests.fakes.clock import START
from tests.fakes.stores import rows, write
from tests.fakes.telegrams import METER, reading, received


def add(store: Store, *energies: int) -> None:
    for energy in energies:
        at = START + timedelta(hours=energy)
        write(store, lambda connection: readings.add(connection, reading(at=at, energy=energy)))


def energies_after(store: Store, last_id: int, limit: int = 100) -> list[object]:
    reader = store.reader()
    try:
        return [one.values["energy"][0] for one in readings.after(reader, last_id, limit)]
    finally:
        reader.close()


def test_a_new_output_begins_with_what_is_read_from_now_on_and_goes_on_where_it_was(store: Store) -> None:
    assert write(store, outputs.enter("first")) == [0]
    add(store, 1, 2)
    assert write(store, outputs.enter("second")) == [2] and write(store, outputs.enter("first")) == [0]
    add(store, 3)
    assert energies_after(store, 0, 2) == [1, 2] and energies_after(store, 2) == [3]
    write(store, outputs.advance("first", 3, [], START))
    write(store, outputs.advance("first", 2, [], START))  # of a thread that was left behind
    assert write(store, outputs.enter("first")) == [3]
    assert store.count("readings") == 3


def test_a_kept_reading_says_whose_it_was_and_how_a_telegram_came(store: Store) -> None:
    one = received()
    write(store, lambda connection: arrivals.insert(connection, [one], dedup_window_s=None))
    radio = replace(reading(lane=Lane.WIRELESS, volume=Decimal("0.10")), ingest_id=one.ingest_id)
    radio = replace(radio, header=replace(radio.header, status=0x04))
    write(store, lambda connection: readings.add(connection, radio))
    write(store, lambda connection: readings.add(connection, reading(meter=None, text="00012")))
    reader = store.reader()
    heard, wired = readings.after(reader, 0, 10)
    reader.close()
    assert (heard.meter, heard.ingest_id, heard.gateway_id, heard.rssi_dbm) == (METER, one.ingest_id, "gw1", -71.5)
    assert (heard.status, wired.status) == (0x04, reading().header.status)
    assert str(heard.values["volume"][0]) == "0.10" and heard.read_at == START
    assert (wired.meter, wired.ingest_id, wired.gateway_id, wired.rssi_dbm) == (None, None, None, None)
    assert wired.values == {"text": ("00012", "kWh")}


def test_what_the_history_forgets_before_an_output_has_it_is_counted_as_lost(store: Store) -> None:
    write(store, outputs.enter("behind"), outputs.enter("done"))
    add(store, 1, 2, 3)
    write(store, outputs.advance("done", 3, [], START), outputs.advance("behind", 1, [], START))
    assert write(store, lambda connection: retention.forget(connection, READINGS, 2, 500)) == [(2, 2)]
    reader = store.reader()
    assert outputs.lost(reader) == {"behind": 1, "done": 0}
    reader.close()


def test_what_is_set_aside_is_listed_newest_first_and_bounded(store: Store) -> None:
    write(store, outputs.enter("influx"))
    many = [Refusal(number, "meter_1", START, f"reason {number}") for number in range(SET_ASIDE_MAX + 5)]
    write(store, outputs.advance("influx", 9, many, START))
    reader = store.reader()
    newest = outputs.set_aside(reader, "influx", 2)
    reader.close()
    assert [one["reason"] for one in newest] == [f"reason {SET_ASIDE_MAX + 4}", f"reason {SET_ASIDE_MAX + 3}"]
    assert len(rows(store, "SELECT 1 FROM output_set_aside")) == SET_ASIDE_MAX


def test_an_output_that_is_not_configured_any_more_is_forgotten(store: Store) -> None:
    refusal = Refusal(1, "meter_1", START, "why")
    for name in ("stays", "goes"):
        write(store, outputs.enter(name), outputs.advance(name, 1, [refusal], START))
    write(store, outputs.keep_only(["stays"]))
    assert rows(store, "SELECT name FROM outputs") == rows(store, "SELECT output FROM output_set_aside") == [("stays",)]
    write(store, outputs.keep_only([]))
    assert rows(store, "SELECT name FROM outputs") == []
