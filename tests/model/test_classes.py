"""The table of legal classes and units, held against what releases of Home Assistant accept.

``releases`` has their own tables, each made by ``tests/homeassistant/classes.py``.
"""
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mbusgw.model.classes import OLDEST, SENSOR_CLASSES, STATE_CLASSES
from mbusgw.mqtt.quantities import LOOKS

RELEASES: dict[str, dict[str, Any]] = {
    file.stem: json.loads(file.read_text()) for file in Path(__file__).with_name("releases").glob("*.json")
}


def version(release: str) -> tuple[int, int]:
    year, month = release.split(".")
    return int(year), int(month)


@pytest.fixture(params=sorted(RELEASES))
def release(request: pytest.FixtureRequest) -> tuple[tuple[int, int], dict[str, Any]]:
    return version(request.param), RELEASES[request.param]


def test_the_oldest_release_that_is_served_is_among_those_compared() -> None:
    assert min(map(version, RELEASES)) == OLDEST


def test_every_unit_and_state_class_of_the_table_is_legal_in_every_release_that_knows_the_class(
    release: tuple[tuple[int, int], dict[str, Any]],
) -> None:
    since, facts = release
    spellings = facts["spellings"]
    for name, ours in SENSOR_CLASSES.items():
        theirs = facts["classes"].get(name)
        assert (theirs is not None) == (ours.since <= since), name
        if theirs is not None:
            legal = {""} if theirs["units"] is None else set(theirs["units"])
            assert {spellings.get(unit, unit) for unit in ours.units} <= legal, name
            assert ours.state_classes == set(theirs["state_classes"]) & STATE_CLASSES, name
    assert STATE_CLASSES <= set(facts["state_classes"])


def test_a_class_that_not_every_release_knows_is_given_to_nothing_by_itself() -> None:
    newer = {name for name, one in SENSOR_CLASSES.items() if one.since > OLDEST}
    assert newer and not newer & {one.device_class for one in LOOKS.values()}
