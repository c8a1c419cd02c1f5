"""The main thread: from the start to the request that ends a run."""
from __future__ import annotations

import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import SimpleQueue

import pytest

from mbusgw.app.gateway import Gateway
from mbusgw.app.reload import Outcome
from mbusgw.app.signals import Control, Controls, ReloadRequest, listen
from mbusgw.app.stages import Stages
from mbusgw.config.models import Config
from mbusgw.model.command import Document
from mbusgw.model.errors import ConfigError, ConfigUnchanged, MbusgwError, Problem, StoreError, StoreFull
from mbusgw.runtime.ending import Part
from mbusgw.runtime.notify import ServiceManager
from mbusgw.wired.lane import LaneChange
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


OLD, NEW = Config(), Config.model_validate({"gateway": {"id": "other"}})
REFUSED = ConfigError([Problem("mbusgw.yaml", 3, "mqtt.qos", "must be at most 2")])


class Reloads:
    """Answers reloads one after the other, and keeps whether they were asked for."""

    def __init__(self, *answers: Outcome | ConfigError) -> None:
        self.answers = list(answers)
        self.asked: list[bool] = []

    def __call__(self, *, asked: bool, anew: bool) -> Outcome:
        self.asked.append(asked)
        if anew:
            return Outcome(OLD, anew=True)
        answer = self.answers.pop(0)
        if isinstance(answer, ConfigError):
            raise answer
        return answer


IN_PLACE = Outcome(OLD, frozenset({"devices"}), LaneChange(added=("meter_2",)))
ANEW = Outcome(NEW, frozenset({"gateway.id"}), restart=("gateway.id",))


def gateway(
    diary: list[str],
    *reloads: Outcome | ConfigError,
    prepare_fails: bool = False,
    full: int = 0,
    file_changed: Callable[[], bool] = lambda: False,
    keep: list[Reloads] | None = None,
    waiting_room: Part | None = None,
) -> Gateway:
    def prepare() -> None:
        diary.append("prepared")
        if prepare_fails:
            raise StoreError("the database cannot be opened")
        if diary.count("prepared") <= full:
            raise StoreFull("the database cannot grow", hint="make room")

    answers = Reloads(*reloads)
    if keep is not None:
        keep.append(answers)
    return Gateway(
        Stages([]),
        prepare=prepare,
        close=lambda: diary.append("closed"),
        status=lambda: "2 of 3 meters online",
        service=ServiceManager(),
        file_changed=file_changed,
        reload=answers,
        waiting_room=waiting_room,
    )


def controls(*wanted: Control | ReloadRequest) -> Controls:
    queue: Controls = SimpleQueue()
    for control in wanted:
        queue.put(control)
    return queue


def test_it_is_ready_once_started_and_closes_at_the_end(systemd: Systemd) -> None:
    diary: list[str] = []
    assert gateway(diary).run(controls(Control.STOP)) is None
    assert diary == ["prepared", "closed"]
    ready, *_, stopping = systemd.heard()
    assert ready == "READY=1\nSTATUS=2 of 3 meters online"
    assert stopping.startswith("STOPPING=1")


def test_a_configuration_that_needs_a_new_start_ends_the_run_but_is_no_stop(systemd: Systemd) -> None:
    diary: list[str] = []
    assert gateway(diary, ANEW).run(controls(Control.RELOAD)) is NEW
    assert diary == ["prepared", "closed"]
    heard = systemd.heard()
    assert not [text for text in heard if "STOPPING" in text]
    assert heard[-1].startswith("RELOADING=1"), "the next run says when it is ready"


