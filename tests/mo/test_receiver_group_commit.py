"""With real threads: queries that arrive together share commits, and each is acknowledged after its own."""

from __future__ import annotations

import pytest_twisted
import sqlalchemy as sa
from mo_bench import CODE, BenchClock, found, registry
from twisted.internet import reactor
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock

from gateway.db import Database
from gateway.dossiers.federation import LookupAnswer
from gateway.mo.charging.profiles import Charging
from gateway.mo.receiver import Receiver
from gateway.mo.replies import Replies
from gateway.settings import parse_settings
from gateway.smpp.pdu import DeliverSm
from gateway.store.ledger import ledger_totals_txn
from gateway.store.schema import charge, message, mo

QUERIES = 150


@pytest_twisted.inlineCallbacks
def test_queries_of_one_turn_share_commits(store_url: str):  # type: ignore[no-untyped-def]
    database = Database(reactor, store_url, readers=1)
    settings = parse_settings(
        {"operators": {"viettel": {"binds": [{"name": "v", "host": "127.0.0.1", "system_id": "s"}]}}}
    )
    virtual = Clock()
    charging = Charging(settings.charging, settings.operators)
    answered: list[int] = []
    all_answered: Deferred[None] = Deferred()
    committed_when_answered: list[int] = []
    commits = 0

    def on_commit(_: object) -> None:
        nonlocal commits
        commits += 1

    def answer(status: int) -> None:
        answered.append(status)
        committed_when_answered.append(commits)
        if len(answered) == QUERIES:
            all_answered.callback(None)

    def lookup(code: str, deadline_s: float) -> Deferred[LookupAnswer]:
        return succeed(found())

    receiver = Receiver(
        virtual, database, BenchClock(virtual), settings, charging, lookup, Replies(registry(), settings)
    )
    sa.event.listen(database.engine, "commit", on_commit)
    try:
        for number in range(QUERIES):
            pdu = DeliverSm(
                source_addr_ton=1,
                source_addr=f"84905{number:06}",
                destination_addr="8083",
                short_message=f"MCKH {CODE}".encode(),
            )
            receiver.on_deliver("viettel", settings.operators["viettel"].binds[0], pdu, answer)
        assert answered == []
        yield all_answered
        yield receiver.stop()
        assert answered == [0] * QUERIES
        assert committed_when_answered[0] >= 1  # never before a commit
        assert commits < QUERIES // 3  # 150 queries and 150 replies
        sa.event.remove(database.engine, "commit", on_commit)
        totals = yield database.read("totals", ledger_totals_txn)
        assert (totals.rows, totals.balanced) == (QUERIES, True)
        for table in (mo, charge, message):
            rows = yield database.read(
                "count", lambda conn, t: conn.execute(sa.select(sa.func.count()).select_from(t)).scalar_one(), table
            )
            assert rows == QUERIES
    finally:
        database.close()
