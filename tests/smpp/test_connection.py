"""The sans-IO connection: two of them joined by hand, and one against octets of a peer that misbehaves."""

from __future__ import annotations

from itertools import cycle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smpp_wire import read_pdus

from gateway.smpp.connection import Connection, SessionSettings
from gateway.smpp.constants import CommandId, CommandStatus, TlvTag
from gateway.smpp.errors import LocalProtocolError
from gateway.smpp.events import (
    BindRefused,
    Bound,
    CloseReason,
    Event,
    LateResponse,
    PduRejected,
    RequestExpired,
    RequestReceived,
    ResponseReceived,
    SessionClosed,
    UnexpectedResponse,
)
from gateway.smpp.pdu import (
    AlertNotification,
    BindReceiver,
    BindTransceiver,
    BindTransceiverResp,
    BindTransmitter,
    DataSm,
    DeliverSm,
    DeliverSmResp,
    EnquireLink,
    EnquireLinkResp,
    GenericNack,
    Outbind,
    Pdu,
    QuerySmResp,
    SubmitSm,
    SubmitSmResp,
    Unbind,
    UnbindResp,
    UnknownPdu,
    encode,
    make_response,
)
from gateway.smpp.session import Role, SessionState
from gateway.smpp.timers import NEVER
from gateway.smpp.tlv import make_tlv

SUBMIT = SubmitSm(source_addr="MotcuaSMS", destination_addr="84905123456", short_message=b"hello")
VERSION_34 = (make_tlv(TlvTag.SC_INTERFACE_VERSION, 0x34),)


def new_pair(**settings: Any) -> tuple[Connection, Connection]:
    chosen = SessionSettings(**settings)
    return Connection(Role.ESME, chosen, 0.0), Connection(Role.SMSC, chosen, 0.0)


def carry(sender: Connection, receiver: Connection, now: float = 0.0) -> list[Event]:
    return receiver.receive_data(sender.data_to_send(), now)


def bind(esme: Connection, smsc: Connection, pdu: Pdu | None = None, now: float = 0.0, **answer: Any) -> list[Event]:
    esme.bind(pdu or BindTransceiver(system_id="motcua"), now)
    [event] = carry(esme, smsc, now)
    assert isinstance(event, RequestReceived)
    smsc.send_response(make_response(event.pdu, **answer))
    return carry(smsc, esme, now)


def bound_pair(**settings: Any) -> tuple[Connection, Connection]:
    esme, smsc = new_pair(**settings)
    [event] = bind(esme, smsc)
    assert isinstance(event, Bound)
    assert (esme.bound, smsc.bound) == (True, True)
    return esme, smsc


def sent(connection: Connection) -> list[Pdu]:
    return read_pdus(connection.data_to_send())


# Requests and answers


def test_a_request_its_answer_and_the_token() -> None:
    esme, smsc = bound_pair()
    number = esme.send_request(SUBMIT, 1.0, token="message 7")
    [event] = carry(esme, smsc)
    assert event == RequestReceived(SUBMIT._replace(sequence_number=number))
    smsc.send_response(make_response(event.pdu, message_id="0A1B"), event.pdu)
    assert carry(smsc, esme) == [ResponseReceived("message 7", SUBMIT, SubmitSmResp(number, 0, "0A1B"))]
    assert (len(esme.window), len(smsc.unanswered_incoming)) == (0, 0)


def test_many_requests_leave_in_one_piece_and_in_order() -> None:
    esme, smsc = bound_pair(window=100)
    for token in range(100):
        esme.send_request(SUBMIT, 1.0, token)
    requests = [event.pdu for event in carry(esme, smsc) if isinstance(event, RequestReceived)]
    assert [pdu.sequence_number for pdu in requests] == list(range(2, 102))
    for pdu in reversed(requests):
        smsc.send_response(make_response(pdu), pdu)
    tokens = [event.token for event in carry(smsc, esme) if isinstance(event, ResponseReceived)]
    assert tokens == list(reversed(range(100)))


