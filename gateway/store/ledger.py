"""The charge ledger: one row per MO from its receipt to its final outcome, and an append-only journal of every change.

A row is opened PENDING in the transaction that records the MO. It is DECIDED in the transaction that puts the one reply
into the outbox, and it ends with what the operator did: CHARGED, NOT_CHARGED, REFUNDED or INSUFFICIENT_BALANCE. SENT means
that the operator took the reply and will tell the outcome by another sign. UNKNOWN means that the operator has not told the
outcome; it is left as soon as a late response, a receipt or the reconciliation tells it.

An MO that is not answered goes straight from PENDING to NOT_CHARGED. CHARGED is left only when the operator says so later
(a receipt, the reconciliation). Every change is guarded by the table ``MOVES``, and writes one line into the journal.

The journal's ``amount_vnd`` is what a change adds to the money charged: plus the price on entering CHARGED, minus the price
on leaving it, else 0. So these always agree, which :func:`ledger_totals_txn` lets anyone check::

    sum of journal.amount_vnd = sum of charge.amount_vnd over the rows in CHARGED
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from gateway.errors import StaleStateError
from gateway.model import ChargeDecision, ChargeState, MessageKind, MessageState
from gateway.store.schema import charge, charge_journal, message
from gateway.store.sql import in_list
from gateway.store.states import state_is

_OUTCOMES = frozenset(
    {ChargeState.CHARGED, ChargeState.NOT_CHARGED, ChargeState.REFUNDED, ChargeState.INSUFFICIENT_BALANCE}
)

#: state → the states that may follow. DECIDED → DECIDED is a new decision for a reply that has not left yet.
MOVES: Mapping[ChargeState, frozenset[ChargeState]] = {
    ChargeState.PENDING: frozenset({ChargeState.DECIDED, ChargeState.NOT_CHARGED}),
    ChargeState.DECIDED: _OUTCOMES | {ChargeState.DECIDED, ChargeState.SENT, ChargeState.UNKNOWN},
    ChargeState.SENT: _OUTCOMES | {ChargeState.UNKNOWN},
    ChargeState.UNKNOWN: _OUTCOMES,
    ChargeState.CHARGED: _OUTCOMES - {ChargeState.CHARGED},
    ChargeState.NOT_CHARGED: frozenset(),
    ChargeState.REFUNDED: frozenset(),
    ChargeState.INSUFFICIENT_BALANCE: frozenset(),
}


@dataclass(frozen=True, slots=True)
class NewCharge:
    """A ledger row to open."""

    mo_id: int
    route: str
    profile: str
    amount_vnd: int
    link: str | None
    lapses_at: datetime | None  # system time


@dataclass(frozen=True, slots=True)
class Charge:
    """A ledger row."""

    mo_id: int
    route: str
    profile: str
    amount_vnd: int
    decision: ChargeDecision | None
    state: ChargeState
    reason: str
    link: str | None
    outcome_raw: str | None
    created_at: datetime
    state_at: datetime
    lapses_at: datetime | None


@dataclass(frozen=True, slots=True)
class JournalLine:
    """One change of a ledger row."""

    mo_id: int
    at: datetime
    from_state: ChargeState | None
    to_state: ChargeState
    decision: ChargeDecision | None
    amount_vnd: int
    reason: str


@dataclass(frozen=True, slots=True)
class OpenReply:
    """A ledger row without outcome, with what became of its reply meanwhile."""

    charge: Charge
    message_id: int
    message_state: MessageState
    message_reason: str


@dataclass(frozen=True, slots=True)
class StateTotal:
    """The rows in one state: how many, and their prices together."""

    state: ChargeState
    rows: int
    amount_vnd: int


@dataclass(frozen=True, slots=True)
class LedgerTotals:
    """The ledger of a period, by the MOs' time of receipt."""

    states: tuple[StateTotal, ...]
    rows: int
    charged_vnd: int  # sum over the rows in CHARGED
    journal_vnd: int  # sum over the journal of the same rows

    @property
    def balanced(self) -> bool:
        """Rows and journal tell the same sum."""
        return self.charged_vnd == self.journal_vnd


def can_move(from_state: ChargeState, to_state: ChargeState) -> bool:
    """Whether the ledger allows this change."""
    return to_state in MOVES[from_state]


