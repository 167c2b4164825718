"""Everything the store knows of one query, read together: the proof of what happened to it and to the citizen's money."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.model import MessageKind
from gateway.store.forwards import forward_state_txn
from gateway.store.ledger import Charge, JournalLine, charge_txn, journal_txn
from gateway.store.schema import message, message_key, message_part, mo, mo_part


@dataclass(frozen=True, slots=True)
class StoryPart:
    """One part of the reply: a submit_sm, its answer and its receipt."""

    part: int
    state: str
    reason: str
    bind: str
    smsc_message_id: str | None
    command_status: int | None
    answered_at: datetime | None
    receipt_stat: str | None
    receipt_error: str | None
    final_at: datetime | None


@dataclass(frozen=True, slots=True)
class StoryReply:
    """The reply, or the copy that went to another service."""

    id: int
    kind: str
    state: str
    reason: str
    template: str
    text: str
    coding: str
    route: str
    source_addr: str
    destination_addr: str
    decision: str | None
    link: str | None
    attempts: int
    created_at: datetime
    state_at: datetime
    parts: tuple[StoryPart, ...]


@dataclass(frozen=True, slots=True)
class MoStory:
    """One query from its deliver_sm to its outcome."""

    id: int
    route: str
    bind: str
    smsc_message_id: str
    source_addr: str
    destination_addr: str
    text: str
    octets: bytes
    data_coding: int
    received_at: datetime
    repeats: int
    pdus: int  # deliver_sm that it came in; 1 unless it was long
    state: str
    reason: str
    service: str | None
    result: str | None
    code: str | None
    reply_kind: str | None
    found_in: str | None
    lookup_ms: int | None
    replied_at: datetime | None
    replies: tuple[StoryReply, ...]
    charge: Charge | None
    journal: tuple[JournalLine, ...]
    webhook: tuple[str, int, str] | None = None  # a text for another service: state, attempts, last error


def mo_story_txn(conn: Connection, mo_id: int) -> MoStory | None:
    """The whole life of a query; None when there is none with this number."""
    row = conn.execute(sa.select(mo).where(mo.c.id == mo_id)).first()
    if row is None:
        return None
    pdus = conn.execute(sa.select(sa.func.count()).select_from(mo_part).where(mo_part.c.mo_id == mo_id)).scalar_one()
    return MoStory(
        id=row.id,
        route=row.route,
        bind=row.bind,
        smsc_message_id=row.smsc_message_id,
        source_addr=row.source_addr,
        destination_addr=row.destination_addr,
        text=row.text,
        octets=bytes(row.octets),
        data_coding=row.data_coding,
        received_at=row.received_at,
        repeats=row.repeats,
        pdus=max(1, int(pdus)),
        state=row.state,
        reason=row.reason,
        service=row.service,
        result=row.result,
        code=row.code,
        reply_kind=row.reply_kind,
        found_in=row.found_in,
        lookup_ms=row.lookup_ms,
        replied_at=row.replied_at,
        replies=_replies_txn(conn, mo_id),
        charge=charge_txn(conn, mo_id),
        journal=tuple(journal_txn(conn, mo_id)),
        webhook=forward_state_txn(conn, mo_id),
    )


def mos_of_txn(conn: Connection, number: str, limit: int) -> list[int]:
    """The latest queries of a telephone number (84905123456), newest first."""
    query = sa.select(mo.c.id).where(mo.c.source_addr == number).order_by(mo.c.received_at.desc(), mo.c.id.desc())
    return list(conn.execute(query.limit(limit)).scalars())


def _replies_txn(conn: Connection, mo_id: int) -> tuple[StoryReply, ...]:
    handed_on = sa.select(message_key.c.message_id).where(
        message_key.c.source == "mo_forward", message_key.c.receipt_code == str(mo_id)
    )
    query = sa.select(message).where(sa.or_(message.c.mo_id == mo_id, message.c.id.in_(handed_on)))
    query = query.order_by(message.c.id)
    return tuple(
        StoryReply(
            id=row.id,
            kind=MessageKind(row.kind).value,
            state=row.state,
            reason=row.reason,
            template=f"{row.template_id} ({row.template_version})",
            text=row.text,
            coding=row.coding,
            route=row.route,
            source_addr=row.source_addr,
            destination_addr=row.destination_addr,
            decision=row.charge_decision,
            link=row.charge_link,
            attempts=row.attempts,
            created_at=row.created_at,
            state_at=row.state_at,
            parts=parts_of_txn(conn, row.id),
        )
        for row in conn.execute(query).all()
    )


def parts_of_txn(conn: Connection, message_id: int) -> tuple[StoryPart, ...]:
    """What became of each submit_sm of a message, in order; a part without an entry has not left."""
    query = sa.select(message_part).where(message_part.c.message_id == message_id).order_by(message_part.c.part)
    return tuple(
        StoryPart(**{name: getattr(part, name) for name in StoryPart.__slots__}) for part in conn.execute(query)
    )
