"""TLS of a bind: from the files and names of the configuration to what Twisted's endpoints take.

The files are read when a connection is made, so a renewed certificate is used from the next connection on. ``check`` and the
start of the daemon read them once before, so that a missing file is a line on the screen and not a bind that never comes up.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from OpenSSL import SSL, crypto
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.ssl import (
    Certificate,
    CertificateOptions,
    KeyPair,
    PrivateCertificate,
    TLSVersion,
    optionsForClientTLS,
    platformTrust,
    trustRootFromCertificates,
)
from zope.interface import implementer  # type: ignore[import-untyped]

from gateway.errors import ConfigError
from gateway.settings import GatewaySettings
from gateway.settings_smpp import TlsSettings

_VERSIONS = {"1.2": TLSVersion.TLSv1_2, "1.3": TLSVersion.TLSv1_3}
_PEM_END = b"-----END CERTIFICATE-----"


def client_options(path: str, tls: TlsSettings, host: str) -> Any:
    """What ``wrapClientTLS`` takes, for a connection to ``host``.

    Args:
        path: the place of ``tls`` in the configuration, for errors.

    Raises:
        ConfigError: a file cannot be read or is not what it should be.
    """
    name = tls.server_name or host
    version = _VERSIONS[tls.minimum_version]
    own, chain = _own(path, tls)
    if tls.verify:
        extra: dict[str, Any] = {"raiseMinimumTo": version}
        if chain:
            extra["extraCertChain"] = chain
        return optionsForClientTLS(name, _trust(path, tls), own, extraCertificateOptions=extra)
    keys = {"privateKey": own.privateKey.original, "certificate": own.original} if own is not None else {}
    return _Unverified(
        CertificateOptions(verify=False, raiseMinimumTo=version, extraCertChain=chain or None, **keys), name
    )


def server_options(path: str, tls: TlsSettings) -> CertificateOptions:
    """What a listening TLS endpoint takes. With ``ca_file`` the operator must show a certificate of that CA.

    Raises:
        ConfigError: a file cannot be read or is not what it should be.
    """
    own, chain = _own(path, tls)
    if own is None:
        raise ConfigError(f"{path}.certificate", "is missing", "Name our certificate: the operator must see it")
    return CertificateOptions(
        privateKey=own.privateKey.original,
        certificate=own.original,
        extraCertChain=chain,
        trustRoot=_trust(path, tls) if tls.ca_file is not None and tls.verify else None,
        raiseMinimumTo=_VERSIONS[tls.minimum_version],
    )


def tls_faults(settings: GatewaySettings) -> Iterator[ConfigError]:
    """Files of TLS that cannot be used, over all binds."""
    for route, operator in settings.operators.items():
        for number, bind in enumerate(operator.binds):
            if bind.tls is None or not bind.tls.enabled:
                continue
            path = f"operators.{route}.binds.{number}.tls"
            try:
                if bind.listen is not None:
                    server_options(path, bind.tls)
                else:
                    client_options(path, bind.tls, bind.host)
            except ConfigError as fault:
                yield fault


@implementer(IOpenSSLClientConnectionCreator)
class _Unverified:
    """TLS that hides the traffic from nobody who makes the effort, as ``verify: false`` asks for. SNI is sent all the same."""

    def __init__(self, options: CertificateOptions, name: str) -> None:
        self._context = options.getContext()
        self._name = name

    def clientConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        connection = SSL.Connection(self._context, None)
        connection.set_app_data(tlsProtocol)
        if not self._name.replace(".", "").isdigit() and ":" not in self._name:  # RFC 6066 §3: no addresses
            connection.set_tlsext_host_name(self._name.encode("idna"))
        return connection


def _trust(path: str, tls: TlsSettings) -> Any:
    if tls.ca_file is None:
        return platformTrust()
    return trustRootFromCertificates(_certificates(f"{path}.ca_file", tls.ca_file))


def _own(path: str, tls: TlsSettings) -> tuple[PrivateCertificate | None, list[Any]]:
    """Our certificate with its key, and the certificates between it and its CA."""
    if tls.certificate is None:
        return None, []
    first, *chain = _certificates(f"{path}.certificate", tls.certificate)
    key_file = tls.key or tls.certificate
    try:
        pair = KeyPair.load(_read(f"{path}.key", key_file), crypto.FILETYPE_PEM)
    except crypto.Error as error:
        what = f"{key_file} holds no private key that can be read without a passphrase"
        raise ConfigError(
            f"{path}.key", what, "Give the key in PEM, unencrypted, readable for the gateway only"
        ) from error
    if pair.original.to_cryptography_key().public_key() != first.original.to_cryptography().public_key():
        raise ConfigError(f"{path}.key", f"{key_file} is not the key of {tls.certificate}", "Name its own key")
    return PrivateCertificate.fromCertificateAndKeyPair(first, pair), [one.original for one in chain]


def _certificates(path: str, file: Path) -> list[Certificate]:
    blocks = [block + _PEM_END for block in _read(path, file).split(_PEM_END)[:-1]]
    try:
        found = [Certificate.loadPEM(block) for block in blocks]
    except crypto.Error as error:
        raise ConfigError(path, f"{file} holds a certificate that cannot be read", "Give it in PEM") from error
    if not found:
        raise ConfigError(path, f"{file} holds no certificate", "Give it in PEM, beginning with BEGIN CERTIFICATE")
    return found


def _read(path: str, file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise ConfigError(
            path, f"{file} cannot be read ({error.strerror})", "Correct the path or its permissions"
        ) from error