def test_what_is_taken_over_in_place_is_told_to_the_service_manager_and_it_goes_on(systemd: Systemd) -> None:
    diary: list[str] = []
    before_us = time.monotonic_ns() // 1000
    assert gateway(diary, IN_PLACE).run(controls(Control.RELOAD, Control.STOP)) is None
    assert diary == ["prepared", "closed"], "once"
    _, reloading, ready, stopping = systemd.heard()
    words = dict(line.split("=") for line in reloading.splitlines())
    assert words["RELOADING"] == "1" and before_us <= int(words["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000
    assert ready.startswith("READY=1") and stopping.startswith("STOPPING=1")


def test_a_configuration_that_is_refused_leaves_it_running(
    caplog: pytest.LogCaptureFixture, systemd: Systemd
) -> None:
    assert gateway([], REFUSED).run(controls(Control.RELOAD, Control.STOP)) is None
    assert "the old one stays in force: mbusgw.yaml:3: mqtt.qos" in caplog.text
    assert [text[:7] for text in systemd.heard()] == ["READY=1", "RELOADI", "READY=1", "STOPPIN"]


@pytest.mark.slow
def test_a_file_that_has_changed_is_taken_over_without_being_asked() -> None:
    looks = iter([False, True])
    kept: list[Reloads] = []
    run = gateway([], ANEW, file_changed=lambda: next(looks), keep=kept).run(controls())
    assert run is NEW and kept[0].asked == [False]


def test_who_waits_for_a_reload_is_told_what_it_did() -> None:
    request = ReloadRequest()
    kept: list[Reloads] = []
    assert gateway([], IN_PLACE, keep=kept).run(controls(request, Control.STOP)) is None
    assert request.future.result(0)["devices"]["added"] == ["meter_2"]
    assert kept[0].asked == [True]


def test_who_waits_is_answered_before_a_new_start() -> None:
    request = ReloadRequest()
    assert gateway([], ANEW).run(controls(request)) is NEW
    assert request.future.result(0)["restart"] == ["gateway.id"]


def test_a_change_of_the_file_comes_before_the_reload_and_its_answer_is_part_of_the_whole() -> None:
    request = ReloadRequest(lambda: {"added": ["meter_2"]})
    kept: list[Reloads] = []
    gateway([], IN_PLACE, keep=kept).run(controls(request, Control.STOP))
    assert request.future.result(0)["added"] == ["meter_2"] and request.future.result(0)["changed"] == ["devices"]
    assert kept[0].asked == [False], "an adapter that is away is not meant by it"


def test_a_change_of_the_file_that_is_refused_is_followed_by_no_reload() -> None:
    def refuse() -> Document:
        raise ConfigUnchanged("not writable")

    wrong, cancelled = ReloadRequest(refuse), ReloadRequest()
    cancelled.future.cancel()
    kept: list[Reloads] = []
    gateway([], keep=kept).run(controls(wrong, cancelled, Control.STOP))
    assert isinstance(wrong.future.exception(0), ConfigUnchanged) and kept[0].asked == []


def test_who_waits_for_a_file_that_is_wrong_is_told_why() -> None:
    request = ReloadRequest()
    gateway([], REFUSED).run(controls(request, Control.STOP))
    assert request.future.exception(0) is REFUSED


def test_a_start_that_fails_closes_what_was_opened(systemd: Systemd) -> None:
    diary: list[str] = []
    with pytest.raises(StoreError):
        gateway(diary, prepare_fails=True).run(controls())
    assert diary == ["prepared", "closed"]
    assert not [text for text in systemd.heard() if "READY" in text]


def test_a_start_waits_while_the_disk_is_full(systemd: Systemd, caplog: pytest.LogCaptureFixture) -> None:
    diary: list[str] = []
    # A reload asked for meanwhile needs no answer: the file has just been read.
    run = gateway(diary, full=2).run(controls(Control.RELOAD, Control.RELOAD, Control.STOP))
    assert run is None and diary == ["prepared", "prepared", "prepared", "closed"]
    assert [text.split("=")[0] for text in systemd.heard()] == ["EXTEND_TIMEOUT_USEC"] * 2 + ["READY", "STOPPING"]
    assert caplog.text.count("waits: the database cannot grow (make room)") == 1
    assert "there is room on the disk again" in caplog.text


class WaitingRoom:
    """Notes what is done with it."""

    name, thread_id = "waiting room", None

    def __init__(self, diary: list[str], *, taken: bool = False) -> None:
        self._diary = diary
        self._taken = taken

    def start(self) -> None:
        self._diary.append("opened")
        if self._taken:
            raise MbusgwError("the port is taken")

    def stop(self) -> None:
        self._diary.append("shut")

    def join(self, timeout: float) -> bool:
        return timeout > 0


@pytest.mark.parametrize("taken", [False, True])
def test_while_it_waits_for_room_a_stand_in_answers_on_its_port(systemd: Systemd, taken: bool) -> None:
    diary: list[str] = []
    room = WaitingRoom(diary, taken=taken)
    gateway(diary, full=2, waiting_room=room).run(controls(Control.RELOAD, Control.RELOAD, Control.STOP))
    assert diary == ["prepared", "opened", "prepared", "prepared", "shut", "closed"]


def test_a_start_that_waits_for_room_can_be_stopped(systemd: Systemd) -> None:
    diary: list[str] = []
    assert gateway(diary, full=9).run(controls(Control.STOP)) is None
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


def test_a_new_start_that_is_asked_for_comes_though_nothing_has_changed() -> None:
    request = ReloadRequest(anew=True)
    assert gateway([]).run(controls(request)) is OLD
    assert request.future.result(0)["restart"] == []
