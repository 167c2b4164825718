"""Whose numbers are whose since they could be ported (2018-11-16): what operators' answers taught."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from gateway.store.schema import portability
from gateway.store.sql import in_list


def ported_routes_txn(conn: Connection, numbers: Collection[str]) -> dict[str, str]:
    """number → route, for those of these numbers that are known to have moved."""
    query = sa.select(portability.c.number, portability.c.route).where(
        in_list(conn.dialect.name, portability.c.number, "numbers")
    )
    return {row.number: row.route for row in conn.execute(query, {"numbers": list(numbers)})}


def learn_route_txn(conn: Connection, number: str, route: str, now: datetime) -> None:
    """Remember that a number (international digits) is this operator's now. The last lesson counts."""
    dialect = postgresql if conn.dialect.name == "postgresql" else sqlite
    values = {"route": route, "learned_at": now}
    insert = dialect.insert(portability).values(number=number, **values)
    conn.execute(insert.on_conflict_do_update(index_elements=["number"], set_=values))
