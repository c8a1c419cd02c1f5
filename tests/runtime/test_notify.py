"""What systemd is told."""
from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mbusgw.runtime.notify import ServiceManager
from tests.wait import PATIENCE_S


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """The other end of ``NOTIFY_SOCKET``."""
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind(str(path))
        end.settimeout(PATIENCE_S)
        monkeypatch.setenv("NOTIFY_SOCKET", str(path))
        yield end


def test_ready_status_watchdog_reloading_and_stopping_reach_systemd(systemd: socket.socket) -> None:
    manager = ServiceManager()
    manager.ready("3 meters")
    assert systemd.recv(500) == b"READY=1\nSTATUS=3 meters"
    manager.status("broker away,\n 12 messages wait")
    assert systemd.recv(500) == b"STATUS=broker away, 12 messages wait", "a status is one line"
    manager.watchdog()
    assert systemd.recv(500) == b"WATCHDOG=1"
    manager.reloading()
    first, second, third = systemd.recv(500).decode().splitlines()
    assert (first, third) == ("RELOADING=1", "STATUS=reloading")
    assert 0 <= time.monotonic_ns() // 1000 - int(second.removeprefix("MONOTONIC_USEC=")) < 60e6
    manager.stopping()
    assert systemd.recv(500) == b"STOPPING=1\nSTATUS=stopping"


def test_without_systemd_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    manager = ServiceManager()
    manager.ready("x")
    manager.watchdog()


def test_a_systemd_that_went_away_does_no_harm(systemd: socket.socket) -> None:
    manager = ServiceManager()
    systemd.close()
    manager.watchdog()


@pytest.mark.parametrize(
    ("usec", "pid", "interval_s"),
    [
        ("120000000", None, 120.0),
        ("120000000", str(os.getpid()), 120.0),
        ("120000000", "1", None),
        ("0", None, None),
        ("soon", None, None),
        (None, None, None),
    ],
    ids=["any process", "this process", "another process", "off", "no number", "not set"],
)
def test_the_watchdog_interval_is_that_of_the_unit_and_of_this_process(
    usec: str | None, pid: str | None, interval_s: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("WATCHDOG_USEC", usec), ("WATCHDOG_PID", pid)):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    assert ServiceManager.watchdog_interval_s() == interval_s


def test_a_manager_that_does_not_read_holds_nobody(systemd: socket.socket) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.connect(systemd.getsockname())
        other.setblocking(False)
        with pytest.raises(BlockingIOError):
            while True:
                other.send(b"STATUS=more than it reads")
    ServiceManager().status("this one is not heard, and that is all")
    assert b"this one" not in systemd.recv(500)


def test_a_start_that_takes_longer_asks_for_time(systemd: socket.socket) -> None:
    ServiceManager().waiting("no room")
    assert systemd.recv(500) == b"EXTEND_TIMEOUT_USEC=30000000\nSTATUS=no room"
