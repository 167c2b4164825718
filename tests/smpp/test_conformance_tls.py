"""Conformance C18: TLS on real sockets, by Twisted's endpoints; nothing in the SMPP shell knows of it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import pytest_twisted
from OpenSSL import SSL
from smpp_actors import SETTINGS, SUBMIT, EsmeOwner, SmscOwner
from smpp_certificates import Authority
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import SSL4ServerEndpoint, TCP4ClientEndpoint, wrapClientTLS
from twisted.internet.ssl import (
    CertificateOptions,
    PrivateCertificate,
    TLSVersion,
    optionsForClientTLS,
    trustRootFromCertificates,
)

from gateway.smpp.client import EsmeClient
from gateway.smpp.server import SmscFactory

HOST = "smsc.operator.example"


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority("Operator's private CA")


@pytest.fixture(scope="module")
def stranger() -> Authority:
    return Authority("Somebody else's CA")


class Tls:
    """An SMSC behind TLS and a client for it, on loopback."""

    def __init__(self) -> None:
        self.smsc = SmscOwner()
        self.esme = EsmeOwner()
        self.port: Any = None
        self.client: EsmeClient | None = None
        self.names_asked: list[bytes | None] = []

    def listen(self, certificate: PrivateCertificate, **options: Any) -> Deferred[None]:
        chosen = CertificateOptions(
            privateKey=certificate.privateKey.original, certificate=certificate.original, **options
        )
        context = chosen.getContext()
        context.set_tlsext_servername_callback(lambda connection: self.names_asked.append(connection.get_servername()))
        return self.listen_with(chosen)

    def listen_with(self, options: Any) -> Deferred[None]:
        endpoint = SSL4ServerEndpoint(reactor, 0, options, interface="127.0.0.1")
        return endpoint.listen(SmscFactory(reactor, self.smsc)).addCallback(self._listening)

    def _listening(self, port: Any) -> None:
        self.port = port

    def connect(self, options: Any) -> Deferred[str]:
        """Fires with the first of "bound" and "waiting" that the client enters."""
        outcome: Deferred[str] = Deferred()

        def endpoint() -> Any:
            number = self.port.getHost().port
            return wrapClientTLS(options, TCP4ClientEndpoint(reactor, "127.0.0.1", number))

        client = EsmeClient(reactor, endpoint, SETTINGS, self.esme, random.Random(7))
        enter: Callable[[str], None] = client.enter

        def watched(state: str) -> None:
            enter(state)
            if state in ("bound", "waiting") and not outcome.called:
                outcome.callback(state)

        client.enter = watched  # type: ignore[method-assign]
        self.client = client
        client.start()
        return outcome

    @pytest_twisted.inlineCallbacks
    def close(self) -> Any:
        if self.client is not None:
            yield self.client.stop(2.0)
        if self.port is not None:
            yield self.port.stopListening()


@pytest.fixture
def tls() -> Iterator[Tls]:
    stand = Tls()
    yield stand
    pytest_twisted.blockon(stand.close())


def trusting(authority: Authority, host: str = HOST, own: PrivateCertificate | None = None) -> Any:
    return optionsForClientTLS(host, trustRootFromCertificates([authority.certificate]), own)


@pytest_twisted.inlineCallbacks
def test_c18_a_private_ca_and_sni(tls: Tls, authority: Authority) -> Any:
    yield tls.listen(authority.issue(HOST))
    state = yield tls.connect(trusting(authority))
    assert state == "bound"
    assert tls.names_asked == [HOST.encode()]
    answered: Deferred[None] = Deferred()
    tls.esme.when_answered = lambda _client: answered.callback(None)
    assert tls.client is not None
    tls.client.submit(SUBMIT, "over TLS")
    yield answered
    assert tls.esme.tokens == ["over TLS"]


@pytest_twisted.inlineCallbacks
def test_c18_a_certificate_of_a_stranger_is_refused_with_a_reason(
    tls: Tls, authority: Authority, stranger: Authority
) -> Any:
    yield tls.listen(stranger.issue(HOST))
    state = yield tls.connect(trusting(authority))
    assert state == "waiting"
    assert tls.client is not None
    assert "certificate verify failed" in tls.client.last_error
    assert tls.smsc.binds == [], "no password to a stranger"


@pytest_twisted.inlineCallbacks
def test_c18_a_certificate_for_another_host_is_refused_with_a_reason(tls: Tls, authority: Authority) -> Any:
    yield tls.listen(authority.issue("other.operator.example"))
    state = yield tls.connect(trusting(authority))
    assert state == "waiting"
    assert tls.client is not None
    assert "VerificationError" in tls.client.last_error or "Mismatch" in tls.client.last_error
    assert tls.smsc.binds == []


@pytest_twisted.inlineCallbacks
def test_c18_a_client_certificate_is_shown_when_asked(tls: Tls, authority: Authority) -> Any:
    yield tls.listen(authority.issue(HOST), trustRoot=trustRootFromCertificates([authority.certificate]))
    state = yield tls.connect(trusting(authority, own=authority.issue("gateway")))
    assert state == "bound"


@pytest_twisted.inlineCallbacks
def test_c18_without_the_client_certificate_there_is_no_bind(tls: Tls, authority: Authority) -> Any:
    yield tls.listen(authority.issue(HOST), trustRoot=trustRootFromCertificates([authority.certificate]))
    state = yield tls.connect(trusting(authority))
    assert state == "waiting"
    assert tls.client is not None
    assert tls.client.last_error
    assert tls.smsc.binds == []


@pytest_twisted.inlineCallbacks
def test_c18_tls_12_is_spoken(tls: Tls, authority: Authority) -> Any:
    yield tls.listen(authority.issue(HOST), lowerMaximumSecurityTo=TLSVersion.TLSv1_2)
    state = yield tls.connect(trusting(authority))
    assert state == "bound"
    wire: Any = tls.smsc.session.protocol.transport
    assert wire.getHandle().get_protocol_version_name() == "TLSv1.2"


class OldTls:
    """A server that speaks nothing newer than TLS 1.1."""

    def __init__(self, certificate: PrivateCertificate) -> None:
        context = SSL.Context(SSL.TLS_METHOD)
        context.set_cipher_list(b"ALL:@SECLEVEL=0")
        context.set_max_proto_version(SSL.TLS1_1_VERSION)
        context.use_privatekey(certificate.privateKey.original)
        context.use_certificate(certificate.original)
        self._context = context

    def getContext(self) -> SSL.Context:
        return self._context


@pytest_twisted.inlineCallbacks
def test_c18_nothing_older_than_tls_12(tls: Tls, authority: Authority) -> Any:
    yield tls.listen_with(OldTls(authority.issue(HOST)))
    state = yield tls.connect(trusting(authority))
    assert state == "waiting"
    assert tls.client is not None
    assert "version" in tls.client.last_error or "protocol" in tls.client.last_error
    assert tls.smsc.binds == []
