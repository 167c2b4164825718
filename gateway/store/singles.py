"""The usual way of a notice, by the set: one part, sent once, accepted, delivered.

Nearly every outcome says "accepted" of a message that has one part and leaves for the first time, and nearly every receipt says
"delivered" of such a message. What that changes follows from the row alone, so a few statements change them all, without
a row's coming to Python. Each function takes what is so plain, and says what it took; whatever is not is left to
:class:`gateway.store.batch.MessageBatch`, which knows all the rules. The conditions are in the statements, so a row that
is not as the caller thinks is never changed here.

A statement of SQLite is given its rows as one JSON text, and answers in one row: its driver gives up the interpreter's
lock and takes it again for each step of a statement, and a thread that has to wait for the lock a thousand times a
transaction does little else. A statement of PostgreSQL takes and gives arrays, which its driver reads in C.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.engine import Connection

from gateway.model import IncomingReceipt, PartState, SubmitOutcome
from gateway.store.sql import array_text, plain_datetime

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
    moment = plain_datetime("sqlite", now)
    for (stat, error), those in _by_told(receipts, places, numbers).items():
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


def _by_told(
    receipts: Sequence[IncomingReceipt], places: Sequence[int], numbers: Sequence[int]
) -> dict[tuple[str, str], list[int]]:
    """(stat, error) → the messages of which that is told."""
    found: dict[tuple[str, str], list[int]] = {}
    for place, number in zip(places, numbers, strict=True):
        receipt = receipts[place]
        found.setdefault((receipt.stat, receipt.error), []).append(number)
    return found


# -- PostgreSQL --------------------------------------------------------------------------------------------------------

# Rows are named by lists of values, never by a join or a subquery: then only the months concerned are planned and locked
# (gateway.store.partitions), and no statistics of yesterday make the planner read a whole table.

_POSTGRESQL_ACCEPT = """
WITH moved AS (
    UPDATE message SET state = 'accepted', reason = '', node = NULL, state_at = %s, accepted_at = coalesce(accepted_at, %s)
    WHERE id = ANY(%s::bigint[]) AND state = 'sending' AND node = %s AND parts = 1 AND attempts = 1 AND mo_id IS NULL
    RETURNING id, route
)
SELECT coalesce(array_agg(id), '{}'), coalesce(array_agg(route), '{}') FROM moved
"""
_POSTGRESQL_NEW_PARTS = """
INSERT INTO message_part (message_id, part, state, reason, bind, route, smsc_message_id, id_key, command_status, answered_at)
SELECT id, 1, 'accepted', '', bind, route, smsc_id, id_key, 0, coalesce(answered_at, %s)
FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::text[], %s::text[], %s::timestamptz[])
    AS told (id, bind, route, smsc_id, id_key, answered_at)
"""
_POSTGRESQL_MEANT = """
SELECT coalesce(array_agg(id_key), '{}'), coalesce(array_agg(message_id), '{}') FROM message_part
WHERE route = %s AND id_key = ANY(%s::text[])
"""
#: ``message`` decides, under its lock, and the part follows: as a message of one part that is accepted has an accepted part.
_POSTGRESQL_DELIVER = """
WITH moved AS (
    UPDATE message SET state = 'delivered', reason = '', node = NULL, state_at = %s
    WHERE id = ANY(%s::bigint[]) AND state = 'accepted' AND parts = 1 AND mo_id IS NULL
    RETURNING id
)
SELECT coalesce(array_agg(id), '{}') FROM moved
"""
_POSTGRESQL_DELIVER_PARTS = """
UPDATE message_part SET state = 'delivered', reason = '', final_at = %s, receipt_stat = %s, receipt_error = %s
WHERE part = 1 AND message_id = ANY(%s::bigint[])
"""


def _accept_postgresql(conn: Connection, node: str, outcomes: Sequence[Keyed], now: datetime) -> dict[int, str]:
    numbers = sorted([outcome.message_id for outcome, _ in outcomes])  # in one order: no two nodes wait in a circle
    moved = conn.exec_driver_sql(_POSTGRESQL_ACCEPT, (now, now, array_text(numbers), node)).one()
    routes: dict[int, str] = dict(zip(*moved, strict=True))
    if routes:
        new = [
            (told.message_id, told.bind, routes[told.message_id], told.smsc_message_id, key)
            for told, key in outcomes
            if told.message_id in routes
        ]
        answered = [told.at for told, _ in outcomes if told.message_id in routes]
        columns = [array_text(column) for column in zip(*new, strict=True)]
        conn.exec_driver_sql(_POSTGRESQL_NEW_PARTS, (now, *columns, answered if any(answered) else None))
    return routes


def _deliver_postgresql(
    conn: Connection, route: str, receipts: Sequence[IncomingReceipt], now: datetime
) -> tuple[list[int], list[int]]:
    wanted = {receipt.id_keys[0]: place for place, receipt in enumerate(receipts)}
    keys, numbers = conn.exec_driver_sql(_POSTGRESQL_MEANT, (route, array_text(list(wanted)))).one()
    found = [wanted[key] for key in keys]
    alone = _alone(found)
    place_of = {number: place for place, number in zip(found, numbers, strict=True) if place in alone}
    if not place_of:
        return [], []
    moved: list[int] = conn.exec_driver_sql(_POSTGRESQL_DELIVER, (now, array_text(sorted(place_of)))).scalar_one()
    places = [place_of[number] for number in moved]
    for (stat, error), those in _by_told(receipts, places, moved).items():
        conn.exec_driver_sql(_POSTGRESQL_DELIVER_PARTS, (now, stat, error, array_text(those)))
    return places, moved


_ACCEPT = {"sqlite": _accept_sqlite, "postgresql": _accept_postgresql}
_DELIVER = {"sqlite": _deliver_sqlite, "postgresql": _deliver_postgresql}
