"""Who may post for which gateway, and who may administer."""
from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mbusgw.model.errors import RequestError
from mbusgw.web.message import Request

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Permission:
    """Whom a request may post as. **immutable**

    With a key: the gateways that have it. From a trusted network without one (``keyed`` is given then):
    every gateway but the ``keyed`` ones, which have a key of their own and are to use it.
    """

    gateways: frozenset[str]
    keyed: frozenset[str] | None = None

    def allows(self, gateway_id: str) -> bool:
        """May the request speak for ``gateway_id``?"""
        return gateway_id in self.gateways or self.keyed is not None and gateway_id not in self.keyed

    @property
    def label(self) -> str:
        """Who that is, for counters and the log."""
        return min(self.gateways, default="unknown")


class GatewayKeys:
    """The bearer keys of the gateways, and the networks whose gateways need none. **immutable**

    A key is found by a digest under a secret drawn at start, so that neither the look-up nor the
    comparison tells by its time how much of a guess was right, and 500 gateways cost no more than one.
    """

    def __init__(self, keys: Mapping[str, str], *, trusted: Sequence[Network] = ()) -> None:
        self._secret = secrets.token_bytes(32)
        self._trusted = tuple(trusted)
        self._keyed = frozenset(keys)
        self._by_digest: dict[bytes, tuple[bytes, Permission]] = {}
        for gateway_id, key in keys.items():
            encoded = key.encode()
            _, known = self._by_digest.get(self._digest(encoded), (encoded, Permission(frozenset())))
            self._by_digest[self._digest(encoded)] = (encoded, Permission(known.gateways | {gateway_id}))

    def permission(self, request: Request) -> Permission:
        """Whom the request may post as. Raises ``RequestError`` 401; a wrong key is refused from everywhere."""
        given = bearer(request)
        if given is None and self._trusts(request):
            return Permission(frozenset(), self._keyed)
        if not self._by_digest:
            raise RequestError(
                401, "no_keys", "no gateway may post yet: name it and its key in the configuration under ingest.keys"
            )
        if given is None:
            raise RequestError(401, "unauthorized", "send the gateway's key as: Authorization: Bearer KEY")
        key, permission = self._by_digest.get(self._digest(given), (b"", Permission(frozenset())))
        if not hmac.compare_digest(key, given) or not permission.gateways:
            raise RequestError(401, "unauthorized", "the key is not that of any gateway")
        return permission

    def _trusts(self, request: Request) -> bool:
        """A proxy's word on whom it speaks for is no proof: what came through one needs a key."""
        if not self._trusted or is_forwarded(request):
            return False
        try:
            peer = ipaddress.ip_address(request.peer.partition("%")[0])
        except ValueError:
            return False
        return any(peer in network for network in self._trusted)

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
    if is_forwarded(request) or not _is_loopback(request.peer) or not _names_loopback(request.headers.get("host", "")):
        raise RequestError(403, "forbidden", "without http.admin_token only this machine itself may do that")


def is_forwarded(request: Request) -> bool:
    """A proxy has passed it on: its sender is somebody else than ``peer``."""
    return "forwarded" in request.headers or "x-forwarded-for" in request.headers


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return False


def _names_loopback(host: str) -> bool:
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    return name.lower() == "localhost" or _is_loopback(name)
