"""The usual way of a notice, by the set: one part, sent once, accepted, delivered.

Nearly every outcome says "accepted" of a message that has one part and leaves for the first time, and nearly every receipt says
"delivered" of such a message. What that changes follows from the row alone, so a few statements change them all, without
a row's coming to Python. Each function takes what is so plain, and says what it took; whatever is not is left to
:class:`gateway.store.batch.MessageBatch`, which knows all the rules. The conditions are in the statements, so a row that
is not as the caller thinks is never changed here.

A statement of SQLite is given its rows as one JSON text, and answers in one row: its driver gives up the interpreter's
lock and takes it again for each step of a statement, and a thread that has to wait for the lock a thousand times a
transaction does little else.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.engine import Connection

from gateway.model import IncomingReceipt, PartState, SubmitOutcome
from gateway.store.sql import plain_datetime

#: An outcome of a part with the key of its id.
Keyed = tuple[SubmitOutcome, str]


def accept_singles_txn(conn: Connection, node: str, outcomes: Sequence[Keyed], now: datetime) -> dict[int, str]:
    """Record "accepted" for those of these that are of one part, sent by ``node`` for the first time, and no replies.

    ``outcomes`` are of different messages, with an id each. Returns the messages that are accepted now, and their routes;
    all others are as they were.
    """
    return _ACCEPT[conn.dialect.name](conn, node, outcomes, now) if outcomes else {}


def deliver_singles_txn(
    conn: Connection, route: str, receipts: Sequence[IncomingReceipt], now: datetime
) -> tuple[list[int], list[int]]:
    """Record "delivered" for those of these that speak of an accepted message of one part, no reply, alone under its id.

    ``receipts`` are of ``route``, with different first keys. Returns the places of those that were recorded, and the messages.
    """
    return _DELIVER[conn.dialect.name](conn, route, receipts, now) if receipts else ([], [])


def is_single_accept(outcome: SubmitOutcome) -> bool:
    """Whether an outcome is of the kind that :func:`accept_singles_txn` takes, as far as it tells."""
    return (
        outcome.state is PartState.ACCEPTED
        and outcome.part == 1
        and outcome.command_status == 0
        and outcome.smsc_message_id != ""
    )


# -- SQLite ------------------------------------------------------------------------------------------------------------

_SQLITE_FRESH = """
SELECT json_group_array(id), json_group_array(route) FROM message
WHERE id IN (SELECT value FROM json_each(?)) AND state = 'sending' AND node = ? AND parts = 1 AND attempts = 1
  AND mo_id IS NULL
"""
_SQLITE_ACCEPT = """
UPDATE message SET state = 'accepted', reason = '', node = NULL, state_at = ?, accepted_at = coalesce(accepted_at, ?)
WHERE id IN (SELECT value FROM json_each(?))
"""
_SQLITE_NEW_PARTS = """
INSERT INTO message_part (message_id, part, state, reason, bind, route, smsc_message_id, id_key, command_status, answered_at)
SELECT message.id, 1, 'accepted', '', json_extract(new.value, '$[1]'), message.route, json_extract(new.value, '$[2]'),
       json_extract(new.value, '$[3]'), 0, coalesce(json_extract(new.value, '$[4]'), ?)
FROM json_each(?) AS new CROSS JOIN message ON message.id = json_extract(new.value, '$[0]')
"""
#: A message of one part that is accepted has an accepted part: the part itself need not be read.
_SQLITE_MEANT = """
SELECT json_group_array(wanted.key), json_group_array(message.id),
       json_group_array(message.state = 'accepted' AND message.parts = 1 AND message.mo_id IS NULL)
