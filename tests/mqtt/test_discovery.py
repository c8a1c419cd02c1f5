"""The documents that Home Assistant is told."""
from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import pytest

from mbusgw.config.models import HomeAssistantConfig, MqttConfig
from mbusgw.model.device import DeviceState
from mbusgw.model.fields import name_fields
from mbusgw.model.meter import MeterIdentity
from mbusgw.model.quantity import QUANTITIES
from mbusgw.model.reading import Lane
from mbusgw.model.reception import Reception
from mbusgw.model.record import Function, Record
from mbusgw.model.wishes import MeterWishes, RecordWish, RecordWishes
from mbusgw.mqtt.discovery import Discovery
from mbusgw.mqtt.topics import Topics
from mbusgw.runtime import exactjson
from tests.fakes.clock import START
from tests.fakes.telegrams import reading

TOPICS = Topics(MqttConfig(), HomeAssistantConfig())
RECORDS = (
    Record(QUANTITIES["energy"], "Wh", Decimal("1234000"), dib=b"\x04", vib=b"\x06"),
    Record(QUANTITIES["power"], "W", Decimal("250"), dib=b"\x02", vib=b"\x2b"),
    Record(QUANTITIES["power"], "W", Decimal("950"), Function.MAXIMUM, dib=b"\x12", vib=b"\x2b"),
    Record(QUANTITIES["energy"], "Wh", Decimal("1000000"), storage=1, dib=b"\x44", vib=b"\x06"),
    Record(QUANTITIES["firmware_version"], "", 12, dib=b"\x01", vib=b"\xfd\x0e"),
)


def meter(**changes: Any) -> DeviceState:
    state = DeviceState(
        "meter_1",
        "Strom Keller",
        version=1,
        online=True,
        read_at=datetime(2026, 1, 31, tzinfo=timezone.utc),
        meter=MeterIdentity("12345678", "ELS", 51, 2),
        fields=MappingProxyType(name_fields(RECORDS)),
    )
    return replace(state, **changes)


def discovery(language: str = "en", expire_after_s: float = 300) -> Discovery:
    return Discovery(TOPICS, gateway_id="mbusgw", language=language, expire_after_s=expire_after_s)


def document(state: DeviceState, language: str = "en", **options: Any) -> dict[str, Any]:
    announcement = discovery(language).meter(state, **options)
    assert announcement is not None
    parsed = json.loads(announcement.payload)
    assert isinstance(parsed, dict)
    return parsed


def test_the_topic_is_one_that_home_assistant_reads() -> None:
    announcement = discovery().meter(meter())
    assert announcement is not None
    assert re.fullmatch(r"homeassistant/device/[A-Za-z0-9_-]+/config", announcement.topic)


def test_the_root_has_what_home_assistant_refuses_a_document_without() -> None:
    root = document(meter())
    assert root["device"]["identifiers"] and root["origin"]["name"] == "mbusgw"
    for component in root["components"].values():
        assert component["platform"] in ("sensor", "binary_sensor")
        assert component["unique_id"]
        assert component["state_topic"]


def test_availability_is_that_of_gateway_and_device() -> None:
    root = document(meter())
    assert root["availability"] == [{"topic": "mbus/bridge/state"}, {"topic": "mbus/meter_1/availability"}]
    assert root["availability_mode"] == "all"


def test_german_entity_ids_are_those_of_the_promise() -> None:
    components = document(meter(), "de")["components"]
    assert components["energy"]["default_entity_id"] == "sensor.mbus_meter_1_energie_bezug"
    assert components["power"]["default_entity_id"] == "sensor.mbus_meter_1_wirkleistung"
    assert components["status"]["default_entity_id"] == "binary_sensor.mbus_meter_1_status"


def test_every_home_assistant_is_told_the_entity_id_in_the_word_it_knows() -> None:
    for root in (document(meter()), json.loads(discovery().gateway().payload)):
        for component in root["components"].values():
            assert component["default_entity_id"] == f"{component['platform']}.{component['object_id']}"


