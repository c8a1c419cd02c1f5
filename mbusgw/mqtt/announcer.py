"""Tells Home Assistant what there is, and takes back what is gone."""
from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterable
from enum import Enum

from mbusgw.commands.bucket import Bucket
from mbusgw.commands.params import Params
from mbusgw.model.command import Document, Tell
from mbusgw.model.errors import RequestError
from mbusgw.mqtt.announcement import Announcement
from mbusgw.mqtt.client import Incoming
from mbusgw.mqtt.controls import Live, gateway_message, settings_messages
from mbusgw.mqtt.discovery import Discovery
from mbusgw.mqtt.ledger import Ledger, Unfinished
from mbusgw.mqtt.settling import Settling
from mbusgw.mqtt.states import StateRecorder
from mbusgw.mqtt.topics import Topics
from mbusgw.mqtt.twins import Twins
from mbusgw.registry.changes import Change
from mbusgw.registry.registry import Registry
from mbusgw.runtime.backoff import Backoff
from mbusgw.runtime.clock import Clock
from mbusgw.runtime.mailbox import Mailbox
from mbusgw.runtime.worker import Worker
from mbusgw.store import outbox
from mbusgw.store.writer import Store

log = logging.getLogger(__name__)

#: After its birth Home Assistant says ``online`` a little before it listens, and every client answers at once.
BIRTH_DELAY_S = (3.0, 10.0)
#: To tell everything is much; so often it may be asked for.
REDISCOVER_S = 10
#: How often it is looked whether more may be announced; longer and longer while the broker takes nothing.
PAUSES_S = (0.05, 1.0)


class _Order(Enum):
    EVERYTHING = "everything"
    GATEWAY = "the gateway"
    TELL_ANEW = "discovery, then states"


