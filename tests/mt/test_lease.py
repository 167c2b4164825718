"""The node's lease on a virtual clock: renewed, lost, shared, and never believed longer than others believe it."""

from __future__ import annotations

from typing import Any

import pytest
from inline_db import InlineDatabase
from mt_rig import WallClock
from outbox_driver import Outbox
from structlog.testing import capture_logs
from twisted.internet.task import Clock

from gateway.errors import StoreError
from gateway.mt.lease import NodeLease


class Node:
    """One life of a node."""

    def __init__(self, db: InlineDatabase, reactor: Clock, name: str = "node-1", incarnation: str = "a") -> None:
        self.lost: list[str] = []
        self.told = 0
        self.reactor = reactor
        self.lease = NodeLease(reactor, WallClock(reactor), db, name, incarnation, 20.0, self.lost.append)
        self.lease.on_change(self._on_change)

    def _on_change(self) -> None:
        self.told += 1

    @property
    def held(self) -> bool:
        return self.lease.held(self.reactor.seconds())


@pytest.fixture
def db(sqlite_store_url: str) -> Any:
    database = InlineDatabase(sqlite_store_url)
    yield database
    database.close()


@pytest.fixture
def other(sqlite_store_url: str) -> Any:
    """Another node's way to the same store."""
    database = InlineDatabase(sqlite_store_url)
    yield database
    database.close()


def advance(reactor: Clock, seconds: float) -> None:
    reactor.pump([0.5] * int(seconds * 2))


def test_a_lease_is_held_from_the_start_and_renewed(db: InlineDatabase) -> None:
    reactor = Clock()
    node = Node(db, reactor)
    assert not node.held
    node.lease.start()
    assert node.held
    assert node.lease.quiet_until <= 0
    advance(reactor, 120)
    assert node.held


def test_a_lease_runs_out_when_the_store_is_away(db: InlineDatabase) -> None:
    reactor = Clock()
    node = Node(db, reactor)
    node.lease.start()
    told = node.told
    db.broken = True
    with capture_logs() as logs:
        advance(reactor, 19)
        assert node.held
        advance(reactor, 2)
    assert not node.held
    assert {entry["event"] for entry in logs} == {"lease_not_renewed"}
    db.broken = False
    with capture_logs() as logs:
        advance(reactor, 6)
    assert node.held
    assert "lease_had_lapsed" in [entry["event"] for entry in logs]
    assert node.told == told + 1


def test_the_lease_counts_from_before_the_renewal_was_asked_for(db: InlineDatabase) -> None:
    """A store that answers late must not lend time that others do not grant."""
    reactor = Clock()
    node = Node(db, reactor)
    node.lease.start()
    advance(reactor, 4)
    db.hold()
    advance(reactor, 15)
    db.release()
    assert node.held
    assert node.lease.held(24.5), "asked for at 5 s: until 25 s"
    assert not node.lease.held(25.5)


def test_a_restart_finds_what_is_in_doubt_and_keeps_quiet_for_a_second(db: InlineDatabase) -> None:
    reactor = Clock()
    box = Outbox(db)
    Node(db, reactor).lease.start()
    (number,) = box.sent("1")
    again = Node(db, reactor, incarnation="a2")
    started = again.lease.start()
    assert started.result.doubtful == 1
    assert box.state(number) == "unknown"
    assert again.lease.quiet_until == pytest.approx(1.01)


def test_another_daemon_under_the_same_name_ends_this_one(db: InlineDatabase) -> None:
    reactor = Clock()
    first = Node(db, reactor)
    first.lease.start()
    Node(db, reactor, incarnation="b").lease.start()
    advance(reactor, 6)
    assert not first.held
    assert len(first.lost) == 1
    assert "another daemon" in first.lost[0]
    advance(reactor, 60)
    assert len(first.lost) == 1


