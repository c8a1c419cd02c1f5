"""Certificates for tests: self-signed, or signed by an authority of the test's own."""
from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from mbusgw.runtime.clock import SystemClock

KeyAndCertificate = tuple[ec.EllipticCurvePrivateKey, x509.Certificate]


def issue(name: str, issuer: KeyAndCertificate | None = None) -> KeyAndCertificate:
    """A certificate for ``name``; without an ``issuer`` it signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = SystemClock().now()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[1].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .sign(issuer[0] if issuer else key, hashes.SHA256())
    )
    return key, certificate


def write_certificate(
    folder: Path, name: str, *, joined: bool = False, issuer: KeyAndCertificate | None = None
) -> tuple[Path, Path | None]:
    """A certificate (behind it that of its ``issuer``) and its key: in two files, or ``joined`` in one."""
    key, certificate = issue(name, issuer)
    chain = [certificate] + ([issuer[1]] if issuer else [])
    pem = b"".join(one.public_bytes(serialization.Encoding.PEM) for one in chain)
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    cert_file, key_file = folder / "server.crt", folder / "server.key"
    if joined:
        cert_file.write_bytes(pem + secret)
        return cert_file, None
    cert_file.write_bytes(pem)
    key_file.write_bytes(secret)
    return cert_file, key_file
