"""A meter that a scan has found: its name, its document, who builds it."""
from __future__ import annotations

from datetime import datetime, timezone

import pytest

from mbusgw.model.address import SecondaryAddress
from mbusgw.model.found import FoundMeter
from mbusgw.model.manufacturers import KNOWN_CODES, MANUFACTURERS, company
from mbusgw.model.meter import MeterIdentity
from mbusgw.model.products import product_name

NOW = datetime(2026, 2, 3, 4, 5, 6, tzinfo=timezone.utc)
HEAT = MeterIdentity("12345678", "KAM", 8, 4)


def found(
    identity: MeterIdentity | None = HEAT, primary: int | None = 5, secondary: SecondaryAddress | None = None
) -> FoundMeter:
    return FoundMeter("Main.1", identity, primary, secondary, 2400, NOW, note="hello")


def test_it_is_called_by_its_manufacturer_and_number() -> None:
    assert found().device_id == "kam_12345678"


def test_a_meter_that_does_not_say_who_it_is_is_called_by_its_place() -> None:
    assert found(None).device_id == "main_1_5"
    assert found(None, None, SecondaryAddress("12345678")).device_id == "main_1_12345678"


def test_a_manufacturer_without_letters_still_gives_a_name_for_topics() -> None:
    assert found(MeterIdentity("050002E5", "0x0000", 18, 2)).device_id == "0x0000_050002e5"


def test_two_meters_with_one_number_are_two_finds() -> None:
    twin = MeterIdentity("12345678", "KAM", 8, 7)
    assert found().key != found(twin).key
    assert found(None, 5).key != found(None, 6).key


def test_the_same_meter_is_the_same_find_wherever_it_answers() -> None:
    assert found(primary=5).key == found(primary=6, secondary=SecondaryAddress.of(HEAT)).key


def test_its_document_names_everything_a_person_needs() -> None:
    document = found(secondary=SecondaryAddress.of(HEAT)).document()
    assert document["meter"] == {
        "id": "12345678",
        "manufacturer": "KAM",
        "version": 8,
        "medium": 4,
        "medium_name": "heat",
        "company": "Kamstrup",
    }
    assert document["secondary"] == "123456782D2C0804"
    assert (document["primary"], document["baudrate"], document["note"]) == (5, 2400, "hello")


def test_every_manufacturer_is_three_letters_and_its_code_is_tried_once() -> None:
    assert all(len(letters) == 3 and letters.isupper() and name for letters, name in MANUFACTURERS.items())
    assert len(set(KNOWN_CODES)) == len(KNOWN_CODES) > 300


def test_an_unknown_manufacturer_has_no_company() -> None:
    assert company("QQQ") is None
    assert company(None) is None


@pytest.mark.parametrize(
    ("meter", "name"),
    [
        (HEAT, "Multical 601"),
        (MeterIdentity("1", "EFE", 0, 6), "WaterStar"),
        (MeterIdentity("1", "EFE", 0, 4), "SensoStar 2"),
        (MeterIdentity("1", "AMT", 0x34, 4), "Amtron"),
        (MeterIdentity("1", "KAM", 1, 4), None),
        (MeterIdentity("1", None, None, 4), None),
    ],
)
def test_a_product_is_named_where_maker_version_and_medium_tell(meter: MeterIdentity, name: str | None) -> None:
    assert product_name(meter) == name
