"""What a :class:`gateway.smpp.connection.Connection` reports: one small value for each thing that its owner must know."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from gateway.smpp.pdu import Pdu


class CloseReason(Enum):
    """Why a session ended. The value is for people."""

    UNBOUND = "unbound"  # we sent unbind; the peer answered it, or closed in its place
    PEER_UNBOUND = "the peer unbound"
    PEER_CLOSED = "connection lost"
    PROTOCOL_FAULT = "the peer broke the protocol"
    SESSION_INIT_TIMEOUT = "no bind in time"
    ENQUIRE_LINK_TIMEOUT = "the peer does not answer enquire_link"
    INACTIVITY = "idle for too long"
    CLOSED = "closed by us"


class RequestReceived(NamedTuple):
    """A request that the session allows: answer it with ``send_response``, unless it has no answer (outbind, alert_notification)."""

    pdu: Pdu


class ResponseReceived(NamedTuple):
    """The answer to an open request: its own response or generic_nack, with any command_status.

    ``request`` is the PDU as it was given to ``send_request``; the number on the wire is in ``response``.
    """

    token: object
    request: Pdu
    response: Pdu


class RequestExpired(NamedTuple):
    """A request got no answer in time. It may have been carried out; a late answer is still recognised."""

    token: object
    request: Pdu


class LateResponse(NamedTuple):
    """The answer to a request that had expired."""

    token: object
    response: Pdu


class UnexpectedResponse(NamedTuple):
    """An answer to nothing: given twice, of another kind, to an unknown number, or after it was forgotten."""

    pdu: Pdu


class PduRejected(NamedTuple):
    """A PDU of the peer was malformed, unknown, or not allowed now; it was answered if it wanted an answer."""

    command_id: int
    sequence_number: int
    command_status: int
    reason: str


class Bound(NamedTuple):
    """ESME: the SMSC accepted the bind."""

    response: Pdu


class BindRefused(NamedTuple):
    """ESME: the SMSC refused the bind; the session is open again."""

    command_status: int
    response: Pdu


class SessionClosed(NamedTuple):
    """The last event. The tokens of all open requests come back, oldest first, each in one of two lists.

    ``unanswered``: the octets left, or may have left. ``never_sent``: they surely did not.
    """

    reason: CloseReason
    detail: str
    unanswered: tuple[object, ...]
    never_sent: tuple[object, ...]


Event = (
    RequestReceived
    | ResponseReceived
    | RequestExpired
    | LateResponse
    | UnexpectedResponse
    | PduRejected
    | Bound
    | BindRefused
    | SessionClosed
)
