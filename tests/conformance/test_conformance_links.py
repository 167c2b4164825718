"""Conformance C17, C18, C19 as an administrator meets them: from the YAML of a bind to a bind over real sockets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from link_rig import Line, Smsc
from smpp_tls_files import CertificateFolder
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, wrapClientTLS
from twisted.internet.error import ConnectError
from twisted.internet.protocol import Protocol

from gateway.app.tls import client_options, tls_faults
from gateway.settings import parse_settings
from gateway.settings_smpp import TlsSettings
from gateway.smpp.server import SmscFactory

HOST = "smsc.operator.example"


@pytest.fixture
def line() -> Iterator[Line]:
    stand = Line()
    yield stand
    pytest_twisted.blockon(stand.close())


@pytest.fixture
def operator(tmp_path: Path) -> CertificateFolder:
    return CertificateFolder(tmp_path)


def served(folder: CertificateFolder, host: str = HOST, **more: Any) -> TlsSettings:
    certificate, key = folder.issue(host, days=more.pop("days", 1))
    return TlsSettings(certificate=certificate, key=key, **more)


# C18: TLS


@pytest_twisted.inlineCallbacks
def test_c18_private_ca_server_name_and_client_certificate_from_files(line: Line, operator: CertificateFolder) -> Any:
    port, smsc = yield line.smsc(served(operator, ca_file=operator.ca_file))  # it wants a certificate of its CA
    certificate, key = operator.issue("gateway.example")
    files = {"ca_file": operator.ca_file, "certificate": certificate, "key": key}
    line.bind(port=port, tls={**files, "server_name": HOST})
    state = yield line.until("bound", "waiting")
    assert state == "bound"
    assert smsc.binds == ["motcua"]
    handle = smsc.sessions[-1].protocol.transport.getHandle()
    assert handle.get_servername() == HOST.encode()
    assert "gateway.example" in handle.get_peer_certificate().to_cryptography().subject.rfc4514_string()


@pytest_twisted.inlineCallbacks
@pytest.mark.parametrize("fault", ["stranger", "other name", "expired"])
def test_c18_a_bad_certificate_is_refused_with_a_clear_reason_and_no_password_leaves(
    line: Line, operator: CertificateFolder, tmp_path: Path, fault: str
) -> Any:
    (tmp_path / "stranger").mkdir()
    signer = CertificateFolder(tmp_path / "stranger", "Stranger's CA") if fault == "stranger" else operator
    shown = served(signer, "elsewhere.example" if fault == "other name" else HOST, days=-1 if fault == "expired" else 1)
    port, smsc = yield line.smsc(shown)
    client = line.bind(port=port, tls={"ca_file": operator.ca_file, "server_name": HOST})
    state = yield line.until("bound", "waiting")
    assert state == "waiting"
    words = {"stranger": "certificate verify failed", "expired": "certificate verify failed", "other name": "Verif"}
    assert words[fault] in client.last_error
    assert smsc.binds == []


@pytest_twisted.inlineCallbacks
def test_c18_an_operator_that_wants_a_certificate_gets_no_bind_without(line: Line, operator: CertificateFolder) -> Any:
    port, smsc = yield line.smsc(served(operator, ca_file=operator.ca_file))
    client = line.bind(port=port, tls={"ca_file": operator.ca_file, "server_name": HOST})
    yield line.until("waiting")
    assert "certificate required" in client.last_error or "SSL" in client.last_error
    assert smsc.binds == []


@pytest_twisted.inlineCallbacks
def test_c18_minimum_version_13(line: Line, operator: CertificateFolder) -> Any:
    port, smsc = yield line.smsc(served(operator))
    line.bind(port=port, tls={"ca_file": operator.ca_file, "server_name": HOST, "minimum_version": "1.3"})
    state = yield line.until("bound", "waiting")
    assert state == "bound"
    assert smsc.sessions[-1].protocol.transport.getHandle().get_protocol_version_name() == "TLSv1.3"


@pytest_twisted.inlineCallbacks
def test_c18_verify_off_takes_a_stranger_and_still_sends_the_name(line: Line, operator: CertificateFolder) -> Any:
    port, smsc = yield line.smsc(served(operator))
    line.bind(port=port, tls={"verify": False, "server_name": HOST})
    state = yield line.until("bound", "waiting")
    assert state == "bound"
    assert smsc.sessions[-1].protocol.transport.getHandle().get_servername() == HOST.encode()


@pytest_twisted.inlineCallbacks
def test_c18_enabled_false_is_plain_tcp(line: Line) -> Any:
    port, smsc = yield line.smsc()
    line.bind(port=port, tls={"enabled": False})
    state = yield line.until("bound", "waiting")
    assert (state, smsc.binds) == ("bound", ["motcua"])


def faults_with(tls: dict[str, Any]) -> list[tuple[str, str]]:
    binds = [{"name": "b", "host": HOST, "system_id": "s", "tls": tls}]
    return [(fault.path, fault.what) for fault in tls_faults(parse_settings({"operators": {"one": {"binds": binds}}}))]


def test_c18_files_that_cannot_be_used_are_told_before_the_start(operator: CertificateFolder, tmp_path: Path) -> None:
    certificate, key = operator.issue("gateway.example")
    other, _ = operator.issue("other.example")
    empty = tmp_path / "empty.pem"
    empty.write_text("nothing\n")
    assert faults_with({"ca_file": operator.ca_file, "certificate": certificate, "key": key}) == []
    path = "operators.one.binds.0.tls"
    for tls, where, what in (
        ({"ca_file": tmp_path / "none.pem"}, f"{path}.ca_file", "cannot be read"),
        ({"ca_file": empty}, f"{path}.ca_file", "holds no certificate"),
        ({"certificate": certificate}, f"{path}.key", "holds no private key"),
        ({"certificate": other, "key": key}, f"{path}.key", "is not the key of"),
    ):
        [(at, told)] = faults_with(tls)
        assert at == where
        assert what in told


# C19: several hosts


@pytest_twisted.inlineCallbacks
def test_c19_a_host_that_refuses_is_passed_over_in_the_same_attempt(line: Line) -> Any:
    port, smsc = yield line.smsc()
    dead, _ = yield line.smsc()
    yield line.ports.pop().stopListening()
    client = line.bind(port=dead, other_hosts=[f"127.0.0.1:{port}"])
    state = yield line.until("bound", "waiting")
    assert (state, smsc.binds) == ("bound", ["motcua"])
    assert client.counters.attempts == 1


@pytest_twisted.inlineCallbacks
def test_c19_after_a_lost_link_the_other_host_has_the_bind_within_a_second_and_fails_back(line: Line) -> Any:
    first, one = yield line.smsc()
    second, two = yield line.smsc()
    line.bind(port=first, other_hosts=[f"127.0.0.1:{second}"])
    yield line.until("bound")
    assert (one.binds, two.binds) == (["motcua"], [])
    since = reactor.seconds()  # type: ignore[attr-defined]
    one.sessions[-1].abort()
    yield line.until("bound")
    assert (one.binds, two.binds) == (["motcua"], ["motcua"])
    assert reactor.seconds() - since < 1.0  # type: ignore[attr-defined]
    two.sessions[-1].abort()
    yield line.until("bound")
    assert (len(one.binds), len(two.binds)) == (2, 1)


@pytest_twisted.inlineCallbacks
def test_c19_when_all_hosts_are_dead_the_reason_is_told(line: Line) -> Any:
    dead, _ = yield line.smsc()
    yield line.ports.pop().stopListening()
    client = line.bind(port=dead, other_hosts=[f"127.0.0.1:{dead}"])
    yield line.until("waiting")
    assert "refused" in client.last_error


# C17: the operator connects to us


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number


class Caller(Protocol):
    """A connection that waits for its end."""

    def __init__(self) -> None:
        self.closed: Deferred[None] = Deferred()

    def connectionLost(self, reason: Any = None) -> None:
        self.closed.callback(None)


@pytest_twisted.inlineCallbacks
def operator_connects(smsc: Smsc, port: int, options: Any = None) -> Any:
    """The SMSC opens a connection to us, again while our port is not open yet."""
    endpoint: Any = TCP4ClientEndpoint(reactor, "127.0.0.1", port)
    if options is not None:
        endpoint = wrapClientTLS(options, endpoint)
    for _ in range(100):
        try:
            yield endpoint.connect(SmscFactory(reactor, smsc).outgoing())
        except ConnectError:  # the port opens in a moment
            waited: Deferred[None] = Deferred()
            reactor.callLater(0.02, waited.callback, None)  # type: ignore[attr-defined]
            yield waited
        else:
            return
    raise AssertionError("our port never opened")


@pytest_twisted.inlineCallbacks
def test_c17_the_operator_connects_says_outbind_and_gets_the_bind(line: Line) -> Any:
    smsc, port = Smsc(), free_port()
    smsc.outbind = ("operator", "letmein")
    outbind = {"system_id": "operator", "password": "letmein"}
    line.bind(listen={"port": port, "interface": "127.0.0.1", "allow": ["127.0.0.1"], "outbind": outbind})
    yield line.until("connecting")
    yield operator_connects(smsc, port)
    yield line.until("bound")
    assert smsc.binds == ["motcua"]


@pytest_twisted.inlineCallbacks
def test_c17_without_outbind_we_bind_at_once_over_tls_with_our_certificate(
    line: Line, operator: CertificateFolder
) -> Any:
    smsc, port = Smsc(), free_port()
    certificate, key = operator.issue("gateway.example")
    line.bind(
        listen={"port": port, "interface": "127.0.0.1", "allow": ["127.0.0.0/8"]},
        tls={"certificate": certificate, "key": key},
    )
    yield line.until("connecting")
    theirs = TlsSettings(ca_file=operator.ca_file, server_name="gateway.example")
    yield operator_connects(smsc, port, client_options("tls", theirs, "127.0.0.1"))
    yield line.until("bound")
    assert smsc.binds == ["motcua"]


@pytest_twisted.inlineCallbacks
def test_c17_an_address_outside_the_allow_list_is_closed_unread(line: Line) -> Any:
    smsc, port = Smsc(), free_port()
    client = line.bind(listen={"port": port, "interface": "127.0.0.1", "allow": ["203.0.113.0/24"]})
    yield line.until("connecting")
    yield operator_connects(smsc, port)
    for _ in range(500):
        if smsc.sessions and smsc.sessions[-1].closed:
            break
        turn: Deferred[None] = Deferred()
        reactor.callLater(0.01, turn.callback, None)  # type: ignore[attr-defined]
        yield turn
    assert smsc.sessions[-1].closed
    assert (smsc.binds, client.state) == ([], "connecting")
