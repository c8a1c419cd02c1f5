"""The view for Home Assistant: its own cards only, and no entity that was not announced."""
from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from mbusgw.config.writing import as_yaml
from mbusgw.mbus.decode import decode_frame
from mbusgw.mbus.frames import FCB, REQ_UD2, ShortFrame
from mbusgw.model.device import DeviceState
from mbusgw.model.fields import name_fields
from mbusgw.model.settings import MeterSettings
from mbusgw.mqtt.dashboard import build_view
from mbusgw.mqtt.discovery import Discovery
from mbusgw.runtime.clock import SystemClock
from mbusgw.simulator.catalogue import ALL_KINDS, KINDS, USUAL_TELEGRAMS, build_meter
from tests.mqtt.house import TOPICS
from tests.mqtt.test_controls import Now

LIVE = Now({f"meter_{kind}": MeterSettings(60.0, False, True) for kind in ALL_KINDS})
EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "homeassistant" / "example.yaml"

#: https://www.home-assistant.io/dashboards/cards/
STOCK = {"grid", "heading", "tile", "statistics-graph", "history-graph", "entities", "entity"}


def discovery(language: str) -> Discovery:
    return Discovery(
        TOPICS, gateway_id="mbusgw", language=language, expire_after_s=300, live=LIVE, commands=True
    )


def announced(kind: str, language: str = "en", **changes: Any) -> dict[str, Any]:
    """What Home Assistant is told of a simulated meter."""
    simulated = build_meter(kind, 1, clock=SystemClock(), telegrams=USUAL_TELEGRAMS.get(kind, 1))
    reply = simulated.answer(ShortFrame(REQ_UD2 | FCB, 1))
    assert reply is not None
    decoded = decode_frame(reply.data)
    state = DeviceState(
        f"meter_{kind}",
        kind,
        version=1,
        online=True,
        read_at=datetime(2026, 1, 31, tzinfo=timezone.utc),
        meter=decoded.header.meter,
        fields=MappingProxyType(name_fields(decoded.records)),
    )
    announcement = discovery(language).meter(replace(state, **changes))
    assert announcement is not None
    return dict(json.loads(announcement.payload))


def gateway(language: str = "en") -> dict[str, Any]:
    return dict(json.loads(discovery(language).gateway().payload))


def parts(node: Any) -> Iterator[dict[str, Any]]:
    """Every mapping below, itself included."""
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from parts(value)
    elif isinstance(node, list):
        for value in node:
            yield from parts(value)


def entities(node: Any) -> set[str]:
    return {part["entity"] for part in parts(node) if isinstance(part.get("entity"), str)}


def cards(view: dict[str, Any], heading: str, kind: str) -> list[dict[str, Any]]:
    """The cards of one kind in the section with that heading."""
    section = next(one for one in view["sections"] if one["cards"][0]["heading"] == heading)
    return [card for card in section["cards"] if card["type"] == kind]


@pytest.mark.parametrize("language", ["en", "de"])
def test_a_view_of_every_kind_of_meter_has_stock_cards_and_announced_entities_only(language: str) -> None:
    documents = [gateway(language), *(announced(kind, language) for kind in ALL_KINDS)]
    view = build_view(documents, language)
    shown = {
        component["default_entity_id"]
        for document in documents
        for component in document["components"].values()
        if component.get("enabled_by_default", True)
    }
    assert entities(view) == shown
    assert {part["type"] for part in parts(view["sections"]) if "type" in part} == STOCK
    assert (view["type"], len(view["sections"])) == ("sections", len(documents))
    assert view["title"] == {"en": "Meters", "de": "Zähler"}[language]


def test_meters_come_by_name_and_the_gateway_last() -> None:
    view = build_view([gateway(), announced("water"), announced("gas", name="Zz"), announced("heat", name="aa")], "en")
    headings = [section["cards"][0]["heading"] for section in view["sections"]]
    assert headings == ["aa", "water", "Zz", "M-Bus gateway"]


@pytest.mark.parametrize(
    ("kind", "chief", "icon"),
    [
        ("heat", "energy", "mdi:radiator"),
        ("electricity", "energy_import", "mdi:lightning-bolt"),
        ("water", "water", "mdi:water"),
        ("gas", "gas", "mdi:meter-gas"),
        ("heat_cost_allocator", "consumption_units", "mdi:radiator"),
    ],
)
def test_the_counter_that_a_meter_is_there_for_comes_first_and_is_drawn_per_day(
    kind: str, chief: str, icon: str
) -> None:
    view = build_view([announced(kind)], "en")
    assert cards(view, kind, "tile")[0]["entity"] == f"sensor.mbus_meter_{kind}_{chief}"
    (drawn,) = cards(view, kind, "statistics-graph")
    assert (drawn["period"], drawn["stat_types"]) == ("day", ["change"])
    assert drawn["entities"][0]["entity"] == f"sensor.mbus_meter_{kind}_{chief}"
    assert cards(view, kind, "heading")[0]["icon"] == icon


def test_what_flows_back_is_drawn_beside_what_flows_in() -> None:
    (drawn,) = cards(build_view([announced("water")], "en"), "water", "statistics-graph")
    assert [row["name"] for row in drawn["entities"]] == ["Water", "Water backward"]


def test_a_meter_with_nothing_but_texts_has_a_list_of_them() -> None:
    document = announced("speaking", fields=MappingProxyType({}))
    view = build_view([document], "en")
    assert [card["type"] for card in view["sections"][0]["cards"]] == ["heading", "entities"]


def test_what_is_leaving_is_not_shown() -> None:
    document = announced("water")
    document["components"]["volume"] = {"platform": "sensor"}
    assert "sensor.mbus_meter_water_water" not in entities(build_view([document], "en"))


def example() -> str:
    """The view of the documentation; ``python -m tests.mqtt.test_dashboard > docs/homeassistant/example.yaml``."""
    names = ("Heat, boiler room", "Water, ground floor", "Electricity, main", "Gas, main", "Radiator, living room")
    meters = [announced(kind, name=name) for kind, name in zip(KINDS, names, strict=True)]
    return as_yaml(build_view([gateway(), *meters], "en"))


def test_the_example_of_the_documentation_is_what_would_be_written_today() -> None:
    assert EXAMPLE.read_text(encoding="utf-8") == example()


if __name__ == "__main__":
    print(example(), end="")
