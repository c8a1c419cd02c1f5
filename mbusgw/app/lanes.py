"""What a reading passes in this house: the wired and the wireless lane, what both stand on, the way out."""
from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from mbusgw.commands.desk import Desk
from mbusgw.config.master_key import find_master_key
from mbusgw.config.models import Config
from mbusgw.ingest.backlog import Backlog
from mbusgw.ingest.confirmer import Confirmer
from mbusgw.ingest.fleet import Fleet
from mbusgw.ingest.intake import Intake
from mbusgw.ingest.keys import ProvenKeys
from mbusgw.ingest.pool import ParseWorker, format_name
from mbusgw.ingest.receptions import Receptions
from mbusgw.ingest.signatures import FormatWatch
from mbusgw.model.guests import Guest, GuestList
from mbusgw.mqtt.announcer import Announcer
from mbusgw.mqtt.client import Broker, Incoming
from mbusgw.mqtt.commands import MqttCommands
from mbusgw.mqtt.controls import Live
from mbusgw.mqtt.discovery import Discovery
from mbusgw.mqtt.pulse import Pulse
from mbusgw.mqtt.sender import Sender
from mbusgw.mqtt.states import StateRecorder
from mbusgw.mqtt.telegrams import TelegramMessages
from mbusgw.mqtt.topics import Topics
from mbusgw.outputs.couriers import Couriers
from mbusgw.parsers.base import ParserBackend
from mbusgw.parsers.chain import LobaroThenLocal, Parts, build_backend
from mbusgw.parsers.formats import MOST_FORMATS, FormatMemory
from mbusgw.parsers.settings import BackendSettings, LobaroSettings, WmbusmetersSettings
from mbusgw.registry import quarantine_log
from mbusgw.registry.changes import DeadBands
from mbusgw.registry.plausibility import Guard
from mbusgw.registry.registry import Registry
from mbusgw.registry.unmet import UnmetWishes
from mbusgw.runtime.breaker import BreakerState, CircuitBreaker
from mbusgw.runtime.clock import Clock
from mbusgw.runtime.metrics import Metrics
from mbusgw.runtime.worker import Worker
from mbusgw.store import confirmations
from mbusgw.store import formats as formats_on_disk
from mbusgw.store import telegrams
from mbusgw.store.janitor import Janitor
from mbusgw.store.keyring import Keyring
from mbusgw.store.mappings import Mappings
from mbusgw.store.vault import Vault
from mbusgw.store.writer import Store
from mbusgw.wired.finds import Finds
from mbusgw.wired.lane import WiredLane

#: While the Lobaro API is away one telegram asks again so often, which finds out that it is back.
LOBARO_PAUSE_MAX_S = 60.0
#: How long a telegram waits for its turn at the Lobaro API where our own decoder can take it at once.
OWN_DECODER_S = 0.25


# ------------------------------------------------------------------ what everything stands on
@dataclass(frozen=True, slots=True)
class Base:
    """What we were asked, what we know, and what must not be forgotten. **immutable**"""

    config: Config
    clock: Clock
    metrics: Metrics
    store: Store
    janitor: Janitor
    registry: Registry
    topics: Topics
    recorder: StateRecorder
    keyring: Keyring
    mappings: Mappings


def build_base(config: Config, clock: Clock) -> Base:
    """Opens nothing but the master key's file."""
    store = Store(config.storage.path, clock=clock)
    janitor = Janitor(
        store,
        clock=clock,
        keep_readings_s=config.storage.keep_readings,
        keep_telegrams_s=config.storage.keep_telegrams,
    )
    registry = Registry(
        clock,
        radio_ttl_s=config.ingest.offline_after,
        radio_intervals=config.ingest.offline_intervals,
        guests=guest_list(config),
        is_quiet=lambda moment: any(hours.hold(moment.astimezone()) for hours in config.ingest.quiet),
        guard=Guard(config.plausibility),
        dead_bands=DeadBands(config.changes.dead_bands),
    )
    registry.observe(quarantine_log.changed)
    registry.expect_guests()
    registry.observe(UnmetWishes().changed)
    topics = Topics(config.mqtt, config.homeassistant)
    recorder = StateRecorder(registry, store, topics, clock=clock, max_history=config.mqtt.max_history)
    keyring = Keyring(store, open_vault(config, os.environ), clock=clock)
    return Base(config, clock, Metrics(), store, janitor, registry, topics, recorder, keyring, Mappings(store, clock))


