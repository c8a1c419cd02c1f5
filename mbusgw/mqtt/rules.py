"""Home Assistant's own rules for the entities of a device, applied before anything is sent.

It refuses a whole document for one component without a platform or a unique id, and an entity for a class that does
not go with its unit. What breaks a rule here is left out: a class, a key, at worst one entity, never the document.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from mbusgw.model.classes import SENSOR_CLASSES, STATE_CLASSES

Component = dict[str, Any]

#: Platform → the topic without which it is nothing.
_TOPIC = {
    "sensor": "state_topic",
    "binary_sensor": "state_topic",
    "button": "command_topic",
    "number": "command_topic",
    "select": "command_topic",
    "switch": "command_topic",
}
#: Device classes of the platforms that have no units; ours only.
_CLASSES = {
    "binary_sensor": frozenset({"battery", "connectivity", "moisture", "problem", "running", "smoke", "tamper"}),
    "button": frozenset({"identify", "restart", "update"}),
    "switch": frozenset({"outlet", "switch"}),
    "select": frozenset[str](),
}
_READS_ONLY = frozenset({"sensor", "binary_sensor"})
#: Without a unit and a state class; their value is no number.
_NOT_NUMERIC = frozenset({"date", "enum", "timestamp"})
_STEP_MIN = 0.001


def obey(components: Mapping[str, Component]) -> tuple[dict[str, Component], list[str]]:
    """``components`` as Home Assistant takes them, and a sentence for everything that had to be left out.

    **any thread**
    """
    kept: dict[str, Component] = {}
    broken: list[str] = []
    taken: set[tuple[str, str]] = set()
    for key, component in components.items():
        fatal = next(_fatal(component, taken), None)
        if fatal is not None:
            broken.append(f"{key} {fatal} and is not shown")
            continue
        taken.add((component["platform"], component["unique_id"]))
        kept[key] = _mended(component, lambda what, key=key: broken.append(f"{key} {what}"))  # type: ignore[misc]
    return kept, broken


def _fatal(component: Component, taken: set[tuple[str, str]]) -> Iterator[str]:
    """Why it cannot be sent at all."""
    platform, unique_id = component.get("platform"), component.get("unique_id")
    if platform not in _TOPIC:
        yield f"has the platform {platform!r}, which is none"
    elif not isinstance(unique_id, str) or not unique_id:
        yield "has no unique id"
    elif (platform, unique_id) in taken:
        yield f"has the unique id {unique_id} of another entity"
    elif not component.get(_TOPIC[platform]):
        yield f"has no {_TOPIC[platform]}"
    elif platform == "select" and not component.get("options"):
        yield "has no options"
    elif platform == "number" and not _is_range(component):
        yield "has no range of numbers"


def _is_range(component: Component) -> bool:
    lowest, highest, step = component.get("min", 1), component.get("max", 100), component.get("step", 1)
    return bool(lowest < highest and step >= _STEP_MIN)


def _mended(component: Component, tell: Callable[[str], None]) -> Component:
    component = dict(component)

    def drop(key: str, why: str) -> None:
        tell(f"loses its {key} {component.pop(key)}: {why}")

    platform, category = component["platform"], component.get("entity_category")
    if category not in (None, "diagnostic") and (platform in _READS_ONLY or category != "config"):
        drop("entity_category", f"a {platform} has none of that name")
    if platform == "sensor":
        _mend_sensor(component, drop)
    elif platform == "number":
        _mend_class(component, drop)
    elif component.get("device_class", None) not in (None, *_CLASSES[platform]):
        drop("device_class", f"a {platform} has none of that name")
    return component


def _mend_sensor(component: Component, drop: Callable[[str, str], None]) -> None:
    state_class = component.get("state_class")
    if state_class is not None and state_class not in STATE_CLASSES:
        drop("state_class", "there is none of that name")
        state_class = None
    _mend_class(component, drop)
    device_class = component.get("device_class")
    if device_class in _NOT_NUMERIC:
        if state_class is not None:
            drop("state_class", f"a {device_class} has none")
    elif device_class is not None and state_class not in (None, *SENSOR_CLASSES[device_class].state_classes):
        drop("device_class", f"it does not go with the state class {state_class}")
    if component.get("device_class") == "enum" and not component.get("options"):
        drop("device_class", "there are no options")
    if "options" in component and component.get("device_class") != "enum":
        drop("options", "only an enum has them")


def _mend_class(component: Component, drop: Callable[[str, str], None]) -> None:
    device_class, unit = component.get("device_class"), component.get("unit_of_measurement", "")
    if device_class is None:
        return
    if device_class not in SENSOR_CLASSES:
        drop("device_class", "there is none of that name")
    elif unit not in SENSOR_CLASSES[device_class].units:
        drop("device_class", f"it does not go with the unit {unit!r}")