def test_a_status_of_the_vendor_comes_through_as_it_is() -> None:
    esme, smsc = bound_pair()
    esme.send_request(SUBMIT, 1.0, "a")
    [request] = carry(esme, smsc)
    assert isinstance(request, RequestReceived)
    smsc.send_response(make_response(request.pdu, 0x04A7))
    [event] = carry(smsc, esme)
    assert isinstance(event, ResponseReceived)
    assert event.response.command_status == 0x04A7


def test_generic_nack_is_an_answer() -> None:
    esme, _smsc = bound_pair()
    number = esme.send_request(SUBMIT, 1.0, "a")
    nack = GenericNack(number, CommandStatus.ESME_RINVCMDLEN)
    assert esme.receive_data(encode(nack), 1.0) == [ResponseReceived("a", SUBMIT, nack)]


def test_a_full_window_refuses() -> None:
    esme, _smsc = bound_pair(window=1)
    esme.send_request(SUBMIT, 1.0)
    held = esme.octets_held()
    with pytest.raises(LocalProtocolError, match="full"):
        esme.send_request(SUBMIT, 1.0)
    assert esme.octets_held() == held


def test_a_pdu_that_cannot_be_encoded_takes_no_place() -> None:
    esme, _smsc = bound_pair()
    with pytest.raises(LocalProtocolError):
        esme.send_request(SUBMIT._replace(destination_addr="8" * 30), 1.0)
    assert (len(esme.window), esme.has_data) == (0, False)


@pytest.mark.parametrize("pdu", [BindReceiver(), Unbind(), EnquireLink(), Outbind(), DeliverSm()])
def test_send_request_takes_messages_only(pdu: Pdu) -> None:
    esme, _smsc = bound_pair()
    with pytest.raises(LocalProtocolError):
        esme.send_request(pdu, 1.0)


def test_an_answer_to_nothing_is_refused_locally() -> None:
    _esme, smsc = bound_pair()
    with pytest.raises(LocalProtocolError, match="sequence_number 9"):
        smsc.send_response(SubmitSmResp(9))


def test_an_answer_goes_to_the_very_request() -> None:
    """After a reconnect the SMSC counts from 1 again: an answer to the old 5 must not acknowledge the new 5."""
    esme, _smsc = bound_pair()
    old = DeliverSm(5, short_message=b"old")
    [event] = esme.receive_data(encode(DeliverSm(5, short_message=b"new")), 1.0)
    assert isinstance(event, RequestReceived)
    with pytest.raises(LocalProtocolError):
        esme.send_response(make_response(old), old)
    esme.send_response(make_response(event.pdu), event.pdu)
    assert sent(esme) == [DeliverSmResp(5)]


# Answers that are late, double or unknown


def test_late_double_and_unknown_answers() -> None:
    esme, _smsc = bound_pair(response_timeout_s=10.0)
    number = esme.send_request(SUBMIT, 1.0, "a")
    assert esme.on_tick(10.9) == []
    assert esme.on_tick(11.0) == [RequestExpired("a", SUBMIT)]
    answer = SubmitSmResp(number, 0, "77")
    assert esme.receive_data(encode(answer), 12.0) == [LateResponse("a", answer)]
    assert esme.receive_data(encode(answer), 12.0) == [UnexpectedResponse(answer)]
    unknown = SubmitSmResp(4711)
    assert esme.receive_data(encode(unknown), 12.0) == [UnexpectedResponse(unknown)]
    assert esme.bound


def test_an_answer_of_another_kind_leaves_the_request_open() -> None:
    esme, _smsc = bound_pair()
    number = esme.send_request(SUBMIT, 1.0, "a")
    wrong = QuerySmResp(number)
    assert esme.receive_data(encode(wrong), 1.0) == [UnexpectedResponse(wrong)]
    assert len(esme.window) == 1


# The bind


def test_a_refused_bind_leaves_the_session_open() -> None:
    esme, smsc = new_pair()
    [event] = bind(esme, smsc, command_status=CommandStatus.ESME_RINVPASWD)
    assert event == BindRefused(CommandStatus.ESME_RINVPASWD, BindTransceiverResp(1, CommandStatus.ESME_RINVPASWD))
    assert (esme.state, smsc.state) == (SessionState.OPEN, SessionState.OPEN)


