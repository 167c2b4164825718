"""The ESME: keeps one bind to an SMSC up and moves PDUs over it, for as long as its owner wants.

    client = EsmeClient(reactor, endpoint_factory, settings, handler, rng)
    client.start()                     # connects, binds, and comes back whenever the link is lost
    client.submit(pdu, token)          # when client.free_window > 0; the token comes back once, with what became of it
    client.reply(response, request)    # answers a deliver_sm, whenever its owner has stored it
    client.acknowledge(request, status)  # the same, with nothing to say but a command_status
    client.stop(timeout_s)             # drains, unbinds, closes

Every token given to ``submit`` comes back through exactly one of ``on_response``, ``on_expired`` and ``on_unbound`` (and once
more through ``on_late_response`` when the answer to an expired one comes after all).

Attempts follow each other at growing distance (:mod:`gateway.smpp.backoff`). Wrong credentials do not mend themselves: the
longest wait applies at once.

TLS, SNI and certificates are the endpoint's business; so are the host and its address.

This file is longer than most because the life cycle, the events and the owner's calls share one small state.
"""

from __future__ import annotations

import hmac
import random
from collections.abc import Callable, Sequence
from typing import Any

import structlog
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure

from gateway.smpp.backoff import Backoff
from gateway.smpp.connection import Connection
from gateway.smpp.constants import CommandId, CommandStatus, command_name, status_name
from gateway.smpp.errors import LocalProtocolError
from gateway.smpp.esme import BindType, EsmeCounters, EsmeHandler, EsmeSettings, OutbindCredentials
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
from gateway.smpp.lifecycle import make_life
from gateway.smpp.pdu import (
    BindReceiver,
    BindTransceiver,
    BindTransmitter,
    DataSm,
    DeliverSm,
    Outbind,
    Pdu,
    make_response,
)
from gateway.smpp.ports import ClientEndpoint, DelayedCall, ReactorTime
from gateway.smpp.protocol import SmppProtocol
from gateway.smpp.session import Role, SessionState

__all__ = ["BindType", "EsmeClient", "EsmeCounters", "EsmeHandler", "EsmeSettings", "OutbindCredentials"]

log = structlog.get_logger()

#: Refusals that no retry mends; an operator must correct the configuration or the account.
CREDENTIAL_REFUSALS = frozenset(
    {
        int(CommandStatus.ESME_RINVPASWD),
        int(CommandStatus.ESME_RINVSYSID),
        int(CommandStatus.ESME_RINVSYSTYP),
    }
)
_SUBMIT_SM = int(CommandId.SUBMIT_SM)
#: The part of a stop's time limit that is kept for unbind and its answer, in seconds.
UNBIND_S = 1.0
#: The most kinds of faults that one connection may have in the log; bounds memory and the log.
LOGGED_FAULTS = 20


_BIND_PDUS: dict[BindType, type[BindTransmitter] | type[BindReceiver] | type[BindTransceiver]] = {
    BindType.TRANSMITTER: BindTransmitter,
    BindType.RECEIVER: BindReceiver,
    BindType.TRANSCEIVER: BindTransceiver,
}


class _EsmeFactory(Factory):
    """Makes the protocol of one attempt; none when the attempt is over and its connection comes after all."""

    noisy = False

    def __init__(self, client: EsmeClient) -> None:
        self._client = client
        self._attempt = client.counters.attempts

    def buildProtocol(self, addr: object) -> SmppProtocol | None:
        client = self._client
        if client.state != "connecting" or client.counters.attempts != self._attempt:
            return None
        connection = Connection(Role.ESME, client.settings.session(), client.clock.seconds())
        return SmppProtocol(client.clock, connection, client)


