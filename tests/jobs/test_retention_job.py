"""The day's run of retention: once for all nodes, in small steps, giving way; taken over and taken up where it was."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from inline_db import InlineDatabase
from messages import NOW, new_message
from mt_rig import WallClock
from structlog.testing import capture_logs
from twisted.internet.task import Clock

from gateway.jobs.retention import START_AFTER_S, RetentionJob
from gateway.model import MessageState
from gateway.settings_retention import RetentionSettings
from gateway.store import outbox
from gateway.store.schema import job_run, message


class Node:
    """One node's job on a shared store and a shared time."""

    def __init__(self, reactor: Clock, clock: WallClock, db: InlineDatabase, name: str, **rules: Any) -> None:
        settings = RetentionSettings.model_validate({"rows": 2, "pause_s": 1.0, "busy_depth": 5, **rules})
        self.job = RetentionJob(reactor, clock, db, settings, node=name, lease_s=20.0)
        self.job.start()


@pytest.fixture
def reactor() -> Clock:
    return Clock()


@pytest.fixture
def clock(reactor: Clock) -> WallClock:
    return WallClock(reactor)


def fill(db: InlineDatabase, count: int, at: datetime) -> None:
    items = [new_message(str(number), state=MessageState.DELIVERED) for number in range(count)]
    db.do(outbox.insert_messages_txn, items, at)


def texts_left(db: InlineDatabase) -> int:
    query = sa.select(sa.func.count()).where(message.c.text != "")
    return int(db.do(lambda conn: conn.execute(query).scalar_one()))


def runs(db: InlineDatabase) -> list[tuple[str, str, str]]:
    query = sa.select(job_run.c.job, job_run.c.state, job_run.c.detail).order_by(job_run.c.scheduled_for)
    return [tuple(row) for row in db.do(lambda conn: conn.execute(query).all())]


def pass_time(reactor: Clock, seconds: float) -> None:
    for _ in range(int(seconds)):
        reactor.advance(1.0)


def test_it_runs_once_a_day_whatever_the_number_of_nodes(
    inline_db: InlineDatabase, reactor: Clock, clock: WallClock
) -> None:
    fill(inline_db, 5, clock.now() - timedelta(days=100))
    for name in ("a", "b", "c"):
        Node(reactor, clock, inline_db, name)
    pass_time(reactor, START_AFTER_S - 1)
    assert (texts_left(inline_db), runs(inline_db)) == (5, [])
    pass_time(reactor, 300)
    assert texts_left(inline_db) == 0
    assert runs(inline_db) == [("retention", "done", "anonymise_messages=5")]
    reactor.advance(24 * 3600)
    pass_time(reactor, 200)
    assert [state for _, state, _ in runs(inline_db)] == ["done", "done"]


def test_it_takes_small_steps_with_a_pause_between(inline_db: InlineDatabase, reactor: Clock, clock: WallClock) -> None:
    fill(inline_db, 6, clock.now() - timedelta(days=100))
    Node(reactor, clock, inline_db, "a", pause_s=10.0)
    pass_time(reactor, START_AFTER_S)
    seen = []
    for _ in range(4):
        reactor.advance(10.0)
        seen.append(texts_left(inline_db))
    assert seen == [4, 2, 0, 0]


def test_it_waits_while_the_store_is_busy(
    inline_db: InlineDatabase, reactor: Clock, clock: WallClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(inline_db, 2, clock.now() - timedelta(days=100))
    monkeypatch.setattr(InlineDatabase, "depth", 6)
    Node(reactor, clock, inline_db, "a")
    pass_time(reactor, START_AFTER_S + 100)
    assert texts_left(inline_db) == 2
    monkeypatch.setattr(InlineDatabase, "depth", 5)
    pass_time(reactor, 10)
    assert texts_left(inline_db) == 0


def test_a_node_that_stops_leaves_the_rest_to_another(
    inline_db: InlineDatabase, reactor: Clock, clock: WallClock
) -> None:
    fill(inline_db, 6, clock.now() - timedelta(days=100))
    first = Node(reactor, clock, inline_db, "a", pause_s=10.0)
    pass_time(reactor, START_AFTER_S + 11)
    stopped: list[object] = []
    first.job.stop().addCallback(stopped.append)
    assert stopped == [None]
    assert texts_left(inline_db) == 4
    Node(reactor, clock, inline_db, "b")
    pass_time(reactor, START_AFTER_S + 200)
    assert texts_left(inline_db) == 0
    assert runs(inline_db) == [("retention", "done", "anonymise_messages=6")]  # both nodes' work, one pass


def test_a_store_that_is_lost_interrupts_it(inline_db: InlineDatabase, reactor: Clock, clock: WallClock) -> None:
    fill(inline_db, 6, clock.now() - timedelta(days=100))
    Node(reactor, clock, inline_db, "a")
    pass_time(reactor, START_AFTER_S + 1)
    assert texts_left(inline_db) == 4
    inline_db.broken = True
    with capture_logs() as logs:
        pass_time(reactor, 70)
    assert "retention_interrupted" in [entry["event"] for entry in logs]
    inline_db.broken = False
    pass_time(reactor, 100)
    assert texts_left(inline_db) == 0


def test_the_months_ahead_are_prepared(postgres_store_url: str, reactor: Clock, clock: WallClock) -> None:
    db = InlineDatabase(postgres_store_url)
    try:
        fill(db, 1, NOW - timedelta(days=3650))  # no partition: message_default
        with capture_logs() as logs:
            Node(reactor, clock, db, "a", anonymise_days=None)
            pass_time(reactor, START_AFTER_S + 1)
        told = {entry["event"]: entry for entry in logs}
        assert told["messages_without_partition"]["log_level"] == "error"
        assert told["messages_without_partition"]["months"] == [201603]
        made = told["months_prepared"]["partitions"]
        assert {"message_p201603", "message_p202603", "message_p202604", "message_p202605"} <= set(made)
        assert db.do(lambda conn: conn.exec_driver_sql("SELECT count(*) FROM message_p201603").scalar()) == 1
        assert db.do(lambda conn: conn.exec_driver_sql("SELECT count(*) FROM message_default").scalar()) == 0
    finally:
        db.close()
