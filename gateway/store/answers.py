"""Queries (MO) in the store: answered exactly once, or closed without an answer.

:func:`reply_mos_txn` is one transaction for invariant 8 (one reply, one charge): it moves MOs from RECEIVED to REPLIED, puts
their replies into the outbox and the decisions into the ledger; the second caller, on whatever node, finds an MO moved and
changes nothing of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.errors import StaleStateError
from gateway.model import ChargeDecision, ChargeState, MoState, NewMessage, ReplyKind
from gateway.store.ledger import move_txn
from gateway.store.ledger_batch import decide_charges_txn
from gateway.store.outbox import insert_messages_txn
from gateway.store.schema import mo
from gateway.store.sql import in_list, plain_datetime

_REPLY = {"reply_kind": "text", "found_in": "text", "lookup_ms": "integer", "replied_at": "timestamptz", "id": "bigint"}
_SET = f"UPDATE mo SET state = '{MoState.REPLIED.value}', "


@dataclass(frozen=True, slots=True)
class ReplyTo:
    """The answer to an MO, with all that is recorded of it."""

    mo_id: int
    message: NewMessage
    kind: ReplyKind
    decision: ChargeDecision
    reason: str  # of the decision, for the ledger
    found_in: str | None = None
    lookup_ms: int | None = None


def reply_mos_txn(conn: Connection, replies: Sequence[ReplyTo], now: datetime) -> list[bool]:
    """Answer MOs: replies into the outbox in the order of their MOs, decisions into the ledger, each once.

    Returns one entry for each: False when its MO is answered or closed already, also by an earlier entry of the list.
    """
    open_ids = set(conn.execute(_select_open(conn.dialect.name), {"ids": [reply.mo_id for reply in replies]}).scalars())
    mine: dict[int, ReplyTo] = {}
    done: list[bool] = []
    for reply in replies:
        done.append(reply.mo_id in open_ids)
        if reply.mo_id in open_ids:
            open_ids.discard(reply.mo_id)
            mine[reply.mo_id] = reply
    chosen = [mine[mo_id] for mo_id in sorted(mine)]  # a handset gets its replies in the order of its queries
    if chosen:
        _mark_replied(conn, chosen, now)
        inserted = insert_messages_txn(conn, [reply.message for reply in chosen], now)
        if None in inserted:
            mo_id = chosen[inserted.index(None)].mo_id
            raise StaleStateError(f"query {mo_id} has a reply in the outbox, but was not marked as replied")
        decide_charges_txn(conn, [(reply.mo_id, reply.decision, reply.reason) for reply in chosen], now)
    return done


def ignore_txn(conn: Connection, mo_id: int, reason: str, now: datetime) -> bool:
    """Close an MO without a reply and without a charge. False: it is closed already."""
    moved = conn.execute(
        mo.update()
        .where(mo.c.id == mo_id, mo.c.state == MoState.RECEIVED.value)
        .values(state=MoState.IGNORED.value, reason=reason)
    )
    if moved.rowcount != 1:
        return False
    move_txn(conn, mo_id, ChargeState.NOT_CHARGED, now, reason=reason, decision=ChargeDecision.NO_CHARGE)
    return True


@cache
def _select_open(dialect: str) -> sa.Select[Any]:
    """Open MOs, locked: SQLite has one writer."""
    query = sa.select(mo.c.id).where(in_list(dialect, mo.c.id, "ids"), mo.c.state == MoState.RECEIVED.value)
    return query.order_by(mo.c.id).with_for_update() if dialect == "postgresql" else query


def _mark_replied(conn: Connection, replies: Sequence[ReplyTo], now: datetime) -> None:
    """RECEIVED → REPLIED for MOs that this transaction has locked."""
    at = plain_datetime(conn.dialect.name, now)
    rows: list[tuple[Any, ...]] = [
        (reply.kind.value, reply.found_in, reply.lookup_ms, at, reply.mo_id) for reply in replies
    ]
    if conn.dialect.name == "postgresql":
        sets = ", ".join(f"{name} = new.{name}" for name in _REPLY if name != "id")
        arrays = ", ".join(f"%s::{kind}[]" for kind in _REPLY.values())
        statement = f"{_SET}{sets} FROM unnest({arrays}) AS new({', '.join(_REPLY)}) WHERE mo.id = new.id"
        conn.exec_driver_sql(statement, tuple(list(values) for values in zip(*rows, strict=True)))
    else:
        sets = ", ".join(f"{name} = ?" for name in _REPLY if name != "id")
        conn.exec_driver_sql(f"{_SET}{sets} WHERE id = ?", rows)
