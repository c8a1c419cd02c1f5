"""A device's state as MQTT messages, and the way of a reading into registry, database and outbox."""
from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

from mbusgw.model.device import NOTHING_LEFT_OUT, DeviceState
from mbusgw.model.document import meter_document, radio_document, record_document
from mbusgw.model.format import format_document
from mbusgw.model.ports import Write
from mbusgw.model.quarantine import held_back, quarantine_document
from mbusgw.model.reading import Field, Lane, Reading
from mbusgw.model.status import status_flags
from mbusgw.model.units import plain_text
from mbusgw.mqtt.history import history_message
from mbusgw.mqtt.topics import Topics
from mbusgw.registry.changes import Change
from mbusgw.registry.registry import Registry
from mbusgw.runtime import exactjson
from mbusgw.runtime.clock import Clock
from mbusgw.store import outbox, readings, states
from mbusgw.store.outbox import Message
from mbusgw.store.writer import Store

#: Devices whose whole state goes into one transaction.
PUBLISH_SLICE = 100
#: A value that a wired meter has left out so often is not told again: who shows it shall see that it is old. Some
#: meters send this and that in turn.
LEFT_OUT_MOST = 10


# ------------------------------------------------------------------ messages
def change_messages(topics: Topics, change: Change) -> list[Message]:
    """What a change is news of: values first, then availability, then the attributes that explain them."""
    state = change.after
    if state.hidden:
        return []
    messages = [
        _field_message(topics, state, state.fields[name])
        for name in state.fields
        if name in change.fields
        and not state.fields[name].hidden
        and (state.fields[name].value is not None or name in change.before.fields)
    ]
    # What only the meter had that was here before.
    gone = change.before.fields.keys() - state.fields.keys()
    messages += [Message(topics.field(state.device_id, name), "", retain=True) for name in sorted(gone)]
    if change.availability:
        messages.append(availability_message(topics, state))
    if change.before.quarantine != state.quarantine:
        messages.append(quarantine_message(topics, state))
    if state.read_at is not None:
        messages.append(attributes_message(topics, state))
    return messages


def all_messages(topics: Topics, state: DeviceState) -> list[Message]:
    """The whole state of a device, for the heartbeat, a restart, and a Home Assistant that was born."""
    if state.hidden:
        return []
    messages = [availability_message(topics, state)]
    messages += [
        _field_message(topics, state, field)
        for name, field in state.fields.items()
        if field.value is not None and not field.hidden and state.left_out.get(name, 0) < LEFT_OUT_MOST
    ]
    if state.quarantine:
        messages.append(quarantine_message(topics, state))
    if state.read_at is not None:
        messages.append(attributes_message(topics, state))
    return messages


def availability_message(topics: Topics, state: DeviceState) -> Message:
    """``online`` or ``offline``."""
    return Message(topics.availability(state.device_id), "online" if state.online else "offline", retain=True)


def reading_messages(topics: Topics, change: Change, reading: Reading) -> list[Message]:
    """What ``change``, made by ``reading``, is news of. Should that be replaced before the broker has it, the reading
    goes to the device's history; one that is not the newest (any more) goes there at once."""
    messages = change_messages(topics, change)
    if not messages:
        return []
    missed = history_message(topics, reading)
    if change.after.read_at != reading.read_at:
        return [missed, *messages]
    # Each reading has attributes, and they come last.
    return [*messages[:-1], replace(messages[-1], missed=missed)]


def quarantine_message(topics: Topics, state: DeviceState) -> Message:
    """The values that are not believed; while there are none the topic is empty."""
    suspects = quarantine_document(state.quarantine, state.fields)
    payload = exactjson.dumps({"count": len(suspects), "values": suspects}) if suspects else ""
    return Message(topics.quarantine(state.device_id), payload, retain=True)


def attributes_message(topics: Topics, state: DeviceState) -> Message:
    """Everything about the last reading that is not a value."""
    return Message(topics.attributes(state.device_id), exactjson.dumps(attributes(state)), retain=True)


def attributes(state: DeviceState) -> dict[str, Any]:
    """The document of ``mbus/<device>/attributes``: header, units, and each record as sent."""
    return {
        "name": state.name,
        "read_at": state.read_at,
        "stale": state.stale,
        "version": state.version,
        "lane": state.lane.value,
        "meter": meter_document(state.meter),
        "access_no": state.access_no,
        "status": state.status,
        "status_flags": status_flags(state.status),
        "gateway_id": state.gateway_id,
        "rssi_dbm": state.rssi_dbm,
        "radio": radio_document(state.radio),
        "format": format_document(state.format),
        "units": {name: field.unit for name, field in state.fields.items() if field.unit},
        "records": {
            name: record_document(field.record, name) for name, field in state.fields.items() if field.record
        },
        "quarantine": quarantine_document(state.quarantine, state.fields),
        "manufacturer_data": state.manufacturer_data,
        "problems": state.problems,
        "breaker": state.breaker,
    }


def _field_message(topics: Topics, state: DeviceState, field: Field) -> Message:
    # A value the meter no longer stands by clears its topic: nobody shall take the old one for today's.
    return Message(topics.field(state.device_id, field.name), plain_text(field.value), retain=True)