def charge_txn(conn: Connection, mo_id: int, *, for_update: bool = False) -> Charge | None:
    """The ledger row of an MO."""
    query = sa.select(charge).where(charge.c.mo_id == mo_id)
    row = conn.execute(query.with_for_update() if for_update else query).first()
    return None if row is None else _charge(row)


def move_txn(
    conn: Connection,
    mo_id: int,
    to_state: ChargeState,
    now: datetime,
    *,
    reason: str,
    from_state: ChargeState | None = None,
    decision: ChargeDecision | None = None,
    outcome_raw: str | None = None,
) -> Charge:
    """Change a row's state and write it into the journal; the row as it is now.

    Args:
        from_state: the state on which the caller's judgement rests; None when it rests on none.
        decision: the new decision; None keeps the old one. ``outcome_raw`` likewise.

    Raises:
        StaleStateError: there is no such row, or its state is another one or does not allow the change.
    """
    before = charge_txn(conn, mo_id, for_update=True)
    as_judged = before is not None and from_state in (None, before.state)
    if before is None or not as_judged or not can_move(before.state, to_state):
        state = "missing" if before is None else before.state.value
        raise StaleStateError(f"the charge of query {mo_id} is {state} and cannot become {to_state.value}")
    values: dict[str, Any] = {"state": to_state.value, "state_at": now, "reason": reason}
    if decision is not None:
        values["decision"] = decision.value
    if outcome_raw is not None:
        values["outcome_raw"] = outcome_raw
    changed = conn.execute(
        charge.update().where(charge.c.mo_id == mo_id, charge.c.state == before.state.value).values(values)
    )
    if changed.rowcount != 1:
        raise StaleStateError(f"the charge of query {mo_id} was changed by another node")
    amount_vnd = money_moved(before, to_state)
    line = JournalLine(mo_id, now, before.state, to_state, decision or before.decision, amount_vnd, reason)
    _write_journal(conn, line)
    return replace(
        before,
        state=to_state,
        state_at=now,
        reason=reason,
        decision=decision or before.decision,
        outcome_raw=before.outcome_raw if outcome_raw is None else outcome_raw,
    )


def lapse_charges_txn(
    conn: Connection, now: datetime, late_at: datetime, decision_when_late: Mapping[str, ChargeDecision]
) -> list[int]:
    """Replies that missed their deadline in the outbox lose their charge before they leave; their MOs' ids.

    Args:
        late_at: deadlines at or before this are missed.
        decision_when_late: profile name → NO_CHARGE, or REFUND where the operator took the money with the MO.
    """
    due = (
        sa.select(charge.c.mo_id, charge.c.profile, message.c.id.label("message_id"))
        .join(message, message.c.mo_id == charge.c.mo_id)
        .where(
            charge.c.state == ChargeState.DECIDED.value,
            charge.c.decision == ChargeDecision.CHARGE.value,
            charge.c.lapses_at <= late_at,
            message.c.kind == MessageKind.MO_REPLY.value,
            state_is(MessageState.QUEUED),
        )
        .order_by(charge.c.mo_id)
        .limit(1000)
    )
    lapsed: list[int] = []
    for row in conn.execute(due).all():
        decision = decision_when_late.get(row.profile, ChargeDecision.NO_CHARGE)
        # Guarded: a node that claims the reply at this moment sends it as it was decided.
        changed = conn.execute(
            message.update()
            .where(message.c.id == row.message_id, state_is(MessageState.QUEUED))
            .values(charge_decision=decision.value)
        )
        if changed.rowcount == 1:
            judged = ChargeState.DECIDED
            move_txn(conn, row.mo_id, ChargeState.DECIDED, now, reason="late", from_state=judged, decision=decision)
            lapsed.append(row.mo_id)
    return lapsed


def open_replies_txn(
    conn: Connection, states: Collection[ChargeState], message_states: Collection[MessageState], limit: int = 1000
) -> list[OpenReply]:
    """Rows in these states whose reply is in one of those states: an end that no submit_sm_resp told the ledger."""
    query = (
        sa.select(charge, message.c.id.label("message_id"), message.c.state.label("message_state"))
        .add_columns(message.c.reason.label("message_reason"))
        .join(message, message.c.mo_id == charge.c.mo_id)
        .where(
            charge.c.state.in_([state.value for state in states]),
            message.c.kind == MessageKind.MO_REPLY.value,
            state_is(*message_states),
        )
        .order_by(charge.c.mo_id)
        .limit(limit)
    )
    return [
        OpenReply(_charge(row), row.message_id, MessageState(row.message_state), row.message_reason)
        for row in conn.execute(query).all()
    ]


