"""The Twisted shell: joined writes, ticks, back-pressure, and how it closes."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from smpp_wire import MemoryTransport, read_pdus
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import ITCPTransport
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from zope.interface import implementer

from gateway.smpp.connection import Connection, SessionSettings
from gateway.smpp.events import CloseReason, Event, RequestReceived, ResponseReceived, SessionClosed
from gateway.smpp.pdu import (
    BindTransceiver,
    BindTransceiverResp,
    DeliverSm,
    EnquireLink,
    EnquireLinkResp,
    SubmitSm,
    SubmitSmResp,
    encode,
    make_response,
)
from gateway.smpp.protocol import HELD_OCTETS_LIMIT, LAST_WORDS_S, SmppProtocol
from gateway.smpp.session import Role

SUBMIT = SubmitSm(destination_addr="84905123456", short_message=b"hello")


class Owner:
    """Keeps events; answers deliver_sm at once."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.protocol: SmppProtocol | None = None
        self.submits_on_answer = 0

    def connected(self, protocol: SmppProtocol) -> None:
        self.protocol = protocol

    def handle(self, events: Sequence[Event]) -> None:
        self.events += events
        assert self.protocol is not None
        for event in events:
            if isinstance(event, RequestReceived):
                self.protocol.connection.send_response(make_response(event.pdu))
                self.protocol.wake()
            elif isinstance(event, ResponseReceived) and self.submits_on_answer:
                self.submits_on_answer -= 1
                self.protocol.connection.send_request(SUBMIT, 0.0)
                self.protocol.wake()


class Bench:
    """A bound ESME on a transport in memory."""

    def __init__(self, window: int = 100) -> None:
        self.clock = Clock()
        self.owner = Owner()
        self.connection = Connection(Role.ESME, SessionSettings(window=window), 0.0)
        self.protocol = SmppProtocol(self.clock, self.connection, self.owner)
        self.transport = MemoryTransport()
        self.protocol.makeConnection(self.transport)
        self.connection.bind(BindTransceiver(system_id="motcua"), 0.0)
        self.protocol.wake()
        self.clock.advance(0)
        self.protocol.dataReceived(encode(BindTransceiverResp(1, 0, "smsc")))
        self.transport.take()
        self.transport.writes.clear()
        self.owner.events.clear()

    def submit(self, token: object = None) -> None:
        self.connection.send_request(SUBMIT, self.clock.seconds(), token)
        self.protocol.wake()


def test_requests_of_one_turn_leave_in_one_write() -> None:
    bench = Bench()
    for _ in range(50):
        bench.submit()
    assert bench.transport.writes == []
    bench.clock.advance(0)
    assert [len(read_pdus(data)) for data in bench.transport.writes] == [50]
    bench.clock.advance(0)
    assert len(bench.transport.writes) == 1


def test_answers_and_the_work_they_cause_leave_in_one_write_at_the_end_of_the_read() -> None:
    bench = Bench()
    for _ in range(3):
        bench.submit()
    bench.clock.advance(0)
    bench.transport.writes.clear()
    bench.owner.submits_on_answer = 2
    answers = b"".join(encode(SubmitSmResp(number)) for number in (2, 3, 4))
    bench.protocol.dataReceived(answers + encode(DeliverSm(9)) + encode(EnquireLink(10)))
    assert [len(read_pdus(data)) for data in bench.transport.writes] == [4]
    assert len([call for call in bench.clock.getDelayedCalls() if call.getTime() == 0.0]) == 0


def test_tcp_nodelay_is_set_on_tcp_only() -> None:
    @implementer(ITCPTransport)
    class TcpTransport(StringTransport):
        nodelay = False

        def setTcpNoDelay(self, enabled: bool) -> None:
            self.nodelay = enabled

    for transport in (TcpTransport(), StringTransport(peerAddress=IPv4Address("TCP", "192.0.2.1", 2775))):
        protocol = SmppProtocol(Clock(), Connection(Role.ESME, SessionSettings(), 0.0), Owner())
        protocol.makeConnection(transport)
        assert getattr(transport, "nodelay", True)


def test_a_silent_peer_is_probed_by_the_clock_and_dropped() -> None:
    bench = Bench()
    bench.clock.advance(30)
    assert read_pdus(bench.transport.take()) == [EnquireLink(2)]
    bench.clock.advance(10)
    [closed] = bench.owner.events
    assert isinstance(closed, SessionClosed)
    assert closed.reason is CloseReason.ENQUIRE_LINK_TIMEOUT
    assert bench.transport.closing


def test_an_earlier_deadline_moves_the_tick_forward() -> None:
    bench = Bench()
    bench.clock.advance(5)
    bench.submit("a")
    bench.clock.advance(0)
    bench.clock.advance(9.9)
    assert bench.owner.events == []
    bench.clock.advance(0.2)
    assert [type(event).__name__ for event in bench.owner.events] == ["RequestExpired"]


