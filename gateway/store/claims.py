"""Claims: a node takes messages to send, and commits that before bytes leave (invariant 2)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.sql.dml import ReturningUpdate

from gateway.model import ChargeDecision, ClaimedMessage, MessageKind, MessageState, PartState
from gateway.store.rollup import TAKEN
from gateway.store.schema import message, message_part
from gateway.store.states import state_is

_COLUMNS = (
    message.c.id,
    message.c.kind,
    message.c.text,
    message.c.coding,
    message.c.parts,
    message.c.source_addr,
    message.c.destination_addr,
    message.c.route,
    message.c.attempts,
    message.c.possible_duplicate,
    message.c.mo_id,
    message.c.charge_decision,
    message.c.charge_link,
    message.c.expires_at,
    message.c.priority,
)


@dataclass(frozen=True, slots=True)
class Claim:
    """What a claim brought."""

    messages: tuple[ClaimedMessage, ...]  # in the order in which they are to leave
    expired: tuple[int, ...]  # queued for too long: EXPIRED instead


def claim_txn(
    conn: Connection, *, route: str, node: str, limit_parts: int, now: datetime, business_now: datetime
) -> Claim:
    """Take queued messages of one operator for one node: queued → sending, by priority, then in order of insertion.

    Takes as many whole messages as fit ``limit_parts``, and always one that is first in the queue: a message longer
    than the limit would otherwise never leave. Expired ones are among those taken, and become EXPIRED at once. Other
    nodes' claims are passed over, never waited for.
    """
    if limit_parts <= 0:
        return Claim((), ())
    rows = conn.execute(
        _statement(conn.dialect.name),
        {"route_": route, "node_": node, "limit_": limit_parts, "now_": now, "business_now_": business_now},
    ).all()
    rows = sorted(rows, key=itemgetter(14, 0))  # priority, id
    expired = [row.id for row in rows if row.expires_at is not None and row.expires_at <= business_now]
    if expired:
        _expire(conn, expired, now)
        rows = [row for row in rows if row.id not in set(expired)]
    done = _parts_done(conn, [row.id for row in rows if row.parts > 1 or row.attempts > 1])
    return Claim(tuple([_claimed(row, done) for row in rows]), tuple(expired))


def _build(dialect: str) -> ReturningUpdate[Any]:
    due = (
        sa.select(message.c.id, message.c.priority, message.c.parts)
        .where(
            state_is(MessageState.QUEUED),
            message.c.route == sa.bindparam("route_"),
            message.c.not_before <= sa.bindparam("business_now_"),
        )
        .order_by(message.c.priority, message.c.id)
        .limit(sa.bindparam("limit_", type_=sa.Integer))  # a message has one part at least
    )
    if dialect == "postgresql":
        due = due.with_for_update(skip_locked=True)
    first = due.cte("due") if dialect == "postgresql" else due.subquery("due")
    until_here = sa.func.sum(first.c.parts).over(order_by=(first.c.priority, first.c.id), rows=(None, 0))
    counted = sa.select(first.c.id, first.c.parts, until_here.label("until_here")).subquery("counted")
    fitting = sa.select(counted.c.id).where(
        sa.or_(
            counted.c.until_here <= sa.bindparam("limit_", type_=sa.Integer), counted.c.until_here == counted.c.parts
        )
    )
    return (
        sa.update(message)
        .where(message.c.id.in_(fitting), state_is(MessageState.QUEUED))
        .values(
            state=MessageState.SENDING.value,
            reason="",
            node=sa.bindparam("node_"),
            attempts=message.c.attempts + 1,
            state_at=sa.bindparam("now_"),
        )
        .returning(*_COLUMNS)
    )


_STATEMENTS: dict[str, ReturningUpdate[Any]] = {}


def _statement(dialect: str) -> ReturningUpdate[Any]:
    if dialect not in _STATEMENTS:
        _STATEMENTS[dialect] = _build(dialect)
    return _STATEMENTS[dialect]


def _expire(conn: Connection, ids: Sequence[int], now: datetime) -> None:
    conn.execute(
        sa.update(message)
        .where(message.c.id.in_(ids), state_is(MessageState.SENDING))
        .values(state=MessageState.EXPIRED.value, reason="validity", node=None, state_at=now)
    )


def _parts_done(conn: Connection, ids: Sequence[int]) -> dict[int, tuple[int, ...]]:
    """The parts that the SMSC has from an earlier attempt: they never leave again."""
    if not ids:
        return {}
    done = [state.value for state in (*TAKEN, PartState.REJECTED)]
    query = (
        sa.select(message_part.c.message_id, message_part.c.part)
        .where(message_part.c.message_id.in_(ids), message_part.c.state.in_(done))
        .order_by(message_part.c.message_id, message_part.c.part)
    )
    found: dict[int, tuple[int, ...]] = {}
    for number, part in conn.execute(query):
        found[number] = (*found.get(number, ()), part)
    return found


_KINDS = {kind.value: kind for kind in MessageKind}


def _claimed(row: Sequence[Any], done: dict[int, tuple[int, ...]]) -> ClaimedMessage:
    # unpacked, not by name: there are thousands a second
    (
        number,
        kind,
        text,
        coding,
        parts,
        source,
        destination,
        route,
        attempts,
        duplicate,
        mo_id,
        decision,
        link,
        end,
        first,
    ) = row
    return ClaimedMessage(
        number,
        _KINDS[kind],
        text,
        coding,
        parts,
        source,
        destination,
        route,
        attempts,
        duplicate,
        done.get(number, ()),
        mo_id,
        None if decision is None else ChargeDecision(decision),
        end,
        link,
        first,
    )


def release_strays_txn(conn: Connection, node: str, known: Collection[int], before: datetime, now: datetime) -> int:
    """Give back what this node has claimed without knowing of it: sending → queued. Returns how many.

    A claim whose commit was answered by a lost connection may have been carried out. Nothing of it was sent, because
    the sender never heard of it. ``known`` is everything that the sender has in hand; ``before`` keeps off claims that
    are just being made.
    """
    mine = sa.select(message.c.id).where(
        state_is(MessageState.SENDING), message.c.node == node, message.c.state_at < before
    )
    strays = sorted({number for (number,) in conn.execute(mine)} - set(known))
    if not strays:
        return 0
    return conn.execute(
        sa.update(message)
        .where(message.c.id.in_(strays), state_is(MessageState.SENDING), message.c.node == node)
        .values(state=MessageState.QUEUED.value, reason="claim_lost", node=None, state_at=now)
    ).rowcount
