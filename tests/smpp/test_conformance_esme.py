"""Conformance as ESME, row by row of the conformance list: what the session layer must do towards any SMSC.

What the sender adds on top (pausing a bind, policies by status, sharing load) is tested where the sender lives.
"""

from __future__ import annotations

import random
from collections import deque
from itertools import pairwise
from typing import Any

import pytest
import pytest_twisted
from smpp_actors import DELIVER, SETTINGS, SUBMIT, EsmeOwner, Scene, SmscOwner
from smpp_wire import Link, Network, RawFactory, RawPeer
from structlog.testing import capture_logs
from twisted.internet import reactor
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint
from twisted.internet.error import ConnectionDone

from gateway.smpp.client import BindType, EsmeClient, OutbindCredentials
from gateway.smpp.connection import Connection, SessionSettings
from gateway.smpp.constants import MAX_SEQUENCE_NUMBER, CommandStatus, TlvTag, Ton
from gateway.smpp.errors import LocalProtocolError
from gateway.smpp.listener import EsmeListener
from gateway.smpp.pdu import (
    BindReceiver,
    BindTransceiverResp,
    BindTransmitter,
    DeliverSmResp,
    EnquireLink,
    EnquireLinkResp,
    GenericNack,
    Outbind,
    Pdu,
    SubmitSm,
    SubmitSmResp,
    Unbind,
    UnknownPdu,
    encode,
    make_response,
    tlv_int,
)
from gateway.smpp.server import SmscFactory
from gateway.smpp.session import Role, SessionState
from gateway.smpp.tlv import Tlv, make_tlv


class Bound:
    """A client that is bound to a peer whose PDUs the test writes itself."""

    def __init__(self, **settings: Any) -> None:
        self.scene = Scene(**settings)
        self.raw = RawFactory()
        network = self.scene.network
        self.scene.client = EsmeClient(
            network.clock, network.endpoint(self.raw), self.scene.settings, self.scene.esme, random.Random(7)
        )
        self.scene.client.start()
        self.accept()

    def accept(self) -> None:
        self.scene.network.pump()
        [bind] = self.peer.pdus()
        self.send(make_response(bind))
        assert self.client.bound

    @property
    def peer(self) -> RawPeer:
        return self.raw.peer

    @property
    def client(self) -> EsmeClient:
        return self.scene.client

    def send(self, *pdus: Pdu | bytes) -> None:
        self.peer.transport.write(b"".join(pdu if isinstance(pdu, bytes) else encode(pdu) for pdu in pdus))
        self.scene.network.pump()

    def heard(self) -> list[Pdu]:
        self.scene.network.pump()
        return self.peer.pdus()


# C1


@pytest.mark.parametrize("bind_type", BindType)
@pytest.mark.parametrize("version", [0x33, 0x34, 0x50])
def test_c1_binds_of_every_type_and_version(bind_type: BindType, version: int) -> None:
    scene = Scene(bind_type=bind_type, interface_version=version).bind()
    [bind] = scene.smsc.binds
    assert type(bind).__name__ == f"Bind{bind_type.value.capitalize()}"
    assert (bind.system_id, bind.password, bind.interface_version) == ("motcua", "secret", version)
    assert scene.smsc.session.bind_type == bind_type.value


def test_c1_a_pair_of_transmitter_and_receiver() -> None:
    scene = Scene(bind_type=BindType.TRANSMITTER).bind()
    receiver = EsmeClient(
        scene.network.clock,
        scene.network.endpoint(scene.factory),
        Scene(bind_type=BindType.RECEIVER).settings,
        scene.esme,
        random.Random(7),
    )
    receiver.start()
    scene.network.pump()
    assert receiver.bound
    scene.submit("mt")
    scene.smsc.session.send(DELIVER, "mo")
    scene.network.pump()
    assert scene.esme.tokens == ["mt"]
    assert [token for token, _response in scene.smsc.responses] == ["mo"]
    with pytest.raises(LocalProtocolError, match="submit_sm"):
        receiver.submit(SUBMIT, "wrong way")


