"""What grows old is anonymised, then deleted, on both databases; what is open or watched never is."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa
from inbox_kit import admission
from inline_db import InlineDatabase
from messages import NOW, new_message, outcome, receipt
from outbox_driver import Outbox
from retention_kit import KEY, add_dossier, rows, rules, step, take, take_all

from gateway.model import ChargeDecision, MessageKind, MessageState, PartState, ReplyKind
from gateway.store import inbox, ledger, outbox
from gateway.store.answers import ReplyTo, reply_mos_txn
from gateway.store.retention import advance_txn, preview_txn, replacement
from gateway.store.schema import (
    message,
    metadata,
    operator_file,
    operator_row,
    portability,
    reconcile_item,
    state_conflict,
)

DAY = timedelta(days=1)


@pytest.fixture
def box(inline_db: InlineDatabase) -> Outbox:
    return Outbox(inline_db)


def delivered(box: Outbox, *codes: str, **changes: object) -> list[int]:
    ids = box.sent(*codes, **changes)
    box.record(*[outcome(number, PartState.ACCEPTED) for number in ids])
    box.receive(*[receipt(f"S{number}-1") for number in ids])
    return ids


# -- numbers -----------------------------------------------------------------------------------------------------------


def test_a_key_tells_handsets_apart_and_a_mask_does_not_grow() -> None:
    keyed, masked = replacement(KEY), replacement("")
    assert keyed("84905123456") == keyed("84905123456") != keyed("84905123457")
    assert keyed("84905123456") != replacement("another secret, as long")("84905123456")
    assert keyed("84905123456").startswith("#")
    assert masked("84905123456") == masked(masked("84905123456")) == "84905***456"
    assert keyed(keyed("84905123456")) == keyed("84905123456")
    assert keyed(masked("84905123456")) == "84905***456"  # a key that comes later does not hash masks
    assert (keyed(""), keyed("8083")) == ("", "8083")


# -- messages ----------------------------------------------------------------------------------------------------------


def test_messages_lose_number_and_text_when_they_are_old_and_have_ended(box: Outbox) -> None:
    old = delivered(box, "1", "2", destination_addr="84905123456")
    [open_] = box.sent("3")
    box.later(days=60)
    [young] = delivered(box, "4")
    now = box.later(days=31)
    assert take(box.db, "anonymise_messages", now) == (2, 1)
    found = {number: rest for number, *rest in rows(box.db, "message", "id", "text", "destination_addr", "state")}
    hashed = replacement(KEY)("84905123456")
    assert [found[number] for number in old] == [["", hashed, "delivered"]] * 2
    assert found[open_][:2] == ["Ho so 3 da co ket qua", "84905123456"]
    assert found[young][:2] == ["Ho so 4 da co ket qua", "84905123456"]
    # the open one ends, and the next pass begins at it
    box.record(outcome(open_, PartState.REJECTED, reason="x"))
    assert take(box.db, "anonymise_messages", now) == (1, 1)
    assert take(box.db, "anonymise_messages", now) == (0, 1)
    assert take(box.db, "anonymise_messages", now + 60 * DAY) == (1, 1)


def test_steps_are_small_and_go_on_where_they_were(box: Outbox) -> None:
    delivered(box, *[str(n) for n in range(10)])
    now, small = box.later(days=100), rules(rows=3)
    first = box.db.do(advance_txn, step("anonymise_messages"), small, now)
    assert (first.changed, first.finished_at) == (3, None)
    texts = [text for (text,) in rows(box.db, "message", "text")]
    assert texts.count("") == 3
    assert take(box.db, "anonymise_messages", now, small) == (10, 3)
    # a pass that finds all done begins at its end
    assert take(box.db, "anonymise_messages", now, small)[1] == 1


def test_nothing_is_anonymised_when_that_is_off(box: Outbox) -> None:
    delivered(box, "1")
    now = box.later(days=399)
    assert take_all(box.db, now, rules(anonymise_days=None, query_anonymise_days=None)) == {}


def test_a_preview_counts_and_changes_nothing(box: Outbox) -> None:
    delivered(box, *[str(n) for n in range(5)])
    now, small = box.later(days=100), rules(rows=2)
    counted, position = 0, None
    for _ in range(10):
        rows_, position = box.db.do(preview_txn, step("anonymise_messages"), small, now, position)
        counted += rows_
        if position is None:
            break
    assert counted == 5
    assert "" not in [text for (text,) in rows(box.db, "message", "text")]
    assert rows(box.db, "retention_step", "step") == []


def test_old_messages_go_with_all_that_is_theirs(box: Outbox) -> None:
    ended = delivered(box, "1", "2")
    [open_] = box.sent("3")
    box.record(outcome(open_, PartState.ACCEPTED))
    now = box.later(days=440)
    [young] = box.sent("4")
    changed = take_all(box.db, now)
    assert changed.get("purge_messages", 0) + changed.get("purge_months", 0) == 2
    assert rows(box.db, "message", "id") == [(open_,), (young,)]
    assert rows(box.db, "message_part", "message_id") == [(open_,)]
    assert rows(box.db, "message_key", "receipt_code") == [("3",), ("4",)]
    assert not set(ended) & {open_, young}


def test_a_message_that_ended_late_stays_its_time(box: Outbox) -> None:
    [number] = box.sent("1")
    box.later(days=440)
    box.record(outcome(number, PartState.REJECTED, reason="x"))
    assert "purge_messages" not in take_all(box.db, box.now)
    assert take_all(box.db, box.later(days=401))
    assert rows(box.db, "message", "id") == []


# -- invariant 1 -------------------------------------------------------------------------------------------------------


def test_what_is_known_is_not_announced_twice_though_its_message_is_gone(box: Outbox) -> None:
    add_dossier(box.db, "1", "result_ready", NOW)
    delivered(box, "1")
    now = box.later(days=440)
    take_all(box.db, now)
    assert rows(box.db, "message", "id") == []
    assert box.db.do(outbox.insert_messages_txn, [new_message("1")], now) == [None]


def test_dossiers_are_forgotten_after_their_messages_and_only_when_nothing_belongs_to_their_state(box: Outbox) -> None:
    for state in ("returned", "withdrawn", "stopped", "not_accepted", "result_ready", "processing"):
        add_dossier(box.db, state, state, NOW)
        delivered(box, state)
    add_dossier(box.db, "young", "returned", NOW + 300 * DAY)
    now = box.later(days=440)
    assert take(box.db, "purge_dossiers", now) == (0, 1)  # their messages are there
    take_all(box.db, now)
    left = [code for (code,) in rows(box.db, "dossier", "receipt_code")]
    assert left == ["not_accepted", "processing", "result_ready", "young"]
    assert [code for (code,) in rows(box.db, "message_key", "receipt_code")] == [
        "not_accepted",
        "processing",
        "result_ready",
    ]


def test_dossiers_lose_their_number_when_they_have_ended(box: Outbox) -> None:
    for state in ("returned", "result_ready", "processing", "awaiting_supplement"):
        add_dossier(box.db, state, state, NOW)
    add_dossier(box.db, "young", "returned", NOW + 50 * DAY)
    now = box.later(days=100)
    assert take(box.db, "anonymise_dossiers", now, rules(rows=2)) == (2, 3)
    found = dict(rows(box.db, "dossier", "receipt_code", "phone_raw"))
    assert [code for code, phone in found.items() if not phone] == ["result_ready", "returned"]
    assert take(box.db, "anonymise_dossiers", now) == (0, 1)


# -- queries -----------------------------------------------------------------------------------------------------------


def query(box: Outbox, text: str, *, settle: bool) -> int:
    recorded = box.db.do(inbox.record_mo_txn, admission(NOW, content=text))
    reply = new_message(str(recorded.mo_id), source="mo", kind=MessageKind.MO_REPLY, mo_id=recorded.mo_id, priority=0)
    answer = ReplyTo(recorded.mo_id, reply, ReplyKind.STATUS, ChargeDecision.CHARGE, "found")
    assert box.db.do(reply_mos_txn, [answer], NOW) == [True]
    if settle:
        box.db.do(ledger.move_txn, recorded.mo_id, ledger.ChargeState.SENT, NOW, reason="x")
        box.db.do(ledger.move_txn, recorded.mo_id, ledger.ChargeState.CHARGED, NOW, reason="x")
    return recorded.mo_id


def test_queries_are_anonymised_when_their_charge_is_settled(box: Outbox) -> None:
    settled, pending = query(box, "MCKH 0101701234", settle=True), query(box, "MCKH 0101701235", settle=False)
    now = NOW + 181 * DAY
    assert take(box.db, "anonymise_queries", NOW + 179 * DAY) == (0, 1)
    assert take(box.db, "anonymise_queries", now) == (1, 1)
    found = {number: rest for number, *rest in rows(box.db, "mo", "id", "source_addr", "text", "octets", "dedupe_key")}
    assert found[settled] == [replacement(KEY)("84905123456"), "", b"", f"anonymised:{settled}"]
    assert found[pending][:2] == ["84905123456", "MCKH 0101701235"]
    # the ledger counts as before
    assert rows(box.db, "charge", "mo_id", "amount_vnd", "state") == [
        (settled, 1000, "charged"),
        (pending, 1000, "decided"),
    ]
    assert take(box.db, "anonymise_queries", now) == (0, 1)


def test_the_ledger_goes_last_and_as_a_whole(box: Outbox) -> None:
    settled, pending = query(box, "MCKH 0101701234", settle=True), query(box, "MCKH 0101701235", settle=False)
    assert take(box.db, "purge_queries", NOW + 3651 * DAY) == (1, 1)
    assert rows(box.db, "mo", "id") == rows(box.db, "charge", "mo_id") == [(pending,)]
    assert settled not in [number for (number,) in rows(box.db, "charge_journal", "mo_id")]


def test_operators_files_and_differences_lose_their_numbers(box: Outbox) -> None:
    def fill(conn: sa.Connection) -> None:
        for number, at in ((1, NOW), (2, NOW + 100 * DAY)):
            file = {
                "route": "v",
                "format": "f",
                "name": "n",
                "digest": f"d{number}",
                "lists": "all",
                "state": "imported",
            }
            conn.execute(operator_file.insert().values(id=number, last_at=at, touched_at=at, **file))
            row = {
                "number": "84905123456",
                "shortcode": "8083",
                "text": "X",
                "smsc_message_id": "",
                "outcome": "charged",
            }
            lines = [{"file_id": number, "line": n, "received_at": at, "amount_vnd": 1000, **row} for n in range(1, 6)]
            conn.execute(operator_row.insert(), lines)
            item = {"kind": "only_ours", "number": "84905123456", "text": "X", "smsc_message_id": ""}
            conn.execute(reconcile_item.insert().values(run_id=1, at=at, **item))
        for name, learned in (("84905123456", NOW), ("84905123457", NOW + 700 * DAY)):
            conn.execute(portability.insert().values(number=name, route="v", learned_at=learned))
        conflict = {"source": "qn", "receipt_code": "1", "agency_code": "Q", "kind": "k", "what": "w"}
        conn.execute(state_conflict.insert(), [{"at": NOW, **conflict}, {"at": NOW + 700 * DAY, **conflict}])

    box.db.do(fill)
    assert take(box.db, "purge_operator_rows", NOW + 200 * DAY, rules(rows=2))[0] == 5
    assert {file for file, _ in rows(box.db, "operator_row", "file_id", "line")} == {2}
    assert take(box.db, "anonymise_differences", NOW + 200 * DAY) == (1, 1)
    assert sorted(text for _, text in rows(box.db, "reconcile_item", "number", "text")) == ["", "X"]
    assert take(box.db, "purge_ported", NOW + 800 * DAY) == (1, 1)
    assert rows(box.db, "portability", "number") == [("84905123457",)]
    assert take(box.db, "purge_conflicts", NOW + 800 * DAY) == (1, 1)
    assert len(rows(box.db, "state_conflict", "id")) == 1


def test_every_column_with_a_number_or_a_text_is_known_to_retention() -> None:
    """A new column with personal data must be given to a step, or to this list with the reason."""
    personal = ("number", "destination_addr", "source_addr", "text", "octets", "phone_raw")
    found = {
        f"{table.name}.{column.name}"
        for table in metadata.tables.values()
        for column in table.c
        if column.name in personal
    }
    assert found == {
        "message.text",
        "message.destination_addr",
        "message.source_addr",  # the brandname or the shortcode
        "mo.source_addr",
        "mo.text",
        "mo.octets",
        "mo.destination_addr",  # the shortcode
        "dossier.phone_raw",
        "operator_row.number",
        "operator_row.text",
        "reconcile_item.number",
        "reconcile_item.text",
        "portability.number",
        "waiting_receipt.destination_addr",  # housekeeping: orphan_receipt_s
        "mo_part.source_addr",  # the inbox's sweep, minutes
        "mo_part.destination_addr",
        "mo_part.octets",
    }


def test_states_are_told_apart(box: Outbox) -> None:
    """Each final state is over; each open one is left, however old."""
    items = [new_message(state.value, state=state) for state in MessageState]
    box.db.do(outbox.insert_messages_txn, items, NOW)
    take_all(box.db, NOW + 500 * DAY)
    left = {MessageState(state) for (state,) in rows(box.db, "message", "state")}
    assert left == {state for state in MessageState if not state.final}
    assert (
        box.db.do(lambda conn: conn.scalar(sa.select(sa.func.count()).select_from(message).where(message.c.text == "")))
        == 0
    )
