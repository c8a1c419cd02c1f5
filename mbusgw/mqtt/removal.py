"""An entity that is gone for good leaves Home Assistant in two steps.

Left out of its device's document it would stay, as one that is no longer provided; so it is named once more with
nothing but its platform, which removes it, and left out of the document after that.
"""
from __future__ import annotations

from typing import Any

from mbusgw.runtime import exactjson


def with_leaving(payload: str, previous: str | None, *, previous_waits: bool) -> str:
    """``payload`` with what ``previous`` had and it has not, named by platform alone; ``payload`` where there is none.

    What already left with ``previous`` leaves once more only if that has not been sent. **any thread**
    """
    if previous is None or previous == payload:
        return payload
    document: dict[str, Any] = exactjson.loads(payload)
    components = document["components"]
    leaving = {
        key: {"platform": component["platform"]}
        for key, component in exactjson.loads(previous)["components"].items()
        if key not in components and (previous_waits or not _leaves(component))
    }
    if not leaving:
        return payload
    return exactjson.dumps({**document, "components": {**components, **leaving}})


def _leaves(component: dict[str, Any]) -> bool:
    return component.keys() == {"platform"}
