"""What an SMSC answers and asks, and what the operator's link makes of it. Real store, virtual clock, fake SMSC."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from inline_db import InlineDatabase
from messages import NOW
from mt_rig import Rig, operator_settings
from structlog.testing import capture_logs

from gateway.model import MessageKind, MessageState
from gateway.mt import recorder
from gateway.mt.hooks import ReplyHooks
from gateway.settings import StatusAction
from gateway.smpp.constants import CommandStatus, EsmClass, MessageStateCode, TlvTag
from gateway.smpp.pdu import AlertNotification, DataSm, DeliverSm, Tlv, make_tlv
from gateway.smpp.text import count_parts, parse_concatenation
from gateway.store import doubt, outbox
from gateway.store.receipts import user_message_reference

S = CommandStatus
LONG = "Ho so cua ong ba da co ket qua. " * 12


@pytest.fixture
def db(sqlite_store_url: str) -> Any:
    database = InlineDatabase(sqlite_store_url)
    yield database
    database.close()


def receipt_pdu(message_id: str, stat: str = "DELIVRD", handset: str = "84905123456", **changes: Any) -> DeliverSm:
    text = f"id:{message_id} sub:001 dlvrd:001 submit date:2603031000 done date:2603031001 stat:{stat} err:000 text:"
    values: dict[str, Any] = {
        "sequence_number": 77,
        "source_addr": handset,
        "destination_addr": "MotcuaSMS",
        "esm_class": EsmClass.DELIVERY_RECEIPT,
        "short_message": text.encode(),
    }
    return DeliverSm(**{**values, **changes})


# -- statuses ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "state", "reason"),
    [
        (S.ESME_RINVDSTADR, "rejected", "status:ESME_RINVDSTADR"),
        (0x0412, "rejected", "status:0x00000412"),
        (0xDEAD, "rejected", "status:0x0000DEAD"),
        (S.ESME_RINVSRCADR, "rejected", "status:ESME_RINVSRCADR"),
        (S.ESME_RSYSERR, "held", "status:ESME_RSYSERR"),
    ],
)
def test_status_decides_and_its_number_is_kept(db: InlineDatabase, status: int, state: str, reason: str) -> None:
    rig = Rig(db).start()
    (number,) = rig.add("1")
    rig.esme.answer(status)
    rig.turn()
    assert (rig.box.state(number), rig.box.see(number).reason) == (state, reason)
    if state == "rejected":
        assert rig.box.part(number).command_status == status


def test_a_bind_has_its_own_rules(db: InlineDatabase) -> None:
    rules = {0x0412: StatusAction.DELAY, int(S.ESME_RSYSERR): StatusAction.FAIL, 0x0400: StatusAction.RETRY}
    rig = Rig(db, operator_settings({"status_actions": rules, "retry_delay_s": 30})).start()
    ids = rig.add("1", "2", "3")
    rig.esme.answer(0x0412, count=1)
    rig.esme.answer(S.ESME_RSYSERR, count=1)
    rig.esme.answer(0x0400, count=1)
    rig.turn()
    assert rig.states(ids) == ["held", "rejected", "queued"]
    assert rig.box.see(ids[0]).not_before == NOW + timedelta(seconds=30)
    rig.turn(0.3)
    assert rig.states(ids) == ["held", "rejected", "sending"]


def test_retries_at_once_end_in_a_delay(db: InlineDatabase) -> None:
    rig = Rig(db, operator_settings({"status_actions": {0x0400: StatusAction.RETRY}})).start()
    (number,) = rig.add("1")
    for _ in range(10):
        rig.esme.answer(0x0400)
        rig.turn(0.3)
    assert len(rig.esme.sent) == 4
    assert rig.box.state(number) == "held"


def test_a_delayed_message_leaves_again_when_its_time_has_come(db: InlineDatabase) -> None:
    rig = Rig(db, operator_settings({"retry_delay_s": 1})).start()
    (number,) = rig.add("1")
    rig.esme.answer(S.ESME_RX_T_APPN)
    rig.turn(1.1)
    db.do(outbox.promote_held_txn, rig.clock.business_now(), rig.clock.now(), 10)
    rig.turn(0.3)
    assert (rig.box.state(number), rig.box.see(number).attempts) == ("sending", 2)
    rig.esme.answer()
    rig.turn()
    assert rig.box.state(number) == "accepted"


def test_a_refusal_of_the_whole_configuration_alerts(db: InlineDatabase) -> None:
    rig = Rig(db).start()
    rig.add("1")
    with capture_logs() as logs:
        rig.esme.answer(S.ESME_RINVSRCADR)
        rig.turn()
    assert [(entry["event"], entry["log_level"]) for entry in logs] == [
        ("submit_refused", "error"),
        ("message_rejected", "info"),
    ]


def test_a_parked_bind_leaves_the_work_to_the_others(db: InlineDatabase) -> None:
    rig = Rig(db, operator_settings({"window": 2}, {"window": 10})).start("b1")
    ids = rig.add("1", "2")
    rig.clients["b2"].up()
    with capture_logs() as logs:
        rig.clients["b1"].answer(S.ESME_RINVBNDSTS)
        rig.turn()
    assert "bind_parked" in [entry["event"] for entry in logs]
    assert len(rig.clients["b2"].open) == 2
    assert rig.states(ids) == ["sending", "sending"]
    assert {status.bind: status.parked_reason for status in rig.link.status()} == {"b1": "ESME_RINVBNDSTS", "b2": ""}
    rig.clients["b1"].up()
    assert rig.link.status()[0].parked_reason == ""


# -- throttling --------------------------------------------------------------------------------------------------------


def test_throttled_messages_keep_their_order_and_are_not_failures(db: InlineDatabase) -> None:
    """C6: pause, order kept, recovery by steps."""
    rig = Rig(db, operator_settings({"window": 5}, licence_parts_per_s=50)).start()
    ids = rig.add(*[str(n) for n in range(8)])
    rig.turn(0.2)
    first = len(rig.esme.sent)
    assert first == 5
    with capture_logs() as logs:
        rig.esme.answer(S.ESME_RTHROTTLED)
        rig.turn(0.9)
    assert len(rig.esme.sent) == first, "the bind pauses"
    assert [entry["event"] for entry in logs].count("throttled") == 1
    for _ in range(400):
        rig.turn(0.005)
        rig.esme.answer()
    assert rig.states(ids) == ["accepted"] * 8
    assert rig.esme.texts[first:] == [f"Ho so {n} da co ket qua" for n in range(8)]
    assert [rig.box.see(number).attempts for number in ids] == [1] * 8
    assert rig.box.see(ids[0]).reason == ""


def test_recovery_is_told_and_speed_comes_back(db: InlineDatabase) -> None:
    rig = Rig(db, operator_settings({"window": 50}, licence_parts_per_s=50)).start()
    rig.add(*[str(n) for n in range(600)])
    for _ in range(200):
        rig.turn(0.005)
        rig.esme.answer()
    rig.turn(0.1)
    rig.esme.answer(S.ESME_RMSGQFUL)
    start, sent = rig.reactor.seconds(), len(rig.esme.sent)
    with capture_logs() as logs:
        for _ in range(1600):
            rig.turn(0.005)
            rig.esme.answer()
    assert [entry["event"] for entry in logs if entry["event"] in ("recovered", "throttled")] == ["recovered"]
    per_second = [sum(1 for moment, _ in rig.esme.sent[sent:] if start + n <= moment < start + n + 1) for n in range(8)]
    assert per_second[0] == 0
    assert 20 <= per_second[1] <= 32
    assert per_second[1] < per_second[3] < per_second[5], "by steps"
    assert min(per_second[-2:]) >= 48, "to the full speed"


def test_a_long_pause_gives_the_messages_to_others(db: InlineDatabase) -> None:
    rig = Rig(db, operator_settings({"window": 2}, licence_parts_per_s=50)).start()
    ids = rig.add("1", "2")
    rig.esme.answer(S.ESME_RTHROTTLED)
    rig.turn(1.1)
    rig.esme.answer(S.ESME_RTHROTTLED)
    rig.turn(0.3)
    assert rig.states(ids) == ["queued", "queued"]
    assert [rig.box.see(number).attempts for number in ids] == [0, 0]
    rig.turn(3.0)
    assert rig.states(ids) == ["sending", "sending"]


def test_congestion_state_slows_the_bind_down(db: InlineDatabase) -> None:
    rig = Rig(db, operator_settings({"window": 50}, licence_parts_per_s=50)).start()
    (number,) = rig.add("1")
    with capture_logs() as logs:
        rig.esme.answer(tlvs=(make_tlv(TlvTag.CONGESTION_STATE, 95),))
        rig.turn()
    assert [entry["congestion_state"] for entry in logs if entry["event"] == "congested"] == [95]
    assert rig.link.status()[0].throttled
    assert rig.box.state(number) == "accepted"


# -- long messages -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["udh8", "udh16", "sar"])
def test_every_part_has_its_own_submit_id_and_receipt(db: InlineDatabase, form: str) -> None:
    """C9."""
    rig = Rig(db, operator_settings({"long_message": form})).start()
    parts = count_parts(LONG, "gsm7")
    (number,) = rig.add("1", text=LONG, parts=parts)
    pdus = [pdu for _, pdu in rig.esme.sent]
    assert len(pdus) == parts == 3
    found = [
        parse_concatenation(
            DeliverSm(esm_class=pdu.esm_class, short_message=pdu.short_message, data_coding=0, tlvs=pdu.tlvs)
        )
        for pdu in pdus
    ]
    assert [(piece.total, piece.part) for piece in found if piece is not None] == [(3, 1), (3, 2), (3, 3)]
    assert len({piece.reference for piece in found if piece is not None}) == 1
    assert {pdu.registered_delivery for pdu in pdus} == {1}
    ids = rig.esme.answer()
    rig.turn()
    assert rig.box.state(number) == "accepted"
    for given in reversed(ids):
        assert rig.box.state(number) == "accepted"
        rig.esme.deliver(receipt_pdu(given))
        rig.turn()
    assert rig.box.state(number) == "delivered"


@pytest.mark.parametrize("early", [True, False])
def test_a_failed_part_keeps_back_those_that_have_not_left(db: InlineDatabase, early: bool) -> None:
    """A receipt ends the message while its other parts wait for the window: they stay, state and reason stand."""
    rig = Rig(db, operator_settings({"window": 1})).start()
    (number,) = rig.add("1", text=LONG, parts=3)
    failed = receipt_pdu("given", stat="UNDELIV")
    if early:
        rig.esme.deliver(failed)
    rig.esme.answer(message_id="given")
    rig.turn()
    assert len(rig.esme.sent) == 2, "the second takes the place of the first at once"
    if not early:
        rig.esme.deliver(failed)
        rig.turn()
    rig.esme.answer()
    rig.turn(1.0)
    assert len(rig.esme.sent) == 2, "the third stays"
    assert rig.box.parts(number)[2] == "accepted", "what left is recorded all the same"
    assert rig.box.state(number) == "undelivered"
    assert rig.box.see(number).reason.startswith("receipt:UNDELIV")
    assert rig.lane.in_hand == frozenset()
    assert rig.esme.in_flight == 0


def test_parts_that_never_left_do_not_end_the_doubt_of_those_that_did(db: InlineDatabase) -> None:
    """The link breaks after the first part, whose answer is lost; the others go back to the store. It is in doubt."""
    rig = Rig(db, operator_settings({"window": 1})).start()
    (number,) = rig.add("1", text=LONG, parts=3)
    rig.esme.down()
    rig.turn()
    assert rig.box.parts(number) == {1: "unknown"}
    assert rig.box.state(number) == "unknown"
    rig.esme.up()
    rig.turn(2.0)
    assert len(rig.esme.sent) == 1, "nothing is sent again before the doubt has ended"


def test_a_payload_carries_all_parts_in_one_submit_and_costs_all_of_them(db: InlineDatabase) -> None:
    rig = Rig(db, operator_settings({"long_message": "payload", "window": 10}, licence_parts_per_s=6)).start()
    first, second, third = rig.add("1", "2", "3", text=LONG, parts=3)
    assert len(rig.esme.sent) == 1, "the licence counts three parts for it"
    (given,) = rig.esme.answer()
    rig.turn()
    assert rig.box.parts(first) == {1: "accepted", 2: "accepted", 3: "accepted"}
    rig.esme.deliver(receipt_pdu(given))
    rig.turn()
    assert rig.box.state(first) == "delivered"
    rig.turn(5.0)
    assert len(rig.esme.sent) == 3
    assert rig.states([second, third]) == ["sending", "sending"]


def test_a_payload_of_more_parts_than_the_share_of_the_licence_leaves_in_parts(db: InlineDatabase) -> None:
    """Beside another node, a payload that leaves alone would take what is the other's."""
    rig = Rig(db, operator_settings({"long_message": "payload", "window": 10}, licence_parts_per_s=6)).start()
    rig.lane.binds[0].licence.set_limit(2)
    rig.add("1", text=LONG, parts=3)
    rig.turn(3.0)
    assert [pdu.esm_class for _, pdu in rig.esme.sent] == [EsmClass.UDHI] * 3
    assert [time for time, _ in rig.esme.sent][2] >= 1.0