@pytest.mark.parametrize(
    ("own", "tlvs", "allowed"),
    [
        (0x34, (make_tlv(TlvTag.SC_INTERFACE_VERSION, 0x34),), True),
        (0x34, (make_tlv(TlvTag.SC_INTERFACE_VERSION, 0x50),), True),
        (0x34, (make_tlv(TlvTag.SC_INTERFACE_VERSION, 0x33),), False),
        (0x34, (make_tlv(TlvTag.SC_INTERFACE_VERSION, 0x00),), False),
        (0x34, (), True),
        (0x33, (), False),
    ],
)
def test_c1_no_tlvs_to_a_peer_before_34(own: int, tlvs: tuple[Tlv, ...], allowed: bool) -> None:
    scene = Scene(interface_version=own)
    raw = RawFactory()
    client = EsmeClient(scene.network.clock, scene.network.endpoint(raw), scene.settings, scene.esme, random.Random(7))
    client.start()
    scene.network.pump()
    raw.peer.transport.write(encode(BindTransceiverResp(1, 0, "smsc", tlvs)))
    scene.network.pump()
    assert client.bound
    assert client.tlvs_allowed is allowed
    tagged = SUBMIT._replace(tlvs=(make_tlv(TlvTag.USER_MESSAGE_REFERENCE, 1),))
    raw.peer.pdus()
    if allowed:
        client.submit(tagged, "a")
    else:
        with pytest.raises(LocalProtocolError):
            client.submit(tagged, "a")
        client.submit(SUBMIT, "a")
    scene.network.pump()
    [submit] = raw.peer.pdus()
    assert bool(submit.tlvs) is allowed


# C2


@pytest.mark.parametrize(
    "status", [CommandStatus.ESME_RALYBND, CommandStatus.ESME_RBINDFAIL, CommandStatus.ESME_RSYSERR, 0x0455]
)
def test_c2_a_refused_bind_is_tried_again_at_growing_distance(status: int) -> None:
    scene = Scene()
    scene.smsc.bind_status = status
    scene.client.start()
    scene.run(200)
    assert set(scene.esme.refused) == {status}
    waits = [later - earlier for earlier, later in pairwise(scene.network.attempts)]
    for wait, longest in zip(waits, [2, 4, 8, 16, 32, 60], strict=False):
        assert max(1.0, longest / 2) <= wait <= longest
    scene.smsc.bind_status = 0
    scene.run(60)
    assert scene.client.bound


@pytest.mark.parametrize("status", [CommandStatus.ESME_RINVPASWD, CommandStatus.ESME_RINVSYSID])
def test_c2_a_bad_password_is_reported_and_retried_slowly(status: CommandStatus) -> None:
    scene = Scene()
    scene.smsc.bind_status = status
    scene.client.start()
    with capture_logs() as logs:
        scene.run(300)
    waits = [later - earlier for earlier, later in pairwise(scene.network.attempts)]
    assert min(waits) >= 30.0
    assert max(waits) <= 60.0
    assert scene.esme.refused == [status] * len(scene.network.attempts)
    assert status.name in scene.client.last_error
    refusals = [entry for entry in logs if entry["event"] == "bind_refused"]
    assert all(entry["credentials"] is True and entry["command_status"] == status.name for entry in refusals)


def test_c2_accepted_but_silent() -> None:
    scene = Scene(session_init_timeout_s=10.0)
    raw = RawFactory()
    client = EsmeClient(scene.network.clock, scene.network.endpoint(raw), scene.settings, scene.esme, random.Random(7))
    client.start()
    scene.run(9.9)
    assert client.state == "binding"
    scene.run(0.2)
    assert client.state == "waiting"
    assert "no bind in time" in client.last_error
    assert raw.peer.lost
    scene.run(120)
    assert len(scene.network.attempts) > 3