def guest_list(config: Config) -> GuestList:
    """The radio meters that the configuration speaks of."""
    return GuestList(
        [
            Guest(
                one.radio,
                one.id,
                one.name or one.id,
                one.hidden,
                frozenset(one.gateways) if one.gateways else None,
                one.wishes,
            )
            for one in config.radio_devices
        ],
        listed_only=config.ingest.announce == "listed",
    )


def open_vault(config: Config, environ: Mapping[str, str]) -> Vault:
    """What seals the meters' keys, with the master key of the configuration or of systemd."""
    master = find_master_key(config.storage.master_key_file, environ)
    return Vault(master.key, trouble=master.trouble)


# ------------------------------------------------------------------ the way out
@dataclass(frozen=True, slots=True)
class WayOut:
    """Broker and Home Assistant. **immutable**"""

    broker: Broker
    sender: Sender
    pulse: Pulse
    announcer: Announcer | None
    commands: MqttCommands | None

    @property
    def workers(self) -> list[Worker]:
        """Its threads, but for paho's."""
        optional: list[Worker | None] = [self.announcer, self.commands]
        return [self.sender, self.pulse, *(worker for worker in optional if worker is not None)]

    def connected(self) -> None:
        """paho's thread: the broker has accepted us; this only posts."""
        self.pulse.greet()
        if self.announcer is not None:
            self.announcer.everything()
        self.sender.ring()

    def received(self, message: Incoming) -> None:
        """paho's thread: a message came; this only posts."""
        self.pulse.contradict(message)
        if self.announcer is not None:
            self.announcer.birth(message)
        if self.commands is not None:
            self.commands.received(message)


def build_way_out(base: Base, interval_s: Callable[[str], float | None], desk: Desk, live: Live) -> WayOut:
    """Connects nothing. ``interval_s``: how often a wired meter is read, for whom it may ask at any time; what is
    asked over MQTT is asked of ``desk``."""
    config, clock = base.config, base.clock
    broker = Broker(
        config.mqtt,
        config.client_id,
        clock=clock,
        will=(base.topics.bridge_state, "offline"),
        subscriptions=[
            *([config.homeassistant.status_topic] if config.homeassistant.enabled else []),
            *([base.topics.request("+")] if config.mqtt.commands else []),
        ],
    )
    sender = Sender(broker, base.store, metrics=base.metrics, clock=clock)
    base.store.on_commit(sender.committed)
    broker.on_ack = sender.acknowledged
    pulse = Pulse(
        base.registry, base.recorder, broker, base.store, base.topics, heartbeat_s=config.mqtt.heartbeat, clock=clock
    )
    announcer = _announcer(base, interval_s, live) if config.homeassistant.enabled else None
    if announcer is not None:
        base.registry.observe(announcer.changed)
    commands = MqttCommands(desk, broker, base.topics, clock=clock) if config.mqtt.commands else None
    out = WayOut(broker, sender, pulse, announcer, commands)
    broker.on_up, broker.on_message = out.connected, out.received
    return out


def _announcer(base: Base, interval_s: Callable[[str], float | None], live: Live) -> Announcer:
    config = base.config
    discovery = Discovery(
        base.topics,
        gateway_id=config.gateway.id,
        language=config.gateway.language,
        expire_after_s=config.homeassistant.expire_after,
        live=live,
        commands=config.mqtt.commands,
    )
    return Announcer(
        discovery,
        base.registry,
        base.recorder,
        base.store,
        status_topic=config.homeassistant.status_topic,
        interval_s=interval_s,
        clock=base.clock,
        topics=base.topics,
        live=live,
    )


def build_outputs(base: Base) -> Couriers:
    """What readings are handed to besides MQTT. Hidden meters stay hidden there too."""

    def hides(device_id: str) -> bool:
        state = base.registry.get(device_id)
        return state is not None and state.hidden

    config = base.config
    return Couriers(
        config.outputs,
        base.store,
        gateway_id=config.gateway.id,
        hides=hides,
        metrics=base.metrics,
        clock=base.clock,
    )


# ------------------------------------------------------------------ the lanes
@dataclass(frozen=True, slots=True)
class WirelessLane:
    """From a gateway's POST to a reading. ``stop`` ends a wait for the Lobaro API. **immutable**"""

    intake: Intake
    fleet: Fleet
    backlog: Backlog
    parsers: Sequence[ParseWorker]
    backend: ParserBackend
    formats: FormatMemory
    lobaro: CircuitBreaker
    confirmer: Confirmer | None
    stop: threading.Event

    @property
    def workers(self) -> list[Worker]:
        """Its threads, but for those of HTTP."""
        return [*self.parsers, self.confirmer] if self.confirmer is not None else list(self.parsers)

    def farewell(self, _for_good: bool) -> None:
        """The main thread, before the lane closes: nobody waits for the Lobaro API any more."""
        self.stop.set()


