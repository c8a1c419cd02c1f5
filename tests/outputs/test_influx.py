"""InfluxDB line protocol."""
from __future__ import annotations

import re
from base64 import b64decode
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mbusgw.config.loader import loads
from mbusgw.config.outputs import InfluxConfig
from mbusgw.outputs.influx import Influx
from mbusgw.runtime.http import Request
from mbusgw.store.readings import KeptReading
from tests.outputs.kept import kept
from tests.outputs.lineprotocol import parse

V2 = "bucket: meters, org: home, token: influx-token"


def influx(keys: str = V2) -> Influx:
    (config,) = loads(f"outputs: [{{type: influx, url: 'http://influx:8086', {keys}}}]", {}).outputs
    assert isinstance(config, InfluxConfig)
    return Influx(config, "mbusgw")


def request(output: Influx, *readings: KeptReading) -> Request:
    found = output.request(readings)
    assert found is not None and found.body is not None
    return found


def test_a_reading_is_a_line_with_exact_numbers_in_nanoseconds() -> None:
    one = kept(energy=Decimal("48211.40"), power=-5, counter=Decimal("9007199254740993.1"), text="Größe")
    assert influx().line(one) == (
        "mbus,device=meter_1,id=12345678,manufacturer=ELS,medium=warm\\ water"
        ' energy=48211.40,power=-5,counter=9007199254740993.1,text="Größe" 1772366400000000000'
    )


def test_what_is_not_known_is_left_out() -> None:
    line = influx().line(kept(meter=None, energy=1))
    assert line == "mbus,device=meter_1 energy=1 1772366400000000000"
    assert " energy=1,status=36 " in influx().line(replace(kept(energy=1), status=0x24))
    assert "rssi_dbm=-71.5 " in influx().line(replace(kept(energy=1), rssi_dbm=-71.5))


def test_a_value_in_quarantine_has_a_field_of_its_own() -> None:
    one = replace(kept(energy=0, volume=2, time=3), quarantined=("energy", "time"))
    assert " energy_quarantined=0,volume=2,time_value_quarantined=3 " in influx().line(one)


def test_units_stand_in_the_names_of_fields_where_that_is_wanted() -> None:
    units = {"energy": "kWh", "volume": "m³", "flow_temperature": "°C", "error_flags": ""}
    values = {name: (number, unit) for number, (name, unit) in enumerate(units.items(), 1)}
    one = replace(kept(), values=values, quarantined=("volume",), rssi_dbm=-70.0)
    line = influx(f"{V2}, units: true").line(one)
    assert " energy_kWh=1,volume_m³_quarantined=2,flow_temperature_°C=3,error_flags=4,rssi_dbm=-70.0 " in line
    (point,) = parse(line + "\n")
    assert point.fields["volume_m³_quarantined"] == 2
    assert " energy=1,volume_quarantined=2,flow_temperature=3,error_flags=4," in influx().line(one)


def test_a_reading_without_values_has_no_line_and_nothing_is_asked_for_it() -> None:
    assert influx().line(kept()) == "" and influx().request([kept()]) is None
    assert request(influx(), kept(), kept(energy=1)).body == (influx().line(kept(energy=1)) + "\n").encode()


def test_fields_called_like_a_tag_or_the_time_get_names_of_their_own() -> None:
    (point,) = parse(influx().line(kept(time="12:00:00", medium=4, manufacturer="x", id=1, status=2)) + "\n")
    assert point.fields.keys() == {"time_value", "medium_value", "manufacturer_value", "id_value", "status_value"}
    assert point.tags["medium"] == "warm water"


@pytest.mark.parametrize(
    ("precision", "time"), [("s", "1772366400"), ("ms", "1772366400000"), ("us", "1772366400000000")]
)
def test_times_can_be_coarser(precision: str, time: str) -> None:
    output = influx(f"{V2}, precision: {precision}")
    assert output.line(kept(energy=1)).endswith(f" {time}")
    assert request(output, kept(energy=1)).query["precision"] == precision


def test_version_2_is_asked_by_bucket_and_token() -> None:
    asked = request(influx(), kept(energy=1))
    assert asked.url == "http://influx:8086/api/v2/write"
    assert asked.query == {"bucket": "meters", "org": "home", "precision": "ns"}
    assert asked.authorization == "Token influx-token" and asked.content_type.startswith("text/plain")


def test_version_1_is_asked_by_database_and_password() -> None:
    asked = request(influx("database: meters, username: me, password: 'pä:ss', precision: us"), kept(energy=1))
    assert asked.url == "http://influx:8086/write" and asked.query == {"db": "meters", "precision": "u"}
    assert asked.authorization and b64decode(asked.authorization.removeprefix("Basic ")).decode() == "me:pä:ss"
    assert request(influx("database: meters"), kept(energy=1)).authorization is None


BREAK = re.compile("[\x00-\x1f\x7f\x85\u2028\u2029]")
names = st.text(min_size=1, max_size=12).map(lambda text: BREAK.sub(" ", text).replace("\\", "/").replace('"', "'"))
keys = names.filter(lambda name: name not in {"time", "device", "id", "manufacturer", "medium"})
values = st.one_of(
    st.integers(-(10**16), 10**16), st.decimals(allow_nan=False, allow_infinity=False, places=4), st.text(max_size=20)
)


@settings(max_examples=50)
@given(device=names, fields=st.dictionaries(keys, values, min_size=1, max_size=4))
def test_whatever_stands_in_names_and_texts_the_line_says_it(
    device: str, fields: dict[str, Decimal | int | str]
) -> None:
    one = replace(kept(), device_id=device, values={name: (value, "") for name, value in fields.items()})
    (point,) = parse(influx().line(one) + "\n")
    assert point.tags["device"] == device and len(point.fields) == len(fields)
    for name, value in fields.items():
        meant = BREAK.sub(" ", value) if isinstance(value, str) else float(value)
        assert point.fields[name] == meant


def test_what_ends_a_line_or_cannot_be_escaped_is_replaced() -> None:
    one = replace(kept(text="a\nb\\c"), device_id="x\ny\\")
    (point,) = parse(influx().line(one) + "\n")
    assert point.tags["device"] == "x y/" and point.fields["text"] == "a b\\c"