@pytest_twisted.inlineCallbacks
def test_c2_connection_refused_on_a_real_socket() -> Any:
    port = yield TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(SmscFactory(reactor, SmscOwner()))
    number = port.getHost().port
    yield port.stopListening()
    owner = EsmeOwner()
    client = EsmeClient(
        reactor, lambda: TCP4ClientEndpoint(reactor, "127.0.0.1", number), SETTINGS, owner, random.Random(7)
    )
    waits: Deferred[None] = Deferred()
    enter = client.enter

    def watched(state: str) -> None:
        enter(state)
        if state == "waiting":
            waits.callback(None)

    client.enter = watched  # type: ignore[method-assign]
    client.start()
    yield waits
    assert "refused" in client.last_error
    yield client.stop(1.0)


# C3


def test_c3_enquire_link_both_ways() -> None:
    bound = Bound(enquire_link_interval_s=30.0)
    bound.send(EnquireLink(77))
    assert bound.heard() == [EnquireLinkResp(77)]
    for _ in range(5):
        bound.scene.run(30)
        [probe] = bound.heard()
        assert isinstance(probe, EnquireLink)
        bound.send(make_response(probe))
    assert bound.client.bound


def test_c3_a_peer_that_stops_answering_is_left_and_its_submits_are_in_doubt() -> None:
    bound = Bound(enquire_link_interval_s=30.0, response_timeout_s=10.0, window=5)
    bound.scene.run(25)
    bound.scene.network.link.dead = True
    bound.scene.run(10)
    bound.scene.submit("in doubt")
    bound.scene.run(5)
    [(reason, unanswered, never_sent)] = bound.scene.esme.unbound
    assert "enquire_link" in reason
    assert (unanswered, never_sent) == (("in doubt",), ())
    bound.scene.run(5)
    assert len(bound.raw.peers) == 2, "opened again, though the old connection never said goodbye"


# C4


def test_c4_unbind_by_us_comes_before_the_close() -> None:
    bound = Bound()
    done = bound.client.stop(10.0)
    [unbind] = bound.heard()
    assert isinstance(unbind, Unbind)
    assert not bound.peer.lost
    bound.send(make_response(unbind))
    assert bound.peer.lost
    assert done.called


def test_c4_a_peer_that_closes_in_place_of_unbind_resp() -> None:
    bound = Bound()
    done = bound.client.stop(10.0)
    bound.heard()
    bound.scene.network.link.cut(ConnectionDone())
    assert done.called
    assert bound.scene.esme.unbound[0][0] == "unbound"
    bound.scene.run(300)
    assert len(bound.raw.peers) == 1


def test_c4_unbind_by_the_peer_is_answered_and_no_storm_follows() -> None:
    bound = Bound()
    for _ in range(6):
        bound.send(Unbind(9))
        [answer] = bound.heard()
        assert (type(answer).__name__, answer.sequence_number) == ("UnbindResp", 9)
        assert bound.peer.lost
        peers = len(bound.raw.peers)
        while len(bound.raw.peers) == peers:
            bound.scene.run(0.5)
        bound.accept()
    waits = [later - earlier for earlier, later in pairwise(bound.scene.network.attempts)]
    assert waits[-1] > 15
    assert waits == sorted(waits)


def test_c4_draining_waits_for_open_answers_of_both_sides() -> None:
    bound = Bound(window=5)
    bound.scene.esme.answer_requests = False
    bound.scene.submit("open")
    bound.send(DELIVER._replace(sequence_number=50))
    [submit] = bound.heard()
    done = bound.client.stop(10.0)
    assert bound.heard() == []
    bound.send(SubmitSmResp(submit.sequence_number, 0, "1"))
    assert bound.heard() == []
    [mo] = bound.scene.esme.requests
    bound.client.reply(make_response(mo), mo)
    answer, unbind = bound.heard()
    assert isinstance(answer, DeliverSmResp)
    assert isinstance(unbind, Unbind)
    bound.send(make_response(unbind))
    assert done.called


# C5


