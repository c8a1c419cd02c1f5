"""What the Home Assistant whose Python runs this accepts: device classes with their units and state classes, as JSON.

``/path/to/hass/python tests/homeassistant/classes.py > tests/model/releases/2026.11.json`` adds a release to those that
our own table is compared with. It has to be a file of its own, which imports nothing of ours: that Python knows us not.
"""
from __future__ import annotations

import json
from typing import Any


def accepted(const: Any) -> dict[str, Any]:
    """Of ``homeassistant.components.sensor.const``; no unit is ``""``, and ``units`` null where any is accepted."""
    classes = {}
    for one in const.SensorDeviceClass:
        units = const.DEVICE_CLASS_UNITS.get(one)
        states = const.DEVICE_CLASS_STATE_CLASSES.get(one, ())
        classes[one.value] = {
            "units": None if units is None else sorted("" if unit is None else str(unit) for unit in units),
            "state_classes": sorted(state.value for state in states),
        }
    spellings = getattr(const, "AMBIGUOUS_UNITS", {})
    return {
        "classes": dict(sorted(classes.items())),
        "spellings": {unit: str(same) for unit, same in spellings.items() if unit is not None},
        "state_classes": sorted(one.value for one in const.SensorStateClass),
    }


if __name__ == "__main__":
    from homeassistant.components.sensor import const as _const  # type: ignore[import-not-found]

    _facts = accepted(_const)
    _lines = (f"  {json.dumps(name)}: {json.dumps(one, ensure_ascii=False)}" for name, one in _facts["classes"].items())
    print('{"classes": {')
    print(",\n".join(_lines))
    print("},")
    print(f' "spellings": {json.dumps(_facts["spellings"], ensure_ascii=False)},')
    print(f' "state_classes": {json.dumps(_facts["state_classes"])}}}')
