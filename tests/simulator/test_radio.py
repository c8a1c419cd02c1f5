"""Simulated radio meters send what the standard says."""
from __future__ import annotations

import pytest

from mbusgw.model.meter import MeterIdentity
from mbusgw.simulator.radio import RadioMeter, Security, address_bytes, encode_link, telegram
from mbusgw.wmbus.frame import LinkFormat
from tests.wmbus.samples import ADAPTER, KEY, OMS_GAS, OMS_GAS_RECORDS, WATER, meter

GAS = MeterIdentity("12345678", "ELS", 51, 3)


def test_the_published_telegram_is_built_byte_by_byte() -> None:
    """All of it: addresses, access number 42, mode 5, two blocks, CRCs of format A."""
    source = RadioMeter(GAS, lambda: OMS_GAS_RECORDS[:-1], Security.MODE_5, KEY, LinkFormat.A)
    built = bytearray(telegram(source, 42))
    # the published example fills with a zero before the filler bytes
    exact = telegram(RadioMeter(GAS, lambda: OMS_GAS_RECORDS, Security.MODE_5, KEY, LinkFormat.A), 42)
    assert len(built) == len(OMS_GAS)
    assert exact[:12] == OMS_GAS[:12]
    assert OMS_GAS in (bytes(built), exact)


def test_the_access_number_wraps_and_the_counter_does_not() -> None:
    first, second = (telegram(meter(Security.MODE_7), count) for count in (5, 261))
    assert first[12] == second[12] == 5
    assert first != second


def test_a_meter_behind_an_adapter_is_in_a_long_header() -> None:
    raw = telegram(meter(adapter=ADAPTER), 5)
    assert raw[2:10] == address_bytes(ADAPTER)
    assert raw[10] == 0x72 and raw[11:15] == address_bytes(WATER)[2:6]


def test_records_come_from_their_source_each_time() -> None:
    values = iter((b"\x01\xfd\x08\x01", b"\x01\xfd\x08\x02"))
    source = RadioMeter(WATER, lambda: next(values))
    assert telegram(source, 1)[-1] == 1 and telegram(source, 2)[-1] == 2


@pytest.mark.parametrize("security", [Security.MODE_5, Security.MODE_7, Security.ELL])
def test_a_meter_that_encrypts_needs_a_key(security: Security) -> None:
    with pytest.raises(ValueError, match="no key"):
        telegram(RadioMeter(WATER, lambda: b"", security), 1)


@pytest.mark.parametrize("link_format", list(LinkFormat))
def test_what_fits_no_telegram_is_refused(link_format: LinkFormat) -> None:
    with pytest.raises(ValueError, match="do not fit"):
        encode_link(0x44, address_bytes(WATER), bytes(250), link_format)
    with pytest.raises(ValueError, match="do not fit"):
        telegram(meter(Security.MODE_5, link_format, records=bytes(250)), 1)


def test_a_key_is_not_shown() -> None:
    assert KEY.hex() not in repr(meter(Security.MODE_5)) and repr(KEY) not in repr(meter(Security.MODE_5))