def test_a_payload_that_waits_is_cut_when_the_share_shrinks(db: InlineDatabase) -> None:
    rig = Rig(db, operator_settings({"long_message": "payload", "window": 10}, licence_parts_per_s=3)).start()
    rig.add("1", "2", text=LONG, parts=3)
    assert len(rig.esme.sent) == 1, "the second waits for the licence"
    rig.lane.binds[0].licence.set_limit(1)
    rig.turn(6.0)
    assert [pdu.esm_class for _, pdu in rig.esme.sent] == [0, *[EsmClass.UDHI] * 3]


def test_sar_and_payload_need_a_peer_that_knows_tlvs(db: InlineDatabase) -> None:
    rig = Rig(db, operator_settings({"long_message": "sar", "interface_version": 0x33}))
    rig.esme.knows_tlvs = False
    rig.start()
    rig.add("1", text=LONG, parts=3)
    assert [pdu.tlvs for _, pdu in rig.esme.sent] == [(), (), ()]
    assert {pdu.esm_class for _, pdu in rig.esme.sent} == {EsmClass.UDHI}


def test_only_the_doubtful_part_is_sent_again_and_joins_the_others(db: InlineDatabase) -> None:
    rig = Rig(db).start()
    (number,) = rig.add("1", text=LONG, parts=3)
    sent = [pdu.short_message for _, pdu in rig.esme.sent]
    rig.esme.answer(count=1)
    rig.esme.expire()
    rig.esme.answer()
    rig.turn()
    assert rig.box.parts(number) == {1: "accepted", 2: "unknown", 3: "accepted"}
    rig.turn(900)
    db.do(doubt.resend_doubtful_txn, rig.clock.now() - timedelta(seconds=890), NOW, rig.clock.now(), 10)
    rig.turn(0.3)
    assert [pdu.short_message for _, pdu in rig.esme.sent[3:]] == [sent[1]], "the same part under the same reference"
    rig.esme.answer()
    rig.turn()
    assert rig.box.state(number) == "accepted"


