"""Device states over a restart: every value exact."""
from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbusgw.model.device import DeviceState
from mbusgw.model.meter import MeterIdentity
from mbusgw.model.quantity import QUANTITIES
from mbusgw.model.quarantine import Count, Doubt, Suspect
from mbusgw.model.reading import Field, Lane
from mbusgw.model.reception import RadioLink, Reception
from mbusgw.model.record import Function, Record
from mbusgw.runtime import exactjson
from mbusgw.store import states
from mbusgw.store.fieldtext import from_fields, to_fields
from mbusgw.store.writer import Store
from tests.fakes.clock import START
from tests.fakes.stores import rows, write
from tests.fakes.telegrams import METER, field, reading

STATE = DeviceState(
    device_id="els_12345678",
    name="Gas Küche",
    version=7,
    online=True,
    lane=Lane.WIRELESS,
    read_at=START,
    meter=METER,
    access_no=42,
    status=0x04,
    fields=MappingProxyType({"energy": field()}),
    manufacturer_data=b"\x00\xff\x0f",
    problems=("record 3: no such VIF",),
    gateway_id="gw1",
    rssi_dbm=-71.5,
)


def load(store: Store) -> list[DeviceState]:
    reader = store.reader()
    try:
        return states.load(reader)
    finally:
        reader.close()


def save(store: Store, state: DeviceState) -> bool:
    (saved,) = write(store, lambda connection: states.save(connection, state))
    return bool(saved)


# ------------------------------------------------------------------ round trips
VALUES = st.one_of(
    st.none(),
    st.integers(-(10**18), 10**18),
    st.decimals(allow_nan=False, allow_infinity=False),
    st.text(),
    st.datetimes(),
    st.dates(),
    st.times(),
)
BYTES = st.binary(max_size=12)
RECORDS = st.builds(
    Record,
    quantity=st.sampled_from(list(QUANTITIES.values())),
    unit=st.sampled_from(["", "Wh", "m³", "°C"]),
    value=VALUES,
    function=st.sampled_from(Function),
    storage=st.integers(0, 2**41),
    tariff=st.integers(0, 2**20),
    subunit=st.integers(0, 2**10),
    qualifiers=st.lists(st.text(max_size=8), max_size=3).map(tuple),
    text_unit=st.none() | st.text(max_size=8),
    dib=BYTES,
    vib=BYTES,
    data=BYTES,
    problem=st.none() | st.text(max_size=20),
)


@given(st.dictionaries(st.text(max_size=12), st.tuples(VALUES, st.none() | RECORDS), max_size=4))
def test_fields_of_every_type_come_back_from_json_as_they_were(parts: dict[str, tuple[Any, Any]]) -> None:
    fields = {name: Field(name, value, "kWh", record) for name, (value, record) in parts.items()}
    back = to_fields(exactjson.loads(exactjson.dumps(from_fields(fields))))
    assert dict(back) == fields
    assert list(back) == list(fields), "in their order"


@pytest.mark.parametrize(
    "value",
    [
        Decimal("0.100"),
        Decimal("1234567890123456.789"),
        Decimal("-0.001"),
        Decimal("1E+3"),
        Decimal("1E-9"),
        0,
        -5,
        10**15,
        "text with \x00 and ü",
        "12.5",
        "2026-01-01",
        datetime(2026, 1, 2, 3, 4),
        datetime(2026, 1, 2, 3, 4, 5),
        date(2026, 1, 2),
        time(3, 4, 5),
        None,
    ],
    ids=repr,
)
def test_a_value_keeps_its_type_and_its_last_digit_over_a_restart(store: Store, value: object) -> None:
    state = replace(STATE, fields=MappingProxyType({"x": Field("x", value, "")}))  # type: ignore[arg-type]
    save(store, state)
    back = load(store)[0].fields["x"].value
    assert back == value
    assert str(back) == str(value)
    assert type(back) is type(value)


def test_a_state_comes_back_as_it_was(store: Store) -> None:
    assert save(store, STATE)
    assert load(store) == [STATE]


@pytest.mark.parametrize(
    "meter", [None, MeterIdentity("0000000F", None, None, 7), MeterIdentity("12345678", "0x0000", 255, 4)]
)
def test_a_bare_state_comes_back_too(store: Store, meter: MeterIdentity | None) -> None:
    bare = DeviceState("meter_1", "Heat", version=1, meter=meter)
    save(store, bare)
    assert load(store) == [bare]


def test_outsiders_find_the_columns_in_the_documented_form(store: Store) -> None:
    save(store, STATE)
    save(store, DeviceState("meter_1", "Heat", version=1))
    assert rows(store, "SELECT device_id, last_update, online, version FROM device_states ORDER BY 1") == [
        ("els_12345678", "2026-03-01T12:00:00.000Z", 1, 7),
        ("meter_1", None, 0, 1),
    ]


