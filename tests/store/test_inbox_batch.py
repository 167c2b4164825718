"""Queries recorded and answered by the batch: exactly as one after the other, and all or nothing."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from inbox_kit import DAY, NOW, admission, answer_to, count
from inline_db import InlineDatabase
from sqlalchemy.engine import Connection, Row

from gateway.errors import StaleStateError
from gateway.model import ChargeDecision, ChargeState, MoState
from gateway.store.answers import ignore_txn, reply_mos_txn
from gateway.store.inbox import Admission, RecordedMo, record_mo_txn, record_mos_txn
from gateway.store.ledger import charge_txn, ledger_totals_txn
from gateway.store.ledger_batch import Move, decide_charges_txn, move_charges_txn
from gateway.store.schema import charge, charge_journal, message, mo


def table_rows(database: InlineDatabase, *tables: sa.Table) -> list[list[Row[Any]]]:
    def read(conn: Connection) -> list[list[Row[Any]]]:
        return [list(conn.execute(sa.select(table).order_by(*table.primary_key.columns))) for table in tables]

    return database.do(read)


def at(seconds: float, *, day: int = 0, **values: Any) -> Admission:
    """An MO ``seconds`` after NOW, of the senders' counts of that day; all counts begin at the same time in one run."""
    made = admission(NOW + timedelta(days=day, seconds=seconds), **values)
    return replace(
        made,
        day_start=DAY + timedelta(days=day),
        hour_start=NOW + timedelta(days=day, hours=-1),
        burst_start=NOW + timedelta(days=day, seconds=-60),
    )


mos = st.builds(
    at,
    st.sampled_from([0, 1, 20, 45, 61, 110]),
    source_addr=st.sampled_from(["84905000001", "84905000002"]),
    content=st.sampled_from(["MCKH 0101701234", "hello"]),
    ignore_reason=st.sampled_from(["", "", "foreign_keyword"]),
)


QUERY = {"source_addr": "84905000001", "content": "MCKH 0101701234"}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(
    before=[], together=[at(0, **QUERY), at(45, **QUERY), at(61, **QUERY)]
)  # the second repeats the first, not the third
@given(before=st.lists(mos, max_size=4), together=st.lists(mos, max_size=8))
def test_a_batch_is_as_one_after_the_other(
    sqlite_template: Path, tmp_path: Path, before: list[Admission], together: list[Admission]
) -> None:
    before, together = (sorted(some, key=lambda item: item.mo.received_at) for some in (before, together))
    seen = []
    for name in ("single", "batch"):
        for old in tmp_path.glob(f"{name}.sqlite3*"):
            old.unlink()
        shutil.copyfile(sqlite_template, tmp_path / f"{name}.sqlite3")
        database = InlineDatabase(f"sqlite:///{tmp_path / name}.sqlite3")
        for item in before:
            database.do(record_mo_txn, item)
        recorded: list[RecordedMo]
        if name == "batch":
            recorded = database.do(record_mos_txn, together)
        else:
            recorded = [database.do(record_mo_txn, item) for item in together]
        told = [(item.fresh, item.state, item.mo, item.sender_today, item.sender_errors) for item in recorded]
        bursts = [item.sender_burst for item in recorded]
        lines = [
            (line.mo_id, line.from_state, line.to_state, line.at) for line in table_rows(database, charge_journal)[0]
        ]
        seen.append((told, bursts, table_rows(database, mo, charge), sorted(lines, key=repr)))
        database.close()
    assert seen[0] == seen[1]


def test_a_query_and_its_repetitions_in_one_batch(inline_db: InlineDatabase) -> None:
    """The second copy lies in the next window of the clock, the third in the same; another sender's is another query."""
    batch = [at(0), at(0, source_addr="84905000001"), at(31), at(32)]
    first, other, again, third = inline_db.do(record_mos_txn, batch)
    assert (first.fresh, other.fresh, again.fresh, third.fresh) == (True, True, False, False)
    assert {first.mo_id, again.mo_id, third.mo_id} == {1}
    assert other.mo_id == 2
    assert (count(inline_db, mo), count(inline_db, charge), count(inline_db, charge_journal)) == (2, 2, 2)
    assert [row.repeats for row in table_rows(inline_db, mo)[0]] == [2, 0]


def test_a_batch_meets_what_is_recorded_already(inline_db: InlineDatabase) -> None:
    known = inline_db.do(record_mo_txn, at(0))
    again, new = inline_db.do(record_mos_txn, [at(10), at(10, source_addr="84905000001")])
    assert (again.mo_id, again.fresh) == (known.mo_id, False)
    assert (new.fresh, new.sender_today) == (True, 1)


def test_senders_are_counted_within_a_batch_and_over_midnight(inline_db: InlineDatabase) -> None:
    texts = [
        at(0, content="hello 1"),
        at(1, content="MCKH 1"),
        at(2, content="hello 2"),
        at(0, day=1, content="MCKH 2"),
    ]
    recorded = inline_db.do(record_mos_txn, texts)
    assert [(item.sender_today, item.sender_errors, item.sender_burst) for item in recorded] == [
        (1, 1, 1),
        (2, 1, 2),
        (3, 2, 3),
        (1, 0, 1),
    ]