def test_fields_that_would_be_called_alike_get_names_of_their_own() -> None:
    volume, flow = QUANTITIES["volume"], QUANTITIES["flow_temperature"]
    records = (
        Record(QUANTITIES["energy"], "J", Decimal("5E9"), dib=b"\x04", vib=b"\x0e"),
        Record(QUANTITIES["energy"], "Wh", Decimal("1000"), dib=b"\x04", vib=b"\x06"),
        Record(volume, "m³", Decimal("2"), dib=b"\x06", vib=b"\x13", data=b"\x02"),
        Record(volume, "m³", Decimal("1"), dib=b"\x04", vib=b"\x13", data=b"\x01"),
        Record(flow, "°C", Decimal("1"), dib=b"\x04", vib=b"\x5b", data=b"\x01"),
        Record(flow, "°C", Decimal("2"), dib=b"\x04", vib=b"\x5b", data=b"\x02"),
    )
    heat = MeterIdentity("12345678", "ELS", 51, 4)
    components = document(meter(meter=heat, fields=MappingProxyType(name_fields(records))), "de")["components"]
    names = {key: component["name"] for key, component in components.items()}
    assert names["energy"] == "Energie" and names["energy_gj"] == "Energie GJ"
    assert names["volume"] == "Volumen" and names["volume_dib_06"] == "Volumen dib 06"
    assert names["flow_temperature_2"] == "Vorlauftemperatur 2"
    assert len({component["default_entity_id"] for component in components.values()}) == len(components)


def test_a_meter_with_many_records_and_a_name_of_any_letters_is_told_whole() -> None:
    records = [Record(QUANTITIES["energy"], "Wh", Decimal(number), storage=number) for number in range(120)]
    told = document(meter(name="Zähler 🔥 #1/+", fields=MappingProxyType(name_fields(records))))
    assert told["device"]["name"] == "Zähler 🔥 #1/+"
    energies = [one for key, one in told["components"].items() if key.startswith("energy")]
    assert len(energies) == 120
    for key in ("name", "unique_id", "default_entity_id", "state_topic"):
        assert len({one[key] for one in energies}) == 120
    assert not any(set("#+") & set(one["state_topic"]) for one in energies)
    assert [one["name"] for one in energies if one.get("enabled_by_default", True)] == ["Energy import"]


def test_an_empty_message_makes_a_value_unknown() -> None:
    # "None" is Home Assistant's word for unknown; of an empty message a number would keep its old value.
    components = document(meter())["components"]
    assert components["energy"]["value_template"] == "{{ value or None }}"
    # An empty message is no JSON: without the condition Home Assistant logs an error for it.
    assert components["last_reading"]["value_template"].endswith("if value_json is defined else None }}")


@pytest.mark.parametrize(("language", "name"), [("en", "Problem"), ("de", "Störung")])
def test_what_the_meter_says_of_itself_is_a_problem_or_none(language: str, name: str) -> None:
    problem = document(meter(), language)["components"]["problem"]
    assert (problem["platform"], problem["device_class"], problem["name"]) == ("binary_sensor", "problem", name)
    assert problem["state_topic"] == "mbus/meter_1/attributes"
    # Attributes that an older mbusgw has left on the broker know no flags.
    assert "value_json.get('status_flags') is none" in problem["value_template"]


@pytest.mark.parametrize(("language", "model"), [("en", "electricity meter"), ("de", "Stromzähler")])
def test_the_device_speaks_the_language_of_its_entities(language: str, model: str) -> None:
    state = meter(device_id="els_12345678", name="els_12345678")
    device = document(state, language)["device"]
    assert device["model"] == model
    assert device["name"] == f"ELS 12345678 {model}"


