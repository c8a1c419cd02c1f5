"""Taking over a changed configuration: in place where that is possible."""
from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from mbusgw.config.difference import IN_PLACE, changed_keys, file_stamps
from mbusgw.config.models import Config
from mbusgw.config.source import ConfigSource
from mbusgw.model.command import Document
from mbusgw.model.reading import Lane
from mbusgw.mqtt.announcer import Announcer
from mbusgw.mqtt.states import StateRecorder
from mbusgw.outputs.couriers import Couriers
from mbusgw.registry.registry import Registry
from mbusgw.runtime.metrics import Metrics
from mbusgw.wired.lane import LaneChange, WiredLane

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a reload did. With ``restart`` (the keys that make it necessary), or if it was asked for (``anew``),
    ``config`` is to be started anew with. **immutable**"""

    config: Config
    changed: frozenset[str] = frozenset()
    lane: LaneChange = LaneChange()
    restart: tuple[str, ...] = ()
    anew: bool = False

    @property
    def starts_anew(self) -> bool:
        """Nothing was taken over in place."""
        return self.anew or bool(self.restart)

    def document(self) -> Document:
        """For whoever asked."""
        return {
            "changed": sorted(self.changed),
            "restart": list(self.restart),
            "devices": {
                "added": list(self.lane.added),
                "changed": list(self.lane.changed),
                "removed": list(self.lane.removed),
            },
            "buses": list(self.lane.buses),
        }


class Reload:
    """Compares what the file says with what is in force, and makes it so. The main thread only.

    Buses, meters, outputs and the level of the logs are exchanged one by one, while everything else goes on: the HTTP
    port, the broker's connection, and every bus and meter whose settings are the same.
    """

    def __init__(
        self,
        config: Config,
        source: ConfigSource,
        lane: WiredLane,
        outputs: Couriers,
        *,
        registry: Registry,
        recorder: StateRecorder,
        announcer: Announcer | None,
        metrics: Metrics,
        set_level: Callable[[str], None],
    ) -> None:
        self._config = config
        self._source = source
        self._lane = lane
        self._outputs = outputs
        self._registry = registry
        self._recorder = recorder
        self._announcer = announcer
        self._metrics = metrics
        self._set_level = set_level
        self._files = file_stamps(config)

    def run(self, *, asked: bool, anew: bool = False) -> Outcome:
        """Raises ``ConfigError``: then everything is as before.

        ``asked``: by a person, who may mean what is not in the file: certificates that were renewed, an adapter that
        was replaced. ``anew``: a new start is wanted in any case.
        """
        config = self._source.load()
        changed = changed_keys(self._config, config)
        if asked:
            stamps = file_stamps(config)
            changed |= {key for key, stamp in stamps.items() if self._files.get(key, stamp) != stamp}
        restart = tuple(sorted(changed - IN_PLACE))
        if restart:
            log.info("changed: %s; this needs a new start of everything", ", ".join(restart))
            return Outcome(config, changed, restart=restart)
        if anew:
            log.info("a new start of everything was asked for")
            return Outcome(config, changed, anew=True)
        self._config = config
        if "logging.level" in changed:
            self._set_level(config.logging.level)
            log.info("the level of the logs is %s now", config.logging.level)
        if "outputs" in changed:
            log.info("outputs exchanged: %s", ", ".join(self._outputs.change(config.outputs)))
        return Outcome(config, changed, self._exchange(config, renew_lost=asked))

    def _exchange(self, config: Config, *, renew_lost: bool) -> LaneChange:
        change = self._lane.change(config.buses, config.wired_devices, renew_lost=renew_lost)
        for device_id in change.removed:
            self._forget(device_id)
        changed = [state for device_id in change.changed if (state := self._registry.get(device_id)) is not None]
        self._recorder.hide(changed)
        self._recorder.publish_all(changed)
        if self._announcer is not None:
            for device_id in (*change.added, *change.changed):
                self._announcer.refresh(device_id)
            if change.buses:
                self._announcer.settings_changed("")
        for word in ("added", "changed", "removed", "buses"):
            if names := getattr(change, word):
                log.info("wired meters %s: %s" if word != "buses" else "%s exchanged: %s", word, ", ".join(names))
        if not change:
            log.info("no bus and no wired meter has changed")
        return change

    def _forget(self, device_id: str) -> None:
        """It is not configured any more: nothing of it stays, on the broker or in Home Assistant."""
        state = self._registry.get(device_id)
        if state is None or state.lane is not Lane.WIRED:  # a radio meter of the same name is none of ours
            return
        self._registry.forget(device_id)
        self._recorder.forget(state)
        self._metrics.forget_device(device_id)
        if self._announcer is not None:
            self._announcer.refresh(device_id)