def test_a_refused_part_stops_the_others(db: InlineDatabase) -> None:
    rig = Rig(db, operator_settings({"window": 1})).start()
    (number,) = rig.add("1", text=LONG, parts=3)
    rig.esme.answer(S.ESME_RINVDSTADR)
    rig.turn(0.5)
    assert (rig.box.state(number), len(rig.esme.sent)) == ("rejected", 1)
    assert rig.lane.in_hand == frozenset()


def test_a_temporary_refusal_of_one_part_waits_for_the_others(db: InlineDatabase) -> None:
    rig = Rig(db).start()
    (number,) = rig.add("1", text=LONG, parts=3)
    rig.esme.answer(S.ESME_RSYSERR, count=1)
    rig.turn()
    assert rig.box.state(number) == "sending", "two parts are still under way"
    rig.esme.answer()
    rig.turn()
    assert (rig.box.state(number), rig.box.parts(number)) == ("held", {2: "accepted", 3: "accepted"})


def test_a_text_that_does_not_fit_its_parts_is_refused_here(db: InlineDatabase) -> None:
    rig = Rig(db).start()
    bad, uncodable, good = rig.add("1", text=LONG, parts=1) + rig.add("2", text="đã", coding="gsm7") + rig.add("3")
    assert rig.states([bad, uncodable, good]) == ["rejected", "rejected", "sending"]
    assert rig.box.see(bad).reason.startswith("text:")
    assert rig.box.part(bad).command_status is None


