"""What all sections of a configuration have in common."""
from __future__ import annotations

from typing import Annotated
from urllib.parse import SplitResult

from pydantic import BaseModel, ConfigDict, Field

Count = Annotated[int, Field(ge=1)]


class Section(BaseModel):
    """A part of the configuration. **immutable**"""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


def check_exclusive(section: Section, first: str, second: str) -> None:
    """Raises ``ValueError`` where both keys are given. **any thread**"""
    if getattr(section, first) is not None and getattr(section, second) is not None:
        raise ValueError(f"{first} and {second} exclude each other")


def check_port(parts: SplitResult) -> None:
    """Raises ``ValueError`` when what follows the host's colon is no port."""
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise ValueError("the port behind the host must be a number from 1 to 65535")
