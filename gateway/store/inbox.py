"""Queries (MO) in the store: recorded with their ledger row before they are acknowledged, answered exactly once.

:func:`record_mo_txn` is one transaction for invariant 4 (persist before acknowledging): the MO and its charge. The MO's
``dedupe_key`` is unique, so whatever the SMSC repeats finds the first copy. :func:`reply_txn` is one transaction for
invariant 8 (one reply, one charge): it moves the MO from RECEIVED to REPLIED, puts the reply into the outbox and the
decision into the ledger; the second caller, on whatever node, finds the MO moved and changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Row

from gateway.errors import StaleStateError
from gateway.model import ChargeDecision, ChargeState, IncomingMo, MoState, NewMessage, QueryResult, ReplyKind
from gateway.store.ledger import NewCharge, move_txn, open_charge_txn
from gateway.store.outbox import insert_messages_txn
from gateway.store.schema import mo


@dataclass(frozen=True, slots=True)
class Admission:
    """An MO with everything that the receiver knows of it before it is recorded."""

    mo: IncomingMo  # its dedupe_key holds the time bucket of the receipt
    earlier_key: str  # the dedupe_key of a copy received one time bucket earlier
    repeat_since: datetime  # an earlier copy is the same MO when it was received at or after this
    service: str | None
    result: QueryResult
    code: str
    ignore_reason: str  # "" when it is to be answered
    profile: str
    amount_vnd: int
    link: str | None
    lapses_at: datetime | None
    day_start: datetime  # start of the sender's daily count
    hour_start: datetime  # start of the sender's count of errors
    burst_start: datetime | None = None  # start of the count of what the sender sends at once; None: not counted


@dataclass(frozen=True, slots=True)
class RecordedMo:
    """An MO in the store that is to be answered, or a repetition of one."""

    mo_id: int
    fresh: bool  # False: the SMSC sent it before
    state: MoState
    mo: IncomingMo
    service: str | None
    result: QueryResult
    code: str
    sender_today: int  # answered MOs of this sender since day_start, this one included
    sender_errors: int  # of them, those that were no query, since hour_start
    sender_burst: int = 0  # all MOs of this sender since burst_start, answered or not, up to this one


def record_mo_txn(conn: Connection, admission: Admission) -> RecordedMo:
    """Record an MO and open its ledger row, or count a repetition of one that is here already."""
    now = admission.mo.received_at
    earlier = _earlier_copy_txn(conn, admission)
    mo_id = None if earlier is not None else _insert_mo_txn(conn, admission)
    if mo_id is None:
        repeated = earlier if earlier is not None else _by_key_txn(conn, admission.mo.dedupe_key)
        if repeated is None:
            raise StaleStateError("a query was refused as repeated, but its first copy is not there")
        conn.execute(mo.update().where(mo.c.id == repeated.id).values(repeats=mo.c.repeats + 1))
        return _with_counts_txn(conn, repeated, admission.day_start, admission.hour_start, fresh=False)
    open_charge_txn(
        conn,
        NewCharge(
            mo_id, admission.mo.route, admission.profile, admission.amount_vnd, admission.link, admission.lapses_at
        ),
        now,
    )
    state = MoState.RECEIVED
    today = errors = 0
    if admission.ignore_reason:
        state = MoState.IGNORED
        move_txn(
            conn,
            mo_id,
            ChargeState.NOT_CHARGED,
            now,
            reason=admission.ignore_reason,
            decision=ChargeDecision.NO_CHARGE,
        )
    else:
        today, errors = sender_counts_txn(
            conn, mo_id, admission.mo.source_addr, admission.day_start, admission.hour_start
        )
    burst = 0 if admission.burst_start is None else _burst_txn(conn, mo_id, admission.mo, admission.burst_start)
    return RecordedMo(
        mo_id, True, state, admission.mo, admission.service, admission.result, admission.code, today, errors, burst
    )


def open_mos_txn(
    conn: Connection, received_before: datetime, day_start: datetime, hour_start: datetime, limit: int = 500
) -> list[RecordedMo]:
    """MOs that are recorded and not answered: what a crash left, oldest first."""
    query = (
        sa.select(mo)
        # A literal, so that the partial index ix_mo_open serves.
        .where(mo.c.state == sa.literal_column(f"'{MoState.RECEIVED.value}'"), mo.c.received_at < received_before)
        .order_by(mo.c.received_at, mo.c.id)
        .limit(limit)
    )
    rows = conn.execute(query).all()
    return [_with_counts_txn(conn, row, day_start, hour_start, fresh=True) for row in rows]


def reply_txn(
    conn: Connection,
    mo_id: int,
    reply: NewMessage,
    now: datetime,
    *,
    kind: ReplyKind,
    decision: ChargeDecision,
    reason: str,
    found_in: str | None = None,
    lookup_ms: int | None = None,
) -> bool:
    """Answer an MO: its reply into the outbox, its decision into the ledger, once. False: it is answered already."""
    moved = conn.execute(
        mo.update()
        .where(mo.c.id == mo_id, mo.c.state == MoState.RECEIVED.value)
        .values(
            state=MoState.REPLIED.value,
            reply_kind=kind.value,
            found_in=found_in,
            lookup_ms=lookup_ms,
            replied_at=now,
        )
    )
    if moved.rowcount != 1:
        return False
    if insert_messages_txn(conn, [reply], now) == [None]:
        raise StaleStateError(f"query {mo_id} has a reply in the outbox, but was not marked as replied")
    move_txn(conn, mo_id, ChargeState.DECIDED, now, reason=reason, decision=decision)
    return True


def ignore_txn(conn: Connection, mo_id: int, reason: str, now: datetime) -> bool:
    """Close an MO without a reply and without a charge. False: it is closed already."""
    moved = conn.execute(
        mo.update()
        .where(mo.c.id == mo_id, mo.c.state == MoState.RECEIVED.value)
        .values(state=MoState.IGNORED.value, reason=reason)
    )
    if moved.rowcount != 1:
        return False
    move_txn(conn, mo_id, ChargeState.NOT_CHARGED, now, reason=reason, decision=ChargeDecision.NO_CHARGE)
    return True


def sender_counts_txn(
    conn: Connection, mo_id: int, source_addr: str, day_start: datetime, hour_start: datetime
) -> tuple[int, int]:
    """How many MOs of a sender were or will be answered, up to this one: (since day_start, errors since hour_start).

    Ignored ones do not count: another service's customer is not limited by us, and the counts stay bounded.
    """
    error = sa.case((sa.and_(mo.c.result != QueryResult.OK.value, mo.c.received_at >= hour_start), 1), else_=0)
    of_today = sa.case((mo.c.received_at >= day_start, 1), else_=0)
    query = sa.select(sa.func.coalesce(sa.func.sum(of_today), 0), sa.func.coalesce(sa.func.sum(error), 0)).where(
        mo.c.source_addr == source_addr,
        mo.c.received_at >= min(day_start, hour_start),  # just after midnight the hour reaches into yesterday
        mo.c.state != MoState.IGNORED.value,
        mo.c.id <= mo_id,
    )
    today, errors = conn.execute(query).one()
    return int(today), int(errors)


def _burst_txn(conn: Connection, mo_id: int, of: IncomingMo, since: datetime) -> int:
    query = (
        sa.select(sa.func.count())
        .select_from(mo)
        .where(mo.c.source_addr == of.source_addr, mo.c.received_at >= since, mo.c.id <= mo_id)
    )
    return int(conn.execute(query).scalar_one())


def _earlier_copy_txn(conn: Connection, admission: Admission) -> Row[Any] | None:
    query = sa.select(mo).where(
        mo.c.dedupe_key.in_([admission.mo.dedupe_key, admission.earlier_key]),
        mo.c.received_at >= admission.repeat_since,
    )
    return conn.execute(query.order_by(mo.c.id.desc()).limit(1)).first()


def _by_key_txn(conn: Connection, dedupe_key: str) -> Row[Any] | None:
    return conn.execute(sa.select(mo).where(mo.c.dedupe_key == dedupe_key)).first()


def _insert_mo_txn(conn: Connection, admission: Admission) -> int | None:
    new = admission.mo
    state = MoState.IGNORED if admission.ignore_reason else MoState.RECEIVED
    insert = (
        insert_ignoring(conn, mo)
        .values(
            dedupe_key=new.dedupe_key,
            route=new.route,
            bind=new.bind,
            smsc_message_id=new.smsc_message_id,
            source_addr=new.source_addr,
            destination_addr=new.destination_addr,
            text=new.text,
            octets=new.octets,
            data_coding=new.data_coding,
            received_at=new.received_at,
            state=state.value,
            reason=admission.ignore_reason,
            service=admission.service,
            result=admission.result.value,
            code=admission.code,
        )
        .on_conflict_do_nothing(index_elements=["dedupe_key"])
        .returning(mo.c.id)
    )
    mo_id: int | None = conn.execute(insert).scalar_one_or_none()
    return mo_id


def insert_ignoring(conn: Connection, table: sa.Table) -> sqlite.Insert | postgresql.Insert:
    """An INSERT that can say ON CONFLICT."""
    return postgresql.insert(table) if conn.dialect.name == "postgresql" else sqlite.insert(table)


def _with_counts_txn(
    conn: Connection, row: Row[Any], day_start: datetime, hour_start: datetime, *, fresh: bool
) -> RecordedMo:
    today, errors = sender_counts_txn(conn, row.id, row.source_addr, day_start, hour_start)
    return RecordedMo(
        row.id,
        fresh,
        MoState(row.state),
        IncomingMo(
            row.route,
            row.bind,
            row.source_addr,
            row.destination_addr,
            row.text,
            bytes(row.octets),
            row.data_coding,
            row.smsc_message_id,
            row.received_at,
            row.dedupe_key,
        ),
        row.service,
        QueryResult(row.result),
        row.code or "",
        today,
        errors,
    )
