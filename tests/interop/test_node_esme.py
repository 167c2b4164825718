"""The simulator against an ESME written with node-smpp: binds, texts both ways, receipts. Rows S2 and S3."""

from __future__ import annotations

import json
import queue
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from node_peer import FOLDER, PATIENCE_S, require_node
from simulator_process import Running, running
from wire_tap import wire_tap

from gateway.smpp.constants import CommandId

pytestmark = [pytest.mark.peer("node-smpp"), pytest.mark.peer("tshark")]

HANDSET = "84905123456"
CONFIGURATION = """
accounts:
  acc:
    port: 0
    system_id: motcua
    password: secret
    message_ids: {form: uuid}
    receipts: {form: both, weights: {UNDELIV: 1}, errors: {UNDELIV: "034"}, delay: 0.05}
    mo: {long_message: udh16}
"""


class NodeEsme:
    """The process, its orders, and what it told."""

    def __init__(self, port: int) -> None:
        self._process = subprocess.Popen(
            [require_node(), "esme.js", str(port)],
            cwd=FOLDER,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        self._lines: queue.Queue[dict[str, Any]] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        self.next("connected")

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(json.loads(line))

    def order(self, do: str, **values: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **values}) + "\n")
        self._process.stdin.flush()

    def next(self, event: str) -> dict[str, Any]:
        """The next thing of that kind. Fails on what node-smpp cannot decode."""
        deadline = time.monotonic() + PATIENCE_S
        passed = []
        while True:
            try:
                told = self._lines.get(timeout=max(0.01, deadline - time.monotonic()))
            except queue.Empty:
                pytest.fail(f"node-smpp told no '{event}'; it told {passed}")
            passed.append(told)
            assert told["event"] != "error", told
            if told["event"] == event:
                return told

    def bind(self, mode: str = "transceiver", password: str = "secret", version: int = 0x34) -> dict[str, Any]:
        self.order("bind", mode=mode, system_id="motcua", password=password, interface_version=version)
        return self.next("bind_resp")

    def stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(PATIENCE_S)


@contextmanager
def node_esme(simulator: Running) -> Iterator[NodeEsme]:
    esme = NodeEsme(simulator.ports["acc"])
    try:
        yield esme
    finally:
        esme.stop()


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Between it and node-smpp a tap: tshark reads what passed, too."""
    require_node()
    folder = tmp_path_factory.mktemp("node")
    with running(folder, CONFIGURATION) as one, wire_tap(one.ports["acc"]) as tap:
        one.ports["acc"] = tap.port
        yield one
        kinds = {pdu.command_id for pdu in tap.dissect(folder)}
        assert kinds >= {CommandId.SUBMIT_SM, CommandId.SUBMIT_SM_RESP, CommandId.DELIVER_SM, CommandId.DELIVER_SM_RESP}


def test_bind_submit_receipt_unbind(simulator: Running) -> None:
    with node_esme(simulator) as esme:
        bound = esme.bind()
        assert (bound["command_status"], bound["sc_interface_version"]) == (0, 0x34)
        pdu = {
            "source_addr_ton": 5,
            "source_addr": "MotcuaSMS",
            "dest_addr_ton": 1,
            "dest_addr_npi": 1,
            "destination_addr": HANDSET,
            "registered_delivery": 1,
            "short_message": "Ho so da co ket qua",
            "user_message_reference": 4660,
        }
        esme.order("submit", pdu=pdu)
        response = esme.next("submit_sm_resp")
        assert response["command_status"] == 0
        receipt = esme.next("deliver_sm")
        assert receipt["esm_class"] == 0x04
        assert receipt["receipted_message_id"] == response["message_id"]
        assert (receipt["message_state"], receipt["user_message_reference"]) == (5, 4660)
        assert receipt["network_error_code"] == "030022"  # GSM, 34
        assert (receipt["source_addr"], receipt["destination_addr"]) == (HANDSET, "MotcuaSMS")
        assert f"id:{response['message_id']} sub:001 dlvrd:000 submit date:" in receipt["short_message"]
        assert "stat:UNDELIV err:034 text:Ho so da co ket qua" in receipt["short_message"]
        esme.order("unbind")
        assert esme.next("unbind_resp")["command_status"] == 0
        esme.next("closed")


def test_a_wrong_password(simulator: Running) -> None:
    with node_esme(simulator) as esme:
        assert esme.bind(password="wrong")["command_status"] == 0x0E
        esme.next("closed")


def test_a_long_unicode_mo(simulator: Running) -> None:
    text = "Cho hỏi hồ sơ 0101701234 " * 6
    with node_esme(simulator) as transmitter, node_esme(simulator) as receiver:
        assert transmitter.bind("transmitter")["command_status"] == 0
        assert receiver.bind("receiver")["command_status"] == 0
        answer = simulator.client.post("mo", body={"from": HANDSET, "to": "8083", "text": text})
        assert answer["state"] == "delivered"
        parts = [receiver.next("deliver_sm") for _ in answer["parts"]]
        assert "".join(part["short_message"] for part in parts) == text
        assert [part["udh"][0][-4:] for part in parts] == ["0301", "0302", "0303"]
        assert [part["receipted_message_id"] for part in parts] == [part["message_id"] for part in answer["parts"]]


def test_an_esme_of_smpp_33(simulator: Running) -> None:
    with node_esme(simulator) as esme:
        bound = esme.bind(version=0x33)
        assert (bound["command_status"], "sc_interface_version" in bound) == (0, False)
        simulator.client.post("mo", body={"from": HANDSET, "to": "8083", "text": "MCKH 1"})
        mo = esme.next("deliver_sm")
        assert (mo["short_message"], "receipted_message_id" in mo) == ("MCKH 1", False)
