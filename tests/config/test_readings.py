"""Limits of counters and dead bands, as people write them."""
from __future__ import annotations

from decimal import Decimal

import pytest

from mbusgw.config.loader import loads
from mbusgw.config.readings import UNGUARDED
from tests.config.refusals import only


def test_limits_are_exact_and_off_is_none() -> None:
    text = "plausibility: {limits: {energy: 0.1, volume: off}, devices: {meter_1: {energy_tariff_2: 'off', hca: 5}}}"
    config = loads(text, {}).plausibility
    assert config.limits == {"energy": Decimal("0.1"), "volume": UNGUARDED}
    assert config.devices == {"meter_1": {"energy_tariff_2": UNGUARDED, "hca": Decimal(5)}}
    assert loads("changes: {dead_bands: {flow_temperature: 0.2}}", {}).changes.dead_bands == {
        "flow_temperature": Decimal("0.2")
    }


@pytest.mark.parametrize(
    ("text", "place", "what"),
    [
        ("plausibility: {limits: {energy: 0}}", "energy", "above 0"),
        ("plausibility: {limits: {energy: -1}}", "energy", "above 0"),
        ("plausibility: {limits: {energy: true}}", "energy", "above 0"),
        ("plausibility: {limits: {energy: .inf}}", "energy", "above 0"),
        ("plausibility: {limits: {energy: much}}", "energy", "or off"),
        ("plausibility: {limits: {power: 5}}", "power", "no counter"),
        ("plausibility: {devices: {Meter 1: {energy: 5}}}", "devices", "lower-case"),
        ("plausibility: {confirmations: 0}", "confirmations", ""),
        ("changes: {dead_bands: {energy: 1}}", "energy", "each step of it is news"),
        ("changes: {dead_bands: {temperatur: 1}}", "temperatur", "no quantity"),
        ("changes: {dead_bands: {power: off}}", "power", "above 0"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(text: str, place: str, what: str) -> None:
    problem = str(only(text))
    assert place in problem and what in problem
