"""Who may post for which gateway, and who may administer."""
from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
from collections.abc import Mapping

from mbusgw.model.errors import RequestError
from mbusgw.web.message import Request


class GatewayKeys:
    """The bearer keys of the gateways. **immutable**

    A key is found by a digest under a secret drawn at start, so that neither the look-up nor the
    comparison tells by its time how much of a guess was right, and 500 gateways cost no more than one.
    """

    def __init__(self, keys: Mapping[str, str]) -> None:
        self._secret = secrets.token_bytes(32)
        self._by_digest: dict[bytes, tuple[bytes, frozenset[str]]] = {}
        for gateway_id, key in keys.items():
            encoded = key.encode()
            known = self._by_digest.get(self._digest(encoded), (encoded, frozenset[str]()))[1]
            self._by_digest[self._digest(encoded)] = (encoded, known | {gateway_id})

    def gateways(self, request: Request) -> frozenset[str]:
        """The gateways that the request may post as. Raises ``RequestError`` 401."""
        if not self._by_digest:
            raise RequestError(
                401, "no_keys", "no gateway may post yet: name it and its key in the configuration under ingest.keys"
            )
        given = bearer(request)
        if given is None:
            raise RequestError(401, "unauthorized", "send the gateway's key as: Authorization: Bearer KEY")
        key, gateways = self._by_digest.get(self._digest(given), (b"", frozenset[str]()))
        if not hmac.compare_digest(key, given) or not gateways:
            raise RequestError(401, "unauthorized", "the key is not that of any gateway")
        return gateways

    def _digest(self, key: bytes) -> bytes:
        return hashlib.blake2b(key, key=self._secret, digest_size=16).digest()


def bearer(request: Request) -> bytes | None:
    """The token of ``Authorization: Bearer TOKEN``, or None where there is none (RFC 6750)."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        return None
    return token.strip().encode("latin-1")


def check_admin(request: Request, token: str | None) -> None:
    """Lets an administrator pass. Raises ``RequestError`` 401 or 403.

    With a token configured: whoever sends it. Without one: only this machine itself, neither through
    a proxy on it nor by a web page that has its name resolved to us.
    """
    if token:
        given = bearer(request)
        if given is None or not hmac.compare_digest(given, token.encode()):
            raise RequestError(401, "unauthorized", "send http.admin_token as: Authorization: Bearer TOKEN")
        return
    forwarded = "forwarded" in request.headers or "x-forwarded-for" in request.headers
    if forwarded or not _is_loopback(request.peer) or not _names_loopback(request.headers.get("host", "")):
        raise RequestError(403, "forbidden", "without http.admin_token only this machine itself may do that")


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return False


def _names_loopback(host: str) -> bool:
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    return name.lower() == "localhost" or _is_loopback(name)
