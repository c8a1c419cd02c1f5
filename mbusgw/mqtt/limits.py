"""What a broker takes and what not."""
from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """What the broker said it takes, when it accepted us (MQTT 5, 3.2.2.3). **immutable**"""

    receive_maximum: int = 65_535
    packet_bytes: int | None = None
    qos: int = 2
    retain: bool = True


def packet_bytes(topic: str, payload: str) -> int:
    """The size of a PUBLISH without properties (MQTT 5, 3.3), as the broker counts it for its maximum. Any thread."""
    rest = 2 + len(topic.encode()) + 2 + 1 + len(payload.encode())
    return 1 + (1 if rest < 128 else 2 if rest < 16_384 else 3 if rest < 2_097_152 else 4) + rest


def read_limits(properties: object) -> Limits:
    """Of the properties of a CONNACK; what is not there is not limited. Any thread."""
    return Limits(
        receive_maximum=getattr(properties, "ReceiveMaximum", 65_535),
        packet_bytes=getattr(properties, "MaximumPacketSize", None),
        qos=getattr(properties, "MaximumQoS", 2),
        retain=bool(getattr(properties, "RetainAvailable", 1)),
    )
