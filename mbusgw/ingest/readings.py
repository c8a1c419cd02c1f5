"""From a parsed radio telegram to a reading."""
from __future__ import annotations

from types import MappingProxyType

from mbusgw.ingest.receptions import Receptions
from mbusgw.ingest.signatures import signature_of
from mbusgw.model.fields import name_fields
from mbusgw.model.guests import GuestList
from mbusgw.model.reading import Lane, Reading
from mbusgw.model.telegram import ReceivedTelegram
from mbusgw.parsers.base import ParsedTelegram


def to_reading(
    telegram: ReceivedTelegram, parsed: ParsedTelegram, receptions: Receptions, guests: GuestList
) -> Reading | None:
    """The reading of ``telegram``; None where the parser gave no records of its own form.

    The device is ``<manufacturer>_<id>``, or what ``guests`` calls that; without a named meter ``unknown``.
    """
    decoded = parsed.decoded
    if decoded is None:
        return None
    meter = decoded.header.meter
    device_id = guests.device_id(meter.device_id) if meter else "unknown"
    return Reading(
        device_id=device_id,
        read_at=telegram.rx_time,
        lane=Lane.WIRELESS,
        header=decoded.header,
        fields=MappingProxyType(name_fields(decoded.records, guests.wishes(device_id).records)),
        records=decoded.records,
        manufacturer_data=decoded.manufacturer_data,
        problems=decoded.problems,
        gateway_id=telegram.gateway_id,
        rssi_dbm=telegram.rssi_dbm,
        ingest_id=telegram.ingest_id,
        receptions=receptions.of(telegram, device_id),
        format_signature=signature_of(decoded),
    )
