"""TLS for an account's port: certificates from files, or one of its own for this run."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from OpenSSL import crypto
from twisted.internet.ssl import (
    Certificate,
    CertificateOptions,
    PrivateCertificate,
    TLSVersion,
    trustRootFromCertificates,
)

from simulator.errors import SimulatorError
from simulator.settings import TlsSettings

_DAYS = 30  # a certificate for one run; longer than any test, shorter than anybody could come to rely on it
_END = b"-----END CERTIFICATE-----"
_VERSIONS = {"1.2": TLSVersion.TLSv1_2, "1.3": TLSVersion.TLSv1_3}


def server_options(settings: TlsSettings, where: str) -> CertificateOptions:
    """What a TLS port needs. Raises :class:`SimulatorError` that names the file."""
    if settings.certificate is not None and settings.key is not None:
        pem = _read(settings.certificate, f"{where}.certificate")
        certificates = [part + _END for part in pem.split(_END)[:-1]]
        key_pem = _read(settings.key, f"{where}.key")
    else:
        certificate_pem, key_pem = own_certificate(settings.names, datetime.now(UTC))
        certificates = [certificate_pem]
        if settings.save_certificate is not None:
            _save(settings.save_certificate, certificate_pem, f"{where}.save_certificate")
    try:
        first, *chain = [crypto.load_certificate(crypto.FILETYPE_PEM, one) for one in certificates]
        key = PrivateCertificate.loadPEM(certificates[0] + b"\n" + key_pem).privateKey.original
    except (ValueError, crypto.Error) as error:
        raise SimulatorError(
            where, "certificate and key are no PEM, or do not go together", "Check both files"
        ) from error
    return CertificateOptions(
        privateKey=key,
        certificate=first,
        extraCertChain=chain,
        trustRoot=_trust_root(settings.client_ca, f"{where}.client_ca"),
        raiseMinimumTo=_VERSIONS[settings.minimum],
    )


def own_certificate(names: tuple[str, ...], now: datetime) -> tuple[bytes, bytes]:
    """A self-signed certificate and its key, as PEM, for host names and addresses."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "motcua-simulator")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=_DAYS))
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    return (
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _trust_root(path: Path | None, where: str) -> Any:
    if path is None:
        return None
    pem = _read(path, where)
    try:
        return trustRootFromCertificates([Certificate.loadPEM(part + _END) for part in pem.split(_END)[:-1]])
    except (ValueError, crypto.Error) as error:
        raise SimulatorError(where, f"{path} is no PEM certificate", "Name the CA's certificate") from error


def _read(path: Path, where: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SimulatorError(where, f"{path} cannot be read ({error.strerror})", "Name an existing file") from error


def _save(path: Path, pem: bytes, where: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pem)
    except OSError as error:
        raise SimulatorError(where, f"{path} cannot be written ({error.strerror})", "Name another file") from error
