"""What health looks at in this house: the table of the checks."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from mbusgw.config.models import Config
from mbusgw.config.source import ConfigSource
from mbusgw.health import checks
from mbusgw.health.checks import Check
from mbusgw.ingest.fleet import Fleet
from mbusgw.mqtt.client import Broker
from mbusgw.outputs.couriers import Couriers
from mbusgw.runtime.breaker import BreakerState, CircuitBreaker
from mbusgw.runtime.worker import Worker
from mbusgw.store.keyring import Keyring
from mbusgw.store.writer import Store
from mbusgw.wired.bus import Bus
from mbusgw.wired.lane import WiredLane


def build_checks(
    config: Config,
    source: ConfigSource,
    *,
    store: Store,
    broker: Broker,
    lane: WiredLane,
    outputs: Couriers,
    keyring: Keyring,
    fleet: Fleet,
    lobaro: CircuitBreaker,
    serving: Callable[[], bool],
    workers: Callable[[], Sequence[Worker]],
) -> Callable[[], dict[str, Check]]:
    """What names the checks, component -> check, each time anew: buses come and go. A new check is a row here.

    ``lobaro`` is the breaker of its API, ``serving`` says whether the HTTP server has its port.
    """
    table: dict[str, Check] = {
        "configuration": checks.in_force(lambda: source.trouble),
        "store": checks.writable(store.check),
        "mqtt": checks.connection("the broker", lambda: broker.connected, trouble=lambda: broker.trouble),
        "http": checks.connection(f"HTTP on {config.http.listen}", serving),
        "outbox": checks.filling("messages", lambda: store.count("telemetry"), config.mqtt.max_queue),
        # They are thinned out to the half when there are too many.
        "history": checks.filling(
            "missed readings", lambda: store.count("spare"), config.mqtt.max_history, warn_share=0.5
        ),
        "backlog": checks.filling("telegrams", lambda: store.count("backlog"), config.ingest.max_backlog),
        "threads": checks.workers(workers),
        "keys": checks.keys_open(lambda: keyring.vault.trouble, lambda: keyring.locked),
    }
    if config.ingest.keys:
        # Of those that have a key: in a trusted network any name may come once and never again.
        table["gateways"] = checks.gateways_heard(
            lambda: len(fleet.snapshot()),
            lambda: [one.gateway_id for one in fleet.snapshot() if one.gone and one.gateway_id in config.ingest.keys],
        )
    if config.parser.backend != "local" and config.lobaro.token is not None:
        table["parser"] = checks.connection("the Lobaro API", partial(_answers, lobaro))
    return lambda: table | _of_buses(lane.buses) | _of_outputs(outputs)


def _of_buses(buses: Sequence[Bus]) -> dict[str, Check]:
    return {
        f"bus {bus.config.name}": checks.connection(bus.config.port, partial(_is_connected, bus)) for bus in buses
    }


def _of_outputs(outputs: Couriers) -> dict[str, Check]:
    return {f"output {name}": checks.output(trouble) for name, trouble in outputs.troubles().items()}


def parser_reachable(config: Config, lobaro: CircuitBreaker) -> bool | None:
    """Whether the parser that telegrams wait for can be reached; None where they wait for none."""
    if config.parser.backend in ("local", "lobaro_then_local") or config.lobaro.token is None:
        return None
    return _answers(lobaro)


def _answers(breaker: CircuitBreaker) -> bool:
    return breaker.state is not BreakerState.OPEN


def _is_connected(bus: Bus) -> bool:
    return bus.snapshot().connected