def test_a_bind_answered_by_generic_nack_is_refused() -> None:
    esme, _smsc = new_pair()
    esme.bind(BindTransmitter(system_id="motcua"), 0.0)
    [event] = esme.receive_data(encode(GenericNack(1, CommandStatus.ESME_RINVCMDID)), 0.0)
    assert isinstance(event, BindRefused)
    assert event.command_status == CommandStatus.ESME_RINVCMDID


@pytest.mark.parametrize(
    ("own", "peer_says", "esme_may", "smsc_may"),
    [
        (0x34, VERSION_34, True, True),
        (0x50, VERSION_34, True, True),
        (0x34, (), True, True),  # many SMSCs of 3.4 say nothing
        (0x34, (make_tlv(TlvTag.SC_INTERFACE_VERSION, 0x33),), False, True),
        (0x33, (), False, False),
        (0x33, VERSION_34, False, False),
    ],
)
def test_tlvs_follow_the_versions(own: int, peer_says: Any, esme_may: bool, smsc_may: bool) -> None:
    esme, smsc = new_pair()
    bind(esme, smsc, BindTransceiver(system_id="motcua", interface_version=own), tlvs=peer_says)
    assert (esme.tlvs_allowed, smsc.tlvs_allowed) == (esme_may, smsc_may)
    tagged = SUBMIT._replace(tlvs=(make_tlv(TlvTag.USER_MESSAGE_REFERENCE, 7),))
    if esme_may:
        esme.send_request(tagged, 1.0)
    else:
        with pytest.raises(LocalProtocolError, match="TLV"):
            esme.send_request(tagged, 1.0)


def test_an_answer_to_an_old_peer_loses_its_tlvs() -> None:
    esme, smsc = new_pair()
    bind(esme, smsc, BindTransceiver(interface_version=0x33))
    smsc.send_request(DeliverSm(short_message=b"x"), 1.0)
    [event] = carry(smsc, esme)
    assert isinstance(event, RequestReceived)
    reason = make_tlv(TlvTag.DELIVERY_FAILURE_REASON, 1)
    esme.send_response(make_response(event.pdu, tlvs=(reason,)))
    assert sent(esme) == [DeliverSmResp(event.pdu.sequence_number)]


def test_a_second_bind_while_the_first_is_decided() -> None:
    esme, smsc = new_pair()
    esme.bind(BindTransceiver(system_id="a"), 0.0)
    carry(esme, smsc)
    [event] = smsc.receive_data(encode(BindTransceiver(7, system_id="a")), 0.0)
    assert isinstance(event, PduRejected)
    assert sent(smsc) == [BindTransceiverResp(7, CommandStatus.ESME_RALYBND)]


def test_outbind_is_answered_by_a_bind_only() -> None:
    esme, smsc = new_pair()
    smsc.outbind(Outbind(system_id="smsc", password="secret"))
    [event] = carry(smsc, esme)
    assert isinstance(event, RequestReceived)
    assert (esme.state, smsc.state) == (SessionState.OUTBOUND, SessionState.OUTBOUND)
    assert not esme.has_data
    [event] = bind(esme, smsc, BindReceiver(system_id="motcua"))
    assert isinstance(event, Bound)
    assert (esme.state, smsc.state) == (SessionState.BOUND_RX, SessionState.BOUND_RX)


# What the connection answers by itself


def test_enquire_link_is_answered_in_every_state() -> None:
    esme, smsc = new_pair()
    assert smsc.receive_data(encode(EnquireLink(3)), 0.0) == []
    assert sent(smsc) == [EnquireLinkResp(3)]
    bind(esme, smsc)
    assert esme.receive_data(encode(EnquireLink(4)), 0.0) == []
    assert sent(esme) == [EnquireLinkResp(4)]


