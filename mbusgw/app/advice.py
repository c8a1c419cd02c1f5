"""What an operator must not overlook, said at every start."""
from __future__ import annotations

import logging

from mbusgw.config.consistency import doubts
from mbusgw.config.lines import dotted
from mbusgw.config.models import Config

log = logging.getLogger(__name__)


def advise(config: Config) -> None:
    """Logs what was asked for and is worth a second thought. The main thread, before the start."""
    if networks := config.ingest.trusted_networks:
        names = ", ".join(str(network) for network in networks)
        log.warning(
            "OPEN INGRESS: whoever is in %s may hand in telegrams without a key, for any gateway that has none "
            "of its own (ingest.trusted_networks)",
            names,
        )
    for doubt in doubts(config):
        log.warning("%s: %s", dotted(doubt.path), doubt.message)
