"""The SMSC side: binds decided now or later, bounds against floods, and the switches that a simulator needs."""

from __future__ import annotations

from dataclasses import replace

import pytest
from smpp_actors import DELIVER, Scene
from smpp_wire import Link, MemoryTransport, RawFactory, read_pdus
from structlog.testing import capture_logs
from twisted.internet.defer import Deferred

from gateway.smpp.connection import SessionSettings
from gateway.smpp.constants import CommandStatus, TlvTag
from gateway.smpp.errors import LocalProtocolError
from gateway.smpp.pdu import BindReceiverResp, DeliverSmResp, Outbind, SubmitSmResp, tlv_int
from gateway.smpp.server import SmscFactory, SmscSettings


def test_a_session_knows_who_bound() -> None:
    scene = Scene(system_type="VMA", address_range="8083").bind()
    session = scene.smsc.session
    assert (session.bind_type, session.system_id, session.system_type) == ("transceiver", "motcua", "VMA")
    assert (session.address_range, session.interface_version, session.bound) == ("8083", 0x34, True)
    assert session.peer == "192.0.2.1:2775"


def test_a_bind_may_be_decided_later() -> None:
    scene = Scene()
    decision: Deferred[int] = Deferred()
    scene.smsc.bind_status = decision
    scene.client.start()
    scene.run(1)
    assert scene.client.state == "binding"
    decision.callback(CommandStatus.ESME_ROK)
    scene.network.pump()
    assert scene.client.bound


def test_a_decision_that_fails_is_a_system_error() -> None:
    scene = Scene()
    decision: Deferred[int] = Deferred()
    scene.smsc.bind_status = decision
    scene.client.start()
    scene.network.pump()
    decision.errback(RuntimeError("no accounts"))
    scene.network.pump()
    assert scene.esme.refused == [CommandStatus.ESME_RSYSERR]


def test_a_decision_after_the_esme_has_gone_is_dropped() -> None:
    scene = Scene()
    decision: Deferred[int] = Deferred()
    scene.smsc.bind_status = decision
    scene.client.start()
    scene.network.pump()
    scene.network.link.cut()
    decision.callback(CommandStatus.ESME_ROK)
    assert not scene.smsc.session.bound


@pytest.mark.parametrize(
    ("esme_version", "hidden", "told"),
    [(0x34, False, 0x34), (0x50, False, 0x34), (0x34, True, None), (0x33, False, None)],
)
def test_the_version_is_told_to_who_can_read_it(esme_version: int, hidden: bool, told: int | None) -> None:
    scene = Scene(smsc=SmscSettings(hide_version=hidden), interface_version=esme_version).bind()
    assert scene.client.peer_interface_version == told
    assert scene.smsc.session.tlvs_allowed is (esme_version >= 0x34)


def test_requests_go_to_receivers_only() -> None:
    scene = Scene(bind_type="transmitter").bind()
    session = scene.smsc.session
    assert (session.takes_messages, session.free_window) == (False, 0)
    with pytest.raises(LocalProtocolError, match="deliver_sm"):
        session.send(DELIVER)


def test_a_delivery_its_answer_and_its_token() -> None:
    scene = Scene().bind()
    scene.smsc.session.send(DELIVER, "mo 1")
    assert scene.smsc.session.in_flight == 1
    scene.network.pump()
    assert scene.smsc.responses == [("mo 1", DeliverSmResp(1))]


def test_a_delivery_without_an_answer_expires() -> None:
    scene = Scene().bind()
    scene.esme.answer_requests = False
    scene.smsc.session.send(DELIVER, "mo 1")
    scene.run(10)
    assert scene.smsc.expired == ["mo 1"]


def test_a_lost_session_gives_its_tokens_back() -> None:
    scene = Scene().bind()
    scene.esme.answer_requests = False
    scene.smsc.session.send(DELIVER, "sent")
    scene.network.pump()
    scene.smsc.session.send(DELIVER, "queued")
    scene.network.link.cut()
    assert scene.smsc.lost[0][1] == ("sent", "queued")
    assert scene.factory.sessions == set()


def test_a_request_may_be_left_unanswered() -> None:
    scene = Scene().bind()
    scene.smsc.answer_requests = False
    scene.submit("a")
    scene.network.pump()
    session = scene.smsc.session
    [request] = scene.smsc.requests
    assert session.unanswered_requests == 1
    session.forget(request)
    assert session.unanswered_requests == 0
    assert not session.reply(SubmitSmResp(request.sequence_number), request)


def test_a_handler_that_fails_answers_with_a_system_error() -> None:
    scene = Scene().bind()

    def fail(_session: object, _request: object) -> None:
        raise RuntimeError("handler's fault")

    scene.smsc.on_request = fail  # type: ignore[method-assign,assignment]
    scene.submit("a", "b")
    with capture_logs() as logs:
        scene.network.pump()
    assert [response.command_status for _token, response in scene.esme.responses] == [CommandStatus.ESME_RSYSERR] * 2
    assert [entry["event"] for entry in logs] == ["smsc_handler_failed"] * 2


