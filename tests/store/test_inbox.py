"""Queries in the store: recorded once, joined from their parts, answered once."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa
from inbox_kit import DAY, NOW, admission, answer_to, count
from inline_db import InlineDatabase
from sqlalchemy.engine import Connection

from gateway.errors import StaleStateError
from gateway.model import (
    ChargeDecision,
    ChargeState,
    MoState,
)
from gateway.store.answers import ignore_txn, reply_mos_txn
from gateway.store.inbox import open_mos_txn, record_mo_txn
from gateway.store.ledger import charge_txn, journal_txn
from gateway.store.schema import charge, charge_journal, message, mo


def do_reply(database: InlineDatabase, mo_id: int) -> bool:
    [replied] = database.do(reply_mos_txn, [answer_to(mo_id)], NOW)
    return replied


def test_an_mo_comes_with_its_ledger_row(inline_db: InlineDatabase) -> None:
    recorded = inline_db.do(record_mo_txn, admission())
    assert (recorded.fresh, recorded.state, recorded.code) == (True, MoState.RECEIVED, "0101701234")
    assert (recorded.sender_today, recorded.sender_errors) == (1, 0)
    row = inline_db.do(charge_txn, recorded.mo_id)
    assert row is not None
    assert (row.state, row.amount_vnd, row.profile, row.decision) == (ChargeState.PENDING, 1000, "viettel", None)


@pytest.mark.parametrize("seconds", [0, 1, 29, 30, 59, 60])
def test_the_same_text_within_the_window_is_the_same_mo(inline_db: InlineDatabase, seconds: int) -> None:
    """NOW lies half-way in a window of the clock: the limit is exact on both sides of its border."""
    first = inline_db.do(record_mo_txn, admission())
    again = inline_db.do(record_mo_txn, admission(NOW + timedelta(seconds=seconds)))
    assert (again.mo_id, again.fresh, again.state) == (first.mo_id, False, MoState.RECEIVED)
    assert (count(inline_db, mo), count(inline_db, charge), count(inline_db, charge_journal)) == (1, 1, 1)

    def repeats(conn: Connection) -> int:
        return conn.execute(sa.select(mo.c.repeats)).scalar_one()

    assert inline_db.do(repeats) == 1


@pytest.mark.parametrize("seconds", [61, 90, 3600])
def test_the_same_text_after_the_window_is_another_query(inline_db: InlineDatabase, seconds: int) -> None:
    first = inline_db.do(record_mo_txn, admission())
    again = inline_db.do(record_mo_txn, admission(NOW + timedelta(seconds=seconds)))
    assert again.fresh
    assert again.mo_id != first.mo_id
    assert count(inline_db, charge) == 2


def test_another_sender_or_text_is_another_query(inline_db: InlineDatabase) -> None:
    ids = {
        inline_db.do(record_mo_txn, new).mo_id
        for new in (admission(), admission(source_addr="84905123457"), admission(content="MCKH 0101701235"))
    }
    assert len(ids) == 3


def test_an_ignored_mo_is_recorded_and_not_charged(inline_db: InlineDatabase) -> None:
    recorded = inline_db.do(record_mo_txn, admission(ignore_reason="foreign_keyword"))
    assert recorded.state is MoState.IGNORED
    row = inline_db.do(charge_txn, recorded.mo_id)
    assert row is not None
    assert (row.state, row.reason) == (ChargeState.NOT_CHARGED, "foreign_keyword")
    assert inline_db.do(open_mos_txn, NOW + timedelta(days=1), DAY, DAY) == []
    assert not do_reply(inline_db, recorded.mo_id)


def test_a_reply_happens_once(inline_db: InlineDatabase) -> None:
    mo_id = inline_db.do(record_mo_txn, admission()).mo_id
    assert do_reply(inline_db, mo_id)
    assert not do_reply(inline_db, mo_id)
    assert not inline_db.do(ignore_txn, mo_id, "too_many", NOW)
    assert count(inline_db, message) == 1
    assert [line.to_state for line in inline_db.do(journal_txn, mo_id)] == [ChargeState.PENDING, ChargeState.DECIDED]

    def found(conn: Connection) -> tuple[str, str, str, int]:
        query = sa.select(mo.c.state, mo.c.reply_kind, mo.c.found_in, mo.c.lookup_ms)
        state, kind, found_in, took_ms = conn.execute(query).one()
        return state, kind, found_in, took_ms

    assert inline_db.do(found) == ("replied", "mo_reply_status", "khanh-son", 12)


def test_a_second_reply_cannot_slip_past_the_state(inline_db: InlineDatabase) -> None:
    """Even if somebody puts the MO back by hand: the outbox's unique key holds, and nothing is half done."""
    mo_id = inline_db.do(record_mo_txn, admission()).mo_id
    assert do_reply(inline_db, mo_id)

    def put_back(conn: Connection) -> None:
        conn.execute(mo.update().values(state="received"))

    inline_db.do(put_back)
    with pytest.raises(StaleStateError):
        do_reply(inline_db, mo_id)
    assert count(inline_db, message) == 1


