"""Which serial ports there are, which USB adapter is behind each, and who holds one."""
from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serial.tools import list_ports

from mbusgw.model.errors import TransportOpenFailed

#: Names that level converters get: USB adapters, USB modems, the UART of a Raspberry Pi.
PATTERNS = ("ttyUSB*", "ttyACM*", "ttyAMA*", "ttyXRUSB*", "ttySC*", "serial0")


@dataclass(frozen=True, slots=True)
class UsbPort:
    """A serial port behind USB, and what tells its adapter from others. **immutable**

    ``number``: the adapter's USB serial number, ``""`` if it has none. ``location``: the socket it is plugged
    into, such as ``1-1.4``. ``part``: which one, of an adapter with several ports.
    """

    device: str
    vid: int
    pid: int
    number: str
    location: str
    part: str

    def __str__(self) -> str:
        number = f"serial number {self.number}" if self.number else f"no serial number, in socket {self.location}"
        return f"USB adapter {self.vid:04x}:{self.pid:04x}, {number}"


#: Lists the serial ports behind USB. Raises ``TransportOpenFailed`` where that cannot be said just now.
ListUsbPorts = Callable[[], list[UsbPort]]


def usb_ports(comports: Callable[[], Iterable[Any]] = list_ports.comports) -> list[UsbPort]:
    """The serial ports behind USB that are plugged in now. Any thread.

    Raises ``TransportOpenFailed`` when an adapter came or went meanwhile.
    """
    try:
        return [_usb_port(info) for info in comports() if info.vid is not None and info.pid is not None]
    except (OSError, TypeError, ValueError) as error:  # pyserial reads None where a file has just gone
        raise TransportOpenFailed("the serial ports are changing just now") from error


def _usb_port(info: Any) -> UsbPort:
    # With several interfaces the location names the one, "1-1.4:1.2"; several ports on one interface have a number.
    location, _, interface = (info.location or "").partition(":")
    part = f"{interface}/{_port_number(getattr(info, 'device_path', None))}"
    return UsbPort(info.device, info.vid, info.pid, info.serial_number or "", location, part)


def _port_number(device_path: str | None) -> str:
    try:
        return Path(device_path or "", "port_number").read_text(encoding="ascii").strip() if device_path else ""
    except OSError:  # an adapter with one port
        return ""


def present_ports(dev: Path = Path("/dev")) -> list[str]:
    """The serial ports of this machine, those with a lasting name (``/dev/serial/by-id``) first. Any thread."""
    lasting = sorted(dev.glob("serial/by-id/*"))
    named = {link.resolve() for link in lasting}
    plain = sorted({port for pattern in PATTERNS for port in dev.glob(pattern)})
    return [str(port) for port in lasting + [port for port in plain if port.resolve() not in named]]


def holders(path: str, proc: Path = Path("/proc")) -> list[str]:
    """Which other processes have ``path`` open, as ``name (pid 123)``. Any thread.

    Only those that we may look into: all for root, the own user's otherwise.
    """
    device = os.path.realpath(path)
    found = []
    for process in _processes(proc):
        if int(process.name) != os.getpid() and device in _open_files(process):
            found.append(f"{process_name(int(process.name), proc) or '?'} (pid {process.name})")
    return found


def _processes(proc: Path) -> Iterable[Path]:
    try:
        return [entry for entry in proc.iterdir() if entry.name.isdigit()]
    except OSError:
        return []


def _open_files(process: Path) -> set[str]:
    try:
        descriptors = list((process / "fd").iterdir())
    except OSError:  # another user's process, or it has just ended
        return set()
    return {target for target in map(_target, descriptors) if target}


def _target(descriptor: Path) -> str:
    try:
        return os.readlink(descriptor)
    except OSError:
        return ""


def process_name(pid: int, proc: Path = Path("/proc")) -> str:
    """The command that runs as process ``pid``; ``""`` if it is gone or hidden from us. Any thread."""
    try:
        return (proc / str(pid) / "comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
