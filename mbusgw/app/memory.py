"""What an earlier run left: loaded before anything starts."""
from __future__ import annotations

import logging
from collections.abc import Container

from mbusgw.config.models import Config
from mbusgw.model.device import DeviceState
from mbusgw.model.errors import StoreError
from mbusgw.model.reading import Lane
from mbusgw.model.wording import counted
from mbusgw.mqtt.states import StateRecorder
from mbusgw.parsers.formats import FormatMemory
from mbusgw.registry.registry import Registry
from mbusgw.store import formats, states
from mbusgw.store.keyring import Keyring
from mbusgw.store.keys import MeterKey
from mbusgw.store.writer import Store
from mbusgw.wired.finds import Finds

log = logging.getLogger(__name__)


class Memory:
    """Opens the store and hands its content to those who go on with it. The main thread, before the start."""

    def __init__(
        self,
        config: Config,
        registry: Registry,
        recorder: StateRecorder,
        store: Store,
        keyring: Keyring,
        known_formats: FormatMemory,
        finds: Finds,
    ) -> None:
        self._config = config
        self._registry = registry
        self._recorder = recorder
        self._store = store
        self._keyring = keyring
        self._formats = known_formats
        self._finds = finds

    def load(self) -> None:
        """Last known states (published as stale), formats, finds, keys of the configuration, telegrams that wait for
        them.

        Raises ``StoreError``, and then can be called again. What is to be written is queued here and written once
        the store runs.
        """
        self._store.open()
        try:
            known = self._read()
        except StoreError:
            self._store.close()
            raise
        wired = {device.id for device in self._config.wired_devices if device.enabled}
        gone = [state for state in known if self._is_gone(state, wired)]
        self._registry.restore(state for state in known if state not in gone)
        for state in gone:
            log.info("%s is not called so any more, or not configured; its state is forgotten", state.device_id)
            self._recorder.forget(state)
        for state in known:
            if not state.hidden and state.lane is Lane.WIRELESS and self._registry.guests.hides(state.device_id):
                self._recorder.forget(state)  # what was shown of it; it is kept in memory, and stored when it is heard
        self._keep_expected({state.device_id for state in known})
        self._recorder.hide(self._registry.snapshot().values())
        self._recorder.publish_all(self._registry.snapshot().values())
        backlog = self._store.count("backlog")
        if known or backlog:
            log.info(
                "%s loaded, %s still to be parsed", counted(len(known), "device state"), counted(backlog, "telegram")
            )

    def _keep_expected(self, known: Container[str]) -> None:
        """What was never read is stored too: once it is not configured any more, a later run takes back what is said
        of it."""
        new = [state for state in self._registry.snapshot().values() if state.device_id not in known]
        if new:
            self._store.submit(lambda connection: [states.save(connection, state) for state in new])

    def _is_gone(self, state: DeviceState, wired: Container[str]) -> bool:
        if state.lane is Lane.WIRED:
            return state.device_id not in wired
        if state.meter is None:  # it was listed and never heard
            return not self._registry.guests.lists(state.device_id)
        return self._registry.guests.device_id(state.meter.device_id) != state.device_id

    def _read(self) -> list[DeviceState]:
        self._keyring.prepare([MeterKey(key.meter_id, key.manufacturer, key.key_bytes) for key in self._config.keys])
        reader = self._store.reader()
        try:
            known = states.load(reader)
            self._formats.restore(formats.load(reader))
            self._finds.restore(reader)
            return known
        finally:
            reader.close()
