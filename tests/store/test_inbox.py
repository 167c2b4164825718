"""Queries in the store: recorded once, joined from their parts, answered once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from inline_db import InlineDatabase
from sqlalchemy.engine import Connection

from gateway.errors import StaleStateError
from gateway.model import (
    ChargeDecision,
    ChargeState,
    IncomingMo,
    MessageKind,
    MessageState,
    MoState,
    NewMessage,
    QueryResult,
    ReplyKind,
)
from gateway.store.inbox import (
    Admission,
    MoPart,
    RecordedMo,
    ignore_txn,
    open_mos_txn,
    record_mo_txn,
    record_part_txn,
    reply_txn,
    sweep_parts_txn,
)
from gateway.store.ledger import charge_txn, journal_txn
from gateway.store.schema import charge, charge_journal, message, mo, mo_part

NOW = datetime(2026, 3, 5, 3, 0, 30, tzinfo=UTC)
DAY = datetime(2026, 3, 4, 17, 0, tzinfo=UTC)
WINDOW_S = 60.0


def admission(
    at: datetime = NOW, *, source_addr: str = "84905123456", content: str = "MCKH 0101701234", ignore_reason: str = ""
) -> Admission:
    window = int(at.timestamp() // WINDOW_S)
    key = f"viettel||{source_addr}|{content}"
    return Admission(
        mo=IncomingMo(
            "viettel", "viettel-1", source_addr, "8083", content, content.encode(), 0, "", at, f"{key}|{window}"
        ),
        earlier_key=f"{key}|{window - 1}",
        repeat_since=at - timedelta(seconds=WINDOW_S),
        service="mckh",
        result=QueryResult.OK if content.startswith("MCKH") else QueryResult.ERR_KEYWORD,
        code="0101701234",
        ignore_reason=ignore_reason,
        profile="viettel",
        amount_vnd=1000,
        link=None,
        lapses_at=at + timedelta(seconds=5),
        day_start=DAY,
        hour_start=at - timedelta(hours=1),
    )


def reply_to(mo_id: int) -> NewMessage:
    return NewMessage(
        source="mo",
        receipt_code=str(mo_id),
        kind=MessageKind.MO_REPLY,
        occasion="",
        state=MessageState.QUEUED,
        reason="",
        template_id="mo_reply_status",
        template_version="1",
        text="x",
        coding="gsm7",
        parts=1,
        source_addr="8083",
        destination_addr="84905123456",
        route="viettel",
        priority=0,
        not_before=NOW,
        expires_at=None,
        mo_id=mo_id,
        charge_decision=ChargeDecision.CHARGE,
    )


def do_reply(database: InlineDatabase, mo_id: int) -> bool:
    return database.do(
        reply_txn,
        mo_id,
        reply_to(mo_id),
        NOW,
        kind=ReplyKind.STATUS,
        decision=ChargeDecision.CHARGE,
        reason="mo_reply_status",
        found_in="khanh-son",
        lookup_ms=12,
    )


def count(database: InlineDatabase, table: sa.Table) -> int:
    def rows(conn: Connection) -> int:
        return conn.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()

    return database.do(rows)


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
        reply_txn(
            conn,
            mo_id,
            reply_to(mo_id),
            NOW,
            kind=ReplyKind.STATUS,
            decision=ChargeDecision.CHARGE,
            reason="mo_reply_status",
        )
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


# -- long MOs --------------------------------------------------------------------------------------------------------------

TIMEOUT_S = 300.0


def part(number: int, text: str, *, total: int = 3, at: datetime = NOW, sender: str = "84905123456") -> MoPart:
    return MoPart("viettel", "viettel-1", sender, "8083", 7, total, number, text.encode(), 0, "", at)


def join(parts: Sequence[MoPart]) -> Admission:
    text = "".join(item.octets.decode() for item in parts)
    return admission(max(item.received_at for item in parts), source_addr=parts[0].source_addr, content=text)


def join_incomplete(parts: Sequence[MoPart]) -> Admission:
    return replace(join(parts), result=QueryResult.ERR_CODE_FORMAT)


def receive(database: InlineDatabase, *parts: MoPart) -> list[RecordedMo | None]:
    return [database.do(record_part_txn, item, TIMEOUT_S, join).recorded for item in parts]


def test_parts_out_of_order_make_one_mo(inline_db: InlineDatabase) -> None:
    waiting, also_waiting, whole = receive(inline_db, part(3, "234"), part(1, "MCKH "), part(2, "0101701"))
    assert waiting is None
    assert also_waiting is None
    assert whole is not None
    assert whole.mo.text == "MCKH 0101701234"
    assert count(inline_db, mo) == 1


def test_parts_of_two_senders_are_not_mixed(inline_db: InlineDatabase) -> None:
    other = "84905000001"
    results = receive(
        inline_db,
        part(1, "MCKH ", total=2),
        part(1, "MCKH 1", total=2, sender=other),
        part(2, "0101701234", total=2),
        part(2, "111111111", total=2, sender=other),
    )
    assert [item.mo.text for item in results if item] == ["MCKH 0101701234", "MCKH 1111111111"]


def test_a_repeated_part_changes_nothing_before_or_after_the_joining(inline_db: InlineDatabase) -> None:
    first, second = part(1, "MCKH ", total=2), part(2, "0101701234", total=2)
    assert inline_db.do(record_part_txn, first, TIMEOUT_S, join).repeated is False
    assert inline_db.do(record_part_txn, first, TIMEOUT_S, join).repeated is True
    assert inline_db.do(record_part_txn, second, TIMEOUT_S, join).recorded is not None
    for again in (second, first, second):
        late = replace(again, received_at=NOW + timedelta(seconds=100))
        result = inline_db.do(record_part_txn, late, TIMEOUT_S, join)
        assert (result.repeated, result.recorded) == (True, None)
    assert count(inline_db, mo) == 1
    assert inline_db.do(sweep_parts_txn, NOW + timedelta(days=1), TIMEOUT_S, join, join_incomplete) == []
    assert count(inline_db, mo_part) == 0


def test_a_reference_number_that_comes_round_again_begins_a_new_mo(inline_db: InlineDatabase) -> None:
    receive(inline_db, part(1, "MCKH ", total=2), part(2, "0101701234", total=2))
    soon, later = NOW + timedelta(seconds=100), NOW + timedelta(seconds=1000)
    results = receive(inline_db, part(1, "MCKH 9", total=2, at=soon), part(2, "999999999", total=2, at=soon))
    assert [item.mo.text for item in results if item] == ["MCKH 9999999999"]
    results = receive(inline_db, part(1, "MCKH 9", total=2, at=later), part(2, "999999999", total=2, at=later))
    assert [item.fresh for item in results if item] == [True]
    assert count(inline_db, mo) == 3


def test_a_missing_part_times_out_visibly(inline_db: InlineDatabase) -> None:
    receive(inline_db, part(1, "MCKH "), part(3, "234"))
    early, late = NOW + timedelta(seconds=299), NOW + timedelta(seconds=301)
    assert inline_db.do(sweep_parts_txn, early, TIMEOUT_S, join, join_incomplete) == []
    [given_up] = inline_db.do(sweep_parts_txn, late, TIMEOUT_S, join, join_incomplete)
    assert (given_up.result, given_up.mo.text, given_up.state) == (
        QueryResult.ERR_CODE_FORMAT,
        "MCKH 234",
        MoState.RECEIVED,
    )
    assert inline_db.do(sweep_parts_txn, late, TIMEOUT_S, join, join_incomplete) == []
    assert inline_db.do(charge_txn, given_up.mo_id) is not None


def test_a_set_that_two_nodes_completed_at_once_is_joined_by_the_sweep(inline_db: InlineDatabase) -> None:
    def both(conn: Connection) -> None:
        for item in (part(1, "MCKH ", total=2), part(2, "0101701234", total=2)):
            record_part_txn(conn, item, TIMEOUT_S, join)
        # as if each node had seen only its own part when it committed
        conn.execute(mo_part.update().values(mo_id=None))
        for table in (charge_journal, charge, mo):
            conn.execute(table.delete())

    inline_db.do(both)
    [joined] = inline_db.do(sweep_parts_txn, NOW + timedelta(seconds=1), TIMEOUT_S, join, join_incomplete)
    assert joined.mo.text == "MCKH 0101701234"
    assert joined.result is QueryResult.OK


def test_parts_that_cannot_be_joined_are_not_acknowledged(inline_db: InlineDatabase) -> None:
    def broken(parts: Sequence[MoPart]) -> Admission:
        raise RuntimeError("a fault of ours")

    receive(inline_db, part(1, "MCKH ", total=2))
    with pytest.raises(RuntimeError):
        inline_db.do(record_part_txn, part(2, "0101701234", total=2), TIMEOUT_S, broken)
    assert count(inline_db, mo_part) == 1
    [whole] = receive(inline_db, part(2, "0101701234", total=2))
    assert whole is not None
