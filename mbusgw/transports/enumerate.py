"""Which serial ports there are, and who holds one: what an error message can say beyond "no"."""
from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

#: Names that level converters get: USB adapters, USB modems, the UART of a Raspberry Pi.
PATTERNS = ("ttyUSB*", "ttyACM*", "ttyAMA*", "ttyXRUSB*", "ttySC*", "serial0")


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
            found.append(f"{_name(process)} (pid {process.name})")
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


def _name(process: Path) -> str:
    try:
        return (process / "comm").read_text(encoding="utf-8", errors="replace").strip() or "?"
    except OSError:
        return "?"
