"""The sender of one operator: claims, windows, order, doubt, drain. Real store, virtual clock, fake SMSC."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from inline_db import InlineDatabase
from messages import NOW, receipt
from mt_rig import Rig, operator_settings
from twisted.python.failure import Failure

from gateway.errors import StoreError
from gateway.model import MessageKind
from gateway.mt.hooks import ReplyHooks
from gateway.mt.lane import BUSY_INTERVAL_S, POLL_INTERVAL_S
from gateway.mt.recorder import BATCH_LIMIT
from gateway.smpp.constants import CommandStatus
from gateway.smpp.pdu import SubmitSm, SubmitSmResp

S = CommandStatus


@pytest.fixture
def db(sqlite_store_url: str) -> Any:
    database = InlineDatabase(sqlite_store_url)
    yield database
    database.close()


def test_from_row_to_accepted_on_both_databases(inline_db: InlineDatabase) -> None:
    rig = Rig(inline_db).start()
    ids = rig.add("1", "2", "3")
    assert rig.states(ids) == ["sending"] * 3
    assert rig.esme.texts == [f"Ho so {n} da co ket qua" for n in (1, 2, 3)]
    rig.esme.answer()
    rig.turn()
    assert rig.states(ids) == ["accepted"] * 3
    assert rig.box.part(ids[1]).smsc_message_id == "b1-2"
    assert rig.lane.in_hand == frozenset()


def test_the_claim_is_committed_before_bytes_leave(db: InlineDatabase) -> None:
    """Invariant 2: when the PDU is given to the client, the store says SENDING already."""
    rig = Rig(db)
    seen: list[str] = []
    submit = rig.esme.submit

    def watch(pdu: Any, token: Any) -> None:
        seen.append(rig.box.state(token.hand.message.id))
        submit(pdu, token)

    rig.esme.submit = watch  # type: ignore[method-assign]
    rig.start()
    rig.add("1", "2")
    assert seen == ["sending", "sending"]


def test_no_more_is_claimed_than_the_window_holds(db: InlineDatabase) -> None:
    rig = Rig(db, operator_settings({"window": 4})).start()
    ids = rig.add(*[str(n) for n in range(12)])
    assert rig.states(ids).count("sending") == 4
    assert len(rig.esme.open) == 4
    rig.esme.answer(count=2)
    rig.turn()
    assert len(rig.esme.open) == 4
    assert rig.states(ids).count("sending") == 4
    while rig.esme.open:
        rig.esme.answer(count=1)
        rig.turn()
        assert rig.states(ids).count("sending") <= 4
    assert rig.states(ids) == ["accepted"] * 12
    assert rig.esme.texts == [f"Ho so {n} da co ket qua" for n in range(12)], "the order of the queue"


def test_a_reply_overtakes_notices(db: InlineDatabase) -> None:
    rig = Rig(db, operator_settings({"window": 2})).start()
    rig.add(*[str(n) for n in range(6)])
    rig.add("reply", priority=0, kind=MessageKind.MO_REPLY, mo_id=1, source_addr="8083")
    rig.esme.answer(count=1)
    rig.turn()
    assert "reply" in rig.esme.texts[2]


def test_a_slow_licence_claims_little_ahead(db: InlineDatabase) -> None:
    rig = Rig(db, operator_settings({"window": 1000}, licence_parts_per_s=20)).start()
    ids = rig.add(*[str(n) for n in range(40)])
    assert rig.states(ids).count("sending") <= 7, "a reply must not wait behind many claimed notices"


def test_the_licence_holds_over_all_binds_of_a_system_id(db: InlineDatabase) -> None:
    """Invariant 6, on a virtual clock: in no sliding second more than the licence, and at least 99 % of it used."""
    rig = Rig(db, operator_settings({"window": 50}, {"window": 50}, licence_parts_per_s=40)).start()
    rig.add(*[str(n) for n in range(450)])
    for _ in range(2000):
        rig.turn(0.005)
        for client in rig.clients.values():
            client.answer()
    moments = sorted(moment for client in rig.clients.values() for moment, _ in client.sent)
    for index, moment in enumerate(moments):
        assert sum(1 for other in moments[max(0, index - 60) : index + 1] if other > moment - 1.0) <= 40
    assert len(moments) >= 0.99 * 40 * 10
    assert all(client.sent for client in rig.clients.values()), "both binds share the load"


def test_system_ids_have_licences_of_their_own(db: InlineDatabase) -> None:
    two = operator_settings({"window": 50}, {"window": 50, "system_id": "other"}, licence_parts_per_s=20)
    rig = Rig(db, two).start()
    rig.add(*[str(n) for n in range(200)])
    for _ in range(600):
        rig.turn(0.005)
        for client in rig.clients.values():
            client.answer()
    sent = [len(client.sent) for client in rig.clients.values()]
    assert min(sent) >= 55
    assert max(sent) <= 62


# -- doubt -------------------------------------------------------------------------------------------------------------


def test_an_unanswered_submit_is_unknown_and_settled_by_the_late_answer(db: InlineDatabase) -> None:
    rig = Rig(db).start()
    (number,) = rig.add("1")
    token = rig.esme.expire()
    rig.turn()
    assert (rig.box.state(number), rig.box.see(number).reason) == ("unknown", "no_answer")
    rig.esme.answer_late(token, message_id="L1")
    rig.turn()
    assert (rig.box.state(number), rig.box.part(number).smsc_message_id) == ("accepted", "L1")


@pytest.mark.parametrize(
    ("status", "state"), [(S.ESME_RINVDSTADR, "rejected"), (S.ESME_RTHROTTLED, "queued"), (S.ESME_RSYSERR, "held")]
)
def test_a_late_refusal_ends_the_doubt(db: InlineDatabase, status: int, state: str) -> None:
    """Refused for good: rejected. Refused for now: nothing is in doubt any more, it leaves again in its time."""
    rig = Rig(db).start()
    (number,) = rig.add("1")
    token = rig.esme.expire()
    rig.turn()
    rig.esme.answer_late(token, status)
    rig.turn()
    assert rig.box.state(number) == state
    assert not rig.box.see(number).possible_duplicate


def test_a_lost_link_leaves_the_unanswered_in_doubt_and_requeues_what_never_left(db: InlineDatabase) -> None:
    rig = Rig(db).start()
    ids = rig.add("1", "2", "3")
    rig.esme.down(never_sent=1)
    rig.turn()
    assert rig.states(ids) == ["unknown", "unknown", "queued"]
    assert rig.box.see(ids[0]).reason == "link_lost"
    rig.esme.up()
    rig.turn()
    assert rig.esme.texts[-1] == "Ho so 3 da co ket qua"
    assert len(rig.esme.sent) == 4


def test_failover_is_at_once(db: InlineDatabase) -> None:
    """C19: what never left goes out on the other bind in the same moment, without the store."""
    rig = Rig(db, operator_settings({"window": 5}, {"window": 5}))
    rig.start("b1")
    ids = rig.add("1", "2", "3")
    rig.clients["b2"].up()
    rig.turn()
    before = rig.reactor.seconds()
    rig.clients["b1"].down(never_sent=2)
    rig.turn()
    assert rig.clients["b2"].texts == ["Ho so 2 da co ket qua", "Ho so 3 da co ket qua"]
    assert rig.reactor.seconds() - before < 0.05
    assert rig.states(ids) == ["unknown", "sending", "sending"]


def test_binds_share_the_load_by_their_room(db: InlineDatabase) -> None:
    rig = Rig(db, operator_settings({"window": 30}, {"window": 10})).start()
    rig.add(*[str(n) for n in range(20)])
    assert [len(client.sent) for client in rig.clients.values()] == [20, 0]
    rig.add(*[str(n) for n in range(20, 40)])
    assert [len(client.sent) for client in rig.clients.values()] == [30, 10]


def test_nothing_is_claimed_without_a_bind(db: InlineDatabase) -> None:
    rig = Rig(db)
    rig.lane.start()
    ids = rig.add("1")
    rig.turn(1.0)
    assert rig.states(ids) == ["queued"]
    rig.esme.up()
    rig.turn()
    assert rig.states(ids) == ["sending"]


def test_the_queue_is_looked_at_without_being_told(db: InlineDatabase) -> None:
    rig = Rig(db).start()
    ids = rig.box.add("1")
    rig.turn(0.25)
    assert rig.states(ids) == ["sending"]


# -- lease -------------------------------------------------------------------------------------------------------------


def test_without_the_lease_nothing_leaves_and_nothing_is_claimed(db: InlineDatabase) -> None:
    rig = Rig(db, operator_settings({"window": 10}, licence_parts_per_s=4)).start()
    rig.add(*[str(n) for n in range(3)])
    sent = len(rig.esme.sent)
    assert 0 < sent < 3
    rig.lease.is_held = False
    rig.turn(2.0)
    assert len(rig.esme.sent) == sent
    rig.lease.is_held = True
    rig.turn(2.0)
    assert len(rig.esme.sent) == 3


def test_what_was_claimed_before_the_lease_lapsed_goes_back(db: InlineDatabase) -> None:
    rig = Rig(db, operator_settings({"window": 10}, licence_parts_per_s=8)).start()
    ids = rig.add(*[str(n) for n in range(10)])
    rig.lease.is_held = False
    rig.turn(1.0)
    states = rig.states(ids)
    assert states.count("sending") == len(rig.esme.open)
    assert states.count("queued") == 10 - len(rig.esme.open)


# -- the store is away -------------------------------------------------------------------------------------------------


def test_outcomes_wait_for_the_store_and_nothing_is_sent_meanwhile(db: InlineDatabase) -> None:
    rig = Rig(db, operator_settings({"window": 3})).start()
    ids = rig.add("1", "2", "3", "4", "5")
    db.broken = True
    rig.esme.answer()
    rig.turn(3.0)
    assert len(rig.esme.sent) == 3
    assert rig.lane.in_hand == set(ids[:3])
    db.broken = False
    rig.turn(1.1)
    assert rig.states(ids) == ["accepted"] * 3 + ["sending"] * 2


def test_claims_without_an_answer_do_not_add_up(db: InlineDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commit happens and its answer is lost, again and again: no more is claimed than the window holds (invariant 2)."""
    rig = Rig(db, operator_settings({"window": 2})).start()
    run = db.run

    def torn(desc: str, *about: Any) -> Any:
        done = run(desc, *about)
        return (
            done.addCallback(lambda _: Failure(StoreError(f"{desc}: connection lost"))) if desc == "mt_cycle" else done
        )

    monkeypatch.setattr(db, "run", torn)
    ids = rig.add(*[str(n) for n in range(9)])
    rig.turn(4.0)
    assert rig.states(ids).count("sending") == 2
    assert rig.esme.sent == []
    monkeypatch.undo()
    rig.turn(2.0)
    assert len(rig.esme.sent) == 2
    assert rig.states(ids).count("sending") == 2


