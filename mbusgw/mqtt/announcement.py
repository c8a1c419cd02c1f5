"""A discovery document on its way: kept to Home Assistant's rules, and written."""
from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mbusgw import __version__
from mbusgw.mqtt.rules import obey
from mbusgw.runtime import exactjson

log = logging.getLogger(__name__)

ORIGIN = {"name": "mbusgw", "sw_version": __version__}
#: So many broken rules are remembered, so that each is told once.
_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Announcement:
    """A discovery document and where it goes. **immutable**"""

    topic: str
    device_id: str
    payload: str


class Scribe:
    """Writes documents; what Home Assistant would refuse is left out, and logged once. **own thread**"""

    def __init__(self) -> None:
        self._told: set[tuple[str, str]] = set()

    def write(self, topic: str, device_id: str, document: Mapping[str, Any]) -> Announcement:
        """The announcement of ``document``, which lacks only its origin."""
        components, broken = obey(document["components"])
        for what in broken:
            self._tell(device_id or "the gateway", what)
        whole = {**document, "origin": ORIGIN, "components": components}
        return Announcement(topic, device_id, exactjson.dumps(whole))

    def _tell(self, whose: str, what: str) -> None:
        if (whose, what) in self._told or len(self._told) >= _REMEMBERED:
            return
        self._told.add((whose, what))
        log.warning("for Home Assistant: %s: %s", whose, what)


def entity_id(platform: str, name: str) -> dict[str, str]:
    """The wished entity id. Home Assistant before 2025.10 only knows the second key, from 2026.4 on only the first."""
    return {"default_entity_id": f"{platform}.{name}", "object_id": name}


def entity(unique_id: str, name_slug: str, name: str, component: Mapping[str, Any]) -> dict[str, Any]:
    """``component`` with what every entity has; ``name_slug`` is that of its wished id."""
    return {"unique_id": unique_id, **entity_id(component["platform"], name_slug), "name": name, **component}


def object_id(text: str) -> str:
    """Only what Home Assistant allows in a discovery topic."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", text)
