"""Charging profiles: what goes out with a reply, and what its answers do to the ledger."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from inline_db import InlineDatabase
from sqlalchemy.engine import Connection

from gateway.mo.charging.profiles import Charging
from gateway.model import (
    ChargeDecision,
    ChargeState,
    ClaimedMessage,
    MessageKind,
    MessageState,
    NewMessage,
    PartState,
    SettledPart,
    SubmitOutcome,
)
from gateway.settings import BindSettings, ChargingSettings, OperatorSettings
from gateway.smpp.pdu import DeliverSm, SubmitSm, Tlv, decode, encode
from gateway.store.ledger import NewCharge, charge_txn, journal_txn, ledger_totals_txn, move_txn
from gateway.store.ledger_batch import Opened, open_charges_txn
from gateway.store.outbox import insert_messages_txn
from gateway.store.schema import message, mo

NOW = datetime(2026, 3, 5, 3, 0, tzinfo=UTC)
BIND = BindSettings(name="one-1", host="127.0.0.1", system_id="motcua")


def charging(**profile: Any) -> Charging:
    settings = ChargingSettings.model_validate({"profiles": {"of-one": profile}})
    return Charging(settings, {"one": OperatorSettings(charging="of-one", binds=(BIND,))})


def claimed(decision: ChargeDecision | None = ChargeDecision.CHARGE, link: str | None = "77") -> ClaimedMessage:
    return ClaimedMessage(
        id=5,
        kind=MessageKind.MO_REPLY if decision else MessageKind.RESULT_READY,
        text="x",
        coding="gsm7",
        parts=1,
        source_addr="8083",
        destination_addr="84905123456",
        route="one",
        attempts=1,
        possible_duplicate=False,
        parts_done=(),
        mo_id=3 if decision else None,
        charge_decision=decision,
        expires_at=None,
        charge_link=link if decision else None,
    )


PLAIN = SubmitSm(sequence_number=1, service_type="XYZ", source_addr="8083", destination_addr="84905123456")


def test_a_notice_passes_unchanged() -> None:
    rules = charging(decision_service_type=True, decision_tlv={"tag": 0x1401}, link_tlv={"tag": 0x1402})
    assert rules.decorate(claimed(None), BIND, PLAIN) is PLAIN


def test_an_operator_without_a_profile_gets_the_reply_as_it_is() -> None:
    rules = Charging(ChargingSettings(), {"one": OperatorSettings(binds=(BIND,))})
    assert rules.decorate(claimed(), BIND, PLAIN) == PLAIN
    assert rules.profile_name("one") == "none"


@pytest.mark.parametrize(
    ("decision", "octets"),
    [(ChargeDecision.CHARGE, b"1\0"), (ChargeDecision.NO_CHARGE, b"0\0"), (ChargeDecision.REFUND, b"2\0")],
)
def test_decision_and_link_in_tlvs(decision: ChargeDecision, octets: bytes) -> None:
    rules = charging(decision_tlv={"tag": 0x1401}, link_tlv={"tag": 0x1402, "type": "integer", "octets": 4})
    pdu = rules.decorate(claimed(decision), BIND, PLAIN)
    assert pdu.tlvs == (Tlv(0x1401, octets), Tlv(0x1402, b"\0\0\0\x4d"))
    assert decode(encode(pdu)) == pdu
    assert pdu.service_type == "XYZ"


def test_decision_in_service_type() -> None:
    rules = charging(
        decision_service_type=True, decision_values={"charge": "CHG", "no_charge": "FREE", "refund": "RFD"}
    )
    assert rules.decorate(claimed(ChargeDecision.NO_CHARGE), BIND, PLAIN) == PLAIN._replace(service_type="FREE")


def test_decision_in_a_subaddress_and_in_billing_identification() -> None:
    rules = charging(
        decision_tlv={"tag": 0x0202, "type": "octets", "prefix": "A0"}, link_tlv={"tag": 0x060B, "type": "octets"}
    )
    assert rules.decorate(claimed(), BIND, PLAIN).tlvs == (Tlv(0x0202, b"\xa01"), Tlv(0x060B, b"77"))


def test_the_link_takes_the_place_of_the_same_tlv() -> None:
    rules = charging(link_tlv={"tag": 0x0204, "type": "integer", "octets": 2})
    with_reference = PLAIN._replace(tlvs=(Tlv(0x0204, b"\x12\x34"), Tlv(0x1500, b"a")))
    assert rules.decorate(claimed(), BIND, with_reference).tlvs == (Tlv(0x1500, b"a"), Tlv(0x0204, b"\0\x4d"))


@pytest.mark.parametrize("link", [None, "", "no-number", "70000"])
def test_a_reply_goes_even_where_its_link_cannot_be_written(link: str | None) -> None:
    rules = charging(decision_tlv={"tag": 0x1401}, link_tlv={"tag": 0x1402, "type": "integer", "octets": 2})
    assert rules.decorate(claimed(link=link), BIND, PLAIN).tlvs == (Tlv(0x1401, b"1\0"),)


@pytest.mark.parametrize(
    ("tlvs", "expected"),
    [
        ((), ""),
        ((Tlv(0x001E, b"abc-1\0"),), "abc-1"),
        ((Tlv(0x001E, b"abc-1"),), "abc-1"),
        ((Tlv(0x001E, b"0000\0"),), ""),  # a field filled because it must be
        ((Tlv(0x001E, b"\0"),), ""),
        ((Tlv(0x1500, b"5"),), ""),
    ],
)
def test_the_mos_id_is_read_from_receipted_message_id(tlvs: tuple[Tlv, ...], expected: str) -> None:
    assert charging().mo_id_of("one", DeliverSm(tlvs=tlvs)) == expected


def test_the_mos_id_is_read_where_the_profile_says() -> None:
    rules = charging(mo_id_tlv={"tag": 0x1500, "type": "integer", "octets": 8})
    assert rules.mo_id_of("one", DeliverSm(tlvs=(Tlv(0x001E, b"x\0"), Tlv(0x1500, b"\x01\x00")))) == "256"


# -- the ledger --------------------------------------------------------------------------------------------------------------


def add(conn: Connection, mo_id: int, decision: ChargeDecision = ChargeDecision.CHARGE, state: str = "sending") -> int:
    conn.execute(
        mo.insert().values(
            id=mo_id,
            dedupe_key=str(mo_id),
            route="one",
            bind="one-1",
            source_addr="84905123456",
            destination_addr="8083",
            text="",
            octets=b"",
            data_coding=0,
            received_at=NOW,
            state="replied",
        )
    )
    lapses_at = NOW + timedelta(seconds=5)
    open_charges_txn(conn, [Opened(NewCharge(mo_id, "one", "of-one", 1000, None, lapses_at), NOW)])
    message_id = add_message(conn, str(mo_id), MessageKind.MO_REPLY, mo_id, decision)
    conn.execute(message.update().where(message.c.id == message_id).values(state=state))
    move_txn(conn, mo_id, ChargeState.DECIDED, NOW, reason="mo_reply_status", decision=decision)
    return message_id


def add_message(
    conn: Connection, code: str, kind: MessageKind, mo_id: int | None, decision: ChargeDecision | None
) -> int:
    new = NewMessage(
        source="mo" if mo_id else "khanh-son",
        receipt_code=code,
        kind=kind,
        occasion="",
        state=MessageState.QUEUED,
        reason="",
        template_id=kind.value,
        template_version="1",
        text="x",
        coding="gsm7",
        parts=1,
        source_addr="8083",
        destination_addr="84905123456",
        route="one",
        priority=0,
        not_before=NOW,
        expires_at=None,
        mo_id=mo_id,
        charge_decision=decision,
    )
    [message_id] = insert_messages_txn(conn, [new], NOW)
    assert message_id is not None
    return message_id


def state_of(database: InlineDatabase, mo_id: int = 1) -> ChargeState:
    row = database.do(charge_txn, mo_id)
    assert row is not None
    return row.state


def outcome(message_id: int, state: PartState, status: int | None = None) -> SubmitOutcome:
    return SubmitOutcome(message_id, 1, "one-1", state, command_status=status, at=NOW)


OK = (PartState.ACCEPTED, 0)


def test_a_batch_of_answers_settles_replies_and_skips_notices(inline_db: InlineDatabase) -> None:
    rules = charging(outcome_statuses={0x0401: "insufficient_balance"})

    def fill(conn: Connection) -> list[int]:
        replies = [add(conn, mo_id) for mo_id in (1, 2, 3, 4)]
        return [*replies, add_message(conn, "0101701234", MessageKind.RESULT_READY, None, None)]

    one, two, three, four, notice = inline_db.do(fill)
    outcomes = [
        outcome(one, *OK),
        outcome(two, PartState.REJECTED, 0x0401),
        outcome(three, PartState.UNKNOWN),
        outcome(four, PartState.PENDING, 0x58),
        outcome(notice, *OK),
        outcome(999, *OK),
    ]
    settled = inline_db.do(rules.outcome_txn, outcomes, NOW)
    assert [(change.mo_id, change.charge.state.value) for change in settled] == [
        (1, "charged"),
        (2, "insufficient_balance"),
        (3, "unknown"),
    ]
    assert state_of(inline_db, 4) is ChargeState.DECIDED
    assert inline_db.do(rules.outcome_txn, outcomes, NOW) == ()  # recorded again: nothing changes
    totals = inline_db.do(ledger_totals_txn)
    assert (totals.charged_vnd, totals.balanced) == (1000, True)


@pytest.mark.parametrize(
    ("decision", "answers", "receipts", "expected"),
    [
        ("charge", [OK], [], "charged"),
        ("no_charge", [OK], [], "not_charged"),
        ("refund", [OK], [], "refunded"),
        ("charge", [(PartState.REJECTED, 0x45)], [], "refunded"),
        ("refund", [(PartState.REJECTED, 0x45)], [], "charged"),  # refund refused
        ("charge", [(PartState.REJECTED, 0x0401)], [], "insufficient_balance"),
        ("charge", [(PartState.UNKNOWN, None)], [], "unknown"),
        ("charge", [(PartState.UNKNOWN, None), OK], [], "charged"),  # a late answer
        ("charge", [(PartState.UNKNOWN, None)], [(PartState.DELIVERED, "000")], "charged"),
        ("no_charge", [(PartState.UNKNOWN, None)], [(PartState.UNDELIVERED, "001")], "not_charged"),
        ("charge", [(PartState.UNKNOWN, None)], [(PartState.REJECTED, "")], "refunded"),
        ("charge", [OK], [(PartState.UNDELIVERED, "021")], "insufficient_balance"),
        (
            "charge",
            [OK],
            [(PartState.UNDELIVERED, "001")],
            "charged",
        ),  # a phone that is off is not the operator's refusal
        ("charge", [OK], [(PartState.DELIVERED, "000"), (PartState.DELIVERED, "000")], "charged"),
        ("charge", [OK], [(PartState.REJECTED, "")], "refunded"),
        ("charge", [OK, (PartState.REJECTED, 0x45)], [], "refunded"),
    ],
)
def test_outcomes(
    inline_db: InlineDatabase,
    decision: str,
    answers: list[tuple[PartState, int | None]],
    receipts: list[tuple[PartState, str]],
    expected: str,
) -> None:
    rules = charging(outcome_statuses={0x0401: "insufficient_balance"}, outcome_errors={"021": "insufficient_balance"})
    message_id = inline_db.do(add, 1, ChargeDecision(decision))
    for state, status in answers:
        inline_db.do(rules.outcome_txn, [outcome(message_id, state, status)], NOW)
    for state, error in receipts:
        inline_db.do(rules.receipt_txn, [SettledPart(message_id, 1, 1, state, "STAT", error)], NOW)
    assert state_of(inline_db).value == expected
    totals = inline_db.do(ledger_totals_txn)
    assert (totals.charged_vnd, totals.balanced) == (1000 if expected == "charged" else 0, True)


def test_answer_and_receipt_in_one_batch(inline_db: InlineDatabase) -> None:
    rules = charging()
    message_id = inline_db.do(add, 1)
    both = [outcome(message_id, PartState.UNKNOWN), outcome(message_id, *OK)]
    settled = inline_db.do(rules.outcome_txn, both, NOW)
    assert [change.charge.state for change in settled] == [ChargeState.UNKNOWN, ChargeState.CHARGED]


def test_an_operator_that_tells_later(inline_db: InlineDatabase) -> None:
    rules = charging(outcome_of_ok="unknown", outcome_errors={"100": "charged"})
    ids = [inline_db.do(add, mo_id) for mo_id in (1, 2)]
    inline_db.do(rules.outcome_txn, [outcome(number, *OK) for number in ids], NOW)
    assert state_of(inline_db) is ChargeState.SENT
    inline_db.do(rules.receipt_txn, [SettledPart(ids[0], 1, 1, PartState.DELIVERED, "DELIVRD", "100")], NOW)
    assert state_of(inline_db) is ChargeState.CHARGED
    later = NOW + timedelta(minutes=20)
    inline_db.do(rules.upkeep_txn, later, late_at=later, sent_before=later - timedelta(minutes=15))
    assert state_of(inline_db, 2) is ChargeState.UNKNOWN
    assert inline_db.do(journal_txn, 2)[-1].reason == "outcome_not_told"


def test_receipts_of_notices_cost_nothing(inline_db: InlineDatabase) -> None:
    def forbidden(conn: Connection) -> tuple[Any, ...]:
        @sa.event.listens_for(conn, "before_cursor_execute")
        def on_execute(*_: object) -> None:
            raise AssertionError("a statement was executed")

        return charging().receipt_txn(conn, [SettledPart(9, 1, None, PartState.DELIVERED, "DELIVRD", "000")], NOW)

    assert inline_db.do(forbidden) == ()


@pytest.mark.parametrize(
    ("charged_on", "ended", "expected"),
    [
        ("reply", "expired", "not_charged"),
        ("reply", "rejected", "not_charged"),
        ("reply", "cancelled", "not_charged"),
        ("reply", "unknown", "unknown"),
        ("reply", "queued", "decided"),
        ("mo", "expired", "refunded"),
    ],
)
def test_a_reply_that_ended_unseen_is_settled(
    inline_db: InlineDatabase, charged_on: str, ended: str, expected: str
) -> None:
    rules = charging(charged_on=charged_on)
    inline_db.do(add, 1, ChargeDecision.CHARGE, ended)
    inline_db.do(rules.upkeep_txn, NOW, late_at=NOW, sent_before=NOW)
    inline_db.do(rules.upkeep_txn, NOW, late_at=NOW, sent_before=NOW)
    assert state_of(inline_db).value == expected


def test_late_replies_lose_their_charge_in_the_operators_terms(inline_db: InlineDatabase) -> None:
    rules = charging(charged_on="mo")
    inline_db.do(add, 1, ChargeDecision.CHARGE, "queued")
    late = NOW + timedelta(seconds=5)
    inline_db.do(rules.upkeep_txn, late, late_at=late, sent_before=NOW)
    row = inline_db.do(charge_txn, 1)
    assert row is not None
    assert (row.state, row.decision) == (ChargeState.DECIDED, ChargeDecision.REFUND)
