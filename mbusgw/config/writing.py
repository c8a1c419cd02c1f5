"""YAML for people to read and paste."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

_WIDTH = 120


def as_yaml(document: Mapping[str, Any]) -> str:
    """``document`` in its own order, letters of every alphabet as they are. **any thread**"""
    return str(yaml.safe_dump(document, allow_unicode=True, sort_keys=False, width=_WIDTH))
