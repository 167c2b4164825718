"""One SMPP connection without I/O: octets in, events out; requests in, octets out.

Joins the framing, the codec, the state table, the window and the timers. The owner feeds :meth:`Connection.receive_data`,
writes what :meth:`Connection.data_to_send` gives, calls :meth:`Connection.on_tick` when :meth:`Connection.next_deadline` has
come, and says :meth:`Connection.connection_lost` when the transport is gone. Every call takes the time of the
owner's clock, in seconds; there is no clock, no log and no randomness here.

What it does by itself: answers enquire_link and unbind, answers what is malformed, unknown or not allowed now, probes a
silent peer, and refuses requests past ``incoming_window`` with ESME_RTHROTTLED. What it leaves to its owner: whether to accept
a bind, and every answer to a message.

Faults of the peer come in two kinds. While the stream is in step, the PDU is answered with the matching response (or generic_nack
when there is none) and the link stays up. When the stream is out of step, generic_nack is sent and the session ends. A
malformed *response* is never answered, or two careful ends would nack each other for ever: its request expires.

This file is longer than most because these parts share one state, and splitting it would put a call between every PDU
and its window.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from gateway.smpp.constants import DEFAULT_MAX_PDU_OCTETS, RESPONSE_BIT, CommandId, CommandStatus, TlvTag, command_name
from gateway.smpp.errors import LocalProtocolError, RecoverablePduError, UnrecoverablePduError
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
from gateway.smpp.framing import Framer
from gateway.smpp.pdu import (
    RESPONSE_OF,
    EnquireLink,
    EnquireLinkResp,
    GenericNack,
    Pdu,
    Unbind,
    UnbindResp,
    UnknownPdu,
    decode,
    encode,
    tlv_int,
)
from gateway.smpp.session import BINDS, UNANSWERED, Role, Session, SessionState
from gateway.smpp.timers import NEVER, Due, Timers
from gateway.smpp.window import CONTROL, Window

_pack_header = struct.Struct(">IIII").pack
_ENQUIRE_LINK = int(CommandId.ENQUIRE_LINK)
_UNBIND = int(CommandId.UNBIND)
_OUTBIND = int(CommandId.OUTBIND)
_BIND_RESPONSES = frozenset(command_id | RESPONSE_BIT for command_id in BINDS)
#: Requests of the session itself; they have their own methods.
_SESSION_REQUESTS = BINDS | {_ENQUIRE_LINK, _UNBIND, _OUTBIND}

#: The first interface_version that knows TLVs (SMPP 3.4 §3.4).
TLV_VERSION = 0x34


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """The limits and times of one session; times in seconds."""

    window: int = 10
    response_timeout_s: float = 10.0
    enquire_link_interval_s: float | None = 30.0
    session_init_timeout_s: float = 10.0
    inactivity_timeout_s: float | None = None
    #: Requests of the peer that may wait for our answer. Far above any sane window; bounds memory.
    incoming_window: int = 1000
    max_pdu_octets: int = DEFAULT_MAX_PDU_OCTETS
    #: After the peer's unbind: how long answers in flight may still come and go.
    linger_s: float = 2.0


@lru_cache(maxsize=256)
def _plain_answer(command_id: int, command_status: int) -> tuple[bytes, bytes]:
    """The octets of a response with nothing in it, before and after its sequence_number."""
    octets = encode(RESPONSE_OF[command_id](0, command_status))
    return octets[:12], octets[16:]


class Connection:
    """One end of one session.

    Args:
        role: ESME or SMSC.
        settings: limits and times.
        now: the owner's clock, in seconds.
    """

    __slots__ = (
        "_framer",
        "_incoming",
        "_linger_until",
        "_now",
        "_out",
        "_own_version",
        "_peer_unbound",
        "_probed_at",
        "_timers",
        "_unbind_reason",
        "_unsent",
        "closed",
        "incoming_window",
        "peer_interface_version",
        "role",
        "session",
        "settings",
        "tlvs_allowed",
        "window",
    )

    def __init__(self, role: Role, settings: SessionSettings, now: float) -> None:
        self.role = role
        self.settings = settings
        self.session = Session(role)
        self.window = Window(settings.window, settings.response_timeout_s)
        self.incoming_window = settings.incoming_window
        self.closed = False
        #: What the peer said at the bind: sc_interface_version to an ESME, interface_version to an SMSC. None: nothing.
        self.peer_interface_version: int | None = None
        self.tlvs_allowed = True
        self._own_version = TLV_VERSION
        self._timers = Timers(
            now, settings.session_init_timeout_s, settings.enquire_link_interval_s, settings.inactivity_timeout_s
        )
        self._framer = Framer(settings.max_pdu_octets)
        self._incoming: dict[int, Pdu] = {}
        self._out: list[bytes] = []
        self._unsent: list[int] = []
        self._now = now
        self._probed_at = NEVER
        self._unbind_reason: CloseReason | None = None
        self._peer_unbound = False
        self._linger_until = NEVER

    # What the owner asks

    @property
    def state(self) -> SessionState:
        return self.session.state

    @property
    def bound(self) -> bool:
        return self.session.bound

    @property
    def unanswered_incoming(self) -> frozenset[int]:
        """The numbers of the peer's requests that wait for our answer; at the end, of those that will never get one."""
        return frozenset(self._incoming)

    def next_deadline(self) -> float:
        """When :meth:`on_tick` must be called at the latest; infinity when it need not."""
        if self.closed:
            return NEVER
        if self._linger_until != NEVER and self._settled():
            return self._now
        return min(self.window.next_deadline(), self._timers.next_deadline(), self._linger_until)

    def data_to_send(self) -> bytes:
        """All octets not yet taken, joined. From here on their requests count as sent."""
        out = self._out
        if not out:
            return b""
        data = out[0] if len(out) == 1 else b"".join(out)
        self._out = []
        self._unsent = []
        return data

    @property
    def has_data(self) -> bool:
        """There are octets to send."""
        return bool(self._out)

    def octets_held(self) -> int:
        """How many octets :meth:`data_to_send` would give."""
        return sum(map(len, self._out))

    # Sending

    def send_request(self, pdu: Pdu, now: float, token: object = None) -> int:
        """Queue a request with the next sequence_number (the PDU's own is not used) and return that number.

        Raises:
            LocalProtocolError: not allowed in this state, the window is full, a field cannot be encoded, or the
                PDU has TLVs and the peer is older than SMPP 3.4. Nothing was queued.
        """
        command_id = pdu.command_id
        if command_id not in self.session.sendable:
            self.session.check_send(command_id)
        if command_id in _SESSION_REQUESTS:
            raise LocalProtocolError(f"{command_name(command_id)} has a method of its own")
        if pdu.tlvs and not self.tlvs_allowed:
            raise LocalProtocolError("the peer's SMPP is older than 3.4 and knows no TLVs")
        octets = encode(pdu)
        if command_id in UNANSWERED:
            number = self.window.next_number()
        else:
            number = self.window.add(pdu, token, now)
        # The number goes into the octets, not into the PDU: copying a PDU of twenty fields costs as much as encoding it.
        self._out.append(octets[:12] + number.to_bytes(4, "big") + octets[16:])
        self._unsent.append(number)
        self._timers.transaction(now)
        return number

    def send_response(self, pdu: Pdu, request: Pdu | None = None) -> None:
        """Queue the answer to a request of the peer. TLVs that the peer cannot know are left out.

        With ``request`` (the very object that was received) a request of an earlier connection cannot be mistaken for one
        of this, even when both have the same number.

        Raises:
            LocalProtocolError: no such request waits for an answer, or a field cannot be encoded.
        """
        waiting = self._incoming.get(pdu.sequence_number)
        if waiting is None or self.closed or (request is not None and waiting is not request):
            raise LocalProtocolError(f"no request with sequence_number {pdu.sequence_number} waits for an answer")
        command_id = pdu.command_id
        if command_id in _BIND_RESPONSES:
            self._negotiate(waiting, pdu)
        if pdu.tlvs and not self.tlvs_allowed and not isinstance(pdu, UnknownPdu):
            pdu = pdu._replace(tlvs=())
        self._out.append(encode(pdu))
        del self._incoming[pdu.sequence_number]

    def send_request_octets(self, request: Pdu, body: bytes, now: float, token: object = None) -> int:
        """:meth:`send_request` for who has put the octets after the header together, TLVs included, many times a second.

        ``request`` stands for them: its command_id goes into the header, and the events have it. Nothing else of it is looked at,
        and the octets are not checked.

        Raises:
            LocalProtocolError: not allowed in this state, or the window is full. Nothing was queued.
        """
        command_id = request.command_id
        if command_id not in self.session.sendable:
            self.session.check_send(command_id)
        number = self.window.add(request, token, now)
        self._out.append(_pack_header(16 + len(body), command_id, 0, number) + body)
        self._unsent.append(number)
        self._timers.transaction(now)
        return number

    def send_response_octets(self, octets: bytes, request: Pdu) -> None:
        """:meth:`send_response` for who has put the whole response together; it is not checked.

        Raises:
            LocalProtocolError: ``request`` does not wait for an answer.
        """
        number = request.sequence_number
        if self._incoming.get(number) is not request or self.closed:
            raise LocalProtocolError(f"no request with sequence_number {number} waits for an answer")
        self._out.append(octets)
        del self._incoming[number]

    def acknowledge(self, request: Pdu, command_status: int) -> None:
        """Queue the answer to a request of the peer that has nothing to say but its command_status.

        Raises:
            LocalProtocolError: the very object ``request`` does not wait for an answer.
        """
        number = request.sequence_number
        if self.closed or self._incoming.get(number) is not request:
            raise LocalProtocolError(f"no request with sequence_number {number} waits for an answer")
        before, after = _plain_answer(request.command_id, command_status)
        self._out.append(before + number.to_bytes(4, "big") + after)
        del self._incoming[number]

    def forget_request(self, request: Pdu) -> None:
        """The request will never be answered; it counts no longer against ``incoming_window``."""
        if self._incoming.get(request.sequence_number) is request:
            del self._incoming[request.sequence_number]

    def bind(self, pdu: Pdu, now: float) -> None:
        """ESME: queue a bind. Its outcome is :class:`Bound`, :class:`BindRefused` or :class:`SessionClosed`."""
        self.session.check_send(pdu.command_id)
        if pdu.command_id not in BINDS:
            raise LocalProtocolError(f"{command_name(pdu.command_id)} is no bind")
        self._own_version = getattr(pdu, "interface_version", TLV_VERSION)
        self._send_control(pdu, now)

    def outbind(self, pdu: Pdu) -> None:
        """SMSC: queue outbind, which asks the ESME to bind on this connection."""
        self.session.check_send(pdu.command_id)
        self._out.append(encode(pdu._replace(sequence_number=self.window.next_number())))
        self.session.sent(pdu.command_id)

    def unbind(self, now: float, reason: CloseReason = CloseReason.UNBOUND) -> None:
        """Queue unbind. No new requests after it; :class:`SessionClosed` follows with ``reason``."""
        self.session.check_send(_UNBIND)
        if self._unbind_reason is not None:
            return
        self._unbind_reason = reason
        self._send_control(Unbind(), now)
        self.session.sent(_UNBIND)
        self._timers.ended()

    def enquire_link(self, now: float) -> None:
        """Queue a probe now. An unanswered one ends the session, as with those that the timer sends."""
        self.session.check_send(_ENQUIRE_LINK)
        self._probed_at = now
        self._send_control(EnquireLink(), now)

    def _send_control(self, pdu: Pdu, now: float) -> None:
        number = self.window.add(pdu, CONTROL, now)
        self._out.append(encode(pdu._replace(sequence_number=number)))

    # Receiving

    def receive_data(self, data: bytes, now: float) -> list[Event]:
        """Take octets from the peer, any number of PDUs or a part of one; give what they mean, in order."""
        events: list[Event] = []
        if self.closed:
            return events
        self._now = now
        fault: UnrecoverablePduError | None = None
        try:
            frames: Sequence[bytes] = self._framer.feed(data)
        except UnrecoverablePduError as error:
            fault, frames = error, error.frames
        if frames:
            self._timers.received(now)
        for frame in frames:
            try:
                pdu = decode(frame)
            except RecoverablePduError as error:
                self._reject(error.command_id, error.sequence_number, error.command_status, error.reason, events)
                continue
            if pdu.command_id & RESPONSE_BIT:
                self._on_response(pdu, now, events)
            else:
                self._on_request(pdu, now, events)
            if self.closed:
                return events
        if fault is not None:
            self._break(fault, events)
        if events:
            self._timers.transaction(now)
        return events

    def _on_response(self, pdu: Pdu, now: float, events: list[Event]) -> None:
        number = pdu.sequence_number
        taken = self.window.take(number, pdu.command_id)
        if taken is not None:
            request, token = taken
            if token is CONTROL:
                self._on_control_response(request, pdu, now, events)
            else:
                events.append(ResponseReceived(token, request, pdu))
            return
        late = self.window.take_late(number)
        events.append(UnexpectedResponse(pdu) if late is None else LateResponse(late[0], pdu))

    def _on_control_response(self, request: Pdu, response: Pdu, now: float, events: list[Event]) -> None:
        if request.command_id == _UNBIND:
            self._finish(self._unbind_reason or CloseReason.UNBOUND, "", events)
        elif request.command_id in BINDS:
            if response.command_status == 0 and response.command_id != CommandId.GENERIC_NACK:
                self.session.received(response.command_id)
                self._timers.bound(now)
                self.peer_interface_version = tlv_int(response, TlvTag.SC_INTERFACE_VERSION)
                self._agree_on_tlvs()
                events.append(Bound(response))
            else:
                events.append(BindRefused(response.command_status, response))

    def _on_request(self, pdu: Pdu, now: float, events: list[Event]) -> None:
        command_id = pdu.command_id
        number = pdu.sequence_number
        if command_id == _ENQUIRE_LINK:
            self._out.append(encode(EnquireLinkResp(number)))
        elif command_id not in self.session.receivable:
            status = self.session.refusal(command_id)
            reason = "unknown command" if isinstance(pdu, UnknownPdu) else f"not allowed when {self.state.value}"
            self._reject(command_id, number, status, reason, events)
        elif command_id in UNANSWERED:
            self.session.received(command_id)
            events.append(RequestReceived(pdu))
        elif command_id == _UNBIND:
            self._on_unbind(pdu, now, events)
        elif command_id in BINDS and any(waiting.command_id in BINDS for waiting in self._incoming.values()):
            self._reject(command_id, number, CommandStatus.ESME_RALYBND, "a bind is being decided", events)
        elif len(self._incoming) >= self.incoming_window:
            self._reject(command_id, number, CommandStatus.ESME_RTHROTTLED, "too many unanswered requests", events)
        else:
            self._incoming[number] = pdu
            events.append(RequestReceived(pdu))

    def _on_unbind(self, pdu: Pdu, now: float, events: list[Event]) -> None:
        self._out.append(encode(UnbindResp(pdu.sequence_number)))
        self.session.received(_UNBIND)
        self._timers.ended()
        if self._unbind_reason is not None:
            return  # both asked at once: our own unbind_resp is still to come
        self._peer_unbound = True
        self._linger_until = now + self.settings.linger_s
        if self._settled():
            self._finish(CloseReason.PEER_UNBOUND, "", events)

    def _settled(self) -> bool:
        return not self._incoming and not len(self.window)

    def _reject(self, command_id: int, number: int, status: int, reason: str, events: list[Event]) -> None:
        """Answer a PDU that cannot be taken, if its sender waits for an answer."""
        if not command_id & RESPONSE_BIT and command_id not in UNANSWERED:
            response = RESPONSE_OF.get(command_id, GenericNack)
            self._out.append(encode(response(sequence_number=number, command_status=status)))
        events.append(PduRejected(command_id, number, status, reason))

    def _break(self, fault: UnrecoverablePduError, events: list[Event]) -> None:
        self._out.append(encode(GenericNack(fault.sequence_number, fault.command_status)))
        events.append(PduRejected(fault.command_id, fault.sequence_number, fault.command_status, fault.reason))
        self._finish(CloseReason.PROTOCOL_FAULT, fault.reason, events)

    # Versions

    def _negotiate(self, request: Pdu, response: Pdu) -> None:
        """SMSC: the bind is answered."""
        if response.command_status == 0:
            self.session.sent(response.command_id)
            self._timers.bound(self._now)
        self.peer_interface_version = getattr(request, "interface_version", None)
        self._agree_on_tlvs()

    def _agree_on_tlvs(self) -> None:
        """A peer that names no version is taken at our own: many SMSCs of 3.4 leave sc_interface_version out."""
        peer = self.peer_interface_version
        self.tlvs_allowed = self._own_version >= TLV_VERSION and (peer is None or peer >= TLV_VERSION)

    # Time and the end

    def on_tick(self, now: float) -> list[Event]:
        """Do what is due: expire requests, probe the peer, give up on it. Harmless when nothing is due."""
        events: list[Event] = []
        if self.closed:
            return events
        self._now = now
        control = []
        for _number, request, token in self.window.expire(now):
            if token is CONTROL:
                control.append(request.command_id)
            else:
                events.append(RequestExpired(token, request))
        for command_id in control:
            self._on_control_expired(command_id, events)
        for due in self._timers.on_tick(now):
            self._on_due(due, now, events)
        if self._linger_until != NEVER and (now >= self._linger_until or self._settled()):
            self._finish(CloseReason.PEER_UNBOUND, "", events)
        return events

    def _on_control_expired(self, command_id: int, events: list[Event]) -> None:
        if command_id == _ENQUIRE_LINK:
            # A peer that sends other PDUs is alive, whatever it does with enquire_link.
            if self._timers.heard_at <= self._probed_at:
                self._finish(CloseReason.ENQUIRE_LINK_TIMEOUT, "", events)
        elif command_id == _UNBIND:
            self._finish(self._unbind_reason or CloseReason.UNBOUND, "no unbind_resp", events)
        else:
            self._finish(CloseReason.SESSION_INIT_TIMEOUT, f"no answer to {command_name(command_id)}", events)

    def _on_due(self, due: Due, now: float, events: list[Event]) -> None:
        if self.closed:
            return
        if due is Due.ENQUIRE_LINK:
            self.enquire_link(now)
        elif due is Due.INACTIVITY:
            self.unbind(now, CloseReason.INACTIVITY)
        else:
            self._finish(CloseReason.SESSION_INIT_TIMEOUT, "", events)

    def connection_lost(self, detail: str = "") -> list[Event]:
        """The transport is gone, from whichever side. Requests whose octets were not taken yet come back as never sent."""
        events: list[Event] = []
        if self._unbind_reason is not None:
            reason = self._unbind_reason  # closing in place of unbind_resp is as good as an answer
        elif self._peer_unbound:
            reason = CloseReason.PEER_UNBOUND
        else:
            reason = CloseReason.PEER_CLOSED
        self._finish(reason, detail, events, never_sent=frozenset(self._unsent))
        self._out = []
        return events

    def close(self, detail: str = "") -> list[Event]:
        """End the session without unbind. The owner then closes the transport."""
        events: list[Event] = []
        self._finish(CloseReason.CLOSED, detail, events)
        return events

    def _finish(
        self, reason: CloseReason, detail: str, events: list[Event], never_sent: frozenset[int] = frozenset()
    ) -> None:
        if self.closed:
            return
        self.closed = True
        self.session.disconnected()
        drained = self.window.drain()
        events.append(
            SessionClosed(
                reason,
                detail,
                tuple(token for number, token in drained if number not in never_sent),
                tuple(token for number, token in drained if number in never_sent),
            )
        )
