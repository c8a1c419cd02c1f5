"""The wired lane: every bus and every meter that is read now, exchanged one by one when the configuration changes."""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from mbusgw.config.models import BusConfig, DeviceConfig
from mbusgw.model.errors import MbusgwError
from mbusgw.model.ports import Delivery
from mbusgw.registry.registry import Registry
from mbusgw.runtime.clock import Clock
from mbusgw.runtime.ending import end
from mbusgw.runtime.metrics import Metrics
from mbusgw.runtime.worker import Worker
from mbusgw.wired.bus import Bus
from mbusgw.wired.finds import Finds
from mbusgw.wired.meter import WiredMeter
from mbusgw.wired.scan import Scanner

AnyWorker = TypeVar("AnyWorker", bound=Worker)

#: How long all that is taken out may take to end: a bus may be in the middle of a frame.
CHANGE_BUDGET_S = 2.0


@dataclass(frozen=True, slots=True)
class LaneChange:
    """What became of the lane: ids of meters and names of buses; ``changed`` ones were replaced. **immutable**"""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    buses: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.removed or self.buses)


class WiredLane:
    """One thread per bus, one that scans it, and one per meter, those of the configuration in force.

    ``buses``, ``scanners`` and ``meters`` are swapped whole, so whoever looks sees one moment of the lane. Every
    configured meter is known to the registry from the moment it is here. A meter that is taken out stays there, until
    the caller, who knows what was published of it, forgets it.
    The constructor and ``change``: the main thread; the rest: **any thread**
    """

    def __init__(
        self,
        buses: Iterable[BusConfig],
        devices: Iterable[DeviceConfig],
        *,
        registry: Registry,
        delivery: Delivery,
        metrics: Metrics,
        clock: Clock,
        finds: Finds | None = None,
    ) -> None:
        self.finds = finds or Finds(clock)
        self._registry = registry
        self._delivery = delivery
        self._metrics = metrics
        self._clock = clock
        self.buses: tuple[Bus, ...] = tuple(self._new_bus(config) for config in buses)
        self.scanners: tuple[Scanner, ...] = tuple(map(self._new_scanner, self.buses))
        self.meters: tuple[WiredMeter, ...] = ()
        self._by_id: dict[str, WiredMeter] = {}  # asked for every radio meter too, and there may be many
        self._show([self._new_meter(config) for config in devices if config.enabled])

    # -------------------------------------------------- who is there
    @property
    def workers(self) -> list[Worker]:
        """All threads, in the order of their start."""
        return [*self.buses, *self.scanners, *self.meters]

    @property
    def devices(self) -> list[DeviceConfig]:
        """The settings of every meter."""
        return [meter.config for meter in self.meters]

    def bus(self, name: str) -> Bus | None:
        """The bus of that name."""
        return next((bus for bus in self.buses if bus.config.name == name), None)

    def meter(self, device_id: str) -> WiredMeter | None:
        """The meter of that id."""
        return self._by_id.get(device_id)

    def interval_s(self, device_id: str) -> float | None:
        """Seconds from one read of a meter to the next, as its bus manages; None for one that is not of this lane."""
        meter = self.meter(device_id)
        bus = self.bus(meter.config.bus) if meter is not None else None
        if meter is None or bus is None:
            return None
        load = bus.load.snapshot()
        asked_s = meter.current.interval_on(bus.config)
        return max(asked_s, load.round_s) if load.overloaded else asked_s

    # -------------------------------------------------- exchanging
    def change(
        self, buses: Sequence[BusConfig], devices: Sequence[DeviceConfig], *, renew_lost: bool = False
    ) -> LaneChange:
        """Takes out what is not wanted any more, puts in what is new; everything else goes on untouched.

        A bus whose settings changed is replaced together with its meters; so is, with ``renew_lost``,
        one whose port is not open: it forgets which adapter it had (``transports.adapter``).
        """
        kept_buses = {bus.config.name: bus for bus in self.buses if self._stays(bus, buses, renew_lost)}
        wanted = {device.id: device for device in devices if device.enabled}
        kept = {
            meter.config.id: meter
            for meter in self.meters
            if wanted.get(meter.config.id) == meter.config and meter.config.bus in kept_buses
        }
        names = {bus.config.name for bus in self.buses}
        before = {meter.config.id for meter in self.meters}
        change = LaneChange(
            added=tuple(device_id for device_id in wanted if device_id not in before),
            changed=tuple(device_id for device_id in wanted if device_id in before and device_id not in kept),
            removed=tuple(sorted(before - wanted.keys())),
            buses=tuple(sorted((names | {bus.name for bus in buses}) - kept_buses.keys())),
        )
        self._take_out(kept_buses, kept)
        self._put_in(kept_buses, kept, buses, list(wanted.values()))
        return change

    @staticmethod
    def _stays(bus: Bus, wanted: Sequence[BusConfig], renew_lost: bool) -> bool:
        return bus.config in wanted and (bus.snapshot().connected or not renew_lost)

    def _take_out(self, kept_buses: dict[str, Bus], kept: dict[str, WiredMeter]) -> None:
        """Out of sight first, so that nobody takes for a failure that it stops; a bus ends after who uses it."""
        meters = [meter for meter in self.meters if meter.config.id not in kept]
        buses = [bus for bus in self.buses if bus.config.name not in kept_buses]
        self._show(kept.values())
        scanners = [scanner for scanner in self.scanners if scanner.bus in buses]
        self.scanners = tuple(scanner for scanner in self.scanners if scanner not in scanners)
        self.buses = tuple(kept_buses.values())
        end([*meters, *scanners, *buses], CHANGE_BUDGET_S)

    def _put_in(
        self,
        kept_buses: dict[str, Bus],
        kept: dict[str, WiredMeter],
        buses: Sequence[BusConfig],
        devices: Sequence[DeviceConfig],
    ) -> None:
        """In the order of the configuration; what is new runs before it is seen."""
        now = tuple(kept_buses.get(config.name) or _started(self._new_bus(config)) for config in buses)
        self.buses = now
        scanners = {scanner.bus: scanner for scanner in self.scanners}
        self.scanners = tuple(scanners.get(bus) or _started(self._new_scanner(bus)) for bus in now)
        self._show([kept.get(config.id) or _started(self._new_meter(config)) for config in devices])

    def _show(self, meters: Iterable[WiredMeter]) -> None:
        self.meters = tuple(meters)
        self._by_id = {meter.config.id: meter for meter in self.meters}

    # -------------------------------------------------- building
    def _new_bus(self, config: BusConfig) -> Bus:
        return Bus(config, clock=self._clock)

    def _new_scanner(self, bus: Bus) -> Scanner:
        return Scanner(bus, self.finds, clock=self._clock)

    def _new_meter(self, config: DeviceConfig) -> WiredMeter:
        bus = self.bus(config.bus)
        assert bus is not None, "the loader has seen to it that every device's bus is there"
        self._registry.expect(
            config.id,
            name=config.name or config.id,
            ttl_s=config.offline_after_on(bus.config),
            wishes=config.wishes,
        )
        return WiredMeter(
            config,
            bus,
            delivery=self._delivery,
            metrics=self._metrics,
            clock=self._clock,
            on_failure=self._failed,
            on_read=partial(self._bear, config, bus),
            on_breaker=partial(self._registry.polled, config.id),
        )

    def _bear(self, config: DeviceConfig, bus: Bus, seconds: float) -> None:
        """On a bus that cannot keep up a meter that waits for its turn is not offline."""
        if (meter := self.meter(config.id)) is not None and meter.config == config:
            config = meter.current
        load = bus.load.snapshot()
        there = sum(meter.config.bus == config.bus for meter in self.meters)
        round_s = load.round_s if load.meters >= there else max(load.round_s, there * seconds)
        ttl_s = config.offline_after_on(bus.config)
        self._registry.bear(config.id, max(ttl_s, 3 * round_s) if round_s > config.interval_on(bus.config) else ttl_s)

    def _failed(self, device_id: str, error: MbusgwError) -> None:
        self._registry.failed(device_id, str(error))


def _started(worker: AnyWorker) -> AnyWorker:
    worker.start()
    return worker
