"""How long a local port holds a byte back before it passes it on."""
from __future__ import annotations

import os
from pathlib import Path

SYSFS = Path("/sys/class/tty")

#: Of a port that passes each byte on at once. Not what the scheduler takes before we look: what came in time is there
#: then all the same.
PROMPT_SLACK_S = 0.004
#: Of one that tells when it passes on, on top of that: a frame of USB (1 ms), the host's controller and its driver.
USB_S = 0.003
#: Of any other: a UART with a FIFO waits for four bytes more, which is 18 ms at 2400 baud; below that speed Linux has
#: it pass on each byte.
UNKNOWN_SLACK_S = 0.020


def latency_timer(port: str, sysfs: Path | None = None) -> Path | None:
    """The file that says for how many milliseconds the USB adapter behind ``port`` collects bytes (FTDI's do, 16 ms
    where nobody has changed it); None where there is none. Any thread."""
    file = _attribute(port, "device/latency_timer", sysfs)
    return file if file.exists() else None


def _attribute(port: str, name: str, sysfs: Path | None) -> Path:
    return (sysfs or SYSFS) / os.path.basename(os.path.realpath(port)) / name


def is_pty(port: str) -> bool:
    """A pseudo terminal: memory, no wire. Any thread."""
    return os.path.realpath(port).startswith("/dev/pts/")


def slack_s(port: str, sysfs: Path | None = None) -> float | None:
    """How much later than on the wire a byte may reach us through the local ``port``; None where nobody says.
    Any thread."""
    timer = latency_timer(port, sysfs)
    if timer is not None:
        try:
            return max(PROMPT_SLACK_S, int(timer.read_text(encoding="ascii")) / 1000 + USB_S)
        except (OSError, ValueError):  # it was just unplugged
            return None
    return PROMPT_SLACK_S if is_pty(port) or _passes_each_byte_on(port, sysfs) else None


def _passes_each_byte_on(port: str, sysfs: Path | None) -> bool:
    """A UART of the 8250 family that was told so (``rx_trig_bytes``, which root may write)."""
    try:
        return int(_attribute(port, "rx_trig_bytes", sysfs).read_text(encoding="ascii")) == 1
    except (OSError, ValueError):
        return False
