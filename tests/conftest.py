"""What all tests share: the optional data folder, and the rule that no thread outlives its test."""
from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.wait import wait_until

#: Real frames and telegrams; tests that use them skip where the folder is absent.
DATA = Path(__file__).resolve().parents[1].parent / "shared" / "data"


@pytest.fixture
def data_folder() -> Path:
    """The folder of recorded frames and telegrams, or a skip."""
    if not DATA.is_dir():
        pytest.skip("the folder of recorded frames is not here")
    return DATA


@pytest.fixture(autouse=True)
def no_thread_outlives_its_test() -> Iterator[None]:
    """Fails the test that leaves a thread behind."""
    before = set(threading.enumerate())
    yield

    def left() -> list[str]:
        return [thread.name for thread in threading.enumerate() if thread not in before and thread.is_alive()]

    wait_until(lambda: not left(), timeout=5, what=lambda: f"threads still run: {left()}")