def test_a_field_that_does_not_fit_the_wire_is_refused_here(db: InlineDatabase) -> None:
    rig = Rig(db).start()
    ids = rig.add("1", source_addr="x" * 30) + rig.add("2")
    assert rig.states(ids) == ["rejected", "sending"]
    assert rig.box.see(ids[0]).reason.startswith("encode:")


# -- what the SMSC asks ------------------------------------------------------------------------------------------------


def test_a_receipt_is_acknowledged_after_its_commit(db: InlineDatabase) -> None:
    """Invariant 4."""
    rig = Rig(db).start()
    (number,) = rig.add("1")
    (given,) = rig.esme.answer()
    rig.turn()
    db.hold()
    rig.esme.deliver(receipt_pdu(given))
    rig.turn()
    assert rig.esme.replies == []
    db.release()
    rig.turn()
    assert rig.esme.reply_statuses == [0]
    assert rig.box.state(number) == "delivered"


def test_without_the_store_the_smsc_is_asked_to_try_again(db: InlineDatabase) -> None:
    rig = Rig(db).start()
    (number,) = rig.add("1")
    (given,) = rig.esme.answer()
    rig.turn()
    db.broken = True
    rig.esme.deliver(receipt_pdu(given))
    rig.turn()
    assert rig.esme.reply_statuses == [S.ESME_RX_T_APPN]
    db.broken = False
    rig.esme.deliver(receipt_pdu(given))
    rig.turn(1.1)
    assert rig.esme.reply_statuses == [S.ESME_RX_T_APPN, 0]
    assert rig.box.state(number) == "delivered"


