"""Found meters become configured ones."""
from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from mbusgw.config.loader import load
from mbusgw.config.models import BusConfig
from mbusgw.model.address import SecondaryAddress
from mbusgw.model.errors import RequestError
from mbusgw.model.found import FoundMeter
from mbusgw.model.meter import MeterIdentity
from mbusgw.runtime import exactjson
from mbusgw.wired.adopt import adopt

TEXT = """\
buses:
  - {name: main, port: /dev/x}
devices:
  - id: known   # by its address
    bus: main
    address: 1
"""


def find(number: int, primary: int | None, **changes: Any) -> FoundMeter:
    identity = MeterIdentity(f"{number:08d}", "PAD", 1, 7)
    found = FoundMeter(
        "main", identity, primary, SecondaryAddress.of(identity), 2400, datetime(2026, 5, 1, tzinfo=timezone.utc)
    )
    return replace(found, **changes)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mbusgw.yaml"
    path.write_text(TEXT)
    return path


def adopted(file: Path, *found: FoundMeter, wanted: list[str] | None = None, bus: str | None = None) -> dict[str, Any]:
    return dict(adopt(file, {}, found, wanted=wanted, bus=bus))


def test_a_meter_with_an_address_of_its_own_is_read_there_and_nobody_else_is_believed(file: Path) -> None:
    document = adopted(file, find(12345678, 5))
    assert document["added"] == [{"id": "pad_12345678", "bus": "main", "address": 5, "meter": "1234567824400107"}]
    device = load(file, {}).devices[1]
    assert (device.id, device.address, str(device.meter)) == ("pad_12345678", 5, "1234567824400107")
    assert "# by its address" in file.read_text()


@pytest.mark.parametrize("primary", [None, 0, 254])
def test_without_a_primary_address_it_is_called_by_its_secondary_one(file: Path, primary: int | None) -> None:
    assert adopted(file, find(12345678, primary))["added"][0]["address"] == "1234567824400107"
    assert str(load(file, {}).devices[1].address) == "1234567824400107"


def test_of_two_that_share_a_primary_address_each_is_called_by_its_secondary_one(file: Path) -> None:
    document = adopted(file, find(1, 7), find(2, 7), find(3, 8))
    assert [entry["address"] for entry in document["added"]] == ["0000000124400107", "0000000224400107", 8]
    assert len(load(file, {}).devices) == 4


def test_a_primary_address_of_another_configured_meter_is_left_to_that_one(file: Path) -> None:
    file.write_text(TEXT + '    meter: "0000000924400107"\n')
    document = adopted(file, find(9, 1), find(1, 1))
    assert document["already"] == {"pad_00000009": "known"}
    assert [entry["address"] for entry in document["added"]] == ["0000000124400107"]


def test_what_is_configured_already_is_not_added_again(file: Path) -> None:
    adopted(file, find(5, 5))
    before = file.read_text()
    document = adopted(file, find(5, 5), find(1, 1))
    assert document["already"] == {"pad_00000005": "pad_00000005", "pad_00000001": "known"}
    assert document["added"] == [] and document["refused"] == {}
    assert file.read_text() == before


def test_every_device_has_an_id_of_its_own(file: Path) -> None:
    other = replace(find(5, 6), identity=MeterIdentity("00000005", "PAD", 2, 7), secondary=None)
    document = adopted(file, find(5, 5), other)
    assert [entry["id"] for entry in document["added"]] == ["pad_00000005", "pad_00000005_2"]
    assert [device.id for device in load(file, {}).devices] == ["known", "pad_00000005", "pad_00000005_2"]


def test_product_and_speed_of_their_own_are_written_down(file: Path) -> None:
    entry = adopted(file, find(5, 5, product="Sharky: 775", baudrate=300))["added"][0]
    assert entry["name"] == "Sharky: 775 00000005" and entry["baudrate"] == 300
    device = load(file, {}).devices[1]
    assert (device.name, device.baudrate) == ("Sharky: 775 00000005", 300)


def test_only_those_that_are_wanted_are_added(file: Path) -> None:
    found = [find(5, 5), find(6, 6), find(7, 7)]
    document = adopted(file, *found, wanted=["pad_00000006", "0000000724400107"])
    assert [entry["id"] for entry in document["added"]] == ["pad_00000006", "pad_00000007"]


def test_with_names_that_nobody_has_found_nothing_is_done_and_all_of_them_are_told(file: Path) -> None:
    found = [find(5, 5), find(6, 6)]
    told = "no scan has found els_1, els_2, so nothing was adopted; found: pad_00000005, pad_00000006"
    with pytest.raises(RequestError, match=told) as refused:
        adopted(file, *found, wanted=["ELS_2", "pad_00000005", "els_1"])
    assert (refused.value.status, refused.value.code) == (404, "unknown_meter")
    assert file.read_text() == TEXT


def test_only_those_of_a_bus_that_there_is_are_added(file: Path) -> None:
    found = [find(5, 5), find(6, 6, bus="attic")]
    with pytest.raises(RequestError, match="there is no bus 'cellar'; there are attic, main") as refused:
        adopted(file, *found, bus="cellar")
    assert refused.value.code == "unknown_bus"
    with pytest.raises(RequestError, match="no scan has found pad_00000006 on bus main, so"):
        adopted(file, *found, wanted=["pad_00000006"], bus="main")
    assert [entry["id"] for entry in adopted(file, *found, bus="main")["added"]] == ["pad_00000005"]


def test_what_cannot_be_made_out_is_refused_with_the_reason(file: Path) -> None:
    doubled = find(1, 9, identity=None, secondary=None, note="several meters share this address")
    elsewhere = find(8, 8, bus="attic")
    document = adopted(file, doubled, elsewhere, find(5, 5))
    assert document["refused"] == {
        "main_9": "several meters share this address",
        "pad_00000008": "the configuration has no bus attic",
    }
    assert len(load(file, {}).devices) == 2


def test_a_meter_that_does_not_say_who_it_is_is_taken_by_its_address(file: Path) -> None:
    entry = adopted(file, find(1, 9, identity=None, secondary=None))["added"][0]
    assert entry == {"id": "main_9", "bus": "main", "address": 9}


def test_a_bus_that_is_not_there_yet_comes_with_its_meters(tmp_path: Path) -> None:
    file = tmp_path / "new.yaml"
    bus = BusConfig(name="attic", port="/dev/y", baudrate=9600)
    adopt(file, {}, [find(5, 5, bus="attic", baudrate=9600)], new_bus=bus)
    config = load(file, {})
    assert config.buses == (bus,) and config.devices[0].bus == "attic" and config.devices[0].baudrate is None


@pytest.mark.parametrize("meter", [find(5, 5, product="x", note="y"), find(5, None, identity=None, secondary=None)])
def test_a_find_goes_through_json_and_comes_back_the_same(meter: FoundMeter) -> None:
    assert FoundMeter.from_document(json.loads(exactjson.dumps(meter.document()))) == meter