def test_a_reading_of_today_goes_on_where_the_stored_state_ended(store: Store) -> None:
    save(store, STATE)
    (state,) = load(store)
    later = state.read(reading("els_12345678", at=START + timedelta(hours=1), volume=Decimal("3.5")))
    assert save(store, later)
    (back,) = load(store)
    assert back.version == 8
    assert [str(f.value) for f in back.fields.values()] == ["12.345", "3.5"]


# ------------------------------------------------------------------ versions
def test_an_older_version_never_replaces_a_newer_one(store: Store) -> None:
    assert save(store, STATE)
    assert not save(store, replace(STATE, version=6, name="old"))
    assert not save(store, replace(STATE, version=7, name="twice"))
    assert load(store) == [STATE]
    assert save(store, replace(STATE, version=8, online=False))
    assert load(store)[0].version == 8


# ------------------------------------------------------------------ what cannot be understood
BROKEN = [
    "",
    "{",
    "[]",
    "null",
    "{}",
    '{"name": "x"}',
]


@pytest.mark.parametrize("text", BROKEN)
def test_a_state_that_cannot_be_understood_begins_anew_and_can_be_replaced(
    store: Store, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    save(store, STATE)
    save(store, replace(STATE, device_id="other"))
    write(store, lambda c: c.execute("UPDATE device_states SET state_json = ? WHERE device_id LIKE 'els%'", (text,)))
    anew, other = load(store)
    assert other.fields, "the others are not touched"
    assert anew == DeviceState("els_12345678", "els_12345678", version=7)
    assert "els_12345678" in caplog.text
    assert save(store, anew.read(reading("els_12345678", energy=Decimal(1))))
    assert load(store)[0].fields["energy"].value == 1


@given(st.data())
def test_a_stored_document_with_anything_in_it_never_keeps_the_house_from_starting(data: st.DataObject) -> None:
    """One member of a good document becomes something else."""
    document = exactjson.loads(exactjson.dumps(states._document(STATE)))
    places = [(document, key) for key in document]
    entry = document["fields"]["energy"]
    places += [(entry, key) for key in entry] + [(entry["record"], key) for key in entry["record"]]
    place, key = data.draw(st.sampled_from(places), label="place")
    place[key] = data.draw(
        st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.integers(), max_size=3)
        | st.dictionaries(st.text(), st.integers(), max_size=2),
        label="value",
    )

    class OneRow:
        def execute(self, _query: str) -> list[tuple[str, str, int]]:
            return [("els_12345678", exactjson.dumps(document), 7)]

    (state,) = states.load(OneRow())  # type: ignore[arg-type]
    assert state.device_id == "els_12345678"
    assert state.version == 7


# ------------------------------------------------------------------ deletion
def test_a_forgotten_device_is_gone_and_may_begin_at_version_1(store: Store) -> None:
    save(store, STATE)
    write(store, lambda connection: states.delete(connection, STATE.device_id))
    assert load(store) == []
    assert save(store, replace(STATE, version=1))


def test_read_at_is_kept_in_utc(store: Store) -> None:
    save(store, replace(STATE, read_at=datetime(2026, 3, 1, 13, 0, tzinfo=timezone(timedelta(hours=1)))))
    assert load(store)[0].read_at == START


def test_how_a_radio_meter_is_heard_comes_back(store: Store) -> None:
    link = RadioLink()
    for number in range(5):
        at = START + timedelta(seconds=60 * number)
        link = link.hear([Reception("gw1", -70.5, at), Reception("gw2", None, at)])
    state = DeviceState("els_12345678", "els_12345678", version=1, read_at=START, lane=Lane.WIRELESS, radio=link)
    write(store, lambda connection: states.save(connection, state))
    reader = store.reader()
    try:
        (loaded,) = states.load(reader)
    finally:
        reader.close()
    assert loaded.radio == link


def test_values_in_quarantine_and_counters_of_earlier_readings_come_back(store: Store) -> None:
    later = START + timedelta(seconds=90)
    less = field("energy", Decimal("0.500"))
    suspect = Suspect(less, Doubt.DOWN, START, later, confirmations=2, seen=9, refused=True)
    count = Count(Decimal("12.345"), "kWh", START, Decimal("0.001"))
    state = replace(
        STATE, quarantine=MappingProxyType({"energy": suspect}), counted=MappingProxyType({"energy": count})
    )
    assert save(store, state)
    (back,) = load(store)
    assert (back.quarantine, back.counted) == ({"energy": suspect}, {"energy": count})
