"""What both lanes and the way out stand on."""
from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from mbusgw.config.master_key import find_master_key
from mbusgw.config.models import Config
from mbusgw.model.guests import Guest, GuestList
from mbusgw.mqtt.states import StateRecorder
from mbusgw.mqtt.topics import Topics
from mbusgw.registry import presence_log, quarantine_log
from mbusgw.registry.changes import DeadBands
from mbusgw.registry.plausibility import Guard
from mbusgw.registry.registry import Registry
from mbusgw.registry.unmet import UnmetWishes
from mbusgw.runtime.clock import Clock
from mbusgw.runtime.metrics import Metrics
from mbusgw.store.janitor import Janitor
from mbusgw.store.keyring import Keyring
from mbusgw.store.mappings import Mappings
from mbusgw.store.vault import Vault
from mbusgw.store.writer import Store


@dataclass(frozen=True, slots=True)
class Base:
    """What we were asked, what we know, and what must not be forgotten. **immutable**"""

    config: Config
    clock: Clock
    metrics: Metrics
    store: Store
    janitor: Janitor
    registry: Registry
    topics: Topics
    recorder: StateRecorder
    keyring: Keyring
    mappings: Mappings


def build_base(config: Config, clock: Clock) -> Base:
    """Opens nothing but the master key's file."""
    store = Store(config.storage.path, clock=clock)
    janitor = Janitor(
        store,
        clock=clock,
        keep_readings_s=config.storage.keep_readings,
        keep_telegrams_s=config.storage.keep_telegrams,
    )
    registry = Registry(
        clock,
        radio_ttl_s=config.ingest.offline_after,
        radio_intervals=config.ingest.offline_intervals,
        guests=guest_list(config),
        is_quiet=lambda moment: any(hours.hold(moment.astimezone()) for hours in config.ingest.quiet),
        guard=Guard(config.plausibility),
        dead_bands=DeadBands(config.changes.dead_bands),
    )
    registry.observe(presence_log.changed)
    registry.observe(quarantine_log.changed)
    registry.expect_guests()
    registry.observe(UnmetWishes().changed)
    topics = Topics(config.mqtt, config.homeassistant)
    recorder = StateRecorder(registry, store, topics, clock=clock, max_history=config.mqtt.max_history)
    keyring = Keyring(store, open_vault(config, os.environ), clock=clock)
    return Base(config, clock, Metrics(), store, janitor, registry, topics, recorder, keyring, Mappings(store, clock))


def guest_list(config: Config) -> GuestList:
    """The radio meters that the configuration speaks of."""
    return GuestList(
        [
            Guest(
                one.radio,
                one.id,
                one.name or one.id,
                one.hidden,
                frozenset(one.gateways) if one.gateways else None,
                one.wishes,
            )
            for one in config.radio_devices
        ],
        listed_only=config.ingest.announce == "listed",
    )


def open_vault(config: Config, environ: Mapping[str, str]) -> Vault:
    """What seals the meters' keys, with the master key of the configuration or of systemd."""
    master = find_master_key(config.storage.master_key_file, environ)
    return Vault(master.key, trouble=master.trouble)
