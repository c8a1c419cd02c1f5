"""Telegrams that several tests use: the published OMS example, and meters of our own."""
from __future__ import annotations

from mbusgw.model.meter import MeterIdentity
from mbusgw.simulator.radio import RadioMeter, Security
from mbusgw.wmbus.frame import LinkFormat

KEY = bytes.fromhex("0102030405060708090A0B0C0D0E0F11")

#: OMS example of a gas meter (ELS 12345678), mode 5, format A.
OMS_GAS = bytes.fromhex(
    "2e44931578563412330333637a2a0020055923c95aaa26d1b2e7493b2a8b013ec4a6f6d3529b520edff0ea6defc955b29d6d69ebf3ec8a"
)
OMS_GAS_PLAIN = bytes.fromhex("2f2f0c1427048502046d32371f1502fd1700002f2f2f2f2f2f2f2f2f2f2f2f2f")
OMS_GAS_RECORDS = bytes.fromhex("0c1427048502046d32371f1502fd170000")

WATER = MeterIdentity("11223344", "ZRI", 0x16, 7)
HEAT = MeterIdentity("87654321", "LUG", 4, 4)
ADAPTER = MeterIdentity("99000001", "AMB", 1, 0x37)

RECORDS = bytes.fromhex("0c1378563412" "426cbf2c" "4c1301000000" "02fd170000")


def meter(
    security: Security = Security.NONE,
    link_format: LinkFormat = LinkFormat.STRIPPED,
    *,
    records: bytes = RECORDS,
    adapter: MeterIdentity | None = None,
    extended_link: bool = False,
    clear: bytes = b"",
) -> RadioMeter:
    """A water meter of our own that sends ``records``."""
    return RadioMeter(
        WATER,
        lambda: records,
        security=security,
        key=None if security is Security.NONE else KEY,
        link_format=link_format,
        adapter=adapter,
        extended_link=extended_link,
        clear=clear,
    )
