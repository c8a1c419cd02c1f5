"""USB serial adapters that can be plugged in and pulled out, since a test machine has none."""
from __future__ import annotations

import os
from pathlib import Path

from mbusgw.transports.enumerate import UsbPort


class Adapters:
    """A list of USB ports as ``usb_ports`` gives it, for names (links) that a test makes. **any thread**"""

    def __init__(self) -> None:
        self._plugged: dict[str, UsbPort] = {}

    def plug(self, name: str | Path, number: str = "", *, location: str = "1-1", make: int = 0x6001) -> UsbPort:
        """An adapter appears behind ``name``; the kernel's name is what a link points to."""
        port = UsbPort(os.path.realpath(name), 0x0403, make, number, location, "/0")
        self._plugged[str(name)] = port
        return port

    def pull(self, name: str | Path) -> None:
        """The adapter behind ``name`` goes."""
        del self._plugged[str(name)]

    def __call__(self) -> list[UsbPort]:
        return list(self._plugged.values())
