"""Conformance C16: the PDUs that the gateway itself hardly needs, over a session; and hostile peers (C15) that take their time."""

from __future__ import annotations

import random

import pytest
from smpp_actors import DELIVER, Scene
from smpp_wire import RawFactory, RawPeer

from gateway.smpp.client import EsmeClient
from gateway.smpp.pdu import (
    RESPONSE_OF,
    AlertNotification,
    BroadcastSm,
    CancelBroadcastSm,
    CancelSm,
    DataSm,
    DeliverSmResp,
    EnquireLink,
    Pdu,
    QueryBroadcastSm,
    QuerySm,
    ReplaceSm,
    SmeAddress,
    SubmitMulti,
    SubmitSmResp,
    encode,
    make_response,
)

OPERATIONS: list[Pdu] = [
    QuerySm(message_id="3f6a", source_addr="MotcuaSMS"),
    CancelSm(message_id="3f6a", source_addr="MotcuaSMS", destination_addr="84905123456"),
    ReplaceSm(message_id="3f6a", source_addr="MotcuaSMS", short_message=b"other words"),
    DataSm(source_addr="MotcuaSMS", destination_addr="84905123456"),
    SubmitMulti(source_addr="MotcuaSMS", dest_address=(SmeAddress(1, 1, "84905123456"),), short_message=b"hello"),
    BroadcastSm(source_addr="MotcuaSMS"),
    QueryBroadcastSm(message_id="3f6a"),
    CancelBroadcastSm(message_id="3f6a"),
]


@pytest.mark.parametrize("pdu", OPERATIONS, ids=lambda pdu: type(pdu).__name__)
def test_c16_each_operation_crosses_a_session_and_its_answer_finds_it(pdu: Pdu) -> None:
    scene = Scene(interface_version=0x50).bind()
    scene.client.submit(pdu, "token")
    scene.network.pump()
    [request] = scene.smsc.requests
    assert request._replace(sequence_number=pdu.sequence_number) == pdu
    [(token, response)] = scene.esme.responses
    assert token == "token"
    assert type(response) is RESPONSE_OF[pdu.command_id]
    assert response.sequence_number == request.sequence_number


@pytest.mark.parametrize("status", [0x0D, 0x67, 0x13, 0x0410])
@pytest.mark.parametrize("pdu", OPERATIONS, ids=lambda pdu: type(pdu).__name__)
def test_c16_a_refusal_needs_no_body(pdu: Pdu, status: int) -> None:
    scene = Scene(interface_version=0x50).bind()
    scene.smsc.answer_requests = False
    scene.client.submit(pdu, "token")
    scene.network.pump()
    [request] = scene.smsc.requests
    response = RESPONSE_OF[pdu.command_id].command_id
    header = [16, response, status, request.sequence_number]
    scene.smsc.session.write_raw(b"".join(number.to_bytes(4, "big") for number in header))
    scene.network.pump()
    [(_token, answer)] = scene.esme.responses
    assert (answer.command_id, answer.command_status) == (response, status)
    assert scene.client.bound


def bound_to_a_raw_peer(**settings: float) -> tuple[Scene, EsmeClient, RawPeer]:
    scene, raw = Scene(**settings), RawFactory()
    client = EsmeClient(scene.network.clock, scene.network.endpoint(raw), scene.settings, scene.esme, random.Random(7))
    client.start()
    scene.network.pump()
    [bind] = raw.peer.pdus()
    raw.peer.transport.write(encode(make_response(bind)))
    scene.network.pump()
    assert client.bound
    return scene, client, raw.peer


def test_c16_alert_notification_has_no_answer() -> None:
    scene, client, peer = bound_to_a_raw_peer()
    peer.transport.write(encode(AlertNotification(5, source_addr="84905123456")))
    scene.network.pump()
    assert [type(request) for request in scene.esme.requests] == [AlertNotification]
    assert peer.pdus() == []
    assert client.bound


@pytest.mark.parametrize("pdu", OPERATIONS[:3] + OPERATIONS[4:], ids=lambda pdu: type(pdu).__name__)
def test_c16_an_operation_of_the_wrong_side_is_refused_and_the_link_stays(pdu: Pdu) -> None:
    scene, client, peer = bound_to_a_raw_peer()
    peer.transport.write(encode(pdu._replace(sequence_number=9)))
    scene.network.pump()
    [answer] = peer.pdus()
    assert answer.sequence_number == 9
    assert answer.command_status != 0
    assert scene.esme.requests == []
    assert client.bound


# C15: hostile peers that take their time


def test_c15_a_pdu_that_never_ends_does_not_hold_the_link_for_ever() -> None:
    scene, _client, peer = bound_to_a_raw_peer(enquire_link_interval_s=30, response_timeout_s=10)
    peer.transport.write((60_000).to_bytes(4, "big") + bytes.fromhex("00000005 00000000 00000001"))
    for _ in range(60):  # an octet every five seconds; enquire_link gets no answer
        peer.transport.write(b"x")
        scene.run(5)
    assert scene.esme.unbound, "the peer's octets are no answer to enquire_link"
    assert "enquire_link" in scene.esme.unbound[0][0]


def test_c15_a_flood_of_answers_to_nothing_is_told_once_and_the_link_stays() -> None:
    scene, client, peer = bound_to_a_raw_peer()
    for start in range(0, 50_000, 1000):
        peer.transport.write(b"".join(encode(SubmitSmResp(start + number, 0, "x")) for number in range(1, 1001)))
        scene.network.pump()
    assert client.counters.unexpected_responses == 50_000
    assert peer.pdus() == []
    assert client.bound


def test_c15_a_flood_of_requests_is_answered_one_by_one_and_throttled_past_the_window() -> None:
    scene, client, peer = bound_to_a_raw_peer()
    scene.esme.answer_requests = False
    window = scene.settings.incoming_window
    peer.transport.write(
        b"".join(encode(DELIVER._replace(sequence_number=number)) for number in range(1, window + 4001))
    )
    peer.transport.write(encode(EnquireLink(window + 6000)))
    scene.network.pump()
    answers = peer.pdus()
    refused = [answer for answer in answers if isinstance(answer, DeliverSmResp)]
    assert len(scene.esme.requests) == window
    assert len(refused) == 4000
    assert {answer.command_status for answer in refused} == {0x58}
    assert any(answer.sequence_number == window + 6000 for answer in answers), "the link is alive"
    assert client.bound
