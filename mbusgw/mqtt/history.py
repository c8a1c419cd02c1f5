"""What is said of a reading whose time has passed: a newer one was told first, or instead."""
from __future__ import annotations

from mbusgw.model.reading import Lane, Reading
from mbusgw.mqtt.telegrams import reading_document
from mbusgw.mqtt.topics import Topics
from mbusgw.runtime import exactjson
from mbusgw.store.outbox import Message


def history_message(topics: Topics, reading: Reading) -> Message:
    """``reading`` with its own time, for ``mbus/<device>/history``. Any thread.

    All that the meter said, also values in quarantine, whose fields ``quarantined`` names; it is null where nobody has
    judged them: a reading that is not the newest when it comes.
    Telemetry. Of a wired meter it may be thinned out in a long outage: what was acknowledged to a radio gateway not.
    """
    document = {
        "ingest_id": reading.ingest_id,
        "lane": reading.lane.value,
        **reading_document(reading),
        "quarantined": None if reading.quarantined is None else sorted(reading.quarantined),
    }
    return Message(
        topics.history(reading.device_id), exactjson.dumps(document), retain=False, spare=reading.lane is Lane.WIRED
    )
