"""Keys of gateways, and who may administer."""
from __future__ import annotations

from ipaddress import ip_network

import pytest

from mbusgw.model.errors import RequestError
from mbusgw.web.auth import GatewayKeys, check_admin
from mbusgw.web.message import Request

KEYS = GatewayKeys({"gw1": "first", "gw2": "second", "twin": "second", "ümlaut": "schlüssel"})


def with_header(value: str | None, peer: str = "10.0.0.9", **headers: str) -> Request:
    given = {name.replace("_", "-"): text for name, text in headers.items()}
    if value is not None:
        given["authorization"] = value
    return Request("POST", "/", headers=given, peer=peer)


@pytest.mark.parametrize(
    "value, gateways",
    [("Bearer first", {"gw1"}), ("bearer  first ", {"gw1"}), ("Bearer second", {"gw2", "twin"})],
)
def test_a_key_names_the_gateways_that_may_be_posted_as(value: str, gateways: set[str]) -> None:
    permission = KEYS.permission(with_header(value))
    assert permission.gateways == gateways and permission.label == min(gateways)
    assert {name for name in ("gw1", "gw2", "twin", "other") if permission.allows(name)} == gateways


def test_a_key_beyond_ascii_works_as_it_comes_over_the_wire() -> None:
    permission = KEYS.permission(with_header("Bearer " + "schlüssel".encode().decode("latin-1")))
    assert permission.gateways == {"ümlaut"}


@pytest.mark.parametrize(
    "value", [None, "", "Bearer", "Bearer ", "Bearer firs", "Bearer firstx", "Basic first", "first"]
)
def test_any_other_key_is_401(value: str | None) -> None:
    with pytest.raises(RequestError) as caught:
        KEYS.permission(with_header(value))
    assert caught.value.status == 401
    assert "first" not in str(caught.value)


def test_without_any_key_configured_nobody_may_post_and_is_told_what_to_configure() -> None:
    with pytest.raises(RequestError, match="ingest.keys") as caught:
        GatewayKeys({}).permission(with_header("Bearer x"))
    assert caught.value.status == 401


OPEN = GatewayKeys({"gw1": "first"}, trusted=[ip_network("192.168.1.0/24"), ip_network("fd00::/8")])


@pytest.mark.parametrize("peer", ["192.168.1.77", "fd00::5", "fd00::5%eth0"])
def test_a_trusted_network_needs_no_key_but_speaks_for_no_gateway_that_has_one(peer: str) -> None:
    permission = OPEN.permission(with_header(None, peer))
    assert permission.allows("new") and permission.allows("other") and not permission.allows("gw1")
    assert OPEN.permission(with_header("Bearer first", peer)).allows("gw1")


@pytest.mark.parametrize("peer", ["192.168.2.1", "10.0.0.1", "::1", "", "no address"])
def test_other_networks_need_a_key_as_ever(peer: str) -> None:
    with pytest.raises(RequestError) as caught:
        OPEN.permission(with_header(None, peer))
    assert caught.value.status == 401


def test_a_wrong_key_is_refused_from_a_trusted_network_too() -> None:
    with pytest.raises(RequestError):
        OPEN.permission(with_header("Bearer old", "192.168.1.77"))


def test_what_came_through_a_proxy_is_not_from_the_proxys_network() -> None:
    with pytest.raises(RequestError):
        OPEN.permission(with_header(None, "192.168.1.77", x_forwarded_for="203.0.113.5"))


@pytest.mark.parametrize("value, status", [("Bearer admin", None), ("Bearer wrong", 401), (None, 401)])
def test_with_an_admin_token_only_the_token_counts(value: str | None, status: int | None) -> None:
    if status is None:
        check_admin(with_header(value), "admin")
        return
    with pytest.raises(RequestError) as caught:
        check_admin(with_header(value, peer="127.0.0.1", host="localhost"), "admin")
    assert caught.value.status == status


@pytest.mark.parametrize(
    "peer, host", [("127.0.0.1", "localhost:8080"), ("127.0.0.1", "127.0.0.1"), ("::1", "[::1]:8080")]
)
def test_without_an_admin_token_this_machine_may(peer: str, host: str) -> None:
    check_admin(with_header(None, peer=peer, host=host), None)


@pytest.mark.parametrize(
    "peer, headers",
    [
        ("10.0.0.9", {"host": "localhost"}),
        ("127.0.0.1", {"host": "evil.example"}),
        ("127.0.0.1", {"host": "localhost", "x_forwarded_for": "10.0.0.9"}),
        ("127.0.0.1", {"host": "localhost", "forwarded": "for=10.0.0.9"}),
        ("127.0.0.1", {}),
        ("", {"host": "localhost"}),
    ],
)
def test_without_an_admin_token_others_may_not(peer: str, headers: dict[str, str]) -> None:
    with pytest.raises(RequestError) as caught:
        check_admin(with_header(None, peer=peer, **headers), None)
    assert caught.value.status == 403