class Announcer(Worker):
    """Owns the discovery topics: who is announced when, and what is said after it.

    Only a few documents are on their way at a time (``Ledger.has_room``): news is not to wait behind those of a large
    fleet. ``owes``: whether the broker has yet to acknowledge a row of the outbox.
    ``changed``, ``refresh``, ``birth``, ``everything``: **any thread** (they only post); the rest: **own thread**
    """

    def __init__(
        self,
        discovery: Discovery,
        registry: Registry,
        recorder: StateRecorder,
        store: Store,
        *,
        status_topic: str,
        interval_s: Callable[[str], float | None],
        clock: Clock,
        topics: Topics | None = None,
        live: Live | None = None,
        owes: Callable[[int], bool] = lambda row_id: True,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        super().__init__("mqtt-disco", clock)
        self._discovery = discovery
        self._registry = registry
        self._recorder = recorder
        self._store = store
        self._status_topic = status_topic
        self._interval_s = interval_s
        self._topics = topics
        self._live = live
        self._uniform = uniform
        self._orders: Mailbox[str | _Order | Unfinished] = Mailbox(100_000)
        self._unfinished: dict[str, str] = {}
        self._twins = Twins(registry, discovery.topic)
        self._settling = Settling(registry, recorder, clock)
        self._rediscoveries = Bucket(clock, rate_per_s=1 / REDISCOVER_S, burst=2)
        self._ledger = Ledger(store, clock, half_told=self._orders.offer, owes=owes)
        self._due: dict[str, bool] = {}  # who is to be announced, in order; whether also if it is known
        self._pauses = Backoff(*PAUSES_S, jitter=0)
        self._then_settings = self._then_states = False
        self._born_mono: float | None = None

    # -------------------------------------------------- any thread
    def changed(self, change: Change) -> None:
        """A registry observer: a new device, a new field, or one that is shown otherwise now, is to be announced."""
        device_id, retyped = change.after.device_id, change.retyped
        if retyped:  # this comes before the value is sent
            self._recorder.withhold(device_id, retyped)
        if change.structure or retyped or self._expires_otherwise(change):
            self._orders.offer(device_id)

    def refresh(self, device_id: str) -> None:
        """A device was configured otherwise, or forgotten: what is said of it may not be true any more."""
        self._orders.offer(device_id)

    def settings_changed(self, device_id: str) -> None:
        """A meter is polled otherwise now; ``""``: the gateway has other buses, or logs otherwise."""
        self._orders.offer(device_id or _Order.GATEWAY)

    def _expires_otherwise(self, change: Change) -> bool:
        """More is known of how often a radio meter sends."""
        expire_after_s = self._discovery.expire_after_s
        return change.after.radio is not None and expire_after_s(change.before) != expire_after_s(change.after)

    def birth(self, message: Incoming) -> None:
        """Home Assistant says ``online``. Its retained word at our subscribing is no birth: we announce then anyway."""
        if message.topic == self._status_topic and message.payload == b"online" and not message.retained:
            self._born_mono = self.clock.mono() + self._uniform(*BIRTH_DELAY_S)

    def everything(self) -> None:
        """The broker is (again) there, and may have lost what it knew: announce all."""
        self._orders.offer(_Order.EVERYTHING)

    def rediscover(self, given: Document, _tell: Tell) -> Document:
        """The command: ``{}``; discovery, availability and states are sent anew. Raises ``RequestError`` 400, 429."""
        Params(given).done()
        if not self._rediscoveries.allow():
            raise RequestError(429, "too_many_requests", "it has just been done", retry_after_s=REDISCOVER_S)
        if not self._orders.offer(_Order.TELL_ANEW):
            raise RequestError(503, "busy", "too much waits to be announced", retry_after_s=REDISCOVER_S)
        return {"devices": len(self._registry.snapshot())}

    def stop(self) -> None:
        """Ends after the running order."""
        super().stop()
        self._orders.close()

    # -------------------------------------------------- own thread
    def setup(self) -> None:
        """Reads what was announced by this or an earlier run."""
        self._ledger.load()

    def step(self) -> None:
        """One order, or a birth that is due; then as many announcements as may be on their way."""
        order = self._orders.take(self._pauses.next_s() if self._due else PAUSES_S[1])
        if order is _Order.EVERYTHING:
            self._announce_all()
        elif order is _Order.TELL_ANEW:
            log.info("telling Home Assistant everything anew, as asked for")
            self._tell_anew()
        elif isinstance(order, Unfinished):
            self._unfinished[order.topic] = order.device_id
        elif order is _Order.GATEWAY:
            self._announce_gateway()
        elif isinstance(order, str):
            self._due.setdefault(order, False)
        if order is None or isinstance(order, Unfinished):
            self._finish()
        self._announce_due()
        self._settling.settle()
        if self._born_mono is not None and self.clock.mono() >= self._born_mono:
            self._born_mono = None
            log.info("Home Assistant has started; telling it everything")
            self._tell_anew()

    def _tell_anew(self) -> None:
        self._announce_all()
        self._then_states = True

    def _announce_due(self) -> None:
        while self._due and self._ledger.has_room():
            device_id = next(iter(self._due))
            self._announce_device(device_id, anew=self._due.pop(device_id))
            self._tell_settings(device_id)
            self._settling.spare(device_id)
            self._pauses.reset()
        if self._due:
            return
        if self._then_settings and self._live is not None:
            self._tell_settings("", *self._live.meters())
        if self._then_states:
            # After discovery: availability, then states, or the entities would stay unavailable or unknown.
            self._recorder.publish_all(self._registry.snapshot().values())
        self._then_settings = self._then_states = False

    def _announce_all(self) -> None:
        gateway = self._discovery.gateway()
        states = self._registry.snapshot()
        owners = self._twins.owners(states.values(), self._ledger.holders())
        # A meter that is configured and was not read yet in this run keeps what was said of it.
        unread = {device_id for device_id, state in states.items() if state.read_at is None}
        self._withdraw(
            [
                topic
                for topic, device_id in self._ledger.holders().items()
                if topic not in owners and topic != gateway.topic and device_id not in unread
            ]
        )
        self._announce(gateway)
        # Only who it is: the documents of a large fleet fill the memory.
        self._due |= dict.fromkeys((state.device_id for state in owners.values()), True)
        self._then_settings = True

    def _announce_gateway(self) -> None:
        announcement = self._discovery.gateway()
        if not self._ledger.knows(announcement):
            self._announce(announcement)
        self._tell_settings("")

    def _tell_settings(self, *device_ids: str) -> None:
        """How the meters are polled, and (``""``) how the gateway logs."""
        if self._topics is None or self._live is None:
            return
        messages = settings_messages(self._topics, self._live, device_ids)
        if "" in device_ids:
            messages.append(gateway_message(self._topics, self._live))
        if messages:
            self._store.submit(outbox.enqueue(messages, self.clock.now()))

    def _announce_device(self, device_id: str, *, anew: bool) -> None:
        """What is new of a device; ``anew``: also if nothing is."""
        state = self._registry.get(device_id)
        if state is None:
            self._withdraw([topic for topic, holder in self._ledger.holders().items() if holder == device_id])
            return
        announcement = self._discovery.meter(state, interval_s=self._interval_s(device_id))
        if announcement is None:
            return
        if self._twins.is_left_out(state, announcement.topic, self._ledger.holder(announcement.topic)):
            return
        # Another meter under the same name: were both announced, the old one would show what the new one counts.
        self._withdraw(self._ledger.replaced_by(announcement))
        if anew or not self._ledger.knows(announcement):
            self._announce(announcement)

    def _announce(self, announcement: Announcement) -> None:
        if self._ledger.tell(announcement):
            self._settling.owe(announcement.device_id)

    def _finish(self) -> None:
        """The second step of what leaves, once the first has been sent."""
        if not self._unfinished:
            return
        for topic in self._ledger.sent(self._unfinished):
            if device_id := self._unfinished.pop(topic):
                self._due[device_id] = True
            else:
                self._announce(self._discovery.gateway())

    def _withdraw(self, topics: Iterable[str]) -> None:
        """Takes back what is not any more."""
        for topic in topics:
            self._ledger.withdraw(topic)
            for device_id in self._twins.freed(topic):
                self._orders.offer(device_id)
