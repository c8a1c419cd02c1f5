"""HTTPS over real sockets: handshake, large answers, a certificate that is renewed, clients that speak plain HTTP."""
from __future__ import annotations

import http.client
import logging
import socket
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import NameOID

from mbusgw.model.errors import MbusgwError
from mbusgw.runtime.clock import SystemClock
from mbusgw.web.conversations import Timing
from mbusgw.web.message import Request, Response, json_response
from mbusgw.web.tls import LOOK_S, Certificate
from tests.certificates import write_certificate
from tests.fakes.clock import FakeClock
from tests.wait import PATIENCE_S
from tests.web.client import Client, request_bytes, serving

LARGE = b"x" * 3_000_000


def answer(request: Request) -> Response:
    if request.path == "/large":
        return Response(200, LARGE, "text/plain")
    return json_response(200, {"length": len(request.body)})


def shown_name(port: int) -> str:
    """The name in the certificate that the server shows."""
    pem = ssl.get_server_certificate(("127.0.0.1", port))
    subject = x509.load_pem_x509_certificate(pem.encode()).subject
    return str(subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


@pytest.mark.parametrize("joined", [False, True])
def test_requests_go_over_tls_and_the_connection_is_kept(tmp_path: Path, joined: bool) -> None:
    certificate = Certificate(*write_certificate(tmp_path, "localhost", joined=joined), SystemClock())
    trust = ssl.create_default_context(cafile=str(tmp_path / "server.crt"))
    with serving(answer, certificate=certificate) as server:
        connection = http.client.HTTPSConnection("localhost", server.port, timeout=PATIENCE_S, context=trust)
        for size in (0, 5, 60_000):
            connection.request("POST", "/", body=b"x" * size)
            response = connection.getresponse()
            assert (response.status, response.read()) == (200, b'{"length":%d}' % size)
        assert server.connections == 1
        connection.request("GET", "/large", headers={"Connection": "close"})
        assert connection.getresponse().read() == LARGE
        connection.close()


def test_the_end_is_said_in_tls_so_that_nobody_takes_it_for_a_cut(tmp_path: Path) -> None:
    certificate = Certificate(*write_certificate(tmp_path, "localhost"), SystemClock())
    trust = ssl.create_default_context(cafile=str(tmp_path / "server.crt"))
    with serving(answer, certificate=certificate) as server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_S) as plain:
            secure = trust.wrap_socket(plain, server_hostname="localhost", suppress_ragged_eofs=False)
            secure.sendall(request_bytes("GET", "/", Connection="close"))
            came = b""
            while some := secure.recv(65536):  # a cut would raise SSLEOFError
                came += some
            assert came.endswith(b'{"length":0}')
            secure.close()


def test_pipelined_requests_in_one_record_are_all_answered(tmp_path: Path) -> None:
    certificate = Certificate(*write_certificate(tmp_path, "localhost"), SystemClock())
    trust = ssl.create_default_context(cafile=str(tmp_path / "server.crt"))
    with serving(answer, certificate=certificate) as server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_S) as plain:
            secure = trust.wrap_socket(plain, server_hostname="localhost")
            secure.sendall(b"".join(request_bytes("POST", "/", b"x" * size) for size in range(5)))
            came = b""
            while came.count(b'{"length"') < 5:
                came += secure.recv(65536)
            assert [came.index(b'{"length":%d}' % size) for size in range(5)] == sorted(
                came.index(b'{"length":%d}' % size) for size in range(5)
            )
            secure.close()


def test_who_speaks_plain_http_is_told_to_use_https(tmp_path: Path) -> None:
    certificate = Certificate(*write_certificate(tmp_path, "localhost"), SystemClock())
    with serving(answer, certificate=certificate) as server, Client(server.port) as client:
        said = client.send(request_bytes("GET", "/")).rest()
        assert said.startswith(b"HTTP/1.1 400") and b"https://" in said


def test_a_client_that_never_ends_its_handshake_costs_only_its_place(tmp_path: Path) -> None:
    certificate = Certificate(*write_certificate(tmp_path, "localhost"), SystemClock())
    trust = ssl.create_default_context(cafile=str(tmp_path / "server.crt"))
    with serving(answer, certificate=certificate, timing=Timing(idle_s=1)) as server:
        with Client(server.port) as silent:
            connection = http.client.HTTPSConnection("localhost", server.port, timeout=PATIENCE_S, context=trust)
            connection.request("GET", "/")
            assert connection.getresponse().status == 200
            connection.close()
            assert silent.rest() == b""


def test_a_renewed_certificate_is_shown_without_a_restart(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clock = FakeClock()
    certificate = Certificate(*write_certificate(tmp_path, "first"), clock)
    with caplog.at_level(logging.INFO), serving(answer, certificate=certificate) as server:
        assert shown_name(server.port) == "first"
        write_certificate(tmp_path, "second")
        clock.advance(LOOK_S)
        assert shown_name(server.port) == "second"
    assert "is new" in caplog.text


def test_a_broken_new_certificate_leaves_the_old_one_and_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = FakeClock()
    certificate = Certificate(*write_certificate(tmp_path, "first"), clock)
    with caplog.at_level(logging.INFO), serving(answer, certificate=certificate) as server:
        (tmp_path / "server.crt").write_text("no certificate", encoding="ascii")
        for _ in range(3):
            clock.advance(LOOK_S)
            assert shown_name(server.port) == "first"
        assert caplog.text.count("cannot be used") == 1
        write_certificate(tmp_path, "third")
        clock.advance(LOOK_S)
        assert shown_name(server.port) == "third"
    assert "can be used again" in caplog.text


def test_files_that_cannot_be_used_at_the_start_are_named(tmp_path: Path) -> None:
    cert_file, key_file = write_certificate(tmp_path, "localhost")
    other = tmp_path / "other"
    other.mkdir()
    _, foreign_key = write_certificate(other, "localhost")
    for certificate in (
        Certificate(tmp_path / "missing.crt", None, SystemClock()),
        Certificate(cert_file, foreign_key, SystemClock()),
        Certificate(cert_file, None, SystemClock()),
    ):
        with pytest.raises(MbusgwError, match="http.tls_cert_file"):
            certificate.load()


def test_a_key_with_a_password_does_not_ask_on_the_terminal(tmp_path: Path) -> None:
    cert_file, key_file = write_certificate(tmp_path, "localhost")
    assert key_file is not None
    key = serialization.load_pem_private_key(key_file.read_bytes(), None)
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"password"),
        )
    )
    with pytest.raises(MbusgwError) as caught:
        Certificate(cert_file, key_file, SystemClock()).load()
    assert "no password" in caught.value.hint
