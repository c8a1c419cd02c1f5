"""The service manager: READY, RELOADING, STOPPING, STATUS, WATCHDOG (sd_notify(3)). The home of sdnotify."""
from __future__ import annotations

import os
import time

import sdnotify

#: A start that waits asks for so much more time, again and again.
EXTENSION_S = 30
#: A manager that does not read what it is sent holds nobody longer than this.
SEND_TIMEOUT_S = 1.0


class ServiceManager:
    """Tells systemd how we are; silent where there is no ``NOTIFY_SOCKET``. **any thread**"""

    def __init__(self) -> None:
        self._notifier = sdnotify.SystemdNotifier()
        if self._notifier.socket is not None:
            self._notifier.socket.settimeout(SEND_TIMEOUT_S)

    def ready(self, status: str) -> None:
        """Start-up is complete."""
        self._notifier.notify(f"READY=1\nSTATUS={_one_line(status)}")

    def status(self, status: str) -> None:
        """One line for ``systemctl status``."""
        self._notifier.notify(f"STATUS={_one_line(status)}")

    def waiting(self, status: str) -> None:
        """The start takes longer, and is no failure; to be said again within ``EXTENSION_S``."""
        self._notifier.notify(f"EXTEND_TIMEOUT_USEC={EXTENSION_S * 1_000_000}\nSTATUS={_one_line(status)}")

    def reloading(self) -> None:
        """A changed configuration is being taken over; ``ready`` must follow, whatever becomes of it."""
        self._notifier.notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}\nSTATUS=reloading")

    def stopping(self) -> None:
        """The ordered stop begins."""
        self._notifier.notify("STOPPING=1\nSTATUS=stopping")

    def watchdog(self) -> None:
        """The work makes progress."""
        self._notifier.notify("WATCHDOG=1")

    @staticmethod
    def watchdog_interval_s() -> float | None:
        """How often ``watchdog`` must be called at the least, or None where nobody watches (sd_watchdog_enabled(3))."""
        pid = os.environ.get("WATCHDOG_PID")
        microseconds = os.environ.get("WATCHDOG_USEC", "")
        if not microseconds.isdigit() or int(microseconds) == 0 or (pid and pid != str(os.getpid())):
            return None
        return int(microseconds) / 1e6


def _one_line(text: str) -> str:
    return " ".join(text.split())
