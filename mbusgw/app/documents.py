"""What the gateway says of itself: ``GET /state``, ``GET /healthz``, the line of ``systemctl status``, gauges."""
from __future__ import annotations

import os
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from mbusgw.health.readiness import Readiness
from mbusgw.ingest.fleet import Fleet
from mbusgw.model.device import DeviceState
from mbusgw.model.document import fields_document, meter_document, radio_document
from mbusgw.model.errors import StoreError
from mbusgw.model.format import format_document
from mbusgw.model.quarantine import quarantine_document
from mbusgw.model.status import status_flags
from mbusgw.model.wording import counted
from mbusgw.mqtt.client import Broker
from mbusgw.outputs.couriers import Couriers
from mbusgw.registry.registry import Registry
from mbusgw.runtime.clock import Clock
from mbusgw.runtime.metrics import Metrics
from mbusgw.store import differences, outbox, outputs
from mbusgw.store.writer import Store
from mbusgw.wired.lane import WiredLane
from mbusgw.wired.meter import WiredMeter
from mbusgw.wired.survey import ScanProgress

T = TypeVar("T")

#: So many differences between parsers, and so much of what was set aside, is shown.
NEWEST = 20


#: Metric, what it is, and its number in the document of a radio gateway.
_OF_GATEWAYS: tuple[tuple[str, str, Callable[[dict[str, Any]], float]], ...] = (
    ("oms_gateway_silent_seconds", "Since a radio gateway's last telegram", lambda one: one["silent_s"]),
    ("oms_gateway_telegrams_per_minute", "In the last quarter of an hour", lambda one: one["telegrams_per_min"]),
    ("oms_gateway_meters_heard", "Meters that a radio gateway hears", lambda one: one["meters_heard"]),
    ("oms_gateway_gone", "1 while it is silent for much longer than usual", lambda one: float(one["gone"])),
)


