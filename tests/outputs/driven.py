"""A courier whose steps a test calls, on a clock of the test, with a real store and a real web server."""
from __future__ import annotations

from datetime import timedelta

from mbusgw.config.loader import loads
from mbusgw.outputs.courier import Courier
from mbusgw.outputs.kinds import build_output
from mbusgw.runtime.metrics import Metrics
from mbusgw.store import readings
from mbusgw.store.writer import Store
from tests.fakes.clock import START, FakeClock
from tests.fakes.consumer import Consumer
from tests.fakes.stores import write
from tests.fakes.telegrams import reading

INFLUX = "outputs: [{type: influx, url: '%s', bucket: b, org: o, token: influx-token, timeout: 5}]"
WEBHOOK = "outputs: [{type: webhook, url: '%s/hook', token: hook-token, timeout: 5}]"


class Driven:
    """``step`` is one request; ``kill`` leaves the courier as it is and begins anew, as after a kill -9."""

    def __init__(self, store: Store, consumer: Consumer, text: str) -> None:
        self.store = store
        (self.config,) = loads(text % consumer.url, {}).outputs
        self.clock = FakeClock()
        self.metrics = Metrics()
        self.hidden: set[str] = set()
        self._left: list[Courier] = []
        self.courier = self._new()
        self._enter()

    def _new(self) -> Courier:
        courier = Courier(
            self.config,
            build_output(self.config, "mbusgw"),
            self.store,
            hides=self.hidden.__contains__,
            metrics=self.metrics,
            clock=self.clock,
        )
        self._left.append(courier)
        return courier

    def _enter(self) -> None:
        self.courier.setup()
        self.courier.ring()
        assert self.courier._entered()

    def add(self, *energies: int, device: str = "meter_1") -> None:
        for energy in energies:
            one = reading(device, at=START + timedelta(minutes=energy), energy=energy)
            write(self.store, lambda connection: readings.add(connection, one))

    def step(self, times: int = 1) -> None:
        """``times`` requests, each after whatever pause."""
        for _ in range(times):
            self.clock.advance(3600)
            self.courier.step()

    def all_of_it(self) -> None:
        """Until nothing waits."""
        while self.waiting():
            self.step()

    def waiting(self) -> int:
        return self.store.count("readings") - (self.courier.snapshot().position or 0)

    def kill(self) -> None:
        self.courier = self._new()
        self._enter()

    def close(self) -> None:
        for courier in self._left:
            courier._http.close()
            if courier._view is not None:
                courier._view.close()

    def counted(self, name: str) -> dict[str, float]:
        """A metric of the output by its result."""
        found = {}
        for line in self.metrics.render().decode().splitlines():
            if line.startswith(f"{name}_total{{"):
                found[line.partition('result="')[2].partition('"')[0]] = float(line.rpartition(" ")[2])
        return found