def charges_of_messages_txn(conn: Connection, message_ids: Sequence[int]) -> dict[int, Charge]:
    """message id → its ledger row, locked; messages that are no replies are left out."""
    if not message_ids:
        return {}
    rows = conn.execute(_charges_of_messages(conn.dialect.name), {"ids": list(message_ids)})
    return {row.message_id: _charge(row) for row in rows}


@cache
def _charges_of_messages(dialect: str) -> sa.Select[Any]:
    query = (
        sa.select(charge, message.c.id.label("message_id"))
        .join(message, message.c.mo_id == charge.c.mo_id)
        .where(in_list(dialect, message.c.id, "ids"), message.c.kind == MessageKind.MO_REPLY.value)
    )
    # One order everywhere: two nodes do not wait for each other in a circle. SQLite has one writer.
    return query.order_by(charge.c.mo_id).with_for_update(of=charge) if dialect == "postgresql" else query


def stale_sent_txn(conn: Connection, before: datetime, limit: int = 1000) -> list[int]:
    """MOs whose operator took the reply before this time and never told the outcome."""
    query = (
        sa.select(charge.c.mo_id)
        .where(charge.c.state == ChargeState.SENT.value, charge.c.state_at < before)
        .order_by(charge.c.mo_id)
        .limit(limit)
    )
    return list(conn.execute(query).scalars())


def journal_txn(conn: Connection, mo_id: int) -> list[JournalLine]:
    """The whole life of one ledger row, oldest change first."""
    query = sa.select(charge_journal).where(charge_journal.c.mo_id == mo_id).order_by(charge_journal.c.id)
    return [
        JournalLine(
            row.mo_id,
            row.at,
            None if row.from_state is None else ChargeState(row.from_state),
            ChargeState(row.to_state),
            None if row.decision is None else ChargeDecision(row.decision),
            row.amount_vnd,
            row.reason,
        )
        for row in conn.execute(query).all()
    ]


def ledger_totals_txn(
    conn: Connection, *, since: datetime | None = None, until: datetime | None = None
) -> LedgerTotals:
    """Rows and money by state, of the MOs received from ``since`` (included) to ``until`` (not included)."""
    period = []
    if since is not None:
        period.append(charge.c.created_at >= since)
    if until is not None:
        period.append(charge.c.created_at < until)
    by_state = (
        sa.select(charge.c.state, sa.func.count().label("rows"), sa.func.sum(charge.c.amount_vnd).label("amount_vnd"))
        .where(*period)
        .group_by(charge.c.state)
    )
    found = {ChargeState(row.state): (int(row.rows), int(row.amount_vnd)) for row in conn.execute(by_state).all()}
    states = tuple(StateTotal(state, *found.get(state, (0, 0))) for state in ChargeState)
    of_journal = sa.select(sa.func.coalesce(sa.func.sum(charge_journal.c.amount_vnd), 0))
    if period:
        of_journal = of_journal.join(charge, charge.c.mo_id == charge_journal.c.mo_id).where(*period)
    return LedgerTotals(
        states,
        sum(total.rows for total in states),
        found.get(ChargeState.CHARGED, (0, 0))[1],
        int(conn.execute(of_journal).scalar_one()),
    )


def money_moved(before: Charge, to_state: ChargeState) -> int:
    """What a change adds to the money charged: the journal's ``amount_vnd``."""
    if to_state is before.state:
        return 0
    if to_state is ChargeState.CHARGED:
        return before.amount_vnd
    return -before.amount_vnd if before.state is ChargeState.CHARGED else 0


def _write_journal(conn: Connection, line: JournalLine) -> None:
    conn.execute(
        charge_journal.insert().values(
            mo_id=line.mo_id,
            at=line.at,
            from_state=None if line.from_state is None else line.from_state.value,
            to_state=line.to_state.value,
            decision=None if line.decision is None else line.decision.value,
            amount_vnd=line.amount_vnd,
            reason=line.reason,
        )
    )


def _charge(row: Row[Any]) -> Charge:
    return Charge(
        row.mo_id,
        row.route,
        row.profile,
        row.amount_vnd,
        None if row.decision is None else ChargeDecision(row.decision),
        ChargeState(row.state),
        row.reason,
        row.link,
        row.outcome_raw,
        row.created_at,
        row.state_at,
        row.lapses_at,
    )
