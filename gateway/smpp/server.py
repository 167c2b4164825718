"""The SMSC side: accepts connections, lets a handler decide on binds, and carries requests both ways.

Used by the simulator. One :class:`SmscFactory` listens (or connects out, with outbind); each connection is an
:class:`SmscSession`.

Connections are bounded: past ``max_connections`` a new one is closed at once, and so is one past ``max_unbound`` of those that
have not bound yet. A connection that says nothing (a load balancer's probe) costs a few objects until it goes or until
session_init runs out; the handler hears of it only when a PDU comes that concerns it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure

from gateway.smpp.connection import TLV_VERSION, Connection, SessionSettings
from gateway.smpp.constants import CommandId, CommandStatus, TlvTag, status_name
from gateway.smpp.errors import LocalProtocolError
from gateway.smpp.events import (
    Event,
    LateResponse,
    PduRejected,
    RequestExpired,
    RequestReceived,
    ResponseReceived,
    SessionClosed,
    UnexpectedResponse,
)
from gateway.smpp.pdu import BindReceiver, BindTransceiver, BindTransmitter, Outbind, Pdu, make_response
from gateway.smpp.ports import ReactorTime
from gateway.smpp.protocol import SmppProtocol
from gateway.smpp.session import BINDS, Role, SessionState
from gateway.smpp.tlv import Tlv, make_tlv

log = structlog.get_logger()

BindPdu = BindTransmitter | BindReceiver | BindTransceiver

_BIND_TYPES = {
    int(CommandId.BIND_TRANSMITTER): "transmitter",
    int(CommandId.BIND_RECEIVER): "receiver",
    int(CommandId.BIND_TRANSCEIVER): "transceiver",
}


@dataclass(frozen=True, slots=True)
class SmscSettings:
    """An SMSC. Times in seconds."""

    system_id: str = "MOTCUA-SMSC"
    interface_version: int = 0x34
    #: sc_interface_version is left out of bind_resp, as some SMSCs do.
    hide_version: bool = False
    max_connections: int = 1000
    max_unbound: int = 100
    session: SessionSettings = field(
        default_factory=lambda: SessionSettings(window=100, response_timeout_s=10.0, enquire_link_interval_s=60.0)
    )


class SmscHandler(Protocol):
    """Who plays the SMSC. Called from the reactor; an exception is logged and harms nothing else."""

    def on_connect(self, session: SmscSession) -> bool:
        """The first PDU has come (or our own connection to an ESME is up). False: close it without a word."""

    def on_bind(self, session: SmscSession, bind: BindPdu) -> int | Deferred[int]:
        """The command_status of the answer, now or later. A failed Deferred is ESME_RSYSERR."""

    def on_bound(self, session: SmscSession) -> None:
        """The bind was accepted, and its answer is on the way."""

    def on_request(self, session: SmscSession, request: Pdu) -> None:
        """A request that the state allows; answer it with ``session.reply``, whenever, or ``session.forget`` it."""

    def on_response(self, session: SmscSession, token: Any, response: Pdu) -> None:
        """The answer to a ``session.send``; also one that comes late, after ``on_expired``."""

    def on_expired(self, session: SmscSession, token: Any) -> None:
        """No answer in time."""

    def on_lost(self, session: SmscSession, reason: str, unanswered: Sequence[object]) -> None:
        """A session of which ``on_connect`` was told has ended. ``unanswered``: the tokens still open."""


class SmscSession:
    """One connection of an ESME, seen from the SMSC.

    Attributes:
        bind_type: "transmitter", "receiver" or "transceiver"; "" before the bind.
        system_id: as bound; "" before.
        interface_version: as bound; 0 before.
        peer: "host:port".
        closed: the session has ended.
    """

    def __init__(self, factory: SmscFactory, peer: str, outgoing: bool) -> None:
        self.bind_type = ""
        self.system_id = ""
        self.system_type = ""
        self.address_range = ""
        self.interface_version = 0
        self.peer = peer
        self.rejected_pdus = 0
        self.unexpected_responses = 0
        self._outgoing = outgoing
        self._factory = factory
        self._handler = factory.handler
        self._announced = False
        self._log = log.bind(peer=peer)
        self.connection = Connection(Role.SMSC, factory.settings.session, factory.clock.seconds())
        self.protocol = SmppProtocol(factory.clock, self.connection, self)

    # What the handler asks and does

    @property
    def bound(self) -> bool:
        return self.connection.bound

    @property
    def closed(self) -> bool:
        return self.connection.closed

    @property
    def free_window(self) -> int:
        """How many requests may be sent to the ESME now; 0 when it takes none."""
        return self.connection.window.free if self.takes_messages else 0

    @property
    def takes_messages(self) -> bool:
        """Bound as a receiver or transceiver: deliver_sm may be sent."""
        return CommandId.DELIVER_SM in self.connection.session.sendable

    @property
    def tlvs_allowed(self) -> bool:
        """The ESME bound with interface_version 0x34 or later."""
        return self.connection.tlvs_allowed

    @property
    def in_flight(self) -> int:
        """Requests to the ESME without an answer."""
        return len(self.connection.window)

    @property
    def unanswered_requests(self) -> int:
        """Requests of the ESME that were not answered."""
        return len(self.connection.unanswered_incoming)

    def limit_incoming(self, window: int) -> None:
        """How many requests the ESME may have open; past it: ESME_RTHROTTLED."""
        self.connection.incoming_window = window

    def limit_window(self, window: int) -> None:
        """How many requests to the ESME may be open."""
        self.connection.window.size = window

    def send(self, pdu: Pdu, token: object = None) -> int:
        """Send a request, give its sequence_number. Those of one turn leave in one write.

        Raises:
            LocalProtocolError: as :meth:`Connection.send_request`.
        """
        number = self.connection.send_request(pdu, self._factory.clock.seconds(), token)
        self.protocol.wake()
        return number

    def reply(self, response: Pdu, request: Pdu | None = None) -> bool:
        """Answer a request of the ESME. False: it does not wait any more (answered, forgotten, or its link is gone)."""
        try:
            self.connection.send_response(response, request)
        except LocalProtocolError as error:
            self._log.info("reply_dropped", reason=str(error))
            return False
        self.protocol.wake()
        return True

    def forget(self, request: Pdu) -> None:
        """Never answer this request."""
        self.connection.forget_request(request)

    def outbind(self, system_id: str, password: str) -> None:
        """Ask the ESME to bind on this connection."""
        self.connection.outbind(Outbind(system_id=system_id, password=password))
        self.protocol.wake()

    def enquire_link(self) -> None:
        """Probe the ESME now."""
        self.connection.enquire_link(self._factory.clock.seconds())
        self.protocol.wake()

    def unbind(self) -> None:
        """Send unbind; the session closes when the ESME has answered. Closes at once when nobody is bound."""
        if not self.bound:
            self.close()
            return
        self.connection.unbind(self._factory.clock.seconds())
        self.protocol.wake()

    def close(self) -> None:
        """Close without unbind; what is queued still leaves."""
        self.protocol.close()

    def abort(self) -> None:
        """Cut the connection."""
        self.protocol.abort("cut by the SMSC")

    def write_raw(self, data: bytes) -> None:
        """Write octets that need not be SMPP."""
        self.protocol.write_raw(data)

    def pause_reading(self) -> None:
        """Play a slow reader: take nothing from the ESME until :meth:`resume_reading`."""
        self.protocol.pause_reading("slow reader")

    def resume_reading(self) -> None:
        self.protocol.resume_reading("slow reader")

    def mute(self, on: bool) -> None:
        """Play half-open: everything is read and nothing is written, enquire_link_resp included."""
        self.protocol.mute = on

    # Events of the connection

    def connected(self, protocol: SmppProtocol) -> None:
        """The transport is there (called by the protocol)."""
        if self._outgoing:
            self._announce()

    def _announce(self) -> bool:
        """Tell the handler of this connection. False: it is not wanted."""
        self._announced = True
        if self._handler.on_connect(self):
            return True
        self._announced = False
        self.protocol.abort("refused")
        return False

    def handle(self, events: Sequence[Event]) -> None:
        """Pass events on in order (called by the protocol)."""
        if not self._announced and not isinstance(events[0], SessionClosed) and not self._announce():
            return
        handler = self._handler
        for event in events:
            try:
                if type(event) is RequestReceived:
                    request = event.pdu
                    if request.command_id in BINDS:
                        self._on_bind(request)
                    else:
                        handler.on_request(self, request)
                elif type(event) is ResponseReceived:
                    handler.on_response(self, event.token, event.response)
                else:
                    self._on_rare(event)
            except Exception:  # noqa: BLE001 - the edge of PDU dispatch: one bad event must not stop the rest
                self._log.exception("smsc_handler_failed", smpp_event=type(event).__name__)
                if (
                    isinstance(event, RequestReceived)
                    and event.pdu.sequence_number in self.connection.unanswered_incoming
                ):
                    self.reply(make_response(event.pdu, CommandStatus.ESME_RSYSERR), event.pdu)

    def _on_bind(self, bind: Pdu) -> None:
        assert isinstance(bind, BindTransmitter | BindReceiver | BindTransceiver)
        decision = self._handler.on_bind(self, bind)
        if isinstance(decision, Deferred):
            decision.addErrback(self._on_bind_failed)
            decision.addCallback(lambda status: self._decide(bind, status))
        else:
            self._decide(bind, decision)

    def _on_bind_failed(self, failure: Failure) -> int:
        self._log.error("bind_decision_failed", error=failure.getErrorMessage())
        return int(CommandStatus.ESME_RSYSERR)

    def _decide(self, bind: BindPdu, status: int) -> None:
        if self.closed:
            return  # the ESME did not wait for the decision
        settings = self._factory.settings
        if status != CommandStatus.ESME_ROK:
            self._log.info("bind_refused_by_smsc", system_id=bind.system_id, command_status=status_name(status))
            self.reply(make_response(bind, status), bind)
            self.close()
            return
        self.system_id, self.system_type, self.address_range = bind.system_id, bind.system_type, bind.address_range
        self.interface_version = bind.interface_version
        self.bind_type = _BIND_TYPES[bind.command_id]
        tlvs: tuple[Tlv, ...] = ()
        if bind.interface_version >= TLV_VERSION and not settings.hide_version:
            tlvs = (make_tlv(TlvTag.SC_INTERFACE_VERSION, settings.interface_version),)
        self._factory.bound(self)
        self.reply(make_response(bind, status, system_id=settings.system_id, tlvs=tlvs), bind)
        self._handler.on_bound(self)

    def _on_rare(self, event: Event) -> None:
        if isinstance(event, RequestExpired):
            self._handler.on_expired(self, event.token)
        elif isinstance(event, LateResponse):
            self._handler.on_response(self, event.token, event.response)
        elif isinstance(event, UnexpectedResponse):
            self.unexpected_responses += 1
            self._log.debug("smsc_unexpected_response", sequence_number=event.pdu.sequence_number)
        elif isinstance(event, PduRejected):
            self.rejected_pdus += 1
            self._log.info("smsc_pdu_rejected", **event._asdict())
            if self.connection.state is SessionState.OPEN:
                self.close()  # nobody is bound, and what came is no bind
        elif isinstance(event, SessionClosed):
            self._factory.gone(self)
            if self._announced:
                detail = f": {event.detail}" if event.detail else ""
                self._handler.on_lost(self, event.reason.value + detail, (*event.unanswered, *event.never_sent))


class SmscFactory(Factory):
    """Makes sessions; give it to a server endpoint, or to a client endpoint by :meth:`outgoing`.

    Args:
        clock: the reactor.
        handler: who plays the SMSC.
        settings: limits and times.
    """

    noisy = False

    def __init__(self, clock: ReactorTime, handler: SmscHandler, settings: SmscSettings | None = None) -> None:
        self.clock = clock
        self.handler = handler
        self.settings = settings or SmscSettings()
        self.sessions: set[SmscSession] = set()
        self.refused_connections = 0
        self._unbound: set[SmscSession] = set()

    def buildProtocol(self, addr: Any) -> SmppProtocol | None:
        """A session for a new connection; None (Twisted closes it) when there are too many."""
        if len(self.sessions) >= self.settings.max_connections or len(self._unbound) >= self.settings.max_unbound:
            self.refused_connections += 1
            return None
        return self.make_session(addr, outgoing=False).protocol

    def make_session(self, addr: Any, outgoing: bool) -> SmscSession:
        """A session that counts as open from now on."""
        peer = f"{getattr(addr, 'host', '?')}:{getattr(addr, 'port', 0)}"
        session = SmscSession(self, peer, outgoing)
        self.sessions.add(session)
        self._unbound.add(session)
        return session

    def outgoing(self) -> OutgoingFactory:
        """The factory for a client endpoint: the SMSC opens the connection, then sends outbind from ``on_connect``."""
        return OutgoingFactory(self)

    def bound(self, session: SmscSession) -> None:
        """A session has bound (called by the session)."""
        self._unbound.discard(session)

    def gone(self, session: SmscSession) -> None:
        """A session has ended (called by the session)."""
        self.sessions.discard(session)
        self._unbound.discard(session)


class OutgoingFactory(Factory):
    """Connections that the SMSC opens itself."""

    noisy = False

    def __init__(self, factory: SmscFactory) -> None:
        self._factory = factory

    def buildProtocol(self, addr: Any) -> SmppProtocol:
        return self._factory.make_session(addr, outgoing=True).protocol