def test_a_slow_store_makes_larger_batches(db: InlineDatabase) -> None:
    rig = Rig(db, operator_settings({"window": 100})).start()
    ids = rig.add(*[str(n) for n in range(60)])
    db.hold()
    db.calls.clear()
    for _ in range(60):
        rig.esme.answer(count=1)
        rig.turn()
    assert db.calls.count("mt_cycle") == 1
    db.release()
    rig.turn()
    assert db.calls.count("mt_cycle") <= 4
    assert rig.states(ids) == ["accepted"] * 60


def test_an_outcome_that_cannot_be_recorded_does_not_hold_up_the_others(db: InlineDatabase) -> None:
    """A fault of ours in one outcome is found by halves; the message stays claimed, so that it is not sent again."""

    def fail_on_third(conn: Any, outcomes: Any, now: Any) -> tuple[object, ...]:
        if any(outcome.message_id == third for outcome in outcomes):
            raise ZeroDivisionError("a fault in the ledger")
        return ()

    rig = Rig(db, hooks=ReplyHooks(outcome_txn=fail_on_third)).start()
    ids = rig.add(*[str(n) for n in range(5)], mo_id=1)
    third = ids[2]
    rig.esme.answer()
    rig.turn(20.0)
    assert rig.states(ids) == ["accepted", "accepted", "sending", "accepted", "accepted"]
    assert rig.lane.in_hand == {third}


