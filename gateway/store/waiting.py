"""Receipts that match nothing yet. They wait for their part's id (invariant 5), then they are orphans, listed and purged."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from gateway.model import IncomingReceipt, PartState
from gateway.store.schema import waiting_receipt, waiting_receipt_key
from gateway.store.sql import in_list
from gateway.store.states import picked

WAITING, ORPHAN = "waiting", "orphan"
IS_WAITING = waiting_receipt.c.status == sa.literal_column(f"'{WAITING}'")


def keep_receipts_txn(conn: Connection, receipts: Sequence[IncomingReceipt], now: datetime) -> None:
    """Let receipts wait. One that waits already, or was given up, waits anew instead of twice."""
    if not receipts:
        return
    dialect = postgresql if conn.dialect.name == "postgresql" else sqlite
    insert = dialect.insert(waiting_receipt)
    statement = insert.on_conflict_do_update(
        index_elements=["route", "smsc_message_id", "stat", "destination_addr"],
        set_={"received_at": insert.excluded.received_at, "status": WAITING},
    ).returning(waiting_receipt.c.id)
    keys: list[dict[str, Any]] = []
    for receipt in receipts:
        number = conn.execute(statement, _row(receipt, now)).scalar_one()
        keys.extend(
            {"route": receipt.route, "id_key": key, "receipt_id": number, "rank": rank}
            for rank, key in enumerate(receipt.id_keys)
        )
    if keys:
        conn.execute(dialect.insert(waiting_receipt_key).on_conflict_do_nothing(), keys)


def _row(receipt: IncomingReceipt, now: datetime) -> dict[str, Any]:
    return {
        "route": receipt.route,
        "bind": receipt.bind,
        "smsc_message_id": receipt.smsc_message_id,
        "state": None if receipt.state is None else receipt.state.value,
        "stat": receipt.stat,
        "error": receipt.error,
        "destination_addr": receipt.destination_addr,
        "user_message_reference": receipt.user_message_reference,
        "done_at": receipt.done_at,
        "received_at": receipt.received_at or now,
        "status": WAITING,
    }


def any_waiting_txn(conn: Connection) -> bool:
    """Whether there is anything to match: the usual answer is no, and saves the rest."""
    return conn.execute(sa.select(waiting_receipt.c.id).where(IS_WAITING).limit(1)).first() is not None


def waiting_by_key_txn(conn: Connection, route: str, keys: Collection[str]) -> dict[str, list[int]]:
    """id key → the receipts that wait for it, oldest first."""
    query = (
        sa.select(waiting_receipt_key.c.id_key, waiting_receipt_key.c.receipt_id)
        .join(waiting_receipt, waiting_receipt.c.id == waiting_receipt_key.c.receipt_id)
        .where(
            waiting_receipt_key.c.route == route,
            in_list(conn.dialect.name, waiting_receipt_key.c.id_key, "keys"),
            IS_WAITING,
        )
        .order_by(waiting_receipt_key.c.receipt_id)
    )
    found: dict[str, list[int]] = {}
    for key, number in conn.execute(query, {"keys": keys}):
        found.setdefault(key, []).append(number)
    return found


def waiting_since_txn(conn: Connection, since: datetime, limit: int) -> list[int]:
    """Receipts that began to wait at or after ``since``, oldest first."""
    query = (
        sa.select(waiting_receipt.c.id)
        .where(IS_WAITING, waiting_receipt.c.received_at >= since)
        .order_by(waiting_receipt.c.received_at)
        .limit(limit)
    )
    return [number for (number,) in conn.execute(query)]


def take_receipts_txn(conn: Connection, ids: Iterable[int]) -> dict[int, IncomingReceipt]:
    """Read and lock waiting receipts by id; those that another node holds or took are left out."""
    wanted = sorted(set(ids))
    if not wanted:
        return {}
    query = sa.select(waiting_receipt).where(waiting_receipt.c.id.in_(wanted), IS_WAITING)
    if conn.dialect.name == "postgresql":
        query = query.with_for_update(skip_locked=True)
    rows = conn.execute(query.order_by(waiting_receipt.c.id)).mappings().all()
    keys: dict[int, list[str]] = {}
    for number, key in conn.execute(
        sa.select(waiting_receipt_key.c.receipt_id, waiting_receipt_key.c.id_key)
        .where(waiting_receipt_key.c.receipt_id.in_(wanted))
        .order_by(waiting_receipt_key.c.rank)
    ):
        keys.setdefault(number, []).append(key)
    return {
        row["id"]: IncomingReceipt(
            route=row["route"],
            bind=row["bind"],
            smsc_message_id=row["smsc_message_id"],
            id_keys=tuple(keys.get(row["id"], ())),
            state=None if row["state"] is None else PartState(row["state"]),
            stat=row["stat"],
            error=row["error"],
            destination_addr=row["destination_addr"],
            user_message_reference=row["user_message_reference"],
            done_at=row["done_at"],
            received_at=row["received_at"],
        )
        for row in rows
    }


def drop_receipts_txn(conn: Connection, ids: Collection[int]) -> None:
    """Delete receipts that found their part, or grew too old to list."""
    if ids:
        conn.execute(sa.delete(waiting_receipt_key).where(waiting_receipt_key.c.receipt_id.in_(list(ids))))
        conn.execute(sa.delete(waiting_receipt).where(waiting_receipt.c.id.in_(list(ids))))


def orphan_receipts_txn(conn: Connection, before: datetime, limit: int) -> int:
    """Give up on receipts that have waited since before this time: waiting → orphan. Returns how many."""
    old = (
        sa.select(waiting_receipt.c.id)
        .where(IS_WAITING, waiting_receipt.c.received_at < before)
        .order_by(waiting_receipt.c.received_at)
        .limit(limit)
    )
    statement = (
        sa.update(waiting_receipt).where(waiting_receipt.c.id.in_(picked(conn, old)), IS_WAITING).values(status=ORPHAN)
    )
    return conn.execute(statement).rowcount


def purge_orphans_txn(conn: Connection, before: datetime, limit: int) -> int:
    """Delete orphans received before this time. Returns how many."""
    query = (
        sa.select(waiting_receipt.c.id)
        .where(waiting_receipt.c.received_at < before, waiting_receipt.c.status == ORPHAN)
        .order_by(waiting_receipt.c.received_at)
        .limit(limit)
    )
    ids = [number for (number,) in conn.execute(query)]
    drop_receipts_txn(conn, ids)
    return len(ids)