@pytest.mark.parametrize("window", [1, 10, 100, 1000])
def test_c5_a_window_and_a_slow_peer(window: int) -> None:
    """The peer answers a few at a time: the window is never exceeded, and is full again after each answer."""
    bound = Bound(window=window, response_timeout_s=600.0, enquire_link_interval_s=3600.0)
    scene, client = bound.scene, bound.client
    todo = deque(range(3 * window + 7))
    open_at_work: list[int] = []

    def fill(_client: EsmeClient) -> None:
        open_at_work.append(client.in_flight)
        while client.free_window and todo:
            client.submit(SUBMIT, todo.popleft())

    scene.esme.when_answered = fill
    fill(client)
    waiting: deque[Pdu] = deque()
    total = 3 * window + 7
    step = max(1, window // 3)
    while len(scene.esme.responses) < total:
        waiting.extend(bound.heard())
        assert len(waiting) <= window
        assert len(waiting) == window or not todo, "kept full while there is work"
        scene.run(1)
        bound.send(*[make_response(waiting.popleft()) for _ in range(min(step, len(waiting)))])
    assert scene.esme.tokens == list(range(total))
    assert max(open_at_work) <= window


def test_c5_answers_are_handled_before_new_work_is_written() -> None:
    bound = Bound(window=10)
    bound.scene.submit(*range(10))
    submits = bound.heard()
    writes = bound.scene.network.link.ends[0].writes
    writes.clear()
    bound.scene.esme.when_answered = lambda client: client.submit(SUBMIT, "more")
    bound.send(*[make_response(submit) for submit in submits])
    assert len(writes) == 1, "ten answers were read, then ten submits left together"


def test_c5_a_reader_that_stalls_costs_bounded_memory() -> None:
    bound = Bound(window=1000, incoming_window=50, response_timeout_s=600.0, enquire_link_interval_s=3600.0)
    bound.scene.esme.answer_requests = False
    bound.peer.transport.reading = False  # takes nothing of ours, and floods us
    end = bound.scene.network.link.ends[0]
    end.buffer_limit = 10_000
    for start in range(1, 200_000, 1000):
        bound.send(*[DELIVER._replace(sequence_number=start + number) for number in range(1000)])
        if not end.reading:
            break
    assert not end.reading
    assert len(bound.scene.esme.requests) == 50
    assert len(end.outbox) < 2_000_000


# C6


@pytest.mark.parametrize("status", [CommandStatus.ESME_RTHROTTLED, CommandStatus.ESME_RMSGQFUL])
def test_c6_throttling_is_told_for_each_message_in_order_and_the_bind_stays(status: CommandStatus) -> None:
    bound = Bound(window=5)
    bound.scene.submit(*"abcde")
    bound.send(*[make_response(submit, status) for submit in bound.heard()])
    assert [(token, response.command_status) for token, response in bound.scene.esme.responses] == [
        (token, status) for token in "abcde"
    ]
    assert bound.client.bound
    assert bound.client.free_window == 5


def test_c6_congestion_state_reaches_the_sender() -> None:
    bound = Bound()
    bound.scene.submit("a")
    [submit] = bound.heard()
    bound.send(make_response(submit, message_id="1", tlvs=(make_tlv(TlvTag.CONGESTION_STATE, 95),)))
    [(_token, response)] = bound.scene.esme.responses
    assert tlv_int(response, TlvTag.CONGESTION_STATE) == 95


# C7


@pytest.mark.parametrize(
    "status", [0x0B, 0x45, 0x58, 0x64, 0xFE, 0x0400, 0x0412, 0x04FF, 0x0500, 0x12345678, 0xFFFFFFFF]
)
def test_c7_every_status_number_is_kept_exactly(status: int) -> None:
    bound = Bound()
    bound.scene.submit("a")
    [submit] = bound.heard()
    bound.send(make_response(submit, status))
    [(token, response)] = bound.scene.esme.responses
    assert (token, response.command_status) == ("a", status)


# C8


def test_c8_late_double_and_unknown_answers() -> None:
    bound = Bound(response_timeout_s=10.0, enquire_link_interval_s=3600.0)
    bound.scene.submit("a")
    [submit] = bound.heard()
    bound.scene.run(10)
    assert bound.scene.esme.expired == ["a"]
    assert bound.client.free_window == SETTINGS.window, "it does not block the window"
    with capture_logs() as logs:
        bound.send(SubmitSmResp(submit.sequence_number, 0, "late"))
        assert bound.scene.esme.late == [("a", SubmitSmResp(submit.sequence_number, 0, "late"))]
        for _ in range(3):
            bound.send(SubmitSmResp(submit.sequence_number, 0, "late"))
            bound.send(SubmitSmResp(0x7000000, 0, "unknown"))
            bound.send(GenericNack(0, CommandStatus.ESME_RINVCMDLEN))
    assert bound.client.counters.late_responses == 1
    assert bound.client.counters.unexpected_responses == 9
    assert [entry["event"] for entry in logs] == ["smpp_unexpected_response"]
    assert bound.client.bound
    assert bound.scene.esme.responses == []


# C14


def test_c14_an_unknown_command_id_is_nacked_and_the_link_stays_up() -> None:
    bound = Bound()
    bound.send(UnknownPdu(5, 0, 0x00000BAD, b"what"), EnquireLink(6))
    assert bound.heard() == [GenericNack(5, CommandStatus.ESME_RINVCMDID), EnquireLinkResp(6)]


@pytest.mark.parametrize(
    "tlvs",
    [
        (Tlv(0x1777, b"vendor"), Tlv(0x0ABC, b"reserved")),
        (Tlv(TlvTag.USER_MESSAGE_REFERENCE, b"\0\1"), Tlv(TlvTag.USER_MESSAGE_REFERENCE, b"\0\2")),
        (Tlv(TlvTag.USER_MESSAGE_REFERENCE, b""), Tlv(TlvTag.MESSAGE_PAYLOAD, b"")),
    ],
    ids=["unknown", "duplicate", "zero-length"],
)
def test_c14_odd_tlvs_cost_no_message(tlvs: tuple[Tlv, ...]) -> None:
    bound = Bound()
    bound.send(DELIVER._replace(sequence_number=5, tlvs=tlvs))
    [request] = bound.scene.esme.requests
    assert request.tlvs == tlvs
    assert bound.heard() == [DeliverSmResp(5)]


def test_c14_a_malformed_tlv_stream_is_answered_and_the_link_stays_up() -> None:
    bound = Bound()
    good = encode(DELIVER._replace(sequence_number=5))
    octets = good + bytes.fromhex("02040009ff")  # a TLV that says nine octets and has one
    octets = len(octets).to_bytes(4, "big") + octets[4:]
    bound.send(octets, EnquireLink(6))
    answer, alive = bound.heard()
    assert isinstance(answer, DeliverSmResp)
    assert answer.command_status != 0
    assert alive == EnquireLinkResp(6)
    assert bound.scene.esme.requests == []
    assert bound.client.counters.rejected_pdus == 1


# C15


@pytest.mark.parametrize("length", [0, 15, 65_537, 0xFFFFFFFF])
def test_c15_an_impossible_command_length_is_nacked_and_the_link_reopened(length: int) -> None:
    bound = Bound()
    bound.send(length.to_bytes(4, "big") + bytes.fromhex("00000005 00000000 00000009"))
    [nack] = bound.heard()
    assert nack == GenericNack(9, CommandStatus.ESME_RINVCMDLEN)
    assert bound.peer.lost
    bound.scene.run(3)
    assert len(bound.raw.peers) == 2


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\0" * 5,
        b"A" * 60,
        b"\0\1\1" + b"8" * 40 + b"\0" * 20,
        b"\0\1\1849\0\0\0" + b"8083\0" + b"\0" * 9 + b"\xc8short",
    ],
    ids=["no body", "shorter than its fields", "no terminator", "over-long address", "sm_length beyond the body"],
)
def test_c15_a_malformed_body_is_answered_and_the_stream_stays_in_step(body: bytes) -> None:
    bound = Bound()
    octets = (16 + len(body)).to_bytes(4, "big") + bytes.fromhex("00000005 00000000 00000009") + body
    bound.send(octets, EnquireLink(10))
    answer, alive = bound.heard()
    assert isinstance(answer, DeliverSmResp)
    assert answer.sequence_number == 9
    assert answer.command_status != 0
    assert alive == EnquireLinkResp(10)
    assert bound.client.bound


