"""Conditions on message states as SQL literals.

Literals, never bound values: the partial indexes are chosen by comparing the text of a condition, and a prepared
statement's plan cannot depend on a value.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.model import MessageState
from gateway.store.schema import message

#: Has not left yet and may still be cancelled or expire. Written exactly as the condition of ix_message_expiry.
PENDING_STATES = (MessageState.HELD, MessageState.QUEUED)


def state_is(*states: MessageState) -> sa.ColumnElement[bool]:
    """``message.state = 'queued'``, or ``message.state IN (…)`` for several."""
    literals: list[sa.ColumnElement[str]] = [sa.literal_column(f"'{state.value}'") for state in states]
    return message.c.state == literals[0] if len(literals) == 1 else message.c.state.in_(literals)


def picked(conn: Connection, rows: sa.Select[tuple[int]]) -> sa.Select[Any]:
    """The ids that a limited SELECT picks, for ``UPDATE … WHERE id IN (…)``.

    On PostgreSQL a common table expression, never a plain subquery: that one, with FOR UPDATE SKIP LOCKED, may be run again
    for each row of an outer loop and then pick more rows than its limit. Rows that another node has locked are left to
    it. On SQLite a plain subquery, which runs once; its driver counts no changed rows for a statement that begins WITH.
    """
    if conn.dialect.name != "postgresql":
        return rows
    chosen = rows.with_for_update(skip_locked=True).cte("chosen")
    return sa.select(chosen.c.id)
