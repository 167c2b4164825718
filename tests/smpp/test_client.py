"""The ESME's life: attempts, waits, binds, losses, draining, and what becomes of every token."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import Any

import pytest
from smpp_actors import DELIVER, SETTINGS, Scene
from smpp_wire import RawFactory
from structlog.testing import capture_logs
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, succeed

from gateway.smpp.client import BindType, EsmeClient, OutbindCredentials
from gateway.smpp.constants import CommandStatus
from gateway.smpp.errors import LocalProtocolError
from gateway.smpp.listener import EsmeListener
from gateway.smpp.pdu import (
    AlertNotification,
    BindTransceiver,
    BindTransceiverResp,
    DeliverSm,
    DeliverSmResp,
    EnquireLink,
    SubmitSm,
    SubmitSmResp,
    Unbind,
    UnknownPdu,
    encode,
    make_response,
)


def raw_scene(**settings: Any) -> tuple[Scene, RawFactory]:
    """A client against a peer that does nothing by itself."""
    scene = Scene(**settings)
    raw = RawFactory()
    scene.client = EsmeClient(
        scene.network.clock, scene.network.endpoint(raw), scene.settings, scene.esme, random.Random(7)
    )
    return scene, raw


def test_an_owner_that_fails_when_told_of_a_loss_is_bound_again_all_the_same() -> None:
    scene = Scene().bind()

    def fail(*_args: object) -> None:
        raise RuntimeError("owner's fault")

    scene.esme.on_unbound = fail  # type: ignore[method-assign]
    with capture_logs() as logs:
        scene.network.link.cut()
        scene.run(2)
    assert "smpp_handler_failed" in [entry["event"] for entry in logs]
    assert scene.client.bound


def test_submit_and_answer() -> None:
    scene = Scene().bind()
    scene.submit("a", "b")
    scene.network.pump()
    assert scene.esme.responses == [("a", SubmitSmResp(2, 0, "1")), ("b", SubmitSmResp(3, 0, "2"))]
    assert scene.client.in_flight == 0


def test_submits_of_one_turn_leave_in_one_write() -> None:
    scene = Scene(window=50).bind()
    writes = scene.network.link.ends[0].writes
    writes.clear()
    scene.submit(*range(50))
    scene.network.pump()
    assert len(writes) == 1


def test_before_the_bind_nothing_can_be_submitted() -> None:
    scene = Scene()
    assert (scene.client.state, scene.client.free_window, scene.client.bound) == ("idle", 0, False)
    with pytest.raises(LocalProtocolError, match="not bound"):
        scene.submit("a")


def test_a_full_window_is_the_callers_fault() -> None:
    scene = Scene(window=2).bind()
    scene.submit("a", "b")
    assert scene.client.free_window == 0
    with pytest.raises(LocalProtocolError, match="full"):
        scene.submit("c")


def test_a_receiver_has_no_room_for_submits() -> None:
    scene = Scene(bind_type=BindType.RECEIVER).bind()
    assert scene.client.free_window == 0


def test_a_password_is_not_shown() -> None:
    settings = Scene(outbind=OutbindCredentials("operator", "letmein")).settings
    assert "secret" not in repr(settings)
    assert "letmein" not in repr(settings)


def test_a_request_is_answered_when_its_owner_says_so() -> None:
    scene = Scene().bind()
    scene.esme.answer_requests = False
    scene.smsc.session.send(DELIVER, "mo")
    scene.network.pump()
    [request] = scene.esme.requests
    assert scene.smsc.responses == []
    assert scene.client.reply(make_response(request), request)
    scene.network.pump()
    assert scene.smsc.responses == [("mo", DeliverSmResp(request.sequence_number))]


def test_alert_notification_comes_and_is_not_answered() -> None:
    scene = Scene().bind()
    scene.smsc.session.send(AlertNotification(source_addr="84905123456"))
    scene.network.pump()
    assert isinstance(scene.esme.requests[0], AlertNotification)
    assert not scene.client.reply(DeliverSmResp(scene.esme.requests[0].sequence_number))


def test_the_answer_to_a_request_of_a_lost_link_is_dropped() -> None:
    scene = Scene().bind()
    scene.esme.answer_requests = False
    scene.smsc.session.send(DELIVER, "first")
    scene.network.pump()
    [old] = scene.esme.requests
    scene.network.link.cut()
    assert not scene.client.reply(make_response(old), old), "there is no link"
    scene.run(3)
    assert scene.client.bound
    scene.smsc.session.send(DELIVER, "second")
    scene.network.pump()
    new = scene.esme.requests[1]
    assert new.sequence_number == old.sequence_number, "the SMSC counts from the start again"
    assert not scene.client.reply(make_response(old), old)
    assert not scene.client.reply(make_response(old)), "without the request it cannot be told which one is meant"
    scene.network.pump()
    assert scene.smsc.responses == []
    assert scene.client.reply(make_response(new), new)
    scene.network.pump()
    assert [token for token, _ in scene.smsc.responses] == ["second"]
    assert scene.client.counters.dropped_replies == 3


def test_an_owner_that_fails_harms_no_other_event() -> None:
    scene = Scene(window=5).bind()

    def fail(_client: EsmeClient) -> None:
        raise RuntimeError("owner's fault")

    scene.esme.when_answered = fail
    scene.submit("a", "b")
    with capture_logs() as logs:
        scene.network.pump()
    assert scene.esme.tokens == ["a", "b"]
    assert [entry["event"] for entry in logs].count("smpp_handler_failed") == 2
    assert scene.client.bound


def test_an_owner_that_fails_on_a_request_lets_the_smsc_try_again() -> None:
    scene = Scene().bind()

    def fail(_client: EsmeClient, _request: object) -> None:
        raise RuntimeError("owner's fault")

    scene.esme.on_request = fail  # type: ignore[method-assign]
    scene.smsc.session.send(DELIVER, "mo")
    scene.network.pump()
    [(token, response)] = scene.smsc.responses
    assert (token, response.command_status) == ("mo", CommandStatus.ESME_RX_T_APPN)


# Losses


def test_a_lost_link_hands_back_every_token_and_comes_again() -> None:
    scene = Scene(window=5).bind()
    scene.smsc.answer_requests = False
    scene.submit("written")
    scene.network.pump()
    scene.submit("queued")
    scene.network.link.cut()
    [(reason, unanswered, never_sent)] = scene.esme.unbound
    assert (unanswered, never_sent) == (("written",), ("queued",))
    assert "connection lost" in reason
    assert scene.esme.states == ["bound", "waiting"], "the owner is told when the state says so"
    scene.run(2)
    assert scene.client.bound
    assert scene.esme.bound == 2


def test_waits_grow_to_the_longest_and_start_over_after_a_stable_bind() -> None:
    scene = Scene()
    scene.network.refusing = True
    scene.client.start()
    scene.run(400)
    times = scene.network.attempts
    waits = [later - earlier for earlier, later in pairwise(times)]
    for wait, longest in zip(waits, [2, 4, 8, 16, 32, 60, 60, 60, 60], strict=False):
        assert max(1.0, longest / 2) <= wait <= longest
    assert len(set(waits)) == len(waits), "jitter"
    scene.network.refusing = False
    scene.run(61)
    assert scene.client.bound
    scene.run(61)
    scene.network.link.cut()
    scene.run(2)
    assert scene.client.bound


def test_a_link_that_flaps_is_not_stable() -> None:
    scene = Scene().bind()
    for _ in range(5):
        scene.run(0.5)
        scene.network.link.cut()
        bound = scene.esme.bound
        while scene.esme.bound == bound:
            scene.run(0.1)
    last, before = scene.network.attempts[-1], scene.network.attempts[-2]
    assert last - before > 15


def test_a_connection_that_is_not_answered_is_given_up() -> None:
    scene = Scene(session_init_timeout_s=10.0)
    scene.network.hanging = True
    scene.client.start()
    scene.run(10)
    assert scene.client.state == "waiting"
    assert "no answer in time" in scene.client.last_error


def test_an_endpoint_that_cannot_even_be_made_is_a_failed_attempt() -> None:
    scene = Scene()

    def broken() -> Any:
        raise ValueError("no such certificate")

    client = EsmeClient(scene.network.clock, broken, SETTINGS, scene.esme, random.Random(1))
    client.start()
    assert client.state == "waiting"
    assert "no such certificate" in client.last_error


class StubbornEndpoint:
    """An endpoint that goes on connecting although its attempt was cancelled."""

    def __init__(self) -> None:
        self.factories: list[Any] = []

    def connect(self, factory: Any) -> Deferred[Any]:
        self.factories.append(factory)
        return Deferred()


def test_a_connection_that_comes_after_its_attempt_was_given_up_is_not_taken() -> None:
    scene = Scene(session_init_timeout_s=10.0)
    endpoint = StubbornEndpoint()
    client = EsmeClient(scene.network.clock, lambda: endpoint, SETTINGS, scene.esme, random.Random(1))
    client.start()
    scene.run(10)
    assert client.state == "waiting"
    assert endpoint.factories[0].buildProtocol(None) is None
    scene.run(2)
    assert (client.state, len(endpoint.factories)) == ("connecting", 2)
    assert endpoint.factories[0].buildProtocol(None) is None
    assert endpoint.factories[1].buildProtocol(None) is not None


def test_each_kind_of_fault_is_logged_once() -> None:
    scene = Scene().bind()
    with capture_logs() as logs:
        for number in range(50):
            scene.smsc.session.write_raw(encode(UnknownPdu(number, 0, 0x0BAD, b"")))
        scene.smsc.session.write_raw(encode(UnknownPdu(60, 0, 0x0BAE, b"")))
        scene.network.pump()
    rejections = [entry["command"] for entry in logs if entry["event"] == "smpp_pdu_rejected"]
    assert rejections == ["0x00000BAD", "0x00000BAE"]
    assert scene.client.counters.rejected_pdus == 51


def test_an_unexpected_answer_is_counted_and_logged_once() -> None:
    scene = Scene().bind()
    with capture_logs() as logs:
        for _ in range(5):
            scene.smsc.session.write_raw(encode(SubmitSmResp(4711)))
        scene.network.pump()
    assert scene.client.counters.unexpected_responses == 5
    assert [entry["event"] for entry in logs] == ["smpp_unexpected_response"]
    assert scene.client.bound


def test_a_password_is_never_logged() -> None:
    with capture_logs() as logs:
        scene = Scene()
        scene.smsc.bind_status = CommandStatus.ESME_RINVPASWD
        scene.client.start()
        scene.run(100)
    assert logs
    assert "secret" not in repr(logs)


# Stopping


def test_stop_drains_then_unbinds_then_closes() -> None:
    scene, raw = raw_scene(window=5)
    scene.client.start()
    scene.network.pump()
    peer = raw.peer
    [bind] = peer.pdus()
    assert isinstance(bind, BindTransceiver)
    peer.transport.write(encode(BindTransceiverResp(bind.sequence_number)))
    scene.network.pump()
    scene.submit("open")
    done = scene.client.stop(10.0)
    assert (scene.client.state, scene.client.free_window) == ("draining", 0)
    with pytest.raises(LocalProtocolError):
        scene.submit("too late")
    scene.network.pump()
    [submit] = peer.pdus()
    assert isinstance(submit, SubmitSm), "no unbind while an answer is open"
    peer.transport.write(encode(SubmitSmResp(submit.sequence_number, 0, "1")))
    scene.network.pump()
    [unbind] = peer.pdus()
    assert isinstance(unbind, Unbind)
    assert not done.called
    peer.transport.write(encode(make_response(unbind)))
    scene.network.pump()
    assert done.called
    assert peer.lost
    assert scene.esme.tokens == ["open"]
    assert scene.client.state == "stopped"
    assert scene.esme.states == ["bound", "stopped"]


def test_stop_waits_for_our_own_answers_too() -> None:
    scene = Scene().bind()
    scene.esme.answer_requests = False
    scene.smsc.session.send(DELIVER, "mo")
    scene.network.pump()
    done = scene.client.stop(10.0)
    scene.run(1)
    assert not done.called
    [request] = scene.esme.requests
    scene.client.reply(make_response(request), request)
    scene.network.pump()
    assert [token for token, _ in scene.smsc.responses] == ["mo"]
    scene.run(1)
    assert done.called


def test_stop_has_a_time_limit_and_unbinds_even_then() -> None:
    scene, raw = raw_scene()
    scene.client.start()
    scene.network.pump()
    raw.peer.pdus()
    raw.peer.transport.write(encode(BindTransceiverResp(1)))
    scene.network.pump()
    scene.submit("never answered")
    done = scene.client.stop(5.0)
    scene.run(4.5)
    assert [type(pdu) for pdu in raw.peer.pdus()] == [SubmitSm, Unbind]
    assert not done.called
    scene.run(0.5)
    assert done.called
    assert scene.esme.unbound[0][1] == ("never answered",)


def test_stop_while_the_bind_is_on_its_way_unbinds() -> None:
    scene, raw = raw_scene()
    scene.client.start()
    scene.network.pump()
    raw.peer.pdus()
    done = scene.client.stop(5.0)
    scene.network.pump()
    assert raw.peer.pdus() == []
    raw.peer.transport.write(encode(BindTransceiverResp(1)))
    scene.network.pump()
    [unbind] = raw.peer.pdus()
    raw.peer.transport.write(encode(make_response(unbind)))
    scene.network.pump()
    assert done.called
    assert scene.esme.bound == 0, "the owner had asked for the end"


@pytest.mark.parametrize("when", ["idle", "connecting", "waiting", "silent"])
def test_stop_in_every_state_ends(when: str) -> None:
    scene, raw = raw_scene()
    scene.network.hanging = when == "connecting"
    scene.network.refusing = when == "waiting"
    if when != "idle":
        scene.client.start()
        scene.network.pump()
    done = scene.client.stop(5.0)
    scene.run(5.0 if when == "silent" else 0.0)
    assert done.called
    assert scene.client.state == "stopped"
    attempts = len(scene.network.attempts)
    scene.run(100)
    assert len(scene.network.attempts) == attempts, "it stays down"
    again = scene.client.stop(5.0)
    assert again.called
    assert all(peer.lost for peer in raw.peers)


def test_start_again_after_stop() -> None:
    scene = Scene().bind()
    done = scene.client.stop(5.0)
    scene.network.pump()
    assert done.called
    scene.client.start()
    scene.network.pump()
    assert scene.client.bound
    assert scene.esme.bound == 2


def test_start_twice_is_one_connection() -> None:
    scene = Scene()
    scene.client.start()
    scene.client.start()
    scene.network.pump()
    scene.client.start()
    assert len(scene.network.attempts) == 1


def test_the_owner_may_stop_from_within_a_call() -> None:
    scene = Scene()
    stopped: list[object] = []
    scene.esme.when_bound = lambda client: client.stop(5.0).addCallback(stopped.append) and None
    scene.client.start()
    scene.network.pump()
    assert stopped == [None]
    assert scene.client.state == "stopped"


def test_a_stopped_client_leaves_nothing_behind() -> None:
    scene = Scene().bind()
    scene.client.stop(5.0)
    scene.run(10)
    assert scene.network.clock.getDelayedCalls() == []


# An operator that connects to us


class FakePort:
    def __init__(self) -> None:
        self.stopped = False

    def stopListening(self) -> None:
        self.stopped = True


class FakeServerEndpoint:
    """Keeps the factory; the test plays the operator."""

    def __init__(self) -> None:
        self.factory: Any = None
        self.port = FakePort()

    def listen(self, factory: Any) -> Any:
        self.factory = factory
        return succeed(self.port)


def listening_scene(outbind: OutbindCredentials | None) -> tuple[Scene, FakeServerEndpoint, EsmeListener]:
    scene = Scene(peer_connects=True, outbind=outbind)
    server = FakeServerEndpoint()
    listener = EsmeListener(server, ["192.0.2.0/24", "2001:db8::5"])
    listener.start()
    scene.client = EsmeClient(scene.network.clock, listener.endpoint, scene.settings, scene.esme, random.Random(7))
    scene.client.start()
    return scene, server, listener


def test_waiting_for_the_operator_has_no_time_limit() -> None:
    scene, _server, _listener = listening_scene(None)
    scene.run(10_000)
    assert scene.client.state == "connecting"
    done = scene.client.stop(1.0)
    assert done.called


@pytest.mark.parametrize(
    ("host", "taken"),
    [
        ("192.0.2.77", True),
        ("::ffff:192.0.2.77", True),
        ("2001:db8::5", True),
        ("2001:db8::6", False),
        ("198.51.100.1", False),
        ("not an address", False),
    ],
)
def test_only_allowed_addresses_are_taken(host: str, taken: bool) -> None:
    _scene, server, listener = listening_scene(None)
    address = (IPv6Address if ":" in host else IPv4Address)("TCP", host, 40_000)
    assert (server.factory.buildProtocol(address) is not None) is taken
    assert listener.refused_connections == (0 if taken else 1)


def test_a_connection_that_no_bind_waits_for_is_closed() -> None:
    scene, server, listener = listening_scene(None)
    address = IPv4Address("TCP", "192.0.2.1", 40_000)
    assert server.factory.buildProtocol(address) is not None
    assert server.factory.buildProtocol(address) is None
    assert listener.refused_connections == 1
    del scene


def test_a_stopped_listener_frees_its_port() -> None:
    scene, server, listener = listening_scene(None)
    listener.stop()
    assert server.port.stopped
    listener.stop()
    scene.client.stop(1.0)
    assert server.factory.buildProtocol(IPv4Address("TCP", "192.0.2.1", 1)) is None


def test_requests_before_the_bind_are_refused() -> None:
    scene, raw = raw_scene()
    scene.client.start()
    scene.network.pump()
    raw.peer.pdus()
    raw.peer.transport.write(encode(DeliverSm(5)) + encode(EnquireLink(6)))
    scene.network.pump()
    refusal, alive = raw.peer.pdus()
    assert refusal.command_status == CommandStatus.ESME_RINVBNDSTS
    assert alive.command_status == 0
    assert scene.esme.requests == []


def test_counters_tell_the_history() -> None:
    scene = Scene().bind()
    scene.network.link.cut()
    scene.run(2)
    counters = scene.client.counters
    assert (counters.attempts, counters.binds, counters.lost, counters.refused) == (2, 2, 1, 0)
