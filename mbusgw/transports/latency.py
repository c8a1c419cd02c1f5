"""How long a local port holds a byte back before it passes it on."""
from __future__ import annotations

import os
from pathlib import Path

SYSFS = Path("/sys/class/tty")

#: Of a port that passes each byte on at once: what a busy scheduler takes.
PROMPT_SLACK_S = 0.010
#: Of one that tells when it passes on, on top of that: a frame of USB (1 ms), and the scheduler.
SCHEDULER_S = 0.004
#: Of any other: a UART with a FIFO waits for four bytes more, which is 18 ms at 2400 baud; below that speed Linux has
#: it pass on each byte.
UNKNOWN_SLACK_S = 0.020


def latency_timer(port: str, sysfs: Path | None = None) -> Path | None:
    """The file that says for how many milliseconds the USB adapter behind ``port`` collects bytes (FTDI's do, 16 ms
    where nobody has changed it); None where there is none. Any thread."""
    file = (sysfs or SYSFS) / os.path.basename(os.path.realpath(port)) / "device/latency_timer"
    return file if file.exists() else None


def is_pty(port: str) -> bool:
    """A pseudo terminal: memory, no wire. Any thread."""
    return os.path.realpath(port).startswith("/dev/pts/")


def slack_s(port: str, sysfs: Path | None = None) -> float:
    """How much later than on the wire a byte may reach us through the local ``port``. Any thread."""
    timer = latency_timer(port, sysfs)
    if timer is not None:
        try:
            return max(PROMPT_SLACK_S, int(timer.read_text(encoding="ascii")) / 1000 + SCHEDULER_S)
        except (OSError, ValueError):  # it was just unplugged
            return UNKNOWN_SLACK_S
    return PROMPT_SLACK_S if is_pty(port) else UNKNOWN_SLACK_S
