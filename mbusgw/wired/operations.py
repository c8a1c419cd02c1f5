"""What can be asked of the wired lane: reading a meter now, telling it something."""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from datetime import datetime
from typing import Any, Protocol, TypeVar

from mbusgw.commands.params import Params
from mbusgw.config.models import BAUDRATES
from mbusgw.mbus.answer import Answer
from mbusgw.mbus.frames import CI_APPLICATION_RESET
from mbusgw.mbus.presence import LAST_PRIMARY, Presence
from mbusgw.mbus.session import Session
from mbusgw.model.address import Address, SecondaryAddress
from mbusgw.model.command import Document, Tell
from mbusgw.model.document import meter_document, telegram_document
from mbusgw.model.errors import Collision, FrameDamaged, FrameUnexpected, NoAnswer, RequestError
from mbusgw.runtime.chain import then
from mbusgw.runtime.clock import Clock, iso
from mbusgw.wired.assignment import assign_address
from mbusgw.wired.bus import Bus
from mbusgw.wired.meter import WiredMeter
from mbusgw.wired.readout import Readout, decode_answer
from mbusgw.wired.turns import Urgency

T = TypeVar("T")

_ALONE_HINT = "all of them answer to 254 at once; name one by its address"

#: The address that every meter answers to: only for one that is alone on its bus.
ANYBODY = 254
#: How long somebody who waits lets a job wait for its turn.
PATIENCE_S = 60.0
#: A meter that keeps silent is asked once more with its link initialised anew, and then without: some never
#: acknowledge that, but answer to the request afterwards.
TRIES = 3


class Lane(Protocol):
    """The wired lane as it is now."""

    @property
    def buses(self) -> Sequence[Bus]: ...

    @property
    def meters(self) -> Sequence[WiredMeter]: ...


class WiredOperations:
    """The operations of the wired lane, for the table of commands. **any thread**

    Each raises ``RequestError`` for what is wrong with its parameters; its future fails with what goes wrong on
    the bus.
    """

    def __init__(self, lane: Lane, clock: Clock) -> None:
        self._lane = lane
        self._clock = clock

    # -------------------------------------------------- operations
    def read(self, given: Document, _tell: Tell) -> Future[Document]:
        """``{device}``, or ``{bus, address, baudrate}``, or ``{bus, any: true}`` for a meter that is alone on its bus.

        A configured device is read by its own thread, and the reading is delivered as usual too. The bus may be left
        out where there is one only.
        """
        params = Params(given)
        if "device" in params:
            meter = self.meter(params.text("device"))
            params.done()
            return then(meter.read_now(), lambda readout: _meter_document(meter, readout))
        bus = self.bus(params.text("bus", None))
        address = _one_address(params)
        baudrate = _baudrate(params, bus)
        params.done()
        repeats = bus.config.max_retries

        def read(session: Session) -> tuple[Answer, datetime]:
            return _read(session, address, repeats), self._clock.now()

        answered = self.job(bus, read, baudrate=baudrate)
        return then(answered, lambda answer: readout_document(*answer, bus=bus.config.name, address=address))

    def set_address(self, given: Document, _tell: Tell) -> Future[Document]:
        """``{bus, address, new, baudrate, force}``: gives the meter at ``address`` the primary address ``new``.

        An address that a configured device has, as the old or the new one, is changed with ``force`` only: the
        configuration must follow.
        """
        params = Params(given)
        bus, address, baudrate = self._place(params)
        new, force = params.number("new", 1, LAST_PRIMARY), params.flag("force")
        params.done()
        devices = {
            meter.config.address: meter.config.id
            for meter in self._lane.meters
            if meter.config.bus == bus.config.name and isinstance(meter.config.address, int)
        }

        def agree(there: Presence) -> None:
            for known in (there.primary, new):
                if known in devices and not force:
                    raise _configured(devices[known], known)

        def assign(session: Session) -> Presence:
            return assign_address(session, address, new, repeats=bus.config.max_retries, agree=agree)

        return then(
            self.job(bus, assign, baudrate=baudrate),
            lambda there: {
                "bus": bus.config.name,
                "meter": meter_document(there.identity),
                "address_before": there.primary,
                "address": new,
                "devices": [devices[known] for known in (there.primary, new) if known in devices],
            },
        )

    def application_reset(self, given: Document, _tell: Tell) -> Future[Document]:
        """``{bus, address, baudrate, code}`` or ``{device, code}``: an application reset (CI 50); ``code`` is optional.

        The meter begins again with its first telegram; some sub-codes choose which telegrams it sends.
        """
        params = Params(given)
        bus, address, baudrate = self._place(params)
        code = params.number("code", 0, 255, None)
        params.done()
        data = b"" if code is None else bytes((code,))

        def reset(session: Session) -> None:
            session.instruct(address, CI_APPLICATION_RESET, data, repeats=max(1, bus.config.max_retries))

        document = {"bus": bus.config.name, "address": address_text(address), "code": code}
        return then(self.job(bus, reset, baudrate=baudrate), lambda _: document)

    # -------------------------------------------------- who is meant
    def _place(self, params: Params) -> tuple[Bus, Address, int]:
        """Where somebody is: a configured device, or an address; and at what speed. Raises ``RequestError``."""
        if "device" in params:
            config = self.meter(params.text("device")).config
            bus = self.bus(config.bus)
            return bus, config.address, config.own_baudrate or bus.config.baudrate
        bus = self.bus(params.text("bus", None))
        address = params.address("address")
        if address == ANYBODY:
            raise RequestError(400, "bad_request", f"all meters hear {ANYBODY}; name one", field="address")
        return bus, address, _baudrate(params, bus)

    def bus(self, name: str | None) -> Bus:
        """The bus of that name, or the only one. Raises ``RequestError`` 404, 400."""
        return of_bus(name, {bus.config.name: bus for bus in self._lane.buses})

    def meter(self, device_id: str) -> WiredMeter:
        """The configured device of that name. Raises ``RequestError`` 404."""
        for meter in self._lane.meters:
            if meter.config.id == device_id:
                return meter
        raise RequestError(404, "unknown_device", f"there is no wired device {device_id!r}", field="device")

    def job(self, bus: Bus, run: Callable[[Session], T], *, baudrate: int) -> Future[T]:
        """``run`` in the thread of ``bus``, at ``baudrate``, before what is only due."""

        def at_its_speed(session: Session) -> T:
            with session.at(baudrate):
                return run(session)

        return bus.submit(at_its_speed, deadline_mono=self._clock.mono() + PATIENCE_S, urgency=Urgency.NOW)


