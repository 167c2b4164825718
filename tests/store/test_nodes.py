"""Nodes, leases and doubt, on both databases."""

from __future__ import annotations

from datetime import timedelta

import pytest
from inline_db import InlineDatabase
from messages import NOW, outcome
from outbox_driver import LEASE, Outbox

from gateway.errors import StaleStateError
from gateway.model import PartState
from gateway.store import doubt, nodes
from gateway.store.nodes import Heartbeat, Registered


@pytest.fixture
def box(inline_db: InlineDatabase) -> Outbox:
    return Outbox(inline_db)


def register(box: Outbox, name: str, incarnation: str) -> Registered:
    return box.db.do(nodes.register_node_txn, name, incarnation, box.now, box.now + LEASE)


def beat(box: Outbox, name: str, incarnation: str) -> Heartbeat:
    return box.db.do(nodes.heartbeat_txn, name, incarnation, box.now, box.now + LEASE)


def test_first_life_finds_nothing(box: Outbox) -> None:
    assert register(box, "node-1", "a") == Registered(0, False)
    assert beat(box, "node-1", "a") == Heartbeat(1, 0, False, {})


def test_killed_and_started_again(box: Outbox) -> None:
    """Its own earlier life's messages are in doubt at once; other nodes' are not touched."""
    register(box, "node-1", "a")
    register(box, "node-2", "b")
    register(box, "node-10", "c")
    (mine,) = box.sent("1")
    for code, node in (("2", "node-2/b"), ("3", "node-10/c")):
        box.add(code)
        box.claim(node=node)
    assert register(box, "node-1", "a2") == Registered(1, True)
    assert (box.state(mine), box.see(mine).reason) == ("unknown", "restart")
    assert [box.state(mine + 1), box.state(mine + 2)] == ["sending", "sending"]
    with pytest.raises(StaleStateError, match="another daemon"):
        beat(box, "node-1", "a")


def test_a_node_does_not_take_itself_for_dead(box: Outbox) -> None:
    """Its clock was set ahead past its lease, which it still holds by its steady clock."""
    register(box, "node-1", "a")
    register(box, "node-2", "b")
    box.add("1", "2")
    (mine,) = (item.id for item in box.claim(node="node-1/a", limit_parts=1).messages)
    (other,) = (item.id for item in box.claim(node="node-2/b", limit_parts=1).messages)
    box.db.do(nodes.lapse_leases_txn, box.now + 2 * LEASE, "node-1/a")
    assert (box.state(mine), box.state(other)) == ("sending", "unknown")


def test_clean_stop_leaves_no_trace(box: Outbox) -> None:
    register(box, "node-1", "a")
    box.db.do(nodes.leave_node_txn, "node-1", "a")
    assert register(box, "node-1", "a2") == Registered(0, False)
    box.db.do(nodes.leave_node_txn, "node-1", "a")
    assert beat(box, "node-1", "a2").live_nodes == 1


def test_leases_are_renewed_and_run_out(box: Outbox) -> None:
    register(box, "node-1", "a")
    register(box, "node-2", "b")
    (mine,) = box.sent("1")
    (other,) = box.add("2")
    box.claim(node="node-2/b")
    box.later(seconds=15)
    assert beat(box, "node-1", "a") == Heartbeat(2, 0, False, {"node-2/b": NOW + LEASE})
    assert beat(box, "node-2", "b").rank == 1
    box.db.do(lambda conn: conn.exec_driver_sql("UPDATE node SET alive_until = started_at WHERE name = 'node-2'"))
    box.later(seconds=6)
    assert box.lapse() == 1
    assert [box.state(mine), box.state(other)] == ["sending", "unknown"]
    assert box.see(other).reason == "lease_lapsed"
    assert beat(box, "node-1", "a").live_nodes == 1


def test_a_stalled_node_learns_that_its_lease_had_run_out(box: Outbox) -> None:
    register(box, "node-1", "a")
    box.later(seconds=60)
    assert beat(box, "node-1", "a").lapsed
    assert not beat(box, "node-1", "a").lapsed


def test_a_clock_that_jumps_back_does_not_shorten_a_lease(box: Outbox) -> None:
    register(box, "node-1", "a")
    box.later(seconds=-3600)
    beat(box, "node-1", "a")
    box.later(seconds=3610)
    assert not beat(box, "node-1", "a").lapsed


def test_dead_nodes_are_forgotten(box: Outbox) -> None:
    register(box, "node-1", "a")
    box.later(days=1)
    register(box, "node-2", "b")
    assert box.db.do(nodes.forget_nodes_txn, box.now, box.now) == 1
    assert beat(box, "node-2", "b").live_nodes == 1


# -- doubt -------------------------------------------------------------------------------------------------------------


def resend(box: Outbox) -> list[int]:
    return box.db.do(doubt.resend_doubtful_txn, box.now - timedelta(minutes=15), box.now, box.now, 100)


def test_a_notice_in_doubt_is_sent_again_once(box: Outbox) -> None:
    (number,) = box.sent("1")
    box.record(outcome(number, PartState.UNKNOWN, reason="timeout"))
    box.later(minutes=14)
    assert resend(box) == []
    box.later(minutes=1)
    assert resend(box) == [number]
    seen = box.see(number)
    assert (seen.state, seen.reason, seen.possible_duplicate, seen.node) == ("queued", "possible_duplicate", True, None)
    (item,) = box.claim().messages
    assert (item.possible_duplicate, item.attempts) == (True, 2)
    box.record(outcome(number, PartState.UNKNOWN, reason="timeout"))
    box.later(minutes=60)
    assert resend(box) == []
    box.later(days=3)
    assert box.db.do(doubt.close_doubtful_txn, box.now - timedelta(days=3), box.now, 100) == [number]
    assert (box.state(number), box.see(number).reason) == ("undelivered", "in_doubt")


def test_a_reply_in_doubt_is_never_sent_again(box: Outbox) -> None:
    (number,) = box.sent("1", mo_id=3, priority=0)
    box.lapse()
    box.later(days=1)
    assert resend(box) == []
    assert box.state(number) == "unknown"


def test_nothing_stale_is_sent_again(box: Outbox) -> None:
    (number,) = box.sent("1", expires_at=NOW + timedelta(minutes=10))
    box.lapse()
    box.later(minutes=15)
    assert resend(box) == []
    assert box.state(number) == "unknown"


def test_only_the_doubtful_parts_are_sent_again(box: Outbox) -> None:
    (number,) = box.sent("1", parts=3)
    box.record(
        outcome(number, PartState.ACCEPTED, 1),
        outcome(number, PartState.UNKNOWN, 2, reason="timeout"),
        outcome(number, PartState.ACCEPTED, 3),
    )
    box.later(minutes=15)
    assert resend(box) == [number]
    (item,) = box.claim().messages
    assert item.parts_done == (1, 3)
    box.record(outcome(number, PartState.ACCEPTED, 2))
    assert box.state(number) == "accepted"
