"""The whole house, built in one place that reads from top to bottom. Nothing runs before ``Gateway.run``."""
from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from functools import partial

from mbusgw import __version__
from mbusgw.app.documents import Documents
from mbusgw.app.gateway import Gateway
from mbusgw.app.memory import Memory
from mbusgw.app.stages import Stage, Stages
from mbusgw.config.models import BusConfig, Config, DeviceConfig
from mbusgw.health import checks
from mbusgw.health.checks import Check
from mbusgw.health.monitor import HealthMonitor
from mbusgw.health.watchdog import Watchdog
from mbusgw.ingest.backlog import Backlog
from mbusgw.ingest.intake import Intake
from mbusgw.ingest.keys import KeyRing
from mbusgw.ingest.outcomes import Outcomes
from mbusgw.ingest.pool import ParseWorker
from mbusgw.model.errors import MbusgwError
from mbusgw.mqtt.announcer import Announcer
from mbusgw.mqtt.client import Broker
from mbusgw.mqtt.discovery import Discovery
from mbusgw.mqtt.pulse import Pulse
from mbusgw.mqtt.sender import Sender
from mbusgw.mqtt.states import StateRecorder
from mbusgw.mqtt.telegrams import TelegramMessages
from mbusgw.mqtt.topics import Topics
from mbusgw.parsers.base import ParserBackend
from mbusgw.parsers.chain import build_backend
from mbusgw.parsers.settings import BackendSettings, LobaroSettings
from mbusgw.registry.registry import Registry
from mbusgw.runtime.breaker import BreakerState, CircuitBreaker
from mbusgw.runtime.clock import Clock
from mbusgw.runtime.metrics import Metrics
from mbusgw.runtime.notify import ServiceManager
from mbusgw.runtime.worker import Worker
from mbusgw.store.janitor import Janitor
from mbusgw.store.writer import Store
from mbusgw.web.auth import GatewayKeys
from mbusgw.web.conversations import Timing
from mbusgw.web.probes import ProbeRoutes, index_route
from mbusgw.web.router import Router
from mbusgw.web.server import HttpServer
from mbusgw.web.telegrams import TelegramRoutes
from mbusgw.wired.bus import Bus
from mbusgw.wired.meter import WiredMeter

#: How long requests in hand may take to be answered at a stop.
HTTP_BUDGET_S = 0.5
#: How long what waits may still go out at a stop.
FLUSH_S = 1.0


