"""The whole house, put together in one place that reads from top to bottom. Nothing runs before ``Gateway.run``."""
from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial

from mbusgw import __version__
from mbusgw.app.administration import admin_routes
from mbusgw.app.advice import advise
from mbusgw.app.base import Base, build_base
from mbusgw.app.checks import build_checks, parser_reachable
from mbusgw.app.commands import (
    add_config_commands,
    add_doctor_commands,
    add_live_commands,
    add_quarantine_commands,
    add_scan_commands,
    add_wired_commands,
)
from mbusgw.app.documents import Documents
from mbusgw.app.gateway import Gateway
from mbusgw.app.lanes import WirelessLane, build_wired_lane, build_wireless_lane
from mbusgw.app.memory import Memory
from mbusgw.app.operations import ConfigOperations
from mbusgw.app.quarantine import QuarantineOperations
from mbusgw.app.reload import Reload
from mbusgw.app.settings import LiveSettings
from mbusgw.app.signals import Controls
from mbusgw.app.stages import Stage, Stages
from mbusgw.app.wayout import WayOut, build_outputs, build_way_out
from mbusgw.commands.desk import Desk
from mbusgw.config.models import Config, HttpConfig
from mbusgw.config.source import ConfigSource
from mbusgw.health.monitor import HealthMonitor
from mbusgw.health.watchdog import Watchdog
from mbusgw.ingest.intake import RETRY_AFTER_S
from mbusgw.ingest.outcomes import Outcomes
from mbusgw.model.errors import RequestError
from mbusgw.runtime.clock import Clock
from mbusgw.runtime.ending import Part
from mbusgw.runtime.notify import ServiceManager
from mbusgw.runtime.worker import Worker
from mbusgw.web.auth import GatewayKeys
from mbusgw.web.commands import CommandRoutes
from mbusgw.web.conversations import Timing
from mbusgw.web.description import description_route
from mbusgw.web.message import error_response
from mbusgw.web.probes import ProbeRoutes, index_route
from mbusgw.web.rates import GatewayRates
from mbusgw.web.router import Router
from mbusgw.web.server import HttpServer
from mbusgw.web.telegrams import TelegramRoutes
from mbusgw.web.tls import Certificate
from mbusgw.wired.doctor_operations import DoctorOperations
from mbusgw.wired.operations import WiredOperations
from mbusgw.wired.scan_operations import ScanOperations

#: How long requests in hand may take to be answered at a stop.
HTTP_BUDGET_S = 0.5
#: How long what waits may still go out at a stop.
FLUSH_S = 1.0


def build(
    config: Config,
    source: ConfigSource,
    *,
    controls: Controls,
    set_level: Callable[[str], None],
    clock: Clock,
    service: ServiceManager,
) -> Gateway:
    """A gateway for ``config``, which came from ``source``; opens and starts nothing.

    Others ask the main thread by ``controls``; ``set_level`` changes how much is logged.
    """
    base = build_base(config, clock)
    desk = Desk(clock)
    wired = build_wired_lane(base)
    radio = build_wireless_lane(base)
    settings = LiveSettings(wired, config.logging.level, set_level)
    out = build_way_out(base, wired.interval_s, desk, settings)
    outputs = build_outputs(base)
    if out.announcer is not None:
        settings.changed = out.announcer.settings_changed
    operations = WiredOperations(wired, clock)
    add_wired_commands(desk, operations)
    add_doctor_commands(desk, DoctorOperations(operations, wired, clock))
    add_scan_commands(desk, ScanOperations(wired))
    add_config_commands(desk, ConfigOperations(controls, source, wired.finds, clock=clock))
    add_live_commands(desk, settings, out.announcer)
    add_quarantine_commands(desk, QuarantineOperations(base.registry, base.recorder))

    # Who looks, and who may look.
    documents = Documents(
        base.registry,
        base.store,
        out.broker,
        wired,
        radio.fleet,
        outputs,
        parser_reachable=partial(parser_reachable, config, radio.lobaro),
        parser_queue=radio.backlog.__len__,
        clock=clock,
    )
    documents.add_gauges(base.metrics)

    def lanes() -> Sequence[Worker]:
        """Those of the wired one come and go with the configuration."""
        return [*radio.workers, *wired.workers]

    def way_out() -> Sequence[Part]:
        """So do those of outputs."""
        return [*outputs.workers, *out.workers, out.broker]

    def workers() -> Sequence[Worker]:
        """All but the watchers; those of the server are there once it has its port."""
        return [base.store, base.janitor, *out.workers, *outputs.workers, *lanes(), *server.workers]

    checks = build_checks(
        config,
        source,
        store=base.store,
        broker=out.broker,
        lane=wired,
        outputs=outputs,
        keyring=base.keyring,
        fleet=radio.fleet,
        lobaro=radio.lobaro,
        serving=lambda: bool(server.workers),
        workers=workers,
    )
    monitor = HealthMonitor(
        checks,
        clock,
        interval_s=config.health.interval,
        version=__version__,
        meters=documents.meters,
        waiting=lambda: base.store.count("outbox"),
        heartbeat_file=config.health.heartbeat_file,
        workers=workers,
        metrics=base.metrics,
        publish=lambda report: base.recorder.publish_report(report.document()),
    )
    watchdog = Watchdog(service, clock, interval_s=service.watchdog_interval_s(), watched=workers)
    server = _server(base, radio, documents, monitor, desk)

    # Started in this order, stopped in the reverse. With the farewell of the way out it all ends within five seconds.
    stages = Stages(
        [
            Stage("store", [base.store, base.janitor], 1.0),
            Stage("way out", way_out, 0.8, farewell=partial(_farewell, out)),
            Stage("lanes", lanes, 0.8, farewell=radio.farewell),
            Stage("HTTP", [server], HTTP_BUDGET_S, farewell=lambda _for_good: desk.close(), optional=True),
            Stage("watchers", [monitor, watchdog], 0.3),
        ]
    )
    memory = Memory(config, base.registry, base.recorder, base.store, base.keyring, radio.formats, wired.finds)

    def prepare() -> None:
        advise(config)
        memory.load()
        outputs.prepare()

    def close() -> None:
        radio.backend.close()
        base.store.close()

    reload = Reload(
        config,
        source,
        wired,
        outputs,
        registry=base.registry,
        recorder=base.recorder,
        announcer=out.announcer,
        metrics=base.metrics,
        set_level=settings.set_level,
    )
    return Gateway(
        stages,
        prepare=prepare,
        close=close,
        status=documents.status_line,
        service=service,
        file_changed=source.changed,
        reload=reload.run,
        waiting_room=_waiting_room(config, clock),
    )


