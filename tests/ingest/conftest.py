"""The wireless lane from intake to outbox, with a real store and a back end that does as it is told."""
from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mbusgw.config.models import HomeAssistantConfig, MqttConfig
from mbusgw.ingest.backlog import LOOK_S, Backlog
from mbusgw.ingest.fleet import Fleet
from mbusgw.ingest.intake import Intake
from mbusgw.ingest.parsing import TelegramParser
from mbusgw.ingest.pool import ParseWorker
from mbusgw.ingest.reasons import Reasons
from mbusgw.ingest.receptions import Receptions
from mbusgw.model.guests import GuestList
from mbusgw.model.submission import Submission
from mbusgw.mqtt.states import StateRecorder
from mbusgw.mqtt.telegrams import TelegramMessages
from mbusgw.mqtt.topics import Topics
from mbusgw.parsers.base import ParserBackend
from mbusgw.registry.registry import Registry
from mbusgw.runtime.clock import Clock
from mbusgw.runtime.metrics import Metrics
from mbusgw.store import outbox, telegrams
from mbusgw.store.keyring import Keyring
from mbusgw.store.vault import PLAIN
from mbusgw.store.writer import Store
from tests.fakes.backends import ScriptedBackend
from tests.fakes.clock import FakeClock
from tests.fakes.stores import one, rows, running_store, write

RAW = bytes(range(30))


def submission(number: int = 0, **more: Any) -> Submission:
    """Telegrams of different numbers differ."""
    return Submission(**{"gateway_id": "gw1", "raw": RAW + bytes([number]), **more})


class Lane:
    """The parts of the wireless lane, put together as the house does."""

    def __init__(self, store: Store, clock: Clock, backend: ParserBackend, **options: Any) -> None:
        self.store = store
        self.clock = clock
        self.backend = backend
        self.metrics = Metrics()
        self.guests: GuestList = options.pop("guests", GuestList())
        self.registry = Registry(clock, radio_ttl_s=3600, guests=self.guests)
        self.fleet = Fleet(clock)
        self.receptions = Receptions(self.registry.heard)
        self.reasons = Reasons()
        topics = Topics(MqttConfig(), HomeAssistantConfig())
        self.messages = TelegramMessages(topics)
        self.delivery = StateRecorder(self.registry, store, topics, clock=clock)
        self.backlog = Backlog(clock)
        self.keyring = Keyring(store, options.pop("vault", PLAIN), clock=clock)
        self.keyring.ring = self.backlog.ring
        self.max_outbox = options.pop("max_outbox", 1000)
        self.strict_keys = options.pop("strict_keys", True)
        self.restart(self.guests)
        self.intake = Intake(
            store,
            self.messages,
            self.backlog.ring,
            dedup_window_s=options.pop("dedup_window_s", 300.0),
            max_backlog=options.pop("max_backlog", 1000),
            max_outbox=self.max_outbox,
            receptions=self.receptions,
            fleet=self.fleet,
            metrics=self.metrics,
            clock=clock,
            vault=self.keyring.vault,
        )
        self.confirm_later = options.pop("confirm_later", False)
        assert not options

    def restart(self, guests: GuestList) -> None:
        """The parsers begin anew, with another list of meters."""
        self.guests = guests
        self.parser = TelegramParser(
            self.backend,
            self.keyring,
            guests=guests,
            receptions=self.receptions,
            strict_keys=self.strict_keys,
        )

    def worker(self, number: int = 1) -> ParseWorker:
        """One more parser thread; the caller stops it."""
        return ParseWorker(
            number,
            self.backlog,
            self.store,
            self.parser,
            messages=self.messages,
            delivery=self.delivery,
            receptions=self.receptions,
            reasons=self.reasons,
            max_outbox=self.max_outbox,
            keyring=self.keyring,
            metrics=self.metrics,
            clock=self.clock,
            confirm_later=self.confirm_later,
        )

    def accept(self, *submissions: Submission) -> list[str]:
        """Ingest ids of what was taken in."""
        return [answer.ingest_id for answer in self.intake.accept(submissions or [submission()])]

    def work(self) -> int:
        """Parses, in this thread, all that is due now; says how many steps that took."""
        assert isinstance(self.clock, FakeClock)
        worker = self.worker()
        worker.setup()
        steps = 0
        try:
            while self.due():
                self.clock.advance(LOOK_S)
                worker.step()
                steps += 1
                assert steps < 100, "it goes round in circles"
        finally:
            worker.teardown()
        return steps

    def due(self) -> list[str]:
        """What waits for the parser now."""
        reader = self.store.reader()
        try:
            return telegrams.due(reader, self.clock.now(), 1000)
        finally:
            reader.close()

    # -------------------------------------------------- what came of it
    def status(self, ingest_id: str) -> str:
        return str(one(self.store, "SELECT status FROM telegrams WHERE ingest_id = ?", ingest_id))

    def sent(self, part: str = "oms/") -> list[tuple[str, dict[str, Any]]]:
        """Topic and document of every JSON message in the outbox whose topic has ``part``."""
        found = rows(self.store, "SELECT topic, payload FROM mqtt_queue WHERE instr(topic, ?) ORDER BY id", part)
        return [(topic, json.loads(payload)) for topic, payload in found]

    def acknowledge_all(self) -> None:
        """The broker takes everything that waits."""
        ids = [row[0] for row in rows(self.store, "SELECT id FROM mqtt_queue")]
        write(self.store, outbox.acknowledged(ids, self.clock.now()))


@pytest.fixture
def backend() -> ScriptedBackend:
    return ScriptedBackend()


@pytest.fixture
def store(tmp_path: Path, clock: FakeClock) -> Iterator[Store]:
    with running_store(tmp_path / "mbusgw.db", clock) as store:
        yield store


@pytest.fixture
def lane(store: Store, clock: FakeClock, backend: ScriptedBackend) -> Lane:
    return Lane(store, clock, backend)
