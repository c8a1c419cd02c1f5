"""Compact profiles; the examples are those of EN 13757-3:2018, annex F."""
from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from mbusgw.mbus.profile import expand_profiles
from mbusgw.mbus.records import decode_records
from mbusgw.model.fields import field_names, name_fields
from mbusgw.model.record import Record


def expanded(raw: str) -> list[Record]:
    return list(expand_profiles(decode_records(bytes.fromhex(raw)).records))


def test_a_profile_with_register_numbers_continues_the_storage_numbers() -> None:
    values = expanded("868081006D0000A04111358490810003F04902008D908100831E0A34FEA0860100D0FB0100")
    assert [(value.storage, value.tariff, value.value, value.unit) for value in values] == [
        (33, 1, 100_000, "Wh"),
        (34, 1, 130_000, "Wh"),
    ]


def test_increments_count_from_the_base_value() -> None:
    values = expanded("84046D002041118B04150030128D04951F056901030211")
    assert [value.value for value in values] == [Decimal("12300.3"), Decimal("12300.5"), Decimal("12301.6")]
    assert {value.storage for value in values} == {8}


def test_an_inverse_profile_goes_back_in_time() -> None:
    values = expanded("84046D002341118B04151630128D049513056901110203")
    assert [value.value for value in values] == [Decimal("12300.5"), Decimal("12300.3"), Decimal("12300.0")]


def test_values_have_names_of_their_own_beside_the_base_value() -> None:
    records = decode_records(bytes.fromhex("8B046E7202008D04EE130B3BFE270600950300FFFFFF")).records
    fields = name_fields([*records, *expand_profiles(records)])
    assert {name: field.value for name, field in fields.items() if "compact" not in name} == {
        "hca_storage_8": 272,
        "hca_profile_1_storage_8": 627,
        "hca_profile_2_storage_8": 395,
    }


def test_invalid_values_are_left_out_and_keep_their_number() -> None:
    values = expanded("8D04931308" "33FE" "000080" "010000")
    assert [(value.qualifiers, value.value) for value in values] == [(("profile_2",), Decimal("0.001"))]


def test_steps_without_a_base_value_are_no_values() -> None:
    assert expanded("8D04951F056901030211") == []


def test_nothing_is_made_of_a_profile_that_breaks_the_rules() -> None:
    assert expanded("8D04EE1300") == []
    assert expanded("8D04EE13023FFE") == []
    assert expanded("8D04EE13023DFE") == []
    assert expanded("8D04EE130230FE") == []


@given(st.sampled_from((0x13, 0x1E, 0x1F)), st.binary(max_size=60), st.binary(max_size=20))
def test_any_bytes_are_a_profile_or_none(kind: int, data: bytes, before: bytes) -> None:
    block = decode_records(before + b"\x8d\x04\xee" + bytes((kind, len(data))) + data)
    values = expand_profiles(block.records)
    assert len(field_names([*block.records, *values])) == len(block.records) + len(values)
