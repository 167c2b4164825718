"""The receiver: one MO, one ledger row, one reply, one decision, whatever happens."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from inline_db import InlineDatabase
from mo_bench import CITIZEN, CODE, FAILED, NOT_FOUND, START, Bench, FaultyRegistry, dossier, found, sar
from twisted.internet.defer import Deferred

from gateway.dossiers.federation import LookupAnswer, LookupResult
from gateway.errors import SourceError
from gateway.model import DossierState, PartState, SubmitOutcome
from gateway.smpp.constants import CommandStatus
from gateway.smpp.errors import LocalProtocolError
from gateway.smpp.pdu import DataSm, DeliverSm, Tlv
from gateway.store.ledger import ledger_totals_txn
from gateway.store.schema import mo_part

OK, TRY_LATER = CommandStatus.ESME_ROK, CommandStatus.ESME_RX_T_APPN


@pytest.fixture
def db(sqlite_store_url: str) -> Iterator[InlineDatabase]:
    """For what is the same on every store."""
    database = InlineDatabase(sqlite_store_url)
    yield database
    database.close()


@pytest.fixture
def bench(db: InlineDatabase) -> Bench:
    return Bench(db)


@pytest.fixture
def each_store(inline_db: InlineDatabase) -> Bench:
    """A bench on SQLite, and one on PostgreSQL."""
    return Bench(inline_db)


def one_reply(bench: Bench) -> Any:
    [reply] = bench.replies
    [charge] = bench.charges
    assert reply.charge_decision == charge.decision
    return reply


def test_a_query_is_answered(each_store: Bench) -> None:
    bench = each_store
    bench.deliver()
    assert bench.answers == [OK]
    reply = one_reply(bench)
    assert (reply.source, reply.receipt_code, reply.kind, reply.state) == ("mo", "1", "mo_reply", "queued")
    assert (reply.source_addr, reply.destination_addr, reply.route, reply.priority) == ("8083", CITIZEN, "viettel", 0)
    assert reply.text == f"Ho so cua quy Ong/Ba ({CODE}) hien dang o buoc Tham dinh, trang thai ho so: Dung han."
    assert (reply.mo_id, reply.charge_decision) == (1, "charge")
    assert reply.expires_at == START + timedelta(minutes=5)
    [mo] = bench.mos
    assert (mo.state, mo.result, mo.code, mo.reply_kind, mo.found_in) == (
        "replied",
        "OK",
        CODE,
        "mo_reply_status",
        "khanh-son",
    )
    [charge] = bench.charges
    assert (charge.state, charge.amount_vnd, charge.profile) == ("decided", 1000, "p")
    assert bench.asked == [(CODE, 4.0)]  # five seconds, less the margin
    assert bench.woken == ["viettel"]


@pytest.mark.parametrize(
    ("answer", "kind", "decision"),
    [
        (found(state=DossierState.RESULT_READY), "mo_reply_status", "charge"),
        (found(state=DossierState.RETURNED), "mo_reply_finished", "charge"),
        (found(clock_stopped=True), "mo_reply_status", "charge"),
        (NOT_FOUND, "mo_reply_unknown_code", "charge"),
        (FAILED, "mo_reply_temporary_failure", "no_charge"),
        (LookupAnswer(LookupResult.AMBIGUOUS), "mo_reply_temporary_failure", "no_charge"),
        (SourceError("khanh-son", "is down", "Start it"), "mo_reply_temporary_failure", "no_charge"),
        (RuntimeError("a fault of ours"), "mo_reply_temporary_failure", "no_charge"),
    ],
)
def test_each_finding_has_its_reply_and_decision(bench: Bench, answer: Any, kind: str, decision: str) -> None:
    bench.lookup_result = answer
    bench.deliver()
    reply = one_reply(bench)
    assert (reply.template_id, reply.charge_decision) == (kind, decision)
    assert bench.answers == [OK]


def test_the_last_polled_state_is_marked(bench: Bench) -> None:
    bench.lookup_result = LookupAnswer(LookupResult.FOUND, dossier(), "khanh-son", START)
    bench.deliver()
    assert bench.mos[0].found_in == "khanh-son (seen)"


def test_late_is_judged_by_business_time(bench: Bench) -> None:
    bench.clock.business_offset = timedelta(days=3)
    bench.deliver()
    assert one_reply(bench).text.endswith("trang thai ho so: Tre han.")


@pytest.mark.parametrize("text", ["STOP", "MCKH", "MCKH 123", "", "MCKH H32.12-231315-0007"])
def test_bad_syntax_is_answered_without_a_lookup_or_a_charge(bench: Bench, text: str) -> None:
    bench.deliver(text)
    reply = one_reply(bench)
    assert (reply.template_id, reply.charge_decision) == ("mo_reply_bad_syntax", "no_charge")
    assert bench.asked == []


# -- the same MO again -----------------------------------------------------------------------------------------------------


def test_a_repeated_deliver_sm_is_answered_and_charged_once(each_store: Bench) -> None:
    bench = each_store
    for _ in range(3):
        bench.deliver()
        bench.pass_time(10)
    assert bench.answers == [OK, OK, OK]
    one_reply(bench)
    assert (len(bench.mos), bench.mos[0].repeats) == (1, 2)


def test_the_citizen_may_ask_again_after_a_minute(bench: Bench) -> None:
    bench.deliver()
    bench.pass_time(61)
    bench.deliver()
    assert len(bench.replies) == len(bench.charges) == 2


def test_with_an_id_the_same_text_is_two_queries_and_the_same_id_is_one(each_store: Bench) -> None:
    bench = each_store
    first, second = ((Tlv(0x001E, octets),) for octets in (b"71\0", b"72\0"))
    for tlvs in (first, second, first, second):
        bench.deliver(tlvs=tlvs)
    bench.pass_time(600)  # an SMSC that tries again after its own down time
    bench.deliver(tlvs=first)
    assert len(bench.replies) == 2
    assert [reply.charge_link for reply in bench.replies] == ["71", "72"]
    assert [charge.link for charge in bench.charges] == ["71", "72"]
    assert [mo.smsc_message_id for mo in bench.mos] == ["71", "72"]


def test_repetitions_while_the_first_copy_is_being_answered(bench: Bench) -> None:
    waiting: Deferred[LookupAnswer] = Deferred()
    bench.lookup_result = waiting
    bench.deliver()
    bench.deliver()
    assert bench.receiver.open_queries == 1
    waiting.callback(found())
    one_reply(bench)
    assert len(bench.asked) == 1


# -- the store -----------------------------------------------------------------------------------------------------------


def test_nothing_is_acknowledged_before_the_commit(bench: Bench) -> None:
    bench.db.hold()
    bench.deliver()
    assert bench.answers == []
    bench.db.release()
    assert bench.answers == [OK]


def test_with_the_store_down_the_smsc_is_told_to_try_again(each_store: Bench) -> None:
    bench = each_store
    bench.db.broken = True
    bench.deliver()
    for pdu in bench.parts([b"MCKH ", b"0101701234"]):
        bench.deliver_pdu(pdu)
    assert bench.answers == [TRY_LATER] * 3
    bench.db.broken = False
    bench.deliver()
    assert bench.answers[-1] == OK
    one_reply(bench)


def test_a_fault_of_ours_is_not_acknowledged_either(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr("gateway.store.inbox.open_charges_txn", fail)
    bench.deliver()
    assert bench.answers == [TRY_LATER]
    assert bench.mos == []


def test_the_store_fails_between_acknowledgement_and_reply(bench: Bench) -> None:
    waiting: Deferred[LookupAnswer] = Deferred()
    bench.lookup_result = waiting
    bench.receiver.start()
    bench.deliver()
    bench.db.broken = True
    waiting.callback(found())
    assert bench.answers == [OK]
    bench.pass_time(20)
    bench.db.broken = False
    assert bench.replies == []
    bench.pass_time(5)
    reply = one_reply(bench)
    # The deadline has passed meanwhile: told so, and not charged.
    assert (reply.template_id, reply.charge_decision) == ("mo_reply_temporary_failure", "no_charge")
    assert bench.asked == [(CODE, 4.0)]


def test_a_link_lost_before_the_response_changes_nothing_for_the_citizen(bench: Bench) -> None:
    def gone(status: int) -> None:
        raise LocalProtocolError("not bound")

    pdu = DeliverSm(source_addr_ton=1, source_addr=CITIZEN, destination_addr="8083", short_message=b"MCKH 0101701234")
    bench.receiver.on_deliver("viettel", bench.bind_settings, pdu, gone)
    bench.deliver()  # the SMSC tries again on the next link
    one_reply(bench)


# -- crashes -----------------------------------------------------------------------------------------------------------------


def crash_before_reply(bench: Bench) -> None:
    bench.lookup_result = Deferred()
    bench.deliver()
    assert bench.replies == []
    bench.restart()
    bench.lookup_result = found()


def test_after_a_crash_the_query_is_answered_once(each_store: Bench) -> None:
    bench = each_store
    crash_before_reply(bench)
    bench.pass_time(1)
    bench.receiver.start()
    reply = one_reply(bench)
    assert (reply.template_id, reply.charge_decision) == ("mo_reply_status", "charge")
    assert bench.asked[-1] == (CODE, 3.0)
    bench.restart()
    bench.receiver.start()
    bench.deliver()
    bench.pass_time(30)
    assert len(bench.replies) == 1


def test_after_a_long_crash_the_late_reply_is_not_charged(bench: Bench) -> None:
    crash_before_reply(bench)
    bench.pass_time(3600)
    bench.receiver.start()
    reply = one_reply(bench)
    assert (reply.template_id, reply.charge_decision) == ("mo_reply_temporary_failure", "no_charge")
    assert len(bench.asked) == 1


def test_where_the_mo_was_charged_the_late_reply_is_a_refund(db: InlineDatabase) -> None:
    bench = Bench(db, profile={"charged_on": "mo"})
    crash_before_reply(bench)
    bench.pass_time(3600)
    bench.receiver.start()
    assert one_reply(bench).charge_decision == "refund"


def test_a_repetition_takes_up_what_a_lost_commit_left(each_store: Bench) -> None:
    bench = each_store
    """The commit happened and its result was lost: the SMSC was told to try again, and nobody works on the query."""
    crash_before_reply(bench)
    bench.deliver()
    one_reply(bench)
    assert bench.mos[0].repeats == 1


def test_two_nodes_answer_one_query_once(each_store: Bench) -> None:
    bench = each_store
    waiting: Deferred[LookupAnswer] = Deferred()
    bench.lookup_result = waiting
    bench.deliver()
    bench.restart()  # another node starts and finds the query open
    bench.lookup_result = found()
    bench.receiver.start()
    waiting.callback(found())  # the first node comes back with its finding
    one_reply(bench)


def test_stop_waits_for_the_queries_at_hand(bench: Bench) -> None:
    waiting: Deferred[LookupAnswer] = Deferred()
    bench.lookup_result = waiting
    bench.receiver.start()
    bench.deliver()
    stopped: list[object] = []
    bench.receiver.stop().addCallback(stopped.append)
    assert stopped == []
    waiting.callback(found())
    assert len(stopped) == 1
    one_reply(bench)


# -- the deadline ------------------------------------------------------------------------------------------------------------


def test_a_lookup_that_would_miss_the_deadline_is_cut_off(bench: Bench) -> None:
    cancelled: list[object] = []
    bench.lookup_result = Deferred(cancelled.append)
    bench.deliver()
    bench.pass_time(3.75)
    assert bench.replies == []
    bench.pass_time(0.25)
    reply = one_reply(bench)
    assert (reply.template_id, reply.charge_decision) == ("mo_reply_temporary_failure", "no_charge")
    assert len(cancelled) == 1
    assert bench.mos[0].lookup_ms == 4000


def test_a_finding_that_comes_late_is_told_and_not_charged(db: InlineDatabase) -> None:
    """The store was slow: the answer is good, and past its deadline."""
    bench = Bench(db, queries={"reply_margin_s": 0})
    waiting: Deferred[LookupAnswer] = Deferred()
    bench.lookup_result = waiting
    bench.deliver()
    bench.clock.now = lambda: START + timedelta(seconds=6)  # type: ignore[method-assign]
    waiting.callback(found())
    reply = one_reply(bench)
    assert (reply.template_id, reply.charge_decision) == ("mo_reply_status", "no_charge")


def test_a_reply_that_waits_for_its_link_loses_its_charge(each_store: Bench) -> None:
    bench = each_store
    bench.receiver.start()
    bench.deliver()
    bench.pass_time(3)
    assert one_reply(bench).charge_decision == "charge"
    bench.pass_time(2)
    assert one_reply(bench).charge_decision == "no_charge"
    assert bench.charges[0].reason == "late"


# -- limits and loops --------------------------------------------------------------------------------------------------------


def test_too_many_queries_are_told_once_and_then_ignored(db: InlineDatabase) -> None:
    bench = Bench(db, queries={"per_sender_per_day": 3})
    for number in range(6):
        bench.deliver(f"MCKH 010170123{number}")
    assert [reply.template_id for reply in bench.replies] == ["mo_reply_status"] * 3 + ["mo_reply_too_many"]
    assert [charge.state for charge in bench.charges] == ["decided"] * 4 + ["not_charged"] * 2
    assert [charge.decision for charge in bench.charges] == ["charge"] * 3 + ["no_charge"] * 3
    bench.deliver(source_addr="84905000001")
    assert bench.replies[-1].template_id == "mo_reply_status"
    bench.pass_time(14 * 3600)  # midnight in Vietnam
    bench.deliver()
    assert bench.replies[-1].template_id == "mo_reply_status"
    assert bench.answers == [OK] * 8


def test_an_automatic_reply_to_our_reply_ends_the_loop(bench: Bench) -> None:
    for _ in range(20):
        bench.deliver(b"Toi dang lai xe, se goi lai sau")
        bench.pass_time(61)
    assert len(bench.replies) == 5
    assert bench.mos[-1].state == "ignored"
    bench.deliver()  # the honest query of the same citizen is answered
    assert bench.replies[-1].template_id == "mo_reply_status"


@pytest.mark.parametrize(
    "fields",
    [
        {"esm_class": 0x04},
        {"esm_class": 0x08},
        {"source_addr": "MotcuaSMS", "source_addr_ton": 5},
        {"source_addr": "8083", "source_addr_ton": 3},
        {"source_addr": "198", "source_addr_ton": 3},
        {
            "short_message": b"id:1 sub:001 dlvrd:001 submit date:2603050300 done date:2603050301 stat:DELIVRD err:000 text:"
        },
    ],
)
def test_what_is_no_query_is_acknowledged_and_left_alone(bench: Bench, fields: dict[str, Any]) -> None:
    bench.deliver(**fields)
    assert bench.answers == [OK]
    assert bench.mos == []
    assert bench.replies == []


def test_foreign_keywords_can_be_left_to_others(db: InlineDatabase) -> None:
    bench = Bench(db, queries={"foreign_keywords": "ignore"})
    bench.deliver("XOSO MB")
    assert bench.answers == [OK]
    assert bench.replies == []
    assert [(mo.state, mo.reason) for mo in bench.mos] == [("ignored", "foreign_keyword")]
    assert [charge.state for charge in bench.charges] == ["not_charged"]


# -- codings and long MOs ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("octets", "fields", "bind"),
    [
        (b"MCKH 0101701234", {}, {}),
        ("MCKH 0101701234 gửi 8083".encode("utf-16-be"), {"data_coding": 0x08}, {}),
        ("ＭＣＫＨ ０１０１７０１２３４".encode("utf-16-be"), {"data_coding": 0x08}, {}),
        (b"MCKH 0101701234", {"data_coding": 0x01}, {}),
        (b"MCKH\xa00101701234", {"data_coding": 0x03}, {}),
        (b"MCKH 0101701234", {"data_coding": 0x04}, {}),  # 8-bit, and printable
        (b"MCKH 0101701234", {"data_coding": 0xF0}, {}),  # class 0, flash
        (b"MCKH 0101701234", {"data_coding": 0x10}, {}),
        (b"MCKH\x110101701234", {}, {}),  # "_" of GSM 7-bit
        (b"MCKH_0101701234", {}, {"default_alphabet": "ascii"}),
        (b"MCKH\xa00101701234", {}, {"default_alphabet": "latin1"}),
    ],
)
def test_c13_codings(db: InlineDatabase, octets: bytes, fields: dict[str, Any], bind: dict[str, Any]) -> None:
    bench = Bench(db, bind=bind)
    bench.deliver(octets, **fields)
    [mo] = bench.mos
    assert (mo.result, mo.code, bytes(mo.octets)) == ("OK", CODE, octets)


@pytest.mark.parametrize(
    ("octets", "fields"),
    [
        (b"\x00\x01\x02\xff\xfe", {"data_coding": 0x04}),
        (b"\xd8\x3d\xd8", {"data_coding": 0x08}),
        (b"\xff" * 10, {"data_coding": 0x01}),
        ("Hồ sơ\0".encode("utf-16-be"), {"data_coding": 0x08}),
    ],
)
def test_c13_what_cannot_be_read_is_kept_as_octets_and_answered_as_bad_syntax(
    each_store: Bench, octets: bytes, fields: dict[str, Any]
) -> None:
    bench = each_store
    bench.deliver(octets, **fields)
    assert bench.answers == [OK]
    assert one_reply(bench).template_id == "mo_reply_bad_syntax"
    assert bytes(bench.mos[0].octets) == octets


def test_c12_a_text_in_message_payload_and_on_data_sm(bench: Bench) -> None:
    payload = (Tlv(0x0424, b"MCKH 0101701234"),)
    bench.deliver(b"", tlvs=payload)
    bench.deliver_pdu(DataSm(source_addr_ton=1, source_addr="84905000001", destination_addr="8083", tlvs=payload))
    assert [mo.code for mo in bench.mos] == [CODE, CODE]


def test_c12_a_long_mo_out_of_order_is_one_query(each_store: Bench) -> None:
    bench = each_store
    text = "MCKH 0101701234 gửi 8083".encode("utf-16-be")
    parts = bench.parts([text[:11], text[11:30], text[30:]], data_coding=8)
    for number in (2, 0, 0, 1, 2):
        bench.deliver_pdu(parts[number])
        bench.pass_time(1)
    assert bench.answers == [OK] * 5
    one_reply(bench)
    [mo] = bench.mos
    assert (mo.code, mo.text) == (CODE, "MCKH 0101701234 gửi 8083")
    assert bench.asked == [(CODE, 4.0)]  # the deadline counts from the last part


def test_c12_a_long_mo_in_sar_tlvs_and_of_two_senders_mixed(bench: Bench) -> None:
    for part, text in ((1, b"MCKH 01017"), (2, b"01234")):
        for sender in (CITIZEN, "84905000001"):
            bench.deliver(text, source_addr=sender, tlvs=sar(300, 2, part))
    assert [mo.code for mo in bench.mos] == [CODE, CODE]
    assert len(bench.replies) == 2


def test_parts_survive_a_restart(bench: Bench) -> None:
    first, second = bench.parts([b"MCKH 01017", b"01234"])
    bench.deliver_pdu(first)
    bench.restart()
    bench.deliver_pdu(second)
    assert one_reply(bench).template_id == "mo_reply_status"


def test_c12_a_missing_part_is_answered_as_bad_syntax_when_its_time_is_up(bench: Bench) -> None:
    bench.receiver.start()
    first, _ = bench.parts([b"MCKH 0101701234 ", b"gui 8083"])
    bench.deliver_pdu(first)
    bench.pass_time(299)
    assert bench.replies == []
    bench.pass_time(10)
    reply = one_reply(bench)
    assert (reply.template_id, reply.charge_decision) == ("mo_reply_bad_syntax", "no_charge")
    [mo] = bench.mos
    assert (mo.text, mo.result) == ("MCKH 0101701234 ", "ERR_CODE_FORMAT")
    bench.pass_time(400)
    assert len(bench.mos) == 1
    assert bench.rows(mo_part) == []


# -- texts -------------------------------------------------------------------------------------------------------------------


def test_a_reply_that_cannot_be_made_becomes_a_temporary_failure(bench: Bench) -> None:
    bench.registry = FaultyRegistry("mo_reply_status")
    bench.restart()
    bench.deliver()
    reply = one_reply(bench)
    assert (reply.template_id, reply.charge_decision) == ("mo_reply_temporary_failure", "no_charge")


# -- to the end --------------------------------------------------------------------------------------------------------------


def test_from_the_query_to_the_money(each_store: Bench) -> None:
    bench = each_store
    bench.deliver()
    outcome = SubmitOutcome(one_reply(bench).id, 1, "viettel-1", PartState.ACCEPTED, command_status=0, at=START)
    bench.db.do(bench.charging.outcome_txn, [outcome], bench.clock.now())
    totals = bench.db.do(ledger_totals_txn)
    assert (totals.charged_vnd, totals.balanced) == (1000, True)


def test_the_mos_row_holds_the_pdus_own_octets_and_numbers(bench: Bench) -> None:
    bench.deliver(tlvs=(Tlv(0x001E, b"abc\0"),))
    [mo] = bench.mos
    assert (mo.route, mo.bind, mo.source_addr, mo.destination_addr) == ("viettel", "viettel-1", CITIZEN, "8083")
    assert (mo.text, bytes(mo.octets), mo.data_coding, mo.smsc_message_id, mo.received_at) == (
        "MCKH 0101701234",
        b"MCKH 0101701234",
        0,
        "abc",
        START,
    )
