"""Receipts, on both databases: matched by id, by doubt, or waiting; repeated, intermediate, contradictory, orphaned."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_db import InlineDatabase
from messages import NOW, outcome, receipt
from outbox_driver import Outbox

from gateway.model import MessageState, PartState, SettledPart, StateChange
from gateway.store import doubt, waiting
from gateway.store.receipts import user_message_reference

ACCEPTED, UNKNOWN = PartState.ACCEPTED, PartState.UNKNOWN
DELIVERED, UNDELIVERED, EXPIRED = PartState.DELIVERED, PartState.UNDELIVERED, PartState.EXPIRED


@pytest.fixture
def box(inline_db: InlineDatabase) -> Outbox:
    return Outbox(inline_db)


def accepted(box: Outbox, *codes: str, **changes: object) -> list[int]:
    ids = box.sent(*codes, **changes)
    parts = int(str(changes.get("parts", 1)))
    box.record(*[outcome(number, ACCEPTED, part) for number in ids for part in range(1, parts + 1)])
    return ids


def in_doubt(box: Outbox, *codes: str, **changes: object) -> list[int]:
    ids = box.sent(*codes, **changes)
    box.record(*[outcome(number, UNKNOWN, reason="timeout") for number in ids])
    return ids


def test_delivered(box: Outbox) -> None:
    (number,) = accepted(box, "1", mo_id=5)
    got = box.later(seconds=3)
    recorded = box.receive(receipt(f"S{number}-1"))
    assert recorded.changes == (StateChange(number, MessageState.ACCEPTED, MessageState.DELIVERED, "", 5),)
    assert recorded.settled == (SettledPart(number, 1, 5, DELIVERED, "DELIVRD", "000"),)
    part = box.part(number)
    assert (part.state, part.receipt_stat, part.receipt_error, part.final_at) == ("delivered", "DELIVRD", "000", got)
    assert part.smsc_message_id == f"S{number}-1"


@pytest.mark.parametrize(
    ("state", "end"), [(UNDELIVERED, "undelivered"), (EXPIRED, "expired"), (PartState.REJECTED, "rejected")]
)
def test_failed_receipt_ends_the_message_with_its_reason(box: Outbox, state: PartState, end: str) -> None:
    (number,) = accepted(box, "1")
    item = receipt(f"S{number}-1", state, error="069")
    box.receive(item)
    assert (box.state(number), box.see(number).reason) == (end, f"receipt:{item.stat}:069")


def test_receipts_are_idempotent_and_the_first_final_one_counts(box: Outbox) -> None:
    (number,) = accepted(box, "1")
    item = receipt(f"S{number}-1")
    recorded = box.receive(item, item)
    assert (recorded.matched, recorded.repeated, len(recorded.changes)) == (2, 1, 1)
    again = box.receive(item, receipt(f"S{number}-1", UNDELIVERED))
    assert (again.matched, again.repeated, again.changes, again.settled) == (2, 2, (), ())
    assert (box.state(number), box.part(number).receipt_stat) == ("delivered", "DELIVRD")


def test_intermediate_is_never_final(box: Outbox) -> None:
    (number,) = accepted(box, "1")
    recorded = box.receive(receipt(f"S{number}-1", None))
    assert (recorded.matched, recorded.changes, box.state(number)) == (1, (), "accepted")
    assert box.part(number).final_at is None


def test_every_part_needs_its_receipt(box: Outbox) -> None:
    (number,) = accepted(box, "1", parts=3)
    box.receive(receipt(f"S{number}-3"), receipt(f"S{number}-1"))
    assert box.state(number) == "accepted"
    box.receive(receipt(f"S{number}-2"))
    assert box.state(number) == "delivered"


def test_one_receipt_for_a_message_that_left_in_one_submit(box: Outbox) -> None:
    """message_payload: the SMSC cut the text; all parts have one id."""
    (number,) = box.sent("1", parts=3)
    box.record(*[outcome(number, ACCEPTED, part, smsc_message_id="P") for part in (1, 2, 3)])
    box.receive(receipt("P", id_keys=("p", "P")))
    assert box.state(number) == "delivered"


def test_keys_are_tried_in_order(box: Outbox) -> None:
    first, second = box.sent("1", "2")
    box.record(outcome(first, ACCEPTED, smsc_message_id="10"), outcome(second, ACCEPTED, smsc_message_id="16"))
    box.receive(receipt("16", id_keys=("16", "10")))
    assert (box.state(first), box.state(second)) == ("accepted", "delivered")
    box.receive(receipt("x", id_keys=("nothing", "10"), destination_addr="84905999999"))
    assert box.state(first) == "accepted", "an unlikely spelling needs the same handset"
    box.receive(receipt("x", id_keys=("nothing", "10")))
    assert box.state(first) == "delivered"


def test_numbers_that_count_up_are_not_taken_for_each_other(box: Outbox) -> None:
    """658 in hexadecimal is 292: with ids that count up, each receipt's second spelling is another message's first."""
    (other,) = box.sent("1", destination_addr="84905000001")
    box.record(outcome(other, ACCEPTED, smsc_message_id="292"))
    (mine,) = box.sent("2", destination_addr="84905000002")
    early = receipt("658", id_keys=("658", "292", "1624"), destination_addr="84905000002")
    assert box.receive(early).waiting == 1
    assert box.state(other) == "accepted"
    (third,) = box.sent("3", destination_addr="84905000003")
    box.record(outcome(third, ACCEPTED, smsc_message_id="1624"))
    assert (box.state(third), len(box.waiting())) == ("accepted", 1)
    box.record(outcome(mine, ACCEPTED, smsc_message_id="658"))
    assert [box.state(number) for number in (other, mine, third)] == ["accepted", "delivered", "accepted"]
    assert box.waiting() == []


def test_an_id_that_comes_round_again_is_told_by_its_handset(box: Outbox) -> None:
    (old,) = accepted(box, "1", destination_addr="84905000001")
    (other,) = accepted(box, "2", destination_addr="84905000002")
    box.db.do(lambda conn: conn.exec_driver_sql("UPDATE message_part SET id_key = 'same', smsc_message_id = 'same'"))
    box.receive(receipt("same", destination_addr="84905000001"))
    assert (box.state(old), box.state(other)) == ("delivered", "accepted")
    box.receive(receipt("same", destination_addr=""))
    assert box.state(other) == "delivered", "the one that is still open"


def test_ids_of_operators_are_apart(box: Outbox) -> None:
    (mine,) = accepted(box, "1")
    assert box.receive(receipt(f"S{mine}-1", route="vinaphone")).matched == 0
    assert box.state(mine) == "accepted"


def test_receipt_after_the_end_is_noted_on_the_part_only(box: Outbox) -> None:
    (number,) = accepted(box, "1")
    box.later(days=3)
    assert box.db.do(doubt.close_unreceipted_txn, box.now, box.now, 10) == [number]
    assert (box.state(number), box.see(number).reason) == ("expired", "no_receipt")
    box.receive(receipt(f"S{number}-1"))
    assert (box.state(number), box.parts(number)) == ("expired", {1: "delivered"})


# -- in doubt ----------------------------------------------------------------------------------------------------------


def test_doubt_is_settled_by_user_message_reference(box: Outbox) -> None:
    older, newer = in_doubt(box, "1", "2")
    reference = user_message_reference(newer, 1)
    recorded = box.receive(receipt("Z9", user_message_reference=reference, done_at=None))
    assert recorded.in_doubt == (newer,)
    assert (box.state(older), box.state(newer)) == ("unknown", "delivered")
    assert (box.part(newer).smsc_message_id, box.part(newer).id_key) == ("Z9", "Z9")
    assert box.receive(receipt("Z9", user_message_reference=reference)).repeated == 1


def test_a_reference_of_another_message_does_not_settle(box: Outbox) -> None:
    (number,) = in_doubt(box, "1")
    box.receive(receipt("Z9", user_message_reference=user_message_reference(number + 1, 1)))
    assert (box.state(number), len(box.waiting())) == ("unknown", 1)


def test_doubt_is_settled_by_destination_and_time(box: Outbox) -> None:
    (number,) = in_doubt(box, "1")
    box.receive(receipt("Z8", done_at=NOW - timedelta(hours=1)))
    assert box.state(number) == "unknown", "done before the message existed"
    box.receive(receipt("Z9", destination_addr="84905999999"))
    assert box.state(number) == "unknown", "another handset"
    box.receive(receipt("Z9"))
    assert box.state(number) == "delivered"


def test_no_guess_while_another_message_to_the_handset_is_under_way(box: Outbox) -> None:
    (doubtful,) = in_doubt(box, "1")
    (going,) = box.sent("2")
    box.receive(receipt(f"S{going}-1"))
    assert (box.state(doubtful), box.state(going), len(box.waiting())) == ("unknown", "sending", 1)
    box.record(outcome(going, ACCEPTED))
    assert (box.state(doubtful), box.state(going), box.waiting()) == ("unknown", "delivered", [])


def test_receipts_by_time_settle_a_doubtful_message_when_there_is_one_for_each_part(box: Outbox) -> None:
    """With fewer nobody can say which part the SMSC has: the other one would be called delivered, or leave twice."""
    (number,) = box.sent("1", parts=2)
    box.lapse()
    box.receive(receipt("Z2"))
    box.receive(receipt("Z2"))
    box.rematch()
    assert (box.state(number), box.parts(number), len(box.waiting())) == ("unknown", {}, 1)
    box.receive(receipt("Z1"))
    assert box.rematch().in_doubt == (number, number)
    assert (box.state(number), box.waiting()) == ("delivered", [])


def test_a_receipt_that_is_doubled_in_one_batch_settles_one_part(box: Outbox) -> None:
    """It took the part of another receipt, or one that the SMSC never had."""
    (number,) = box.sent("1", parts=3)
    box.lapse()
    box.receive(receipt("Z1"), receipt("Z2"), receipt("Z2"), receipt("Z3"))
    assert (box.state(number), box.waiting()) == ("delivered", [])
    assert [box.part(number, part).smsc_message_id for part in (1, 2, 3)] == ["Z1", "Z2", "Z3"]


def test_an_intermediate_receipt_and_the_final_one_in_one_batch_are_of_one_part(box: Outbox) -> None:
    (number,) = in_doubt(box, "1")
    box.receive(receipt("Z1", None), receipt("Z1"))
    assert (box.state(number), box.waiting()) == ("delivered", [])


def test_a_receipt_by_time_does_not_choose_between_two_messages_in_doubt(box: Outbox) -> None:
    older, newer = in_doubt(box, "1", "2")
    box.receive(receipt("Z2"))
    assert (box.state(older), box.state(newer), len(box.waiting())) == ("unknown", "unknown", 1)
    box.receive(receipt("Z1"), receipt("Z3", done_at=NOW - timedelta(hours=1)))
    assert (box.state(older), box.state(newer)) == ("unknown", "unknown"), "one of them is of another day"
    box.rematch()
    assert (box.state(older), box.state(newer)) == ("delivered", "delivered")


def test_one_of_two_parts_in_doubt_is_settled_by_its_one_receipt(box: Outbox) -> None:
    (number,) = box.sent("1", parts=2)
    box.record(outcome(number, ACCEPTED))
    box.record(outcome(number, UNKNOWN, part=2, reason="no_answer"))
    box.receive(receipt("Z2"))
    assert (box.state(number), box.parts(number)) == ("accepted", {1: "accepted", 2: "delivered"})


def test_intermediate_receipt_ends_the_doubt(box: Outbox) -> None:
    (number,) = in_doubt(box, "1")
    box.receive(receipt("Z1", None))
    assert (box.state(number), box.part(number).smsc_message_id) == ("accepted", "Z1")
    box.receive(receipt("Z1"))
    assert box.state(number) == "delivered"


def test_receipt_that_came_before_the_doubt_settles_it(box: Outbox) -> None:
    """The answer is lost with the link, the receipt had come before: nobody waits for the resend."""
    (number,) = box.sent("1")
    box.receive(receipt("Z1"))
    box.later(minutes=10)
    box.record(outcome(number, UNKNOWN, reason="link_lost"))
    recorded = box.rematch()
    assert (recorded.in_doubt, box.state(number), box.waiting()) == ((number,), "delivered", [])


def test_receipt_recorded_beside_its_answer_by_another_node_is_found_again(box: Outbox) -> None:
    (number,) = box.sent("1")
    item = receipt(f"S{number}-1")
    box.db.do(waiting.keep_receipts_txn, [item], box.now)  # as the other node does, which does not see the part yet
    box.db.do(lambda conn: conn.exec_driver_sql("UPDATE waiting_receipt SET status = 'orphan'"))
    box.record(outcome(number, ACCEPTED))
    box.db.do(lambda conn: conn.exec_driver_sql("UPDATE waiting_receipt SET status = 'waiting'"))
    assert box.state(number) == "accepted"
    assert box.rematch().matched == 1
    assert (box.state(number), box.waiting()) == ("delivered", [])
    assert box.rematch().matched == 0


# -- waiting and orphaned ----------------------------------------------------------------------------------------------


def test_a_waiting_receipt_that_is_repeated_waits_once(box: Outbox) -> None:
    box.receive(receipt("none"), receipt("none"))
    box.receive(receipt("none"), receipt("none", UNDELIVERED))
    assert box.waiting() == [("none", "waiting"), ("none", "waiting")]


def test_orphans_are_listed_and_purged(box: Outbox) -> None:
    box.receive(receipt("none"))
    box.later(hours=24)
    (number,) = box.sent("1")
    box.receive(receipt("young", received_at=box.now))
    before = box.now - timedelta(hours=23)
    assert box.db.do(waiting.orphan_receipts_txn, before, 10) == 1
    assert box.db.do(waiting.orphan_receipts_txn, before, 10) == 0
    assert box.waiting() == [("none", "orphan"), ("young", "waiting")]
    box.receive(receipt("none", received_at=box.now))
    assert box.waiting()[0] == ("none", "waiting"), "told again, it waits again"
    box.db.do(waiting.orphan_receipts_txn, box.now + timedelta(1), 10)
    assert box.db.do(waiting.purge_orphans_txn, box.now + timedelta(1), 1) == 1
    assert box.db.do(waiting.purge_orphans_txn, box.now + timedelta(1), 10) == 1
    assert box.waiting() == []
    box.record(outcome(number, ACCEPTED, smsc_message_id="young"))
    assert box.state(number) == "accepted"


def test_receipt_without_an_id_can_still_settle_doubt(box: Outbox) -> None:
    (number,) = in_doubt(box, "1")
    box.receive(receipt(""))
    assert (box.state(number), box.part(number).smsc_message_id) == ("delivered", None)


@given(st.integers(min_value=1, max_value=2**62), st.integers(min_value=1, max_value=15))
def test_user_message_reference_fits_its_two_octets(message_id: int, part: int) -> None:
    reference = user_message_reference(message_id, part)
    assert 0 <= reference <= 0xFFFF
    assert reference != user_message_reference(message_id, part % 15 + 1)
    assert reference != user_message_reference(message_id + 1, part)