def test_unique_ids_do_not_depend_on_order_name_address_or_language() -> None:
    one = document(meter())["components"]
    other = document(
        meter(name="Anders", fields=MappingProxyType(name_fields(tuple(reversed(RECORDS))))), "de"
    )["components"]
    assert {key: part["unique_id"] for key, part in one.items()} == {
        key: part["unique_id"] for key, part in other.items()
    }
    assert len({part["unique_id"] for part in one.values()}) == len(one)


def test_two_meters_of_one_number_and_other_makers_are_two_devices() -> None:
    one = document(meter())
    other = document(meter(meter=MeterIdentity("12345678", "KAM", 51, 2)))
    assert one["device"]["identifiers"] != other["device"]["identifiers"]


@pytest.mark.parametrize(("interval_s", "expected"), [(None, 300), (15.0, 300), (600.0, 1800)])
def test_values_expire_no_sooner_than_three_intervals(interval_s: float | None, expected: int) -> None:
    assert document(meter(), interval_s=interval_s)["components"]["energy"]["expire_after"] == expected


def test_a_meter_that_was_never_read_is_not_announced() -> None:
    assert discovery().meter(DeviceState("meter_9", "Silent")) is None


def test_a_radio_meter_without_a_configured_name_is_called_by_maker_and_number() -> None:
    state = meter(device_id="els_12345678", name="els_12345678")
    assert document(state)["device"]["name"] == "ELS 12345678 electricity meter"


def test_a_meter_without_an_identity_is_told_apart_by_its_configured_id() -> None:
    one, other = (document(meter(device_id=name, meter=None)) for name in ("meter_1", "meter_2"))
    assert one["device"]["identifiers"] != other["device"]["identifiers"]


def test_the_gateway_has_the_entities_of_the_promise() -> None:
    announcement = discovery().gateway()
    components = json.loads(announcement.payload)["components"]
    assert components["status"]["default_entity_id"] == "binary_sensor.mbus_gateway_status"
    assert components["uptime"]["default_entity_id"] == "sensor.mbus_gateway_uptime"


def test_a_meter_hangs_on_its_gateway() -> None:
    gateway = json.loads(discovery().gateway().payload)
    assert document(meter())["device"]["via_device"] in gateway["device"]["identifiers"]


# ------------------------------------------------------------------ radio meters
def radio_state(interval_s: float = 60.0) -> DeviceState:
    state = DeviceState("els_12345678", "els_12345678")
    for number in range(10):
        at = START + timedelta(seconds=number * interval_s)
        heard = (Reception("gw1", -70.0, at),)
        state = state.read(replace(reading("els_12345678", at=at, lane=Lane.WIRELESS, energy=1), receptions=heard))
    return state


@pytest.mark.parametrize("language, name", [("en", "Signal strength"), ("de", "Signalstärke")])
def test_a_radio_meter_has_diagnostics_of_its_reception(language: str, name: str) -> None:
    discovery = Discovery(TOPICS, gateway_id="mbusgw", language=language, expire_after_s=300)
    announcement = discovery.meter(radio_state())
    assert announcement is not None
    components = exactjson.loads(announcement.payload)["components"]
    rssi = components["radio_rssi"]
    assert rssi["name"] == name and rssi["device_class"] == "signal_strength"
    assert rssi["state_topic"] == "mbus/els_12345678/attributes" and "best_rssi_dbm" in rssi["value_template"]
    diagnostics = {key for key, one in components.items() if key.startswith("radio_")}
    assert diagnostics == {"radio_rssi", "radio_best_gateway", "radio_interval", "radio_completeness"}
    assert all(components[key]["entity_category"] == "diagnostic" for key in diagnostics)
    assert len({one["unique_id"] for one in components.values()}) == len(components)


def test_values_of_a_meter_that_sends_seldom_do_not_expire_between_two_telegrams() -> None:
    discovery = Discovery(TOPICS, gateway_id="mbusgw", language="en", expire_after_s=300)
    assert discovery.expire_after_s(radio_state(16)) == 300
    hourly_s = discovery.expire_after_s(radio_state(3600))
    assert hourly_s >= 3 * 3600
    assert discovery.expire_after_s(radio_state(3700)) == hourly_s, "in steps: what is learned announces nothing anew"