def test_receipts_that_the_store_cannot_take_are_bounded(db: InlineDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "WAITING_LIMIT", 3)
    rig = Rig(db).start()
    rig.turn(0.3)
    db.hold()
    rig.turn(0.3)
    with capture_logs() as logs:
        for number in range(6):
            rig.esme.deliver(receipt_pdu(f"none{number}"))
    assert rig.esme.reply_statuses == [S.ESME_RX_T_APPN] * 3
    assert [entry["event"] for entry in logs] == ["receipts_refused"], "told once"
    db.release()
    rig.turn(0.3)
    assert rig.esme.reply_statuses == [S.ESME_RX_T_APPN] * 3 + [0] * 3


def test_a_fault_in_a_receipt_does_not_touch_the_outcomes(db: InlineDatabase) -> None:
    def receipt_txn(conn: Any, settled: Any, now: Any) -> tuple[object, ...]:
        raise ZeroDivisionError("a fault in the ledger")

    rig = Rig(db, hooks=ReplyHooks(receipt_txn=receipt_txn)).start()
    reply, notice = rig.add("1", mo_id=5) + rig.add("2")
    (given,) = rig.esme.answer(count=1)
    rig.turn()
    rig.esme.answer(count=1)
    rig.esme.deliver(receipt_pdu(given))
    rig.turn(1.2)
    assert rig.esme.reply_statuses == [S.ESME_RX_T_APPN]
    assert rig.states([reply, notice]) == ["accepted", "accepted"]


