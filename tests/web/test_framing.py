"""Bytes to requests."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbusgw.model.errors import RequestError
from mbusgw.web.framing import Framing, Limits
from mbusgw.web.message import Request

LIMITS = Limits(line_bytes=200, head_bytes=600, headers=10, body_bytes=100)
POST = (
    b"POST /v1/telegrams?sync=true&x= HTTP/1.1\r\nHost: gw\r\nContent-Type:application/json \r\n"
    b"CONTENT-LENGTH: 5\r\n\r\nhello"
)
CHUNKED = (
    b"POST / HTTP/1.1\r\nHost: gw\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5;name=value\r\nhello\r\nA \r\n, world!!!\r\n0\r\nTrailer: x\r\n\r\n"
)


def one(data: bytes) -> Request | None:
    framing = Framing(LIMITS, "10.0.0.1")
    framing.feed(data)
    return framing.take()


def refused(data: bytes) -> RequestError:
    with pytest.raises(RequestError) as caught:
        one(data)
    return caught.value


def test_a_request_is_given_out_with_its_parts() -> None:
    request = one(POST)
    assert request is not None
    assert (request.method, request.path, request.body) == ("POST", "/v1/telegrams", b"hello")
    assert dict(request.query) == {"sync": "true", "x": ""}
    assert request.headers["content-type"] == "application/json"
    assert request.peer == "10.0.0.1"
    assert request.keep_alive


@pytest.mark.parametrize("data", [POST, CHUNKED, POST + CHUNKED + POST])
def test_the_same_requests_come_out_however_the_bytes_are_cut(data: bytes) -> None:
    whole, pieces = Framing(LIMITS), Framing(LIMITS)
    whole.feed(data)
    expected = []
    while (request := whole.take()) is not None:
        expected.append(request)
    found = []
    for position in range(len(data)):
        pieces.feed(data[position : position + 1])
        request = pieces.take()
        if request is not None:
            found.append(request)
    assert found == expected
    assert not pieces.begun


def test_chunks_are_put_together() -> None:
    request = one(CHUNKED)
    assert request is not None
    assert request.body == b"hello, world!!!"


def test_empty_lines_between_requests_are_skipped() -> None:
    request = one(b"\r\n\r\n" + POST)
    assert request is not None and request.method == "POST"


def test_an_absolute_target_is_taken_as_its_path_and_percents_are_decoded() -> None:
    request = one(b"GET http://gw:80/a%20b?c=%26 HTTP/1.1\r\nHost: gw\r\n\r\n")
    assert request is not None
    assert (request.path, dict(request.query)) == ("/a b", {"c": "&"})


@pytest.mark.parametrize(
    "version, connection, keep_alive",
    [("1.1", "", True), ("1.1", "Close", False), ("1.0", "", False), ("1.0", "Keep-Alive", True)],
)
def test_whether_the_connection_stays_open_follows_version_and_header(
    version: str, connection: str, keep_alive: bool
) -> None:
    request = one(f"GET / HTTP/{version}\r\nHost: x\r\nConnection: {connection}\r\n\r\n".encode())
    assert request is not None and request.keep_alive is keep_alive


def test_a_client_that_waits_for_leave_to_send_is_noticed() -> None:
    framing = Framing(LIMITS)
    framing.feed(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
    assert framing.take() is None and framing.wants_continue
    framing.feed(b"abc")
    assert framing.take() is not None and not framing.wants_continue


@pytest.mark.parametrize(
    "data, status",
    [
        (b"GET /\r\n\r\n", 400),
        (b"GET  / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"G\xc3T / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET x HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET http://[x/ HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\x00y\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\nX: y\r\n\r\n", 400),
        (b"GET / HTTP/1.1\nHost: x\n\n", 400),
        (b"GET /?" + b"&".join(b"a%d=" % n for n in range(60))[:190] + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        (b"GET / SPDY/3.1\r\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1, 1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 101\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: " + b"9" * 400 + b"\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n", 413),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1" * 300, 400),
        (b"GET /" + b"a" * 250, 414),
        (b"GET /" + b"a" * 250 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 700, 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 700 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 11 + b"\r\n", 431),
    ],
)
def test_what_is_no_clear_request_is_refused(data: bytes, status: int) -> None:
    assert refused(data).status == status


@pytest.mark.parametrize("first,code", [(b"\x16", "plain_http"), (b"\x00", "bad_request"), (b"\xff", "bad_request")])
def test_what_cannot_become_a_request_is_refused_at_its_first_byte(first: bytes, code: str) -> None:
    assert refused(first).code == code


def test_too_many_query_options_are_refused() -> None:
    framing = Framing(Limits())
    framing.feed(b"GET /?" + b"a=&" * 60 + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    with pytest.raises(RequestError, match="query"):
        framing.take()


@given(st.binary(max_size=400))
def test_any_bytes_are_a_request_or_a_refusal(data: bytes) -> None:
    framing = Framing(LIMITS)
    framing.feed(data)
    try:
        while framing.take() is not None:
            pass
    except RequestError as error:
        assert 400 <= error.status < 600


@given(st.integers(0, len(POST) - 1), st.integers(0, 7))
def test_a_flipped_bit_never_raises_anything_but_a_refusal(position: int, bit: int) -> None:
    data = bytearray(POST)
    data[position] ^= 1 << bit
    try:
        one(bytes(data))
    except RequestError as error:
        assert 400 <= error.status < 600


def test_the_same_head_again_and_then_another_one_are_each_read_as_they_are() -> None:
    framing = Framing(LIMITS, "10.0.0.1")
    other = POST.replace(b"sync=true", b"sync=nope").replace(b"CONTENT-LENGTH: 5", b"CONTENT-LENGTH: 2")
    framing.feed(POST + POST.replace(b"hello", b"world") + other[:-3] + POST)
    found = [framing.take() for _ in range(4)]
    assert [request and (request.query["sync"], request.body) for request in found] == [
        ("true", b"hello"), ("true", b"world"), ("nope", b"he"), ("true", b"hello")
    ]  # fmt: skip
