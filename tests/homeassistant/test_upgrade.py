"""What a householder keeps when Home Assistant is upgraded: ``MBUSGW_HASS_BEFORE`` names the version before."""
from __future__ import annotations

from contextlib import ExitStack
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from mbusgw.runtime.clock import iso
from tests.homeassistant.conftest import World, build_world, program
from tests.homeassistant.test_homeassistant import complaints, shown, wait_for_all
from tests.wait import wait_until

pytestmark = pytest.mark.slow

HOURS = 5
KEPT = ("id", "entity_id", "unique_id", "disabled_by", "hidden_by", "name", "device_id", "original_device_class")


def registered(world: World) -> dict[str, dict[str, Any]]:
    """What Home Assistant keeps of every entity, by unique id."""
    return {name: {key: one[key] for key in KEPT} for name, one in world.hass.entities().items()}


def entity(world: World, field: str) -> dict[str, Any]:
    """The entity of a value of ``meter_1``."""
    number = world.wired[0].identity.id
    return next(one for name, one in registered(world).items() if number in name and name.endswith(f"_{field}"))


def change(world: World, entity_id: str, **keys: Any) -> None:
    """What a householder sets in the dialog of an entity."""
    world.hass.ask("config/entity_registry/update", entity_id=entity_id, **keys)


def import_hours(world: World, statistic_id: str, first: datetime) -> None:
    """The statistics of a counter as they would be made over some hours."""
    metadata = {
        "has_mean": False, "has_sum": True, "name": None, "source": "recorder", "statistic_id": statistic_id,
        "unit_of_measurement": "kWh",
    }  # fmt: skip
    hours = [
        {"start": iso(first + timedelta(hours=hour)), "state": 40_000 + hour, "sum": hour} for hour in range(HOURS)
    ]
    world.hass.ask("recorder/import_statistics", metadata=metadata, stats=hours)


def sums(world: World, statistic_id: str, first: datetime) -> list[float]:
    found = world.hass.ask(
        "recorder/statistics_during_period",
        start_time=iso(first), statistic_ids=[statistic_id], period="hour", types=["sum"],
    )  # fmt: skip
    return [one["sum"] for one in found.get(statistic_id, [])][:HOURS]


@pytest.mark.parametrize("language", ["en", "de"])
def test_entities_names_states_and_statistics_are_kept_over_an_upgrade_of_home_assistant(
    tmp_path: Path, language: str
) -> None:
    before, after = program("MBUSGW_HASS_BEFORE"), program("MBUSGW_HASS")
    with ExitStack() as stack:
        world = build_world(stack, tmp_path, before, language=language)
        wait_for_all(world)
        since, old_version = datetime.now(timezone.utc), world.hass.version
        first = since.replace(minute=0, second=0, microsecond=0) - timedelta(days=1)
        change(world, entity(world, "power")["entity_id"], new_entity_id="sensor.boiler", name="Boiler now")
        change(world, entity(world, "operating_time")["entity_id"], disabled_by=None)
        change(world, entity(world, "volume")["entity_id"], disabled_by="user")
        energy = entity(world, "energy")["entity_id"]
        import_hours(world, energy, first)
        wait_until(lambda: sums(world, energy, first) == list(range(HOURS)))
        told = registered(world)

        world.hass.stop()
        world.hass.upgrade(after)
        world.hass.start()
        assert world.hass.version > old_version
        wait_for_all(world)
        assert registered(world) == told
        assert {"sensor.boiler", energy} <= shown(world).keys()
        assert world.hass.state("sensor.boiler") not in ("missing", "unavailable", "unknown")
        assert sums(world, energy, first) == list(range(HOURS))
        [history] = world.hass.history([energy], since)
        assert datetime.fromisoformat(history[0]["last_changed"]) <= since + timedelta(minutes=1)
        assert world.hass.ask("recorder/validate_statistics") == {}
        assert complaints(world) == []