class EsmeClient:
    """One bind, kept up.

    Args:
        clock: the reactor.
        endpoint_factory: gives the endpoint of the next attempt; may take turns between hosts.
        settings: the bind.
        handler: the owner.
        rng: for the jitter of the waits.
    """

    def __init__(
        self,
        clock: ReactorTime,
        endpoint_factory: Callable[[], ClientEndpoint],
        settings: EsmeSettings,
        handler: EsmeHandler,
        rng: random.Random,
    ) -> None:
        self.clock = clock
        self.settings = settings
        self.name = settings.name
        self.state = "idle"
        self.last_error = ""
        self.counters = EsmeCounters()
        self._endpoint_factory = endpoint_factory
        self._handler = handler
        self._backoff = Backoff(settings.reconnect_min_s, settings.reconnect_max_s, rng)
        self._life = make_life(self)
        self._protocol: SmppProtocol | None = None
        self._connection: Connection | None = None
        self._attempt: Deferred[Any] | None = None
        self._call: DelayedCall | None = None  # the one delayed call of the present state
        self._stop_call: DelayedCall | None = None
        self._stop_timeout_s = 0.0
        self._stop_waiters: list[Deferred[None]] = []
        self._slow = False  # the last refusal was one that no retry mends
        self._timed_out = False
        self._bind_sent = False
        self._bound_at: float | None = None
        self._loss: tuple[str, SessionClosed] | None = None
        self._logged: set[tuple[object, ...]] = set()
        self._orphans: frozenset[int] = frozenset()
        self._log = log.bind(bind=settings.name)

    # The owner's side

    def start(self) -> None:
        """Bring the bind up and keep it up."""
        self._life.start()

    def stop(self, timeout_s: float = 10.0) -> Deferred[None]:
        """No new submits; wait for open answers, unbind, close. Fires when the session has ended, within ``timeout_s``."""
        done: Deferred[None] = Deferred()
        self._stop_waiters.append(done)
        self._stop_timeout_s = timeout_s
        self._life.stop()
        return done

    @property
    def bound(self) -> bool:
        return self.state == "bound" and self._connection is not None and self._connection.bound

    @property
    def free_window(self) -> int:
        """How many submits may be given now; 0 when not bound, or bound as a receiver."""
        connection = self._connection
        if connection is None or self.state != "bound" or _SUBMIT_SM not in connection.session.sendable:
            return 0
        return connection.window.free

    @property
    def in_flight(self) -> int:
        """How many submits wait for their answer."""
        return len(self._connection.window) if self._connection is not None else 0

    @property
    def peer_interface_version(self) -> int | None:
        """sc_interface_version of the present bind; None: not bound, or the SMSC did not say."""
        return self._connection.peer_interface_version if self._connection is not None else None

    @property
    def tlvs_allowed(self) -> bool:
        """Whether the SMSC of the present bind knows TLVs; one that names no version is taken at ours."""
        return (
            self._connection.tlvs_allowed if self._connection is not None else self.settings.interface_version >= 0x34
        )

    def submit(self, pdu: Pdu, token: object) -> None:
        """Send a request. Those given in one turn of the reactor leave in one write.

        Raises:
            LocalProtocolError: not bound, the window is full, a field cannot be encoded, TLVs that the peer cannot know.
        """
        if self._protocol is None or self._connection is None or self.state != "bound":
            raise LocalProtocolError(f"{self.name} is not bound ({self.state})")
        self._connection.send_request(pdu, self.clock.seconds(), token)
        self._protocol.wake()

    def reply(self, response: Pdu, request: Pdu | None = None) -> bool:
        """Answer a request. False: its connection is gone, and the answer was dropped (the SMSC will ask again).

        Give the very ``request`` that ``on_request`` brought. Without it the number must do; one that also waited on an
        earlier connection is then ambiguous, and the answer is dropped rather than given to the wrong message.
        """
        if request is None and response.sequence_number in self._orphans:
            self.counters.dropped_replies += 1
            return False
        return self._answer(lambda connection: connection.send_response(response, request))

    def acknowledge(self, request: Pdu, command_status: int) -> bool:
        """Answer a request with nothing but a command_status, as :meth:`reply` does with a response; at a third of its cost."""
        return self._answer(lambda connection: connection.acknowledge(request, command_status))

    def _answer(self, send: Callable[[Connection], object]) -> bool:
        if self._protocol is not None and self._connection is not None:
            try:
                send(self._connection)
                self._protocol.wake()
                if self.state == "draining":
                    self._drain_further()
                return True
            except LocalProtocolError as error:
                self._log.info("reply_dropped", reason=str(error))
        self.counters.dropped_replies += 1
        return False

    # Events of the connection

    def connected(self, protocol: SmppProtocol) -> None:
        """The transport is there (called by the protocol)."""
        self._protocol, self._connection = protocol, protocol.connection
        self._life.connected()

    def handle(self, events: Sequence[Event]) -> None:
        """Pass events on in order (called by the protocol). Answers come first by nature: they free the window."""
        handler = self._handler
        for event in events:
            try:
                if type(event) is ResponseReceived:
                    handler.on_response(self, event.token, event.response)
                elif type(event) is RequestReceived:
                    self._on_request(event.pdu)
                else:
                    self._on_rare(event)
            except Exception:  # noqa: BLE001 - the edge of PDU dispatch: one bad event must not stop the rest
                self._log.exception("smpp_handler_failed", smpp_event=type(event).__name__)
        if self.state == "draining":
            self._drain_further()

    def _on_request(self, request: Pdu) -> None:
        if isinstance(request, Outbind):
            self._on_outbind(request)
            return
        try:
            self._handler.on_request(self, request)
        except Exception:  # noqa: BLE001 - the edge of PDU dispatch: the SMSC is asked to try again
            self._log.exception("smpp_request_failed", command=type(request).__name__)
            if isinstance(request, DeliverSm | DataSm):
                self.reply(make_response(request, CommandStatus.ESME_RX_T_APPN), request)

    def _on_rare(self, event: Event) -> None:
        if isinstance(event, RequestExpired):
            self._handler.on_expired(self, event.token)
        elif isinstance(event, LateResponse):
            self.counters.late_responses += 1
            self._handler.on_late_response(self, event.token, event.response)
        elif isinstance(event, UnexpectedResponse):
            self._on_unexpected(event.pdu)
        elif isinstance(event, PduRejected):
            self._on_rejected(event)
        elif isinstance(event, Bound):
            self._life.accepted()
        elif isinstance(event, BindRefused):
            self._on_refused(event.command_status)
        elif isinstance(event, SessionClosed):
            self._on_closed(event)

    def _on_rejected(self, event: PduRejected) -> None:
        self.counters.rejected_pdus += 1
        if self._news(event.command_id, event.command_status):
            self._log.warning(
                "smpp_pdu_rejected",
                command=command_name(event.command_id),
                sequence_number=event.sequence_number,
                command_status=status_name(event.command_status),
                reason=event.reason,
            )

    def _news(self, *fault: object) -> bool:
        """Each kind of fault is logged once for each connection: an SMSC that does it does it a thousand times."""
        if fault in self._logged or len(self._logged) >= LOGGED_FAULTS:
            return False
        self._logged.add(fault)
        return True

    def _on_unexpected(self, pdu: Pdu) -> None:
        self.counters.unexpected_responses += 1
        if self._news("unexpected"):
            self._log.warning(
                "smpp_unexpected_response",
                command=type(pdu).__name__,
                sequence_number=pdu.sequence_number,
                command_status=status_name(pdu.command_status),
            )

    def _on_outbind(self, request: Outbind) -> None:
        expected = self.settings.outbind
        if expected is None or self.state != "binding" or self._protocol is None:
            self._log.info("outbind_ignored", system_id=request.system_id)
        elif not _same(request.system_id, expected.system_id) or not _same(request.password, expected.password):
            self.last_error = "outbind with wrong credentials"
            self._log.warning("outbind_refused", system_id=request.system_id)
            self._protocol.close(self.last_error)
        else:
            self._send_bind()

    def _on_refused(self, status: int) -> None:
        self.counters.refused += 1
        self.last_error = f"bind refused: {status_name(status)}"
        self._slow = status in CREDENTIAL_REFUSALS
        self._log.warning("bind_refused", command_status=status_name(status), credentials=self._slow)
        self._handler.on_bind_refused(self, status)
        if self._protocol is not None:
            self._protocol.close("bind refused")

    def _on_closed(self, event: SessionClosed) -> None:
        reason = f"{event.reason.value}: {event.detail}" if event.detail else event.reason.value
        if event.reason is not CloseReason.CLOSED:
            self.last_error = reason
        if self._bound_at is not None:
            self._backoff.held(self.clock.seconds() - self._bound_at)
        self._loss = None if self._bound_at is None else (reason, event)
        self._bound_at = None
        if self._connection is not None:
            self._orphans |= self._connection.unanswered_incoming
            if len(self._orphans) > 2 * self.settings.incoming_window:  # bounds memory; the oldest are long answered
                self._orphans = self._connection.unanswered_incoming
        self._protocol = self._connection = None
        self._life.lost()

    def _report_loss(self) -> None:
        """Tell the owner, now that the state says that the bind is down."""
        if self._loss is None:
            return
        (reason, event), self._loss = self._loss, None
        self.counters.lost += 1
        self._log.info(
            "esme_unbound", reason=reason, unanswered=len(event.unanswered), never_sent=len(event.never_sent)
        )
        try:
            self._handler.on_unbound(self, reason, event.unanswered, event.never_sent)
        except Exception:  # noqa: BLE001 - the edge of event dispatch: the life of the bind goes on
            self._log.exception("smpp_handler_failed", smpp_event="on_unbound")

    # Actions of the life cycle

    def enter(self, state: str) -> None:
        """A new state: the delayed call of the old one is over."""
        self.state = state
        if self._call is not None and self._call.active():
            self._call.cancel()
        self._call = None

    def connect(self) -> None:
        """One attempt."""
        self.counters.attempts += 1
        self._slow = self._timed_out = self._bind_sent = False
        attempt: Deferred[Any] = maybeDeferred(self._open)
        self._attempt = attempt
        if not self.settings.peer_connects:
            self._call = self.clock.callLater(self.settings.session_init_timeout_s, self._on_connect_timeout)
        attempt.addErrback(self._on_connect_failed)

    def _open(self) -> Deferred[Any]:
        return self._endpoint_factory().connect(_EsmeFactory(self))

    def _on_connect_timeout(self) -> None:
        self._timed_out = True
        self.cancel_attempt()

    def _on_connect_failed(self, failure: Failure) -> None:
        why = failure.getErrorMessage().rstrip(".") or type(failure.value).__name__
        self.last_error = f"connection failed: {'no answer in time' if self._timed_out else why}"
        self._life.failed()

    def cancel_attempt(self) -> None:
        if self._attempt is not None:
            self._attempt.cancel()

    def bind(self) -> None:
        self._logged.clear()
        if self.settings.outbind is None:
            self._send_bind()

    def _send_bind(self) -> None:
        settings = self.settings
        pdu = _BIND_PDUS[BindType(settings.bind_type)](
            system_id=settings.system_id,
            password=settings.password,
            system_type=settings.system_type,
            interface_version=settings.interface_version,
            addr_ton=settings.addr_ton,
            addr_npi=settings.addr_npi,
            address_range=settings.address_range,
        )
        if self._protocol is not None and self._connection is not None:
            self._bind_sent = True
            self._connection.bind(pdu, self.clock.seconds())
            self._protocol.wake()

    def announce_bound(self) -> None:
        self._bound_at = self.clock.seconds()
        self.last_error = ""
        self.counters.binds += 1
        self._log.info("esme_bound", bind_type=str(self.settings.bind_type), peer_version=self.peer_interface_version)
        self._handler.on_bound(self)

    def wait(self) -> None:
        self._report_loss()
        if self.settings.peer_connects:
            delay_s = 0.0  # the operator decides when
        else:
            delay_s = self._backoff.slow_wait_s() if self._slow else self._backoff.next_wait_s()
        self._log.info("esme_waits", reason=self.last_error, wait_s=round(delay_s, 2))
        self._call = self.clock.callLater(delay_s, self._life.retry)

    def drain(self) -> None:
        timeout_s = self._stop_timeout_s
        self._call = self.clock.callLater(max(timeout_s - UNBIND_S, timeout_s / 2), self._unbind)
        self._stop_call = self.clock.callLater(timeout_s, self._cut)
        self._drain_further()

    def _drain_further(self) -> None:
        """Unbind as soon as nothing is open. A bind that is on its way is awaited: the SMSC may have accepted it already."""
        connection = self._connection
        if connection is None or len(connection.window) or connection.unanswered_incoming:
            return
        if connection.bound or not self._bind_sent:
            self._unbind()

    def _unbind(self) -> None:
        if self._protocol is None or self._connection is None:
            return
        if self._connection.bound:
            self._connection.unbind(self.clock.seconds())
            self._protocol.wake()
        elif self._connection.state is not SessionState.UNBOUND:
            self._protocol.close("stopped before the bind")

    def _cut(self) -> None:
        if self._protocol is not None:
            self._protocol.close("stop took too long")

    def finish(self) -> None:
        self._report_loss()
        if self._stop_call is not None and self._stop_call.active():
            self._stop_call.cancel()
        waiters, self._stop_waiters = self._stop_waiters, []
        for waiter in waiters:
            waiter.callback(None)


def _same(given: str, expected: str) -> bool:
    """Compare secrets without telling by time how much of them is right."""
    return hmac.compare_digest(given.encode("utf-8"), expected.encode("utf-8"))
