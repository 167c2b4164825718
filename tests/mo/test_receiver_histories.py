"""Invariants 4 and 8 over random histories: deliveries, repetitions, crashes, faults of the store, slow agencies."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from inline_db import InlineDatabase
from mo_bench import NOT_FOUND, Bench, found
from twisted.internet.defer import Deferred, fail

from gateway.dossiers.federation import LookupAnswer
from gateway.errors import StoreError
from gateway.smpp.constants import CommandStatus
from gateway.store.ledger import ledger_totals_txn

SENDERS = ("84905000001", "84905000002")
WINDOW = timedelta(seconds=60)

deliver = st.tuples(st.just("deliver"), st.sampled_from(SENDERS))
others = st.sampled_from(
    [(action, "") for action in ("found", "not_found", "break", "mend", "lose", "instant", "slow")]
)
passing = st.tuples(st.just("pass"), st.sampled_from(["1", "4", "7", "30", "70"]))
crashing = st.tuples(st.just("crash"), st.sampled_from(["0", "3", "20"]))  # seconds until the next daemon starts
histories = st.lists(st.one_of(deliver, deliver, passing, crashing, others), min_size=1, max_size=25)


class LossyDatabase(InlineDatabase):
    """Loses its connection after a commit when told to: what was written stands, and the caller learns of a failure."""

    lose = False

    def _now(self, desc: str, write: bool, call: Callable[..., Any]) -> Deferred[Any]:
        result = super()._now(desc, write, call)
        if not (write and self.lose):
            return result
        self.lose = False
        result.addErrback(lambda _: None)
        return fail(StoreError(f"{desc}: the connection was lost"))


class History:
    """Plays one history, and remembers what the SMSC was told."""

    def __init__(self, database: LossyDatabase) -> None:
        self.database = database
        self.bench = Bench(database)
        self.acknowledged: list[tuple[str, datetime]] = []
        self.pending: list[Deferred[LookupAnswer]] = []
        self.slow = False
        self.bench.receiver.start()

    def play(self, action: str, argument: str) -> None:
        bench = self.bench
        if action == "deliver":
            self.next_lookup()
            bench.deliver(source_addr=argument)
            [status] = bench.answers
            bench.answers.clear()
            if status == CommandStatus.ESME_ROK:
                self.acknowledged.append((argument, bench.clock.now()))
        elif action in ("found", "not_found"):
            pending, self.pending = self.pending, []
            for waiting in pending:
                if not waiting.called:
                    waiting.callback(found() if action == "found" else NOT_FOUND)
        elif action == "crash":
            bench.receiver.stop()
            self.pending = []  # whatever was in memory is gone
            bench.restart()
            bench.reactor.advance(float(argument))
            self.next_lookup()
            bench.receiver.start()
        elif action in ("break", "mend"):
            self.database.broken = action == "break"
        elif action == "lose":
            self.database.lose = True
        elif action in ("instant", "slow"):
            self.slow = action == "slow"
        else:
            self.next_lookup()
            bench.pass_time(float(argument))

    def next_lookup(self) -> None:
        """Each lookup of a slow agency has an end of its own; queries asked in one step share it."""
        if not self.slow:
            self.bench.lookup_result = found()
            return
        waiting: Deferred[LookupAnswer] = Deferred()
        self.pending.append(waiting)
        self.bench.lookup_result = waiting

    def end(self) -> None:
        """The store comes back, and a minute passes."""
        self.slow = self.database.lose = False
        self.play("mend", "")
        self.play("pass", "60")
        self.bench.receiver.stop()


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(history=histories)
def test_one_reply_and_one_charge_whatever_happens(
    sqlite_template: Path, tmp_path: Path, history: list[tuple[str, str]]
) -> None:
    path = tmp_path / "history.sqlite3"
    for old in tmp_path.glob("history.sqlite3*"):
        old.unlink()
    shutil.copyfile(sqlite_template, path)
    database = LossyDatabase(f"sqlite:///{path}")
    try:
        played = History(database)
        for action, argument in history:
            played.play(action, argument)
        played.end()
        check(played)
    finally:
        database.close()


def check(history: History) -> None:
    bench = history.bench
    mos = bench.mos
    # every query has its one reply, and its one ledger row
    assert all(mo.state == "replied" for mo in mos)
    assert sorted(reply.mo_id for reply in bench.replies) == [mo.id for mo in mos]
    assert [charge.mo_id for charge in bench.charges] == [mo.id for mo in mos]
    assert bench.db.do(ledger_totals_txn).balanced
    # what was acknowledged is there (invariant 4)
    for sender, at in history.acknowledged:
        assert any(mo.source_addr == sender and at - WINDOW <= mo.received_at <= at for mo in mos)
    # what was repeated is there once (invariant 8)
    for sender in SENDERS:
        times = [mo.received_at for mo in mos if mo.source_addr == sender]
        assert all(later - earlier > WINDOW for earlier, later in pairwise(times))
    # nobody pays for a late reply
    by_id = {mo.id: mo for mo in mos}
    for reply in bench.replies:
        mo = by_id[reply.mo_id]
        if reply.charge_decision == "charge":
            assert mo.replied_at - mo.received_at <= timedelta(seconds=5)
