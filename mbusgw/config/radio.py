"""What may be said about one radio meter. All of them are heard without it."""
from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from mbusgw.config.kinds import DeviceId, TopicLevel
from mbusgw.config.records import DescribedMeter


def _radio_name(value: Any) -> str:
    text = str(value).strip().lower().replace(" ", "_")
    if not re.fullmatch(r"([a-z]{3}|0x[0-9a-f]{4})_[0-9a-f]{8}", text):
        raise ValueError("no radio meter: write manufacturer and number, such as els_12345678")
    return text


class RadioDeviceConfig(DescribedMeter):
    """One radio meter that is called otherwise, hidden, or restricted to some gateways.

    ``radio`` is what it would be called by itself: ``<manufacturer>_<id>``. ``hidden``: it is parsed and kept, but has
    no topics of its own and no entities. ``gateways``: only what these have heard of it counts.
    """

    id: DeviceId
    radio: Annotated[str, BeforeValidator(_radio_name)]
    name: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    hidden: bool = False
    gateways: Annotated[tuple[TopicLevel, ...], Field(min_length=1)] | None = None
