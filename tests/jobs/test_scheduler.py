"""Daily jobs: on time, caught up, missed, exactly once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from inline_db import InlineDatabase
from poll_world import TestClock, now_of
from structlog.testing import capture_logs
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from gateway.clock import VIETNAM
from gateway.jobs.scheduler import RETRY_S, DailyJob, RetryLater, Scheduler
from gateway.store import jobs
from gateway.store.jobs import JobRun, RunState

LEASE_S = 20.0


def local(hour: int, minute: int = 0, day: int = 3) -> datetime:
    return datetime(2026, 3, day, hour, minute, tzinfo=VIETNAM)


SCHEDULED = local(17, 30)


class World:
    """Nodes with one store and one clock; each has a job that notes when it was run."""

    def __init__(self, store: InlineDatabase, start: datetime) -> None:
        self.store = store
        self.reactor = Clock()
        self.clock = TestClock(self.reactor, start.astimezone(UTC))
        self.runs: list[tuple[str, datetime]] = []
        self.work: Callable[[datetime], Awaitable[str]] | None = None

    def node(self, name: str = "node-1") -> Scheduler:
        async def run(scheduled_for: datetime) -> str:
            self.runs.append((name, scheduled_for))
            return await self.work(scheduled_for) if self.work else "well"

        job = DailyJob("apology:ks", time(17, 30), time(20, 0), run)
        scheduler = Scheduler(self.reactor, self.clock, self.store, [job], node=name, lease_s=LEASE_S)
        scheduler.start()
        return scheduler

    def after(self, seconds: float, step: float = 1.0) -> None:
        self.reactor.pump([step] * int(seconds / step))

    @property
    def listed(self) -> list[tuple[datetime, str, str]]:
        found = self.store.do(jobs.runs_txn, datetime(2026, 1, 1, tzinfo=UTC))
        return [(run.scheduled_for, run.state.value, run.detail) for run in reversed(found)]


@pytest.fixture
def database(sqlite_store_url: str) -> Iterator[InlineDatabase]:
    found = InlineDatabase(sqlite_store_url)
    yield found
    found.close()


def test_a_job_runs_at_its_hour_and_once(database: InlineDatabase) -> None:
    world = World(database, local(17, 29))
    world.node()
    world.after(59)
    assert world.runs == []
    world.after(2)
    assert world.runs == [("node-1", SCHEDULED)]
    world.after(120)
    assert world.runs == [("node-1", SCHEDULED)]
    assert world.listed == [(SCHEDULED, "done", "well")]


def test_the_next_day_is_another_run(database: InlineDatabase) -> None:
    world = World(database, local(17, 29))
    world.node()
    world.after(2 * 86_400, step=30)
    assert [scheduled for _, scheduled in world.runs] == [SCHEDULED, local(17, 30, 4)]


def test_a_daemon_that_starts_late_catches_up(database: InlineDatabase) -> None:
    world = World(database, local(19, 59))
    world.node()
    world.after(2)
    assert world.runs == [("node-1", SCHEDULED)]


def test_a_daemon_that_starts_too_late_records_it_as_missed(database: InlineDatabase) -> None:
    world = World(database, local(20, 0))
    with capture_logs() as logs:
        world.node()
        world.after(120)
    assert world.runs == []
    assert world.listed == [(SCHEDULED, "missed", "not run until 20:00")]
    assert [event["event"] for event in logs] == ["job_missed"]
    world.node("node-2")
    world.after(5)
    assert len(world.listed) == 1


def test_days_without_a_daemon_are_recorded_as_missed(database: InlineDatabase) -> None:
    world = World(database, local(17, 30))
    stopped = world.node()
    world.after(5)
    now_of(stopped.stop())
    world.reactor.advance(3 * 86_400)  # 17:30 three days later
    world.node("node-2")
    world.after(5)
    assert world.listed == [
        (SCHEDULED, "done", "well"),
        (local(17, 30, 4), "missed", "no daemon was up"),
        (local(17, 30, 5), "missed", "no daemon was up"),
        (local(17, 30, 6), "done", "well"),
    ]


def test_before_the_first_run_nothing_was_missed(database: InlineDatabase) -> None:
    world = World(database, local(9))
    world.node()
    world.after(10)
    assert world.listed == []


def test_business_time_that_jumps(database: InlineDatabase) -> None:
    world = World(database, local(10))
    world.node()
    world.after(5)
    world.clock.set_business(local(17, 31, 9))
    world.after(2)
    assert world.runs == [("node-1", local(17, 30, 9))]
    world.clock.set_business(local(18, 0, 8))  # and back
    world.after(2)
    world.clock.set_business(local(18, 0, 9))
    world.after(2)
    assert world.runs.count(("node-1", local(17, 30, 9))) == 1


def test_three_nodes_run_it_once(inline_db: InlineDatabase) -> None:
    world = World(inline_db, local(17, 29))
    for name in ("node-1", "node-2", "node-3"):
        world.node(name)
    world.after(200)
    assert len(world.runs) == 1
    assert world.listed == [(SCHEDULED, "done", "well")]


# --- faults ---------------------------------------------------------------------------------------------------------


def test_a_dead_nodes_run_is_taken_over(inline_db: InlineDatabase) -> None:
    world = World(inline_db, local(17, 30))
    never: Deferred[str] = Deferred()

    async def hangs(_: datetime) -> str:
        return await never

    world.work = hangs
    dead = world.node("node-1")
    world.after(3)
    dead._timer.cancel()
    for call in list(world.reactor.getDelayedCalls()):
        call.cancel()  # killed: it renews nothing any more
    world.work = None
    world.node("node-2")
    world.after(10)
    assert [name for name, _ in world.runs] == ["node-1"]  # its lease still runs
    world.after(LEASE_S + 15)
    assert [name for name, _ in world.runs] == ["node-1", "node-2"]
    assert world.listed == [(SCHEDULED, "done", "well")]
    with capture_logs() as logs:
        never.callback("and then it woke")
    assert [event["event"] for event in logs] == ["job_not_recorded"]
    assert world.listed == [(SCHEDULED, "done", "well")]


def test_a_long_run_keeps_its_lease(inline_db: InlineDatabase) -> None:
    world = World(inline_db, local(17, 30))
    ends: Deferred[str] = Deferred()

    async def takes_long(_: datetime) -> str:
        return await ends

    world.work = takes_long
    world.node("node-1")
    world.after(1)
    world.node("node-2")
    world.after(300)
    ends.callback("at last")
    world.after(60)
    assert [name for name, _ in world.runs] == ["node-1"]
    assert world.listed == [(SCHEDULED, "done", "at last")]


def test_a_run_that_is_put_off_is_tried_again(database: InlineDatabase) -> None:
    world = World(database, local(17, 30))

    async def not_yet(_: datetime) -> str:
        if len(world.runs) < 3:
            raise RetryLater("the source is down")
        return "at the third time"

    world.work = not_yet
    world.node()
    world.after(2 * RETRY_S + 10)
    assert len(world.runs) == 3
    assert world.listed == [(SCHEDULED, "done", "at the third time")]


def test_a_run_that_is_put_off_until_too_late_is_missed_with_its_reason(database: InlineDatabase) -> None:
    world = World(database, local(19, 58))

    async def never(_: datetime) -> str:
        raise RetryLater("the source is down")

    world.work = never
    world.node()
    world.after(300)
    assert world.listed == [(SCHEDULED, "missed", "not run until 20:00; the source is down")]


def test_a_run_that_crashes_is_tried_again_and_told(database: InlineDatabase) -> None:
    world = World(database, local(17, 30))

    async def crashes(_: datetime) -> str:
        if len(world.runs) < 2:
            raise ZeroDivisionError("a defect")
        return "well"

    world.work = crashes
    with capture_logs() as logs:
        world.node()
        world.after(RETRY_S + 5)
    assert [event["event"] for event in logs if event["log_level"] == "error"] == ["job_failed"]
    assert world.listed == [(SCHEDULED, "done", "well")]


def test_a_store_that_is_away_stops_nothing(database: InlineDatabase) -> None:
    world = World(database, local(17, 30))
    database.broken = True
    world.node()
    world.after(10)
    assert world.runs == []
    database.broken = False
    world.after(RETRY_S)
    assert len(world.runs) == 1


def test_a_stop_waits_for_the_run_under_way(database: InlineDatabase) -> None:
    world = World(database, local(17, 30))
    ends: Deferred[str] = Deferred()

    async def waits(_: datetime) -> str:
        return await ends

    world.work = waits
    scheduler = world.node()
    world.after(1)
    stopped = scheduler.stop()
    assert not stopped.called
    ends.callback("well")
    now_of(stopped)
    assert world.listed == [(SCHEDULED, "done", "well")]
    assert world.reactor.getDelayedCalls() == []
    now_of(scheduler.stop())


# --- the rows -------------------------------------------------------------------------------------------------------


def test_transitions_of_a_run(inline_db: InlineDatabase) -> None:
    now, lease = SCHEDULED, SCHEDULED + timedelta(seconds=20)

    def do(function: Callable[..., Any], *args: Any) -> Any:
        return inline_db.do(function, "apology:ks", SCHEDULED, *args)

    claim, miss = jobs.claim_run_txn, jobs.miss_run_txn
    assert do(claim, "a", now, lease) == "mine"
    assert do(claim, "b", now, lease) == "busy"
    assert do(miss, "b", now, "late") == "busy"
    assert do(claim, "a", now, lease) == "mine"  # after its own restart
    do(jobs.renew_run_txn, "a", lease, lease + timedelta(seconds=20))
    assert do(claim, "b", lease, lease) == "busy"
    do(jobs.release_run_txn, "a", lease, "not yet")
    assert do(claim, "b", lease, lease + timedelta(seconds=20)) == "mine"
    for function, args in (
        (jobs.renew_run_txn, ("a", lease, lease)),
        (jobs.release_run_txn, ("a", lease, "x")),
        (jobs.finish_run_txn, ("a", lease, "x")),
    ):
        with pytest.raises(Exception, match="not a's any more"):
            do(function, *args)
    do(jobs.finish_run_txn, "b", lease, "well")
    assert do(claim, "a", lease + timedelta(days=1), lease) == "settled"
    assert do(miss, "a", lease + timedelta(days=1), "late") == "settled"
    [run] = inline_db.do(jobs.runs_txn, SCHEDULED)
    assert run == JobRun("apology:ks", SCHEDULED, "b", RunState.DONE, now, lease, "well")
    assert inline_db.do(jobs.last_run_txn, "apology:ks") == SCHEDULED
    assert inline_db.do(jobs.last_run_txn, "other") is None
    assert inline_db.do(jobs.runs_txn, SCHEDULED + timedelta(seconds=1)) == []
