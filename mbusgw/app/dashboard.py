"""The dashboard for the meters at hand: which of them, and their view."""
from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from fnmatch import fnmatchcase
from typing import Any

from mbusgw.config.models import Config
from mbusgw.config.shape import guess
from mbusgw.model.errors import RequestError
from mbusgw.mqtt.dashboard import build_view
from mbusgw.runtime import exactjson
from mbusgw.store import announced
from mbusgw.store.writer import Store

#: A view with more meters is of no use to anybody, and slow to show.
MOST = 250
LANGUAGES = ("en", "de")


class Dashboard:
    """Builds views from what Home Assistant was last told. **any thread**"""

    def __init__(self, store: Store, config: Config) -> None:
        self._store = store
        self._config = config

    def view(self, meters: Sequence[str] = (), language: str | None = None) -> dict[str, Any]:
        """The view of the gateway and of ``meters``, ids or patterns such as ``els_*``; of all, where none is named.

        ``language`` is that of the headings, by default the configured one. Raises ``RequestError`` 400, 404, 409,
        and ``StoreError``.
        """
        if not self._config.homeassistant.enabled:
            raise RequestError(409, "not_announced", "homeassistant.enabled is false: Home Assistant is told nothing")
        if language not in (None, *LANGUAGES):
            raise RequestError(400, "bad_value", f"language is one of {', '.join(LANGUAGES)}", field="language")
        with closing(self._store.reader()) as reader:
            topics = dict(announced.topics(reader))
            wanted = _chosen(topics, meters)
            return build_view(_documents(reader, wanted), language or self._config.gateway.language)


def _documents(reader: sqlite3.Connection, topics: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    for topic in topics:
        payload = announced.payload(reader, topic)
        if payload:  # not taken back meanwhile
            yield exactjson.loads(payload)


def _chosen(topics: Mapping[str, str], meters: Sequence[str]) -> list[str]:
    """The topics of the gateway and of the meters that are meant. Raises ``RequestError``."""
    known = {device_id for device_id in topics.values() if device_id}
    if not known:
        raise RequestError(409, "no_meters", "no meter has been announced to Home Assistant yet: none was read so far")
    for name in meters:
        if not any(fnmatchcase(device_id, name) for device_id in known):
            near = guess(name, sorted(known)) or f"there are {', '.join(sorted(known)[:20])}"
            raise RequestError(404, "unknown_device", f"no meter {name[:40]!r} is announced; {near}", field="meters")
    chosen = {one for one in known if not meters or any(fnmatchcase(one, name) for name in meters)}
    if len(chosen) > MOST:
        message = f"{len(chosen)} meters are too many for one view, which has room for {MOST}: name those you want"
        raise RequestError(400, "too_many", message, field="meters")
    return [topic for topic, device_id in topics.items() if not device_id or device_id in chosen]
