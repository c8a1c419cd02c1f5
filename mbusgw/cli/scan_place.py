"""Where a scan without a gateway was broken off: a small file in the user's own folder."""
from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

from mbusgw.runtime import exactjson


def keep_place(port: str, place: dict[str, Any]) -> None:
    """For the next ``--resume`` on that port; where it cannot be written, there is none."""
    file = _file(port)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(exactjson.dumps(place), encoding="utf-8")
    except OSError:
        return


def kept_place(port: str) -> dict[str, Any] | None:
    """What was kept; None if there is nothing that can be understood."""
    try:
        place = exactjson.loads(_file(port).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return place if isinstance(place, dict) else None


def forget_place(port: str) -> None:
    """The scan has come to its end."""
    try:
        _file(port).unlink(missing_ok=True)
    except OSError:
        return


def _file(port: str) -> Path:
    folder = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    return Path(folder, "mbusgw", f"scan-{hashlib.sha256(port.encode()).hexdigest()[:16]}.json")
