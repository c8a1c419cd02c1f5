"""May work be sent our way? The document of ``GET /healthz``."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Readiness:
    """Broker, parser, queues. **immutable**

    ``parser_reachable`` is what the last calls of the parser showed, not a call of its own; None where
    telegrams are decoded locally or nobody has asked yet. ``queues``: name -> waiting items.
    """

    mqtt_connected: bool
    parser_reachable: bool | None
    queues: Mapping[str, int]

    @property
    def ready(self) -> bool:
        """What comes in now would go out soon."""
        return self.mqtt_connected and self.parser_reachable is not False

    def document(self) -> dict[str, Any]:
        """The form in which it is sent."""
        return {
            "status": "ready" if self.ready else "unavailable",
            "mqtt_connected": self.mqtt_connected,
            "parser_reachable": self.parser_reachable,
            "queues": dict(self.queues),
        }
