"""What is said of a configuration that is refused."""
from __future__ import annotations

import pytest

from mbusgw.config.loader import loads
from mbusgw.model.errors import ConfigError, Problem


def problems(text: str, **environ: str) -> list[Problem]:
    """All that is wrong with the file of this ``text``."""
    with pytest.raises(ConfigError) as caught:
        loads(text, environ, source="f.yaml")
    return caught.value.problems


def only(text: str, **environ: str) -> Problem:
    """The one thing that is wrong with it."""
    found = problems(text, **environ)
    assert len(found) == 1, found
    return found[0]
