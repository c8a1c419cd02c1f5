"""What administrators may do over HTTP with what is stored: keys, telegrams, mappings, what is announced."""
from __future__ import annotations

from functools import partial

from mbusgw.app.base import Base
from mbusgw.app.dashboard import Dashboard
from mbusgw.app.lanes import WirelessLane
from mbusgw.store.replays import Telegrams
from mbusgw.web.archive import ArchiveRoutes
from mbusgw.web.dashboard import DashboardRoutes
from mbusgw.web.keys import KeyRoutes
from mbusgw.web.mappings import MappingRoutes
from mbusgw.web.router import Route


def admin_routes(base: Base, radio: WirelessLane, token: str | None) -> list[Route]:
    """The rows for the table."""
    telegrams = Telegrams(
        base.store,
        max_backlog=base.config.ingest.max_backlog,
        ring=radio.backlog.ring,
        count=partial(base.metrics.telegram, result="replayed"),
    )
    return [
        *KeyRoutes(base.keyring, token).routes(),
        *ArchiveRoutes(telegrams, token).routes(),
        *MappingRoutes(base.mappings, base.config.lobaro.mapping_file, token).routes(),
        *DashboardRoutes(Dashboard(base.store, base.config).view, token).routes(),
    ]
