"""The document of a telegram."""
from __future__ import annotations

from decimal import Decimal

from mbusgw.mbus.decode import decode_frame
from mbusgw.model.document import failure_document, telegram_document
from mbusgw.model.errors import ApplicationError, FormatUnknown
from tests.mbus.made import DOCUMENTED, VOLUME, frame


def test_a_telegram_is_told_in_full() -> None:
    document = telegram_document(decode_frame(DOCUMENTED))
    assert document == {
        "ok": True,
        "error": None,
        "header": {
            "id": "12345678",
            "manufacturer": "PAD",
            "version": 1,
            "medium": 7,
            "medium_name": "water",
            "type": 7,
            "access_no": 0x55,
            "status": 0,
            "configuration": 0,
            "address": 2,
            "ci": "72",
        },
        "structure": "variable",
        "records": [
            {
                "function": "instantaneous",
                "storage": 0,
                "tariff": 0,
                "subunit": 0,
                "quantity": "Volume",
                "unit": "m³",
                "value": Decimal("12.565"),
                "field": "volume",
                "qualifiers": [],
                "dib": "03",
                "vib": "13",
                "data": "153100",
                "problem": None,
            },
            {
                "function": "maximum",
                "storage": 5,
                "tariff": 0,
                "subunit": 0,
                "quantity": "Volume flow",
                "unit": "m³/h",
                "value": Decimal("0.113"),
                "field": "volume_flow_storage_5_max",
                "qualifiers": [],
                "dib": "da02",
                "vib": "3b",
                "data": "1301",
                "problem": None,
            },
            {
                "function": "instantaneous",
                "storage": 0,
                "tariff": 2,
                "subunit": 1,
                "quantity": "Energy",
                "unit": "Wh",
                "value": 218370,
                "field": "energy_subunit_1_tariff_2",
                "qualifiers": [],
                "dib": "8b60",
                "vib": "04",
                "data": "371802",
                "problem": None,
            },
        ],
        "mfr_data": None,
        "more_records_follow": False,
        "problems": [],
    }


def test_dates_are_iso_text_and_manufacturer_data_are_hex() -> None:
    document = telegram_document(decode_frame(frame(bytes.fromhex("426cbf1c 046d3b17bf1c 036d1e1a0c 1f0aff"))))
    assert [record["value"] for record in document["records"]] == [  # type: ignore[attr-defined]
        "2013-12-31",
        "2013-12-31T23:59:00",
        "12:26:30",
    ]
    assert (document["mfr_data"], document["more_records_follow"]) == ("0aff", True)


def test_a_manufacturer_that_is_no_letters_is_shown_as_other_tools_do() -> None:
    header = bytes.fromhex("78563412 0000 08 04 2a 00 0000")
    document = telegram_document(decode_frame(frame(VOLUME, header=header)))
    assert document["header"]["manufacturer"] == "@@@"  # type: ignore[index]


def test_a_plain_text_vif_is_the_quantity() -> None:
    document = telegram_document(decode_frame(frame(bytes.fromhex("02fc0348522574 2215"))))
    assert document["records"][0]["quantity"] == "%RH"  # type: ignore[index]


def test_a_failure_has_the_same_keys_and_says_why() -> None:
    document = failure_document(FormatUnknown("no valid frame"))
    assert (document["ok"], document["error"], document["records"]) == (False, "no valid frame", [])
    assert failure_document(ApplicationError(8, "busy"))["application_error"] == 8
