"""Dossier states and their notices are one transaction (invariant 1); cursors, leases and bad rows of sources."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from inline_db import InlineDatabase
from messages import new_message

from gateway.errors import StaleStateError
from gateway.model import Dossier, DossierState, MessageKind, MessageState, NewMessage
from gateway.store import dossiers, sources
from gateway.store.decisions import (
    BadRow,
    Cancel,
    Conflict,
    ConflictKind,
    Decision,
    NoticeInfo,
    NoticePlan,
    Skip,
    SourceRow,
    StoredDossier,
)
from gateway.store.dossiers import Batch
from gateway.store.portability import learn_route_txn
from gateway.store.schema import bad_row, dossier, message, source_cursor, state_conflict
from gateway.store.seen import seen_by_codes_txn

K, M = MessageKind, MessageState
NOW = datetime(2026, 3, 3, 3, 0, tzinfo=UTC)
LEASE = NOW + timedelta(seconds=20)
LATER = NOW + timedelta(minutes=1)


def a_dossier(code: str = "0101701234", **changes: Any) -> Dossier:
    values: dict[str, Any] = {
        "source": "ks",
        "receipt_code": code,
        "agency_code": "KS",
        "agency_name": "UBND huyện Khánh Sơn",
        "state": DossierState.RESULT_READY,
        "status_raw": "9",
        "step_name": "Trả kết quả",
        "at_one_stop_shop": True,
        "clock_stopped": False,
        "updated_at": NOW,
        "phone_raw": "0905123456",
        "due_at": datetime(2026, 3, 4, 10, 0, tzinfo=UTC),
        "extra": (("reason", "thiếu “bản sao”"),),
    }
    return Dossier(**{**values, **changes})


def a_row(code: str = "0101701234", row_hash: str = "h1", **changes: Any) -> SourceRow:
    return SourceRow(a_dossier(code, **changes), row_hash)


def a_batch(*rows: SourceRow, **changes: Any) -> Batch:
    values: dict[str, Any] = {"source": "ks", "node": "node-1", "lease_until": LEASE, "rows": rows}
    return Batch(**{**values, **changes})


def a_plan(occasion: str = "1", kind: MessageKind = K.RESULT_READY) -> NoticePlan:
    return NoticePlan(kind, occasion, M.HELD, "hold", NOW, None)


class Decide:
    """Gives the decisions it was given, and keeps what it was asked."""

    def __init__(self, *decisions: Decision) -> None:
        self.decisions = list(decisions)
        self.asked: list[tuple[StoredDossier | None, Dossier, list[NoticeInfo]]] = []

    def __call__(self, old: StoredDossier | None, new: Dossier, infos: Sequence[NoticeInfo]) -> Decision:
        self.asked.append((old, new, list(infos)))
        return self.decisions.pop(0) if self.decisions else Decision(NOW)


def compose(item: Dossier, plan: NoticePlan, ported_to: str | None = None) -> NewMessage:
    return new_message(
        item.receipt_code,
        source=item.source,
        kind=plan.kind,
        occasion=plan.occasion,
        state=plan.state,
        reason=plan.reason,
        route=ported_to or "viettel",
    )


@pytest.fixture
def store(inline_db: InlineDatabase) -> InlineDatabase:
    acquire(inline_db)
    return inline_db


def acquire(db: InlineDatabase, node: str = "node-1", now: datetime = NOW) -> sources.Cursor | None:
    return db.do(sources.acquire_txn, "ks", node, now, now + timedelta(seconds=20), NOW)


def apply(db: InlineDatabase, batch: Batch, decide: Decide | None = None, now: datetime = NOW) -> dossiers.Applied:
    return db.do(dossiers.apply_rows_txn, batch, decide or Decide(), compose, now)


def rows_of(db: InlineDatabase, table: sa.Table) -> list[Any]:
    return db.do(lambda conn: list(conn.execute(sa.select(table).order_by(*table.primary_key.columns))))


def test_a_dossier_comes_back_as_it_went_in(store: InlineDatabase) -> None:
    decision = Decision(NOW, result_entries=2, result_left_at=LATER, supplement_entries=1, supplement_left_at=NOW)
    applied = apply(store, a_batch(a_row()), Decide(decision))
    assert (applied.added, applied.changed) == (1, 0)
    stored = store.do(dossiers.stored_txn, "ks", ["0101701234", "other"])
    assert stored == {"0101701234": StoredDossier(a_dossier(), "h1", date(2026, 3, 4), NOW, NOW, 2, 1, LATER, NOW)}


def test_due_on_is_the_day_in_vietnam(store: InlineDatabase) -> None:
    apply(store, a_batch(a_row(due_at=datetime(2026, 3, 4, 16, 59, 59, tzinfo=UTC))))
    apply(store, a_batch(a_row("2", due_at=datetime(2026, 3, 4, 17, 0, tzinfo=UTC)), a_row("3", due_at=None)))
    stored = store.do(dossiers.stored_txn, "ks", ["0101701234", "2", "3"])
    assert [stored[code].due_on for code in ("0101701234", "2", "3")] == [date(2026, 3, 4), date(2026, 3, 5), None]


def test_a_changed_row_is_decided_with_what_was_known(store: InlineDatabase) -> None:
    apply(store, a_batch(a_row()), Decide(Decision(NOW, notices=(a_plan(),), result_entries=1)))
    decide = Decide()
    applied = apply(store, a_batch(a_row(row_hash="h2", step_name="Khác")), decide, LATER)
    assert (applied.added, applied.changed) == (0, 1)
    old, new, infos = decide.asked[0]
    assert old is not None
    assert (old.dossier, old.result_entries) == (a_dossier(), 1)
    assert new.step_name == "Khác"
    assert [(info.kind, info.occasion, info.state) for info in infos] == [(K.RESULT_READY, "1", M.HELD)]
    stored = store.do(dossiers.stored_txn, "ks", ["0101701234"])["0101701234"]
    assert (stored.dossier.step_name, stored.row_hash, stored.seen_at) == ("Khác", "h2", LATER)


def test_a_row_without_change_is_not_decided(store: InlineDatabase) -> None:
    apply(store, a_batch(a_row()))
    decide = Decide()
    applied = apply(store, a_batch(a_row(updated_at=LATER)), decide, LATER)
    assert (applied.added, applied.changed, decide.asked) == (0, 0, [])
    assert store.do(dossiers.differing_txn, "ks", [a_row(), a_row(row_hash="h2"), a_row("2")]) == [
        a_row(row_hash="h2"),
        a_row("2"),
    ]


def test_invariant_1_state_and_notice_are_one_transaction(store: InlineDatabase) -> None:
    def broken(item: Dossier, plan: NoticePlan, ported_to: str | None) -> NewMessage:
        raise RuntimeError("in the middle")

    decide = Decide(Decision(NOW, notices=(a_plan(),)))
    position = sources.Position(NOW, "0101701234")
    with pytest.raises(RuntimeError, match="in the middle"):
        store.do(dossiers.apply_rows_txn, a_batch(a_row(), cursor=position), decide, broken, NOW)
    assert rows_of(store, dossier) == rows_of(store, message) == []
    cursor = store.do(sources.cursor_txn, "ks")
    assert cursor is not None
    assert cursor.position is None

    applied = apply(store, a_batch(a_row(), cursor=position), Decide(Decision(NOW, notices=(a_plan(),))))
    assert [(notice.kind, notice.state) for notice in applied.notices] == [(K.RESULT_READY, M.HELD)]
    assert len(rows_of(store, dossier)) == len(rows_of(store, message)) == 1


def test_invariant_1_nothing_is_announced_twice(store: InlineDatabase) -> None:
    apply(store, a_batch(a_row()), Decide(Decision(NOW, notices=(a_plan(),))))
    again = apply(store, a_batch(a_row(row_hash="h2")), Decide(Decision(NOW, notices=(a_plan(),))))
    assert (again.repeated, again.notices) == (1, [])
    assert len(rows_of(store, message)) == 1


def test_a_pending_notice_is_cancelled_and_listed(store: InlineDatabase) -> None:
    apply(store, a_batch(a_row()), Decide(Decision(NOW, notices=(a_plan(),))))
    cancel = Cancel((K.RESULT_READY,), "reverted", contradicts=True)
    changed = a_row(row_hash="h2", state=DossierState.PROCESSING, status_raw="4", step_name="Thẩm định")
    applied = apply(store, a_batch(changed), Decide(Decision(NOW, cancels=(cancel,))), LATER)
    [sent] = rows_of(store, message)
    assert (sent.state, sent.reason) == ("cancelled", "reverted")
    assert applied.cancelled == [(sent.id, K.RESULT_READY, "reverted")]
    [listed] = rows_of(store, state_conflict)
    assert (listed.what, listed.message_id, listed.agency_code, listed.at) == (
        "cancelled_in_hold",
        sent.id,
        "KS",
        LATER,
    )
    assert "Thẩm định" in listed.detail


def test_a_notice_that_has_left_is_not_cancelled(store: InlineDatabase) -> None:
    apply(store, a_batch(a_row()), Decide(Decision(NOW, notices=(a_plan(),))))
    store.do(lambda conn: conn.execute(sa.update(message).values(state="accepted")))
    cancel = Cancel((K.RESULT_READY,), "reverted", contradicts=True)
    applied = apply(store, a_batch(a_row(row_hash="h2")), Decide(Decision(NOW, cancels=(cancel,))))
    assert (applied.cancelled, rows_of(store, state_conflict)) == ([], [])
    assert rows_of(store, message)[0].state == "accepted"


def test_a_sender_that_was_faster_makes_it_a_contradiction(store: InlineDatabase) -> None:
    apply(store, a_batch(a_row()), Decide(Decision(NOW, notices=(a_plan(),))))

    class Race(Decide):
        """Between the reading of the notice and its cancellation, a node on another connection claims it."""

        def __call__(self, *asked: Any) -> Decision:
            connection.execute(sa.update(message).values(state="sending"))
            return super().__call__(*asked)

    cancel = Cancel((K.RESULT_READY,), "reverted", contradicts=True)
    with store._begin(write=True) as connection:
        dossiers.apply_rows_txn(
            connection, a_batch(a_row(row_hash="h2")), Race(Decision(NOW, cancels=(cancel,))), compose, NOW
        )
    assert [row.what for row in rows_of(store, state_conflict)] == ["contradicted_after_sending"]


def test_conflicts_of_the_rules_are_listed(store: InlineDatabase) -> None:
    conflict = Conflict(K.RESULT_READY, ConflictKind.REPEATED_ENTRY, "away for 60 s", None)
    skip = Skip(K.RESULT_READY, "repeated_entry")
    applied = apply(store, a_batch(a_row()), Decide(Decision(NOW, conflicts=(conflict,), skips=(skip,))))
    assert (applied.conflicts, applied.skipped) == (1, {(K.RESULT_READY, "repeated_entry"): 1})
    assert [(row.what, row.detail) for row in rows_of(store, state_conflict)] == [("repeated_entry", "away for 60 s")]


def test_more_rows_than_fit_into_one_statement(store: InlineDatabase) -> None:
    many = [a_row(f"{n:010}") for n in range(1201)]
    assert apply(store, a_batch(*many)).added == 1201
    assert store.do(dossiers.differing_txn, "ks", many) == []
    assert len(store.do(dossiers.stored_txn, "ks", [row.dossier.receipt_code for row in many])) == 1201


def test_a_ported_number_goes_to_the_operator_that_has_it(store: InlineDatabase) -> None:
    store.do(learn_route_txn, "84905123456", "vinaphone", NOW)
    applied = apply(store, a_batch(a_row()), Decide(Decision(NOW, notices=(a_plan(),))))
    assert [notice.route for notice in applied.notices] == ["vinaphone"]


# --- sources --------------------------------------------------------------------------------------------------------


def test_the_first_acquisition_fixes_the_start_of_announcing(inline_db: InlineDatabase) -> None:
    first = acquire(inline_db)
    assert first == sources.Cursor("ks", None, NOW, None, "", "node-1")
    again = inline_db.do(sources.acquire_txn, "ks", "node-1", LATER, LATER, LATER)
    assert again is not None
    assert again.announce_from == NOW


def test_one_node_polls_a_source_at_a_time(store: InlineDatabase) -> None:
    assert acquire(store, "node-2") is None
    assert acquire(store, "node-2", NOW + timedelta(seconds=19)) is None
    assert acquire(store, "node-2", NOW + timedelta(seconds=20)) is not None  # its lease has lapsed
    with pytest.raises(StaleStateError, match="another node"):
        apply(store, a_batch(a_row()))
    assert rows_of(store, dossier) == []
    assert apply(store, a_batch(a_row(), node="node-2")).added == 1


def test_applying_renews_the_lease(store: InlineDatabase) -> None:
    apply(store, a_batch(lease_until=NOW + timedelta(minutes=5)))
    assert acquire(store, "node-2", NOW + timedelta(minutes=4)) is None


def test_a_released_source_is_free(store: InlineDatabase) -> None:
    store.do(sources.release_txn, "ks", "node-2")  # not its own
    assert acquire(store, "node-2") is None
    store.do(sources.release_txn, "ks", "node-1")
    assert acquire(store, "node-2") is not None


def test_success_and_failure_are_kept(store: InlineDatabase) -> None:
    store.do(sources.failed_txn, "ks", "node-1", "did not answer")
    cursor = store.do(sources.cursor_txn, "ks")
    assert cursor is not None
    assert (cursor.last_error, cursor.last_success_at) == ("did not answer", None)
    assert store.do(sources.succeeded_txn, "ks", "node-1", LATER, LATER)
    assert not store.do(sources.succeeded_txn, "ks", "node-2", LATER, LATER)
    cursor = store.do(sources.cursor_txn, "ks")
    assert cursor is not None
    assert (cursor.last_error, cursor.last_success_at) == ("", LATER)
    assert store.do(sources.cursor_txn, "elsewhere") is None


def test_bad_rows_are_listed_counted_and_healed(store: InlineDatabase) -> None:
    unmapped = BadRow("1", "unmapped_status", "Lạ")
    apply(store, a_batch(bad=(unmapped, BadRow("2", "bad_value", "due_at: is no date: 'mai'"))))
    apply(store, a_batch(bad=(unmapped,)), now=LATER)
    listed = {(row.receipt_code, row.reason): row for row in rows_of(store, bad_row)}
    assert listed["1", "unmapped_status"].times == 2
    assert (listed["1", "unmapped_status"].first_seen_at, listed["1", "unmapped_status"].last_seen_at) == (NOW, LATER)
    assert store.do(sources.bad_row_count_txn, "ks") == {"bad_value": 1, "unmapped_status": 1}
    apply(store, a_batch(a_row("1")))
    assert store.do(sources.bad_row_count_txn, "ks") == {"bad_value": 1}
    apply(store, a_batch(a_row("2"), still_bad=frozenset({"2"})))
    assert store.do(sources.bad_row_count_txn, "ks") == {"bad_value": 1}


def test_the_polled_state_tells_for_which_time_it_is_true(store: InlineDatabase) -> None:
    apply(store, a_batch(a_row()))
    [[seen]] = store.do(seen_by_codes_txn, ["0101701234"])
    assert (seen.dossier, seen.seen_at) == (a_dossier(), NOW)
    store.do(sources.succeeded_txn, "ks", "node-1", LATER, LATER)
    [[seen]] = store.do(seen_by_codes_txn, ["0101701234"])
    assert seen.seen_at == LATER  # read again since, and unchanged
    apply(store, a_batch(bad=(BadRow("0101701234", "unmapped_status", "Lạ"),)))
    [[seen]] = store.do(seen_by_codes_txn, ["0101701234"])
    assert seen.seen_at == NOW  # what it says now could not be read
    assert store.do(seen_by_codes_txn, ["other"]) == [[]]


# --- apology --------------------------------------------------------------------------------------------------------


def test_the_apology_goes_through_its_list_page_by_page(store: InlineDatabase) -> None:
    work = {"state": DossierState.PROCESSING}
    due = [a_row(f"{n:04}", **work) for n in range(250)]
    others = [
        a_row("A", **work, due_at=datetime(2026, 3, 5, 10, 0, tzinfo=UTC)),
        a_row("B", **work, due_at=None),
        a_row("C", state=DossierState.RETURNED),
        a_row("D", **work, agency_code="NT"),
    ]
    apply(store, a_batch(*due, *others))

    def plan(stored: StoredDossier) -> NoticePlan | Skip:
        if stored.dossier.agency_code == "NT":
            return Skip(K.APOLOGY_DUE_TOMORROW, "agency_inactive")
        return replace(a_plan("2026-03-04", K.APOLOGY_DUE_TOMORROW), state=M.QUEUED, reason="")

    def run() -> list[dossiers.ApologyPage]:
        pages, code = [], ""
        while code is not None:
            page = store.do(dossiers.apologise_page_txn, "ks", date(2026, 3, 4), code, plan, compose, NOW)
            pages.append(page)
            code = page.last_code
        return pages

    pages = run()
    assert [page.seen for page in pages] == [100, 100, 51]
    assert sum(len(page.applied.notices) for page in pages) == 250
    assert pages[-1].applied.skipped == {(K.APOLOGY_DUE_TOMORROW, "agency_inactive"): 1}
    assert {row.state for row in rows_of(store, message)} == {"queued"}
    again = run()  # taken over by another node: nothing is said twice
    assert sum(len(page.applied.notices) for page in again) == 0
    assert sum(page.applied.repeated for page in again) == 250


@pytest.mark.parametrize("store_backend", ["sqlite"], indirect=True)  # an empty PostgreSQL table's plan says nothing
def test_the_apology_asks_by_an_index(store: InlineDatabase) -> None:
    plan = store.do(
        lambda conn: [
            row.detail
            for row in conn.execute(
                sa.text(
                    "EXPLAIN QUERY PLAN SELECT * FROM dossier WHERE source = 'ks' AND due_on = '2026-03-04' "
                    "AND receipt_code > '' AND state NOT IN ('returned') ORDER BY receipt_code LIMIT 100"
                )
            )
        ]
    )
    assert plan == ["SEARCH dossier USING INDEX ix_dossier_due_on (source=? AND due_on=? AND receipt_code>?)"]


def test_the_cursor_row_of_an_unknown_source_cannot_be_held(inline_db: InlineDatabase) -> None:
    with pytest.raises(StaleStateError):
        apply(inline_db, a_batch(a_row()))
    assert rows_of(inline_db, source_cursor) == []
