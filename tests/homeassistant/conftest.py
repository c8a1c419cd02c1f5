"""A house with meters of every kind, the daemon, a broker and a real Home Assistant."""
from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from mbusgw.cli.demo_radio import RadioGateway, build_transmitters
from mbusgw.runtime.clock import SystemClock
from mbusgw.simulator.catalogue import ALL_KINDS, USUAL_TELEGRAMS, build_meter
from mbusgw.simulator.gateway import SimulatedGateway
from mbusgw.simulator.line import PtyLine
from mbusgw.simulator.meter import SimulatedMeter
from mbusgw.simulator.segment import Segment
from tests.daemon import KEY, Daemon
from tests.homeassistant.hass import HomeAssistant
from tests.mosquitto import Mosquitto
from tests.wait import PATIENCE_S

RADIO = ("sim_10000006", "sim_40000007", "sim_60000008")


@dataclass(frozen=True)
class World:
    """What runs; ``meters`` are the ids of all, wired and radio, ``wired[0]`` is ``meter_1``, a heat meter."""

    language: str
    broker: Mosquitto
    daemon: Daemon
    hass: HomeAssistant
    meters: tuple[str, ...]
    wired: tuple[SimulatedMeter, ...]


@pytest.fixture(scope="package", params=["en", "de"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One for all tests of a language: Home Assistant's first start takes its time."""
    with ExitStack() as stack:
        folder = tmp_path_factory.mktemp("homeassistant")
        yield build_world(stack, folder, program("MBUSGW_HASS"), language=request.param)


def program(variable: str) -> str:
    """The Home Assistant that ``variable`` names; without one the test is skipped."""
    named = os.environ.get(variable)
    if not named:
        pytest.skip(f"no Home Assistant is named by {variable}")
    return named


def build_world(stack: ExitStack, folder: Path, hass_program: str, *, language: str) -> World:
    """All of it, running, until ``stack`` is closed."""
    clock = SystemClock()
    broker = Mosquitto(_below(folder, "mosquitto"))
    broker.start()
    stack.callback(broker.stop)
    wired = [
        build_meter(kind, number, clock=clock, number=number, telegrams=USUAL_TELEGRAMS.get(kind, 1))
        for number, kind in enumerate(ALL_KINDS, 1)
    ]
    segment = Segment(PtyLine(folder / "bus"), wired, clock=clock, baudrate=9600)
    segment.start()
    stack.callback(segment.join, PATIENCE_S)
    stack.callback(segment.stop)
    transmitters = build_transmitters(clock=clock)
    lines = [f"gateway: {{language: {language}}}", f"buses: [{{name: main, port: {folder}/bus, baudrate: 9600}}]"]
    lines += ["keys:", *(f"  - {{meter_id: '{one.identity.id}', key: {one.key.hex()}}}" for one in transmitters)]
    lines += ["devices:"]
    lines += [f"  - {{id: meter_{one.address}, bus: main, address: {one.address}, interval: 5}}" for one in wired]
    daemon = Daemon(_below(folder, "gateway"), "\n".join(lines) + "\n", broker=broker.url)
    daemon.start()
    stack.callback(lambda: daemon.process and daemon.stop())
    radio = RadioGateway(
        SimulatedGateway(f"http://127.0.0.1:{daemon.http_port}", "gw1", KEY), transmitters, clock=clock
    )
    radio.start()
    stack.callback(radio.join, PATIENCE_S)
    stack.callback(radio.stop)
    hass = HomeAssistant(hass_program, folder / "hass", language=language)
    stack.callback(hass.stop)
    hass.start()
    hass.add_mqtt(broker.port)
    meters = (*(f"meter_{one.address}" for one in wired), *RADIO)
    return World(language, broker, daemon, hass, meters, tuple(wired))


def _below(folder: Path, name: str) -> Path:
    below = folder / name
    below.mkdir()
    return below