def test_an_unknown_command_is_nacked_and_the_link_stays_in_step() -> None:
    esme, _smsc = bound_pair()
    data = encode(UnknownPdu(8, 0, 0x00010203, b"\1\2\3")) + encode(EnquireLink(9))
    [event] = esme.receive_data(data, 1.0)
    assert event == PduRejected(0x00010203, 8, CommandStatus.ESME_RINVCMDID, "unknown command")
    assert sent(esme) == [GenericNack(8, CommandStatus.ESME_RINVCMDID), EnquireLinkResp(9)]


def test_an_unknown_response_is_not_nacked() -> None:
    esme, _smsc = bound_pair()
    odd = UnknownPdu(8, 0, 0x80010203, b"")
    assert esme.receive_data(encode(odd), 1.0) == [UnexpectedResponse(odd)]
    assert not esme.has_data


def test_a_malformed_request_is_answered_by_its_own_response() -> None:
    esme, _smsc = bound_pair()
    cut = bytes.fromhex("00000014 00000005 00000000 0000000b 41414141")  # deliver_sm whose service_type does not end
    [event] = esme.receive_data(cut + encode(EnquireLink(12)), 1.0)
    assert isinstance(event, PduRejected)
    answer, alive = sent(esme)
    assert isinstance(answer, DeliverSmResp)
    assert (answer.sequence_number, answer.command_status) == (11, event.command_status)
    assert event.command_status != 0
    assert alive == EnquireLinkResp(12)


def test_a_malformed_response_is_reported_and_its_request_expires() -> None:
    esme, _smsc = bound_pair(response_timeout_s=10.0)
    number = esme.send_request(SUBMIT, 1.0, "a")
    esme.data_to_send()
    # submit_sm_resp whose message_id has no end
    [event] = esme.receive_data(bytes.fromhex(f"00000012 80000004 00000000 {number:08x} 4141"), 2.0)
    assert isinstance(event, PduRejected)
    assert not esme.has_data
    assert esme.on_tick(11.0) == [RequestExpired("a", SUBMIT)]


@pytest.mark.parametrize("pdu", [AlertNotification(5), Outbind(6)])
def test_requests_without_an_answer_get_none_even_in_the_wrong_state(pdu: Pdu) -> None:
    esme, smsc = new_pair()
    bind(esme, smsc, BindTransmitter(system_id="motcua"))
    [event] = esme.receive_data(encode(pdu), 1.0)
    assert isinstance(event, PduRejected)
    assert not esme.has_data


def test_alert_notification_is_a_request_without_an_answer() -> None:
    esme, smsc = bound_pair()
    smsc.send_request(AlertNotification(source_addr="84905123456"), 1.0)
    [event] = carry(smsc, esme)
    assert isinstance(event, RequestReceived)
    assert (esme.has_data, len(esme.unanswered_incoming), len(smsc.window)) == (False, 0, 0)


def test_the_wrong_state_is_told() -> None:
    esme, smsc = new_pair()
    bind(esme, smsc, BindReceiver(system_id="motcua"))
    [event] = smsc.receive_data(encode(SUBMIT._replace(sequence_number=6)), 1.0)
    assert isinstance(event, PduRejected)
    assert sent(smsc) == [SubmitSmResp(6, CommandStatus.ESME_RINVBNDSTS)]


def test_too_many_unanswered_requests_are_throttled() -> None:
    esme, smsc = bound_pair(incoming_window=2, window=5)
    for token in range(3):
        esme.send_request(SUBMIT, 1.0, token)
    first, second, third = carry(esme, smsc)
    assert isinstance(first, RequestReceived)
    assert isinstance(second, RequestReceived)
    assert isinstance(third, PduRejected)
    [answer] = carry(smsc, esme)
    assert isinstance(answer, ResponseReceived)
    assert (answer.token, answer.response.command_status) == (2, CommandStatus.ESME_RTHROTTLED)
    smsc.forget_request(first.pdu)
    esme.send_request(SUBMIT, 1.0, 3)
    [event] = carry(esme, smsc)
    assert isinstance(event, RequestReceived)


