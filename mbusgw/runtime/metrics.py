"""What is counted. The home of prometheus-client; the names are a contract."""
from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

READ_BUCKETS_S = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
PARSE_BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1, 5, 10)
#: Gateways that are counted apart; in a trusted network names can be made up, and each costs memory for ever.
GATEWAYS_MAX = 2000
OTHERS = "others"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class _Gauges(Collector):
    """Gauges whose labels are those that there are when they are asked; all of one look. **any thread**"""

    def __init__(
        self, families: Sequence[tuple[str, str]], label: str, read: Callable[[], Mapping[str, Sequence[float]]]
    ) -> None:
        self._families = families
        self._label = label
        self._read = read

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """The numbers of this moment."""
        families = self.describe()
        for value, numbers in self._read().items():
            for family, number in zip(families, numbers, strict=True):
                family.add_metric([value], number)
        return families

    def describe(self) -> list[GaugeMetricFamily]:
        """What it will be, so that nothing is looked up at the registration."""
        return [GaugeMetricFamily(name, help_text, labels=[self._label]) for name, help_text in self._families]


class _Counts(Collector):
    """A counter that somebody else keeps. **any thread**"""

    def __init__(
        self, name: str, help_text: str, labels: Sequence[str], read: Callable[[], Mapping[tuple[str, ...], float]]
    ) -> None:
        self._family = (name, help_text)
        self._labels = labels
        self._read = read

    def collect(self) -> Iterable[CounterMetricFamily]:
        """The numbers of this moment."""
        family = CounterMetricFamily(*self._family, labels=self._labels)
        for values, number in self._read().items():
            family.add_metric(values, number)
        return [family]

    def describe(self) -> Iterable[CounterMetricFamily]:
        """What it will be, so that nothing is looked up at the registration."""
        return [CounterMetricFamily(*self._family, labels=self._labels)]


