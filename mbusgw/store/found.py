"""Meters that scans have found (table ``found``), and the places of unfinished scans (table ``scans``)."""
from __future__ import annotations

import logging
import sqlite3
from datetime import datetime
from typing import Any

from mbusgw.model.address import SecondaryAddress
from mbusgw.model.found import FoundMeter
from mbusgw.model.meter import MeterIdentity
from mbusgw.runtime import exactjson
from mbusgw.runtime.clock import iso, parse_iso

log = logging.getLogger(__name__)

#: What reading back something that was not written by us may raise.
MALFORMED = (LookupError, TypeError, ValueError, AttributeError)


def to_document(meter: FoundMeter) -> dict[str, Any]:
    """A find as it is kept. Any thread."""
    who = meter.identity
    return {
        "bus": meter.bus,
        "meter": None if who is None else [who.id, who.manufacturer, who.version, who.medium],
        "primary": meter.primary,
        "secondary": None if meter.secondary is None else str(meter.secondary),
        "baudrate": meter.baudrate,
        "found_at": iso(meter.found_at),
        "product": meter.product,
        "note": meter.note,
    }


def from_document(document: dict[str, Any]) -> FoundMeter:
    """The find that was kept. Raises one of ``MALFORMED``. Any thread."""
    secondary = document["secondary"]
    return FoundMeter(
        bus=str(document["bus"]),
        identity=None if document["meter"] is None else MeterIdentity(*document["meter"]),
        primary=None if document["primary"] is None else int(document["primary"]),
        secondary=None if secondary is None else SecondaryAddress.parse(secondary),
        baudrate=int(document["baudrate"]),
        found_at=parse_iso(document["found_at"]),
        product=document["product"],
        note=str(document["note"]),
    )


# ------------------------------------------------------------------ finds
def save(connection: sqlite3.Connection, meter: FoundMeter) -> None:
    """Keeps a find in place of an earlier one of the same meter."""
    connection.execute(
        "INSERT OR REPLACE INTO found (meter, bus, found_at, found_json) VALUES (?, ?, ?, ?)",
        (meter.key, meter.bus, iso(meter.found_at), exactjson.dumps(to_document(meter))),
    )


def forget(connection: sqlite3.Connection, key: str) -> None:
    """Forgets one find."""
    connection.execute("DELETE FROM found WHERE meter = ?", (key,))


def load(connection: sqlite3.Connection) -> list[FoundMeter]:
    """Every find; what cannot be understood is left out, with a warning."""
    finds = []
    for row in connection.execute("SELECT meter, found_json FROM found ORDER BY found_at, meter"):
        try:
            finds.append(from_document(exactjson.loads(row[1])))
        except MALFORMED as error:
            log.warning("the find %s cannot be understood: %r", row[0], error)
    return finds


# ------------------------------------------------------------------ places
def save_place(connection: sqlite3.Connection, bus: str, place: dict[str, Any], now: datetime) -> None:
    """Keeps where a scan is."""
    connection.execute(
        "INSERT OR REPLACE INTO scans (bus, place_json, updated_at) VALUES (?, ?, ?)",
        (bus, exactjson.dumps(place), iso(now)),
    )


def forget_place(connection: sqlite3.Connection, bus: str) -> None:
    """The scan has come to its end."""
    connection.execute("DELETE FROM scans WHERE bus = ?", (bus,))


def places(connection: sqlite3.Connection) -> dict[str, dict[str, Any]]:
    """bus -> where its scan is; what is no JSON is left out."""
    known = {}
    for row in connection.execute("SELECT bus, place_json FROM scans"):
        try:
            known[row[0]] = exactjson.loads(row[1])
        except ValueError as error:
            log.warning("the place of the scan of bus %s cannot be understood: %r", row[0], error)
    return known
