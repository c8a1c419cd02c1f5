"""Which USB adapter a bus talks through, whatever its port is called today.

The kernel gives ``/dev/ttyUSB0`` to whoever comes first. An adapter that was unplugged may come back under another
name, and another adapter may have got its old one: behind that one are other meters with the same addresses.
"""
from __future__ import annotations

import os

from mbusgw.model.errors import AdapterChanged, TransportOpenFailed
from mbusgw.transports.enumerate import ListUsbPorts, UsbPort, usb_ports

#: Adapters without a number of their own are told apart by the socket only. One of the same make under the
#: configured name, in another socket, is taken for ours that was moved, if ours does not appear for so long:
#: longer than any bus needs to take its own adapter back after a hub was switched on.
MOVED_AFTER_S = 10.0


class Adapter:
    """The adapter behind ``port``, remembered from the last time it was open. **own thread**

    Ports that are no USB adapter's, and URLs, are always found under their own name.
    """

    def __init__(self, port: str, *, ports: ListUsbPorts = usb_ports) -> None:
        self.port = port
        self._ports = ports
        self._known: UsbPort | None = None
        self._by_number = False
        self._expected: UsbPort | None = None
        self._stranger_mono: float | None = None

    @property
    def known(self) -> UsbPort | None:
        """The adapter that was open last, as it was then."""
        return self._known

    def find(self, now_mono: float) -> str:
        """The name under which the port is to be opened now: the configured one, or where the adapter is instead.

        Raises ``AdapterChanged`` when the adapter is away and another one has the configured name, and
        ``TransportOpenFailed`` when it cannot be told just now. ``now_mono``: seconds of a clock that never jumps.
        """
        self._expected = None
        if self._known is None:
            return self.port
        ports = self._ports()
        here = _behind(self.port, ports)
        found = self._search(self._known, ports)
        if found is None and here is None and not os.path.exists(self.port):
            self._stranger_mono = None
            return self.port  # nobody is there: the opening will say so
        if found is None and here is not None and self._was_moved(self._known, here, now_mono):
            found = here
        if found is None:
            raise self._changed(here)
        self._expected = found
        return self.port if found == here else found.device

    def opened(self, name: str) -> None:
        """``name`` is open: remembers what is behind it.

        Raises ``AdapterChanged`` if that is not what ``find`` has found; nothing may be sent there then.
        """
        self._stranger_mono = None
        if "://" in name:
            return
        try:
            ports = self._ports()
        except TransportOpenFailed:  # others come or go just now; what we know stays as it was
            return
        here = _behind(name, ports)
        if self._expected is not None and here != self._expected:
            raise self._changed(here)
        if here is not None:
            self._remember(here, ports)

    def _remember(self, here: UsbPort, ports: list[UsbPort]) -> None:
        # Some makers give all their adapters the same number, which then tells nothing.
        by_number = bool(here.number) and sum(_same(here, port, by_number=True) for port in ports) == 1
        by_socket = sum(_same(here, port, by_number=False) for port in ports) == 1
        self._by_number = by_number
        self._known = here if by_number or by_socket else None

    def _search(self, known: UsbPort, ports: list[UsbPort]) -> UsbPort | None:
        found = [port for port in ports if _same(known, port, by_number=self._by_number)]
        if len(found) > 1:  # a twin with the same number has come since: only the socket can tell
            found = [port for port in found if port.location == known.location]
        return found[0] if len(found) == 1 else None

    def _was_moved(self, known: UsbPort, here: UsbPort, now_mono: float) -> bool:
        if self._by_number or not _same_make(known, here) or here.number != known.number:
            return False
        if self._stranger_mono is None:
            self._stranger_mono = now_mono
        return now_mono - self._stranger_mono >= MOVED_AFTER_S

    def _changed(self, here: UsbPort | None) -> AdapterChanged:
        hint = "plug the old one in again, or, if it was replaced on purpose: systemctl reload mbusgw"
        return AdapterChanged(f"{self.port} is now {here or 'another port'}; before it was {self._known}", hint=hint)


def _behind(name: str, ports: list[UsbPort]) -> UsbPort | None:
    device = os.path.realpath(name)
    return next((port for port in ports if os.path.realpath(port.device) == device), None)


def _same(one: UsbPort, other: UsbPort, *, by_number: bool) -> bool:
    if by_number:
        return _same_make(one, other) and one.number == other.number
    return _same_make(one, other) and one.location == other.location


def _same_make(one: UsbPort, other: UsbPort) -> bool:
    return (one.vid, one.pid, one.part) == (other.vid, other.pid, other.part)
