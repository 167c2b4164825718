"""TLS on an account's port, with the simulator's own certificate and with files; an EsmeClient and plain sockets."""

from __future__ import annotations

import socket
import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest
from simulator_process import run, running

from gateway.smpp.pdu import BindTransceiver, SubmitSm, decode, encode
from simulator.tls import own_certificate


class TlsEsme:
    def __init__(self, port: int, context: ssl.SSLContext) -> None:
        plain = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.socket = context.wrap_socket(plain, server_hostname="localhost")

    def ask(self, octets: bytes) -> bytes:
        self.socket.sendall(octets)
        head = self._exactly(4)
        return head + self._exactly(int.from_bytes(head, "big") - 4)

    def _exactly(self, count: int) -> bytes:
        octets = b""
        while len(octets) < count:
            more = self.socket.recv(count - len(octets))
            assert more
            octets += more
        return octets


def test_a_bind_over_tls_with_the_simulators_own_certificate(tmp_path: Path) -> None:
    trusted = tmp_path / "simulator.pem"
    configuration = f"accounts: {{acc: {{port: 0, tls: {{save_certificate: '{trusted}'}}}}}}\n"
    with running(tmp_path, configuration) as one:
        context = ssl.create_default_context(cafile=str(trusted))
        esme = TlsEsme(one.ports["acc"], context)
        assert decode(esme.ask(encode(BindTransceiver(1, system_id="a")))).command_status == 0
        answer = decode(esme.ask(encode(SubmitSm(2, destination_addr="84905123456", short_message=b"x"))))
        assert answer.command_status == 0
        assert esme.socket.version() in ("TLSv1.2", "TLSv1.3")
        with pytest.raises(ssl.SSLCertVerificationError):
            TlsEsme(one.ports["acc"], ssl.create_default_context())
        esme.socket.close()
        # The list of PDUs shows what was said inside.
        assert {pdu["command"] for pdu in one.client.get("pdus")["pdus"]} >= {"bind_transceiver", "submit_sm"}


def test_a_client_certificate_may_be_required_and_13_too(tmp_path: Path) -> None:
    certificate, key = own_certificate(("esme",), datetime.now(UTC))
    (tmp_path / "esme.pem").write_bytes(certificate + key)
    (tmp_path / "ca.pem").write_bytes(certificate)
    trusted = tmp_path / "simulator.pem"
    tls = f"{{save_certificate: '{trusted}', client_ca: '{tmp_path / 'ca.pem'}', minimum: '1.3'}}"
    with running(tmp_path, f"accounts: {{acc: {{port: 0, tls: {tls}}}}}\n") as one:
        context = ssl.create_default_context(cafile=str(trusted))
        with pytest.raises((ssl.SSLError, ConnectionError)):  # TLS 1.3 tells of it only at the first read
            TlsEsme(one.ports["acc"], context).ask(encode(BindTransceiver(1, system_id="a")))
        context.load_cert_chain(tmp_path / "esme.pem")
        esme = TlsEsme(one.ports["acc"], context)
        assert esme.socket.version() == "TLSv1.3"
        assert decode(esme.ask(encode(BindTransceiver(1, system_id="a")))).command_status == 0
        esme.socket.close()


@pytest.mark.parametrize(
    ("tls", "expected"),
    [
        ("{certificate: missing.pem, key: missing.pem}", "accounts.acc.tls.certificate: missing.pem cannot be read"),
        ("{certificate: missing.pem}", "certificate and key go together"),
        ("{certificate: README.md, key: README.md}", "accounts.acc.tls: certificate and key are no PEM"),
    ],
)
def test_bad_certificates_are_named(tmp_path: Path, tls: str, expected: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(f"control: {{port: 0}}\naccounts: {{acc: {{port: 0, tls: {tls}}}}}\n", encoding="utf-8")
    done = run("run", "--config", str(path))
    assert done.returncode in (1, 2)
    assert expected in done.stderr
    assert "Traceback" not in done.stderr


def test_two_accounts_on_one_port_agree_about_tls(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("accounts: {a: {system_id: a, tls: {}}, b: {system_id: b}}\n", encoding="utf-8")
    assert (
        "accounts.b.tls: port 2775 is also that of 'a', whose tls differs" in run("run", "--config", str(path)).stderr
    )