def test_a_crash_inside_the_reply_leaves_nothing(inline_db: InlineDatabase) -> None:
    mo_id = inline_db.do(record_mo_txn, admission()).mo_id

    def crash(conn: Connection) -> None:
        reply_mos_txn(conn, [answer_to(mo_id)], NOW)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        inline_db.do(crash)
    assert count(inline_db, message) == 0
    assert [found.mo_id for found in inline_db.do(open_mos_txn, NOW + timedelta(seconds=1), DAY, DAY)] == [mo_id]
    assert do_reply(inline_db, mo_id)


def test_an_ignored_query_has_no_reply_and_no_charge(inline_db: InlineDatabase) -> None:
    mo_id = inline_db.do(record_mo_txn, admission()).mo_id
    assert inline_db.do(ignore_txn, mo_id, "too_many", NOW)
    assert not inline_db.do(ignore_txn, mo_id, "too_many", NOW)
    row = inline_db.do(charge_txn, mo_id)
    assert row is not None
    assert (row.state, row.decision, row.reason) == (ChargeState.NOT_CHARGED, ChargeDecision.NO_CHARGE, "too_many")


def test_senders_are_counted_by_day_and_ignored_texts_are_not(inline_db: InlineDatabase) -> None:
    counted: list[tuple[int, int]] = []
    for number, (at, content, reason) in enumerate(
        [
            (DAY - timedelta(minutes=1), "MCKH", ""),  # yesterday
            (DAY + timedelta(minutes=1), "MCKH", ""),
            (NOW - timedelta(minutes=50), "hello", ""),
            (NOW - timedelta(minutes=40), "other service", "foreign_keyword"),
            (NOW, "hello", ""),
        ]
    ):
        new = replace(
            admission(at, content=f"{content} {number}", ignore_reason=reason), hour_start=NOW - timedelta(hours=1)
        )
        recorded = inline_db.do(record_mo_txn, new)
        counted.append((recorded.sender_today, recorded.sender_errors))
    assert counted == [(0, 0), (1, 0), (2, 1), (0, 0), (3, 2)]
    assert inline_db.do(record_mo_txn, admission(source_addr="84905000001")).sender_today == 1


def test_open_queries_are_listed_oldest_first(inline_db: InlineDatabase) -> None:
    old = inline_db.do(record_mo_txn, admission(NOW - timedelta(hours=2)))
    inline_db.do(record_mo_txn, admission(NOW, source_addr="84905000001"))
    answered = inline_db.do(record_mo_txn, admission(NOW - timedelta(hours=1), source_addr="84905000002"))
    do_reply(inline_db, answered.mo_id)
    found = inline_db.do(open_mos_txn, NOW, DAY, NOW - timedelta(hours=1))
    assert [(item.mo_id, item.mo.text, item.sender_today) for item in found] == [(old.mo_id, "MCKH 0101701234", 1)]
