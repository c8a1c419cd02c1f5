"""The table of the kinds of output. A new one is a file, a section of the configuration and a row here."""
from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mbusgw.config.outputs import OutputConfig
from mbusgw.outputs.base import Output
from mbusgw.outputs.influx import Influx
from mbusgw.outputs.webhook import Webhook

#: ``type`` of the configuration → what is made of its section and the gateway's id.
KINDS: Mapping[str, Callable[[Any, str], Output]] = {"influx": Influx, "webhook": Webhook}


def build_output(config: OutputConfig, gateway_id: str) -> Output:
    """The output that ``config`` describes. **any thread**"""
    return KINDS[config.type](config, gateway_id)
