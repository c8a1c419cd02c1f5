"""How quantities look in Home Assistant: only pairs it accepts, for every quantity and unit we know."""
from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from mbusgw.mbus.vife_tables import COMBINABLE, COMBINABLE_EXTENSION
from mbusgw.model.classes import SENSOR_CLASSES
from mbusgw.model.meter import MEDIA
from mbusgw.model.quantity import QUANTITIES, Kind
from mbusgw.model.reading import Field
from mbusgw.model.record import Function, Record, Value
from mbusgw.model.units import normalise
from mbusgw.mqtt.quantities import LOOKS, entity_name, look
from mbusgw.mqtt.words import QUALIFIERS, TITLES_DE, device_kind
from mbusgw.registry.counters import is_counter

WATER, HEAT, GAS, ELECTRICITY = 0x07, 0x04, 0x03, 0x02

#: Units as records carry them.
RECORD_UNITS = [
    "", "Wh", "J", "cal", "m³", "ft³", "gal", "kg", "W", "J/h", "m³/h", "m³/min", "m³/s", "gal/min", "kg/h", "°C", "°F",
    "K", "bar", "s", "d", "V", "A", "Hz", "var", "varh", "VA", "VAh", "%", "dBm", "°",
]  # fmt: skip


def field(slug: str, unit: str, value: Value | None = Decimal("1.5"), **meaning: object) -> Field:
    record = Record(QUANTITIES[slug], unit, value, **meaning)  # type: ignore[arg-type]
    shown, shown_unit = normalise(value, unit, QUANTITIES[slug])
    return Field(slug, shown, shown_unit, record)


@pytest.mark.parametrize("medium", [None, WATER, HEAT, GAS, ELECTRICITY, 0x08])
@pytest.mark.parametrize("value", [Decimal("1.5"), "text", None, date(2026, 1, 31)])
def test_every_pair_of_class_and_unit_is_one_that_home_assistant_accepts(
    medium: int | None, value: Value | None
) -> None:
    for slug in QUANTITIES:
        for unit in RECORD_UNITS:
            for function, storage in ((Function.INSTANTANEOUS, 0), (Function.MAXIMUM, 3)):
                one = field(slug, unit, value, function=function, storage=storage)
                shown = look(one, medium)
                if shown.device_class:
                    legal = SENSOR_CLASSES[shown.device_class]
                    assert one.unit in legal.units, (slug, unit)
                    assert shown.state_class is None or shown.state_class in legal.state_classes, (slug, shown)
                if isinstance(value, str):
                    assert shown.state_class is None and shown.device_class is None


@pytest.mark.parametrize(
    ("slug", "unit", "medium", "device_class", "state_class", "shown_unit"),
    [
        ("energy", "Wh", HEAT, "energy", "total_increasing", "kWh"),
        ("energy", "J", HEAT, "energy", "total_increasing", "GJ"),
        ("energy", "Wh", ELECTRICITY, "energy", "total_increasing", "kWh"),
        ("volume", "m³", WATER, "water", "total_increasing", "m³"),
        ("volume", "m³", GAS, "gas", "total_increasing", "m³"),
        ("volume", "m³", HEAT, "volume", "total_increasing", "m³"),
        ("power", "W", HEAT, "power", "measurement", "W"),
        ("volume_flow", "m³/h", WATER, "volume_flow_rate", "measurement", "m³/h"),
        ("flow_temperature", "°C", HEAT, "temperature", "measurement", "°C"),
        ("temperature_difference", "K", HEAT, None, "measurement", "K"),
        ("hca", "", 0x08, None, "total_increasing", ""),
        ("voltage", "V", ELECTRICITY, "voltage", "measurement", "V"),
        ("current", "A", ELECTRICITY, "current", "measurement", "A"),
        ("operating_time", "s", HEAT, "duration", "measurement", "h"),
        ("pressure", "bar", WATER, "pressure", "measurement", "bar"),
    ],
)
def test_the_main_quantities_get_their_class(
    slug: str, unit: str, medium: int, device_class: str | None, state_class: str, shown_unit: str
) -> None:
    one = field(slug, unit)
    shown = look(one, medium)
    assert (shown.device_class, shown.state_class, one.unit) == (device_class, state_class, shown_unit)
    assert shown.enabled or slug == "operating_time"


@pytest.mark.parametrize(
    ("slug", "unit", "medium", "digits"),
    [
        ("volume_flow", "m³/h", WATER, 3),
        ("volume", "m³", WATER, 3),
        ("volume", "m³", GAS, 3),
        ("volume", "m³", HEAT, 3),
        ("energy", "J", HEAT, 3),
        ("pressure", "bar", WATER, 3),
        ("flow_temperature", "°C", HEAT, 1),
        ("remaining_battery", "d", WATER, 0),
    ],
)
def test_what_home_assistant_would_round_is_shown_as_the_meter_tells_it(
    slug: str, unit: str, medium: int, digits: int
) -> None:
    assert look(field(slug, unit), medium).precision == digits


def test_values_of_a_due_date_and_diagnostics_are_off_until_a_person_turns_them_on() -> None:
    assert not look(field("energy", "Wh", storage=1), HEAT).enabled
    assert not look(field("power", "W", function=Function.MAXIMUM), HEAT).enabled
    assert not look(field("fabrication_no", "", 12345678), HEAT).enabled
    assert look(field("energy", "Wh", storage=1), HEAT).state_class == "total"


@pytest.mark.parametrize("qualifier", ["historic", "fixed_date"])
def test_the_second_counter_of_a_fixed_structure_is_a_value_of_a_due_date(qualifier: str) -> None:
    one = field("volume", "m³", qualifiers=(qualifier,))
    shown = look(one, WATER)
    assert (shown.enabled, shown.state_class) == (False, "total")
    assert entity_name(one, shown, "de", WATER) in ("Wasser historisch", "Wasser am Stichtag")