def test_c15_one_octet_at_a_time_and_ten_pdus_at_once() -> None:
    bound = Bound()
    octets = b"".join(encode(DELIVER._replace(sequence_number=number)) for number in range(1, 11))
    for octet in octets:
        bound.send(bytes([octet]))
    assert [pdu.sequence_number for pdu in bound.heard()] == list(range(1, 11))
    bound.send(octets)
    assert [pdu.sequence_number for pdu in bound.heard()] == list(range(1, 11))
    assert len(bound.scene.esme.requests) == 20


# C17


class ServerEndpoint:
    """Keeps the factory that would listen."""

    def listen(self, factory: Any) -> Any:
        self.factory = factory
        return succeed(None)


class Listening:
    """A bind for which the operator opens the connection."""

    def __init__(self, outbind: OutbindCredentials | None, bind_type: BindType = BindType.RECEIVER) -> None:
        self.network = Network()
        self.esme = EsmeOwner()
        self.server = ServerEndpoint()
        listener = EsmeListener(self.server, ["192.0.2.0/24"])
        listener.start()
        settings = Scene(bind_type=bind_type, peer_connects=True, outbind=outbind).settings
        self.client = EsmeClient(self.network.clock, listener.endpoint, settings, self.esme, random.Random(7))
        self.client.start()

    def operator_connects(self) -> RawPeer:
        peer = RawPeer()
        link = Link(self.server.factory.buildProtocol(IPv4Address("TCP", "192.0.2.9", 40_000)), peer)
        self.network.links.append(link)
        link.connect()
        self.network.pump()
        return peer


