"""``motcua-simulator load`` as users start it, against the simulator and against ESMEs of smpplib."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import threading
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
import smpplib.client
from simulator_process import COMMAND, run, running
from smpplib.exceptions import PDUError

ACCOUNT = """
accounts:
  acc:
    port: 0
    system_id: motcua
    password: right
    max_binds: 3
    receipts: {delay: 0.05}
"""


def esme(port: int, *words: str) -> subprocess.CompletedProcess[str]:
    return run("load", "esme", f"127.0.0.1:{port}", *words)


def test_it_submits_awaits_receipts_and_reports(tmp_path: Path) -> None:
    with running(tmp_path, ACCOUNT) as simulator:
        port = simulator.ports["acc"]
        words = ["--system-id", "motcua", "--password", "right", "--rate", "200", "--count", "100", "--receipts"]
        done = esme(port, *words, "--json", "--binds", "2")
        assert done.returncode == 0, done.stderr
        report = json.loads(done.stdout)
        assert (report["sent"], report["answered"], report["complete"]) == (100, 100, True)
        assert report["receipts"] == {
            "awaited": 100,
            "received": 100,
            "missing": 0,
            "unmatched": 0,
            "early": 0,
            "intermediate": 0,
            "states": {"DELIVRD": 100},
        }
        assert report["receipt_ms"]["p50"] >= 50
        status = simulator.json("status")["accounts"][0]
        assert status["counters"]["submits"] == 100
        assert status["binds"] == []  # it has left
        pair = esme(port, *words, "--mode", "pair", "--text", "Hồ sơ {sequence}", "--progress")
        assert pair.returncode == 0, pair.stderr
        assert "100 receipts, 0 missing" in pair.stdout
        assert simulator.json("status")["accounts"][0]["counters"]["reached_handsets"] == 200


def test_what_is_lost_is_exit_code_1(tmp_path: Path) -> None:
    with running(tmp_path, ACCOUNT) as simulator:
        assert simulator.command("fault", "acc", "lose-receipts").returncode == 0
        words = ["--system-id", "motcua", "--password", "right", "--rate", "max", "--count", "20", "--wait", "0.5"]
        done = esme(simulator.ports["acc"], *words, "--receipts")
        assert done.returncode == 1
        assert "0 receipts, 20 missing" in done.stdout
        assert esme(simulator.ports["acc"], *words).returncode == 0


def test_a_refused_bind_and_a_closed_port_say_what_to_do(tmp_path: Path) -> None:
    with running(tmp_path, ACCOUNT) as simulator:
        port = simulator.ports["acc"]
        wrong = esme(port, "--system-id", "motcua", "--password", "wrong")
        assert wrong.returncode == 1
        assert "ESME_RINVPASWD" in wrong.stderr
        assert "Correct --password" in wrong.stderr
        many = esme(port, "--system-id", "motcua", "--password", "right", "--binds", "4")
        assert "ESME_RALYBND" in many.stderr
        assert "fewer --binds" in many.stderr
    closed = esme(port)
    assert closed.returncode == 1
    assert "nobody accepts connections there" in closed.stderr
    assert "Start the SMSC" in closed.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["127.0.0.1"], "is not HOST:PORT"),
        (["127.0.0.1:1", "--rate", "0"], "is no rate"),
        (["127.0.0.1:1", "--text", "{what}"], "is not known"),
        (["127.0.0.1:1", "--to-pattern", "abc"], "is no number"),
        (["127.0.0.1:1", "--coding", "gsm7", "--text", "đ"], "alphabet"),
        (["127.0.0.1:1", "--mode", "transmitter", "--receipts"], "--mode pair"),
    ],
)
def test_wrong_options_are_exit_code_2(words: list[str], told: str) -> None:
    done = run("load", "esme", *words)
    assert done.returncode == 2
    assert told in done.stderr


def test_ctrl_c_prints_the_report(tmp_path: Path) -> None:
    with running(tmp_path, ACCOUNT) as simulator:
        words = ["load", "esme", f"127.0.0.1:{simulator.ports['acc']}", "--system-id", "motcua", "--password", "right"]
        process = subprocess.Popen(
            [*COMMAND, *words, "--rate", "50", "--duration", "600", "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        deadline = time.monotonic() + 30
        while simulator.json("status")["accounts"][0]["counters"]["submits"] < 20:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=30)
        report = json.loads(out)
        assert report["sent"] >= 20
        assert report["answer_ms"]["count"] == report["answered"]


class Replier:
    """An ESME of smpplib that answers each MO, but for every tenth."""

    def __init__(self, port: int) -> None:
        self.client = smpplib.client.Client("127.0.0.1", port, allow_unknown_opt_params=True)
        deadline = time.monotonic() + 20
        while True:
            try:
                self.client.connect()
                break
            except smpplib.exceptions.ConnectionError:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        self.received: list[bytes] = []
        self.client.set_message_received_handler(self._reply)
        self.client.set_message_sent_handler(lambda pdu, **_: None)
        self.client.bind_transceiver(system_id="load", password="load")
        self.thread = threading.Thread(target=self._listen, daemon=True)
        self.thread.start()

    def _listen(self) -> None:
        with suppress(PDUError, smpplib.exceptions.ConnectionError, OSError):
            self.client.listen()
        self.client.disconnect()

    def _reply(self, pdu: Any) -> int:
        self.received.append(pdu.short_message)
        if len(self.received) % 10:
            self.client.send_message(
                source_addr_ton=3,
                source_addr="8083",
                dest_addr_ton=1,
                dest_addr_npi=1,
                destination_addr=pdu.source_addr.decode(),
                short_message=b"tra loi",
            )
        return 0


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_as_smsc_it_sends_mo_and_matches_their_replies(tmp_path: Path) -> None:
    port = free_port()
    codes = tmp_path / "codes"
    codes.write_text("0101701234\n\n0101705678\n", encoding="utf-8")
    words = ["load", "smsc", "--port", str(port), "--rate", "200", "--count", "50"]
    process = subprocess.Popen(
        [*COMMAND, *words, "--replies", "--wait", "3", "--codes", str(codes), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    replier = Replier(port)
    out, errors = process.communicate(timeout=60)
    replier.thread.join(timeout=20)
    report = json.loads(out)
    assert process.returncode == 1, errors
    assert (report["sent"], report["answered"], report["statuses"]) == (50, 50, {"ESME_ROK": 50})
    assert (report["replies"]["received"], report["replies"]["missing"]) == (45, 5)
    assert report["reply_ms"]["count"] == 45
    assert replier.received[:3] == [b"MCKH 0101701234", b"MCKH 0101705678", b"MCKH 0101701234"]


def test_as_smsc_without_an_esme_it_says_so() -> None:
    done = run("load", "smsc", "--port", "0", "--bind-wait", "0.2")
    assert done.returncode == 1
    assert "no ESME that can receive has bound" in done.stderr
    assert "--bind-wait" in done.stderr
