"""How we are, as one document: for ``GET /health``, ``bridge/health`` and the log."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from mbusgw.runtime.clock import iso


class Status(str, Enum):
    """healthy; degraded: works, but not wholly; unhealthy: does not do its work."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"


#: From good to bad.
ORDER = (Status.HEALTHY, Status.DEGRADED, Status.UNHEALTHY)


def worst(statuses: list[Status]) -> Status:
    """The worst of them; of none, healthy."""
    return max(statuses, key=ORDER.index, default=Status.HEALTHY)


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What one check found; ``detail`` is a sentence for a person. **immutable**"""

    status: Status
    detail: str = ""


@dataclass(frozen=True, slots=True)
class HealthReport:
    """All checks at one time. ``started_at`` is aware UTC, ``uptime_s`` in whole seconds. **immutable**

    ``last_error``: ``at`` and ``message`` of what last stopped to be healthy in this run, also when it is again.
    ``messages_waiting``: for the broker.
    """

    components: Mapping[str, CheckResult]
    version: str
    started_at: datetime
    uptime_s: int
    meters_online: int
    meters_known: int
    messages_waiting: int = 0
    last_error: Mapping[str, str] | None = None

    @property
    def status(self) -> Status:
        """That of the worst component."""
        return worst([result.status for result in self.components.values()])

    def document(self) -> dict[str, Any]:
        """The form in which it is sent."""
        return {
            "status": self.status.value,
            "components": {
                name: {"status": result.status.value, "detail": result.detail}
                for name, result in self.components.items()
            },
            "version": self.version,
            "started_at": iso(self.started_at),
            "uptime_s": self.uptime_s,
            "meters_online": self.meters_online,
            "meters_known": self.meters_known,
            "messages_waiting": self.messages_waiting,
            "last_error": dict(self.last_error) if self.last_error is not None else None,
        }
