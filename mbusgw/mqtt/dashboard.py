"""A view for Home Assistant's dashboards, made of its stock cards, for the meters that were announced to it.

It is built from the discovery documents themselves, so that every entity in it is one that Home Assistant was told of,
under the id that it was told. https://www.home-assistant.io/dashboards/sections/
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Card = dict[str, Any]

_WORDS = {
    "en": {"view": "Meters", "per_day": "Consumption per day", "course": "Last 24 hours", "more": "Further values",
           "inside": "Diagnostics and settings"},
    "de": {"view": "Zähler", "per_day": "Verbrauch je Tag", "course": "Letzte 24 Stunden", "more": "Weitere Werte",
           "inside": "Diagnose und Einstellungen"},
}  # fmt: skip
#: The counter that a meter is there for comes first; "" is one without class, as of a heat cost allocator.
_COUNTERS = ("energy", "water", "gas", "", "volume")
_GAUGES = ("power", "volume_flow_rate", "temperature")
_ICONS = {
    "energy": "mdi:lightning-bolt", "water": "mdi:water", "gas": "mdi:meter-gas", "": "mdi:radiator",
    "volume": "mdi:gauge",
}  # fmt: skip
_WARM, _ICON = "mdi:radiator", "mdi:gauge"
_TILES = 4
_DAYS, _HOURS = 30, 24
_COLUMNS = 4


@dataclass(frozen=True, slots=True)
class _Entity:
    """One announced entity that is shown by default. **immutable**"""

    key: str
    entity_id: str
    name: str
    device_class: str
    state_class: str
    category: str

    @property
    def is_counter(self) -> bool:
        return self.state_class == "total_increasing"

    def row(self) -> Card:
        """As a line of a card."""
        return {"entity": self.entity_id, "name": self.name}


def build_view(documents: Iterable[Mapping[str, Any]], language: str) -> dict[str, Any]:
    """The view for discovery ``documents``, the meters by name, the gateway last. **any thread**

    ``language`` (en, de) is that of the headings; meters and values have the names that were announced.
    """
    words = _WORDS[language]
    ordered = sorted(documents, key=lambda one: ("via_device" not in one["device"], one["device"]["name"].casefold()))
    sections = [_section(document, words) for document in ordered]
    return {
        "title": words["view"],
        "path": "mbusgw",
        "icon": "mdi:meter-electric-outline",
        "type": "sections",
        "max_columns": _COLUMNS,
        "sections": sections,
    }


def _section(document: Mapping[str, Any], words: Mapping[str, str]) -> Card:
    entities = _entities(document["components"])
    main = [one for one in entities if not one.category]
    counters = _chief_counters(main)
    gauges = [one for name in _GAUGES for one in main if one.device_class == name and not one.is_counter]
    tiles = (counters + gauges)[:_TILES]
    cards = [_heading(document["device"]["name"], _icon(counters, gauges), entities)]
    cards += [{"type": "tile", **one.row()} for one in tiles]
    if counters:
        cards.append(_per_day(main, counters[0], words["per_day"]))
    if gauges:
        rows = [one.row() for one in gauges]
        cards.append({"type": "history-graph", "title": words["course"], "hours_to_show": _HOURS, "entities": rows})
    cards += _list(words["more"], [one for one in main if one not in tiles])
    # What is commanded is alone with what is diagnosed, so that nobody presses it by mistake.
    cards += _list(words["inside"], [one for one in entities if one.category])
    return {"type": "grid", "cards": cards}


def _entities(components: Mapping[str, Mapping[str, Any]]) -> list[_Entity]:
    return [
        _Entity(
            key,
            one["default_entity_id"],
            one["name"],
            one.get("device_class", ""),
            one.get("state_class", ""),
            one.get("entity_category", ""),
        )
        for key, one in components.items()
        # One that leaves has only its platform.
        if "default_entity_id" in one and one.get("enabled_by_default", True)
    ]


def _chief_counters(main: Sequence[_Entity]) -> list[_Entity]:
    """Of each class the one with the shortest name: not those of a tariff or backward."""
    chiefs = []
    for device_class in _COUNTERS:
        counters = [one for one in main if one.is_counter and one.device_class == device_class]
        chiefs += sorted(counters, key=lambda one: len(one.key))[:1]
    return chiefs


def _heading(name: str, icon: str, entities: Sequence[_Entity]) -> Card:
    badges = [{"type": "entity", "entity": one.entity_id} for one in entities if one.key == "status"]
    return {"type": "heading", "heading": name, "icon": icon, "badges": badges}


def _icon(counters: Sequence[_Entity], gauges: Sequence[_Entity]) -> str:
    if not counters:
        return _ICON
    warm = any(one.device_class == "temperature" for one in gauges) or counters[-1].device_class == "volume"
    return _WARM if counters[0].device_class == "energy" and warm else _ICONS[counters[0].device_class]


def _per_day(main: Sequence[_Entity], chief: _Entity, title: str) -> Card:
    """What goes the other way is beside it: what was fed in, what flowed back."""
    shown = [chief, *(one for one in main if one.key == f"{chief.key}_backward" and one.is_counter)]
    return {
        "type": "statistics-graph",
        "title": title,
        "chart_type": "bar",
        "period": "day",
        "days_to_show": _DAYS,
        "stat_types": ["change"],
        "entities": [one.row() for one in shown],
    }


def _list(title: str, entities: Sequence[_Entity]) -> list[Card]:
    if not entities:
        return []
    rows = [one.row() for one in entities]
    return [{"type": "entities", "title": title, "show_header_toggle": False, "entities": rows}]