# ------------------------------------------------------------------ the way of a reading
class StateRecorder:
    """Takes readings to registry, database and outbox: the ``Delivery`` of both lanes. **any thread**

    At most ``max_history`` missed readings of wired meters wait; of more, every second one is left out.
    """

    def __init__(
        self, registry: Registry, store: Store, topics: Topics, *, clock: Clock, max_history: int = 5_000
    ) -> None:
        self._registry = registry
        self._store = store
        self._topics = topics
        self._clock = clock
        self._max_history = max_history
        self._lock = threading.Lock()
        self._withheld: dict[str, frozenset[str]] = {}

    def withhold(self, device_id: str, fields: frozenset[str]) -> None:
        """Values of these are not sent until ``release``: whoever shows them would take them in their old unit."""
        with self._lock:  # two parser threads may have read the same meter
            self._withheld[device_id] = self._withheld.get(device_id, frozenset()) | fields

    def release(self, device_id: str) -> bool:
        """All values of the device are sent again from now on; says whether any was not."""
        with self._lock:
            return self._withheld.pop(device_id, None) is not None

    def deliver(self, reading: Reading, *also: Write) -> Future[Any]:
        """State, history, messages and ``also`` in one transaction; see ``model.ports.Delivery``."""
        change = self._registry.record(reading)
        if change.after.read_at == reading.read_at:
            reading = replace(reading, quarantined=held_back(change.after.quarantine, reading))

        def history(connection: sqlite3.Connection) -> None:
            readings.add(connection, reading)

        def messages(change: Change) -> list[Message]:
            return reading_messages(self._topics, change, reading)

        return self._store.submit(self._state_write(change, messages), history, *also)

    def publish_change(self, change: Change) -> Future[Any]:
        """A change that is no reading: a device went offline."""
        return self._store.submit(self._state_write(change, lambda change: change_messages(self._topics, change)))

    def publish_all(self, devices: Iterable[DeviceState]) -> None:
        """Everything about ``devices`` once more, a few devices at a time so that news can pass between."""
        rest = list(devices)
        while rest:
            slice_, rest = rest[:PUBLISH_SLICE], rest[PUBLISH_SLICE:]
            self._store.submit(self._refresh(slice_))

    def _refresh(self, devices: Sequence[DeviceState]) -> Write:
        def write(connection: sqlite3.Connection) -> None:
            # The states of this moment: an older one must not replace news that waits on the same topics,
            # and of a device that was forgotten meanwhile nothing may come back.
            newest = [self._registry.get(state.device_id) for state in devices]
            known = [(state.device_id, all_messages(self._topics, state)) for state in newest if state]
            messages = [message for device_id, its in known for message in self._without_withheld(device_id, its)]
            outbox.put(connection, messages, self._clock.now())

        return write

    def _without_withheld(self, device_id: str, messages: list[Message]) -> list[Message]:
        with self._lock:
            names = self._withheld.get(device_id, frozenset())
        topics = {self._topics.field(device_id, name) for name in names}
        return [message for message in messages if message.topic not in topics or not message.payload]

    def hide(self, devices: Iterable[DeviceState]) -> None:
        """Clears the topics of fields that are hidden, and may have been shown until now."""
        messages = [
            Message(self._topics.field(state.device_id, field.name), "", retain=True)
            for state in devices
            for field in state.fields.values()
            if field.hidden
        ]
        if messages:
            self._store.submit(outbox.enqueue(messages, self._clock.now()))

    def forget(self, state: DeviceState) -> None:
        """A device that is not configured any more: its state is deleted and its retained topics are cleared."""
        self.release(state.device_id)
        everything = all_messages(self._topics, replace(state, left_out=NOTHING_LEFT_OUT))
        messages = [replace(message, payload="") for message in everything]
        if state.lane is Lane.WIRED:
            messages.append(Message(self._topics.settings(state.device_id), "", retain=True))

        def write(connection: sqlite3.Connection) -> None:
            states.delete(connection, state.device_id)
            outbox.put(connection, messages, self._clock.now())

        self._store.submit(write)

    def publish_report(self, document: Mapping[str, Any]) -> None:
        """How the gateway is: the document of ``GET /health``, on both topics of the bridge."""
        text = exactjson.dumps(document)
        topics = (self._topics.bridge_info, self._topics.bridge_health)
        messages = [Message(topic, text, retain=True) for topic in topics]
        self._store.submit(outbox.enqueue(messages, self._clock.now()))

    def _state_write(self, change: Change, messages_of: Callable[[Change], list[Message]]) -> Write:
        messages = messages_of(change)
        now = self._clock.now()

        def write(connection: sqlite3.Connection) -> None:
            current = messages
            if self._registry.get(change.after.device_id) is None:
                return  # forgotten meanwhile
            if not states.save(connection, change.after):
                # Another thread's newer state of this device was stored first: send that one's values, not older ones.
                newest = self._registry.get(change.after.device_id) or change.after
                current = messages_of(Change(change.before, newest, change.fields))
            outbox.put(connection, self._without_withheld(change.after.device_id, current), now)
            outbox.thin(connection, self._max_history)

        return write