# ------------------------------------------------------------------ HTTP
def _server(
    base: Base, radio: WirelessLane, documents: Documents, monitor: HealthMonitor, desk: Desk
) -> HttpServer:
    config, clock = base.config, base.clock
    ingest = config.ingest
    keys = {name: key.get_secret_value() for name, key in ingest.keys.items()}
    ingress = TelegramRoutes(
        GatewayKeys(keys, trusted=ingest.trusted_networks),
        radio.intake.accept,
        Outcomes(base.store, clock).wait,
        clock=clock,
        metrics=base.metrics,
        rates=None if ingest.max_rate is None else GatewayRates(ingest.max_rate, clock),
    )
    probes = ProbeRoutes(
        health=lambda: monitor.report().document(),
        readiness=documents.readiness,
        state=documents.state,
        metrics=base.metrics.render,
    )
    token = config.http.admin_token.get_secret_value() if config.http.admin_token else None
    commands = CommandRoutes(desk, token)
    routes = [*ingress.routes(), *probes.routes(), *commands.routes(), *admin_routes(base, radio, token)]
    routes.append(description_route())
    router = Router([*routes, index_route(routes, __version__)])
    return HttpServer(
        config.http.host,
        config.http.port,
        router.answer,
        clock=clock,
        together=ingress,
        workers=config.http.workers,
        timing=Timing(drain_s=HTTP_BUDGET_S - 0.1),
        certificate=_certificate(config.http, clock),
    )


def _waiting_room(config: Config, clock: Clock) -> HttpServer:
    """What answers on the HTTP port while there is no room on the disk to start: come back later."""
    full = RequestError(
        503, "store_unavailable", "there is no room on the disk now; come back later", retry_after_s=RETRY_AFTER_S
    )
    return HttpServer(
        config.http.host,
        config.http.port,
        lambda _request: error_response(full),
        clock=clock,
        workers=1,
        timing=Timing(drain_s=HTTP_BUDGET_S - 0.1),
        certificate=_certificate(config.http, clock),
    )


def _certificate(config: HttpConfig, clock: Clock) -> Certificate | None:
    if config.tls_cert_file is None:
        return None
    return Certificate(config.tls_cert_file, config.tls_key_file, clock)


# ------------------------------------------------------------------ the end
def _farewell(out: WayOut, for_good: bool) -> None:
    """The main thread, before the way out closes: what waits goes out, then others are told that we are gone."""
    deadline_mono = time.monotonic() + FLUSH_S
    out.sender.hasten()
    while out.broker.connected and not out.sender.idle and time.monotonic() < deadline_mono:
        out.sender.quiet.wait(0.05)
    if for_good:
        out.broker.say_goodbye()