def test_a_failure_in_mid_batch_leaves_nothing(inline_db: InlineDatabase) -> None:
    def crash(conn: Connection) -> None:
        record_mos_txn(conn, [at(0), at(1, source_addr="84905000001")])
        raise RuntimeError

    with pytest.raises(RuntimeError):
        inline_db.do(crash)
    assert [count(inline_db, table) for table in (mo, charge, charge_journal)] == [0, 0, 0]


# -- answers -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def three(inline_db: InlineDatabase) -> list[int]:
    """Three open MOs of one handset."""
    return [item.mo_id for item in inline_db.do(record_mos_txn, [at(n, content=f"MCKH {n}") for n in range(3)])]


def test_replies_of_a_batch_keep_the_order_of_their_queries(inline_db: InlineDatabase, three: list[int]) -> None:
    assert inline_db.do(reply_mos_txn, [answer_to(mo_id) for mo_id in reversed(three)], NOW) == [True] * 3
    [rows] = table_rows(inline_db, message)
    assert [row.receipt_code for row in rows] == [str(mo_id) for mo_id in three]


def test_one_reply_and_one_charge_though_a_batch_holds_two(inline_db: InlineDatabase, three: list[int]) -> None:
    first, closed, last = three
    inline_db.do(ignore_txn, closed, "too_many", NOW)
    batch = [answer_to(first), answer_to(closed), answer_to(last), answer_to(first), answer_to(999)]
    assert inline_db.do(reply_mos_txn, batch, NOW) == [True, False, True, False, False]
    assert inline_db.do(reply_mos_txn, batch, NOW) == [False] * 5
    assert count(inline_db, message) == 2
    states = [inline_db.do(charge_txn, mo_id).state for mo_id in three]  # type: ignore[union-attr]
    assert states == [ChargeState.DECIDED, ChargeState.NOT_CHARGED, ChargeState.DECIDED]
    [rows] = table_rows(inline_db, mo)
    assert [row.state for row in rows] == [MoState.REPLIED, MoState.IGNORED, MoState.REPLIED]


def test_a_reply_that_is_there_already_undoes_the_batch(inline_db: InlineDatabase, three: list[int]) -> None:
    inline_db.do(reply_mos_txn, [answer_to(three[1])], NOW)

    def put_back(conn: Connection) -> None:
        conn.execute(mo.update().values(state="received"))

    inline_db.do(put_back)
    with pytest.raises(StaleStateError, match=f"query {three[1]} has a reply"):
        inline_db.do(reply_mos_txn, [answer_to(mo_id) for mo_id in three], NOW)
    assert count(inline_db, message) == 1


# -- the ledger --------------------------------------------------------------------------------------------------------


def test_a_charge_is_decided_once(inline_db: InlineDatabase, three: list[int]) -> None:
    decided = [(mo_id, ChargeDecision.CHARGE, "mo_reply_status") for mo_id in three]
    inline_db.do(decide_charges_txn, decided[:1], NOW)
    with pytest.raises(StaleStateError, match="1 charges were not pending"):
        inline_db.do(decide_charges_txn, decided, NOW)
    assert inline_db.do(charge_txn, three[1]).state is ChargeState.PENDING  # type: ignore[union-attr]


def test_moves_of_a_batch_are_guarded_and_balance(inline_db: InlineDatabase, three: list[int]) -> None:
    inline_db.do(decide_charges_txn, [(mo_id, ChargeDecision.CHARGE, "found") for mo_id in three], NOW)
    before = [inline_db.do(charge_txn, mo_id) for mo_id in three]
    one, two, three_ = (item for item in before if item is not None)
    moves = [
        Move(one, ChargeState.CHARGED, "response:ESME_ROK", outcome_raw="0x00000000"),
        Move(two, ChargeState.REFUNDED, "refused", ChargeDecision.REFUND),
        Move(three_, ChargeState.CHARGED, "response:ESME_ROK", outcome_raw="0x00000000"),
    ]
    after = inline_db.do(move_charges_txn, moves, NOW)
    assert after == [inline_db.do(charge_txn, mo_id) for mo_id in three]
    assert [item.decision for item in after] == [ChargeDecision.CHARGE, ChargeDecision.REFUND, ChargeDecision.CHARGE]
    totals = inline_db.do(ledger_totals_txn)
    assert (totals.balanced, totals.charged_vnd) == (True, 2000)
    with pytest.raises(StaleStateError):  # what was read is no longer so
        inline_db.do(move_charges_txn, moves, NOW)
    with pytest.raises(StaleStateError, match="is refunded and cannot become charged"):
        inline_db.do(move_charges_txn, [Move(after[1], ChargeState.CHARGED, "again")], NOW)
    assert inline_db.do(ledger_totals_txn) == totals
