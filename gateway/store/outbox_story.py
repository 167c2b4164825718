"""What the outbox holds, for people: what waits and for how long, the whole life of one message, receipts that match nothing."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.model import MessageState
from gateway.store.mo_story import StoryPart, parts_of_txn
from gateway.store.schema import message, message_key, node, waiting_receipt
from gateway.store.states import state_is
from gateway.store.waiting import ORPHAN, WAITING

#: States in which a message has not ended: each has a partial index, so that none of this reads what is over.
OPEN_STATES = tuple(state for state in MessageState if not state.final)


@dataclass(frozen=True, slots=True)
class QueueLine:
    """The messages of one operator in one state that is not final."""

    route: str
    state: str
    messages: int
    parts: int
    since: datetime  # when the one that is longest in this state came into it


@dataclass(frozen=True, slots=True)
class NodeLine:
    """A daemon and its lease."""

    name: str
    started_at: datetime
    alive_until: datetime
    in_hand: int  # messages that its present life has claimed


@dataclass(frozen=True, slots=True)
class ReceiptLine:
    """A receipt that matches no message: early (waiting), or given up (orphan)."""

    route: str
    bind: str
    status: str
    received_at: datetime
    smsc_message_id: str
    stat: str
    error: str
    destination_addr: str
    user_message_reference: int | None


@dataclass(frozen=True, slots=True)
class OutboxStatus:
    """Everything that has not ended."""

    queue: tuple[QueueLine, ...]
    nodes: tuple[NodeLine, ...]
    waiting_receipts: int
    orphan_receipts: int


@dataclass(frozen=True, slots=True)
class MessageStory:
    """One message from its cause to its end."""

    id: int
    source: str
    receipt_code: str
    kind: str
    occasion: str
    state: str
    reason: str
    agency_code: str
    agency_name: str
    template_id: str
    template_version: str
    text: str
    coding: str
    source_addr: str
    destination_addr: str
    route: str
    priority: int
    not_before: datetime
    expires_at: datetime | None
    created_at: datetime
    state_at: datetime
    accepted_at: datetime | None
    node: str | None
    attempts: int
    possible_duplicate: bool
    mo_id: int | None
    parts: tuple[StoryPart, ...]


def outbox_status_txn(conn: Connection) -> OutboxStatus:
    """Counts and ages of all that has not ended."""
    queue = []
    for state in OPEN_STATES:
        query = (
            sa.select(message.c.route, sa.func.count(), sa.func.sum(message.c.parts), sa.func.min(message.c.state_at))
            .where(state_is(state))
            .group_by(message.c.route)
            .order_by(message.c.route)
        )
        for route, messages, parts, since in conn.execute(query):
            queue.append(QueueLine(route, state.value, messages, int(parts), since))
    counted = sa.select(waiting_receipt.c.status, sa.func.count()).group_by(waiting_receipt.c.status)
    receipts: dict[str, int] = {row[0]: row[1] for row in conn.execute(counted)}
    return OutboxStatus(tuple(queue), _nodes(conn), receipts.get(WAITING, 0), receipts.get(ORPHAN, 0))


def _nodes(conn: Connection) -> tuple[NodeLine, ...]:
    claims = sa.select(message.c.node, sa.func.count()).where(state_is(MessageState.SENDING)).group_by(message.c.node)
    in_hand: dict[str | None, int] = {row[0]: row[1] for row in conn.execute(claims)}
    return tuple(
        NodeLine(row.name, row.started_at, row.alive_until, in_hand.get(f"{row.name}/{row.incarnation}", 0))
        for row in conn.execute(sa.select(node).order_by(node.c.name))
    )


def unmatched_receipts_txn(conn: Connection, limit: int) -> list[ReceiptLine]:
    """Receipts that match nothing, newest first."""
    query = sa.select(waiting_receipt).order_by(waiting_receipt.c.received_at.desc(), waiting_receipt.c.id.desc())
    return [
        ReceiptLine(**{name: getattr(row, name) for name in ReceiptLine.__slots__})
        for row in conn.execute(query.limit(limit))
    ]


def message_story_txn(conn: Connection, message_id: int) -> MessageStory | None:
    """The whole life of a message; None when there is none with this number."""
    row = conn.execute(sa.select(message).where(message.c.id == message_id)).first()
    if row is None:
        return None
    values = {name: getattr(row, name) for name in MessageStory.__slots__ if name != "parts"}
    return MessageStory(**values, parts=parts_of_txn(conn, message_id))


def messages_to_txn(conn: Connection, number: str, since: datetime, limit: int) -> list[int]:
    """The latest messages to a telephone number (84905123456) that came in since then, newest first."""
    query = (
        sa.select(message.c.id)
        .where(message.c.created_at >= since, message.c.destination_addr == number)
        .order_by(message.c.created_at.desc(), message.c.id.desc())
    )
    return list(conn.execute(query.limit(limit)).scalars())


def messages_about_txn(conn: Connection, sources: Collection[str], receipt_code: str, limit: int) -> list[int]:
    """The latest notices about a dossier, newest first."""
    query = (
        sa.select(message_key.c.message_id)
        .where(message_key.c.source.in_(sorted(sources)), message_key.c.receipt_code == receipt_code)
        .order_by(message_key.c.message_id.desc())
    )
    return list(conn.execute(query.limit(limit)).scalars())