def test_receipts_that_come_together_are_recorded_together(db: InlineDatabase) -> None:
    rig = Rig(db, operator_settings({"window": 100})).start()
    ids = rig.add(*[str(n) for n in range(50)])
    given = rig.esme.answer()
    rig.turn()
    db.calls.clear()
    for number in given:
        rig.esme.deliver(receipt_pdu(number))
    rig.turn()
    assert db.calls.count("mt_cycle") == 1
    assert rig.states(ids) == ["delivered"] * 50
    assert rig.esme.reply_statuses == [0] * 50


def test_answer_and_receipt_in_one_segment_are_recorded_together(db: InlineDatabase) -> None:
    rig = Rig(db).start()
    (number,) = rig.add("1")
    db.calls.clear()
    (given,) = rig.esme.answer()
    rig.esme.deliver(receipt_pdu(given))
    rig.turn()
    assert db.calls.count("mt_cycle") == 1
    assert rig.box.state(number) == "delivered"


def test_a_receipt_before_its_answer_waits(db: InlineDatabase) -> None:
    """Invariant 5."""
    rig = Rig(db).start()
    (number,) = rig.add("1")
    rig.esme.deliver(receipt_pdu("b1-1"))
    rig.turn()
    assert (rig.box.state(number), rig.esme.reply_statuses) == ("sending", [0])
    rig.esme.answer()
    rig.turn()
    assert rig.box.state(number) == "delivered"


def test_a_lost_answer_is_replaced_by_the_receipt(db: InlineDatabase) -> None:
    rig = Rig(db).start()
    one, two = rig.add("1", "2")
    rig.esme.down()
    rig.turn()
    rig.esme.up()
    reference = make_tlv(TlvTag.USER_MESSAGE_REFERENCE, user_message_reference(two, 1))
    rig.esme.deliver(receipt_pdu("ABC", tlvs=(reference,)))
    rig.turn()
    assert rig.states([one, two]) == ["unknown", "delivered"]


def test_the_reference_is_sent_where_the_peer_can_read_it(db: InlineDatabase) -> None:
    rig = Rig(db, operator_settings({}, {"send_user_message_reference": False, "window": 1})).start("b1")
    (number,) = rig.add("1")
    ((_, pdu),) = rig.esme.sent
    assert pdu.tlvs == (Tlv(TlvTag.USER_MESSAGE_REFERENCE, user_message_reference(number, 1).to_bytes(2, "big")),)


@pytest.mark.parametrize(
    ("stat", "state", "final"),
    [
        ("DELIVRD", "delivered", True),
        ("UNDELIV", "undelivered", True),
        ("DELETED", "undelivered", True),
        ("UNKNOWN", "undelivered", True),
        ("EXPIRED", "expired", True),
        ("REJECTD", "rejected", True),
        ("ENROUTE", "accepted", False),
        ("ACCEPTD", "accepted", False),
        ("NONSENSE", "accepted", False),
    ],
)
def test_states_of_receipts(db: InlineDatabase, stat: str, state: str, final: bool) -> None:
    """C10."""
    rig = Rig(db).start()
    (number,) = rig.add("1")
    (given,) = rig.esme.answer()
    rig.turn()
    rig.esme.deliver(receipt_pdu(given, stat))
    rig.turn()
    assert rig.box.state(number) == state
    assert (rig.box.part(number).final_at is not None) is final


@pytest.mark.parametrize(
    ("id_base", "given", "told"),
    [
        ("either", "1A2B", "1A2B"),
        ("either", "00001a2b", "1A2B"),
        ("either", "1A2B", "6699"),
        ("either", "6699", "1A2B"),
        ("response_hex", "1A2B", "6699"),
        ("receipt_hex", "6699", "1A2B"),
        ("as_given", "{0F8-a}", "{0F8-a}"),
        ("response_hex", "F" * 32, str(16**32 - 1)),
    ],
)
def test_ids_written_in_two_ways(db: InlineDatabase, id_base: str, given: str, told: str) -> None:
    rig = Rig(db, operator_settings({"receipts": {"id_base": id_base}})).start()
    (number,) = rig.add("1")
    rig.esme.answer(message_id=given)
    rig.turn()
    rig.esme.deliver(receipt_pdu(told))
    rig.turn()
    assert (rig.box.state(number), rig.box.part(number).smsc_message_id) == ("delivered", given)


