"""Found meters become devices of the configuration."""
from __future__ import annotations

from datetime import datetime, timezone

from mbusgw.config.adoption import device_entries
from mbusgw.config.models import BusConfig
from mbusgw.model.address import SecondaryAddress
from mbusgw.model.found import FoundMeter
from mbusgw.model.meter import MeterIdentity

BUS = BusConfig(name="main", port="/dev/ttyUSB0")
HEAT = MeterIdentity("12345678", "KAM", 8, 4)
COLD = MeterIdentity("12345678", "KAM", 8, 10)


def found(
    identity: MeterIdentity | None = HEAT, primary: int | None = 5, *, selectable: bool = True, note: str = ""
) -> FoundMeter:
    secondary = SecondaryAddress.of(identity) if identity is not None and selectable else None
    return FoundMeter("main", identity, primary, secondary, 2400, datetime.now(timezone.utc), None, note)


def test_a_meter_is_called_by_its_primary_address() -> None:
    assert device_entries([found()], BUS, []) == [{"id": "kam_12345678", "bus": "main", "address": 5}]


def test_one_without_an_address_of_its_own_is_called_by_its_secondary_one() -> None:
    for meter in (found(primary=0), found(primary=None), found(note="shares primary address 5 with efe_1")):
        [entry] = device_entries([meter], BUS, [])
        assert entry["address"] == "123456782D2C0804"


def test_meters_with_one_number_get_names_and_addresses_of_their_own() -> None:
    first, second = device_entries([found(), found(COLD)], BUS, ["kam_12345678"])
    assert (first["id"], second["id"]) == ("kam_12345678_2", "kam_12345678_3")
    assert first["address"] != second["address"], "they share primary address 5"


def test_a_speed_and_a_name_are_written_where_they_tell_something() -> None:
    meter = FoundMeter("main", HEAT, 5, None, 300, datetime.now(timezone.utc), "Multical 601")
    [entry] = device_entries([meter], BUS, [])
    assert (entry["name"], entry["baudrate"]) == ("Multical 601", 300)


def test_what_cannot_be_called_is_left_out() -> None:
    assert device_entries([found(None), found(primary=None, selectable=False)], BUS, []) == []