FROM json_each(?) AS wanted
CROSS JOIN message_part ON message_part.route = ? AND message_part.id_key = wanted.value
CROSS JOIN message ON message.id = message_part.message_id
"""
_SQLITE_DELIVER_PARTS = """
UPDATE message_part SET state = 'delivered', reason = '', final_at = ?, receipt_stat = ?, receipt_error = ?
WHERE part = 1 AND message_id IN (SELECT value FROM json_each(?))
"""
_SQLITE_DELIVER = """
UPDATE message SET state = 'delivered', reason = '', node = NULL, state_at = ?
WHERE id IN (SELECT value FROM json_each(?))
"""


def _accept_sqlite(conn: Connection, node: str, outcomes: Sequence[Keyed], now: datetime) -> dict[int, str]:
    numbers = json.dumps([outcome.message_id for outcome, _ in outcomes])
    found, routes = conn.exec_driver_sql(_SQLITE_FRESH, (numbers, node)).one()
    fresh: dict[int, str] = dict(zip(json.loads(found), json.loads(routes), strict=True))
    if not fresh:
        return fresh
    known = outcomes if len(fresh) == len(outcomes) else [item for item in outcomes if item[0].message_id in fresh]
    new = [
        (
            told.message_id,
            told.bind,
            told.smsc_message_id,
            key,
            None if told.at is None else plain_datetime("sqlite", told.at),
        )
        for told, key in known
    ]
    moment = plain_datetime("sqlite", now)
    conn.exec_driver_sql(_SQLITE_ACCEPT, (moment, moment, found))
    conn.exec_driver_sql(_SQLITE_NEW_PARTS, (moment, json.dumps(new)))
    return fresh


def _deliver_sqlite(
    conn: Connection, route: str, receipts: Sequence[IncomingReceipt], now: datetime
) -> tuple[list[int], list[int]]:
    keys = json.dumps([receipt.id_keys[0] for receipt in receipts])
    answer = conn.exec_driver_sql(_SQLITE_MEANT, (keys, route)).one()
    places, numbers, usual = (json.loads(column) for column in answer)
    if len(places) != sum(usual) or len(set(places)) != len(places):
        alone = _alone(places)
        kept = [at for at, fit in enumerate(usual) if fit and places[at] in alone]
        places, numbers = [places[at] for at in kept], [numbers[at] for at in kept]
    by_told: dict[tuple[str, str], list[int]] = {}
    for place, number in zip(places, numbers, strict=True):
        receipt = receipts[place]
        by_told.setdefault((receipt.stat, receipt.error), []).append(number)
    moment = plain_datetime("sqlite", now)
    for (stat, error), those in by_told.items():
        conn.exec_driver_sql(_SQLITE_DELIVER_PARTS, (moment, stat, error, json.dumps(those)))
    if numbers:
        conn.exec_driver_sql(_SQLITE_DELIVER, (moment, json.dumps(numbers)))
    return places, numbers


def _alone(places: Sequence[int]) -> set[int]:
    """What occurs once."""
    once: set[int] = set()
    again: set[int] = set()
    for place in places:
        (again if place in once else once).add(place)
    return once - again


# -- PostgreSQL --------------------------------------------------------------------------------------------------------

_POSTGRESQL_ACCEPT = """
WITH told AS (
    SELECT * FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::text[], %s::timestamptz[])
        AS told (id, bind, smsc_id, id_key, answered_at)
),
moved AS (
    UPDATE message
    SET state = 'accepted', reason = '', node = NULL, state_at = %s, accepted_at = coalesce(message.accepted_at, %s)
    FROM told
    WHERE message.id = told.id AND message.state = 'sending' AND message.node = %s AND message.parts = 1
      AND message.attempts = 1 AND message.mo_id IS NULL
    RETURNING message.id, message.route, told.bind, told.smsc_id, told.id_key, told.answered_at
),
parts AS (
    INSERT INTO message_part
        (message_id, part, state, reason, bind, route, smsc_message_id, id_key, command_status, answered_at)
    SELECT id, 1, 'accepted', '', bind, route, smsc_id, id_key, 0, coalesce(answered_at, %s) FROM moved
)
SELECT id, route FROM moved
"""
#: ``message`` decides, under its lock, and the part follows: as a message of one part that is accepted has an accepted part.
_POSTGRESQL_DELIVER = """
WITH meant AS (
    SELECT wanted.place, wanted.stat, wanted.error, message_part.message_id,
           count(*) OVER (PARTITION BY wanted.place) AS found
    FROM unnest(%s::text[], %s::text[], %s::text[]) WITH ORDINALITY AS wanted (id_key, stat, error, place)
    JOIN message_part ON message_part.route = %s AND message_part.id_key = wanted.id_key
),
moved AS (
    UPDATE message SET state = 'delivered', reason = '', node = NULL, state_at = %s
    FROM meant
    WHERE message.id = meant.message_id AND meant.found = 1 AND message.state = 'accepted' AND message.parts = 1
      AND message.mo_id IS NULL
    RETURNING message.id, meant.place, meant.stat, meant.error
),
parts AS (
    UPDATE message_part
    SET state = 'delivered', reason = '', final_at = %s, receipt_stat = moved.stat, receipt_error = moved.error
    FROM moved
    WHERE message_part.message_id = moved.id AND message_part.part = 1
)
SELECT place, id FROM moved
"""


def _accept_postgresql(conn: Connection, node: str, outcomes: Sequence[Keyed], now: datetime) -> dict[int, str]:
    known = sorted(outcomes)  # one order everywhere: two nodes do not wait for each other in a circle
    arguments: tuple[Any, ...] = (
        [outcome.message_id for outcome, _ in known],
        [outcome.bind for outcome, _ in known],
        [outcome.smsc_message_id for outcome, _ in known],
        [key for _, key in known],
        [outcome.at for outcome, _ in known],
        now,
        now,
        node,
        now,
    )
    rows: Sequence[Any] = conn.exec_driver_sql(_POSTGRESQL_ACCEPT, arguments).all()
    return dict(rows)


def _deliver_postgresql(
    conn: Connection, route: str, receipts: Sequence[IncomingReceipt], now: datetime
) -> tuple[list[int], list[int]]:
    arguments: tuple[Any, ...] = (
        [receipt.id_keys[0] for receipt in receipts],
        [receipt.stat for receipt in receipts],
        [receipt.error for receipt in receipts],
        route,
        now,
        now,
    )
    rows = conn.exec_driver_sql(_POSTGRESQL_DELIVER, arguments).all()
    return [place - 1 for place, _ in rows], [number for _, number in rows]


_ACCEPT = {"sqlite": _accept_sqlite, "postgresql": _accept_postgresql}
_DELIVER = {"sqlite": _deliver_sqlite, "postgresql": _deliver_postgresql}