def test_nodes_learn_of_each_other_and_a_new_one_waits_for_the_others_to_know(db: InlineDatabase) -> None:
    reactor = Clock()
    one, two = Node(db, reactor), Node(db, reactor, "node-2")
    one.lease.start()
    two.lease.start()
    assert (two.lease.live_nodes, two.lease.rank, one.lease.live_nodes) == (2, 1, 1)
    assert (one.lease.sharing, two.lease.sharing) == (True, False), "the first still takes all of the licence"
    advance(reactor, 4.5)
    assert not two.lease.sharing
    advance(reactor, 2)
    assert (one.lease.live_nodes, one.lease.rank) == (2, 0), "renewed after five seconds, and at once again"
    assert two.lease.sharing
    two.lease.stop()
    advance(reactor, 6)
    assert one.lease.live_nodes == 1


def test_a_new_node_waits_while_another_cannot_be_reached_but_is_alive(db: InlineDatabase, other: Any) -> None:
    """The other's store is slow: it goes on by its lease, with the share that it knows."""
    reactor = Clock()
    one, two = Node(other, reactor), Node(db, reactor, "node-2")
    one.lease.start()
    other.broken = True
    two.lease.start()
    for _ in range(39):
        assert not (one.held and two.lease.sharing)
        advance(reactor, 0.5)
    advance(reactor, 2)
    assert not one.held
    assert two.lease.sharing
    assert two.lease.live_nodes == 1


def test_one_renewal_that_was_under_way_does_not_count(db: InlineDatabase) -> None:
    """It may have looked for live nodes before the new one was there."""
    reactor = Clock()
    one, two = Node(db, reactor), Node(db, reactor, "node-2")
    one.lease.start()
    two.lease.start()
    touch = "UPDATE node SET alive_until = datetime(alive_until, '+1 second') WHERE name = 'node-1'"
    db.do(lambda conn: conn.exec_driver_sql(touch))
    advance(reactor, 3)
    assert not two.lease.sharing
    advance(reactor, 4)
    assert two.lease.sharing


def test_after_a_lapse_what_has_not_left_is_given_back_before_the_lease_is_held_again(
    db: InlineDatabase, other: Any
) -> None:
    reactor = Clock()
    one, two = Node(other, reactor), Node(db, reactor, "node-2")
    held_when_told: list[bool] = []
    one.lease.on_lapse(lambda: held_when_told.append(one.held))
    one.lease.start()
    two.lease.start()
    advance(reactor, 10)
    assert (one.lease.sharing, two.lease.sharing, held_when_told) == (True, True, [])
    other.broken = True
    advance(reactor, 30)
    assert (one.held, two.lease.live_nodes) == (False, 1)
    other.broken = False
    advance(reactor, 5)
    assert held_when_told == [False]
    assert one.held
    assert not one.lease.sharing, "the other has taken all of the licence, and does not know yet"
    advance(reactor, 7)
    assert (one.lease.sharing, two.lease.live_nodes) == (True, 2)
    assert held_when_told == [False]


def test_a_stall_shows_when_the_renewal_is_answered(db: InlineDatabase) -> None:
    """The lease ran out while the renewal was on its way: somebody may have looked in between."""
    reactor = Clock()
    node = Node(db, reactor)
    lapses: list[float] = []
    node.lease.on_lapse(lambda: lapses.append(reactor.seconds()))
    node.lease.start()
    advance(reactor, 19)
    assert lapses == []
    db.hold()
    advance(reactor, 21)
    db.release()
    assert lapses == [40.0]


def test_no_store_no_start(db: InlineDatabase) -> None:
    db.broken = True
    started = Node(db, Clock()).lease.start()
    assert started.result.check(StoreError)
    started.addErrback(lambda _: None)


def test_stop_ends_the_timers(db: InlineDatabase) -> None:
    reactor = Clock()
    node = Node(db, reactor)
    node.lease.start()
    node.lease.stop()
    assert not node.held
    assert reactor.getDelayedCalls() == []
