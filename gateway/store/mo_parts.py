"""Parts of long MOs: rows from the first part on, so that a restart, or two nodes with a bind each, still join them.

A joined part stays for a while with its MO's id: a part that the SMSC repeats is then known. Parts that wait too long for
the others are given up, and the citizen is told that the text could not be read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from gateway.store.inbox import Admission, RecordedMo, insert_ignoring, record_mo_txn
from gateway.store.schema import mo, mo_part


@dataclass(frozen=True, slots=True)
class MoPart:
    """One part of a long MO."""

    route: str
    bind: str
    source_addr: str
    destination_addr: str
    reference: int
    total: int
    part: int  # 1-based
    octets: bytes  # user data without its header
    data_coding: int
    smsc_message_id: str
    received_at: datetime


#: Makes one MO of its parts. Runs inside a transaction on the writer's thread, perhaps twice: pure.
Join = Callable[[Sequence[MoPart]], Admission]


@dataclass(frozen=True, slots=True)
class RecordedPart:
    """What became of a part."""

    repeated: bool
    recorded: RecordedMo | None  # the whole MO, when this part completed it


def record_part_txn(conn: Connection, part: MoPart, timeout_s: float, join: Join) -> RecordedPart:
    """Record one part; when it is the last that was missing, record the whole MO in the same transaction.

    Args:
        timeout_s: parts older than this belong to an earlier message with the same reference number (an octet comes
            round again soon) and give way.
    """
    stale_before = part.received_at - timedelta(seconds=timeout_s)
    same = conn.execute(sa.select(mo_part).where(_one_part(part)).with_for_update()).first()
    if same is not None and same.octets == part.octets and same.received_at >= stale_before:
        if same.mo_id is not None and part.part == 1:
            conn.execute(mo.update().where(mo.c.id == same.mo_id).values(repeats=mo.c.repeats + 1))
        return RecordedPart(repeated=True, recorded=None)
    if same is not None:
        # Joined before, or left over: the reference number has come round. A part of the set that still grows is replaced.
        of_earlier = sa.or_(mo_part.c.mo_id.is_not(None), mo_part.c.received_at < stale_before)
        conn.execute(mo_part.delete().where(_one_set(part), of_earlier))
        conn.execute(mo_part.delete().where(_one_part(part)))
    values = {
        "route": part.route,
        "source_addr": part.source_addr,
        "destination_addr": part.destination_addr,
        "reference": part.reference,
        "total": part.total,
        "part": part.part,
        "bind": part.bind,
        "octets": part.octets,
        "data_coding": part.data_coding,
        "smsc_message_id": part.smsc_message_id,
        "received_at": part.received_at,
    }
    inserted = insert_ignoring(conn, mo_part).values(values).on_conflict_do_nothing().returning(mo_part.c.part)
    if conn.execute(inserted).first() is None:
        return RecordedPart(repeated=True, recorded=None)  # two nodes got it at once
    parts = _open_parts_txn(conn, part)
    if len(parts) < part.total:
        return RecordedPart(repeated=False, recorded=None)
    return RecordedPart(repeated=False, recorded=_join_txn(conn, parts, join))


def sweep_parts_txn(
    conn: Connection, now: datetime, timeout_s: float, join: Join, join_incomplete: Join, limit: int = 100
) -> list[RecordedMo]:
    """Join what two nodes completed at once, give up what waits too long, forget what was joined long ago.

    ``join_incomplete`` makes an MO of the parts that came, to be answered as bad syntax.
    """
    stale_before = now - timedelta(seconds=timeout_s)
    conn.execute(mo_part.delete().where(mo_part.c.mo_id.is_not(None), mo_part.c.received_at < stale_before))
    keys = (
        mo_part.c.route,
        mo_part.c.source_addr,
        mo_part.c.destination_addr,
        mo_part.c.reference,
        mo_part.c.total,
    )
    sets = (
        sa.select(*keys, sa.func.count().label("parts"))
        .where(mo_part.c.mo_id.is_(None))
        .group_by(*keys)
        .having(sa.or_(sa.func.count() >= mo_part.c.total, sa.func.min(mo_part.c.received_at) < stale_before))
        .limit(limit)
    )
    done: list[RecordedMo] = []
    for found in conn.execute(sets).all():
        parts = _open_parts_txn(conn, found)
        if parts:  # not joined by another node since
            done.append(_join_txn(conn, parts, join if len(parts) >= found.total else join_incomplete))
    return done


def _open_parts_txn(conn: Connection, key: MoPart | Row[Any]) -> list[MoPart]:
    query = sa.select(mo_part).where(_one_set(key), mo_part.c.mo_id.is_(None)).order_by(mo_part.c.part)
    return [
        MoPart(
            row.route,
            row.bind,
            row.source_addr,
            row.destination_addr,
            row.reference,
            row.total,
            row.part,
            bytes(row.octets),
            row.data_coding,
            row.smsc_message_id,
            row.received_at,
        )
        for row in conn.execute(query.with_for_update()).all()
    ]


def _join_txn(conn: Connection, parts: Sequence[MoPart], join: Join) -> RecordedMo:
    recorded = record_mo_txn(conn, join(parts))
    conn.execute(mo_part.update().where(_one_set(parts[0]), mo_part.c.mo_id.is_(None)).values(mo_id=recorded.mo_id))
    return recorded


def _one_set(key: MoPart | Row[Any]) -> sa.ColumnElement[bool]:
    return sa.and_(
        mo_part.c.route == key.route,
        mo_part.c.source_addr == key.source_addr,
        mo_part.c.destination_addr == key.destination_addr,
        mo_part.c.reference == key.reference,
        mo_part.c.total == key.total,
    )


def _one_part(part: MoPart) -> sa.ColumnElement[bool]:
    return sa.and_(_one_set(part), mo_part.c.part == part.part)
