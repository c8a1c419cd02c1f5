"""What the tests of this folder share: workers that are stopped again, a delivery that keeps what it gets."""
from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

from mbusgw.config.models import BusConfig, DeviceConfig
from mbusgw.model.address import Address
from mbusgw.model.errors import MbusgwError, StoreError
from mbusgw.model.reading import Reading
from mbusgw.runtime.metrics import Metrics
from mbusgw.runtime.worker import Worker
from mbusgw.simulator.meter import SimulatedMeter
from mbusgw.wired.bus import Bus
from mbusgw.wired.meter import WiredMeter
from tests.simulator.memory import MemorySegment, SkippingClock, memory_segment
from tests.simulator.wire import FAST
from tests.wait import PATIENCE_S


@contextmanager
def running(*workers: Worker) -> Iterator[None]:
    """Starts the workers, stops them in reverse, and insists that each ends."""
    for worker in workers:
        worker.start()
    try:
        yield
    finally:
        for worker in reversed(workers):
            worker.stop()
        for worker in reversed(workers):
            assert worker.join(PATIENCE_S), f"{worker.name} did not stop"


class KeepingDelivery:
    """Keeps every reading and says at once that it is stored; with ``refuse`` set it fails instead."""

    def __init__(self) -> None:
        self.readings: list[Reading] = []
        self.refuse: StoreError | None = None
        self.tries = 0

    def deliver(self, reading: Reading, *also: object) -> "Future[Any]":
        self.tries += 1
        future: Future[Any] = Future()
        if self.refuse is not None:
            future.set_exception(self.refuse)
        else:
            self.readings.append(reading)
            future.set_result(None)
        return future

    def of(self, device_id: str) -> list[Reading]:
        """The readings of one device."""
        return [reading for reading in list(self.readings) if reading.device_id == device_id]


class Failures:
    """Keeps what ``on_failure`` was told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, MbusgwError]] = []

    def __call__(self, device_id: str, error: MbusgwError) -> None:
        self.told.append((device_id, error))

    def kinds(self, device_id: str) -> list[str]:
        return [type(error).__name__ for told, error in list(self.told) if told == device_id]


def bus_config(port: str, **options: Any) -> BusConfig:
    """Over a real port a meter that a busy machine makes late is waited for: one that shall be silent costs that time
    unless the test says ``latency_ms=0``."""
    defaults: dict[str, Any] = {"name": "main", "baudrate": FAST, "retry_delay": 0.02, "max_retries": 1}
    patient = {} if port == MemorySegment.port else {"latency_ms": 20_000, "serial_timeout": 30}
    return BusConfig(port=port, **{**defaults, **patient, **options})


@contextmanager
def bus_and_meters(meters: Sequence[SimulatedMeter] | int = 3, **options: Any) -> Iterator[tuple[Bus, MemorySegment]]:
    """A bus on a segment in memory, where no meter ever seems silent because the machine is busy."""
    with memory_segment(meters, clock=SkippingClock()) as segment:
        yield Bus(bus_config(segment.port, **options), clock=segment.clock, open_port=segment.open_port), segment


class Lane:
    """A bus and its meters, with everything they tell."""

    def __init__(
        self, bus: Bus, addresses: Mapping[str, Address], *, interval: float | None = 0.1, **options: Any
    ) -> None:
        self.bus = bus
        self.delivery = KeepingDelivery()
        self.failures = Failures()
        self.metrics = Metrics()
        self.meters = {
            device_id: WiredMeter(
                DeviceConfig(id=device_id, bus=bus.config.name, address=address, interval=interval, **options),
                bus,
                delivery=self.delivery,
                metrics=self.metrics,
                clock=bus.clock,
                on_failure=self.failures,
            )
            for device_id, address in addresses.items()
        }

    def workers(self) -> tuple[Worker, ...]:
        return (self.bus, *self.meters.values())

    def has_read(self, device_id: str, times: int) -> Callable[[], bool]:
        return lambda: len(self.delivery.of(device_id)) >= times
