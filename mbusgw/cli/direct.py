"""Carrying out a command in this process, where no gateway runs that has the bus: with the same parts."""
from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from mbusgw.app.commands import add_doctor_commands, add_scan_commands, add_wired_commands
from mbusgw.cli.remote import Asker, OnProgress, Remote
from mbusgw.commands.desk import Desk
from mbusgw.config.models import BusConfig, Config, DeviceConfig
from mbusgw.model.command import Document
from mbusgw.model.errors import MbusgwError
from mbusgw.runtime.clock import SystemClock
from mbusgw.runtime.ending import end
from mbusgw.wired.bus import Bus
from mbusgw.wired.doctor_operations import DoctorOperations
from mbusgw.wired.finds import Finds
from mbusgw.wired.meter import WiredMeter
from mbusgw.wired.operations import WiredOperations
from mbusgw.wired.scan import Scanner
from mbusgw.wired.scan_operations import ScanOperations
from mbusgw.wired.turns import Urgency

LOOK_S = 0.2
STOP_S = 3.0


@contextmanager
def asker_for(config: Config, bus: BusConfig, baudrate: int | None = None) -> Iterator[tuple[Asker, str]]:
    """Who carries out commands on ``bus``, and the name that the bus has there; ``baudrate`` if not at its own speed.

    That is the running gateway where it has this port, because it would not share it; else this process,
    for the length of the block. Raises ``MbusgwError``.
    """
    remote = Remote.find(config)
    name = remote.bus_on(bus.port) if remote is not None else None
    if remote is not None and name is not None:
        yield remote, name
        return
    direct = Direct(bus if baudrate is None else bus.model_copy(update={"baudrate": baudrate}), config.wired_devices)
    try:
        direct.start()
        yield direct, bus.name
    finally:
        direct.stop()


class Direct:
    """One bus and a desk of its own. **own thread**"""

    def __init__(self, bus: BusConfig, devices: Sequence[DeviceConfig] = ()) -> None:
        clock = SystemClock()
        self.devices = devices
        self.finds = Finds(clock)
        self.meters: Sequence[WiredMeter] = ()
        self.buses: Sequence[Bus] = (Bus(bus, clock=clock),)
        self.scanners: Sequence[Scanner] = tuple(Scanner(one, self.finds, clock=clock) for one in self.buses)
        self._desk = Desk(clock, rate_per_s=math.inf)
        operations = WiredOperations(self, clock)
        add_wired_commands(self._desk, operations)
        add_doctor_commands(self._desk, DoctorOperations(operations, self, clock))
        add_scan_commands(self._desk, ScanOperations(self))

    def start(self) -> None:
        """Opens the port. Raises ``BusError`` where that fails: there is nobody here who would wait for it."""
        logging.getLogger("mbusgw").addHandler(logging.NullHandler())  # what goes wrong is the command's answer
        for worker in (*self.buses, *self.scanners):
            worker.start()
        for bus in self.buses:
            bus.submit(lambda session: None, deadline_mono=math.inf, urgency=Urgency.NOW).result()

    def stop(self) -> None:
        """Gives it back."""
        end([*self.scanners, *self.buses], STOP_S)

    def run(self, command: str, params: Document, on_progress: OnProgress | None = None) -> dict[str, Any]:
        """As ``Asker`` says."""
        task, told = self._desk.submit(command, params), None
        try:
            while not task.ended:
                task = self._desk.wait(task.id, LOOK_S)
                if on_progress is not None and task.progress and task.progress is not told:
                    told = task.progress
                    on_progress(told)
        except KeyboardInterrupt:
            with suppress(MbusgwError):  # what cannot be stopped ends with the bus
                self._desk.cancel(task.id)
            raise
        if task.error is not None:
            raise task.error
        return dict(task.result or {})
