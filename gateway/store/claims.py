"""Claims: a node takes messages to send, and commits that before bytes leave (invariant 2)."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from operator import itemgetter
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.model import ChargeDecision, ClaimedMessage, MessageKind, MessageState, PartState
from gateway.store.rollup import TAKEN
from gateway.store.schema import message, message_part
from gateway.store.sql import array_text, in_list, plain_datetime
from gateway.store.states import state_is


@dataclass(frozen=True, slots=True)
class Claim:
    """What a claim brought."""

    messages: tuple[ClaimedMessage, ...]  # in the order in which they are to leave
    expired: tuple[int, ...]  # queued for too long: EXPIRED instead


def claim_txn(
    conn: Connection, *, route: str, node: str, limit_parts: int, now: datetime, business_now: datetime
) -> Claim:
    """Take queued messages of one operator for one node: queued → sending, by priority, then in order of insertion.

    Takes as many whole messages as fit ``limit_parts``, and always one that is first in the queue: a message longer
    than the limit would otherwise never leave. Expired ones are among those taken, and become EXPIRED at once. Other
    nodes' claims are passed over, never waited for.
    """
    if limit_parts <= 0:
        return Claim((), ())
    take = _take_postgresql if conn.dialect.name == "postgresql" else _take_sqlite
    rows = take(conn, route, node, limit_parts, now, business_now)
    rows.sort(key=_ORDER)
    expired = [row[0] for row in rows if row[_END] is not None and row[_END] <= business_now]
    if expired:
        _expire(conn, expired, now)
        gone = set(expired)
        rows = [row for row in rows if row[0] not in gone]
    done = _parts_done(conn, [row[0] for row in rows if row[_PARTS] > 1 or row[_ATTEMPTS] > 1])
    return Claim(tuple([_claimed(row, done) for row in rows]), tuple(expired))


_COLUMNS = (
    "id, kind, text, coding, parts, source_addr, destination_addr, route, attempts, possible_duplicate, mo_id, "
    "charge_decision, charge_link, expires_at, priority"
)
_PARTS, _ATTEMPTS, _END = 4, 8, 13
_ORDER = itemgetter(14, 0)  # priority, id

#: One row for all: for each row that it gives, the driver would give up the interpreter's lock and wait for it again.
_SQLITE_DUE = f"""
SELECT json_group_array(json_array({_COLUMNS})) FROM (
    SELECT {_COLUMNS} FROM message WHERE state = 'queued' AND route = ? AND not_before <= ? ORDER BY priority, id LIMIT ?
)
"""
_SQLITE_TAKE = """
UPDATE message SET state = 'sending', reason = '', node = ?, attempts = attempts + 1, state_at = ?
WHERE id IN (SELECT value FROM json_each(?))
"""


def _take_sqlite(
    conn: Connection, route: str, node: str, limit_parts: int, now: datetime, business_now: datetime
) -> list[list[Any]]:
    due = (route, plain_datetime("sqlite", business_now), limit_parts)  # a message has one part at least
    found: list[list[Any]] = json.loads(conn.exec_driver_sql(_SQLITE_DUE, due).scalar_one())
    if not found:
        return found
    found.sort(key=_ORDER)
    parts, fitting = 0, list[list[Any]]()
    for row in found:
        parts += row[_PARTS]
        if parts > limit_parts and fitting:
            break
        row[_ATTEMPTS] += 1
        row[_END] = None if row[_END] is None else _utc(row[_END])
        fitting.append(row)
    numbers = json.dumps([row[0] for row in fitting])
    conn.exec_driver_sql(_SQLITE_TAKE, (node, plain_datetime("sqlite", now), numbers))
    return fitting


@lru_cache(maxsize=1024)
def _utc(stored: str) -> datetime:
    return datetime.fromisoformat(stored).replace(tzinfo=UTC)


_POSTGRESQL_DUE = """
SELECT id, parts, priority FROM message WHERE state = 'queued' AND route = %s AND not_before <= %s
ORDER BY priority, id LIMIT %s FOR UPDATE SKIP LOCKED
"""
#: The rows by their ids, as values: of the monthly partitions only theirs are planned and locked. As a subquery of one
#: statement the planner may join it with the whole backlog: after a burst, with statistics of before, 1.5 s instead of 60 ms.
_POSTGRESQL_TAKE = f"""
UPDATE message SET state = 'sending', reason = '', node = %s, attempts = attempts + 1, state_at = %s
WHERE id = ANY(%s::bigint[]) AND state = 'queued' RETURNING {_COLUMNS}
"""


def _take_postgresql(
    conn: Connection, route: str, node: str, limit_parts: int, now: datetime, business_now: datetime
) -> list[Sequence[Any]]:
    due = conn.exec_driver_sql(_POSTGRESQL_DUE, (route, business_now, limit_parts)).all()
    parts, fitting = 0, list[int]()
    for number, own, _ in sorted(due, key=itemgetter(2, 0)):
        parts += own
        if parts > limit_parts and fitting:
            break
        fitting.append(number)
    if not fitting:
        return []
    return list(conn.exec_driver_sql(_POSTGRESQL_TAKE, (node, now, array_text(fitting))).all())


def _expire(conn: Connection, ids: Sequence[int], now: datetime) -> None:
    conn.execute(
        sa.update(message)
        .where(in_list(conn.dialect.name, message.c.id, "ids"), state_is(MessageState.SENDING))
        .values(state=MessageState.EXPIRED.value, reason="validity", node=None, state_at=now),
        {"ids": ids},
    )


def _parts_done(conn: Connection, ids: Sequence[int]) -> dict[int, tuple[int, ...]]:
    """The parts that the SMSC has from an earlier attempt: they never leave again."""
    if not ids:
        return {}
    done = [state.value for state in (*TAKEN, PartState.REJECTED)]
    query = (
        sa.select(message_part.c.message_id, message_part.c.part)
        .where(in_list(conn.dialect.name, message_part.c.message_id, "ids"), message_part.c.state.in_(done))
        .order_by(message_part.c.message_id, message_part.c.part)
    )
    found: dict[int, tuple[int, ...]] = {}
    for number, part in conn.execute(query, {"ids": ids}):
        found[number] = (*found.get(number, ()), part)
    return found


_KINDS = {kind.value: kind for kind in MessageKind}


def _claimed(row: Sequence[Any], done: dict[int, tuple[int, ...]]) -> ClaimedMessage:
    # unpacked, not by name: there are thousands a second
    (
        number,
        kind,
        text,
        coding,
        parts,
        source,
        destination,
        route,
        attempts,
        duplicate,
        mo_id,
        decision,
        link,
        end,
        first,
    ) = row
    return ClaimedMessage(
        number,
        _KINDS[kind],
        text,
        coding,
        parts,
        source,
        destination,
        route,
        attempts,
        bool(duplicate),
        done.get(number, ()),
        mo_id,
        None if decision is None else ChargeDecision(decision),
        end,
        link,
        first,
    )


def release_strays_txn(
    conn: Connection, node: str, known: Collection[int], before: datetime, now: datetime, route: str | None = None
) -> int:
    """Give back what this node has claimed without knowing of it: sending → queued. Returns how many.

    A claim whose commit was answered by a lost connection may have been carried out. Nothing of it was sent, because
    the sender never heard of it. ``known`` is everything that the sender has in hand; ``before`` keeps off claims that
    are just being made. ``route``: only one operator's.
    """
    mine = sa.select(message.c.id).where(
        state_is(MessageState.SENDING), message.c.node == node, message.c.state_at < before
    )
    if route is not None:
        mine = mine.where(message.c.route == route)
    strays = sorted({number for (number,) in conn.execute(mine)} - set(known))
    if not strays:
        return 0
    return conn.execute(
        sa.update(message)
        .where(message.c.id.in_(strays), state_is(MessageState.SENDING), message.c.node == node)
        .values(state=MessageState.QUEUED.value, reason="claim_lost", node=None, state_at=now)
    ).rowcount