class Documents:
    """Builds the documents from the parts that know. **any thread**"""

    def __init__(
        self,
        registry: Registry,
        store: Store,
        broker: Broker,
        lane: WiredLane,
        fleet: Fleet,
        outputs: Couriers,
        *,
        parser_reachable: Callable[[], bool | None],
        parser_queue: Callable[[], int],
        clock: Clock,
    ) -> None:
        self._registry = registry
        self._store = store
        self._broker = broker
        self._lane = lane
        self._fleet = fleet
        self._outputs = outputs
        self._parser_reachable = parser_reachable
        self._parser_queue = parser_queue
        self._clock = clock
        self._started_mono = clock.mono()

    # -------------------------------------------------- HTTP
    def state(self) -> dict[str, Any]:
        """Every device with its newest values, every bus, scans and what they have found, every queue. What must be
        read from the database is None while that cannot be read."""
        devices = sorted(self._registry.snapshot().items())
        meters = {meter.config.id: meter for meter in self._lane.meters}
        return {
            "gateways": self._gateways([state for _, state in devices]),
            "devices": {device_id: self._device(state, meters.get(device_id)) for device_id, state in devices},
            "buses": {bus.config.name: asdict(bus.snapshot()) for bus in self._lane.buses},
            "scans": {scan.bus: scan.document() for scan in self._scans()},
            "found": self._lane.finds.documents(self._lane.devices),
            "queues": self.queues(),
            "delivery": self._delivery(),
            "outputs": self._of_outputs(),
            "parsers": self._look(partial(differences.overview, limit=NEWEST)),
        }

    def _delivery(self) -> dict[str, Any]:
        """The way out: the connection, what has gone through the outbox, and what the broker would not take."""
        limits = self._broker.limits
        return {
            "connected": self._broker.connected,
            "trouble": self._broker.trouble,
            "window": self._broker.window,
            "largest_packet_bytes": limits.packet_bytes,
            "queued": self._store.count("queued"),
            "coalesced": self._store.count("coalesced"),
            "thinned": self._store.count("thinned"),
            "oldest_s": self._oldest_s(),
            "set_aside": self._store.count("set_aside"),
            "newest_set_aside": self._look(partial(outbox.set_aside, limit=NEWEST)),
        }

    def _oldest_s(self) -> float:
        if not self._store.count("outbox"):
            return 0.0
        return self._look(lambda reader: outbox.oldest_s(reader, self._clock.now())) or 0.0

    def _of_outputs(self) -> dict[str, Any]:
        """The other ways out: how far each is behind, what it has lost, what it would not take."""
        documents = self._outputs.documents()
        lost = self._lost()
        for name, document in documents.items():
            document["lost"] = None if lost is None else lost.get(name, 0)
            document["newest_set_aside"] = self._look(partial(outputs.set_aside, name=name, limit=NEWEST))
        return documents

    def _lost(self) -> dict[str, int] | None:
        return self._look(outputs.lost) if self._outputs.workers else {}

    def _lost_numbers(self) -> dict[str, float]:
        return {name: float(number) for name, number in (self._lost() or {}).items()}

    def _look(self, read: Callable[[sqlite3.Connection], T]) -> T | None:
        """What ``read`` finds in the database; None while that cannot be read."""
        try:
            with closing(self._store.reader()) as reader:
                return read(reader)
        except StoreError:
            return None

    def _of_gateways(self) -> dict[str, list[float]]:
        documents = self._gateways(list(self._registry.snapshot().values()))
        return {name: [number(document) for *_, number in _OF_GATEWAYS] for name, document in documents.items()}

    def _completeness(self) -> dict[str, float]:
        radio = {device_id: state.radio for device_id, state in self._registry.snapshot().items()}
        shares = {device_id: link.completeness for device_id, link in radio.items() if link is not None}
        return {device_id: share for device_id, share in shares.items() if share is not None}

    def _gateways(self, states: Sequence[DeviceState]) -> dict[str, Any]:
        """The radio gateways heard of since the start, and how many meters each hears (and hears best)."""
        hears: Counter[str] = Counter()
        best: Counter[str] = Counter()
        for state in states:
            if state.radio is not None:
                hears.update(one.gateway_id for one in state.radio.receptions)
                best.update([state.radio.best.gateway_id] if state.radio.best else [])
        return {
            one.gateway_id: {**asdict(one), "meters_heard": hears[one.gateway_id], "meters_best": best[one.gateway_id]}
            for one in self._fleet.snapshot()
        }

    def readiness(self) -> dict[str, Any]:
        """Broker connected, parser reachable, queue depths."""
        return Readiness(self._broker.connected, self._parser_reachable(), self.queues()).document()

    def queues(self) -> dict[str, int]:
        """How much waits where."""
        return {
            "outbox": self._store.count("outbox"),
            "backlog": self._store.count("backlog"),
            "parser_queue": self._parser_queue(),
        }

    def _scans(self) -> list[ScanProgress]:
        progress = [scanner.snapshot() for scanner in self._lane.scanners]
        return [one for one in progress if one is not None]

    def _device(self, state: DeviceState, meter: WiredMeter | None) -> dict[str, Any]:
        document: dict[str, Any] = {
            "name": state.name,
            "online": state.online,
            "stale": state.stale,
            "expected": state.expected,
            "version": state.version,
            "lane": state.lane.value,
            "read_at": state.read_at,
            "meter": meter_document(state.meter),
            "status": state.status,
            "status_flags": status_flags(state.status),
            "gateway_id": state.gateway_id,
            "rssi_dbm": state.rssi_dbm,
            "radio": radio_document(state.radio),
            "format": format_document(state.format),
            "last_error": state.last_error,
            "values": fields_document(state.fields),
            "quarantine": quarantine_document(state.quarantine, state.fields),
            "problems": state.problems,
        }
        if meter is not None:
            document["polling"] = asdict(meter.snapshot())
        return document

    # -------------------------------------------------- numbers
    def meters(self) -> tuple[int, int]:
        """How many meters are online, and how many are known."""
        states = self._registry.snapshot().values()
        return sum(state.online for state in states), len(states)

    def _quarantined(self) -> int:
        return sum(len(state.quarantine) for state in self._registry.snapshot().values())

    def _line_counts(self) -> dict[tuple[str, ...], float]:
        return {
            (bus.config.name, event): count
            for bus in self._lane.buses
            for event, count in bus.tallies.counts.items()
        }

    def _awaited(self) -> int:
        return sum(state.expected and state.read_at is None for state in self._registry.snapshot().values())

    def status_line(self) -> str:
        """How we are, in one line."""
        online, known = self.meters()
        broker = "connected" if self._broker.connected else "away"
        waiting = counted(self._store.count("outbox"), "message waits", "messages wait")
        return f"{online} of {counted(known, 'meter')} online, broker {broker}, {waiting}"

    def add_gauges(self, metrics: Metrics) -> None:
        """The numbers that are looked up when somebody asks for them."""
        metrics.gauge("mqtt_queue_size", "Messages that wait for the broker", lambda: self._store.count("outbox"))
        metrics.gauge("mqtt_queue_oldest_seconds", "How long the first message has waited", self._oldest_s)
        metrics.gauge("mqtt_queued", "Messages ever stored for sending", lambda: self._store.count("queued"))
        metrics.gauge(
            "mqtt_coalesced", "Messages ever replaced by newer ones", lambda: self._store.count("coalesced")
        )
        metrics.gauge(
            "mqtt_history_thinned", "Missed readings ever left out", lambda: self._store.count("thinned")
        )
        metrics.gauge("mqtt_set_aside_kept", "Messages set aside and kept", lambda: self._store.count("set_aside"))
        metrics.gauge("oms_queue_depth", "Telegrams that wait for the parser", lambda: self._store.count("backlog"))
        metrics.gauge("mbusgw_meters_online", "Meters that are online", lambda: self.meters()[0])
        metrics.gauge("mbusgw_meters_known", "Meters that are known", lambda: self.meters()[1])
        metrics.gauge("mbusgw_quarantined_values", "Counters' values that are not believed", self._quarantined)
        metrics.gauge("mbusgw_meters_awaited", "Configured meters that were never read or heard", self._awaited)
        metrics.families([one[:2] for one in _OF_GATEWAYS], "gateway", self._of_gateways)
        metrics.gauges("oms_meter_completeness_ratio", "Telegrams heard of those sent", "device", self._completeness)
        metrics.gauges("mbusgw_output_waiting", "Readings an output is behind", "output", self._outputs.waiting)
        metrics.gauges("mbusgw_output_lost", "Forgotten before an output had them", "output", self._lost_numbers)
        metrics.counts("mbus_line", "What happened on the line of a bus", ("bus", "event"), self._line_counts)
        metrics.gauge("mbusgw_uptime_seconds", "Since the start", lambda: self._clock.mono() - self._started_mono)
        metrics.gauge("mbusgw_threads", "Threads of the process", threading.active_count)
        metrics.gauge("mbusgw_resident_memory_bytes", "Resident memory of the process", resident_bytes)
        metrics.gauge("mbusgw_database_bytes", "Size of the database file", lambda: file_bytes(self._store.path))


def resident_bytes() -> int:
    """The process's resident memory (proc(5), statm)."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def file_bytes(path: Path) -> int:
    """The size of a file; 0 while there is none."""
    try:
        return path.stat().st_size
    except OSError:
        return 0
