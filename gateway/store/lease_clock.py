"""The clock by which leases are judged.

Several nodes share one PostgreSQL, and each has a clock of its own. A lease that one node wrote by its clock and another one
judged by its own would be as long as their difference allows. So every lease in the store (``node.alive_until``,
``job_run.lease_until``, ``source_cursor.lease_until``) is written and judged by the database's clock, read in the same
transaction. SQLite is one machine and keeps the caller's clock.

What a node itself believes of its lease it counts on the reactor's steady clock, see :mod:`gateway.mt.lease`.
"""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.store.schema import UtcDateTime

#: An execution option of an engine: leases go by the caller's clock on PostgreSQL, too (tests on a virtual clock).
CALLERS_CLOCK = "motcua_leases_by_callers_clock"


def lease_now(conn: Connection, now: datetime) -> datetime:
    """The present moment for leases. ``now`` is the caller's.

    The moment of this call, not of the transaction's begin: a transaction may have waited for a lock since.
    """
    if conn.dialect.name != "postgresql" or conn.get_execution_options().get(CALLERS_CLOCK, False):
        return now
    moment: datetime = conn.execute(sa.select(sa.func.clock_timestamp(type_=UtcDateTime))).scalar_one()
    return moment


def lease_times(conn: Connection, now: datetime, until: datetime) -> tuple[datetime, datetime]:
    """The present moment for leases, and the end of one that the caller wants to last from ``now`` to ``until``."""
    moment = lease_now(conn, now)
    return moment, moment + (until - now)
