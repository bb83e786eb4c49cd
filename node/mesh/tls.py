"""TLS of the node's listeners, and the pin a peer checks instead of a certificate authority (PROTOCOL 4).

A pin is SHA-256 of the key's SubjectPublicKeyInfo (specs/mesh.md 7), so a certificate may be made anew around the same
key. TLS keeps what travels secret from outsiders; who a peer is, only signatures say (I5).
"""

from __future__ import annotations

import asyncio
import datetime
import hashlib
import os
import ssl
from pathlib import Path
from typing import Final

import aiohttp

from node.errors import ConfigError

SELF_SIGNED_DAYS: Final = 3650  # nobody checks the date: the pin is what counts, and rotating the key changes it


class KeyPin(aiohttp.Fingerprint):
    """Takes a TLS connection whose key has this pin, whatever its certificate says; aiohttp checks before it sends."""

    def __init__(self, pin: bytes) -> None:
        super().__init__(pin)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, KeyPin) and other.fingerprint == self.fingerprint

    def __hash__(self) -> int:  # connections are kept by it
        return hash(self.fingerprint)

    def check(self, transport: asyncio.Transport) -> None:
        """Raises ServerFingerprintMismatch when the key is another one, or there is no TLS."""
        tls = transport.get_extra_info("ssl_object")
        certificate = None if tls is None else tls.getpeercert(binary_form=True)
        found = b"" if certificate is None else pin_of(certificate)
        if found != self.fingerprint:
            host, port, *_ = transport.get_extra_info("peername")
            raise aiohttp.ServerFingerprintMismatch(self.fingerprint, found, host, port)


def pin_of(certificate: bytes) -> bytes:
    """SHA-256 of the SubjectPublicKeyInfo of a DER certificate; no bytes when it cannot be read."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    try:
        key = x509.load_der_x509_certificate(certificate).public_key()
    except ValueError:
        return b""
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """What a listener serves with.

    Raises:
        ConfigError: a file cannot be read, or the two do not belong together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            code="tls_unusable",
            what="The node cannot listen with TLS",
            why=f"{certificate} and {key}: {error.strerror or type(error).__name__}",
            fix="Mend listen.tls_cert and listen.tls_key in node.toml, or the files' permissions",
        ) from error
    return context


def pin_of_file(certificate: Path) -> bytes:
    """The pin of the first certificate in a PEM file."""
    text = certificate.read_text(encoding="ascii")
    end = "-----END CERTIFICATE-----"
    return pin_of(ssl.PEM_cert_to_DER_cert(text[text.index("-----BEGIN CERT") : text.index(end) + len(end)]))


def self_signed(folder: Path, name: str) -> tuple[Path, Path]:
    """Certificate and key in a folder of the node's own, made there the first time."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    certificate_file, key_file = folder / "tls.crt", folder / "tls.key"
    if certificate_file.exists() and key_file.exists():
        return certificate_file, key_file
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=SELF_SIGNED_DAYS))
        .sign(key, hashes.SHA256())
    )
    folder.mkdir(mode=0o700, exist_ok=True)
    _write(key_file, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    _write(certificate_file, certificate.public_bytes(Encoding.PEM))  # last: both are there when it is
    return certificate_file, key_file


def _write(path: Path, content: bytes) -> None:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor, not a path
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