@pytest.mark.parametrize("status", [CommandStatus.ESME_ROK, CommandStatus.ESME_RX_T_APPN])
@pytest.mark.parametrize("request_pdu", [SUBMIT, DataSm(destination_addr="1")])
def test_acknowledging_is_answering_with_a_status_alone(request_pdu: Any, status: CommandStatus) -> None:
    answers = []
    for way in ("acknowledge", "send_response"):
        esme, smsc = bound_pair()
        esme.send_request(request_pdu, 1.0, "token")
        [event] = carry(esme, smsc)
        assert isinstance(event, RequestReceived)
        if way == "acknowledge":
            smsc.acknowledge(event.pdu, status)
        else:
            smsc.send_response(make_response(event.pdu, status), event.pdu)
        assert smsc.unanswered_incoming == frozenset()
        answers.append(smsc.data_to_send())
    assert answers[0] == answers[1]


def test_only_the_very_request_can_be_acknowledged_and_only_once() -> None:
    esme, smsc = bound_pair()
    esme.send_request(SUBMIT, 1.0, "token")
    [event] = carry(esme, smsc)
    assert isinstance(event, RequestReceived)
    with pytest.raises(LocalProtocolError, match="waits for an answer"):
        smsc.acknowledge(event.pdu._replace(), 0)  # of an earlier connection, with the same number
    smsc.acknowledge(event.pdu, 0)
    with pytest.raises(LocalProtocolError, match="waits for an answer"):
        smsc.acknowledge(event.pdu, 0)


# Streams


@given(st.lists(st.integers(1, 300), min_size=1, max_size=30))
def test_octets_may_come_in_any_pieces(sizes: list[int]) -> None:
    stream = b"".join(encode(DeliverSm(number, short_message=b"x" * number)) for number in range(1, 10))
    esme, _smsc = bound_pair()
    whole = esme.receive_data(stream, 1.0)
    esme, _smsc = bound_pair()
    pieces: list[Event] = []
    position = 0
    for size in cycle(sizes):
        if position >= len(stream):
            break
        pieces += esme.receive_data(stream[position : position + size], 1.0)
        position += size
    assert pieces == whole
    assert len(whole) == 9


@pytest.mark.parametrize("length", [0, 15, 70_000, 0xFFFFFFFF])
def test_a_stream_out_of_step_is_nacked_and_closed(length: int) -> None:
    esme, _smsc = bound_pair()
    esme.send_request(SUBMIT, 1.0, "a")
    esme.data_to_send()
    good = encode(DeliverSm(3, short_message=b"before the fault"))
    bad = length.to_bytes(4, "big") + bytes.fromhex("00000005 00000000 00000004")
    request, rejected, closed = esme.receive_data(good + bad, 1.0)
    assert isinstance(request, RequestReceived)
    assert isinstance(rejected, PduRejected)
    assert isinstance(closed, SessionClosed)
    assert closed.reason is CloseReason.PROTOCOL_FAULT
    assert closed.unanswered == ("a",)
    assert sent(esme) == [GenericNack(4, CommandStatus.ESME_RINVCMDLEN)]
    assert esme.receive_data(good, 2.0) == []
    assert esme.next_deadline() == NEVER


@given(st.binary(max_size=200))
def test_no_octets_raise(octets: bytes) -> None:
    esme, smsc = bound_pair()
    for connection in (esme, smsc, *new_pair()):
        connection.receive_data(octets, 1.0)
        connection.receive_data(octets, 2.0)
        connection.on_tick(1000.0)


# Time


def test_a_silent_peer_is_probed_then_given_up() -> None:
    esme, _smsc = bound_pair(enquire_link_interval_s=30.0, response_timeout_s=10.0)
    assert esme.next_deadline() == 30.0
    assert esme.on_tick(30.0) == []
    assert sent(esme) == [EnquireLink(2)]
    esme.send_request(SUBMIT, 35.0, "a")
    [closed] = esme.on_tick(40.0)
    assert closed == SessionClosed(CloseReason.ENQUIRE_LINK_TIMEOUT, "", ("a",), ())
    assert (esme.state, esme.closed) == (SessionState.CLOSED, True)


def test_a_peer_that_answers_is_probed_again_and_again() -> None:
    esme, smsc = bound_pair(enquire_link_interval_s=30.0)
    for now in (30.0, 60.0, 90.0):
        assert esme.on_tick(now) == []
        assert carry(esme, smsc, now) == []
        assert carry(smsc, esme, now) == []
    assert esme.bound


