"""Notices that could not leave by day: nobody is woken because an operator was away in the evening."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.model import MessageState
from gateway.store.schema import message
from gateway.store.states import PENDING_STATES, picked, state_is


def keep_for_morning_txn(conn: Connection, morning: datetime, now: datetime, limit: int) -> int:
    """Put off what waits: held or queued → held until ``morning`` (business time), reason "night". Returns how many.

    Replies are not touched: whoever asks at night is awake.
    """
    waits = (
        sa.select(message.c.id)
        .where(state_is(*PENDING_STATES), message.c.mo_id.is_(None), message.c.not_before < morning)
        .order_by(message.c.id)
        .limit(limit)
    )
    statement = (
        sa.update(message)
        .where(message.c.id.in_(picked(conn, waits)), state_is(*PENDING_STATES))
        .values(state=MessageState.HELD.value, reason="night", not_before=morning, state_at=now)
    )
    return conn.execute(statement).rowcount