@pytest.mark.parametrize(
    ("language", "name", "words"),
    [
        ("en", "Polling", ["normal", "trying again", "suspended", "paused"]),
        ("de", "Abfrage", ["normal", "neuer Versuch", "ausgesetzt", "angehalten"]),
    ],
)
def test_a_wired_meter_shows_whether_it_is_asked_even_while_it_is_silent(
    language: str, name: str, words: list[str]
) -> None:
    polling = document(meter(), language)["components"]["polling"]
    assert (polling["name"], polling["device_class"], polling["options"]) == (name, "enum", words)
    assert polling["entity_category"] == "diagnostic"
    assert polling["availability"] == [{"topic": "mbus/bridge/state"}]
    assert all(f"'{breaker}': '{word}'" in polling["value_template"] for breaker, word in
               zip(("closed", "half_open", "open", "paused"), words))
    assert "value_json.breaker or 'closed'" in polling["value_template"], "not unknown after a start"
    assert "polling" not in document(meter(lane=Lane.WIRELESS), language)["components"]


def wanted(**of: RecordWish) -> DeviceState:
    return meter().wanted(MeterWishes("Cellar", RecordWishes(tuple(of.items()))))


def test_entities_are_called_and_classed_as_wanted_and_keep_their_ids() -> None:
    before = document(meter())["components"]
    after = document(
        wanted(
            energy=RecordWish(name="Heat \"total\" ☀", unit="MWh"),
            power=RecordWish(device_class="", state_class=""),
            power_max=RecordWish(enabled=True),
            energy_storage_1=RecordWish(hidden=True),
            firmware_version=RecordWish(device_class="water", unit="m³"),
        )
    )
    components = after["components"]
    assert after["device"]["suggested_area"] == "Cellar"
    assert before.keys() - components.keys() == {"energy_storage_1"}
    for kind in ("unique_id", "object_id", "default_entity_id"):
        assert all(components[key][kind] == before[key][kind] for key in components)
    assert components["energy"]["name"] == 'Heat "total" ☀'
    assert (components["energy"]["unit_of_measurement"], components["energy"]["device_class"]) == ("MWh", "energy")
    assert not components["power"].keys() & {"device_class", "state_class"}
    assert "enabled_by_default" not in components["power_max"]
    water = components["firmware_version"]
    assert (water["device_class"], water["state_class"]) == ("water", "total_increasing")
    assert not water.keys() & {"entity_category", "enabled_by_default"}


def test_a_class_of_a_newer_home_assistant_is_sent_when_somebody_asks_for_it() -> None:
    records = (
        Record(QUANTITIES["temperature_difference"], "K", Decimal("21.5"), dib=b"\x02", vib=b"\x62"),
        Record(QUANTITIES["reactive_energy"], "varh", Decimal("5000"), dib=b"\x04", vib=b"\xfb\x82\x75"),
    )
    state = meter(fields=MappingProxyType(name_fields(records)))
    assert all("device_class" not in document(state)["components"][field] for field in state.fields)
    asked = RecordWishes(
        (
            ("temperature_difference", RecordWish(device_class="temperature_delta")),
            ("reactive_energy", RecordWish(device_class="reactive_energy")),
        )
    )
    components = document(state.wanted(MeterWishes(None, asked)))["components"]
    delta, reactive = components["temperature_difference"], components["reactive_energy"]
    assert (delta["device_class"], delta["unit_of_measurement"]) == ("temperature_delta", "K")
    assert (reactive["device_class"], reactive["state_class"]) == ("reactive_energy", "total_increasing")


def test_a_class_that_does_not_go_with_the_unit_of_the_meter_is_left_out() -> None:
    component = document(wanted(power=RecordWish(device_class="energy")))["components"]["power"]
    assert "device_class" not in component