@pytest.mark.parametrize(
    ("language", "medium", "meaning", "name"),
    [
        ("en", HEAT, {}, "Energy"),
        ("de", HEAT, {}, "Energie"),
        ("de", ELECTRICITY, {}, "Energie Bezug"),
        ("en", ELECTRICITY, {"qualifiers": ("backward",)}, "Energy export"),
        ("de", ELECTRICITY, {"qualifiers": ("backward",)}, "Energie Einspeisung"),
        ("de", ELECTRICITY, {"tariff": 2}, "Energie Bezug Tarif 2"),
        ("en", HEAT, {"storage": 1}, "Energy storage 1"),
        ("de", HEAT, {"storage": 1, "function": Function.MAXIMUM}, "Energie Speicher 1 Maximum"),
    ],
)
def test_names_say_what_tells_a_field_from_its_siblings(
    language: str, medium: int, meaning: dict[str, object], name: str
) -> None:
    one = field("energy", "Wh", **meaning)
    assert entity_name(one, look(one, medium), language, medium) == name


@pytest.mark.parametrize(
    ("slug", "unit", "qualifiers", "english", "german"),
    [
        ("voltage", "V", ("l1",), "Voltage L1", "Spannung L1"),
        ("current", "A", ("l3",), "Current L3", "Stromstärke L3"),
        ("volume", "m³", ("per_input_pulse_0",), "Volume per input pulse 0", "Volumen je Eingangsimpuls 0"),
        (
            "datetime", "", ("of_power", "last", "end"),
            "Meter time of power last end", "Zählerzeit (Leistung) zuletzt Ende",
        ),  # fmt: skip
        ("duration", "h", ("of_credit", "first"), "Duration of credit first", "Dauer (Guthaben) erstmals"),
        ("duration", "h", ("of_hca",), "Duration of HCA", "Dauer (Verbrauchseinheiten)"),
        ("voltage", "V", ("manufacturer_02",), "Voltage manufacturer 02", "Spannung Hersteller 02"),
        ("week_number", "", (), "Week number", "Kalenderwoche"),
    ],
)
def test_a_name_is_all_of_one_language(
    slug: str, unit: str, qualifiers: tuple[str, ...], english: str, german: str
) -> None:
    one = field(slug, unit, qualifiers=qualifiers)
    shown = look(one, HEAT)
    assert (entity_name(one, shown, "en", HEAT), entity_name(one, shown, "de", HEAT)) == (english, german)


@pytest.mark.parametrize(
    ("slug", "medium", "english", "german"),
    [
        ("flow_temperature", 0x08, "Radiator temperature", "Heizkörpertemperatur"),
        ("flow_temperature", HEAT, "Flow temperature", "Vorlauftemperatur"),
        ("external_temperature", 0x08, "Room temperature", "Raumtemperatur"),
        ("external_temperature", 0x1B, "Room temperature", "Raumtemperatur"),
        ("external_temperature", GAS, "External temperature", "Außentemperatur"),
    ],
)
def test_a_temperature_is_called_after_what_the_meter_hangs_on(
    slug: str, medium: int, english: str, german: str
) -> None:
    one = field(slug, "°C")
    shown = look(one, medium)
    assert (entity_name(one, shown, "en", medium), entity_name(one, shown, "de", medium)) == (english, german)


def test_a_plain_text_unit_names_the_value() -> None:
    one = field("plain_text", "", text_unit="CO2 ")
    assert entity_name(one, look(one, HEAT), "de", HEAT) == "CO2"


def test_every_quantity_has_a_german_name() -> None:
    assert set(QUANTITIES) == set(LOOKS) | set(TITLES_DE)


def test_every_word_that_a_vife_adds_is_known() -> None:
    words = {word for vife in COMBINABLE.values() for word in vife.qualifiers} | set(COMBINABLE_EXTENSION.values())
    assert words <= set(QUALIFIERS)


@pytest.mark.parametrize("medium", [*MEDIA, 0x7F])
def test_every_medium_makes_a_device_with_a_name(medium: int) -> None:
    english, german = device_kind(medium, "en"), device_kind(medium, "de")
    assert english and german and english != german
    assert not english.endswith("meter meter")


def test_what_is_told_per_something_is_no_counter() -> None:
    one = field("volume", "m³", qualifiers=("per_input_pulse_0",))
    assert look(one, WATER).state_class == "measurement"


def test_a_balance_may_go_down() -> None:
    assert look(field("energy", "Wh", qualifiers=("delta_import_export",)), ELECTRICITY).state_class == "total"
    assert look(field("exceed_count", "", qualifiers=("limit_upper",)), WATER).state_class == "total_increasing"


def test_every_look_belongs_to_a_quantity() -> None:
    assert set(LOOKS) <= set(QUANTITIES)


def test_counters_grow_and_gauges_measure() -> None:
    for slug, quantity in QUANTITIES.items():
        shown = look(field(slug, ""), None)
        if quantity.kind is Kind.GAUGE:
            assert shown.state_class == "measurement", slug


@pytest.mark.parametrize("slug", list(QUANTITIES))
def test_what_home_assistant_counts_is_what_is_guarded(slug: str) -> None:
    for meaning in (
        {}, {"storage": 1}, {"function": Function.MAXIMUM}, {"tariff": 2}, {"qualifiers": ("backward",)},
        {"qualifiers": ("per_hour",)}, {"qualifiers": ("profile_1",)}, {"qualifiers": ("limit_upper",)},
        {"qualifiers": ("delta_import_export",)},
    ):  # fmt: skip
        one = field(slug, "", **meaning)
        assert (look(one, None).state_class == "total_increasing") == is_counter(one), meaning
