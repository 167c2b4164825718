"""Pure charging: tariff, decisions, values of TLVs, verdicts."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mo.charging.decisions import decide, reachable
from gateway.mo.charging.fields import from_octets, to_octets
from gateway.mo.charging.outcomes import Verdict, judge_receipt, judge_response, judge_unsent
from gateway.mo.charging.tariff import price_vnd
from gateway.model import ChargeDecision, ChargeState, PartState, ReplyKind
from gateway.settings import ChargingProfile, DecisionSettings, TariffRow, TlvField

CHARGE, NO_CHARGE, REFUND = ChargeDecision.CHARGE, ChargeDecision.NO_CHARGE, ChargeDecision.REFUND
BY_REPLY = ChargingProfile()
BY_MO = ChargingProfile(charged_on="mo")


def row(prefix: str, start: date, amount_vnd: int) -> TariffRow:
    return TariffRow.model_validate({"prefix": prefix, "from": start, "amount_vnd": amount_vnd})


TARIFF = (
    row("80", date(2012, 1, 1), 1000),
    row("80", date(2026, 7, 1), 1500),
    row("8083", date(2026, 1, 1), 500),
    row("87", date(2012, 1, 1), 15000),
)


@pytest.mark.parametrize(
    ("shortcode", "on", "expected"),
    [
        ("8099", date(2026, 3, 1), 1000),
        ("8099", date(2026, 6, 30), 1000),
        ("8099", date(2026, 7, 1), 1500),
        ("8083", date(2025, 12, 31), 1000),
        ("8083", date(2026, 1, 1), 500),
        ("8083", date(2026, 12, 1), 500),  # the longest prefix wins over the latest date
        ("8783", date(2026, 3, 1), 15000),
        ("9029", date(2026, 3, 1), None),
        ("8099", date(2011, 12, 31), None),
        ("", date(2026, 3, 1), None),
    ],
)
def test_the_tariff_is_dated_and_the_longest_prefix_wins(shortcode: str, on: date, expected: int | None) -> None:
    assert price_vnd(TARIFF, shortcode, on) == expected


@pytest.mark.parametrize(
    ("kind", "late", "expected"),
    [
        (ReplyKind.STATUS, False, CHARGE),
        (ReplyKind.CLOCK_STOPPED, False, CHARGE),
        (ReplyKind.STATUS, True, NO_CHARGE),
        (ReplyKind.UNKNOWN_CODE, False, CHARGE),
        (ReplyKind.UNKNOWN_CODE, True, NO_CHARGE),
        (ReplyKind.BAD_SYNTAX, False, NO_CHARGE),
        (ReplyKind.TEMPORARY_FAILURE, False, NO_CHARGE),
        (ReplyKind.TOO_MANY, False, NO_CHARGE),
    ],
)
def test_default_decisions(kind: ReplyKind, late: bool, expected: ChargeDecision) -> None:
    assert decide(kind, DecisionSettings(), BY_REPLY, late=late) is expected


def test_where_the_mo_was_charged_no_charge_is_told_as_a_refund() -> None:
    assert decide(ReplyKind.BAD_SYNTAX, DecisionSettings(), BY_MO, late=False) is REFUND
    assert decide(ReplyKind.STATUS, DecisionSettings(), BY_MO, late=True) is REFUND
    assert decide(ReplyKind.STATUS, DecisionSettings(), BY_MO, late=False) is CHARGE


def test_decisions_follow_the_configuration() -> None:
    decisions = DecisionSettings(bad_syntax=CHARGE, unknown_code=NO_CHARGE, temporary_failure=REFUND)
    assert decide(ReplyKind.BAD_SYNTAX, decisions, BY_REPLY, late=False) is CHARGE
    assert decide(ReplyKind.UNKNOWN_CODE, decisions, BY_REPLY, late=False) is NO_CHARGE
    assert decide(ReplyKind.TEMPORARY_FAILURE, decisions, BY_REPLY, late=False) is REFUND


def test_every_reply_has_a_decision_and_no_late_one_charges() -> None:
    for profile in (BY_REPLY, BY_MO):
        everything = DecisionSettings(bad_syntax=CHARGE, temporary_failure=CHARGE)
        assert all(decide(kind, everything, profile, late=True) is not CHARGE for kind in ReplyKind)
    assert reachable(DecisionSettings(), BY_REPLY) == {CHARGE, NO_CHARGE}
    assert reachable(DecisionSettings(), BY_MO) == {CHARGE, REFUND}


def field(**values: Any) -> TlvField:
    return TlvField(tag=0x1401, **values)


@pytest.mark.parametrize(
    ("tlv", "value", "octets"),
    [
        (field(type="cstring"), "1", "31 00"),
        (field(type="octets"), "1", "31"),
        (field(type="octets"), "0x01ff", "01 ff"),
        (field(type="octets", prefix="A0"), "1", "a0 31"),
        (field(type="integer"), "2", "02"),
        (field(type="integer", octets=4), "2", "00 00 00 02"),
        (field(type="integer", octets=2), "0x0102", "01 02"),
        (field(type="cstring", prefix="a001"), "", "a0 01 00"),
    ],
)
def test_values_on_the_wire(tlv: TlvField, value: str, octets: str) -> None:
    assert to_octets(tlv, value) == bytes.fromhex(octets)


@pytest.mark.parametrize(
    ("tlv", "value"),
    [
        (field(type="integer"), "256"),
        (field(type="integer"), "-1"),
        (field(type="integer"), "one"),
        (field(type="integer"), ""),
        (field(type="cstring"), "ế"),
        (field(type="cstring"), "a\0b"),
        (field(type="octets"), "0x0"),
    ],
)
def test_values_that_do_not_fit_are_refused(tlv: TlvField, value: str) -> None:
    with pytest.raises(ValueError):
        to_octets(tlv, value)


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=40), st.sampled_from(["", "A0", "a0b1"]))
def test_texts_come_back(value: str, prefix: str) -> None:
    cstring = field(type="cstring", prefix=prefix)
    assert from_octets(cstring, to_octets(cstring, value)) == value


@given(st.binary(max_size=40), st.sampled_from(["cstring", "octets", "integer"]), st.sampled_from(["", "A0"]))
def test_reading_a_peers_tlv_never_raises(octets: bytes, kind: str, prefix: str) -> None:
    assert isinstance(from_octets(field(type=kind, prefix=prefix), octets), str)


def test_a_peers_integer_of_any_length_is_its_number() -> None:
    assert from_octets(field(type="integer", octets=4), bytes.fromhex("0102")) == "258"
    assert from_octets(field(type="cstring"), b"abc") == "abc"
    assert from_octets(field(type="octets"), b"\x01\xff") == "0x01ff"


# -- verdicts --------------------------------------------------------------------------------------------------------------

VENDOR = ChargingProfile(
    outcome_statuses={0x0401: "insufficient_balance", 0x0402: "not_charged", 0x0403: "unknown", 0x0410: "charged"},
    outcome_errors={"021": "insufficient_balance"},
)
WAITS = ChargingProfile(outcome_of_ok="unknown")


@pytest.mark.parametrize(
    ("profile", "decision", "state", "status", "expected"),
    [
        (BY_REPLY, CHARGE, PartState.ACCEPTED, 0, ChargeState.CHARGED),
        (BY_REPLY, NO_CHARGE, PartState.ACCEPTED, 0, ChargeState.NOT_CHARGED),
        (BY_REPLY, REFUND, PartState.ACCEPTED, 0, ChargeState.REFUNDED),
        (BY_REPLY, CHARGE, PartState.UNKNOWN, None, ChargeState.UNKNOWN),
        (BY_REPLY, CHARGE, PartState.REJECTED, 0x0B, ChargeState.REFUNDED),
        (BY_REPLY, NO_CHARGE, PartState.REJECTED, 0x0B, ChargeState.NOT_CHARGED),
        (BY_REPLY, REFUND, PartState.REJECTED, 0x0B, ChargeState.CHARGED),
        (BY_REPLY, CHARGE, PartState.REJECTED, None, ChargeState.NOT_CHARGED),
        (BY_MO, CHARGE, PartState.REJECTED, None, ChargeState.REFUNDED),
        (WAITS, CHARGE, PartState.ACCEPTED, 0, ChargeState.SENT),
        (VENDOR, CHARGE, PartState.REJECTED, 0x0401, ChargeState.INSUFFICIENT_BALANCE),
        (VENDOR, CHARGE, PartState.REJECTED, 0x0402, ChargeState.NOT_CHARGED),
        (VENDOR, CHARGE, PartState.REJECTED, 0x0403, ChargeState.UNKNOWN),
        (VENDOR, CHARGE, PartState.REJECTED, 0x0410, ChargeState.CHARGED),
        (VENDOR, CHARGE, PartState.REJECTED, 0x0404, ChargeState.REFUNDED),  # a status that the profile does not know
    ],
)
def test_verdicts_of_responses(
    profile: ChargingProfile, decision: ChargeDecision, state: PartState, status: int | None, expected: ChargeState
) -> None:
    verdict = judge_response(profile, decision, state, status)
    assert verdict is not None
    assert verdict.state is expected
    assert verdict.reason


def test_a_reply_that_is_tried_again_has_no_verdict() -> None:
    assert judge_response(BY_REPLY, CHARGE, PartState.PENDING, 0x58) is None


def test_the_number_is_kept_exactly() -> None:
    verdict = judge_response(VENDOR, CHARGE, PartState.REJECTED, 0x0401)
    assert verdict == Verdict(ChargeState.INSUFFICIENT_BALANCE, "response:0x00000401", "0x00000401")
    refused = judge_response(BY_REPLY, CHARGE, PartState.REJECTED, 0x0B)
    assert refused == Verdict(ChargeState.REFUNDED, "reply_refused:ESME_RINVDSTADR", "0x0000000B", REFUND)


@pytest.mark.parametrize(
    ("profile", "decision", "state", "error", "expected"),
    [
        (BY_REPLY, CHARGE, PartState.DELIVERED, "000", ChargeState.CHARGED),
        (BY_REPLY, CHARGE, PartState.UNDELIVERED, "001", ChargeState.CHARGED),  # the operator had taken the reply
        (BY_REPLY, NO_CHARGE, PartState.EXPIRED, "", ChargeState.NOT_CHARGED),
        (BY_REPLY, CHARGE, PartState.REJECTED, "012", ChargeState.REFUNDED),
        (VENDOR, CHARGE, PartState.UNDELIVERED, "021", ChargeState.INSUFFICIENT_BALANCE),
    ],
)
def test_verdicts_of_receipts(
    profile: ChargingProfile, decision: ChargeDecision, state: PartState, error: str, expected: ChargeState
) -> None:
    assert judge_receipt(profile, decision, state, error).state is expected


def test_a_reply_that_never_left_is_our_failure() -> None:
    assert judge_unsent(BY_REPLY, "reply_expired").state is ChargeState.NOT_CHARGED
    assert judge_unsent(BY_MO, "reply_expired").state is ChargeState.REFUNDED