CREDENTIALS = OutbindCredentials("operator", "letmein")


def test_c17_outbind_is_answered_by_a_bind_on_the_same_connection() -> None:
    listening = Listening(CREDENTIALS)
    peer = listening.operator_connects()
    assert peer.pdus() == [], "no bind before outbind"
    peer.transport.write(encode(Outbind(1, 0, "operator", "letmein")))
    listening.network.pump()
    [bind] = peer.pdus()
    assert isinstance(bind, BindReceiver)
    peer.transport.write(encode(make_response(bind)) + encode(DELIVER._replace(sequence_number=2)))
    listening.network.pump()
    assert listening.client.bound
    assert peer.pdus() == [DeliverSmResp(2)]


@pytest.mark.parametrize(("system_id", "password"), [("operator", "wrong"), ("wrong", "letmein"), ("", "")])
def test_c17_outbind_with_wrong_credentials_is_refused(system_id: str, password: str) -> None:
    listening = Listening(CREDENTIALS)
    peer = listening.operator_connects()
    with capture_logs() as logs:
        peer.transport.write(encode(Outbind(1, 0, system_id, password)))
        listening.network.pump()
    assert peer.pdus() == []
    assert peer.lost
    assert "credentials" in listening.client.last_error
    assert "letmein" not in repr(logs)
    listening.network.run(1)
    assert listening.client.state == "connecting", "waits for the next one"


def test_c17_an_operator_that_connects_and_says_nothing_is_left() -> None:
    listening = Listening(CREDENTIALS)
    peer = listening.operator_connects()
    listening.network.run(10)
    assert peer.lost
    assert listening.client.state == "connecting"


def test_c17_without_outbind_the_bind_goes_out_at_once_and_again_after_a_loss() -> None:
    listening = Listening(None, BindType.TRANSCEIVER)
    for _ in range(3):
        peer = listening.operator_connects()
        [bind] = peer.pdus()
        peer.transport.write(encode(make_response(bind)))
        listening.network.pump()
        assert listening.client.bound
        listening.network.link.cut()
        listening.network.run(0.1)
    assert listening.esme.bound == 3


