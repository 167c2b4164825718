"""Daily jobs, exactly once over all nodes: whoever inserts the row (job, scheduled_for) runs it.

    (no row) ── claim ──▶ running ── finish ──▶ done
        │                  │    ▲
        │                  └────┘ claim, once the lease has lapsed (its node died, or gave the run back to try later)
        └──── miss ──▶ missed ◀── miss (a run that nobody could finish in its time)

``done`` and ``missed`` are final. A run that is taken over starts again from its beginning, so a job must be one that may:
the apology's notices are unique per dossier and due date.

Runs and their leases are dated by the clock of leases (:mod:`gateway.store.lease_clock`); ``now`` is the caller's.

Every function runs inside the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from gateway.errors import StaleStateError
from gateway.store.lease_clock import lease_now, lease_times
from gateway.store.schema import UtcDateTime, job_run


class RunState(StrEnum):
    RUNNING = "running"
    DONE = "done"
    MISSED = "missed"


class Claim(StrEnum):
    """The answer to a claim."""

    MINE = "mine"
    BUSY = "busy"  # another node runs it
    SETTLED = "settled"  # done or missed


@dataclass(frozen=True, slots=True)
class JobRun:
    """One line of the list of runs."""

    job: str
    scheduled_for: datetime  # business time
    node: str
    state: RunState
    started_at: datetime
    finished_at: datetime | None
    detail: str


def claim_run_txn(
    conn: Connection, job: str, scheduled_for: datetime, node: str, now: datetime, lease_until: datetime
) -> Claim:
    """Take a run, or take it over from a node whose lease has lapsed. A node may take up its own run after a restart."""
    moment, until = lease_times(conn, now, lease_until)
    if _insert(conn, job, scheduled_for, node, RunState.RUNNING, moment, until, ""):
        return Claim.MINE
    taken = conn.execute(
        sa.update(job_run).where(_is(job, scheduled_for), _free(node, moment)).values(node=node, lease_until=until)
    )
    return Claim.MINE if taken.rowcount else _standing_txn(conn, job, scheduled_for)


def renew_run_txn(
    conn: Connection, job: str, scheduled_for: datetime, node: str, now: datetime, lease_until: datetime
) -> None:
    """Keep a run while it goes on. Raises StaleStateError when another node has taken it over."""
    _, until = lease_times(conn, now, lease_until)
    _update_mine(conn, job, scheduled_for, node, {"lease_until": until})


def release_run_txn(conn: Connection, job: str, scheduled_for: datetime, node: str, now: datetime, detail: str) -> None:
    """Give a run back, to be tried again later by whichever node comes first."""
    _update_mine(conn, job, scheduled_for, node, {"lease_until": lease_now(conn, now), "node": "", "detail": detail})


def finish_run_txn(conn: Connection, job: str, scheduled_for: datetime, node: str, now: datetime, detail: str) -> None:
    """running → done. Raises StaleStateError when another node has taken it over."""
    moment = lease_now(conn, now)
    changes = {"state": RunState.DONE.value, "finished_at": moment, "lease_until": None, "detail": detail}
    _update_mine(conn, job, scheduled_for, node, changes)


def miss_run_txn(conn: Connection, job: str, scheduled_for: datetime, node: str, now: datetime, detail: str) -> Claim:
    """Record that a run can no longer be made: MINE when this call did so.

    A run that another node is still at is left to it (BUSY); one that is done or missed already is SETTLED.
    """
    moment = lease_now(conn, now)
    if _insert(conn, job, scheduled_for, node, RunState.MISSED, moment, None, detail):
        return Claim.MINE
    changed = conn.execute(
        sa.update(job_run)
        .where(_is(job, scheduled_for), _free(node, moment))
        .values(
            state=RunState.MISSED.value,
            finished_at=moment,
            lease_until=None,
            detail=sa.case((job_run.c.detail == "", detail), else_=sa.literal(detail + "; ") + job_run.c.detail),
        )
    )
    return Claim.MINE if changed.rowcount else _standing_txn(conn, job, scheduled_for)


def last_run_txn(conn: Connection, job: str) -> datetime | None:
    """For when the latest run of a job that is settled or under way was scheduled."""
    latest = sa.func.max(job_run.c.scheduled_for, type_=UtcDateTime)
    found: datetime | None = conn.scalar(sa.select(latest).where(job_run.c.job == job))
    return found


def runs_txn(conn: Connection, since: datetime) -> Sequence[JobRun]:
    """The runs scheduled at or after ``since``, the newest first."""
    rows = conn.execute(
        sa.select(job_run)
        .where(job_run.c.scheduled_for >= since)
        .order_by(job_run.c.scheduled_for.desc(), job_run.c.job)
    )
    return [
        JobRun(row.job, row.scheduled_for, row.node, RunState(row.state), row.started_at, row.finished_at, row.detail)
        for row in rows
    ]


def _is(job: str, scheduled_for: datetime) -> sa.ColumnElement[bool]:
    return sa.and_(job_run.c.job == job, job_run.c.scheduled_for == scheduled_for)


def _free(node: str, now: datetime) -> sa.ColumnElement[bool]:
    """Under way, but this node's own, or nobody's since its lease has lapsed."""
    lapsed = sa.or_(job_run.c.node == node, job_run.c.lease_until <= now)
    return sa.and_(job_run.c.state == RunState.RUNNING.value, lapsed)


def _standing_txn(conn: Connection, job: str, scheduled_for: datetime) -> Claim:
    state = conn.scalar(sa.select(job_run.c.state).where(_is(job, scheduled_for)))
    return Claim.BUSY if state == RunState.RUNNING.value else Claim.SETTLED


def _insert(
    conn: Connection,
    job: str,
    scheduled_for: datetime,
    node: str,
    state: RunState,
    now: datetime,
    lease_until: datetime | None,
    detail: str,
) -> bool:
    insert = postgresql.insert(job_run) if conn.dialect.name == "postgresql" else sqlite.insert(job_run)
    done = conn.execute(
        insert.values(
            job=job,
            scheduled_for=scheduled_for,
            node=node,
            state=state.value,
            started_at=now,
            finished_at=now if state is RunState.MISSED else None,
            lease_until=lease_until,
            detail=detail,
        )
        .on_conflict_do_nothing()
        .returning(job_run.c.job)
    )
    return done.first() is not None  # PostgreSQL's driver counts no rows here


def _update_mine(conn: Connection, job: str, scheduled_for: datetime, node: str, changes: dict[str, object]) -> None:
    changed = conn.execute(
        sa.update(job_run)
        .where(_is(job, scheduled_for), job_run.c.state == RunState.RUNNING.value, job_run.c.node == node)
        .values(**changes)
    )
    if not changed.rowcount:
        raise StaleStateError(f"the run of {job} for {scheduled_for.isoformat()} is not {node}'s any more")