# -- drain -------------------------------------------------------------------------------------------------------------


def test_drain_waits_for_answers_and_gives_back_the_rest(db: InlineDatabase) -> None:
    rig = Rig(db, operator_settings({"window": 10}, licence_parts_per_s=8)).start()
    ids = rig.add(*[str(n) for n in range(6)])
    open_ = len(rig.esme.open)
    assert 0 < open_ < 6
    drained = rig.lane.drain(10.0)
    rig.turn(1.0)
    assert not drained.called
    rig.esme.answer()
    rig.turn()
    assert drained.called
    assert rig.states(ids) == ["accepted"] * open_ + ["queued"] * (6 - open_)
    rig.turn(5.0)
    assert len(rig.esme.sent) == open_
    rig.lane.stop()
    rig.turn()
    assert [call for call in rig.reactor.getDelayedCalls() if call.active()] == []


def test_what_is_unanswered_when_the_drain_ends_is_in_doubt(db: InlineDatabase) -> None:
    rig = Rig(db).start()
    ids = rig.add("1", "2")
    token = rig.esme.open[0][0]
    drained = rig.lane.drain(5.0)
    rig.turn(4.9)
    assert not drained.called
    rig.turn(0.2)
    assert drained.called
    assert rig.states(ids) == ["unknown", "unknown"]
    assert rig.box.see(ids[0]).reason == "drain_timeout"
    rig.esme._handler.on_response(rig.esme, token, _accepted("x"))
    rig.turn()
    assert rig.states(ids) == ["accepted", "unknown"]


