"""What radio meters are called, and which are shown."""
from __future__ import annotations

from mbusgw.model.guests import Guest, GuestList

WATER = Guest("els_12345678", "water", "Water kitchen")
NEIGHBOUR = Guest("tch_87654321", "neighbour", "neighbour", hidden=True)


def test_a_listed_meter_has_its_id_and_name_and_others_their_own() -> None:
    guests = GuestList([WATER, NEIGHBOUR])
    assert (guests.device_id("els_12345678"), guests.name("water")) == ("water", "Water kitchen")
    assert (guests.device_id("kam_1"), guests.name("kam_1")) == ("kam_1", "kam_1")
    assert guests.hides("neighbour") and not guests.hides("water") and not guests.hides("kam_1")


def test_where_only_listed_ones_are_shown_the_others_are_hidden() -> None:
    guests = GuestList([WATER, NEIGHBOUR], listed_only=True)
    assert guests.hides("kam_1") and not guests.hides("water") and guests.hides("neighbour")


def test_a_meter_may_be_heard_by_everybody_unless_gateways_are_named() -> None:
    guests = GuestList([WATER, Guest("kam_1", "heat", "Heat", gateways=frozenset({"gw1"}))])
    assert guests.gateways("kam_1") == {"gw1"}
    assert guests.gateways("els_12345678") is None and guests.gateways("abb_1") is None