def test_a_peer_that_sends_other_pdus_is_alive() -> None:
    esme, _smsc = bound_pair(enquire_link_interval_s=30.0, response_timeout_s=10.0)
    esme.on_tick(30.0)
    esme.receive_data(encode(DeliverSm(3)), 35.0)
    assert esme.on_tick(40.0) == []
    assert esme.bound


def test_octets_that_make_no_pdu_are_no_sign_of_life() -> None:
    esme, _smsc = bound_pair(enquire_link_interval_s=30.0)
    stream = encode(DeliverSm(3, short_message=b"x" * 100))
    esme.receive_data(stream[:50], 20.0)
    esme.on_tick(30.0)
    assert sent(esme) == [EnquireLink(2)]


@pytest.mark.parametrize("role", Role)
def test_no_bind_in_time(role: Role) -> None:
    connection = Connection(role, SessionSettings(session_init_timeout_s=5.0), 0.0)
    assert connection.next_deadline() == 5.0
    assert connection.on_tick(5.0) == [SessionClosed(CloseReason.SESSION_INIT_TIMEOUT, "", (), ())]


def test_a_bind_without_an_answer() -> None:
    esme, _smsc = new_pair(session_init_timeout_s=60.0, response_timeout_s=10.0)
    esme.bind(BindTransceiver(system_id="motcua"), 1.0)
    [closed] = esme.on_tick(11.0)
    assert isinstance(closed, SessionClosed)
    assert closed.reason is CloseReason.SESSION_INIT_TIMEOUT
    assert "bind_transceiver" in closed.detail


def test_inactivity_unbinds() -> None:
    esme, smsc = bound_pair(inactivity_timeout_s=60.0, enquire_link_interval_s=25.0)
    esme.send_request(SUBMIT, 10.0, "a")
    [request] = carry(esme, smsc, 10.0)
    assert isinstance(request, RequestReceived)
    smsc.send_response(make_response(request.pdu))
    carry(smsc, esme, 10.0)
    for now in (35.0, 60.0, 70.0):  # two probes, then the end
        assert esme.next_deadline() == now
        esme.on_tick(now)
        carry(esme, smsc, now)
        events = carry(smsc, esme, now)
    assert events == [SessionClosed(CloseReason.INACTIVITY, "", (), ())]


# The end


def test_unbind_waits_for_its_answer_and_takes_no_new_requests() -> None:
    esme, smsc = bound_pair()
    esme.unbind(1.0)
    with pytest.raises(LocalProtocolError, match="unbound"):
        esme.send_request(SUBMIT, 1.0)
    assert carry(esme, smsc) == [SessionClosed(CloseReason.PEER_UNBOUND, "", (), ())]
    assert carry(smsc, esme) == [SessionClosed(CloseReason.UNBOUND, "", (), ())]


def test_unbind_twice_is_one_unbind() -> None:
    esme, _smsc = bound_pair()
    esme.unbind(1.0)
    esme.unbind(1.0)
    assert sent(esme) == [Unbind(2)]


def test_unbind_without_an_answer() -> None:
    esme, _smsc = bound_pair(response_timeout_s=10.0)
    esme.unbind(1.0)
    assert esme.on_tick(11.0) == [SessionClosed(CloseReason.UNBOUND, "no unbind_resp", (), ())]


def test_closing_in_place_of_unbind_resp_is_a_clean_end() -> None:
    esme, _smsc = bound_pair()
    esme.unbind(1.0)
    esme.data_to_send()
    assert esme.connection_lost() == [SessionClosed(CloseReason.UNBOUND, "", (), ())]


def test_both_ends_may_unbind_at_once() -> None:
    esme, smsc = bound_pair()
    esme.unbind(1.0)
    smsc.unbind(1.0)
    to_smsc, to_esme = esme.data_to_send(), smsc.data_to_send()
    assert smsc.receive_data(to_smsc, 1.0) == []
    assert esme.receive_data(to_esme, 1.0) == []
    assert carry(esme, smsc) == [SessionClosed(CloseReason.UNBOUND, "", (), ())]
    assert carry(smsc, esme) == [SessionClosed(CloseReason.UNBOUND, "", (), ())]


