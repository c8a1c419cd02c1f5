"""The ways in: the wired and the wireless lane."""
from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from mbusgw.app.base import Base
from mbusgw.config.models import Config
from mbusgw.ingest.backlog import Backlog
from mbusgw.ingest.confirmer import Confirmer
from mbusgw.ingest.fleet import Fleet
from mbusgw.ingest.intake import Intake
from mbusgw.ingest.parsing import TelegramParser
from mbusgw.ingest.pool import ParseWorker, format_name
from mbusgw.ingest.reasons import Reasons
from mbusgw.ingest.receptions import Receptions
from mbusgw.ingest.signatures import FormatWatch
from mbusgw.mqtt.telegrams import TelegramMessages
from mbusgw.parsers.base import ParserBackend
from mbusgw.parsers.chain import LobaroThenLocal, Parts, build_backend
from mbusgw.parsers.formats import MOST_FORMATS, FormatMemory
from mbusgw.parsers.settings import BackendSettings, LobaroSettings, WmbusmetersSettings
from mbusgw.runtime.breaker import BreakerState, CircuitBreaker
from mbusgw.runtime.worker import Worker
from mbusgw.store import confirmations
from mbusgw.store import formats as formats_on_disk
from mbusgw.store import telegrams
from mbusgw.wired.finds import Finds
from mbusgw.wired.lane import WiredLane

#: While the Lobaro API is away one telegram asks again so often, which finds out that it is back.
LOBARO_PAUSE_MAX_S = 60.0
#: How long a telegram waits for its turn at the Lobaro API where our own decoder can take it at once.
OWN_DECODER_S = 0.25


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

    fleet, receptions, reasons = Fleet(clock), Receptions(base.registry.heard), Reasons()
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
    messages = TelegramMessages(base.topics)
    parser = TelegramParser(
        backend,
        base.keyring,
        guests=base.registry.guests,
        receptions=receptions,
        strict_keys=config.ingest.key_policy == "strict",
    )
    parsers = [
        ParseWorker(
            number,
            backlog,
            base.store,
            parser,
            messages=messages,
            delivery=base.recorder,
            receptions=receptions,
            reasons=reasons,
            max_outbox=config.mqtt.max_queue,
            keyring=base.keyring,
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
