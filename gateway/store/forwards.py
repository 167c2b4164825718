"""Queries of another service on their way to it: to its webhook (table ``mo_forward``), or as a message of our outbox.

One transaction closes the MO and starts its way: a crash leaves either an open MO, which is taken up again, or one that is on
its way. A webhook gets a query at least once (its id tells repetitions); a bind gets it once, as every message.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.errors import StaleStateError
from gateway.model import NewMessage
from gateway.store.answers import ignore_txn
from gateway.store.outbox import insert_messages_txn
from gateway.store.schema import mo, mo_forward

PENDING, FORWARDED, FAILED = "pending", "done", "failed"
#: mo.reason of a query that was handed on.
REASON = "forwarded"


@dataclass(frozen=True, slots=True)
class DueForward:
    """A query that the webhook is to get now."""

    mo_id: int
    attempts: int  # this one included
    route: str
    source_addr: str
    destination_addr: str
    text: str
    smsc_message_id: str
    received_at: datetime


def forward_txn(
    conn: Connection,
    mo_id: int,
    message: NewMessage | None,
    now: datetime,
    *,
    source_addr: str,
    day_start: datetime,
    most_a_day: int,
) -> str | None:
    """Close an open MO and hand it on: ``message`` into the outbox, or without one to the webhook.

    Returns why it is closed, "forwarded" or "too_many"; None when it is closed already.
    """
    sent = conn.execute(
        sa.select(sa.func.count())
        .select_from(mo)
        .where(mo.c.source_addr == source_addr, mo.c.received_at >= day_start, mo.c.reason == REASON)
    ).scalar_one()
    reason = REASON if sent < most_a_day else "too_many"
    if not ignore_txn(conn, mo_id, reason, now):
        return None
    if reason == REASON and message is None:
        conn.execute(mo_forward.insert().values(mo_id=mo_id, state=PENDING, due_at=now, state_at=now))
    elif reason == REASON and message is not None and insert_messages_txn(conn, [message], now) == [None]:
        raise StaleStateError(f"query {mo_id} was handed on before, but was not marked so")
    return reason


def claim_forwards_txn(conn: Connection, now: datetime, retry_s: float, limit: int) -> list[DueForward]:
    """Take queries that are due, and set the time of their next attempt: what a crash interrupts is tried again then.

    The wait doubles with each attempt, from ``retry_s`` on.
    """
    rows = conn.execute(
        sa.select(mo_forward.c.attempts, mo)
        .join(mo, mo.c.id == mo_forward.c.mo_id)
        .where(mo_forward.c.state == sa.literal_column(f"'{PENDING}'"), mo_forward.c.due_at <= now)
        .order_by(mo_forward.c.due_at, mo_forward.c.mo_id)
        .limit(limit)
        .with_for_update(of=mo_forward, skip_locked=True)
    ).all()
    for row in rows:
        wait = timedelta(seconds=retry_s * 2 ** min(row.attempts, 10))
        conn.execute(
            mo_forward.update().where(mo_forward.c.mo_id == row.id).values(attempts=row.attempts + 1, due_at=now + wait)
        )
    return [
        DueForward(
            row.id,
            row.attempts + 1,
            row.route,
            row.source_addr,
            row.destination_addr,
            row.text,
            row.smsc_message_id,
            row.received_at,
        )
        for row in rows
    ]


def settle_forwards_txn(
    conn: Connection, results: Sequence[tuple[DueForward, str]], most_attempts: int, now: datetime
) -> list[int]:
    """Record attempts as (query, "" or what went wrong). Returns the queries that are given up."""
    failed: list[int] = []
    for forward, error in results:
        state = FORWARDED if not error else FAILED if forward.attempts >= most_attempts else PENDING
        values = {"state": state, "last_error": error, "state_at": now}
        moved = conn.execute(
            mo_forward.update().where(mo_forward.c.mo_id == forward.mo_id, mo_forward.c.state == PENDING).values(values)
        ).rowcount
        if moved and state == FAILED:
            failed.append(forward.mo_id)
    return failed


def forward_state_txn(conn: Connection, mo_id: int) -> tuple[str, int, str] | None:
    """(state, attempts, last error) of a query that goes to the webhook."""
    row = conn.execute(sa.select(mo_forward).where(mo_forward.c.mo_id == mo_id)).first()
    return None if row is None else (row.state, row.attempts, row.last_error)
