"""What Home Assistant is told about the way of a radio meter's telegrams: diagnostic entities."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mbusgw.model.reception import RadioLink

#: Entity → English and German name, whether it is shown at first, where its value is in the attributes, the rest.
_ENTITIES: Mapping[str, tuple[tuple[str, str], bool, str, Mapping[str, Any]]] = {
    "rssi": (
        ("Signal strength", "Signalstärke"),
        True,
        "radio.best_rssi_dbm",
        {"device_class": "signal_strength", "state_class": "measurement", "unit_of_measurement": "dBm"},
    ),
    "best_gateway": (("Best gateway", "Bestes Gateway"), False, "radio.best_gateway", {"icon": "mdi:router-wireless"}),
    "interval": (
        ("Sending interval", "Sendeintervall"),
        False,
        "radio.interval_s",
        {
            "device_class": "duration",
            "state_class": "measurement",
            "unit_of_measurement": "s",
            "suggested_display_precision": 0,
        },
    ),
    "completeness": (
        ("Telegrams heard", "Empfangsquote"),
        False,
        "radio.completeness_percent",
        {"state_class": "measurement", "unit_of_measurement": "%", "icon": "mdi:percent"},
    ),
}
#: The pause after which values expire is told in steps, so that what is learned does not announce a meter anew
#: with every telegram.
_STEP = 2.0


def radio_entities(language: str) -> list[tuple[str, str, dict[str, Any]]]:
    """(key, name, component) of each; topic and ids are the announcer's. **any thread**"""
    entities = []
    for key, (names, enabled, place, rest) in _ENTITIES.items():
        component: dict[str, Any] = {
            "platform": "sensor",
            "entity_category": "diagnostic",
            # Not known yet is told as None; of an empty message (the device is forgotten) there is no value_json.
            "value_template": "{{ value_json." + place + " if value_json is defined else None }}",
            **rest,
        }
        if not enabled:
            component["enabled_by_default"] = False
        entities.append((key, names[language == "de"], component))
    return entities


def expiry_s(link: RadioLink, first_s: float) -> float:
    """How long its values are shown without news: what the meter may be silent for, in steps from ``first_s`` on."""
    silence_s = link.silence_s(3)
    while silence_s is not None and first_s < silence_s:
        first_s *= _STEP
    return first_s
