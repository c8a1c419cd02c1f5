"""The main thread: from the start to the request that ends a run."""
from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue

import pytest

from mbusgw.app.gateway import Gateway
from mbusgw.app.signals import Control, Controls, listen
from mbusgw.app.stages import Stages
from mbusgw.model.errors import ConfigError, Problem, StoreError
from mbusgw.runtime.notify import ServiceManager
from tests.wait import PATIENCE_S


class Systemd:
    """The other end of the notify socket."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.setblocking(False)

    def heard(self) -> list[str]:
        found = []
        try:
            while True:
                found.append(self._socket.recv(4096).decode())
        except BlockingIOError:
            return found

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Systemd]:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    manager = Systemd(tmp_path / "notify")
    yield manager
    manager.close()


def gateway(diary: list[str], *, prepare_fails: bool = False) -> Gateway:
    def prepare() -> None:
        diary.append("prepared")
        if prepare_fails:
            raise StoreError("the database cannot be opened")

    return Gateway(
        Stages([]),
        prepare=prepare,
        close=lambda: diary.append("closed"),
        status=lambda: "2 of 3 meters online",
        service=ServiceManager(),
    )


def controls(*wanted: Control) -> Controls:
    queue: Controls = SimpleQueue()
    for control in wanted:
        queue.put(control)
    return queue


def test_it_is_ready_once_started_and_closes_at_the_end(systemd: Systemd) -> None:
    diary: list[str] = []
    assert gateway(diary).run(controls(Control.STOP), lambda control: True) is Control.STOP
    assert diary == ["prepared", "closed"]
    ready, *_, stopping = systemd.heard()
    assert ready == "READY=1\nSTATUS=2 of 3 meters online"
    assert stopping.startswith("STOPPING=1")


def test_a_reload_is_no_stop_for_the_service_manager(systemd: Systemd) -> None:
    assert gateway([]).run(controls(Control.RELOAD), lambda control: True) is Control.RELOAD
    assert not [text for text in systemd.heard() if "STOPPING" in text]


def test_a_request_that_is_refused_leaves_it_running(caplog: pytest.LogCaptureFixture) -> None:
    def accept(control: Control) -> bool:
        if control is Control.RELOAD:
            raise ConfigError([Problem("mbusgw.yaml", 3, "mqtt.qos", "must be at most 2")])
        return True

    assert gateway([]).run(controls(Control.RELOAD, Control.STOP), accept) is Control.STOP
    assert "reload refused: mbusgw.yaml:3: mqtt.qos" in caplog.text


def test_a_start_that_fails_closes_what_was_opened(systemd: Systemd) -> None:
    diary: list[str] = []
    with pytest.raises(StoreError):
        gateway(diary, prepare_fails=True).run(controls(), lambda control: True)
    assert diary == ["prepared", "closed"]
    assert not [text for text in systemd.heard() if "READY" in text]


@pytest.mark.parametrize(
    ("number", "wanted"),
    [(signal.SIGTERM, Control.STOP), (signal.SIGINT, Control.STOP), (signal.SIGHUP, Control.RELOAD)],
)
def test_a_signal_becomes_a_request(number: signal.Signals, wanted: Control) -> None:
    before = {one: signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    queue: Controls = SimpleQueue()
    try:
        listen(queue)
        signal.raise_signal(number)
        assert queue.get(timeout=PATIENCE_S) is wanted
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
