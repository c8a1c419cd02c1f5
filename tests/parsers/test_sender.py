"""Whose key is wanted, learnt before anything is decrypted."""
from __future__ import annotations

import pytest

from mbusgw.parsers.sender import Sender, identify
from mbusgw.simulator.radio import Security, telegram
from mbusgw.wmbus.frame import LinkFormat
from tests.wmbus.samples import ADAPTER, OMS_GAS, WATER, meter


def test_the_published_gas_meter_wants_a_key() -> None:
    assert identify(OMS_GAS) == Sender("12345678", "ELS", True)


@pytest.mark.parametrize("security", [Security.NONE, Security.MODE_5, Security.MODE_7])
@pytest.mark.parametrize("link_format", list(LinkFormat))
def test_a_meter_behind_an_adapter_is_the_sender_and_not_the_adapter(
    security: Security, link_format: LinkFormat
) -> None:
    sender = identify(telegram(meter(security, link_format, adapter=ADAPTER), 5))
    assert sender == Sender(WATER.id, WATER.manufacturer, security is not Security.NONE)


def test_where_even_the_header_is_encrypted_the_link_layer_tells() -> None:
    assert identify(telegram(meter(Security.ELL), 5)) == Sender(WATER.id, WATER.manufacturer, True)


@pytest.mark.parametrize("raw", [b"", b"\x00", bytes(40), OMS_GAS[:30]])
def test_what_is_no_telegram_has_no_sender(raw: bytes) -> None:
    assert identify(raw) is None
