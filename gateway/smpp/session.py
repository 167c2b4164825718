"""What may be sent when: the states of an SMPP session and the one table that both roles obey.

A session has two ends. The ESME (us towards an operator) opens the connection and binds; the SMSC decides. Both ends
walk through the same states, because both see the same PDUs; so there is one table, read from either side.

OPEN is where every connection starts: TCP is there, nobody is bound. The ESME may bind as a transmitter, a receiver or
both (transceiver). The state does not change when the bind is *sent*, but when it is *answered* with ESME_ROK: a refused
bind leaves the session OPEN, and the ESME may try again on the same connection or close it. An SMSC that has something to
deliver may open the connection itself and send outbind; then the session is OUTBOUND and the ESME binds back.

BOUND_TX, BOUND_RX and BOUND_TRX say who may send messages. A transmitter submits; a receiver is delivered to; a transceiver
does both. data_sm goes either way, wherever submit_sm or deliver_sm would go. That a receiver may not submit is a rule
of the table, not of the code that reads it: the request is answered with ESME_RINVBNDSTS and the session goes on.

Either end may send unbind. From then on the session is UNBOUND: no new requests, but answers to the old ones still
count, and enquire_link still works. Whoever asked closes the connection when unbind_resp has come. Many peers close at once in
its place; that is as good. Both may ask at the same moment; each answers the other.

CLOSED means that the connection is gone. Nothing is sent or received; a new connection is a new session.

Responses are not in the table. Whether a response may come is no question of the state but of the window: it must answer a
request that is open. Whether one may be sent: only to a request that was received and not yet answered. generic_nack
is a response in this sense.

A request that the table does not allow is answered, since its sender waits: with ESME_RINVBNDSTS if the state is wrong,
with ESME_RALYBND if it is a second bind, with ESME_RINVCMDID if this role never takes it. Two requests have no
answer in the standard, outbind and alert_notification, so they never get one.

Sources: SMPP 3.4 §2.2 and table 2-1; SMPP 5.0 §2.2 and its operation matrix, which adds OUTBOUND and UNBOUND.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from gateway.smpp.constants import CommandId, CommandStatus, command_name
from gateway.smpp.errors import LocalProtocolError


class Role(Enum):
    """Which end of the session this is."""

    ESME = "ESME"
    SMSC = "SMSC"

    @property
    def peer(self) -> Role:
        return Role.SMSC if self is Role.ESME else Role.ESME


class SessionState(Enum):
    """SMPP 5.0 §2.2. The prose above tells what each means."""

    OPEN = "open"
    OUTBOUND = "outbound"
    BOUND_TX = "bound_tx"
    BOUND_RX = "bound_rx"
    BOUND_TRX = "bound_trx"
    UNBOUND = "unbound"
    CLOSED = "closed"


class Rule(NamedTuple):
    """One row: ``sender`` may send the request ``command_id`` in these states."""

    command_id: CommandId
    sender: Role
    states: frozenset[SessionState]


class Transition(NamedTuple):
    """One arrow: when ``sender`` has sent ``command_id`` (a response only with ESME_ROK), the session changes state."""

    source: SessionState
    sender: Role
    command_id: CommandId
    target: SessionState


_OPEN = SessionState.OPEN
_OUTBOUND = SessionState.OUTBOUND
_TX = SessionState.BOUND_TX
_RX = SessionState.BOUND_RX
_TRX = SessionState.BOUND_TRX
_UNBOUND = SessionState.UNBOUND

BOUND_STATES = frozenset({_TX, _RX, _TRX})
#: Where messages flow from the ESME, and where to it.
SUBMITTING = frozenset({_TX, _TRX})
DELIVERING = frozenset({_RX, _TRX})
CONNECTED = frozenset(SessionState) - {SessionState.CLOSED}

RULES: tuple[Rule, ...] = (
    Rule(CommandId.BIND_TRANSMITTER, Role.ESME, frozenset({_OPEN, _OUTBOUND})),
    Rule(CommandId.BIND_RECEIVER, Role.ESME, frozenset({_OPEN, _OUTBOUND})),
    Rule(CommandId.BIND_TRANSCEIVER, Role.ESME, frozenset({_OPEN, _OUTBOUND})),
    Rule(CommandId.OUTBIND, Role.SMSC, frozenset({_OPEN})),
    # In UNBOUND too: both ends may ask at the same moment.
    Rule(CommandId.UNBIND, Role.ESME, BOUND_STATES | {_UNBOUND}),
    Rule(CommandId.UNBIND, Role.SMSC, BOUND_STATES | {_UNBOUND}),
    # 3.4 allows it when bound; 5.0 in every state, and there are load balancers that probe before they bind.
    Rule(CommandId.ENQUIRE_LINK, Role.ESME, CONNECTED),
    Rule(CommandId.ENQUIRE_LINK, Role.SMSC, CONNECTED),
    Rule(CommandId.SUBMIT_SM, Role.ESME, SUBMITTING),
    Rule(CommandId.SUBMIT_MULTI, Role.ESME, SUBMITTING),
    Rule(CommandId.QUERY_SM, Role.ESME, SUBMITTING),
    Rule(CommandId.CANCEL_SM, Role.ESME, SUBMITTING),
    Rule(CommandId.REPLACE_SM, Role.ESME, SUBMITTING),
    Rule(CommandId.BROADCAST_SM, Role.ESME, SUBMITTING),
    Rule(CommandId.QUERY_BROADCAST_SM, Role.ESME, SUBMITTING),
    Rule(CommandId.CANCEL_BROADCAST_SM, Role.ESME, SUBMITTING),
    Rule(CommandId.DATA_SM, Role.ESME, SUBMITTING),
    Rule(CommandId.DATA_SM, Role.SMSC, DELIVERING),
    Rule(CommandId.DELIVER_SM, Role.SMSC, DELIVERING),
    Rule(CommandId.ALERT_NOTIFICATION, Role.SMSC, DELIVERING),
)

TRANSITIONS: tuple[Transition, ...] = (
    Transition(_OPEN, Role.SMSC, CommandId.OUTBIND, _OUTBOUND),
    Transition(_OPEN, Role.SMSC, CommandId.BIND_TRANSMITTER_RESP, _TX),
    Transition(_OPEN, Role.SMSC, CommandId.BIND_RECEIVER_RESP, _RX),
    Transition(_OPEN, Role.SMSC, CommandId.BIND_TRANSCEIVER_RESP, _TRX),
    Transition(_OUTBOUND, Role.SMSC, CommandId.BIND_TRANSMITTER_RESP, _TX),
    Transition(_OUTBOUND, Role.SMSC, CommandId.BIND_RECEIVER_RESP, _RX),
    Transition(_OUTBOUND, Role.SMSC, CommandId.BIND_TRANSCEIVER_RESP, _TRX),
    *(
        Transition(state, sender, CommandId.UNBIND, _UNBOUND)
        for state in (_TX, _RX, _TRX)
        for sender in (Role.ESME, Role.SMSC)
    ),
)

#: Requests that the standard gives no response (SMPP 3.4 §4.1.7, §4.12).
UNANSWERED = frozenset({int(CommandId.OUTBIND), int(CommandId.ALERT_NOTIFICATION)})
BINDS = frozenset(
    int(command) for command in (CommandId.BIND_TRANSMITTER, CommandId.BIND_RECEIVER, CommandId.BIND_TRANSCEIVER)
)

_ALLOWED: dict[tuple[SessionState, Role], frozenset[int]] = {
    (state, sender): frozenset(int(rule.command_id) for rule in RULES if rule.sender is sender and state in rule.states)
    for state in SessionState
    for sender in Role
}
_EVER: dict[Role, frozenset[int]] = {
    sender: frozenset(int(rule.command_id) for rule in RULES if rule.sender is sender) for sender in Role
}
_NEXT: dict[tuple[SessionState, Role, int], SessionState] = {
    (row.source, row.sender, int(row.command_id)): row.target for row in TRANSITIONS
}


class Session:
    """The state of one end of one session. It says what is allowed; it sends nothing.

    ``sendable`` and ``receivable`` are the requests allowed now, as sets, so that the check of a PDU is one look-up.
    ``bound``: in one of the three bound states.
    """

    __slots__ = ("bound", "receivable", "role", "sendable", "state")

    def __init__(self, role: Role) -> None:
        self.role = role
        self._enter(SessionState.OPEN)

    def _enter(self, state: SessionState) -> None:
        self.state = state
        self.sendable = _ALLOWED[state, self.role]
        self.receivable = _ALLOWED[state, self.role.peer]
        self.bound = state in BOUND_STATES

    def check_send(self, command_id: int) -> None:
        """Raises :class:`LocalProtocolError` if this end may not send the request now."""
        if command_id not in self.sendable:
            raise LocalProtocolError(
                f"{self.role.value} may not send {command_name(command_id)} when {self.state.value}"
            )

    def refusal(self, command_id: int) -> CommandStatus:
        """The status that answers a request which is not receivable now."""
        if command_id not in _EVER[self.role.peer]:
            return CommandStatus.ESME_RINVCMDID
        if command_id in BINDS and self.bound:
            return CommandStatus.ESME_RALYBND
        if self.role is Role.ESME and self.state is SessionState.UNBOUND:
            # A deliver_sm that crossed our unbind. RINVBNDSTS would make some SMSCs drop the message; a temporary error keeps it.
            return CommandStatus.ESME_RX_T_APPN
        return CommandStatus.ESME_RINVBNDSTS

    def sent(self, command_id: int, command_status: int = 0) -> None:
        """This end has sent a request, or a response with this status."""
        self._moved(self.role, command_id, command_status)

    def received(self, command_id: int, command_status: int = 0) -> None:
        """The peer has sent a request that is receivable, or a response that answers an open request."""
        self._moved(self.role.peer, command_id, command_status)

    def _moved(self, sender: Role, command_id: int, command_status: int) -> None:
        target = _NEXT.get((self.state, sender, command_id))
        if target is not None and command_status == 0:
            self._enter(target)

    def disconnected(self) -> None:
        """The connection is gone."""
        self._enter(SessionState.CLOSED)