def test_a_handler_may_refuse_a_connection() -> None:
    scene = Scene()
    scene.smsc.welcome = False
    scene.client.start()
    scene.network.pump()
    assert scene.client.state == "waiting"
    assert scene.smsc.lost == []
    assert scene.factory.sessions == set()


def test_windows_can_be_changed_while_bound() -> None:
    scene = Scene(window=5).bind()
    session = scene.smsc.session
    session.limit_window(1)
    session.send(DELIVER)
    with pytest.raises(LocalProtocolError, match="full"):
        session.send(DELIVER)
    scene.smsc.answer_requests = False
    session.limit_incoming(2)
    scene.submit(1, 2, 3)
    scene.network.pump()
    [(token, response)] = scene.esme.responses
    assert (token, response.command_status) == (3, CommandStatus.ESME_RTHROTTLED)


def test_unbind_by_the_smsc() -> None:
    scene = Scene().bind()
    scene.smsc.session.unbind()
    scene.network.pump()
    assert scene.smsc.lost == [("unbound", ())]
    assert scene.esme.unbound[0][0] == "the peer unbound"
    scene.run(2)
    assert scene.client.bound


def test_unbind_before_the_bind_closes() -> None:
    scene = Scene()
    scene.smsc.when_connected = lambda session: session.unbind()
    scene.client.start()
    scene.network.pump()
    assert scene.client.state == "waiting"


def test_garbage_ends_the_session_of_the_esme_with_a_nack() -> None:
    scene = Scene().bind()
    scene.smsc.session.write_raw(b"\xde\xad\xbe\xef" * 8)
    scene.network.pump()
    assert "broke the protocol" in scene.esme.unbound[0][0]


def test_abort_cuts() -> None:
    scene = Scene().bind()
    scene.smsc.session.abort()
    scene.network.pump()
    assert "connection lost" in scene.esme.unbound[0][0]
    assert scene.smsc.session.closed


def test_a_slow_reader_takes_nothing_until_it_resumes() -> None:
    scene = Scene(window=5).bind()
    scene.smsc.session.pause_reading()
    scene.submit("a")
    scene.run(1)
    assert scene.esme.responses == []
    scene.smsc.session.resume_reading()
    scene.network.pump()
    assert scene.esme.tokens == ["a"]


def test_half_open_reads_and_says_nothing() -> None:
    scene = Scene().bind()
    scene.smsc.session.mute(True)
    scene.submit("a")
    scene.run(1)
    assert len(scene.smsc.requests) == 1
    assert scene.esme.responses == []
    scene.run(60)
    assert "enquire_link" in scene.esme.unbound[0][0]


def test_probing_the_esme_by_hand() -> None:
    scene = Scene().bind()
    scene.smsc.session.enquire_link()
    scene.run(20)
    assert scene.smsc.session.bound


def test_connecting_out_announces_at_once_and_outbinds() -> None:
    scene = Scene()
    raw = RawFactory()
    scene.smsc.when_connected = lambda session: session.outbind("smsc", "secret")
    server_side = scene.factory.outgoing().buildProtocol(MemoryTransport())
    peer = raw.buildProtocol(None)
    link = Link(server_side, peer)
    scene.network.links.append(link)
    link.connect()
    scene.network.pump()
    assert peer.pdus() == [Outbind(1, 0, "smsc", "secret")]


def test_bounds_of_connections() -> None:
    scene = Scene(smsc=SmscSettings(max_connections=3, max_unbound=2))
    build = scene.factory.buildProtocol
    assert [build(MemoryTransport()) is not None for _ in range(4)] == [True, True, False, False]
    assert scene.factory.refused_connections == 2


def test_bound_sessions_make_room_for_unbound_ones() -> None:
    scene = Scene(smsc=SmscSettings(max_connections=3, max_unbound=1)).bind()
    assert scene.factory.buildProtocol(MemoryTransport()) is not None
    assert scene.factory.buildProtocol(MemoryTransport()) is None


def test_the_default_settings_are_used_when_none_are_given() -> None:
    scene = Scene()
    factory = SmscFactory(scene.network.clock, scene.smsc)
    assert factory.settings.session.window == 100
    assert replace(factory.settings, session=SessionSettings()).session.window == 10


def test_answers_of_a_receiver_carry_the_system_id_and_version() -> None:
    scene = Scene(bind_type="receiver").bind()
    octets = b"".join(scene.network.link.ends[1].writes)
    [response] = read_pdus(octets)
    assert isinstance(response, BindReceiverResp)
    assert response.system_id == "MOTCUA-SMSC"
    assert tlv_int(response, TlvTag.SC_INTERFACE_VERSION) == 0x34
