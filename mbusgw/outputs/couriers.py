"""Every output of the configuration in force."""
from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any
from urllib.parse import urlsplit

from mbusgw.config.outputs import OutputConfig
from mbusgw.outputs.courier import Courier
from mbusgw.outputs.kinds import build_output
from mbusgw.runtime.clock import Clock
from mbusgw.runtime.ending import end
from mbusgw.runtime.metrics import Metrics
from mbusgw.store import outputs
from mbusgw.store.writer import Store

#: How long outputs that are taken out may take to end; a request that is under way is left behind.
CHANGE_BUDGET_S = 1.0


class Couriers:
    """One thread per output, exchanged one by one when the configuration changes.

    The constructor, ``prepare`` and ``change``: the main thread; the rest: **any thread**
    """

    def __init__(
        self,
        configs: Iterable[OutputConfig],
        store: Store,
        *,
        gateway_id: str,
        hides: Callable[[str], bool],
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self._store = store
        self._gateway_id = gateway_id
        self._hides = hides
        self._metrics = metrics
        self._clock = clock
        self.workers: tuple[Courier, ...] = tuple(map(self._new, configs))
        store.on_commit(self.ring)

    def ring(self) -> None:
        """The store's thread: something was committed."""
        for courier in self.workers:
            courier.ring()

    def prepare(self) -> None:
        """Before anything is read: new outputs begin here, and those of an earlier configuration are forgotten."""
        self._note([courier.config.name for courier in self.workers])

    def change(self, configs: Sequence[OutputConfig]) -> tuple[str, ...]:
        """Takes out what is not wanted any more, puts in what is new; says which names that were."""
        kept = {courier.config.name: courier for courier in self.workers if courier.config in configs}
        before = {courier.config.name for courier in self.workers}
        gone = [courier for courier in self.workers if courier.config.name not in kept]
        self.workers = tuple(kept.values())
        end(gone, CHANGE_BUDGET_S)
        self._note([config.name for config in configs])
        new = {config.name: self._new(config) for config in configs if config.name not in kept}
        for courier in new.values():
            courier.start()
        self.workers = tuple((kept | new)[config.name] for config in configs)
        return tuple(sorted((before | new.keys()) - kept.keys()))

    def _note(self, names: Sequence[str]) -> None:
        self._store.submit(outputs.keep_only(names), *(outputs.enter(name) for name in names))

    def _new(self, config: OutputConfig) -> Courier:
        output = build_output(config, self._gateway_id)
        return Courier(
            config, output, self._store, hides=self._hides, metrics=self._metrics, clock=self._clock
        )

    # -------------------------------------------------- how they are
    def troubles(self) -> dict[str, str | None]:
        """What is wrong with each; None where nothing is."""
        return {courier.config.name: courier.snapshot().trouble for courier in self.workers}

    def waiting(self) -> dict[str, float]:
        """How many readings each is behind."""
        newest = self._store.count("readings")
        positions = {courier.config.name: courier.snapshot().position for courier in self.workers}
        return {name: 0.0 if at is None else float(max(0, newest - at)) for name, at in positions.items()}

    def documents(self) -> dict[str, Any]:
        """Each by name, without what must be read from the database. Of a URL nothing but the server is shown."""
        waiting = self.waiting()
        return {
            one.config.name: {
                "type": one.config.type,
                "server": _server(one.config.url),
                "trouble": one.snapshot().trouble,
                "waiting": int(waiting.get(one.config.name, 0)),
            }
            for one in self.workers
        }


def _server(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
