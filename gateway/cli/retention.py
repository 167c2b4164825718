"""``motcua-gateway retention``: what is kept how long, how far the day's run has come, a run by hand."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from gateway.cli import cli, config_option, load_or_exit
from gateway.cli.tables import Column, as_table
from gateway.clock import VIETNAM
from gateway.db import make_engine
from gateway.errors import GatewayError
from gateway.settings import RetentionSettings
from gateway.store import jobs, migrate, partitions
from gateway.store.jobs import Claim
from gateway.store.retention import Progress, Step, advance_txn, preview_txn, progress_txn
from gateway.store.retention_steps import STEPS
from gateway.store.schema import job_run

#: As the daemon's job, so that a run by hand and the daemon's are never made at once.
JOB = "retention"
#: A run by hand that was killed holds up the daemon's for so long.
LEASE = timedelta(minutes=5)
_COLUMNS = (
    Column("step", "step"),
    Column("what", "what"),
    Column("before", "older than"),
    Column("changed", "rows"),
    Column("finished", "last pass"),
)


@cli.group("retention")
def retention_group() -> None:
    """What is kept how long: anonymise and delete what is old."""


@retention_group.command("status")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@config_option
def status(as_json: bool, config_path: Path) -> None:
    """Show each step with its age, how many rows its last pass changed, and when; and the months of messages."""
    settings = load_or_exit(config_path)
    rules, now = settings.retention, datetime.now(UTC)
    with _store(settings.store.url) as engine, engine.connect() as conn:
        found = _status_txn(conn, rules, now)
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False))
        return
    click.echo(as_table(_COLUMNS, found["steps"]))
    if months := found["months"]:
        click.echo(f"\nMonths with a partition: {months[0]} to {months[-1]}" + _gap(found))


def _gap(found: dict[str, list[Any]]) -> str:
    strays = found["months_without_partition"]
    return f"; messages without one: {strays}. Check the nodes' clocks; the next run moves them" if strays else ""


def _status_txn(conn: Connection, rules: RetentionSettings, now: datetime) -> dict[str, list[Any]]:
    done = progress_txn(conn)
    return {
        "steps": [_step_line(step, done.get(step.name), rules, now) for step in STEPS],
        "months": [month.number for month in partitions.months_txn(conn)],
        "months_without_partition": [month.number for month in partitions.strays_txn(conn)],
    }


def _step_line(step: Step, progress: Progress | None, rules: RetentionSettings, now: datetime) -> dict[str, Any]:
    before = step.before(rules, now)
    finished = "never"
    if progress is not None:
        ended = progress.finished_at
        finished = "under way since " + _time(progress.started_at) if ended is None else _time(ended)
    return {
        "step": step.name,
        "what": step.what,
        "before": "(off)" if before is None else before.astimezone(VIETNAM).date().isoformat(),
        "changed": 0 if progress is None else progress.changed,
        "finished": finished,
    }


def _time(at: datetime) -> str:
    return at.astimezone(VIETNAM).isoformat(" ", "minutes")


@retention_group.command("run")
@click.option("--dry-run", is_flag=True, help="Count what is due; change nothing.")
@config_option
def run(dry_run: bool, config_path: Path) -> None:
    """Do now what the daemon does once a day: in small transactions with pauses, beside running daemons.

    It may be interrupted (Ctrl-C): the next run goes on there. A month with open messages stays until they have ended.
    """
    settings = load_or_exit(config_path)
    with _store(settings.store.url) as engine:
        if dry_run:
            for step in STEPS:
                click.echo(f"{step.name:24} {_count(engine, step, settings.retention)} rows are due: {step.what}")
            return
        with _claimed(engine) as lease:
            _run(lease, settings.retention)


def _count(engine: Engine, step: Step, rules: RetentionSettings) -> int:
    due, position = 0, None
    while True:
        with engine.connect() as conn:
            rows, position = preview_txn(conn, step, rules, datetime.now(UTC), position)
        due += rows
        if position is None:
            return due


@dataclass(frozen=True)
class _Lease:
    engine: Engine
    run: datetime
    node: str

    def renew_txn(self, conn: Connection, now: datetime) -> None:
        jobs.renew_run_txn(conn, JOB, self.run, self.node, now, now + LEASE)


@contextmanager
def _claimed(engine: Engine) -> Iterator[_Lease]:
    """A run of its own in the list of runs, refused while another one is under way."""
    now = datetime.now(UTC)
    lease = _Lease(engine.execution_options(motcua_write=True), now, f"by hand {now.timestamp():.0f}")
    with lease.engine.begin() as conn:
        for other in jobs.runs_txn(conn, now - timedelta(days=2)):
            if other.job == JOB and other.state is jobs.RunState.RUNNING and _alive(conn, other, now):
                raise GatewayError(
                    f"{other.node} is at it since {_time(other.started_at)}. Look with 'retention status'"
                )
        if jobs.claim_run_txn(conn, JOB, lease.run, lease.node, now, now + LEASE) is not Claim.MINE:
            raise GatewayError("another run began in this moment. Look with 'retention status'")
    detail = "interrupted"
    try:
        yield lease
        detail = "done by hand"
    finally:
        with lease.engine.begin() as conn:
            jobs.finish_run_txn(conn, JOB, lease.run, lease.node, datetime.now(UTC), detail)


def _alive(conn: Connection, run: jobs.JobRun, now: datetime) -> bool:
    query = sa.select(job_run.c.lease_until).where(
        job_run.c.job == run.job, job_run.c.scheduled_for == run.scheduled_for
    )
    until: datetime | None = conn.execute(query).scalar()
    return until is not None and until > now


def _run(lease: _Lease, rules: RetentionSettings) -> None:
    with lease.engine.begin() as conn:
        made = partitions.prepare_txn(conn, datetime.now(UTC))
    for month in made:
        click.echo(f"partition {month.partition} made")
    for step in STEPS:
        finished = None
        while finished is None:
            now = datetime.now(UTC)
            with lease.engine.begin() as conn:
                lease.renew_txn(conn, now)
                progress = advance_txn(conn, step, rules, now)
            finished = progress.finished_at
            time.sleep(rules.pause_s)
        click.echo(f"{step.name:24} {progress.changed} rows: {step.what}")


@contextmanager
def _store(url: str) -> Iterator[Engine]:
    if not migrate.is_current(url):
        raise GatewayError("the store has another schema version. Run 'motcua-gateway db upgrade'")
    engine = make_engine(url, readers=1)
    try:
        yield engine
    finally:
        engine.dispose()