def test_after_the_peers_unbind_answers_in_flight_still_count() -> None:
    esme, smsc = bound_pair(linger_s=2.0)
    number = esme.send_request(SUBMIT, 1.0, "mine")
    [delivered] = esme.receive_data(encode(DeliverSm(40, short_message=b"theirs")), 1.0)
    assert isinstance(delivered, RequestReceived)
    esme.data_to_send()
    assert esme.receive_data(encode(Unbind(41)), 1.0) == []
    assert sent(esme) == [UnbindResp(41)]
    assert not esme.bound
    answer = SubmitSmResp(number, 0, "9")
    assert esme.receive_data(encode(answer), 1.5) == [ResponseReceived("mine", SUBMIT, answer)]
    esme.send_response(make_response(delivered.pdu))
    assert sent(esme) == [DeliverSmResp(40)]
    assert esme.next_deadline() <= 1.5
    assert esme.on_tick(1.5) == [SessionClosed(CloseReason.PEER_UNBOUND, "", (), ())]
    del smsc


def test_after_the_peers_unbind_the_wait_is_short() -> None:
    esme, _smsc = bound_pair(linger_s=2.0)
    esme.send_request(SUBMIT, 1.0, "a")
    esme.receive_data(encode(Unbind(41)), 1.0)
    assert esme.next_deadline() == 3.0
    assert esme.on_tick(3.0) == [SessionClosed(CloseReason.PEER_UNBOUND, "", ("a",), ())]


def test_a_delivery_that_crossed_our_unbind_is_put_off() -> None:
    esme, _smsc = bound_pair()
    esme.unbind(1.0)
    esme.data_to_send()
    esme.receive_data(encode(DeliverSm(40)), 1.0)
    assert sent(esme) == [DeliverSmResp(40, CommandStatus.ESME_RX_T_APPN)]


def test_a_lost_link_tells_what_left_from_what_did_not() -> None:
    esme, _smsc = bound_pair()
    esme.send_request(SUBMIT, 1.0, "written")
    esme.data_to_send()
    esme.send_request(SUBMIT, 1.0, "queued")
    [closed] = esme.connection_lost("reset")
    assert closed == SessionClosed(CloseReason.PEER_CLOSED, "reset", ("written",), ("queued",))
    assert not esme.has_data
    assert esme.connection_lost() == []


def test_closing_ourselves_counts_the_queued_as_sent() -> None:
    """The owner writes what is queued before it closes, so those requests may arrive."""
    esme, _smsc = bound_pair()
    esme.send_request(SUBMIT, 1.0, "queued")
    assert esme.close("bye") == [SessionClosed(CloseReason.CLOSED, "bye", ("queued",), ())]
    assert esme.has_data


def test_a_closed_connection_does_nothing() -> None:
    esme, _smsc = bound_pair()
    esme.close()
    esme.data_to_send()
    assert esme.receive_data(encode(EnquireLink(1)), 1.0) == []
    assert esme.on_tick(1e6) == []
    assert not esme.has_data
    for act in (lambda: esme.unbind(1.0), lambda: esme.enquire_link(1.0), lambda: esme.send_request(SUBMIT, 1.0)):
        with pytest.raises(LocalProtocolError):
            act()


def test_the_bind_has_its_own_method() -> None:
    esme, _smsc = new_pair()
    with pytest.raises(LocalProtocolError, match="no bind"):
        esme.bind(EnquireLink(), 0.0)


def test_command_ids_are_plain_numbers() -> None:
    """An event carries what the peer sent, also where no enumeration knows it."""
    esme, _smsc = bound_pair()
    [event] = esme.receive_data(encode(UnknownPdu(1, 0, 0x7F000000, b"")), 1.0)
    assert isinstance(event, PduRejected)
    assert event.command_id == 0x7F000000
    assert event.command_id not in set(CommandId)
