"""Whose numbers are whose since they could be ported (2018-11-16): what operators' answers taught."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from gateway.model import MessageState, SubmitOutcome
from gateway.store.schema import message, portability
from gateway.store.sql import in_list


def ported_routes_txn(conn: Connection, numbers: Collection[str]) -> dict[str, str]:
    """number → route, for those of these numbers that are known to have moved."""
    query = sa.select(portability.c.number, portability.c.route).where(
        in_list(conn.dialect.name, portability.c.number, "numbers")
    )
    return {row.number: row.route for row in conn.execute(query, {"numbers": list(numbers)})}


#: Beginning of the reason under which a message is given back because its number is another operator's.
MOVED = "moved:"


def reroute_txn(conn: Connection, route: str, outcomes: Sequence[SubmitOutcome], now: datetime) -> int:
    """Hand on messages whose number ``route`` does not serve; each outcome's reason names the operator to ask next.

    That operator is remembered for the number: its own refusal would correct the lesson, its taking the message confirms it.
    Returns how many messages went on. Those that are no longer queued stay as they are.
    """
    moved = 0
    for outcome in outcomes:
        if not outcome.reason.startswith(MOVED):
            continue
        following = outcome.reason.removeprefix(MOVED)
        row = conn.execute(
            sa.update(message)
            .where(
                message.c.id == outcome.message_id,
                message.c.route == route,
                message.c.state == MessageState.QUEUED.value,
            )
            .values(route=following)
            .returning(message.c.destination_addr)
        ).one_or_none()
        if row is not None:
            learn_route_txn(conn, row.destination_addr, following, now)
            moved += 1
    return moved


def learn_route_txn(conn: Connection, number: str, route: str, now: datetime) -> None:
    """Remember that a number (international digits) is this operator's now. The last lesson counts."""
    dialect = postgresql if conn.dialect.name == "postgresql" else sqlite
    values = {"route": route, "learned_at": now}
    insert = dialect.insert(portability).values(number=number, **values)
    conn.execute(insert.on_conflict_do_update(index_elements=["number"], set_=values))