def of_bus(name: str | None, known: Mapping[str, T]) -> T:
    """What belongs to the bus of that name, or to the only one. Any thread. Raises ``RequestError`` 404, 400."""
    names = ", ".join(sorted(known)) or "none"
    if name is None and len(known) == 1:
        return next(iter(known.values()))
    if name is None:
        raise RequestError(400, "bad_request", f"which bus? There are {names}", field="bus")
    if name not in known:
        raise RequestError(404, "unknown_bus", f"there is no bus {name!r}; there are {names}", field="bus")
    return known[name]


def _configured(device_id: str, address: int) -> RequestError:
    error = RequestError(
        409, "address_configured", f"the configuration has {device_id} at address {address}", field="force"
    )
    error.hint = "force: true changes it all the same; correct the configuration afterwards"
    return error


def _one_address(params: Params) -> Address:
    if params.flag("any"):
        if "address" in params:
            raise RequestError(400, "bad_request", "any is for a meter of which no address is known", field="address")
        return ANYBODY
    address = params.address("address")
    if address == ANYBODY:
        raise RequestError(
            400,
            "bad_request",
            f"all meters answer to {ANYBODY}; for one that is alone say `any` (--any) instead of an address",
            field="address",
        )
    return address


def _baudrate(params: Params, bus: Bus) -> int:
    """The speed to talk at: as asked for, or that of the bus."""
    baudrate = params.number("baudrate", BAUDRATES[0], BAUDRATES[-1], bus.config.baudrate)
    if baudrate not in BAUDRATES and baudrate != bus.config.baudrate:
        known = ", ".join(str(rate) for rate in BAUDRATES)
        raise RequestError(400, "bad_request", f"baudrate is one of {known}", field="baudrate")
    return baudrate


def _read(session: Session, address: Address, repeats: int) -> Answer:
    for attempt in range(TRIES):
        try:
            return session.read_user_data(address, repeats=repeats, reset=attempt == 1)
        except NoAnswer:
            if attempt == TRIES - 1:
                raise
        except (FrameDamaged, FrameUnexpected) as error:
            if address != ANYBODY:
                raise
            raise Collision(f"more than one meter seems to be on this bus: {error}", hint=_ALONE_HINT) from error
    raise AssertionError("the last try returns or raises")


# ------------------------------------------------------------------ documents
def readout_document(
    answer: Answer, read_at: datetime, *, bus: str, address: Address, device: str | None = None
) -> dict[str, Any]:
    """What was read, in the form of ``mbusgw decode --json``, and who was asked. Any thread. Raises ``DecodeError``.

    ``frames`` holds the telegrams as they came, in hex.
    """
    return {
        **telegram_document(decode_answer(answer)),
        "device": device,
        "bus": bus,
        "address": address_text(address),
        "read_at": iso(read_at),
        "frames": [frame.hex() for frame in answer.frames],
        "complete": answer.complete,
    }


def address_text(address: Address) -> int | str:
    """An address as documents write it: a number, or the 16 digits of a secondary one."""
    return str(address) if isinstance(address, SecondaryAddress) else address


def _meter_document(meter: WiredMeter, readout: Readout) -> dict[str, Any]:
    config = meter.config
    return readout_document(
        readout.answer, readout.read_at, bus=config.bus, address=config.address, device=config.id
    )
