"""The webhook's JSON."""
from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from mbusgw.config.loader import loads
from mbusgw.outputs.kinds import build_output
from mbusgw.runtime import exactjson
from mbusgw.runtime.http import Request
from mbusgw.store.readings import KeptReading
from tests.outputs.kept import kept

HOOK = "outputs: [{type: webhook, url: 'https://example.org/hook/?id=1'%s}]"


def request(one: KeptReading, keys: str = "") -> Request:
    (config,) = loads(HOOK % keys, {}).outputs
    found = build_output(config, "cellar").request([one])
    assert found is not None and found.body is not None
    return found


def test_a_reading_is_one_object_with_exact_numbers() -> None:
    asked = request(replace(kept(4711, energy=Decimal("48211.40"), error_flags=0, unit="kWh"), status=0x24))
    assert asked.url == "https://example.org/hook/?id=1" and asked.content_type == "application/json"
    assert asked.body is not None and b'"value":48211.40' in asked.body
    assert exactjson.loads(asked.body) == {
        "schema": "mbusgw.reading.v1",
        "gateway": "cellar",
        "reading": 4711,
        "device": "meter_1",
        "read_at": "2026-03-01T12:00:00.000Z",
        "lane": "wired",
        "meter": {"id": "12345678", "manufacturer": "ELS", "version": 51, "medium": 6, "medium_name": "warm water"},
        "ingest_id": None,
        "gateway_id": None,
        "rssi_dbm": None,
        "status": 0x24,
        "status_flags": ["power_low"],
        "values": {"energy": {"value": Decimal("48211.40"), "unit": "kWh"}, "error_flags": {"value": 0, "unit": "kWh"}},
        "quarantined": None,
    }


def test_values_in_quarantine_are_named() -> None:
    for held in ((), ("energy",)):
        document = exactjson.loads(request(replace(kept(energy=1, volume=2), quarantined=held)).body or b"")
        assert document["quarantined"] == list(held) and document["values"].keys() == {"energy", "volume"}


def test_a_radio_reading_says_how_it_came() -> None:
    one = replace(kept(volume=1, meter=None), ingest_id="i-1", gateway_id="gw1", rssi_dbm=-70.0)
    document = exactjson.loads(request(one).body or b"")
    assert document["lane"] == "wireless" and document["meter"] is None
    assert (document["ingest_id"], document["gateway_id"], document["rssi_dbm"]) == ("i-1", "gw1", -70)


def test_token_and_headers_are_sent_and_not_shown() -> None:
    asked = request(kept(energy=1), ", token: bearer-secret, headers: {X-Api-Key: header-secret}")
    assert asked.authorization == "Bearer bearer-secret" and asked.headers == {"X-Api-Key": "header-secret"}
    assert "secret" not in repr(asked)
    assert request(kept(energy=1)).authorization is None