def test_c17_outbind_is_never_answered_and_an_unasked_one_ignored() -> None:
    scene = Scene()
    raw = RawFactory()
    client = EsmeClient(scene.network.clock, scene.network.endpoint(raw), scene.settings, scene.esme, random.Random(7))
    client.start()
    scene.network.pump()
    raw.peer.pdus()
    raw.peer.transport.write(encode(Outbind(1, 0, "somebody", "")) + encode(BindTransceiverResp(1)))
    scene.network.pump()
    assert raw.peer.pdus() == []
    assert client.bound


# C19


def test_c19_a_lost_link_is_told_at_once_and_the_other_bind_goes_on() -> None:
    network, owner = Network(), EsmeOwner()
    factories = [SmscFactory(network.clock, SmscOwner()) for _ in range(2)]
    clients = [
        EsmeClient(network.clock, network.endpoint(factory), SETTINGS, owner, random.Random(number))
        for number, factory in enumerate(factories)
    ]
    for client in clients:
        client.start()
    network.pump()
    clients[0].submit(SUBMIT, "first")
    before = network.clock.seconds()
    network.links[0].cut()
    assert network.clock.seconds() == before
    assert owner.unbound[0][2] == ("first",)
    assert (clients[0].free_window, clients[1].free_window) == (0, SETTINGS.window)
    clients[1].submit(SUBMIT, "first")
    network.pump()
    assert owner.tokens == ["first"]
    network.run(2)
    assert clients[0].bound, "fail back"


def test_c19_the_endpoint_factory_may_take_turns_between_hosts() -> None:
    network, owner = Network(), EsmeOwner()
    dead, alive = RawFactory(), SmscFactory(network.clock, SmscOwner())
    hosts = deque([dead, alive])

    def endpoint() -> Any:
        hosts.rotate(-1)
        return network.endpoint(hosts[-1])()

    client = EsmeClient(network.clock, endpoint, SETTINGS, owner, random.Random(7))
    client.start()
    network.run(13)
    assert len(dead.peers) == 1
    assert client.bound


# C20


@pytest.mark.parametrize(
    ("source", "ton", "npi"),
    [("MotcuaSMS", Ton.ALPHANUMERIC, 0), ("8083", Ton.NETWORK_SPECIFIC, 0), ("8083", Ton.ABBREVIATED, 1)],
)
def test_c20_addresses_go_out_as_configured(source: str, ton: int, npi: int) -> None:
    bound = Bound()
    pdu = SUBMIT._replace(
        source_addr=source, source_addr_ton=ton, source_addr_npi=npi, dest_addr_ton=1, dest_addr_npi=1
    )
    bound.client.submit(pdu, "a")
    [submit] = bound.heard()
    assert isinstance(submit, SubmitSm)
    assert (submit.source_addr, submit.source_addr_ton, submit.source_addr_npi) == (source, ton, npi)
    assert (submit.destination_addr, submit.dest_addr_ton, submit.dest_addr_npi) == ("84905123456", 1, 1)


# C21


def test_c21_sequence_numbers_wrap_and_skip_pending_ones() -> None:
    connection = Connection(Role.ESME, SessionSettings(window=10), 0.0)
    connection.bind(BindTransmitter(system_id="motcua"), 0.0)
    connection.receive_data(bytes.fromhex("00000011 80000002 00000000 00000001 00"), 0.0)
    assert connection.state is SessionState.BOUND_TX
    pending = connection.send_request(SUBMIT, 0.0, "long open")
    connection.window._next = MAX_SEQUENCE_NUMBER - 1
    numbers = [connection.send_request(SUBMIT, 0.0, number) for number in range(4)]
    assert pending == 2
    assert numbers == [MAX_SEQUENCE_NUMBER - 1, MAX_SEQUENCE_NUMBER, 1, 3]
    [event] = connection.receive_data(encode(SubmitSmResp(MAX_SEQUENCE_NUMBER, 0, "x")), 0.0)
    assert event.token == 1


def test_c21_each_connection_starts_at_one() -> None:
    bound = Bound()
    bound.scene.network.link.cut()
    bound.scene.run(3)
    [bind] = bound.peer.pdus()
    assert bind.sequence_number == 1
