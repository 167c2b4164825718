"""Daily jobs by business time, each exactly once over all nodes.

Every second the scheduler compares business time with each job's hours (a demonstration may set business time, so it can
jump; a timer set for 17:30 would sleep through that). From ``at`` until ``until`` a run is claimed and made, so a daemon that
starts late catches up; after ``until`` it is recorded as missed, and so are the days on which no daemon was up.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any, Protocol

import structlog
from twisted.internet.defer import Deferred, gatherResults

from gateway.clock import VIETNAM, Clock
from gateway.db import Database
from gateway.errors import GatewayError, StaleStateError, StoreError
from gateway.jobs.calendar import at_vietnam_time, vietnam_day
from gateway.store import jobs
from gateway.store.jobs import Claim

log = structlog.get_logger()

TICK_S = 1.0
#: A run that could not be made is tried again after this.
RETRY_S = 60.0
#: How often another node's run is looked at in one lease: a dead node's is taken over soon after its lease has lapsed.
LOOKS_IN_A_LEASE = 4
#: A daemon that was down for longer does not list every single day.
MISSED_DAYS = 31


class RetryLater(GatewayError):
    """A daily job cannot be done yet."""


@dataclass(frozen=True, slots=True)
class DailyJob:
    """A job for each day. ``run`` gets the business time for which it was scheduled, and returns a line for the list of
    runs; it may raise :class:`RetryLater`, and must be one that may be run again from its beginning."""

    name: str
    at: time  # Vietnamese time
    until: time
    run: Callable[[datetime], Awaitable[str]]


class SchedulerReactor(Protocol):
    def seconds(self) -> float: ...

    def callLater(self, delay: float, callable: Callable[..., Any], *args: object, **kwargs: object) -> Any: ...


@dataclass(slots=True)
class _Job:
    daily: DailyJob
    settled: date | None = None  # the latest day that needs no more thought
    accounted: date | None = None  # the latest day whose predecessors are listed
    look_again_s: float = 0.0
    current: Deferred[None] | None = None
    waiters: list[Deferred[None]] = field(default_factory=list)


class Scheduler:
    """Runs daily jobs. ``stop`` waits for those under way."""

    def __init__(
        self,
        reactor: SchedulerReactor,
        clock: Clock,
        store: Database,
        daily: Sequence[DailyJob],
        *,
        node: str,
        lease_s: float,
    ) -> None:
        self._reactor, self._clock, self._store = reactor, clock, store
        self._node, self._lease_s = node, lease_s
        self._jobs = [_Job(job) for job in daily]
        self._timer: Any = None
        self._stopping = False

    def start(self) -> None:
        self._stopping = False
        self._tick()

    def stop(self) -> Deferred[None]:
        """No further run. Fires when those under way have ended."""
        self._stopping = True
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        ends: list[Deferred[None]] = []
        for job in self._jobs:
            if job.current is not None:
                end: Deferred[None] = Deferred()
                job.waiters.append(end)
                ends.append(end)
        return gatherResults(ends).addCallback(lambda _: None)

    def _tick(self) -> None:
        if self._stopping:
            return
        for job in self._jobs:
            if job.current is None and self._reactor.seconds() >= job.look_again_s:
                self._look(job)
        self._timer = self._reactor.callLater(TICK_S, self._tick)

    def _look(self, job: _Job) -> None:
        """Do what business time asks for, one thing at a time."""
        now = self._clock.business_now()
        today = vietnam_day(now)
        scheduled = at_vietnam_time(today, job.daily.at)
        if job.accounted != today:
            self._under_way(job, self._account(job, today))
        elif job.settled != today and now >= scheduled:
            in_time = now < at_vietnam_time(today, job.daily.until)
            self._under_way(job, self._run(job, scheduled) if in_time else self._miss(job, scheduled))

    def _under_way(self, job: _Job, work: Any) -> None:
        job.current = Deferred.fromCoroutine(self._guarded(job, work))

        def ended(_: object) -> None:
            job.current = None
            waiters, job.waiters = job.waiters, []
            for waiter in waiters:
                waiter.callback(None)

        current = job.current
        current.addBoth(ended)

    async def _guarded(self, job: _Job, work: Awaitable[None]) -> None:
        try:
            await work
        except StoreError as error:
            job.look_again_s = self._reactor.seconds() + RETRY_S
            log.error("job_not_recorded", job=job.daily.name, error=str(error))
        except Exception:  # the edge of the job runner: the scheduler goes on
            job.look_again_s = self._reactor.seconds() + RETRY_S
            log.exception("job_crashed", job=job.daily.name)

    # -- the days before ----------------------------------------------------------------------------------------

    async def _account(self, job: _Job, today: date) -> None:
        """List the days since the last run on which nobody ran it. Before a job's first run there is nothing to miss."""
        last = await self._store.read("last_run", jobs.last_run_txn, job.daily.name)
        if last is not None:
            day = max(vietnam_day(last), today - timedelta(days=MISSED_DAYS))
            while (day := day + timedelta(days=1)) < today:
                await self._record_missed(job, at_vietnam_time(day, job.daily.at), "no daemon was up")
        job.accounted = today

    async def _miss(self, job: _Job, scheduled: datetime) -> None:
        until = f"{job.daily.until:%H:%M}"
        claim = await self._record_missed(job, scheduled, f"not run until {until}")
        if claim is Claim.BUSY:
            job.look_again_s = self._reactor.seconds() + RETRY_S
        else:
            job.settled = vietnam_day(scheduled)

    async def _record_missed(self, job: _Job, scheduled: datetime, detail: str) -> Claim:
        claim = await self._store.run(
            "miss_run", jobs.miss_run_txn, job.daily.name, scheduled, self._node, self._clock.now(), detail
        )
        if claim is Claim.MINE:
            when = scheduled.astimezone(VIETNAM).isoformat()
            log.error("job_missed", job=job.daily.name, scheduled_for=when, detail=detail)
        return claim

    # -- a run --------------------------------------------------------------------------------------------------

    async def _run(self, job: _Job, scheduled: datetime) -> None:
        name, now = job.daily.name, self._clock.now()
        lease = timedelta(seconds=self._lease_s)
        claim = await self._store.run("claim_run", jobs.claim_run_txn, name, scheduled, self._node, now, now + lease)
        if claim is Claim.SETTLED:
            job.settled = vietnam_day(scheduled)
        if claim is not Claim.MINE:
            job.look_again_s = self._reactor.seconds() + self._lease_s / LOOKS_IN_A_LEASE
            return
        log.info("job_started", job=name, scheduled_for=scheduled.astimezone(VIETNAM).isoformat())
        keeper = _LeaseKeeper(self, name, scheduled)
        try:
            detail = await job.daily.run(scheduled)
        except Exception as error:  # the edge of the job runner: the run is given back
            if isinstance(error, RetryLater):
                log.warning("job_put_off", job=name, reason=str(error), retry_s=RETRY_S)
            elif isinstance(error, StoreError):
                log.error("job_failed", job=name, error=str(error), retry_s=RETRY_S)
            else:
                log.exception("job_failed", job=name)
            job.look_again_s = self._reactor.seconds() + RETRY_S
            reason = str(error) or type(error).__name__
            await self._store.run(
                "release_run", jobs.release_run_txn, name, scheduled, self._node, self._clock.now(), reason
            )
            return
        finally:
            keeper.stop()
        await self._store.run("finish_run", jobs.finish_run_txn, name, scheduled, self._node, self._clock.now(), detail)
        job.settled = vietnam_day(scheduled)
        log.info("job_done", job=name, detail=detail)


class _LeaseKeeper:
    """Renews the lease of a run while it goes on."""

    def __init__(self, scheduler: Scheduler, name: str, scheduled: datetime) -> None:
        self._scheduler, self._name, self._scheduled = scheduler, name, scheduled
        self._timer: Any = None
        self._stopped = False
        self._wait()

    def stop(self) -> None:
        self._stopped = True
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    def _wait(self) -> None:
        if not self._stopped:
            self._timer = self._scheduler._reactor.callLater(self._scheduler._lease_s / 3, self._renew)

    def _renew(self) -> None:
        Deferred.fromCoroutine(self._renewed()).addCallback(lambda _: self._wait())

    async def _renewed(self) -> None:
        scheduler = self._scheduler
        now = scheduler._clock.now()
        lease_until = now + timedelta(seconds=scheduler._lease_s)
        try:
            await scheduler._store.run(
                "renew_run", jobs.renew_run_txn, self._name, self._scheduled, scheduler._node, now, lease_until
            )
        except StaleStateError as error:
            if not self._stopped:
                log.warning("job_taken_over", job=self._name, error=str(error))
            self._stopped = True
        except StoreError as error:
            log.warning("job_lease_not_renewed", job=self._name, error=str(error))
