"""What all tests share: the optional data folder, a broker, and the rule that nothing outlives its test."""
from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.daemon import end_all
from tests.fakes.clock import FakeClock
from tests.mosquitto import Mosquitto
from tests.wait import wait_until

# How long an example takes says nothing on a busy machine. `make test` draws the same examples each time: what it says
# of a change is about that change. `make explore` draws new ones.
settings.register_profile("explore", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.register_profile("same", settings.get_profile("explore"), derandomize=True, database=None)
settings.load_profile("same")

# Tests that a shell runs in the background have SIGINT ignored, and would hand that on to the processes they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

#: Real frames and telegrams; tests that use them skip where the folder is absent.
DATA = Path(__file__).resolve().parents[1].parent / "shared" / "data"


@pytest.fixture
def data_folder() -> Path:
    """The folder of recorded frames and telegrams, or a skip."""
    if not DATA.is_dir():
        pytest.skip("the folder of recorded frames is not here")
    return DATA


@pytest.fixture
def clock() -> FakeClock:
    """A clock that goes when the test says so."""
    return FakeClock()


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker of the test's own."""
    folder = tmp_path / "mosquitto"
    folder.mkdir()
    broker = Mosquitto(folder)
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def no_daemon_outlives_its_test(mosquitto: Mosquitto) -> Iterator[None]:
    """Ends the daemons that a failed test has left, before their broker ends."""
    yield
    end_all()


@pytest.fixture(autouse=True)
def no_thread_outlives_its_test() -> Iterator[None]:
    """Fails the test that leaves a thread behind."""
    before = set(threading.enumerate())
    yield

    def left() -> list[str]:
        return [thread.name for thread in threading.enumerate() if thread not in before and thread.is_alive()]

    wait_until(lambda: not left(), what=lambda: f"threads still run: {left()}")