def build(config: Config, *, clock: Clock, service: ServiceManager) -> Gateway:
    """A gateway for ``config``; opens and starts nothing."""
    stop = threading.Event()
    metrics = Metrics()
    buses_by_name = {bus.name: bus for bus in config.buses}
    devices = [device for device in config.devices if device.enabled]
    intervals = {device.id: interval_s(device, buses_by_name[device.bus]) for device in devices}

    # What we know, and what must not be forgotten.
    store = Store(config.storage.path, clock=clock)
    registry = Registry(clock, radio_ttl_s=config.ingest.offline_after)
    for device in devices:
        registry.expect(
            device.id, name=device.name or device.id, ttl_s=ttl_s(intervals[device.id], buses_by_name[device.bus])
        )
    janitor = Janitor(
        store,
        clock=clock,
        keep_readings_s=config.storage.keep_readings,
        keep_telegrams_s=config.storage.keep_telegrams,
    )

    # The way out.
    topics = Topics(config.mqtt, config.homeassistant)
    recorder = StateRecorder(registry, store, topics, clock=clock)
    broker = Broker(
        config.mqtt,
        config.client_id,
        clock=clock,
        will=(topics.bridge_state, "offline"),
        subscriptions=[config.homeassistant.status_topic] if config.homeassistant.enabled else [],
    )
    sender = Sender(broker, store, metrics=metrics, clock=clock)
    store.on_commit(sender.ring)
    broker.on_ack = sender.ring
    pulse = Pulse(registry, recorder, broker, store, topics, heartbeat_s=config.mqtt.heartbeat, clock=clock)
    announcer = _announcer(config, registry, recorder, store, topics, intervals, clock)
    broker.on_up = partial(_broker_is_up, sender, pulse, announcer)
    if announcer is not None:
        broker.on_message = announcer.birth
        registry.observe(announcer.changed)

    # The wireless lane.
    breaker = CircuitBreaker(clock)
    backlog = Backlog(clock)
    messages = TelegramMessages(topics)
    parsers = _parsers(config, backlog, store, _backend(config, breaker, metrics, clock, stop), messages, recorder,
                       metrics, clock)
    intake = Intake(
        store,
        messages,
        backlog.ring,
        dedup_window_s=config.ingest.dedup_window if config.ingest.dedup else None,
        max_backlog=config.ingest.max_backlog,
        max_outbox=config.mqtt.max_queue,
        metrics=metrics,
        clock=clock,
    )

    # The wired lane.
    buses = [Bus(bus, clock=clock) for bus in config.buses]
    meters = _meters(devices, buses, recorder, registry, metrics, clock)

    # Who looks, and who may look.
    documents = Documents(
        registry,
        store,
        broker,
        buses,
        meters,
        parser_reachable=partial(_parser_reachable, config, breaker),
        parser_queue=backlog.__len__,
        clock=clock,
    )
    documents.add_gauges(metrics)

    def workers() -> Sequence[Worker]:
        always: list[Worker] = [store, sender, pulse, janitor, *parsers, *buses, *meters, *server.workers]
        return [*always, announcer] if announcer is not None else always

    table = _checks(config, store, broker, buses, breaker, workers)
    table["http"] = checks.connection(f"HTTP on {config.http.listen}", lambda: bool(server.workers))
    monitor = HealthMonitor(
        table,
        clock,
        interval_s=config.health.interval,
        version=__version__,
        meters=documents.meters,
        heartbeat_file=config.health.heartbeat_file,
        workers=workers,
        metrics=metrics,
        publish=lambda report: recorder.publish_report(report.document()),
    )
    watchdog = Watchdog(service, clock, interval_s=service.watchdog_interval_s(), watched=workers)
    probes = ProbeRoutes(
        health=lambda: monitor.report().document(),
        readiness=documents.readiness,
        state=documents.state,
        metrics=metrics.render,
    )
    gateways = GatewayKeys({name: key.get_secret_value() for name, key in config.ingest.keys.items()})
    ingress = TelegramRoutes(
        gateways, intake.accept, Outcomes(store, clock).wait, clock=clock, metrics=metrics
    )
    routes = [*ingress.routes(), *probes.routes()]
    router = Router([*routes, index_route(routes, __version__)])
    server = HttpServer(
        config.http.host,
        config.http.port,
        router.answer,
        clock=clock,
        together=ingress,
        workers=config.http.workers,
        timing=Timing(drain_s=HTTP_BUDGET_S - 0.1),
    )

    # Started in this order, stopped in the reverse.
    memory = Memory(config, registry, recorder, store, clock=clock)
    out: list[Worker | Broker] = [sender, pulse, broker] if announcer is None else [sender, pulse, announcer, broker]
    stages = Stages(
        [
            Stage("store", [store, janitor], 1.0),
            Stage("way out", out, 0.8, farewell=partial(_farewell, broker, sender, topics.bridge_state)),
            Stage("parsers", parsers, 0.8, farewell=lambda _for_good: stop.set()),
            Stage("wired lane", [*buses, *meters], 0.8),
            Stage("HTTP", [server], HTTP_BUDGET_S, optional=True),
            Stage("watchers", [monitor, watchdog], 0.3),
        ]
    )
    return Gateway(stages, prepare=memory.load, close=store.close, status=documents.status_line, service=service)


def interval_s(device: DeviceConfig, bus: BusConfig) -> float:
    """How often a wired meter is read."""
    return device.interval or bus.scan_interval


def ttl_s(interval: float, bus: BusConfig) -> float:
    """How long a wired meter may be silent: one that is read once an hour is not offline after 90 seconds."""
    return max(bus.device_offline_timeout, 3 * interval)


# ------------------------------------------------------------------ parts
def _announcer(
    config: Config,
    registry: Registry,
    recorder: StateRecorder,
    store: Store,
    topics: Topics,
    intervals: dict[str, float],
    clock: Clock,
) -> Announcer | None:
    if not config.homeassistant.enabled:
        return None
    discovery = Discovery(
        topics,
        gateway_id=config.gateway.id,
        language=config.gateway.language,
        expire_after_s=config.homeassistant.expire_after,
    )
    return Announcer(
        discovery,
        registry,
        recorder,
        store,
        status_topic=config.homeassistant.status_topic,
        interval_s=intervals.get,
        clock=clock,
    )


