"""What some meters are called: manufacturer, version and medium tell, where it is publicly known.

A version number is its maker's own affair; a meter that is not listed has no name here.
"""
from __future__ import annotations

from collections.abc import Container

from mbusgw.model.meter import MeterIdentity

_ELECTRICITY = (0x02,)
_ANY: tuple[int, ...] = ()

#: Manufacturer -> versions, media (none: any), product. The first row that fits holds.
_PRODUCTS: dict[str, tuple[tuple[Container[int], tuple[int, ...], str], ...]] = {
    "ABB": (((0x02,), _ANY, "Delta meter"), ((0x20,), _ELECTRICITY, "B21")),
    "ACW": (
        ((0x09,), _ANY, "CF Echo 2"),
        ((0x0A,), _ANY, "CF 51"),
        ((0x0B,), _ANY, "CF 55"),
        ((0x0E,), _ANY, "BM +m"),
        ((0x0F,), _ANY, "CF 800"),
        ((0x14,), _ANY, "Cyble M-Bus 1.4"),
    ),
    "AMT": (
        (range(0xC0, 0x100), _ANY, "Calec ST"),
        (range(0x80, 0xC0), _ANY, "Calec MB"),
        (range(0x40, 0x80), _ANY, "Saphir"),
        (range(0x00, 0x40), _ANY, "Amtron"),
    ),
    "BEC": (((0x00,), _ELECTRICITY, "DCMi"), ((0x07,), _ELECTRICITY, "BLMi"), ((0x71,), (0x0F,), "BMB-10S0")),
    "EFE": (
        ((0x00,), (0x06,), "WaterStar"),
        ((0x00,), _ANY, "SensoStar 2"),
        ((0x01,), _ANY, "SensoStar 2C"),
    ),
    "ELS": (((0x02,), _ANY, "TMP-A"), ((0x0A,), _ANY, "Falcon"), ((0x2F,), _ANY, "F96 Plus")),
    "ELV": ((range(0x14, 0x1E), _ANY, "CMa10"), (range(0x32, 0x3C), _ANY, "CMa11")),
    "EMH": (((0x00,), _ELECTRICITY, "DIZ"),),
    "EMU": (((0x10,), _ELECTRICITY, "Professional 3/75"),),
    "GAV": (
        (range(0x2D, 0x31), _ELECTRICITY, "EM24"),
        (range(0x39, 0x3B), _ELECTRICITY, "EM21"),
        ((0x40,), _ELECTRICITY, "EM33"),
    ),
    "GMC": (((0xE6,), _ANY, "A230 with EMMOD 206"),),
    "HYD": (((0x28,), _ANY, "F95"), ((0x2F,), _ANY, "Sharky 775")),
    "JAN": (((0x09,), _ELECTRICITY, "UMG 96S"),),
    "KAM": (((0x01,), _ELECTRICITY, "382"), ((0x08,), _ANY, "Multical 601")),
    "LSE": (((0x99,), _ANY, "WFH21"),),
    "LUG": (
        ((0x02,), _ANY, "Ultraheat 2WR5"),
        ((0x03,), _ANY, "Ultraheat 2WR6"),
        ((0x04,), _ANY, "Ultraheat UH50"),
        ((0x07,), _ANY, "Ultraheat T230"),
    ),
    "NZR": (((0x01,), _ANY, "DHZ 5/63"), ((0x50,), _ANY, "IC-M2")),
    "RAM": (((0x03,), _ANY, "Modularis"),),
    "REL": (
        ((0x08,), _ANY, "PadPuls M1"),
        ((0x12,), _ANY, "PadPuls M4"),
        ((0x20,), _ANY, "Padin 4"),
        ((0x30,), _ANY, "AnDi 4"),
        ((0x40,), _ANY, "PadPuls M2"),
    ),
    "RKE": (((0x69,), _ANY, "sensonic II"),),
    "SEN": (
        ((0x08, 0x19), _ANY, "PolluCom E"),
        ((0x0B,), _ANY, "PolluTherm"),
        ((0x0E,), _ANY, "PolluStat E"),
    ),
    "SLB": (((0x02,), _ANY, "Megacontrol CF-50"), ((0x06,), _ANY, "CF Compact / Integral MK MaXX")),
    "SON": (((0x0D,), _ANY, "Supercal 531"),),
    "SPX": (((0x31, 0x34), _ANY, "PolluTherm"),),
    "SVM": (((0x08,), _ANY, "F2"), ((0x09,), _ANY, "F4 / F22")),
    "TCH": (((0x26,), _ANY, "m-bus S"), ((0x40,), _ANY, "ultra S3")),
    "WZG": (((0x03,), _ANY, "Modularis ETW"),),
    "ZRM": (((0x81,), _ANY, "Minocal C2"), ((0x82,), _ANY, "Minocal WR3")),
}


def product_name(meter: MeterIdentity) -> str | None:
    """What the meter is called by its maker; None where that is not known. Any thread."""
    for versions, media, name in _PRODUCTS.get(meter.manufacturer or "", ()):
        if meter.version in versions and (not media or meter.medium in media):
            return name
    return None
