"""Messages in doubt, and accepted ones of which nobody speaks any more: how they end (invariants 3 and 7)."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.model import MessageState, PartState
from gateway.store.schema import message, message_part
from gateway.store.states import picked, state_is


def resend_doubtful_txn(
    conn: Connection, before: datetime, business_now: datetime, now: datetime, limit: int
) -> list[int]:
    """Send notices once more that have been in doubt since before this time: unknown → queued, a possible duplicate.

    Once: a possible duplicate that comes into doubt again is left to :func:`close_doubtful_txn`. Replies to MOs are never
    sent again blindly, and nothing is that has expired. Parts that the SMSC has are not sent again. Returns the ids.
    """
    due = (
        sa.select(message.c.id)
        .where(
            state_is(MessageState.UNKNOWN),
            message.c.state_at <= before,
            message.c.mo_id.is_(None),
            message.c.possible_duplicate == sa.false(),
            sa.or_(message.c.expires_at.is_(None), message.c.expires_at > business_now),
        )
        .order_by(message.c.state_at)
        .limit(limit)
    )
    statement = (
        sa.update(message)
        .where(message.c.id.in_(picked(conn, due)), state_is(MessageState.UNKNOWN))
        .values(
            state=MessageState.QUEUED.value,
            reason="possible_duplicate",
            possible_duplicate=True,
            node=None,
            state_at=now,
        )
        .returning(message.c.id)
    )
    again = sorted(number for (number,) in conn.execute(statement))
    if again:
        # What became of the first attempt's parts must not end the second attempt before all its parts have left.
        conn.execute(
            sa.delete(message_part).where(
                message_part.c.message_id.in_(again), message_part.c.state == PartState.UNKNOWN.value
            )
        )
    return again


def close_doubtful_txn(conn: Connection, before: datetime, now: datetime, limit: int) -> list[int]:
    """End what has been in doubt since before this time without a receipt: unknown → undelivered, reason "in_doubt"."""
    return _close(conn, MessageState.UNKNOWN, MessageState.UNDELIVERED, "in_doubt", before, now, limit)


def close_unreceipted_txn(conn: Connection, before: datetime, now: datetime, limit: int) -> list[int]:
    """End what was accepted before this time and got no final receipt: accepted → expired, reason "no_receipt"."""
    return _close(conn, MessageState.ACCEPTED, MessageState.EXPIRED, "no_receipt", before, now, limit)


def _close(
    conn: Connection,
    current: MessageState,
    end: MessageState,
    reason: str,
    before: datetime,
    now: datetime,
    limit: int,
) -> list[int]:
    old = (
        sa.select(message.c.id)
        .where(state_is(current), message.c.state_at <= before)
        .order_by(message.c.state_at)
        .limit(limit)
    )
    statement = (
        sa.update(message)
        .where(message.c.id.in_(picked(conn, old)), state_is(current))
        .values(state=end.value, reason=reason, node=None, state_at=now)
        .returning(message.c.id)
    )
    return sorted(number for (number,) in conn.execute(statement))
