"""A configuration whose gateway does not run, for the tools that do without it."""
from __future__ import annotations

from pathlib import Path

from mbusgw.simulator.segment import Segment
from tests.mosquitto import free_port
from tests.simulator.wire import FAST


def written_config(folder: Path, segment: Segment, devices: str, *, bus: str = "", buses: str = "") -> Path:
    """A file with the bus ``main`` (``bus``: more keys of it), further ``buses`` and ``devices``: lines of YAML."""
    file = folder / "mbusgw.yaml"
    file.write_text(
        f"http: {{listen: '127.0.0.1:{free_port()}'}}\n"  # on which no gateway answers
        f"buses:\n  - {{name: main, port: '{segment.port}', baudrate: {FAST}{bus}}}  # the cellar\n{buses}"
        f"devices:\n{devices}"
    )
    return file
