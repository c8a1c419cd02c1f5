"""The examination of a bus: what it reads, whom it listens to, and when it says that it cannot."""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from mbusgw.config.models import DeviceConfig
from mbusgw.model.command import Document
from mbusgw.model.errors import TransportOpenFailed
from mbusgw.simulator.catalogue import build_meter
from mbusgw.simulator.fault import Fault, FaultKind
from mbusgw.simulator.meter import SimulatedMeter
from mbusgw.wired.bus import Bus
from mbusgw.wired.doctor_operations import DoctorOperations
from mbusgw.wired.meter import WiredMeter
from mbusgw.wired.operations import WiredOperations
from tests.simulator.memory import SkippingClock
from tests.simulator.wire import CLOCK
from tests.wait import PATIENCE_S
from tests.wired.house import bus_and_meters, bus_config, running


class Surgery:
    """A bus, its devices, and what the doctor asks of them."""

    meters: Sequence[WiredMeter] = ()

    def __init__(self, bus: Bus, addresses: Sequence[int]) -> None:
        self.buses = (bus,)
        self.devices = [DeviceConfig(id=f"meter_{a}", bus=bus.config.name, address=a) for a in addresses]
        self.told: list[Document] = []
        self._doctor = DoctorOperations(WiredOperations(self, bus.clock), self, bus.clock)

    def examine(self, **given: Any) -> Document:
        return self._doctor.doctor(given, self.told.append).result(PATIENCE_S)


@contextmanager
def surgery(*meters: SimulatedMeter) -> Iterator[Surgery]:
    with bus_and_meters(list(meters)) as (bus, _), running(bus):
        yield Surgery(bus, [meter.address for meter in meters])


def test_every_meter_is_read_so_often_and_progress_is_told() -> None:
    with surgery(build_meter("heat", 1, clock=CLOCK), build_meter("water", 2, clock=CLOCK)) as room:
        document = room.examine(rounds=2)
    assert document["findings"] == []
    assert [meter["answers"] for meter in document["meters"]] == [3, 3], "two readings, and SND_NKE before"
    assert room.told[-1] == {"done": 4, "of": 4}


def test_a_late_meter_is_found_out_and_the_one_after_it_is_not_blamed() -> None:
    late, other = build_meter("heat", 1, clock=CLOCK), build_meter("water", 2, clock=CLOCK)
    late.fault = Fault(FaultKind.LATE, delay_s=0.15)
    with surgery(late, other) as room:
        document = room.examine(rounds=3)
    (finding,) = document["findings"]
    assert "meter_1" in finding["about"] and "after the window" in finding["what"]
    first, second = document["meters"]
    assert first["late"] >= 1 and first["answers"] >= 1, "it is given the time that it needs"
    assert second["answers"] == second["requests"] == 4


def test_a_silent_meter_is_listened_to_once() -> None:
    silent, other = build_meter("heat", 1, clock=CLOCK), build_meter("water", 2, clock=CLOCK)
    silent.fault = Fault(FaultKind.SILENT)
    with surgery(silent, other) as room:
        clock = room.buses[0].clock
        assert isinstance(clock, SkippingClock)
        began_s = clock.skipped_s
        document = room.examine(rounds=10)
        assert 2 < clock.skipped_s - began_s < 4, "2 s, and the answer windows"
    (finding,) = document["findings"]
    assert "never answered, 10 tries" in finding["what"]


def test_a_bus_of_which_no_meter_is_known_is_not_in_order() -> None:
    with surgery() as room:
        document = room.examine()
    assert [finding["about"] for finding in document["findings"]] == ["bus"]


def test_a_port_that_is_away_is_said_so_even_if_there_is_nobody_to_read() -> None:
    bus = Bus(bus_config("/nowhere/at/all"), clock=CLOCK)
    with running(bus):
        room = Surgery(bus, [])
        with pytest.raises(TransportOpenFailed, match="/nowhere/at/all does not exist"):
            room.examine()
        assert room.examine(rounds=0)["requests"] == 0, "what was counted until then can be asked for"