def test_a_receipt_by_tlvs_on_data_sm(db: InlineDatabase) -> None:
    rig = Rig(db).start()
    (number,) = rig.add("1")
    (given,) = rig.esme.answer()
    rig.turn()
    tlvs = (
        make_tlv(TlvTag.RECEIPTED_MESSAGE_ID, given),
        make_tlv(TlvTag.MESSAGE_STATE, int(MessageStateCode.UNDELIVERABLE)),
    )
    rig.esme.deliver(DataSm(source_addr="+84905123456", esm_class=EsmClass.DELIVERY_RECEIPT, tlvs=tlvs))
    rig.turn()
    assert rig.box.state(number) == "undelivered"


def test_a_query_goes_to_the_receiver_and_an_acknowledgement_nowhere(db: InlineDatabase) -> None:
    rig = Rig(db).start()
    query = DeliverSm(source_addr="84905123456", destination_addr="8083", short_message=b"MCKH 0101701234")
    rig.esme.deliver(query)
    assert rig.queries == [("viettel", "b1", query)]
    rig.esme.deliver(query._replace(esm_class=EsmClass.DELIVERY_ACKNOWLEDGEMENT))
    assert len(rig.queries) == 1
    assert rig.esme.reply_statuses == [0, 0]


def test_alert_notification_has_no_answer(db: InlineDatabase) -> None:
    rig = Rig(db).start()
    rig.esme.deliver(AlertNotification(source_addr="84905123456", esme_addr="8083"))
    assert rig.esme.replies == []


def test_an_unreadable_receipt_is_told_and_taken(db: InlineDatabase) -> None:
    rig = Rig(db).start()
    with capture_logs() as logs:
        rig.esme.deliver(receipt_pdu("x", short_message=b"hello"))
    assert [entry["event"] for entry in logs] == ["receipt_unreadable"]
    assert rig.esme.reply_statuses == [0]


def test_a_reply_s_receipt_reaches_the_ledger(db: InlineDatabase) -> None:
    told: list[tuple[int, str, str]] = []

    def receipt_txn(conn: Any, settled: Any, now: Any) -> tuple[object, ...]:
        told.extend((part.message_id, part.state.value, part.error) for part in settled)
        return ()

    rig = Rig(db, hooks=ReplyHooks(receipt_txn=receipt_txn)).start()
    rig.add("1")
    (reply,) = rig.add("2", mo_id=5, kind=MessageKind.MO_REPLY, state=MessageState.QUEUED)
    for given in rig.esme.answer():
        rig.turn()
        rig.esme.deliver(receipt_pdu(given))
        rig.turn()
    assert told == [(reply, "delivered", "000")]


def test_a_pair_sends_on_one_connection_and_receives_on_the_other(db: InlineDatabase) -> None:
    rig = Rig(db, operator_settings({"mode": "pair"}))
    rig.start()
    assert set(rig.clients) == {"b1.tx", "b1.rx"}
    (number,) = rig.add("1")
    (given,) = rig.clients["b1.tx"].answer()
    rig.turn()
    rig.clients["b1.rx"].deliver(receipt_pdu(given))
    rig.turn()
    assert rig.box.state(number) == "delivered"
    assert rig.clients["b1.rx"].sent == []
    rig.clients["b1.rx"].down()
    assert [(status.bind, status.bound) for status in rig.link.status()] == [("b1.tx", True), ("b1.rx", False)]


@pytest.mark.parametrize(("state", "level"), [("stopped", "info"), ("draining", "info"), ("waiting", "warning")])
def test_a_bind_that_ends_by_our_own_stop_is_no_warning(db: InlineDatabase, state: str, level: str) -> None:
    rig = Rig(db).start()
    with capture_logs() as logs:
        rig.esme.end(state)
    assert [entry["log_level"] for entry in logs if entry["event"] == "bind_down"] == [level]
