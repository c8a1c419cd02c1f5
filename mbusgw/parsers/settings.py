"""What the back ends are told by the configuration."""
from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class LobaroSettings:
    """Where the service is and how it is asked. **immutable**

    ``endpoint`` is ``meterData`` (domain model) or ``mbus`` (records). ``tries`` counts the first one.
    ``patience_s`` is how long a telegram waits for its turn; where our own decoder is at hand, hardly.
    """

    url: str
    token: str | None = field(default=None, repr=False)
    endpoint: str = "meterData"
    timeout_s: float = 10.0
    connect_timeout_s: float = 5.0
    tries: int = 3
    per_second: float = 10.0
    parallel: int = 2
    patience_s: float = 10.0
    first_pause_s: float = 0.5
    max_pause_s: float = 10.0


@dataclass(frozen=True, slots=True)
class WmbusmetersSettings:
    """The program, and how long it may take for a telegram. **immutable**"""

    command: str = "wmbusmeters"
    timeout_s: float = 5.0
    first_pause_s: float = 1.0
    max_pause_s: float = 300.0


@dataclass(frozen=True, slots=True)
class BackendSettings:
    """Which back end, and what it needs; ``wmbusmeters`` None: not used. **immutable**"""

    backend: str = "lobaro_then_local"
    lobaro: LobaroSettings = field(default_factory=lambda: LobaroSettings("https://platform.lobaro.com"))
    mapping_file: Path | None = None
    wmbusmeters: WmbusmetersSettings | None = None
