"""The watchdog, against a real socket of the service manager."""
from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mbusgw.health.watchdog import Watchdog
from mbusgw.runtime.clock import SystemClock
from mbusgw.runtime.notify import ServiceManager
from mbusgw.runtime.stalls import stack_of, where_everybody_is
from mbusgw.runtime.worker import Worker
from tests.health.fakes import Idle, TurnedClock
from tests.wait import PATIENCE_S, wait_until


class Systemd:
    """The receiving end of ``NOTIFY_SOCKET``."""

    def __init__(self, path: Path) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(str(path))
        self.sock.setblocking(False)

    def received(self) -> list[str]:
        messages = []
        while True:
            try:
                messages.append(self.sock.recv(4096).decode())
            except BlockingIOError:
                return messages


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Systemd]:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    manager = Systemd(tmp_path / "notify")
    yield manager
    manager.sock.close()


@pytest.fixture
def clock() -> TurnedClock:
    return TurnedClock()


def watchdog(clock: TurnedClock | SystemClock, *watched: Worker, interval_s: float | None = 120) -> Watchdog:
    return Watchdog(ServiceManager(), clock, interval_s=interval_s, watched=lambda: watched)


def test_it_is_sent_at_half_the_interval_while_everybody_makes_progress(systemd: Systemd, clock: TurnedClock) -> None:
    worker = Idle("busy", clock, limit_s=30)
    dog = watchdog(clock, worker)
    sent_at = []
    for second in range(0, 301, 10):
        worker.heartbeat.beat()
        assert dog.look()
        if systemd.received() == ["WATCHDOG=1"]:
            sent_at.append(second)
        clock.turn(10)
    assert sent_at == [0, 60, 120, 180, 240, 300]


def test_it_is_withheld_while_one_stalls_and_sent_at_once_when_it_goes_on(
    systemd: Systemd, clock: TurnedClock, caplog: pytest.LogCaptureFixture
) -> None:
    busy, stuck = Idle("busy", clock, limit_s=1000), Idle("stuck", clock, limit_s=30)
    dog = watchdog(clock, busy, stuck)
    assert dog.look()
    assert systemd.received() == ["WATCHDOG=1"]
    with caplog.at_level(logging.INFO, logger="mbusgw.health"):
        for _ in range(10):
            clock.turn(20)
            dog.look()
        assert len(systemd.received()) == 0
        stuck.heartbeat.beat()
        assert dog.look()
    assert systemd.received() == ["WATCHDOG=1"]
    assert [record.levelname for record in caplog.records] == ["ERROR", "INFO"]
    assert caplog.records[0].getMessage().startswith("stuck makes no progress for 40 s; it stands here:")
    assert caplog.records[1].getMessage() == "stuck goes on after a stall of 200 s"


def test_the_stack_of_the_one_that_hangs_is_logged(
    systemd: Systemd, clock: TurnedClock, caplog: pytest.LogCaptureFixture
) -> None:
    release, waiting = threading.Event(), threading.Event()

    class Hanging(Worker):
        def step(self) -> None:
            self.hang_about_here()

        def hang_about_here(self) -> None:
            waiting.set()
            release.wait(PATIENCE_S)

    worker = Hanging("hanging", clock, limit_s=5)
    worker.start()
    assert waiting.wait(PATIENCE_S)
    clock.turn(6)
    assert not watchdog(clock, worker).look()
    release.set()
    worker.stop()
    assert worker.join(PATIENCE_S)
    assert "hang_about_here" in caplog.text
    assert "MainThread" in caplog.text
    assert systemd.received() == []


def test_without_a_service_manager_stalls_are_named_all_the_same(
    clock: TurnedClock, caplog: pytest.LogCaptureFixture
) -> None:
    worker = Idle("stuck", clock, limit_s=5)
    clock.turn(6)
    assert not watchdog(clock, worker, interval_s=None).look()
    assert "stuck makes no progress" in caplog.text
    assert "the thread does not run" in caplog.text


def test_a_short_interval_is_met_by_the_running_thread(systemd: Systemd) -> None:
    clock = SystemClock()
    dog = watchdog(clock, interval_s=0.2)
    dog.start()
    received: list[str] = []
    wait_until(lambda: received.extend(systemd.received()) or len(received) >= 4)
    dog.stop()
    assert dog.join(PATIENCE_S)
    assert set(received) == {"WATCHDOG=1"}


def test_stacks_and_places_of_threads_are_told() -> None:
    own = stack_of(threading.get_ident())
    assert "test_stacks_and_places_of_threads_are_told" in own
    assert "MainThread: where_everybody_is" in where_everybody_is()
    assert "does not run" in stack_of(None)
