"""Times of the day as people and YAML write them."""
from __future__ import annotations

from datetime import time
from typing import Any

import pytest

from mbusgw.config.daytimes import longest_gap_s, parse_day_times
from mbusgw.config.loader import loads
from mbusgw.config.models import BusConfig, DeviceConfig
from mbusgw.model.errors import ConfigError

DEVICE = "buses: [{name: main, port: /dev/ttyUSB0}]\ndevices: [{id: a, bus: main, address: 1, %s}]"


def device(text: str) -> DeviceConfig:
    return loads(DEVICE % text, {}).devices[0]


@pytest.mark.parametrize(
    ("text", "times"),
    [
        ('at: "00:00"', [time(0)]),
        ("at: 00:00", [time(0)]),
        ("at: 12:30", [time(12, 30)]),  # YAML: the number 750
        ('at: ["12:00", "00:00", 12:00, "6:05:10"]', [time(0), time(6, 5, 10), time(12)]),
        ("at: []", []),
    ],
)
def test_times_are_read_however_yaml_sees_them(text: str, times: list[time]) -> None:
    assert list(device(text).at) == times


@pytest.mark.parametrize("value", ["24:00", "12:60", "noon", "", "-1:00", 1440, -1, 7.5, True, None, {"a": 1}, ["x"]])
def test_what_is_no_time_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="time of the day"):
        parse_day_times(value)


def test_too_many_times_are_better_an_interval() -> None:
    with pytest.raises(ValueError, match="at most 48 times"):
        parse_day_times([time(n // 60, n % 60) for n in range(49)])


@pytest.mark.parametrize(
    ("times", "hours"), [((time(0),), 24), ((time(0), time(6)), 18), ((time(1), time(23)), 22), ((), 24)]
)
def test_the_longest_gap_is_what_a_meter_may_be_silent(times: tuple[time, ...], hours: float) -> None:
    assert longest_gap_s(times) == hours * 3600


def test_an_interval_that_is_off_leaves_the_times_alone() -> None:
    bus = BusConfig(name="main", port="/dev/ttyUSB0")
    only_times = device('interval: off, at: ["00:00", "12:00"]')
    assert (only_times.due_on(bus), only_times.interval_on(bus)) == (None, 12 * 3600)
    assert only_times.offline_after_on(bus) == 36 * 3600
    assert (device("interval: 15m").due_on(bus), device('at: "00:00"').due_on(bus)) == (900, 15)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("interval: off", "leaves only the times of `at`"),
        ("interval: 0", "must be more than 0, or `off`"),
        ("interval: -5", "must be more than 0, or `off`"),
        ("baud_switch: true", "`baud_switch` needs `baudrate`"),
        ("baudrate: 1000", "must be one of 300"),
        ("max_telegrams: 0", "at least 1"),
    ],
)
def test_what_does_not_fit_is_said(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        device(text)
    assert message in str(caught.value.problems[0])


def test_a_converter_that_has_one_speed_is_not_asked_for_another() -> None:
    text = "buses: [{name: main, port: 'socket://h:1'}]\ndevices: [{id: a, bus: main, address: 1, baudrate: 9600}]"
    with pytest.raises(ConfigError) as caught:
        loads(text, {})
    assert "cannot be changed by us" in str(caught.value.problems[0])
    assert "rfc2217" in caught.value.problems[0].suggestion
    loads(text.replace("socket", "rfc2217"), {})
