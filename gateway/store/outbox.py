"""Outgoing messages before they leave: inserted, held, cancelled, promoted, expired.

What happens from the claim on is in :mod:`gateway.store.claims` and :mod:`gateway.store.outcomes`; docs/states.md tells
the whole life. Every function runs inside the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.model import MessageKind, MessageState, NewMessage
from gateway.store.keys import Key, take_keys_txn
from gateway.store.schema import message, message_key
from gateway.store.sql import insert_rows, plain_datetime
from gateway.store.states import PENDING_STATES, picked, state_is


def insert_messages_txn(conn: Connection, new: Sequence[NewMessage], now: datetime) -> list[int | None]:
    """Put messages into the outbox.

    Returns one entry for each, in order: its id, or None when its unique key (source, receipt_code, kind, occasion)
    exists already, so that nothing is announced twice (invariant 1). The keys come first: a message is written only when
    its key is new.
    """
    if not new:
        return []
    wanted: dict[Key, NewMessage] = {}
    for item in new:
        wanted.setdefault(_key(item), item)  # of two equal keys in one call the first counts
    ids = take_keys_txn(conn, list(wanted), now)
    at = plain_datetime(conn.dialect.name, now)
    rows = [_row(number, wanted[key], conn.dialect.name, at) for key, number in ids.items()]
    insert_rows(conn, message, _COLUMNS, rows)
    return [ids.pop(_key(item), None) for item in new]


def _key(item: NewMessage) -> Key:
    return item.source, item.receipt_code, item.kind.value, item.occasion


_COLUMNS = (
    "id",
    "source",
    "receipt_code",
    "kind",
    "occasion",
    "state",
    "reason",
    "agency_code",
    "agency_name",
    "procedure_code",
    "template_id",
    "template_version",
    "text",
    "coding",
    "parts",
    "source_addr",
    "destination_addr",
    "route",
    "priority",
    "not_before",
    "expires_at",
    "created_at",
    "state_at",
    "mo_id",
    "charge_decision",
    "charge_link",
)


def _row(number: int, item: NewMessage, dialect: str, now: Any) -> tuple[Any, ...]:
    return (
        number,
        item.source,
        item.receipt_code,
        item.kind.value,
        item.occasion,
        item.state.value,
        item.reason,
        item.agency_code,
        item.agency_name,
        item.procedure_code,
        item.template_id,
        item.template_version,
        item.text,
        item.coding,
        item.parts,
        item.source_addr,
        item.destination_addr,
        item.route,
        item.priority,
        plain_datetime(dialect, item.not_before),
        plain_datetime(dialect, item.expires_at),
        now,
        now,
        item.mo_id,
        None if item.charge_decision is None else item.charge_decision.value,
        item.charge_link,
    )


def cancel_notices_txn(
    conn: Connection, source: str, receipt_code: str, kinds: Collection[MessageKind], reason: str, now: datetime
) -> list[tuple[int, MessageKind]]:
    """Cancel what has not left yet of one dossier's notices: held or queued → cancelled.

    A notice that is being sent or was sent is not touched: the caller lists it as contradicted. Returns the ids and
    kinds that were cancelled.
    """
    known = sa.select(message_key.c.message_id).where(
        message_key.c.source == source,
        message_key.c.receipt_code == receipt_code,
        message_key.c.kind.in_([kind.value for kind in kinds]),
    )
    statement = (
        sa.update(message)
        .where(message.c.id.in_(list(conn.execute(known).scalars())), state_is(*PENDING_STATES))
        .values(state=MessageState.CANCELLED.value, reason=reason, state_at=now)
        .returning(message.c.id, message.c.kind)
    )
    return sorted((int(row.id), MessageKind(row.kind)) for row in conn.execute(statement))


def promote_held_txn(conn: Connection, business_now: datetime, now: datetime, limit: int) -> int:
    """Let go what has waited long enough: held → queued. At most ``limit`` rows; returns how many."""
    due = (
        sa.select(message.c.id)
        .where(state_is(MessageState.HELD), message.c.not_before <= business_now)
        .order_by(message.c.not_before)
        .limit(limit)
    )
    statement = (
        sa.update(message)
        .where(message.c.id.in_(picked(conn, due)), state_is(MessageState.HELD))
        .values(state=MessageState.QUEUED.value, reason="", state_at=now)
    )
    return conn.execute(statement).rowcount


def expire_pending_txn(conn: Connection, business_now: datetime, now: datetime, limit: int) -> list[int]:
    """What could not leave in its validity: held or queued → expired, reason "validity". Returns the ids."""
    due = (
        sa.select(message.c.id)
        .where(
            state_is(*PENDING_STATES),
            message.c.expires_at.is_not(None),
            message.c.expires_at <= business_now,
        )
        .order_by(message.c.expires_at)
        .limit(limit)
    )
    statement = (
        sa.update(message)
        .where(message.c.id.in_(picked(conn, due)), state_is(*PENDING_STATES))
        .values(state=MessageState.EXPIRED.value, reason="validity", state_at=now)
        .returning(message.c.id)
    )
    return sorted(int(row.id) for row in conn.execute(statement))


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits in one state for one operator."""

    route: str
    state: MessageState
    messages: int
    since: datetime  # system time at which the longest waiting one came into this state


def backlog_txn(conn: Connection) -> list[Backlog]:
    """Everything that has not ended, by operator and state, with its age (invariant 7). Reads small partial indexes."""
    open_states = [state for state in MessageState if not state.final]
    queries = [
        sa.select(
            message.c.route,
            sa.literal(state.value, literal_execute=True).label("state"),
            sa.func.count().label("messages"),
            sa.func.min(message.c.state_at, type_=message.c.state_at.type).label("since"),
        )
        .where(state_is(state))
        .group_by(message.c.route)
        for state in open_states
    ]
    found = [
        Backlog(row.route, MessageState(row.state), row.messages, row.since)
        for query in queries
        for row in conn.execute(query)
    ]
    return sorted(found, key=lambda backlog: (backlog.route, open_states.index(backlog.state)))
