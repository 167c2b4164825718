"""Many ledger rows in few statements: opened, decided and settled by the batch. The rules are those of :mod:`gateway.store.ledger`.

One INSERT for all rows, one for all lines of the journal, one guarded UPDATE for each group of rows that go the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.errors import StaleStateError
from gateway.model import ChargeDecision, ChargeState
from gateway.store.ledger import Charge, NewCharge, can_move, money_moved
from gateway.store.schema import charge, charge_journal
from gateway.store.sql import in_list, insert_rows, plain_datetime

_CHARGE = (
    "mo_id",
    "route",
    "profile",
    "amount_vnd",
    "decision",
    "state",
    "reason",
    "link",
    "lapses_at",
    "created_at",
    "state_at",
)
_JOURNAL = ("mo_id", "at", "from_state", "to_state", "decision", "amount_vnd", "reason")

_PENDING, _DECIDED, _NOT_CHARGED = ChargeState.PENDING.value, ChargeState.DECIDED.value, ChargeState.NOT_CHARGED.value
_NO_CHARGE = ChargeDecision.NO_CHARGE.value


@dataclass(frozen=True, slots=True)
class Opened:
    """A row to open, and when its MO was received."""

    charge: NewCharge
    at: datetime
    ignore_reason: str = ""  # why the MO is not answered: its row ends NOT_CHARGED at once


@dataclass(frozen=True, slots=True)
class Move:
    """A change of a row that this transaction has read and locked."""

    before: Charge
    to_state: ChargeState
    reason: str
    decision: ChargeDecision | None = None  # None keeps the old one
    outcome_raw: str | None = None  # likewise


def open_charges_txn(conn: Connection, opened: Sequence[Opened]) -> None:
    """Open the rows of MOs that were recorded in this transaction; the primary key refuses a second for any of them."""
    rows: list[tuple[Any, ...]] = []
    lines: list[tuple[Any, ...]] = []
    for item in opened:
        new, ignored = item.charge, item.ignore_reason
        at, lapses_at = _plain(conn, item.at), _plain(conn, new.lapses_at)
        state, decision = (_NOT_CHARGED, _NO_CHARGE) if ignored else (_PENDING, None)
        row = (new.mo_id, new.route, new.profile, new.amount_vnd, decision, state, ignored)
        rows.append((*row, new.link, lapses_at, at, at))
        lines.append((new.mo_id, at, None, _PENDING, None, 0, "received"))
        if ignored:
            lines.append((new.mo_id, at, _PENDING, _NOT_CHARGED, _NO_CHARGE, 0, ignored))
    insert_rows(conn, charge, _CHARGE, rows)
    insert_rows(conn, charge_journal, _JOURNAL, lines)


def decide_charges_txn(conn: Connection, decided: Sequence[tuple[int, ChargeDecision, str]], now: datetime) -> None:
    """PENDING → DECIDED for rows (mo_id, decision, reason) whose MOs are locked by this transaction.

    Raises:
        StaleStateError: one of them is not PENDING.
    """
    groups: dict[tuple[ChargeDecision, str], list[int]] = {}
    for mo_id, decision, reason in decided:
        groups.setdefault((decision, reason), []).append(mo_id)
    for (decision, reason), ids in groups.items():
        _update(conn, ids, ChargeState.PENDING, ChargeState.DECIDED, now, reason, decision, None)
    at = _plain(conn, now)
    lines = [(mo_id, at, _PENDING, _DECIDED, decision.value, 0, reason) for mo_id, decision, reason in decided]
    insert_rows(conn, charge_journal, _JOURNAL, lines)


def move_charges_txn(conn: Connection, moves: Sequence[Move], now: datetime) -> list[Charge]:
    """Change rows and write the changes into the journal; the rows as they are now, in order. No row may come twice.

    Raises:
        StaleStateError: a row's state does not allow its change, or is not the one that was read.
    """
    groups: dict[tuple[Any, ...], list[int]] = {}
    lines: list[tuple[Any, ...]] = []
    moved: list[Charge] = []
    at = _plain(conn, now)
    for move in moves:
        before, decision = move.before, move.decision
        if not can_move(before.state, move.to_state):
            raise StaleStateError(
                f"the charge of query {before.mo_id} is {before.state.value} and cannot become {move.to_state.value}"
            )
        way = (before.state, move.to_state, now, move.reason, decision, move.outcome_raw)
        groups.setdefault(way, []).append(before.mo_id)
        in_force = decision or before.decision
        line = (before.mo_id, at, before.state.value, move.to_state.value, None if in_force is None else in_force.value)
        lines.append((*line, money_moved(before, move.to_state), move.reason))
        raw = before.outcome_raw if move.outcome_raw is None else move.outcome_raw
        moved.append(
            replace(before, state=move.to_state, state_at=now, reason=move.reason, decision=in_force, outcome_raw=raw)
        )
    for way, ids in groups.items():
        _update(conn, ids, *way)
    insert_rows(conn, charge_journal, _JOURNAL, lines)
    return moved


def _update(
    conn: Connection,
    ids: list[int],
    before: ChargeState,
    after: ChargeState,
    now: datetime,
    reason: str,
    decision: ChargeDecision | None,
    raw: str | None,
) -> None:
    values: dict[str, Any] = {"ids": ids, "before": before.value, "after": after.value, "now_": now, "reason_": reason}
    if decision is not None:
        values["decision_"] = decision.value
    if raw is not None:
        values["raw"] = raw
    changed = conn.execute(_update_statement(conn.dialect.name, decision is not None, raw is not None), values).rowcount
    if changed != len(ids):
        raise StaleStateError(f"{len(ids) - changed} charges were not {before.value} when they became {after.value}")


@cache
def _update_statement(dialect: str, decides: bool, told: bool) -> sa.Update:
    values: dict[str, Any] = {
        "state": sa.bindparam("after"),
        "state_at": sa.bindparam("now_"),
        "reason": sa.bindparam("reason_"),
    }
    if decides:
        values["decision"] = sa.bindparam("decision_")
    if told:
        values["outcome_raw"] = sa.bindparam("raw")
    # An expression, so that SQLite looks by mo_id: it would take the index on state, and read every row in that state.
    state = charge.c.state.concat("")
    rows = sa.and_(in_list(dialect, charge.c.mo_id, "ids"), state == sa.bindparam("before"))
    return sa.update(charge).where(rows).values(values)


def _plain(conn: Connection, value: datetime | None) -> datetime | str | None:
    return plain_datetime(conn.dialect.name, value)
