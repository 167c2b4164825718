"""Conformance as SMSC, row by row of the conformance list: what the session layer must do towards any ESME.

Accounts, throughput limits and what becomes of undelivered MO are the simulator's, and are tested where it lives.
"""

from __future__ import annotations

import gc
import random
import weakref
from typing import Any

import pytest
import pytest_twisted
from smpp_actors import DELIVER, SETTINGS, SUBMIT, EsmeOwner, Scene, SmscOwner
from smpp_wire import Link, Network, RawPeer
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint
from twisted.internet.protocol import Factory, Protocol

from gateway.smpp.client import BindType, EsmeClient
from gateway.smpp.connection import SessionSettings
from gateway.smpp.constants import CommandStatus
from gateway.smpp.pdu import (
    BindReceiver,
    BindTransceiver,
    BindTransceiverResp,
    DataSm,
    DeliverSm,
    EnquireLink,
    EnquireLinkResp,
    Pdu,
    QuerySm,
    SubmitSm,
    SubmitSmResp,
    Unbind,
    encode,
    make_response,
)
from gateway.smpp.server import SmscFactory, SmscSettings

QUICK = SmscSettings(
    session=SessionSettings(
        window=10, response_timeout_s=5.0, enquire_link_interval_s=20.0, session_init_timeout_s=10.0, incoming_window=10
    )
)


class Visitor:
    """An ESME whose PDUs the test writes itself, on a connection to an SMSC."""

    def __init__(self, settings: SmscSettings = QUICK) -> None:
        self.network = Network()
        self.smsc = SmscOwner()
        self.factory = SmscFactory(self.network.clock, self.smsc, settings)
        self.peer = self.connect()

    def connect(self) -> RawPeer:
        peer = RawPeer()
        protocol = self.factory.buildProtocol(None)
        assert protocol is not None
        link = Link(peer, protocol)
        self.network.links.append(link)
        link.connect()
        return peer

    def send(self, *pdus: Pdu) -> list[Pdu]:
        """Write these; what comes back at once."""
        self.peer.transport.write(b"".join(map(encode, pdus)))
        self.network.pump()
        return self.peer.pdus()

    def bind(self, pdu: Pdu | None = None) -> Pdu:
        [response] = self.send(pdu or BindTransceiver(1, system_id="motcua", password="secret"))
        return response


# S3


def test_s3_messages_go_to_the_receiver_and_submits_to_the_transmitter_only() -> None:
    network, smsc, owner = Network(), SmscOwner(), EsmeOwner()
    factory = SmscFactory(network.clock, smsc)
    clients = {}
    for bind_type in (BindType.TRANSMITTER, BindType.RECEIVER):
        settings = Scene(bind_type=bind_type).settings
        clients[bind_type] = EsmeClient(network.clock, network.endpoint(factory), settings, owner, random.Random(7))
        clients[bind_type].start()
    network.pump()
    takers = [session for session in factory.sessions if session.takes_messages]
    assert [session.bind_type for session in takers] == ["receiver"]
    takers[0].send(DELIVER, "mo")
    network.pump()
    assert [token for token, _ in smsc.responses] == ["mo"]


@pytest.mark.parametrize("request_pdu", [SUBMIT._replace(sequence_number=5), DataSm(5), QuerySm(5)])
def test_s3_a_submit_on_a_receiver_is_refused_and_the_bind_stays(request_pdu: Pdu) -> None:
    visitor = Visitor()
    visitor.bind(BindReceiver(1, system_id="motcua"))
    answer, alive = visitor.send(request_pdu, EnquireLink(6))
    assert (answer.sequence_number, answer.command_status) == (5, CommandStatus.ESME_RINVBNDSTS)
    assert answer.command_id == request_pdu.command_id | 0x80000000
    assert alive == EnquireLinkResp(6)
    assert visitor.smsc.requests == []


# S4


