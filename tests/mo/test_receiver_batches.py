"""Queries that come while the store is busy are recorded and answered together: each as if it had come alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import sqlalchemy as sa
from inline_db import InlineDatabase
from mo_bench import CODE, Bench
from sqlalchemy.engine import Connection

from gateway.smpp.constants import CommandStatus
from gateway.store import inbox
from gateway.store.ledger import ledger_totals_txn

OK, TRY_LATER = CommandStatus.ESME_ROK, CommandStatus.ESME_RX_T_APPN
SENDERS = tuple(f"8490500000{number}" for number in range(4))


@pytest.fixture
def bench(inline_db: InlineDatabase) -> Bench:
    return Bench(inline_db)


def deliver_together(bench: Bench, queries: Sequence[tuple[str, str]]) -> None:
    """The first is recorded alone, and the rest in one transaction."""
    bench.db.hold()
    for sender, text in queries:
        bench.deliver(text, source_addr=sender)
    assert bench.answers == []
    assert bench.db.calls[-1:] == ["record_mos"]
    bench.db.release()


def by_sender(bench: Bench) -> list[str]:
    return [reply.destination_addr for reply in bench.replies]


def one_each(bench: Bench, queries: int) -> None:
    """Invariant 8: one reply and one charge for each query."""
    assert len(bench.mos) == len(bench.replies) == len(bench.charges) == queries
    assert sorted(reply.mo_id for reply in bench.replies) == [row.id for row in bench.mos]
    assert all(row.state == "decided" for row in bench.charges)
    assert bench.db.do(ledger_totals_txn).balanced


def test_queries_that_come_together_are_recorded_together(bench: Bench) -> None:
    deliver_together(bench, [(sender, f"MCKH {CODE}") for sender in SENDERS])
    assert bench.answers == [OK] * 4
    assert bench.db.calls.count("record_mos") - 1 == 2  # the held one is noted when it comes and when it runs
    assert by_sender(bench) == list(SENDERS)
    one_each(bench, 4)


def test_a_query_and_its_repetition_in_one_batch(bench: Bench) -> None:
    first, second, third, _ = SENDERS
    deliver_together(bench, [(sender, f"MCKH {CODE}") for sender in (first, second, second, third, second)])
    assert bench.answers == [OK] * 5
    assert [row.repeats for row in bench.mos] == [0, 2, 0]
    one_each(bench, 3)


def test_a_handset_gets_its_replies_in_the_order_of_its_queries(bench: Bench) -> None:
    codes = [f"01017000{number:02}" for number in range(8)]
    deliver_together(bench, [(SENDERS[number % 2], f"MCKH {code}") for number, code in enumerate(codes)])
    for sender in SENDERS[:2]:
        ids = [reply.mo_id for reply in bench.replies if reply.destination_addr == sender]
        assert ids == sorted(ids)
        assert len(ids) == 4
    assert [row.code for row in bench.mos] == codes


def test_one_bad_query_in_a_batch_harms_no_other(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    insert = inbox._insert_mos_txn

    def refuse_one(conn: Connection, new: Sequence[Any]) -> dict[str, int]:
        if any(item.mo.source_addr == SENDERS[2] for item in new):
            raise sa.exc.DataError("INSERT INTO mo", None, ValueError("a value that the store cannot take"))
        return insert(conn, new)

    monkeypatch.setattr(inbox, "_insert_mos_txn", refuse_one)
    deliver_together(bench, [(sender, f"MCKH {CODE}") for sender in SENDERS])
    assert bench.answers == [OK, OK, TRY_LATER, OK]
    assert by_sender(bench) == [SENDERS[0], SENDERS[1], SENDERS[3]]
    one_each(bench, 3)
    monkeypatch.undo()
    bench.deliver(source_addr=SENDERS[2])  # the SMSC tries again
    one_each(bench, 4)


def test_a_store_that_fails_in_mid_batch_has_recorded_none_of_it(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[int] = []

    def fail(conn: Connection, opened: Sequence[Any]) -> None:
        tried.append(len(opened))
        raise sa.exc.OperationalError("INSERT INTO charge", None, OSError("disk full"))

    monkeypatch.setattr(inbox, "open_charges_txn", fail)
    deliver_together(bench, [(sender, f"MCKH {CODE}") for sender in SENDERS])
    assert bench.answers == [TRY_LATER] * 4
    assert tried == [1, 3]  # and not again for each: the store is at fault, not one of them
    assert (bench.mos, bench.charges) == ([], [])
    monkeypatch.undo()
    bench.answers.clear()
    for sender in SENDERS:
        bench.deliver(source_addr=sender)
    assert bench.answers == [OK] * 4
    one_each(bench, 4)


def test_a_store_that_fails_the_replies_answers_them_when_it_is_back(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(conn: Connection, replies: Sequence[Any], now: Any) -> list[bool]:
        raise sa.exc.OperationalError("UPDATE mo", None, OSError("disk full"))

    bench.receiver.start()
    monkeypatch.setattr("gateway.mo.responder.reply_mos_txn", fail)
    deliver_together(bench, [(sender, f"MCKH {CODE}") for sender in SENDERS])
    assert bench.answers == [OK] * 4
    assert bench.replies == []
    monkeypatch.undo()
    bench.pass_time(15)  # past their deadline the upkeep takes them up
    one_each(bench, 4)
    assert {reply.template_id for reply in bench.replies} == {"mo_reply_temporary_failure"}
    bench.receiver.stop()