def build_wireless_lane(base: Base) -> WirelessLane:
    """Raises ``ConfigError`` for a mapping file that cannot be used."""
    config, clock, metrics = base.config, base.clock, base.metrics

    def recall() -> None:
        base.store.submit(telegrams.recall(clock.now()), confirmations.recall(clock.now()))

    fleet, receptions = Fleet(clock), Receptions(base.registry.heard)
    base.registry.observe(FormatWatch(metrics).changed)
    stop, lobaro = threading.Event(), CircuitBreaker(clock, max_pause_s=LOBARO_PAUSE_MAX_S, on_close=recall)
    formats = FormatMemory(on_new=partial(_format_heard, base))
    parts = Parts(
        stop.wait,
        clock,
        formats=formats,
        breaker=lobaro,
        on_result=metrics.lobaro_request,
        on_wmbusmeters=metrics.wmbusmeters_request,
        mapping=base.mappings,
    )
    backend = _backend(config, parts)
    backlog = Backlog(clock)
    base.keyring.ring = backlog.ring
    messages, proven = TelegramMessages(base.topics), ProvenKeys()
    parsers = [
        ParseWorker(
            number,
            backlog,
            base.store,
            backend,
            messages=messages,
            delivery=base.recorder,
            receptions=receptions,
            guests=base.registry.guests,
            max_outbox=config.mqtt.max_queue,
            keyring=base.keyring,
            proven=proven,
            strict_keys=config.ingest.key_policy == "strict",
            metrics=metrics,
            clock=clock,
            confirm_later=config.lobaro.confirm_later,
        )
        for number in range(1, config.parser.n_workers + 1)
    ]
    intake = Intake(
        base.store,
        messages,
        backlog.ring,
        dedup_window_s=config.ingest.dedup_window if config.ingest.dedup else None,
        max_backlog=config.ingest.max_backlog,
        max_outbox=config.mqtt.max_queue,
        receptions=receptions,
        fleet=fleet,
        metrics=metrics,
        clock=clock,
        vault=base.keyring.vault,
    )
    confirmer = _confirmer(base, backend, lobaro, messages)
    return WirelessLane(intake, fleet, backlog, parsers, backend, formats, lobaro, confirmer, stop)


def _confirmer(
    base: Base, backend: ParserBackend, lobaro: CircuitBreaker, messages: TelegramMessages
) -> Confirmer | None:
    """Only where two are asked one after the other, and somebody wants it."""
    if not base.config.lobaro.confirm_later or not isinstance(backend, LobaroThenLocal):
        return None
    return Confirmer(
        base.store,
        backend.service,
        backend.own,
        messages=messages,
        keyring=base.keyring,
        open_for_calls=lambda: lobaro.state is not BreakerState.OPEN,
        max_outbox=base.config.mqtt.max_queue,
        metrics=base.metrics,
        clock=base.clock,
    )


def _format_heard(base: Base, signature: int, format_bytes: bytes) -> None:
    """A parser thread heard a new format: it is kept, and compact frames that wait for it are due. Never blocks."""
    now = base.clock.now()
    base.store.submit(
        formats_on_disk.keep(signature, format_bytes, now, most=MOST_FORMATS),
        telegrams.arrived(format_name(signature), now),
    )


def _backend(config: Config, parts: Parts) -> ParserBackend:
    token, program = config.lobaro.token, config.parser.wmbusmeters
    settings = BackendSettings(
        backend=config.parser.backend,
        lobaro=LobaroSettings(
            url=config.lobaro.url,
            token=token.get_secret_value() if token else None,
            endpoint=config.lobaro.endpoint,
            timeout_s=config.lobaro.timeout,
            connect_timeout_s=config.lobaro.connect_timeout,
            tries=config.lobaro.tries,
            per_second=config.lobaro.rate,
            parallel=config.lobaro.max_parallel,
            patience_s=OWN_DECODER_S if config.parser.backend == "lobaro_then_local" else config.lobaro.timeout,
        ),
        mapping_file=config.lobaro.mapping_file,
        wmbusmeters=WmbusmetersSettings(program.command, program.timeout) if program.enabled else None,
    )
    return build_backend(settings, parts)


def build_wired_lane(base: Base) -> WiredLane:
    """Every meter is known to the registry from now on."""
    config = base.config
    return WiredLane(
        config.buses,
        config.wired_devices,
        registry=base.registry,
        delivery=base.recorder,
        metrics=base.metrics,
        clock=base.clock,
        finds=Finds(base.clock, base.store),
    )