def test_traffic_does_not_pile_up_delayed_calls() -> None:
    bench = Bench()
    for number in range(2, 200):
        bench.submit()
        bench.clock.advance(0)
        bench.protocol.dataReceived(encode(SubmitSmResp(number)))
        bench.clock.advance(0.01)
    assert len(bench.clock.getDelayedCalls()) <= 2


def test_a_full_transport_holds_octets_back() -> None:
    bench = Bench(window=5000)
    bench.transport.buffer_limit = 1000
    for _ in range(50):
        bench.submit()
    bench.clock.advance(0)
    assert bench.transport.full
    bench.submit("held")
    bench.clock.advance(0)
    assert len(bench.transport.writes) == 1
    assert bench.connection.has_data
    bench.transport.take()
    assert [len(read_pdus(data)) for data in bench.transport.writes] == [50, 1]


def test_what_was_held_back_was_never_sent() -> None:
    bench = Bench()
    bench.transport.buffer_limit = 10
    bench.submit("written")
    bench.clock.advance(0)
    bench.submit("held")
    bench.clock.advance(0)
    bench.protocol.connectionLost(Failure(ConnectionLost()))
    [closed] = bench.owner.events
    assert isinstance(closed, SessionClosed)
    assert (closed.unanswered, closed.never_sent) == (("written",), ("held",))


def test_a_flooding_peer_that_does_not_read_is_not_read_either() -> None:
    bench = Bench()
    bench.transport.buffer_limit = 1000
    flood = b"".join(encode(EnquireLink(number)) for number in range(1, 3000))
    fed = 0
    while bench.transport.reading and fed < 100:
        bench.protocol.dataReceived(flood)
        fed += 1
    assert not bench.transport.reading
    held = bench.connection.octets_held() + len(bench.transport.outbox)
    assert held < HELD_OCTETS_LIMIT + 2 * len(flood)
    answered = 0
    while bench.transport.outbox:
        answered += len(read_pdus(bench.transport.take()))
    assert bench.transport.reading
    assert answered == fed * 2999


def test_reasons_to_stop_reading_add_up() -> None:
    bench = Bench()
    bench.protocol.pause_reading("a")
    bench.protocol.pause_reading("b")
    bench.protocol.resume_reading("a")
    assert not bench.transport.reading
    bench.protocol.resume_reading("b")
    assert bench.transport.reading
    bench.protocol.resume_reading("b")


def test_the_last_words_leave_before_the_connection_closes() -> None:
    bench = Bench()
    bench.submit("a")
    bench.protocol.close("enough")
    assert len(read_pdus(bench.transport.take())) == 1
    assert bench.transport.closing
    assert not bench.transport.aborted
    [closed] = bench.owner.events
    assert isinstance(closed, SessionClosed)
    assert closed.unanswered == ("a",)


def test_a_peer_that_does_not_take_the_last_words_is_cut_off() -> None:
    bench = Bench()
    bench.submit("a")
    bench.protocol.close("enough")
    bench.clock.advance(LAST_WORDS_S)
    assert bench.transport.aborted
    bench.protocol.connectionLost(Failure(ConnectionDone()))
    assert bench.clock.getDelayedCalls() == []


def test_a_lost_connection_leaves_no_delayed_call() -> None:
    bench = Bench()
    bench.submit("a")
    bench.protocol.connectionLost(Failure(ConnectionLost()))
    assert bench.clock.getDelayedCalls() == []
    bench.protocol.wake()
    bench.clock.advance(0)
    bench.protocol.resumeProducing()
    assert len(bench.owner.events) == 1


def test_abort_tells_the_owner_at_once() -> None:
    bench = Bench()
    bench.submit("a")
    bench.protocol.abort("cut")
    [closed] = bench.owner.events
    assert isinstance(closed, SessionClosed)
    assert closed.never_sent == ("a",)
    assert bench.transport.aborted


def test_raw_octets_go_after_what_is_queued() -> None:
    bench = Bench()
    bench.submit()
    bench.protocol.write_raw(b"garbage")
    octets = bench.transport.take()
    assert octets.endswith(b"garbage")
    assert len(read_pdus(octets[:-7])) == 1


def test_a_mute_protocol_writes_nothing() -> None:
    bench = Bench()
    bench.protocol.mute = True
    bench.submit("a")
    bench.clock.advance(0)
    bench.protocol.dataReceived(encode(EnquireLink(5)))
    bench.protocol.write_raw(b"garbage")
    assert bench.transport.writes == []
    bench.protocol.mute = False
    bench.protocol.dataReceived(encode(EnquireLink(6)))
    assert read_pdus(bench.transport.take()) == [EnquireLinkResp(6)]


@pytest.mark.parametrize(("error", "detail"), [(ConnectionDone(), ""), (ConnectionLost("reset"), "reset")])
def test_the_reason_of_a_loss_is_told(error: Exception, detail: str) -> None:
    bench = Bench()
    bench.protocol.connectionLost(Failure(error))
    [closed] = bench.owner.events
    assert isinstance(closed, SessionClosed)
    assert closed.reason is CloseReason.PEER_CLOSED
    assert detail in closed.detail
    assert bool(closed.detail) == bool(detail)
