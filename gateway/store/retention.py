"""Old messages leave the store in small steps, while the gateway runs."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.model import MessageState
from gateway.store.schema import message, message_part, part_key


def purge_messages_txn(conn: Connection, before: datetime, limit: int) -> int:
    """Delete messages created before this time that have ended, with their parts. Returns how many.

    A message that has not ended stays, whatever its age: it is somebody's work.
    """
    ended = [state.value for state in MessageState if state.final]
    query = (
        sa.select(message.c.id)
        .where(message.c.created_at < before, message.c.state.in_(ended))
        .order_by(message.c.created_at)
        .limit(limit)
    )
    ids = [number for (number,) in conn.execute(query)]
    if ids:
        for table in (part_key, message_part):
            conn.execute(sa.delete(table).where(table.c.message_id.in_(ids)))
        conn.execute(sa.delete(message).where(message.c.id.in_(ids)))
    return len(ids)
