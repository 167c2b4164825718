"""The simulator against an ESME that is not ours: PyPI smpplib's Client. Rows S2, S3, S4 of the conformance list."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
import smpplib.client
import smpplib.consts
import smpplib.exceptions
import smpplib.gsm
from simulator_process import Running, running
from wire_tap import wire_tap

from gateway.smpp.constants import CommandId

CONFIGURATION = """
accounts:
  acc:
    port: 0
    system_id: motcua
    password: secret
    max_binds: 4
    message_ids: {form: hex}
    receipts: {form: both, id_form: decimal, delay: 0.05}
    latency: {uniform: [0, 0.02]}
"""
HANDSET = "84905123456"
pytestmark = [pytest.mark.peer("smpplib"), pytest.mark.peer("tshark")]


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Between it and smpplib a tap: tshark reads what passed, too."""
    folder = tmp_path_factory.mktemp("smpplib")
    with running(folder, CONFIGURATION) as one, wire_tap(one.ports["acc"]) as tap:
        one.ports["acc"] = tap.port
        yield one
        kinds = {pdu.command_id for pdu in tap.dissect(folder)}
        assert kinds >= {CommandId.SUBMIT_SM, CommandId.SUBMIT_SM_RESP, CommandId.DELIVER_SM, CommandId.DELIVER_SM_RESP}


class Peer:
    """smpplib's Client, read by its own thread."""

    def __init__(self, port: int) -> None:
        self.client: Any = smpplib.client.Client("127.0.0.1", port, timeout=20, allow_unknown_opt_params=True)
        self.responses: list[Any] = []
        self.messages: list[Any] = []
        self.client.set_message_sent_handler(lambda pdu: self.responses.append(pdu))
        self.client.set_message_received_handler(self._received)
        self.client.connect()

    def _received(self, pdu: Any) -> int:
        self.messages.append(pdu)
        return smpplib.consts.SMPP_ESME_ROK

    def send(self, text: str, **fields: Any) -> int:
        """Submit a text as smpplib cuts it; the number of parts."""
        parts, encoding, esm_class = smpplib.gsm.make_parts(text)
        for part in parts:
            self.client.send_message(
                source_addr_ton=smpplib.consts.SMPP_TON_ALNUM,
                source_addr="MotcuaSMS",
                dest_addr_ton=smpplib.consts.SMPP_TON_INTL,
                dest_addr_npi=smpplib.consts.SMPP_NPI_ISDN,
                destination_addr=HANDSET,
                data_coding=encoding,
                esm_class=esm_class,
                short_message=part,
                registered_delivery=1,
                **fields,
            )
        return len(parts)

    def read_until(self, condition: Any) -> None:
        """Read PDUs until it is so; the socket's time limit ends a wait in vain."""
        while not condition():
            self.client.read_once()

    def close(self) -> None:
        self.client.unbind()
        self.client.disconnect()


@pytest.fixture
def peer(simulator: Running) -> Iterator[Peer]:
    peer = Peer(simulator.ports["acc"])
    peer.client.bind_transceiver(system_id="motcua", password="secret")
    yield peer
    peer.close()


@pytest.mark.parametrize("text", ["Ho so da co ket qua", "Hồ sơ đã có kết quả", "x{[€]}" * 80, "Hồ sơ 😀 " * 40])
def test_s2_texts_arrive_whole_and_each_part_gets_its_receipt(simulator: Running, peer: Peer, text: str) -> None:
    before = len(simulator.client.get("inbox", HANDSET)["messages"])
    parts = peer.send(text)
    peer.read_until(lambda: len(peer.responses) == parts and len(peer.messages) == parts)
    assert all(response.status == 0 for response in peer.responses)
    sent = {int(response.message_id, 16) for response in peer.responses}
    receipted = {int(message.receipted_message_id) for message in peer.messages}
    assert receipted == sent
    for message in peer.messages:
        assert message.esm_class == 0x04  # SMPP 3.4 5.2.12: SMSC delivery receipt
        assert message.message_state == smpplib.consts.SMPP_MESSAGE_STATE_DELIVERED
        assert f"id:{int(message.receipted_message_id)} ".encode() in message.short_message
        assert (message.source_addr.decode(), message.destination_addr.decode()) == (HANDSET, "MotcuaSMS")
    messages = simulator.client.get("inbox", HANDSET)["messages"][before:]
    assert [(message["text"], message["missing"], message["parts"]) for message in messages] == [(text, [], parts)]


def test_s2_mo_reaches_it_in_every_form(simulator: Running, peer: Peer) -> None:
    def ask(body: dict[str, Any], answers: list[dict[str, Any]]) -> None:
        answers.append(simulator.client.post("mo", body=body))

    text = "Cho hỏi hồ sơ " * 12
    for form in ("udh8", "udh16", "sar", "payload"):
        peer.messages.clear()
        answers: list[dict[str, Any]] = []
        body = {"from": HANDSET, "to": "8083", "text": text, "form": form}
        asking = threading.Thread(target=ask, args=(body, answers))
        asking.start()
        peer.read_until(lambda form=form: len(peer.messages) == (1 if form == "payload" else 3))
        asking.join(20)
        assert answers[0]["state"] == "delivered"
        header = {"udh8": 6, "udh16": 7}.get(form, 0)
        octets = b"".join(
            (message.message_payload if form == "payload" else message.short_message)[header:]
            for message in peer.messages
        )
        assert octets.decode("utf-16-be") == text
        assert all(message.data_coding == 8 for message in peer.messages)
        if form == "sar":
            assert [message.sar_segment_seqnum for message in peer.messages] == [1, 2, 3]


def test_s3_transmitter_and_receiver(simulator: Running) -> None:
    transmitter, receiver = Peer(simulator.ports["acc"]), Peer(simulator.ports["acc"])
    transmitter.client.bind_transmitter(system_id="motcua", password="secret")
    receiver.client.bind_receiver(system_id="motcua", password="secret")
    transmitter.send("Xin chao")
    transmitter.read_until(lambda: transmitter.responses)
    receiver.read_until(lambda: receiver.messages)
    assert not transmitter.messages
    transmitter.close()
    receiver.close()


@pytest.mark.parametrize(("system_id", "password", "status"), [("motcua", "wrong", 0x0E), ("nobody", "secret", 0x0F)])
def test_s4_a_refused_bind(simulator: Running, system_id: str, password: str, status: int) -> None:
    peer = Peer(simulator.ports["acc"])
    with pytest.raises(smpplib.exceptions.PDUError) as caught:
        peer.client.bind_transceiver(system_id=system_id, password=password)
    assert caught.value.args[1] == status
    peer.client.disconnect()


def test_enquire_link_and_unbind(simulator: Running, peer: Peer) -> None:
    pdu = smpplib.smpp.make_pdu("enquire_link", client=peer.client)
    peer.client.send_pdu(pdu)
    answer = peer.client.read_pdu()
    assert (answer.command, answer.sequence) == ("enquire_link_resp", pdu.sequence)


def test_many_submits_over_one_session(peer: Peer) -> None:
    for number in range(200):
        peer.send(f"Thong bao so {number}")
    peer.read_until(lambda: len(peer.responses) == 200 and len(peer.messages) == 200)
    ids = {int(response.message_id, 16) for response in peer.responses}
    assert len(ids) == 200
    assert {int(message.receipted_message_id) for message in peer.messages} == ids
