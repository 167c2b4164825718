"""Outcomes of submits, on both databases: accepted, refused, in doubt, given back; early receipts; late answers."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa
from inline_db import InlineDatabase
from messages import NOW, outcome, receipt
from outbox_driver import NODE, Outbox

from gateway.db import make_engine
from gateway.model import MessageState, PartState, StateChange
from gateway.store import doubt, outcomes
from gateway.store.schema import part_key

ACCEPTED, REJECTED, UNKNOWN, PENDING = PartState.ACCEPTED, PartState.REJECTED, PartState.UNKNOWN, PartState.PENDING


@pytest.fixture
def box(inline_db: InlineDatabase) -> Outbox:
    return Outbox(inline_db)


def test_accepted(box: Outbox) -> None:
    (number,) = box.sent("1")
    box.later(seconds=1)
    recorded = box.record(outcome(number, ACCEPTED))
    assert recorded.changes == (StateChange(number, MessageState.SENDING, MessageState.ACCEPTED, "", None),)
    seen = box.see(number)
    assert (seen.state, seen.node, seen.accepted_at) == ("accepted", None, box.now)
    part = box.part(number)
    assert (part.state, part.bind, part.route, part.smsc_message_id, part.id_key, part.command_status) == (
        "accepted",
        "viettel-1",
        "viettel",
        f"S{number}-1",
        f"S{number}-1",
        0,
    )
    assert part.answered_at == NOW


def test_the_id_is_kept_exactly_and_the_key_is_its_one_spelling(box: Outbox) -> None:
    (number,) = box.sent("1")
    box.record(outcome(number, ACCEPTED, smsc_message_id="00A1B2"))
    assert (box.part(number).smsc_message_id, box.part(number).id_key) == ("00A1B2", "a1b2")


def test_rejected_keeps_the_number_and_the_reason(box: Outbox) -> None:
    (number,) = box.sent("1")
    box.record(outcome(number, REJECTED, command_status=0x412, reason="status:0x00000412"))
    assert (box.state(number), box.see(number).reason) == ("rejected", "status:0x00000412")
    assert box.part(number).command_status == 0x412


def test_unanswered_is_unknown_and_not_failed(box: Outbox) -> None:
    (number,) = box.sent("1")
    box.record(outcome(number, UNKNOWN, reason="timeout"))
    seen = box.see(number)
    assert (seen.state, seen.reason, seen.node) == ("unknown", "timeout", NODE)


def test_late_answer_settles_doubt(box: Outbox) -> None:
    (number,) = box.sent("1")
    box.record(outcome(number, UNKNOWN, reason="timeout"))
    recorded = box.record(outcome(number, ACCEPTED))
    assert [change.after for change in recorded.changes] == [MessageState.ACCEPTED]
    assert (box.state(number), box.parts(number)) == ("accepted", {1: "accepted"})
    assert box.record(outcome(number, UNKNOWN, reason="timeout")).changes == ()


def test_timeout_and_late_answer_in_one_batch(box: Outbox) -> None:
    (number,) = box.sent("1")
    box.record(outcome(number, UNKNOWN, reason="timeout"), outcome(number, ACCEPTED))
    assert (box.state(number), box.see(number).reason) == ("accepted", "")


def test_late_answer_settles_even_what_waits_to_be_resent(box: Outbox) -> None:
    (number,) = box.sent("1")
    box.record(outcome(number, UNKNOWN, reason="timeout"))
    box.later(minutes=15)
    assert box.db.do(doubt.resend_doubtful_txn, box.now, box.now, box.now, 10) == [number]
    box.record(outcome(number, ACCEPTED))
    assert box.state(number) == "accepted"
    assert box.claim().messages == (), "it is not sent a second time"


def test_sent_again_it_waits_for_all_its_parts(box: Outbox) -> None:
    """The doubt of the first attempt must not end the second while a part is still to leave (a simulation found it)."""
    (number,) = box.sent("1", parts=2)
    box.record(outcome(number, UNKNOWN, 1, reason="no_answer"), outcome(number, UNKNOWN, 2, reason="no_answer"))
    box.later(minutes=15)
    box.db.do(doubt.resend_doubtful_txn, box.now, box.now, box.now, 10)
    assert [item.id for item in box.claim().messages] == [number]
    box.record(outcome(number, ACCEPTED, 1))
    assert (box.state(number), box.see(number).node) == ("sending", NODE)
    box.record(outcome(number, ACCEPTED, 2))
    assert box.state(number) == "accepted"


def test_given_back_goes_to_the_head_of_the_queue(box: Outbox) -> None:
    first, second = box.sent("1", "2")
    (third,) = box.add("3")
    box.record(outcome(second, PENDING, reason="throttled"), outcome(first, PENDING, reason="throttled"))
    assert [box.state(n) for n in (first, second)] == ["queued", "queued"]
    assert [item.id for item in box.claim().messages] == [first, second, third]
    assert box.parts(first) == {}


def test_late_refusal_that_is_no_fault_of_the_message_ends_the_doubt(box: Outbox) -> None:
    (number,) = box.sent("1")
    box.record(outcome(number, UNKNOWN, reason="timeout"))
    box.record(outcome(number, PENDING, reason="status:ESME_RTHROTTLED", command_status=0x58))
    assert (box.state(number), box.parts(number)) == ("queued", {1: "pending"})
    (item,) = box.claim().messages
    assert not item.possible_duplicate
    box.record(outcome(number, ACCEPTED))
    assert (box.state(number), box.parts(number)) == ("accepted", {1: "accepted"})


def test_given_back_for_later_is_held(box: Outbox) -> None:
    (number,) = box.sent("1")
    retry_at = NOW + timedelta(minutes=1)
    box.record(outcome(number, PENDING, reason="status:ESME_RSYSERR", retry_at=retry_at))
    seen = box.see(number)
    assert (seen.state, seen.reason, seen.not_before) == ("held", "status:ESME_RSYSERR", retry_at)


def test_parts_arrive_one_by_one(box: Outbox) -> None:
    (number,) = box.sent("1", parts=3)
    assert box.record(outcome(number, ACCEPTED, 2)).changes == ()
    assert box.record(outcome(number, UNKNOWN, 1, reason="timeout")).changes == ()
    assert box.state(number) == "sending"
    box.record(outcome(number, ACCEPTED, 3))
    assert (box.state(number), box.see(number).reason, box.see(number).accepted_at) == ("unknown", "timeout", None)
    box.record(outcome(number, ACCEPTED, 1))
    assert box.state(number) == "accepted"
    assert box.see(number).accepted_at == NOW


def test_one_refused_part_refuses_the_message(box: Outbox) -> None:
    (number,) = box.sent("1", parts=2)
    box.record(outcome(number, REJECTED, 1, reason="status:ESME_RINVDSTADR"))
    assert box.state(number) == "rejected"
    box.record(outcome(number, ACCEPTED, 2))
    assert (box.state(number), box.parts(number)) == ("rejected", {1: "rejected", 2: "accepted"})


def test_recording_twice_changes_nothing(box: Outbox) -> None:
    """The group commit may run a function twice, and a node repeats what a broken store may not have taken."""
    a, b, c = box.sent("1", "2", "3")
    results = [
        outcome(a, ACCEPTED),
        outcome(b, REJECTED, reason="status:ESME_RINVDSTADR", command_status=11),
        outcome(c, UNKNOWN, reason="timeout"),
    ]
    box.record(*results)
    before = [box.see(n) for n in (a, b, c)]
    box.later(seconds=5)
    assert box.record(*results).changes == ()
    assert [box.see(n) for n in (a, b, c)] == before
    assert [box.parts(n) for n in (a, b, c)] == [{1: "accepted"}, {1: "rejected"}, {1: "unknown"}]


def test_a_repeated_submit_accepted_twice_keeps_both_ids(box: Outbox) -> None:
    (number,) = box.sent("1")
    box.record(outcome(number, UNKNOWN, reason="timeout"))
    box.later(minutes=15)
    box.db.do(doubt.resend_doubtful_txn, box.now, box.now, box.now, 10)
    (item,) = box.claim().messages
    assert item.possible_duplicate
    box.record(outcome(number, ACCEPTED, smsc_message_id="second"), outcome(number, ACCEPTED, smsc_message_id="first"))
    box.record(outcome(number, ACCEPTED, smsc_message_id="first"))
    keys = box.db.do(lambda conn: conn.execute(sa.select(part_key.c.id_key)).scalars().all())
    assert (box.part(number).smsc_message_id, list(keys)) == ("second", ["first"])
    assert box.receive(receipt("first")).matched == 1
    assert box.receive(receipt("second")).repeated == 1
    assert (box.state(number), box.waiting()) == ("delivered", [])


def test_a_node_without_its_lease_disturbs_nobody(box: Outbox) -> None:
    """node-1 stalls, its lease lapses, node-2 sends the message again: what node-1 says now counts only as proof."""
    (number,) = box.sent("1", parts=2)
    box.lapse()
    assert (box.state(number), box.see(number).reason) == ("unknown", "lease_lapsed")
    box.later(minutes=15)
    box.db.do(doubt.resend_doubtful_txn, box.now, box.now, box.now, 10)
    box.claim(node="node-2/b")
    for state in (PENDING, UNKNOWN, REJECTED):
        recorded = box.record(outcome(number, state, reason="stale"))
        assert (recorded.changes, recorded.stale) == ((), (number,))
    assert (box.state(number), box.see(number).node, box.parts(number)) == ("sending", "node-2/b", {})
    box.record(outcome(number, ACCEPTED, 1))
    assert (box.state(number), box.parts(number)) == ("sending", {1: "accepted"})
    box.record(outcome(number, ACCEPTED, 2, smsc_message_id="x"), node="node-2/b")
    assert box.state(number) == "accepted"


def test_a_lapsed_message_that_never_left_goes_back_at_once(box: Outbox) -> None:
    (number,) = box.sent("1")
    box.lapse()
    box.record(outcome(number, PENDING, reason="lease_lapsed"))
    assert box.state(number) == "queued"
    assert not box.see(number).possible_duplicate


def test_outcome_of_a_purged_message_is_stale(box: Outbox) -> None:
    assert box.record(outcome(999, ACCEPTED)).stale == (999,)


def test_early_receipt_waits_for_its_answer(box: Outbox) -> None:
    (number,) = box.sent("1", mo_id=4)
    received = box.receive(receipt(f"S{number}-1"))
    assert (received.matched, received.waiting) == (0, 1)
    assert (box.state(number), box.waiting()) == ("sending", [(f"S{number}-1", "waiting")])
    recorded = box.record(outcome(number, ACCEPTED))
    assert [(change.before, change.after) for change in recorded.changes] == [
        (MessageState.SENDING, MessageState.DELIVERED)
    ]
    assert [part.state for part in recorded.settled] == [PartState.DELIVERED]
    assert (box.state(number), box.waiting(), box.see(number).accepted_at) == ("delivered", [], NOW)


def test_early_receipts_of_parts_in_another_spelling(box: Outbox) -> None:
    (number,) = box.sent("1", parts=2)
    box.receive(
        receipt("16", id_keys=("16", "10", "22")),
        receipt("17", id_keys=("17", "11", "23"), state=PartState.UNDELIVERED, stat="UNDELIV", error="0A1"),
    )
    box.record(outcome(number, ACCEPTED, 1, smsc_message_id="0010"), outcome(number, ACCEPTED, 2, smsc_message_id="11"))
    assert box.parts(number) == {1: "delivered", 2: "undelivered"}
    assert (box.state(number), box.see(number).reason) == ("undelivered", "receipt:UNDELIV:0A1")
    assert box.waiting() == []


def test_early_receipt_of_another_operator_stays(box: Outbox) -> None:
    (number,) = box.sent("1")
    box.receive(receipt(f"S{number}-1", route="vinaphone"))
    box.record(outcome(number, ACCEPTED))
    assert (box.state(number), len(box.waiting())) == ("accepted", 1)


def test_replies_are_named(box: Outbox) -> None:
    (notice,) = box.sent("1")
    (reply,) = box.sent("2", mo_id=7, priority=0)
    recorded = box.record(outcome(notice, ACCEPTED), outcome(reply, ACCEPTED))
    assert [result.message_id for result in recorded.reply_outcomes] == [reply]
    assert {change.mo_id for change in recorded.changes} == {None, 7}


def test_two_nodes_record_one_message_together(postgres_store_url: str) -> None:
    """A late answer on one node and a receipt on another lock the row in turn; both are kept."""
    db = InlineDatabase(postgres_store_url)
    box = Outbox(db)
    (number,) = box.sent("1", parts=2)
    box.record(outcome(number, UNKNOWN, 1, reason="timeout"), outcome(number, UNKNOWN, 2, reason="timeout"))
    engine = make_engine(postgres_store_url, readers=2)
    with engine.begin() as one:
        outcomes.record_outcomes_txn(one, NODE, [outcome(number, ACCEPTED, 1)], NOW)
        with engine.begin() as two:
            two.exec_driver_sql("SET LOCAL lock_timeout = '100ms'")
            with pytest.raises(sa.exc.OperationalError, match="lock timeout"):
                outcomes.record_outcomes_txn(two, "node-2/b", [outcome(number, ACCEPTED, 2)], NOW)
    with engine.begin() as two:
        outcomes.record_outcomes_txn(two, "node-2/b", [outcome(number, ACCEPTED, 2)], NOW)
    assert box.state(number) == "accepted"
    engine.dispose()
    db.close()