class Metrics:
    """All counters of one process, in a registry of its own so that two can live in one test. **any thread**"""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self._reads = Counter("mbus_reads", "Readings of a wired meter", ["device"], registry=registry)
        self._read_duration = Histogram(
            "mbus_read_duration_seconds",
            "One read to its last byte",
            ["device"],
            registry=registry,
            buckets=READ_BUCKETS_S,
        )
        self._errors = Counter("mbus_errors", "Failed tries to read a meter", ["device", "type"], registry=registry)
        self._publishes = Counter("mqtt_publish", "Messages the broker took or refused", ["result"], registry=registry)
        self._sent = Counter("mqtt_sent", "Messages handed over for sending", registry=registry)
        self._set_aside = Counter("mqtt_set_aside", "Messages the broker will not take", registry=registry)
        self._telegrams = Counter(
            "oms_telegrams", "Radio telegrams by what became of them", ["gateway", "result"], registry=registry
        )
        self.parse_duration = Histogram(
            "oms_parse_duration_seconds",
            "One radio telegram through the parser",
            registry=registry,
            buckets=PARSE_BUCKETS_S,
        )
        self._gateways: set[str] = set()
        self._format_changes = Counter(
            "oms_format_changes", "Radio meters that began to send another format", registry=registry
        )
        self._lobaro = Counter("lobaro_requests", "Calls of the Lobaro API", ["result"], registry=registry)
        self._confirmations = Counter(
            "lobaro_confirmations", "Readings asked about at the Lobaro API later", ["result"], registry=registry
        )
        self._differences = Counter(
            "oms_parser_differences", "Telegrams that two parsers read differently", ["gateway"], registry=registry
        )
        self._wmbusmeters = Counter(
            "wmbusmeters_requests", "Questions to the program wmbusmeters", ["result"], registry=registry
        )
        self._output_requests = Counter(
            "mbusgw_output_requests", "Requests to an output by its answer", ["output", "result"], registry=registry
        )
        self._output_readings = Counter(
            "mbusgw_output_readings", "Readings an output took, or never will", ["output", "result"], registry=registry
        )
        self._crashes = Gauge("mbusgw_worker_crashes", "Crashes since the start", ["worker"], registry=registry)
        # A label look-up costs three times the increment; the sets are small, so remember the children.
        self._child = lru_cache(maxsize=100_000)(lambda metric, *labels: metric.labels(*labels))

    def read_done(self, device: str, seconds: float) -> None:
        """A wired meter was read."""
        self._child(self._reads, device).inc()
        self._child(self._read_duration, device).observe(seconds)

    def read_failed(self, device: str, kind: str) -> None:
        """A try to read a wired meter failed; ``kind`` is the class of the error."""
        self._child(self._errors, device, kind).inc()

    def forget_device(self, device: str) -> None:
        """A wired meter that is not read any more: its numbers would stand still for ever."""
        errors = [sample.labels for family in self._errors.collect() for sample in family.samples]
        with suppress(KeyError):  # it was never read
            self._reads.remove(device)
            self._read_duration.remove(device)
        for kind in {labels["type"] for labels in errors if labels["device"] == device}:
            self._errors.remove(device, kind)
        self._child.cache_clear()

    def published(self, count: int = 1, *, success: bool = True) -> None:
        """The broker acknowledged (or refused) so many messages."""
        self._child(self._publishes, "success" if success else "failure").inc(count)

    def sent(self, count: int) -> None:
        """So many messages were handed over; the broker has not acknowledged them yet."""
        self._sent.inc(count)

    def set_aside(self) -> None:
        """A message was taken out of the outbox because the broker will never take it."""
        self._set_aside.inc()

    def telegram(self, gateway: str, result: str) -> None:
        """A radio telegram took a step: accepted, duplicate, parsed, failed, refused …"""
        if gateway not in self._gateways:
            if len(self._gateways) >= GATEWAYS_MAX:
                gateway = OTHERS
            self._gateways.add(gateway)
        self._child(self._telegrams, gateway, result).inc()

    def format_changed(self) -> None:
        """A radio meter sends other records than before."""
        self._format_changes.inc()

    def lobaro_request(self, result: str) -> None:
        """A call of the Lobaro API ended."""
        self._child(self._lobaro, result).inc()

    def lobaro_confirmation(self, result: str) -> None:
        """The Lobaro API was asked about a reading of ours: confirmed, different, failed."""
        self._child(self._confirmations, result).inc()

    def parsers_differ(self, gateway: str) -> None:
        """Two parsers read a telegram differently."""
        self._child(self._differences, gateway).inc()

    def wmbusmeters_request(self, result: str) -> None:
        """A question to the program wmbusmeters ended."""
        self._child(self._wmbusmeters, result).inc()

    def output_request(self, output: str, result: str) -> None:
        """A request to an output ended: taken, refused, denied, busy, away."""
        self._child(self._output_requests, output, result).inc()

    def output_readings(self, output: str, result: str, count: int = 1) -> None:
        """So many readings were sent to an output, or set aside."""
        self._child(self._output_readings, output, result).inc(count)

    def worker_crashes(self, worker: str, count: int) -> None:
        """How often a worker crashed so far."""
        self._child(self._crashes, worker).set(count)

    def gauge(self, name: str, help_text: str, read: Callable[[], float]) -> None:
        """A number that is looked up when somebody asks."""
        Gauge(name, help_text, registry=self._registry).set_function(read)

    def gauges(self, name: str, help_text: str, label: str, read: Callable[[], Mapping[str, float]]) -> None:
        """Numbers by ``label`` that are looked up when somebody asks."""
        self.families([(name, help_text)], label, lambda: {value: (number,) for value, number in read().items()})

    def families(
        self, families: Sequence[tuple[str, str]], label: str, read: Callable[[], Mapping[str, Sequence[float]]]
    ) -> None:
        """Several gauges (name and help) whose numbers are looked up together, when somebody asks."""
        self._registry.register(_Gauges(families, label, read))

    def counts(
        self, name: str, help_text: str, labels: Sequence[str], read: Callable[[], Mapping[tuple[str, ...], float]]
    ) -> None:
        """What others count, by ``labels``; looked up when somebody asks."""
        self._registry.register(_Counts(name, help_text, labels, read))

    def render(self) -> bytes:
        """The exposition text for ``GET /metrics``."""
        return generate_latest(self._registry)
