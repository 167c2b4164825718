"""Nodes whose clocks differ by minutes share one PostgreSQL: leases go by the database's clock."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from inline_db import InlineDatabase
from messages import new_message
from twisted.internet.task import Clock

from gateway.model import MessageState
from gateway.mt.lease import NodeLease
from gateway.store import claims, jobs, lease_clock, nodes, outbox, sources
from gateway.store.jobs import Claim
from gateway.store.schema import job_run, message, node, source_cursor

LEASE = timedelta(seconds=20)
SCHEDULED = datetime(2026, 3, 2, 10, 30, tzinfo=UTC)


class SkewedClock:
    """The clock of a machine that is wrong by some minutes."""

    def __init__(self, minutes: float) -> None:
        self._skew = timedelta(minutes=minutes)

    def now(self) -> datetime:
        return datetime.now(UTC) + self._skew

    def business_now(self) -> datetime:
        return self.now()


AHEAD, BEHIND = SkewedClock(7), SkewedClock(-6)


@pytest.fixture
def db(postgres_store_url: str) -> Iterator[InlineDatabase]:
    database = InlineDatabase(postgres_store_url, callers_clock=False)
    yield database
    database.close()


def times(clock: SkewedClock) -> tuple[datetime, datetime]:
    now = clock.now()
    return now, now + LEASE


def beat(db: InlineDatabase, name: str, clock: SkewedClock) -> nodes.Heartbeat:
    return db.do(nodes.heartbeat_txn, name, "a", *times(clock))


def let_lapse(db: InlineDatabase, name: str) -> None:
    """As if the node had not renewed its lease for so long."""
    late = sa.func.clock_timestamp() - sa.literal(timedelta(seconds=1), sa.Interval)
    db.do(lambda conn: conn.execute(sa.update(node).where(node.c.name == name).values(alive_until=late)))


def claim(db: InlineDatabase, claimant: str, clock: SkewedClock) -> list[int]:
    now = clock.now()
    taken = db.do(
        claims.claim_txn, route="viettel", node=claimant, limit_parts=1, now=now, business_now=datetime.now(UTC)
    )
    return [item.id for item in taken.messages]


def state(db: InlineDatabase, number: int) -> str:
    return str(db.do(lambda conn: conn.scalar(sa.select(message.c.state).where(message.c.id == number))))


@pytest.mark.parametrize("clocks", [(AHEAD, BEHIND), (BEHIND, AHEAD)], ids=["first-ahead", "first-behind"])
def test_neither_takes_the_other_for_dead_nor_for_alive(
    db: InlineDatabase, clocks: tuple[SkewedClock, SkewedClock]
) -> None:
    one, two = clocks
    db.do(nodes.register_node_txn, "one", "a", *times(one))
    db.do(nodes.register_node_txn, "two", "a", *times(two))
    queued = [new_message(code, state=MessageState.QUEUED) for code in ("1", "2")]
    db.do(outbox.insert_messages_txn, queued, datetime.now(UTC))
    [first], [second] = claim(db, "one/a", one), claim(db, "two/a", two)
    for name, clock in (("one", one), ("two", two)):
        seen = beat(db, name, clock)
        assert (seen.live_nodes, seen.lapsed) == (2, False)
        assert db.do(nodes.lapse_leases_txn, clock.now()) == 0
    let_lapse(db, "one")
    assert beat(db, "two", two).live_nodes == 1
    assert db.do(nodes.lapse_leases_txn, two.now()) == 1
    assert (state(db, first), state(db, second)) == ("unknown", "sending")
    assert beat(db, "one", one).lapsed
    assert beat(db, "two", two).live_nodes == 2
    assert db.do(nodes.forget_nodes_txn, two.now(), two.now() - timedelta(seconds=2)) == 0
    let_lapse(db, "one")
    assert db.do(nodes.forget_nodes_txn, two.now(), two.now()) == 1


def test_a_lease_lasts_as_long_whatever_the_node_s_clock_says(db: InlineDatabase) -> None:
    before = db.do(lease_clock.lease_now, AHEAD.now())
    db.do(nodes.register_node_txn, "one", "a", *times(AHEAD))
    after = db.do(lease_clock.lease_now, AHEAD.now())
    until = db.do(lambda conn: conn.scalar(sa.select(node.c.alive_until)))
    assert before + LEASE <= until <= after + LEASE


def test_a_daily_run_is_one_node_s_until_its_lease_lapses(db: InlineDatabase) -> None:
    assert db.do(jobs.claim_run_txn, "apology", SCHEDULED, "behind", *times(BEHIND)) is Claim.MINE
    assert db.do(jobs.claim_run_txn, "apology", SCHEDULED, "ahead", *times(AHEAD)) is Claim.BUSY
    assert db.do(jobs.miss_run_txn, "apology", SCHEDULED, "ahead", AHEAD.now(), "late") is Claim.BUSY
    db.do(jobs.renew_run_txn, "apology", SCHEDULED, "behind", *times(BEHIND))
    assert db.do(jobs.claim_run_txn, "apology", SCHEDULED, "ahead", *times(AHEAD)) is Claim.BUSY
    late = sa.func.clock_timestamp()
    db.do(lambda conn: conn.execute(sa.update(job_run).values(lease_until=late)))
    assert db.do(jobs.claim_run_txn, "apology", SCHEDULED, "ahead", *times(AHEAD)) is Claim.MINE
    assert db.do(jobs.claim_run_txn, "apology", SCHEDULED, "behind", *times(BEHIND)) is Claim.BUSY
    db.do(jobs.release_run_txn, "apology", SCHEDULED, "ahead", AHEAD.now(), "not yet")
    assert db.do(jobs.claim_run_txn, "apology", SCHEDULED, "behind", *times(BEHIND)) is Claim.MINE


def test_a_source_is_one_node_s_until_its_lease_lapses(db: InlineDatabase) -> None:
    first = datetime.now(UTC)
    assert db.do(sources.acquire_txn, "ks", "behind", *times(BEHIND), first) is not None
    assert db.do(sources.acquire_txn, "ks", "ahead", *times(AHEAD), first) is None
    db.do(sources.hold_txn, "ks", "behind", *times(BEHIND))
    assert db.do(sources.succeeded_txn, "ks", "behind", *times(BEHIND))
    assert db.do(sources.acquire_txn, "ks", "ahead", *times(AHEAD), first) is None
    late = sa.func.clock_timestamp()
    db.do(lambda conn: conn.execute(sa.update(source_cursor).values(lease_until=late)))
    assert db.do(sources.acquire_txn, "ks", "ahead", *times(AHEAD), first) is not None
    assert db.do(sources.acquire_txn, "ks", "behind", *times(BEHIND), first) is None


def test_the_licence_is_shared_by_two_nodes_with_different_clocks(db: InlineDatabase) -> None:
    reactor = Clock()
    pair = [
        NodeLease(reactor, clock, db, name, "a", LEASE.total_seconds(), lambda reason: pytest.fail(reason))
        for name, clock in (("ahead", AHEAD), ("behind", BEHIND))
    ]
    for lease in pair:
        lease.start()
    for _ in range(30):
        reactor.advance(1.0)
        assert all(lease.held(reactor.seconds()) for lease in pair)
    assert [(lease.live_nodes, lease.rank) for lease in pair] == [(2, 0), (2, 1)]
    for lease in pair:
        lease.stop()
