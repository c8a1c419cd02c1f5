"""At what speed a meter is spoken to that has one of its own, or shall take one."""
from __future__ import annotations

import logging
from collections.abc import Callable

from mbusgw.mbus.answer import Answer
from mbusgw.mbus.session import Session
from mbusgw.model.address import Address
from mbusgw.model.errors import LinkError, NoAnswer
from mbusgw.runtime.clock import Clock

log = logging.getLogger(__name__)

#: A meter that does not follow is read at the bus' own speed for so long before it is asked again.
REFUSED_S = 3600.0

#: Reads; told whether the link must be initialised first.
Read = Callable[[bool], Answer]


class MeterSpeed:
    """Reads one meter at its own speed, whatever that of its bus is. **own thread** of the bus

    Without ``switch`` the meter lives at ``baudrate``. With it, it lives at the bus' speed and is told to change
    when it is silent at ``baudrate``: the first time, and whenever it went back because nobody spoke to it (2 to
    10 minutes by the standard). One that does not follow is read at the bus' speed.
    """

    def __init__(self, device_id: str, baudrate: int | None, *, switch: bool, clock: Clock) -> None:
        self._device_id = device_id
        self._baudrate = baudrate
        self._switch = switch
        self._clock = clock
        self._refused_until_mono = 0.0
        self._said = False
        self.used: int | None = None  # any thread: the speed of the last answer

    def read(self, session: Session, address: Address, read: Read, *, reset: bool) -> Answer:
        """What ``read`` gives, called at the right speed. Raises what it raises."""
        own = self._baudrate
        if own is None or own == session.baudrate or self._clock.mono() < self._refused_until_mono:
            answer, used = read(reset), session.baudrate
        elif self._switch:
            answer, used = self._read_switched(session, own, address, read, reset=reset)
        else:
            with session.at(own):
                answer, used = read(reset), own
        self.used = used
        return answer

    def _read_switched(
        self, session: Session, own: int, address: Address, read: Read, *, reset: bool
    ) -> tuple[Answer, int]:
        if self.used != session.baudrate:
            try:
                with session.at(own):
                    return read(reset), own
            except NoAnswer:  # it went back, or was never told
                self.used = None
        if self._told(session, own, address):
            try:
                with session.at(own):
                    return read(True), own
            except LinkError as error:
                log.debug("%s acknowledged %d baud, but: %s", self._device_id, own, error)
        answer = read(reset)
        self._refused(own, session.baudrate)
        return answer, session.baudrate

    def _told(self, session: Session, own: int, address: Address) -> bool:
        """Whether the meter acknowledged the change. It did not if it is away, or at its new speed already."""
        try:
            session.switch_baudrate(address, own)
        except LinkError:
            return False
        return True

    def _refused(self, own: int, instead: int) -> None:
        """It answers at the bus' speed, and only there."""
        self._refused_until_mono = self._clock.mono() + REFUSED_S
        level = logging.DEBUG if self._said else logging.WARNING
        log.log(level, "%s does not follow to %d baud and is read at %d", self._device_id, own, instead)
        self._said = True
