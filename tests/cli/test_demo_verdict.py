from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from mbusgw.cli.demo_verdict import Expectation, Judge, json_value, reasons
from mbusgw.cli.demo_watch import Seen
from mbusgw.model.record import Value

READ_AT = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
NOW = READ_AT + timedelta(seconds=4)
SENT: dict[str, set[Value]] = {
    "volume": {Decimal("318.204"), Decimal("318.210")},
    "date_storage_1": {date(2025, 12, 31)},
    "hca": {741},
}
UNITS = {"volume": "m³", "date_storage_1": "", "hca": ""}


def arrived(judge: Judge, **values: str) -> None:
    for name, value in values.items():
        judge.arrived(("water", name, value))


def judged(*, online: bool = True, announced: dict[str, str] | None = None, **values: str) -> dict[str, Any]:
    """The verdict on a meter that sent ``SENT``, of which ``values`` arrived."""
    judge = Judge({"water": Expectation("water", UNITS, SENT.__getitem__)})
    given = {"volume": "318.21", "date_storage_1": "2025-12-31", "hca": "741", **values}
    arrived(judge, **given)
    units = {"volume": "m³"} if announced is None else announced
    seen = Seen("water", online, {name: value for name, value in given.items() if value})
    seen.attributes = {"read_at": READ_AT.isoformat(), "units": {"volume": "m³"}}
    components = {name: {"state_topic": f"mbus/water/{name}"} for name in UNITS}
    for name, unit in units.items():
        components[name]["unit_of_measurement"] = unit
    seen.discovery = {"components": components}
    return judge.verdict({"water": seen}, NOW, max_age_s=15)


def test_a_meter_whose_values_all_arrived_as_sent_is_right() -> None:
    verdict = judged()
    meter = verdict["meters"]["water"]
    assert verdict["ok"] and meter["ok"] and reasons(verdict) == []
    assert meter["values"]["volume"] == {"value": Decimal("318.21"), "unit": "m³"}
    assert meter["values"]["date_storage_1"] == {"value": "2025-12-31", "unit": ""}
    assert meter["age_s"] == 4.0


@pytest.mark.parametrize("value", ["318.205", "31821", "3.18", "no number", "NaN"])
def test_a_value_that_the_meter_did_not_send_is_wrong(value: str) -> None:
    verdict = judged(volume=value)
    assert not verdict["ok"]
    assert verdict["meters"]["water"]["wrong"] == [
        {"field": "volume", "value": value, "reason": "the meter did not send this value"}
    ]
    assert reasons(verdict) == [f"water: volume = {value}: the meter did not send this value"]


def test_a_date_must_be_the_one_that_was_sent() -> None:
    assert not judged(date_storage_1="2025-12-30")["ok"]


def test_a_wrong_value_counts_even_when_a_right_one_followed() -> None:
    judge = Judge({"water": Expectation("water", UNITS, SENT.__getitem__)})
    arrived(judge, volume="1")
    arrived(judge, volume="318.204")
    assert judge.verdict({}, NOW, max_age_s=15)["meters"]["water"]["wrong"][0]["value"] == "1"


def test_a_field_that_never_arrived_is_missing() -> None:
    judge = Judge({"water": Expectation("water", UNITS, SENT.__getitem__)})
    verdict = judge.verdict({}, NOW, max_age_s=15)
    assert verdict["meters"]["water"]["missing"] == list(UNITS)
    assert "water: volume never arrived" in reasons(verdict)
    assert "water: is not online" in reasons(verdict)


def test_a_field_that_the_meter_does_not_send_is_wrong() -> None:
    assert "water: pressure = 3: the meter sends no such field" in reasons(judged(pressure="3"))


def test_a_wrong_unit_is_wrong() -> None:
    judge = Judge({"water": Expectation("water", {"volume": "l"}, SENT.__getitem__)})
    seen = Seen("water", True, {"volume": "318.204"}, {"units": {"volume": "m³"}})
    verdict = judge.verdict({"water": seen}, NOW, max_age_s=15)
    assert verdict["meters"]["water"]["wrong"][0]["reason"] == "its unit is 'm³', not 'l'"


def test_a_meter_that_is_offline_is_not_right() -> None:
    assert reasons(judged(online=False)) == ["water: is not online"]


@pytest.mark.parametrize("announced", [{}, {"volume": "l"}, {"volume": "m³", "hca": "m³"}])
def test_home_assistant_must_have_been_told_every_field_with_its_unit(announced: dict[str, str]) -> None:
    assert reasons(judged(announced=announced)) == [
        "water: was not announced to Home Assistant with all its fields"
    ]


def test_a_reading_that_is_too_old_is_not_right() -> None:
    judge = Judge({"water": Expectation("water", {}, SENT.__getitem__)})
    seen = Seen("water", True, {}, {"read_at": READ_AT.isoformat()})
    verdict = judge.verdict({"water": seen}, READ_AT + timedelta(seconds=20), max_age_s=15)
    assert reasons(verdict) == ["water: the last reading is 20.0 s old"]


def test_a_device_that_nobody_simulated_is_not_right() -> None:
    judge = Judge({})
    judge.arrived(("ghost", "volume", "1"))
    verdict = judge.verdict({}, NOW, max_age_s=15)
    assert not verdict["ok"]
    assert reasons(verdict) == ["ghost: no such meter was simulated"]


def test_numbers_are_numbers_in_json_and_the_rest_is_text() -> None:
    assert json_value("0.450") == Decimal("0.450")
    assert json_value("2025-12-31") == "2025-12-31"
    assert json_value("Infinity") == "Infinity"
