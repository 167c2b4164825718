"""How far each source is read, who reads it, and its bad rows.

One node polls a source at a time: rows that two nodes read at different moments, applied out of order, would look like a
state that went back and forth. A node holds a source under a lease and renews it while it polls. The lease is judged by the
clock of leases (:mod:`gateway.store.lease_clock`); ``now`` and ``lease_until`` are the caller's.

Every function runs inside the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from gateway.errors import StaleStateError
from gateway.store.decisions import BadRow
from gateway.store.lease_clock import lease_times
from gateway.store.schema import bad_row, source_cursor

#: A detail is for a person's eyes: the beginning of an odd value is enough.
_DETAIL_CHARACTERS = 300


@dataclass(frozen=True, slots=True)
class Position:
    """The newest row that is read, in the view's own order."""

    updated_at: datetime
    receipt_code: str


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a source is read."""

    source: str
    position: Position | None
    announce_from: datetime  # business time
    last_success_at: datetime | None  # None: never read to its end
    last_error: str
    node: str | None


def acquire_txn(
    conn: Connection, source: str, node: str, now: datetime, lease_until: datetime, announce_from: datetime
) -> Cursor | None:
    """Take or renew the right to poll a source; the first call opens its cursor. None: another node has it.

    Args:
        announce_from: written when the cursor is opened, and not changed later.
    """
    moment, until = lease_times(conn, now, lease_until)
    insert = postgresql.insert(source_cursor) if conn.dialect.name == "postgresql" else sqlite.insert(source_cursor)
    conn.execute(
        insert.values(source=source, announce_from=announce_from, node=node, lease_until=until).on_conflict_do_nothing()
    )
    taken = conn.execute(
        sa.update(source_cursor)
        .where(
            source_cursor.c.source == source,
            sa.or_(
                source_cursor.c.node == node,
                source_cursor.c.node.is_(None),
                source_cursor.c.lease_until.is_(None),
                source_cursor.c.lease_until <= moment,
            ),
        )
        .values(node=node, lease_until=until)
    )
    return cursor_txn(conn, source) if taken.rowcount else None


def release_txn(conn: Connection, source: str, node: str) -> None:
    """Give a source to whoever asks next: at a clean stop."""
    conn.execute(
        sa.update(source_cursor)
        .where(source_cursor.c.source == source, source_cursor.c.node == node)
        .values(node=None, lease_until=None)
    )


def hold_txn(conn: Connection, source: str, node: str, now: datetime, lease_until: datetime) -> None:
    """Renew the lease and lock the cursor until the end of the transaction.

    Raises:
        StaleStateError: another node has the source.
    """
    _, until = lease_times(conn, now, lease_until)
    held = conn.execute(
        sa.update(source_cursor)
        .where(source_cursor.c.source == source, source_cursor.c.node == node)
        .values(lease_until=until)
    )
    if not held.rowcount:
        raise StaleStateError(f"source {source} is polled by another node now, not by {node}")


def advance_txn(conn: Connection, source: str, position: Position) -> None:
    """The source is read up to here."""
    conn.execute(
        sa.update(source_cursor)
        .where(source_cursor.c.source == source)
        .values(updated_at=position.updated_at, receipt_code=position.receipt_code)
    )


def succeeded_txn(conn: Connection, source: str, node: str, now: datetime, lease_until: datetime) -> bool:
    """The source was read to its end at ``now``. False: another node has taken it meanwhile."""
    _, until = lease_times(conn, now, lease_until)
    done = conn.execute(
        sa.update(source_cursor)
        .where(source_cursor.c.source == source, source_cursor.c.node == node)
        .values(last_success_at=now, last_error="", lease_until=until)
    )
    return bool(done.rowcount)


def failed_txn(conn: Connection, source: str, node: str, error: str) -> None:
    """The source cannot be read, and why."""
    conn.execute(
        sa.update(source_cursor)
        .where(source_cursor.c.source == source, source_cursor.c.node == node)
        .values(last_error=error[:_DETAIL_CHARACTERS])
    )


def cursor_txn(conn: Connection, source: str) -> Cursor | None:
    """How far a source is read; None when nobody ever tried."""
    row = conn.execute(sa.select(source_cursor).where(source_cursor.c.source == source)).one_or_none()
    if row is None:
        return None
    position = Position(row.updated_at, row.receipt_code or "") if row.updated_at else None
    return Cursor(row.source, position, row.announce_from, row.last_success_at, row.last_error, row.node)


# --- bad rows -----------------------------------------------------------------------------------------------------


def bad_rows_txn(conn: Connection, source: str, rows: Sequence[BadRow], now: datetime) -> None:
    """List rows that cannot be read; one that is listed already is counted."""
    if not rows:
        return
    insert = postgresql.insert(bad_row) if conn.dialect.name == "postgresql" else sqlite.insert(bad_row)
    statement = insert.on_conflict_do_update(
        index_elements=["source", "receipt_code", "reason"],
        set_={"detail": insert.excluded.detail, "last_seen_at": now, "times": bad_row.c.times + 1},
    )
    values = {
        (row.receipt_code, row.reason): {
            "source": source,
            "receipt_code": row.receipt_code,
            "reason": row.reason,
            "detail": row.detail[:_DETAIL_CHARACTERS],
            "first_seen_at": now,
            "last_seen_at": now,
        }
        for row in rows
    }
    conn.execute(statement, list(values.values()))


def heal_txn(conn: Connection, source: str, codes: Sequence[str]) -> int:
    """Take rows that can be read now off the list. Returns how many entries went."""
    if not codes:
        return 0
    done = conn.execute(sa.delete(bad_row).where(bad_row.c.source == source, bad_row.c.receipt_code.in_(codes)))
    return done.rowcount


def bad_row_count_txn(conn: Connection, source: str) -> dict[str, int]:
    """Listed bad rows by reason."""
    rows = conn.execute(
        sa.select(bad_row.c.reason, sa.func.count()).where(bad_row.c.source == source).group_by(bad_row.c.reason)
    )
    return {row[0]: row[1] for row in rows}
