"""Why a connection to the broker ends, or does not come about: what the codes mean, and what is said of it."""
from __future__ import annotations

import socket
import ssl

#: Reasons of a DISCONNECT (MQTT 5, 3.14.2.1): ours, that the will is to be told, and that of a broker with a rival.
DISCONNECT_WITH_WILL = 0x04
SESSION_TAKEN_OVER = 0x8E
#: What paho tells of a connection that ended without a DISCONNECT.
NO_REASON = 0x80
#: Reasons for which a broker ends a connection whatever was sent last: busy, shutting down, keep alive, taken over,
#: receive maximum, rate, quota, by its administrator, use another server, moved, connection rate, maximum time.
WHATEVER_WAS_SENT = frozenset((0x89, 0x8B, 0x8D, 0x8E, 0x93, 0x96, 0x97, 0x98, 0x9C, 0x9D, 0x9F, 0xA0))


def why_broken(reason: int, words: str) -> str:
    """A connection that stood has ended; ``words`` are the broker's. Any thread."""
    if reason == NO_REASON:
        return "the connection broke: the broker or the network has ended it"
    return f"the connection broke: {words}"


def why_unreachable(error: BaseException | None, *, tls: bool) -> str:
    """There is no connection. Any thread."""
    if isinstance(error, socket.gaierror):
        return "its name is not known"
    if tls and isinstance(error, ConnectionResetError):
        return "it ends the connection when TLS begins: perhaps it has none on this port"
    return "it cannot be reached"


def why_unanswered(*, tls: bool) -> str:
    """It has taken our CONNECT and said nothing to it. Any thread."""
    hint = "; perhaps it wants a client certificate (mqtt.cert_file)" if tls else ""
    return f"it ends the connection without an answer{hint}"


def why_unusable(error: ssl.SSLError) -> str:
    """There is no talking TLS with it. Any thread."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {error.verify_message} (mqtt.ca_file names whom we trust)"
    return f"it does not speak TLS with us: {error.reason or error}"
