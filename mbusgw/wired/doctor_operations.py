"""What can be asked of a bus: how it is, after every meter was read a few times."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import asdict
from typing import Any, Protocol

from mbusgw.commands.params import Params
from mbusgw.config.models import DeviceConfig
from mbusgw.mbus.answer import Answer
from mbusgw.mbus.session import Session
from mbusgw.mbus.tally import Tally, total
from mbusgw.model.address import Address, SecondaryAddress
from mbusgw.model.command import Document, Tell
from mbusgw.model.errors import BusError, LinkError, MbusgwError, NoAnswer
from mbusgw.runtime.clock import Clock
from mbusgw.wired.bus import Bus
from mbusgw.wired.doctor import Examined, findings
from mbusgw.wired.meter import WiredMeter
from mbusgw.wired.operations import WiredOperations, address_text
from mbusgw.wired.speed import MeterSpeed
from mbusgw.wired.turns import Urgency

ROUNDS, ROUNDS_MAX = 3, 100
#: A read of the examination may wait for its turn so long, even on a bus that is always busy.
PATIENCE_S = 600.0
#: How long a meter that did not answer in time is listened to.
LATE_S = 2.0


class Lane(Protocol):
    """The wired lane as it is now."""

    @property
    def devices(self) -> Sequence[DeviceConfig]: ...

    @property
    def meters(self) -> Sequence[WiredMeter]: ...


class DoctorOperations:
    """The examination, for the table of commands. **any thread**"""

    def __init__(self, wired: WiredOperations, lane: Lane, clock: Clock) -> None:
        self._wired = wired
        self._lane = lane
        self._clock = clock

    def doctor(self, given: Document, tell: Tell) -> Future[Document]:
        """``{bus, rounds}``: reads every configured meter of a bus ``rounds`` times, and tells what was counted since
        the bus was opened and what that means. Raises ``RequestError`` 400, 404.
        """
        params = Params(given)
        bus = self._wired.bus(params.text("bus", None))
        rounds = params.number("rounds", 0, ROUNDS_MAX, ROUNDS)
        params.done()
        here = [device for device in self._lane.devices if device.bus == bus.config.name and device.enabled]
        speeds = {meter.config.id: meter.speed for meter in self._lane.meters}
        speeds |= {
            device.id: MeterSpeed(device.id, device.baudrate, switch=device.baud_switch, clock=self._clock)
            for device in here
            if device.id not in speeds
        }
        examination = _Examination(bus, [(device, speeds[device.id]) for device in here], rounds, tell, self._clock)
        examination.go_on()
        return examination.result


class _Examination:
    """One read after the other, each begun by the end of the one before. **own thread** of the bus"""

    def __init__(
        self, bus: Bus, devices: Sequence[tuple[DeviceConfig, MeterSpeed]], rounds: int, tell: Tell, clock: Clock
    ) -> None:
        self.result: Future[Document] = Future()
        self._bus = bus
        self._devices = devices
        self._left = [device for _ in range(rounds) for device in devices]
        self._total = len(self._left)
        self._looked = not rounds or bool(devices)  # whether the port is there, else nobody would know
        self._mute: set[str] = set()  # those that are not late, but silent
        self._tell = tell
        self._clock = clock

    def go_on(self) -> None:
        """The next read, or the diagnosis."""
        if self.result.cancelled():
            return
        if not self._looked:
            self._looked = True
            self._submit(lambda session: None)
        elif not self._left:
            if self.result.set_running_or_notify_cancel():
                self.result.set_result(examined(self._bus, [device for device, _ in self._devices]))
        else:
            device, speed = self._left.pop(0)
            self._submit(lambda session: self._read(session, device, speed))

    def _submit(self, work: Callable[[Session], None]) -> None:
        job = self._bus.submit(work, deadline_mono=self._clock.mono() + PATIENCE_S, urgency=Urgency.ROUTINE)
        job.add_done_callback(self._done)

    def _done(self, job: Future[None]) -> None:
        if self._total:
            self._tell({"done": self._total - len(self._left), "of": self._total})
        error = job.exception() if not job.cancelled() else BusError("the examination was broken off")
        if error is not None and self.result.set_running_or_notify_cancel():
            self.result.set_exception(error if isinstance(error, MbusgwError) else BusError(str(error)))
        elif error is None:
            self.go_on()

    def _read(self, session: Session, device: DeviceConfig, speed: MeterSpeed) -> None:
        """What goes wrong with the meter is counted; that is what it is for. A late answer is waited for: it would come
        into the next meter's, and that one be blamed."""

        def read(reset: bool) -> Answer:
            try:
                return session.read_user_data(
                    device.address, reset=reset, max_telegrams=device.max_telegrams, meter=device.meter
                )
            except NoAnswer:
                self._await_late(session, device)
                raise

        try:
            speed.read(session, device.address, read, reset=False)
        except LinkError:
            return

    def _await_late(self, session: Session, device: DeviceConfig) -> None:
        if device.id not in self._mute:
            before = _tally(self._bus, device).late
            session.await_late(LATE_S)
            if _tally(self._bus, device).late == before:
                self._mute.add(device.id)


def examined(bus: Bus, devices: Sequence[DeviceConfig]) -> dict[str, Any]:
    """The document of the command ``doctor``. Any thread."""
    line = bus.tallies
    meters = [_examined(bus, device) for device in devices]
    return {
        "bus": bus.config.name,
        "port": bus.config.port,
        "requests": sum(meter.tally.requests for meter in meters),
        "answers": sum(meter.tally.answers for meter in meters),
        "echoes": line.echoes,
        "stray_bytes": line.stray_bytes,
        "never_quiet": line.never_quiet,
        "load": asdict(bus.load.snapshot()),
        "meters": [meter.document() for meter in meters],
        "findings": [asdict(finding) for finding in findings(line, meters, echo=bus.config.echo)],
    }


def _examined(bus: Bus, device: DeviceConfig) -> Examined:
    own = device.own_baudrate or bus.config.baudrate
    return Examined(device.id, address_text(device.address), own, _tally(bus, device))


def _tally(bus: Bus, device: DeviceConfig) -> Tally:
    counted = list(bus.tallies.meters.items())
    return total(tally for (_, address), tally in counted if _is_of(address, device.address))


def _is_of(counted: Address, configured: Address) -> bool:
    """An address with open places is spoken to by the whole address of the meter that was found."""
    if isinstance(counted, SecondaryAddress) and isinstance(configured, SecondaryAddress):
        return counted == configured or configured.covers(counted)
    return counted == configured