def _backend(
    config: Config, breaker: CircuitBreaker, metrics: Metrics, clock: Clock, stop: threading.Event
) -> ParserBackend:
    token = config.lobaro.token
    settings = BackendSettings(
        backend=config.parser.backend,
        lobaro=LobaroSettings(
            url=config.lobaro.url,
            token=token.get_secret_value() if token else None,
            endpoint=config.lobaro.endpoint,
            timeout_s=config.lobaro.timeout,
        ),
        mapping_file=config.lobaro.mapping_file,
    )
    return build_backend(
        settings, breaker=breaker, clock=clock, wait=stop.wait, on_result=metrics.lobaro_request
    )


def _parsers(
    config: Config,
    backlog: Backlog,
    store: Store,
    backend: ParserBackend,
    messages: TelegramMessages,
    recorder: StateRecorder,
    metrics: Metrics,
    clock: Clock,
) -> list[ParseWorker]:
    return [
        ParseWorker(
            number,
            backlog,
            store,
            backend,
            keys=KeyRing(),
            messages=messages,
            delivery=recorder,
            max_outbox=config.mqtt.max_queue,
            strict_keys=config.ingest.key_policy == "strict",
            metrics=metrics,
            clock=clock,
        )
        for number in range(1, config.parser.n_workers + 1)
    ]


def _meters(
    devices: Sequence[DeviceConfig],
    buses: Sequence[Bus],
    recorder: StateRecorder,
    registry: Registry,
    metrics: Metrics,
    clock: Clock,
) -> list[WiredMeter]:
    by_name = {bus.config.name: bus for bus in buses}

    def failed(device_id: str, error: MbusgwError) -> None:
        registry.failed(device_id, str(error))

    return [
        WiredMeter(
            device, by_name[device.bus], delivery=recorder, metrics=metrics, clock=clock, on_failure=failed
        )
        for device in devices
    ]


def _checks(
    config: Config,
    store: Store,
    broker: Broker,
    buses: Sequence[Bus],
    breaker: CircuitBreaker,
    workers: Callable[[], Sequence[Worker]],
) -> dict[str, Check]:
    table: dict[str, Check] = {
        "store": checks.writable(store.check),
        "mqtt": checks.connection("the broker", lambda: broker.connected),
        "outbox": checks.filling("messages", lambda: store.count("telemetry"), config.mqtt.max_queue),
        "backlog": checks.filling("telegrams", lambda: store.count("backlog"), config.ingest.max_backlog),
        "threads": checks.workers(workers),
    }
    if config.parser.backend != "local" and config.lobaro.token is not None:
        table["parser"] = checks.connection("the Lobaro API", lambda: breaker.state is not BreakerState.OPEN)
    for bus in buses:
        table[f"bus {bus.config.name}"] = checks.connection(bus.config.port, partial(_is_connected, bus))
    return table


def _is_connected(bus: Bus) -> bool:
    return bus.snapshot().connected


def _parser_reachable(config: Config, breaker: CircuitBreaker) -> bool | None:
    if config.parser.backend in ("local", "lobaro_then_local") or config.lobaro.token is None:
        return None  # nothing waits for the service
    return breaker.state is not BreakerState.OPEN


# ------------------------------------------------------------------ moments
def _broker_is_up(sender: Sender, pulse: Pulse, announcer: Announcer | None) -> None:
    """paho's thread: the broker has accepted us; it only posts."""
    pulse.greet()
    if announcer is not None:
        announcer.everything()
    sender.ring()


def _farewell(broker: Broker, sender: Sender, state_topic: str, for_good: bool) -> None:
    """The main thread, before the way out closes: what waits goes out, then we say that we are gone."""
    deadline_mono = time.monotonic() + FLUSH_S
    while broker.connected and not sender.idle and time.monotonic() < deadline_mono:
        sender.quiet.wait(0.05)
    if for_good:
        broker.say_goodbye(state_topic, "offline")
