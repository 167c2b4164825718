"""The state table: complete, the same for both roles, and drawn in the documentation."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.smpp.constants import CommandId, CommandStatus
from gateway.smpp.errors import LocalProtocolError
from gateway.smpp.session import (
    BOUND_STATES,
    RULES,
    TRANSITIONS,
    UNANSWERED,
    Role,
    Session,
    SessionState,
)
from gateway.smpp.statechart import mermaid, render_page

DOCS = Path(__file__).parents[2] / "docs"
REQUESTS = [command_id for command_id in CommandId if not command_id & 0x80000000]

BIND_OF = {
    SessionState.BOUND_TX: (CommandId.BIND_TRANSMITTER, CommandId.BIND_TRANSMITTER_RESP),
    SessionState.BOUND_RX: (CommandId.BIND_RECEIVER, CommandId.BIND_RECEIVER_RESP),
    SessionState.BOUND_TRX: (CommandId.BIND_TRANSCEIVER, CommandId.BIND_TRANSCEIVER_RESP),
}


def pair_in(state: SessionState) -> tuple[Session, Session]:
    """An ESME and an SMSC that walked into this state by the PDUs between them."""
    esme, smsc = Session(Role.ESME), Session(Role.SMSC)

    def carry(sender: Session, receiver: Session, command_id: CommandId) -> None:
        sender.sent(command_id)
        receiver.received(command_id)

    if state is SessionState.OUTBOUND:
        carry(smsc, esme, CommandId.OUTBIND)
    elif state in BIND_OF:
        bind, response = BIND_OF[state]
        carry(esme, smsc, bind)
        carry(smsc, esme, response)
    elif state is SessionState.UNBOUND:
        carry(esme, smsc, CommandId.BIND_TRANSCEIVER)
        carry(smsc, esme, CommandId.BIND_TRANSCEIVER_RESP)
        carry(smsc, esme, CommandId.UNBIND)
    elif state is SessionState.CLOSED:
        esme.disconnected()
        smsc.disconnected()
    assert esme.state is smsc.state is state
    return esme, smsc


@pytest.mark.parametrize("state", SessionState)
def test_both_ends_read_the_table_alike(state: SessionState) -> None:
    esme, smsc = pair_in(state)
    assert esme.sendable == smsc.receivable
    assert smsc.sendable == esme.receivable


def test_every_request_of_the_standard_has_a_row() -> None:
    assert {rule.command_id for rule in RULES} == set(REQUESTS)


def test_every_state_but_the_first_is_reached() -> None:
    reached = {row.target for row in TRANSITIONS} | {SessionState.CLOSED}
    assert reached == set(SessionState) - {SessionState.OPEN}


@pytest.mark.parametrize("state", SessionState)
@pytest.mark.parametrize("command_id", REQUESTS, ids=lambda command_id: command_id.name.lower())
def test_what_may_not_be_sent_is_refused_here_and_there(state: SessionState, command_id: CommandId) -> None:
    esme, smsc = pair_in(state)
    for sender, receiver in ((esme, smsc), (smsc, esme)):
        if any(r.command_id is command_id and r.sender is sender.role and state in r.states for r in RULES):
            sender.check_send(command_id)
            assert command_id in receiver.receivable
        else:
            with pytest.raises(LocalProtocolError, match=command_id.name.lower()):
                sender.check_send(command_id)
            assert receiver.refusal(command_id) != CommandStatus.ESME_ROK


@pytest.mark.parametrize("state", sorted(BOUND_STATES, key=lambda state: state.value))
def test_a_bind_counts_when_it_is_accepted_not_when_it_is_sent(state: SessionState) -> None:
    bind, response = BIND_OF[state]
    session = Session(Role.ESME)
    session.sent(bind)
    assert session.state is SessionState.OPEN
    session.received(response, CommandStatus.ESME_RINVPASWD)
    assert session.state is SessionState.OPEN
    session.received(response)
    assert session.state is state
    assert session.bound


@pytest.mark.parametrize(
    ("role", "state", "command_id", "status"),
    [
        (Role.SMSC, SessionState.OPEN, CommandId.SUBMIT_SM, CommandStatus.ESME_RINVBNDSTS),
        (Role.SMSC, SessionState.BOUND_RX, CommandId.SUBMIT_SM, CommandStatus.ESME_RINVBNDSTS),
        (Role.SMSC, SessionState.UNBOUND, CommandId.SUBMIT_SM, CommandStatus.ESME_RINVBNDSTS),
        (Role.SMSC, SessionState.BOUND_TRX, CommandId.BIND_RECEIVER, CommandStatus.ESME_RALYBND),
        (Role.SMSC, SessionState.BOUND_TRX, CommandId.DELIVER_SM, CommandStatus.ESME_RINVCMDID),
        (Role.SMSC, SessionState.BOUND_TRX, 0x00010203, CommandStatus.ESME_RINVCMDID),
        (Role.ESME, SessionState.BOUND_TX, CommandId.DELIVER_SM, CommandStatus.ESME_RINVBNDSTS),
        (Role.ESME, SessionState.BOUND_TRX, CommandId.SUBMIT_SM, CommandStatus.ESME_RINVCMDID),
        (Role.ESME, SessionState.UNBOUND, CommandId.DELIVER_SM, CommandStatus.ESME_RX_T_APPN),
    ],
)
def test_the_status_of_a_refusal(role: Role, state: SessionState, command_id: int, status: CommandStatus) -> None:
    esme, smsc = pair_in(state)
    session = esme if role is Role.ESME else smsc
    assert command_id not in session.receivable
    assert session.refusal(command_id) is status


def test_requests_without_a_response_are_those_of_the_standard() -> None:
    assert {CommandId.OUTBIND, CommandId.ALERT_NOTIFICATION} == UNANSWERED


def test_the_page_in_the_documentation_is_up_to_date() -> None:
    page = (DOCS / "smpp-states.md").read_text(encoding="utf-8")
    assert page == render_page(), "run: python -m gateway.smpp.statechart docs/smpp-states.md"


def test_the_diagram_has_every_state() -> None:
    drawing = mermaid()
    for state in SessionState:
        assert f" {state.value}" in drawing