@pytest.mark.parametrize(
    "status",
    [
        CommandStatus.ESME_RINVSYSID,
        CommandStatus.ESME_RINVPASWD,
        CommandStatus.ESME_RBINDFAIL,
        CommandStatus.ESME_RALYBND,
    ],
)
def test_s4_a_refused_bind_gets_its_status_and_is_closed(status: CommandStatus) -> None:
    visitor = Visitor()
    visitor.smsc.bind_status = status
    assert visitor.bind().command_status == status
    assert visitor.peer.lost
    assert visitor.factory.sessions == set()


@pytest.mark.parametrize("first", [SUBMIT._replace(sequence_number=3), Unbind(3), QuerySm(3), DeliverSm(3)])
def test_s4_a_request_before_the_bind_is_refused_and_closed(first: Pdu) -> None:
    visitor = Visitor()
    [answer] = visitor.send(first)
    expected = CommandStatus.ESME_RINVCMDID if isinstance(first, DeliverSm) else CommandStatus.ESME_RINVBNDSTS
    assert (answer.sequence_number, answer.command_status) == (3, expected)
    assert visitor.peer.lost


def test_s4_a_second_bind_on_the_same_connection_is_refused_and_the_first_stays() -> None:
    visitor = Visitor()
    visitor.bind()
    [answer] = visitor.send(BindTransceiver(9, system_id="motcua"))
    assert answer == BindTransceiverResp(9, CommandStatus.ESME_RALYBND)
    assert visitor.smsc.session.bound


def test_s4_no_bind_in_time_is_closed() -> None:
    visitor = Visitor()
    visitor.network.run(9.9)
    assert not visitor.peer.lost
    visitor.network.run(0.2)
    assert visitor.peer.lost
    assert visitor.factory.sessions == set()


def test_s4_enquire_link_does_not_prolong_the_wait_for_a_bind() -> None:
    visitor = Visitor()
    for number in range(1, 5):
        visitor.network.run(2)
        assert visitor.send(EnquireLink(number)) == [EnquireLinkResp(number)]
    visitor.network.run(2.1)
    assert visitor.peer.lost


# S5


def test_s5_a_window_overrun_is_throttled_and_harms_nothing() -> None:
    visitor = Visitor()
    visitor.smsc.answer_requests = False
    visitor.bind()
    refusals = visitor.send(*[SUBMIT._replace(sequence_number=number) for number in range(2, 102)])
    assert refusals == [SubmitSmResp(number, CommandStatus.ESME_RTHROTTLED) for number in range(12, 102)]
    assert visitor.smsc.session.unanswered_requests == 10
    session = visitor.smsc.session
    for request in visitor.smsc.requests:
        assert session.reply(make_response(request, message_id="1"), request)
    visitor.network.pump()
    assert [pdu.sequence_number for pdu in visitor.peer.pdus()] == list(range(2, 12))
    visitor.smsc.answer_requests = True
    [answer] = visitor.send(SUBMIT._replace(sequence_number=200))
    assert answer.command_status == CommandStatus.ESME_ROK


# S6


def test_s6_an_idle_esme_is_probed_and_closed_when_silent() -> None:
    visitor = Visitor()
    visitor.bind()
    for _ in range(3):
        visitor.network.run(20)
        [probe] = visitor.peer.pdus()
        assert isinstance(probe, EnquireLink)
        visitor.send(make_response(probe))
    visitor.network.run(25.1)
    assert visitor.peer.lost
    assert "enquire_link" in visitor.smsc.lost[0][0]


def test_s6_an_esme_that_never_answers_deliver_sm() -> None:
    """Each unanswered one comes back to its owner in time, so that it can be kept for the next bind."""
    visitor = Visitor()
    visitor.bind()
    session = visitor.smsc.session
    for number in range(session.free_window):
        session.send(DELIVER, number)
    assert session.free_window == 0
    visitor.network.run(5)
    assert visitor.smsc.expired == list(range(10))
    assert session.free_window == 10
    session.send(DELIVER, "open at the end")
    visitor.network.pump()
    visitor.network.link.cut()
    assert visitor.smsc.lost[0][1] == ("open at the end",)