def test_a_drain_ends_though_the_store_is_away(db: InlineDatabase) -> None:
    rig = Rig(db).start()
    rig.add("1")
    rig.esme.answer()
    db.broken = True
    drained = rig.lane.drain(2.0)
    rig.turn(6.0)
    assert drained.called


def test_a_claim_under_way_when_the_drain_begins_is_given_back(db: InlineDatabase) -> None:
    rig = Rig(db).start()
    rig.turn(0.3)
    db.hold()
    ids = rig.add("1")
    drained = rig.lane.drain(5.0)
    rig.turn()
    db.release()
    rig.turn()
    assert drained.called
    assert rig.states(ids) == ["queued"]
    assert rig.esme.sent == []


# -- restart -----------------------------------------------------------------------------------------------------------


def test_decoration_is_for_replies_only(db: InlineDatabase) -> None:
    decorated: list[int] = []

    def decorate(message: Any, bind: Any, pdu: SubmitSm) -> SubmitSm:
        decorated.append(message.id)
        return pdu._replace(service_type="C1")

    rig = Rig(db, hooks=ReplyHooks(decorate=decorate)).start()
    (notice,) = rig.add("1")
    (reply,) = rig.add("2", mo_id=9, priority=0)
    assert decorated == [reply]
    assert [pdu.service_type for _, pdu in rig.esme.sent] == ["", "C1"]
    assert notice


def test_the_ledger_is_told_in_the_same_transaction(db: InlineDatabase) -> None:
    told: list[tuple[int, str]] = []
    heard: list[object] = []

    def outcome_txn(conn: Any, outcomes: Any, now: Any) -> tuple[object, ...]:
        told.extend((outcome.message_id, outcome.state.value) for outcome in outcomes)
        return ("settled",)

    rig = Rig(db, hooks=ReplyHooks(outcome_txn=outcome_txn, committed=heard.extend)).start()
    rig.add("1")
    (reply,) = rig.add("2", mo_id=9, priority=0)
    rig.esme.answer()
    rig.turn()
    assert told == [(reply, "accepted")]
    assert heard == ["settled"]


def test_stale_messages_are_not_sent(db: InlineDatabase) -> None:
    rig = Rig(db).start()
    stale, good = rig.box.add("1", expires_at=NOW - timedelta(seconds=1)) + rig.box.add("2")
    rig.turn(0.3)
    assert rig.states([stale, good]) == ["expired", "sending"]
    assert len(rig.esme.sent) == 1


def _accepted(message_id: str) -> Any:
    return SubmitSmResp(message_id=message_id)


def test_after_a_claim_that_brought_something_the_queue_is_looked_at_again_at_once(db: InlineDatabase) -> None:
    """Messages that another process inserts do not wait for the slow look each time."""
    rig = Rig(db).start()
    rig.box.add("1")
    rig.turn(POLL_INTERVAL_S)
    assert len(rig.esme.sent) == 1
    rig.box.add("2")
    rig.turn(BUSY_INTERVAL_S)
    assert len(rig.esme.sent) == 2
    rig.turn(BUSY_INTERVAL_S)  # finds nothing: back to the slow pace
    rig.box.add("3")
    rig.turn(BUSY_INTERVAL_S)
    assert len(rig.esme.sent) == 2
    rig.turn(POLL_INTERVAL_S)
    assert len(rig.esme.sent) == 3


def test_nothing_is_claimed_while_more_has_come_than_one_transaction_takes(db: InlineDatabase) -> None:
    """Back-pressure: a store that falls behind with receipts is given no new messages to send."""
    rig = Rig(db).start()
    db.hold()
    statuses: list[int] = []
    for number in range(BATCH_LIMIT + 2):  # the first goes to the store alone
        rig.lane.receipt(receipt(f"x{number}"), statuses.append)
        if number == 0:
            rig.turn()
    rig.add("1")
    assert rig.lane.recorder.behind
    recorded_before: list[int] = []
    submit = rig.esme.submit

    def watch(pdu: Any, token: Any) -> None:
        recorded_before.append(len(statuses))
        submit(pdu, token)

    rig.esme.submit = watch  # type: ignore[method-assign]
    db.release()
    rig.turn()
    assert not rig.lane.recorder.behind
    assert statuses == [S.ESME_ROK] * (BATCH_LIMIT + 2)
    assert recorded_before == [BATCH_LIMIT + 2], "the transaction that took as much as it could claimed nothing"
