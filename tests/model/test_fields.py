"""Names of fields."""
from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbusgw.mbus.records import decode_records
from mbusgw.model.fields import field_names, name_fields, slug
from mbusgw.model.record import Record
from mbusgw.model.units import plain_text

#: Records whose heads all differ; several of them mean the same in another unit, resolution or coding.
HEADS = [
    "0406 01000000",
    "0404 01000000",
    "0c06 01000000",
    "040e 01000000",
    "04fb00 01000000",
    "04fb0d 01000000",
    "8410 06 01000000",
    "4406 01000000",
    "1406 01000000",
    "04833c 01000000",
    "0413 01000000",
    "0414 01000000",
    "8440 13 01000000",
    "027c03435241 0100",
    "02fd7c 0100",
    "02ff21 0100",
    "046d 3b17bf1c",
    "426c bf1c",
]


def records(*raw: str) -> tuple[Record, ...]:
    return decode_records(bytes.fromhex("".join(raw))).records


def names(*raw: str) -> list[str]:
    return list(name_fields(records(*raw)))


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("0406 01000000", "energy"),
        ("8420 06 01000000", "energy_tariff_2"),
        ("4413 01000000", "volume_storage_1"),
        ("142b 01000000", "power_max"),
        ("242b 01000000", "power_min"),
        ("342b 01000000", "power_error"),
        ("02599c08", "flow_temperature"),
        ("02fd170500", "error_flags"),
        ("dc9041 3b 01000000", "volume_flow_subunit_2_tariff_1_storage_33_max"),
        ("04833c 01000000", "energy_backward"),
        ("04abfc01 01000000", "power_l1"),
        ("04abff01 01000000", "power_manufacturer_01"),
        ("04ad6f 3b17bf1c", "datetime_of_power_last_end"),
        ("0aa618 0000", "operating_time_data_error"),
        ("046d 3b17bf1c", "datetime"),
        ("426c bf1c", "date_storage_1"),
        ("036d 1e1a0c", "time"),
        ("0dfd1103 434241", "customer"),
        ("02fc03485225 74 2215", "rh"),
        ("027c07 44492e74737563 0100", "cust_id"),
        ("02ff21 0100", "manufacturer_specific_21"),
        ("02fd7c 0100", "unknown_fd7c"),
    ],
)
def test_a_field_is_named_by_its_quantity_and_what_tells_it_from_its_siblings(raw: str, name: str) -> None:
    assert names(raw) == [name]


def test_fields_keep_the_order_of_the_records_and_carry_value_unit_and_record() -> None:
    fields = name_fields(records("0413 40e20100", "0c06 56341200", "342b aaaaaaaa"))
    assert [(field.name, plain_text(field.value), field.unit) for field in fields.values()] == [
        ("volume", "123.456", "m³"),
        ("energy", "123456", "kWh"),
        ("power_error", plain_text(fields["power_error"].value), "W"),
    ]
    assert all(field.record is not None and name == field.name for name, field in fields.items())


def test_one_meaning_in_two_units_is_told_apart_by_the_unit() -> None:
    assert names("040e 01000000", "0406 01000000") == ["energy_gj", "energy"]


def test_one_meaning_in_two_resolutions_is_told_apart_by_its_bytes() -> None:
    assert names("04fb00 01000000", "0404 01000000", "0406 01000000", "0c06 01000000") == [
        "energy_vib_fb00",
        "energy",
        "energy_vib_06",
        "energy_vib_06_dib_0c",
    ]


def test_the_same_record_twice_is_one_field() -> None:
    assert names("0406 01000000", "0406 01000000") == ["energy"]


def test_the_same_head_with_other_data_is_numbered() -> None:
    assert names("426c bf1c", "426c be1c") == ["date_storage_1", "date_storage_1_2"]


def test_a_text_that_spells_the_name_of_another_field_takes_it_from_nobody() -> None:
    text = "027c08" + b"2 emulov".hex() + "0100"
    assert names("0413 40e20100", "0413 40e20200", text) == ["volume", "volume_2", f"volume_2_vib_{text[2:22]}"]


def test_records_that_say_nothing_have_no_field() -> None:
    assert names("00ff21", "007f", "00fd7c", "0013") == ["volume"]
    assert field_names(records("00ff21", "0013")) == [None, "volume"]


def test_a_rate_has_the_unit_of_a_rate() -> None:
    fields = name_fields(records("028322 0a00", "049028 08000000"))
    assert {name: field.unit for name, field in fields.items()} == {
        "energy_per_hour": "kWh/h",
        "volume_per_input_pulse_0": "m³/pulse",
    }


@given(st.permutations(HEADS))
def test_names_do_not_depend_on_the_order_of_the_records(order: list[str]) -> None:
    def by_head(raw: list[str]) -> dict[bytes, str | None]:
        decoded = records(*raw)
        return {r.dib + r.vib: name for r, name in zip(decoded, field_names(decoded), strict=True)}

    assert by_head(order) == by_head(HEADS)
    assert len(set(by_head(HEADS).values())) == len(HEADS)


@given(st.binary(max_size=120))
def test_every_name_is_fit_for_a_topic_and_there_once(payload: bytes) -> None:
    decoded = decode_records(payload).records
    assert all(re.fullmatch(r"[a-z0-9_]+", name) for name in name_fields(decoded))


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("cust. ID", "cust_id"), ("%RH", "rh"), ("m³/h", "m3_h"), ("°C", "c"), ("Größe", "groesse"), ("--", ""),
        ("Wärme Küche", "waerme_kueche"), ("#5 + Bad/WC 🚿", "5_bad_wc"), ("Élan", "elan"),
    ],
)
def test_a_text_becomes_snake_case(text: str, made: str) -> None:
    assert slug(text) == made