def test_s6_an_idle_session_is_unbound_when_the_account_says_so() -> None:
    settings = SmscSettings(session=SessionSettings(inactivity_timeout_s=30.0, enquire_link_interval_s=None))
    visitor = Visitor(settings)
    visitor.bind()
    visitor.network.run(30)
    [unbind] = visitor.peer.pdus()
    assert isinstance(unbind, Unbind)
    visitor.send(make_response(unbind))
    assert visitor.peer.lost
    assert visitor.smsc.lost[0][0] == "idle for too long"


# S10


def test_s10_an_empty_probe_reaches_nobody_and_leaves_nothing() -> None:
    visitor = Visitor()
    visitor.network.link.cut()
    assert (visitor.smsc.sessions, visitor.smsc.lost) == ([], [])
    assert visitor.factory.sessions == set()
    assert visitor.network.clock.getDelayedCalls() == []


def test_s10_garbage_before_the_bind_is_nacked_and_closed() -> None:
    visitor = Visitor()
    visitor.peer.transport.write(b"GET / HTTP/1.1\r\n\r\n")
    visitor.network.pump()
    assert visitor.peer.lost
    assert len(visitor.peer.pdus()) == 1


def test_s10_a_flood_of_connections_is_bounded_and_forgotten() -> None:
    visitor = Visitor(SmscSettings(max_connections=50, max_unbound=20, session=QUICK.session))
    visitor.bind()
    kept = [visitor.factory.buildProtocol(None) for _ in range(5000)]
    alive = [protocol for protocol in kept if protocol is not None]
    assert len(alive) == 20
    assert visitor.factory.refused_connections == 4980
    for protocol in alive:
        peer = RawPeer()
        link = Link(peer, protocol)
        visitor.network.links.append(link)
        link.connect()
    visitor.network.run(10)
    assert len(visitor.factory.sessions) == 1
    traces = [weakref.ref(protocol) for protocol in alive]
    visitor.network.links.clear()
    kept.clear()
    alive.clear()
    del protocol, link, peer
    gc.collect()
    assert all(trace() is None for trace in traces)


class Probe(Protocol):
    """Connects and waits to be closed."""

    def __init__(self, closed: Deferred[None]) -> None:
        self.closed = closed

    def connectionLost(self, reason: Any = None) -> None:
        self.closed.callback(None)


@pytest_twisted.inlineCallbacks
def test_s10_on_real_sockets_the_honest_esme_gets_through_a_flood() -> Any:
    smsc = SmscOwner()
    factory = SmscFactory(reactor, smsc, SmscSettings(max_connections=20, max_unbound=8))
    port = yield TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(factory)
    number = port.getHost().port

    def endpoint() -> TCP4ClientEndpoint:
        return TCP4ClientEndpoint(reactor, "127.0.0.1", number)

    owner = EsmeOwner()
    bound: Deferred[None] = Deferred()
    owner.when_bound = lambda _client: bound.callback(None)
    client = EsmeClient(reactor, endpoint, SETTINGS, owner, random.Random(7))
    client.start()
    yield bound
    closed: list[Deferred[None]] = [Deferred() for _ in range(40)]
    probes = []
    for waiting in closed:
        probe = yield endpoint().connect(Factory.forProtocol(lambda waiting=waiting: Probe(waiting)))
        probes.append(probe)
    for waiting in closed[8:]:
        yield waiting
    assert len(factory.sessions) == 9
    answered: Deferred[None] = Deferred()
    owner.when_answered = lambda _client: answered.callback(None)
    client.submit(SUBMIT, "honest")
    yield answered
    for probe in probes[:8]:
        probe.transport.loseConnection()
    for waiting in closed[:8]:
        yield waiting
    yield client.stop(2.0)
    yield port.stopListening()
    assert isinstance(smsc.requests[0], SubmitSm)
