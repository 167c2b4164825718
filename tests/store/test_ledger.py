"""The ledger: guarded moves, an append-only journal, and sums that always agree."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from inline_db import InlineDatabase
from sqlalchemy.engine import Connection

from gateway.errors import StaleStateError
from gateway.model import ChargeDecision, ChargeState, MessageKind, MessageState, NewMessage
from gateway.store.ledger import (
    MOVES,
    NewCharge,
    can_move,
    charge_txn,
    charges_of_messages_txn,
    journal_txn,
    lapse_charges_txn,
    ledger_totals_txn,
    move_txn,
    open_replies_txn,
    stale_sent_txn,
)
from gateway.store.ledger_batch import Opened, open_charges_txn
from gateway.store.outbox import insert_messages_txn
from gateway.store.schema import message, metadata, mo

NOW = datetime(2026, 3, 5, 3, 0, tzinfo=UTC)
FINAL = (ChargeState.NOT_CHARGED, ChargeState.REFUNDED, ChargeState.INSUFFICIENT_BALANCE)


def add_mo(conn: Connection, mo_id: int, amount_vnd: int = 1000, at: datetime = NOW) -> None:
    conn.execute(
        mo.insert().values(
            id=mo_id,
            dedupe_key=str(mo_id),
            route="viettel",
            bind="viettel-1",
            source_addr="84905123456",
            destination_addr="8083",
            text="",
            octets=b"",
            data_coding=0,
            received_at=at,
            state="received",
        )
    )
    lapses_at = at + timedelta(seconds=5)
    open_charges_txn(conn, [Opened(NewCharge(mo_id, "viettel", "viettel", amount_vnd, "smsc-1", lapses_at), at)])


def add_reply(conn: Connection, mo_id: int, decision: ChargeDecision = ChargeDecision.CHARGE) -> int:
    new = NewMessage(
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
        charge_decision=decision,
    )
    [message_id] = insert_messages_txn(conn, [new], NOW)
    assert message_id is not None
    move_txn(conn, mo_id, ChargeState.DECIDED, NOW, reason="mo_reply_status", decision=decision)
    return message_id


def test_one_life_is_written_down_step_by_step(inline_db: InlineDatabase) -> None:
    def life(conn: Connection) -> None:
        add_mo(conn, 1)
        move_txn(conn, 1, ChargeState.DECIDED, NOW, reason="mo_reply_status", decision=ChargeDecision.CHARGE)
        move_txn(conn, 1, ChargeState.CHARGED, NOW, reason="response:ESME_ROK", outcome_raw="0x00000000")
        move_txn(conn, 1, ChargeState.REFUNDED, NOW, reason="receipt_error:021", decision=ChargeDecision.REFUND)

    inline_db.do(life)
    lines = inline_db.do(journal_txn, 1)
    assert [(line.from_state, line.to_state, line.amount_vnd) for line in lines] == [
        (None, ChargeState.PENDING, 0),
        (ChargeState.PENDING, ChargeState.DECIDED, 0),
        (ChargeState.DECIDED, ChargeState.CHARGED, 1000),
        (ChargeState.CHARGED, ChargeState.REFUNDED, -1000),
    ]
    assert [line.decision for line in lines] == [
        None,
        ChargeDecision.CHARGE,
        ChargeDecision.CHARGE,
        ChargeDecision.REFUND,
    ]
    row = inline_db.do(charge_txn, 1)
    assert row is not None
    assert (row.state, row.decision, row.reason, row.outcome_raw, row.link) == (
        ChargeState.REFUNDED,
        ChargeDecision.REFUND,
        "receipt_error:021",
        "0x00000000",
        "smsc-1",
    )


@pytest.mark.parametrize("final", FINAL)
def test_a_final_outcome_is_never_left(inline_db: InlineDatabase, final: ChargeState) -> None:
    def settled(conn: Connection) -> None:
        add_mo(conn, 1)
        move_txn(conn, 1, ChargeState.DECIDED, NOW, reason="", decision=ChargeDecision.CHARGE)
        move_txn(conn, 1, final, NOW, reason="")

    inline_db.do(settled)
    for state in ChargeState:
        with pytest.raises(StaleStateError):
            inline_db.do(move_txn, 1, state, NOW, reason="again")
    assert len(inline_db.do(journal_txn, 1)) == 3


def test_a_judgement_on_an_old_state_is_refused(inline_db: InlineDatabase) -> None:
    def decided(conn: Connection) -> None:
        add_mo(conn, 1)
        move_txn(conn, 1, ChargeState.DECIDED, NOW, reason="", decision=ChargeDecision.CHARGE)
        move_txn(conn, 1, ChargeState.CHARGED, NOW, reason="")

    inline_db.do(decided)
    with pytest.raises(StaleStateError):
        inline_db.do(move_txn, 1, ChargeState.NOT_CHARGED, NOW, reason="expired", from_state=ChargeState.DECIDED)
    with pytest.raises(StaleStateError):
        inline_db.do(move_txn, 2, ChargeState.NOT_CHARGED, NOW, reason="no such row")


def test_a_query_has_one_row(inline_db: InlineDatabase) -> None:
    inline_db.do(add_mo, 1)
    with pytest.raises(sa.exc.IntegrityError):
        inline_db.do(open_charges_txn, [Opened(NewCharge(1, "viettel", "viettel", 1000, None, None), NOW)])


def test_every_state_can_end_and_unknown_is_no_end() -> None:
    ends = {state for state in ChargeState if not MOVES[state]}
    assert ends == set(FINAL)
    for state in set(ChargeState) - ends:
        assert any(can_move(state, end) for end in ends)
    assert ChargeState.PENDING not in {after for states in MOVES.values() for after in states}


def test_a_reply_that_waits_past_its_deadline_loses_its_charge(inline_db: InlineDatabase) -> None:
    message_ids: list[int] = []

    def replies(conn: Connection) -> None:
        for mo_id in (1, 2, 3):
            add_mo(conn, mo_id)
            message_ids.append(add_reply(conn, mo_id))
        conn.execute(message.update().where(message.c.id == message_ids[1]).values(state="sending"))

    inline_db.do(replies)
    when_late = {"viettel": ChargeDecision.REFUND}
    assert inline_db.do(lapse_charges_txn, NOW, NOW + timedelta(seconds=4), when_late) == []
    assert inline_db.do(lapse_charges_txn, NOW, NOW + timedelta(seconds=5), when_late) == [1, 3]
    assert inline_db.do(lapse_charges_txn, NOW, NOW + timedelta(seconds=9), when_late) == []

    def told(conn: Connection) -> list[str]:
        return list(conn.execute(sa.select(message.c.charge_decision).order_by(message.c.id)).scalars())

    assert inline_db.do(told) == ["refund", "charge", "refund"]
    row = inline_db.do(charge_txn, 1)
    assert row is not None
    assert (row.state, row.decision, row.reason) == (ChargeState.DECIDED, ChargeDecision.REFUND, "late")


def test_charges_are_found_by_message_and_notices_are_left_out(inline_db: InlineDatabase) -> None:
    def fill(conn: Connection) -> int:
        add_mo(conn, 1)
        return add_reply(conn, 1)

    message_id = inline_db.do(fill)
    found = inline_db.do(charges_of_messages_txn, [message_id, 999])
    assert {number: row.mo_id for number, row in found.items()} == {message_id: 1}
    assert inline_db.do(charges_of_messages_txn, []) == {}


def test_replies_that_ended_unseen_are_listed(inline_db: InlineDatabase) -> None:
    def fill(conn: Connection) -> None:
        for mo_id, state in ((1, "expired"), (2, "queued"), (3, "expired")):
            add_mo(conn, mo_id)
            conn.execute(message.update().where(message.c.id == add_reply(conn, mo_id)).values(state=state))
        move_txn(conn, 3, ChargeState.NOT_CHARGED, NOW, reason="reply_expired")

    inline_db.do(fill)
    found = inline_db.do(open_replies_txn, [ChargeState.DECIDED], [MessageState.EXPIRED, MessageState.REJECTED])
    assert [(reply.charge.mo_id, reply.message_state) for reply in found] == [(1, MessageState.EXPIRED)]


def test_sent_grows_old(inline_db: InlineDatabase) -> None:
    def fill(conn: Connection) -> None:
        for mo_id, at in ((1, NOW), (2, NOW + timedelta(minutes=10))):
            add_mo(conn, mo_id)
            move_txn(conn, mo_id, ChargeState.DECIDED, at, reason="", decision=ChargeDecision.CHARGE)
            move_txn(conn, mo_id, ChargeState.SENT, at, reason="")

    inline_db.do(fill)
    assert inline_db.do(stale_sent_txn, NOW + timedelta(minutes=5)) == [1]


def test_totals_of_a_period(inline_db: InlineDatabase) -> None:
    def fill(conn: Connection) -> None:
        for mo_id, at in ((1, NOW), (2, NOW), (3, NOW + timedelta(days=31))):
            add_mo(conn, mo_id, at=at)
            move_txn(conn, mo_id, ChargeState.DECIDED, at, reason="", decision=ChargeDecision.CHARGE)
            move_txn(conn, mo_id, ChargeState.CHARGED, at + timedelta(days=40), reason="")

    inline_db.do(fill)
    march = inline_db.do(ledger_totals_txn, since=NOW, until=NOW + timedelta(days=31))
    assert (march.rows, march.charged_vnd, march.journal_vnd, march.balanced) == (2, 2000, 2000, True)
    everything = inline_db.do(ledger_totals_txn)
    assert (everything.rows, everything.charged_vnd, everything.balanced) == (3, 3000, True)
    april = inline_db.do(ledger_totals_txn, since=NOW + timedelta(days=31))
    assert (april.rows, april.charged_vnd) == (1, 1000)


def test_totals_show_a_row_that_was_changed_behind_the_journal(inline_db: InlineDatabase) -> None:
    def fill(conn: Connection) -> None:
        add_mo(conn, 1)
        conn.execute(sa.text("UPDATE charge SET state = 'charged'"))

    inline_db.do(fill)
    assert not inline_db.do(ledger_totals_txn).balanced


# -- the law: whatever happens, rows and journal tell the same ------------------------------------------------------------

steps = st.lists(
    st.tuples(st.integers(1, 4), st.sampled_from(list(ChargeState)), st.booleans()), min_size=1, max_size=40
)


@contextmanager
def empty_ledger(database: InlineDatabase) -> Iterator[None]:
    with database.engine.begin() as conn:
        for table in reversed(metadata.sorted_tables):
            conn.execute(table.delete())
    yield
    database.close()


def lawful(examples: int) -> settings:
    checks = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
    return settings(max_examples=examples, deadline=None, suppress_health_check=checks)


prices_vnd = st.lists(st.sampled_from([0, 500, 1000, 15000]), min_size=4, max_size=4)


# One test for each database: pytest-twisted wraps a parametrised hypothesis test twice.
@lawful(60)
@given(history=steps, prices=prices_vnd)
def test_sums_agree_after_any_history_and_any_crash(
    sqlite_store_url: str, history: list[tuple[int, ChargeState, bool]], prices: list[int]
) -> None:
    check_history(sqlite_store_url, history, prices)


@lawful(15)
@given(history=steps, prices=prices_vnd)
def test_sums_agree_on_postgresql_too(
    postgres_store_url: str, history: list[tuple[int, ChargeState, bool]], prices: list[int]
) -> None:
    check_history(postgres_store_url, history, prices)


def check_history(url: str, history: list[tuple[int, ChargeState, bool]], prices: list[int]) -> None:
    database = InlineDatabase(url)

    class Crash(Exception):
        pass

    expected: dict[int, ChargeState] = {}

    def step(conn: Connection, mo_id: int, state: ChargeState, crash: bool) -> None:
        if charge_txn(conn, mo_id) is None:
            add_mo(conn, mo_id, prices[mo_id - 1])
        else:
            move_txn(conn, mo_id, state, NOW, reason="any")
        if crash:
            raise Crash

    with empty_ledger(database):
        for mo_id, state, crash in history:
            before = expected.get(mo_id)
            allowed = before is None or can_move(before, state)
            try:
                database.do(step, mo_id, state, crash)
            except Crash:
                assert allowed
                continue
            except StaleStateError:
                assert not allowed
                continue
            assert allowed
            expected[mo_id] = ChargeState.PENDING if before is None else state
        totals = database.do(ledger_totals_txn)
        charged = [mo_id for mo_id, state in expected.items() if state is ChargeState.CHARGED]
        assert totals.charged_vnd == totals.journal_vnd == sum(prices[mo_id - 1] for mo_id in charged)
        assert totals.rows == len(expected)
        for mo_id, state in expected.items():
            lines = database.do(journal_txn, mo_id)
            assert lines[-1].to_state is state
            assert [line.from_state for line in lines] == [None, *(line.to_state for line in lines[:-1])]
            assert sum(line.amount_vnd for line in lines) == (prices[mo_id - 1] if mo_id in charged else 0)
