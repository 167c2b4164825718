"""The day's run of retention: once in the cluster, in small transactions, giving way to messages.

Each day from ``retention.at`` on, one node takes the run (table job_run); another one takes it over when that one dies. It makes the
months' partitions ready, then goes through the steps of :mod:`gateway.store.retention_steps`, one page in a transaction, with a
pause between two, and waits while the store is busy. Where it is stands in the store, so a run that breaks off goes on there.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog
from sqlalchemy.engine import Connection
from twisted.internet.defer import Deferred, succeed

from gateway.clock import VIETNAM, Clock
from gateway.db import Database
from gateway.errors import StaleStateError, StoreError
from gateway.jobs.calendar import at_vietnam_time, vietnam_day
from gateway.settings import RetentionSettings
from gateway.smpp.ports import DelayedCall, ReactorTime
from gateway.store import jobs, partitions
from gateway.store.jobs import Claim
from gateway.store.partitions import Month
from gateway.store.retention import Progress, Step, advance_txn
from gateway.store.retention_steps import STEPS

log = structlog.get_logger()

JOB = "retention"
#: A daemon that starts has more urgent things to do.
START_AFTER_S = 120.0
#: How often it is looked whether there is a run to take; also the wait after a failure.
LOOK_S = 60.0
#: How long to give way when the store is busy.
BUSY_S = 2.0


class RetentionJob:
    """One node's part in it. ``stop`` waits for the transaction under way."""

    def __init__(
        self,
        reactor: ReactorTime,
        clock: Clock,
        db: Database,
        rules: RetentionSettings,
        *,
        node: str,
        lease_s: float,
        steps: Sequence[Step] = STEPS,
    ) -> None:
        self._reactor, self._clock, self._db, self._rules = reactor, clock, db, rules
        self._node, self._lease = node, timedelta(seconds=lease_s)
        self._steps = steps
        self._settled: datetime | None = None  # the latest run that needs no more thought
        self._call: DelayedCall | None = None
        self._nap: tuple[DelayedCall, Deferred[None]] | None = None
        self._under_way: Deferred[None] | None = None
        self._stopped = False

    def start(self) -> None:
        self._wait(START_AFTER_S)

    def stop(self) -> Deferred[None]:
        """Begin no further transaction; fires when the one under way has ended."""
        self._stopped = True
        if self._call is not None and self._call.active():
            self._call.cancel()
        ended: Deferred[None] = succeed(None)
        if self._under_way is not None:
            ended = Deferred()
            self._under_way.addCallback(lambda _: ended.callback(None))
        if self._nap is not None:
            call, woken = self._nap
            if call.active():
                call.cancel()
                woken.callback(None)
        return ended

    def _wait(self, delay_s: float) -> None:
        self._under_way = None
        if not self._stopped:
            self._call = self._reactor.callLater(delay_s, self._look)

    def _look(self) -> None:
        self._under_way = Deferred.fromCoroutine(self._guarded())

    async def _guarded(self) -> None:
        try:
            await self._run_if_due()
        except (StoreError, StaleStateError) as error:
            log.warning("retention_interrupted", reason=str(error), retry_s=LOOK_S)
        except Exception:  # the edge of the job runner: it is tried again
            log.exception("retention_crashed", retry_s=LOOK_S)
        self._wait(LOOK_S)

    def scheduled(self) -> datetime:
        """The latest moment at which a run was to begin. System time: rows grow old by it, not by an exercise's clock."""
        now = self._clock.now()
        today = at_vietnam_time(vietnam_day(now), self._rules.at)
        return today if today <= now else at_vietnam_time(vietnam_day(now) - timedelta(days=1), self._rules.at)

    async def _run_if_due(self) -> None:
        run = self.scheduled()
        if run == self._settled:
            return
        now = self._clock.now()
        claim = await self._db.run("claim_run", jobs.claim_run_txn, JOB, run, self._node, now, now + self._lease)
        if claim is Claim.MINE:
            detail = await self._run(run)
            if detail is None:
                return  # stopped; goes on after the restart, or on another node
            await self._db.run("finish_run", jobs.finish_run_txn, JOB, run, self._node, self._clock.now(), detail)
            log.info("retention_done", detail=detail)
        if claim is not Claim.BUSY:
            self._settled = run

    async def _run(self, run: datetime) -> str | None:
        log.info("retention_started", scheduled_for=run.astimezone(VIETNAM).isoformat())
        strays: list[Month] = await self._db.read("stray_months", partitions.strays_txn)
        if strays:
            months = [month.number for month in strays]
            log.error(
                "messages_without_partition", months=months, remedy="check the clocks of the nodes; they are moved now"
            )
        made = await self._db.run("prepare_months", partitions.prepare_txn, self._clock.now())
        if made:
            log.info("months_prepared", partitions=[month.partition for month in made])
        changed: dict[str, int] = {}
        for step in self._steps:
            finished = None
            while finished is None:
                await self._pause()
                if self._stopped:
                    return None
                progress = await self._db.run(step.name, self._page_txn, step, run, self._clock.now())
                finished = progress.finished_at
            if progress.changed:
                changed[step.name] = progress.changed
                log.info("retention_step_done", step=step.name, rows=progress.changed)
        return " ".join(f"{name}={rows}" for name, rows in changed.items()) or "nothing was due"

    def _page_txn(self, conn: Connection, step: Step, run: datetime, now: datetime) -> Progress:
        # First the lease: two nodes never work on one step.
        jobs.renew_run_txn(conn, JOB, run, self._node, now, now + self._lease)
        return advance_txn(conn, step, self._rules, now)

    async def _pause(self) -> None:
        await self._sleep(self._rules.pause_s)
        while self._db.depth > self._rules.busy_depth and not self._stopped:
            await self._sleep(BUSY_S)

    def _sleep(self, delay_s: float) -> Deferred[None]:
        woken: Deferred[None] = Deferred()
        self._nap = (self._reactor.callLater(delay_s, woken.callback, None), woken)
        return woken
