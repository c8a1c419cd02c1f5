"""The last known state of every device, kept over restarts."""
from __future__ import annotations

import logging
import sqlite3
from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from mbusgw.model.device import DeviceState
from mbusgw.model.format import RecordFormat
from mbusgw.model.meter import MeterIdentity
from mbusgw.model.quarantine import NO_COUNTS, NO_SUSPECTS, Count, Doubt, Suspect
from mbusgw.model.reading import Lane
from mbusgw.model.reception import RadioLink, Reception
from mbusgw.runtime import exactjson
from mbusgw.runtime.clock import iso, parse_iso
from mbusgw.store.fieldtext import from_fields, to_fields

log = logging.getLogger(__name__)


def save(connection: sqlite3.Connection, state: DeviceState) -> bool:
    """Stores ``state`` unless a newer version is there already; says whether it did."""
    cursor = connection.execute(
        "INSERT INTO device_states (device_id, state_json, last_update, online, version) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (device_id) DO UPDATE SET state_json = excluded.state_json, last_update = excluded.last_update,"
        " online = excluded.online, version = excluded.version WHERE excluded.version > device_states.version",
        (
            state.device_id,
            exactjson.dumps(_document(state)),
            iso(state.read_at) if state.read_at else None,
            state.online,
            state.version,
        ),
    )
    return cursor.rowcount > 0


def load(connection: sqlite3.Connection) -> list[DeviceState]:
    """Every stored state. Of one that cannot be understood only the version is kept, with a warning: it counts
    on from there, or what is read afresh would look older than what is stored, and never replace it."""
    states = []
    for row in connection.execute("SELECT device_id, state_json, version FROM device_states ORDER BY device_id"):
        try:
            states.append(_state(row[0], row[2], exactjson.loads(row[1])))
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
            log.warning("the stored state of %s cannot be understood; it begins anew: %r", row[0], error)
            states.append(DeviceState(row[0], row[0], version=row[2]))
    return states


def delete(connection: sqlite3.Connection, device_id: str) -> None:
    """Forgets a device."""
    connection.execute("DELETE FROM device_states WHERE device_id = ?", (device_id,))


def _document(state: DeviceState) -> dict[str, Any]:
    meter = state.meter
    return {
        "name": state.name,
        "online": state.online,
        "lane": state.lane.value,
        "read_at": state.read_at,
        "meter": [meter.id, meter.manufacturer, meter.version, meter.medium] if meter else None,
        "access_no": state.access_no,
        "status": state.status,
        "fields": from_fields(state.fields),
        "manufacturer_data": state.manufacturer_data,
        "problems": state.problems,
        "gateway_id": state.gateway_id,
        "rssi_dbm": state.rssi_dbm,
        **({"hidden": True} if state.hidden else {}),
        **({"radio": _radio_document(state.radio)} if state.radio is not None else {}),
        **({"format": _format_document(state.format)} if state.format is not None else {}),
        **({"quarantine": _suspects_document(state.quarantine)} if state.quarantine else {}),
        **({"counted": _counts_document(state.counted)} if state.counted else {}),
    }


def _radio_document(radio: RadioLink) -> dict[str, Any]:
    return {
        "last_at": radio.last_at,
        "gaps_s": radio.gaps_s,
        "heard": radio.heard,
        "expected": radio.expected,
        "receptions": [[one.gateway_id, one.rssi_dbm, one.heard_at] for one in radio.receptions],
    }


def _radio(document: dict[str, Any]) -> RadioLink:
    return RadioLink(
        last_at=parse_iso(document["last_at"]) if document["last_at"] else None,
        gaps_s=tuple(float(gap_s) for gap_s in document["gaps_s"]),
        heard=float(document["heard"]),
        expected=float(document["expected"]),
        receptions=tuple(
            Reception(gateway_id, None if rssi_dbm is None else float(rssi_dbm), parse_iso(heard_at))
            for gateway_id, rssi_dbm, heard_at in document["receptions"]
        ),
    )


def _state(device_id: str, version: int, document: dict[str, Any]) -> DeviceState:
    raw = document["manufacturer_data"]
    rssi = document["rssi_dbm"]
    return DeviceState(
        device_id=device_id,
        name=document["name"],
        version=version,
        online=document["online"],
        lane=Lane(document["lane"]),
        read_at=parse_iso(document["read_at"]) if document["read_at"] else None,
        meter=MeterIdentity(*document["meter"]) if document["meter"] else None,
        access_no=document["access_no"],
        status=document["status"],
        fields=to_fields(document["fields"]),
        manufacturer_data=bytes.fromhex(raw) if raw is not None else None,
        problems=tuple(document["problems"]),
        gateway_id=document["gateway_id"],
        rssi_dbm=float(rssi) if rssi is not None else None,
        radio=_radio(document["radio"]) if document.get("radio") else None,
        hidden=document.get("hidden", False),
        format=_format(document["format"]) if document.get("format") else None,
        quarantine=_suspects(document["quarantine"]) if document.get("quarantine") else NO_SUSPECTS,
        counted=_counts(document["counted"]) if document.get("counted") else NO_COUNTS,
    )


def _format_document(known: RecordFormat) -> list[Any]:
    return [known.signature, known.known, known.changed_at]


def _format(document: list[Any]) -> RecordFormat:
    signature, known, changed_at = document
    return RecordFormat(int(signature), tuple(map(int, known)), parse_iso(changed_at) if changed_at else None)


def _suspects_document(suspects: Mapping[str, Suspect]) -> dict[str, Any]:
    fields = from_fields({name: suspect.field for name, suspect in suspects.items()})
    return {
        name: {
            "field": fields[name],
            "doubt": one.doubt.value,
            "since": one.since,
            "last_at": one.last_at,
            "confirmations": one.confirmations,
            "seen": one.seen,
            "refused": one.refused,
        }
        for name, one in suspects.items()
    }


def _suspects(document: dict[str, Any]) -> Mapping[str, Suspect]:
    fields = to_fields({name: one["field"] for name, one in document.items()})
    return MappingProxyType(
        {
            name: Suspect(
                fields[name],
                Doubt(one["doubt"]),
                parse_iso(one["since"]),
                parse_iso(one["last_at"]),
                int(one["confirmations"]),
                int(one["seen"]),
                bool(one["refused"]),
            )
            for name, one in document.items()
        }
    )


def _counts_document(counted: Mapping[str, Count]) -> dict[str, Any]:
    return {name: [str(one.value), one.unit, one.at, str(one.resolution)] for name, one in counted.items()}


def _counts(document: dict[str, Any]) -> Mapping[str, Count]:
    return MappingProxyType(
        {
            name: Count(Decimal(value), unit, parse_iso(at), Decimal(resolution))
            for name, (value, unit, at, resolution) in document.items()
        }
    )
