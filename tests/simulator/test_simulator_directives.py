"""Messages that say themselves what becomes of them: in their text and by their destination."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulator_rig import HANDSET, Rig

from gateway.smpp.pdu import SubmitSm, SubmitSmResp
from gateway.smpp.receipt import parse_receipt
from gateway.smpp.text import segment
from simulator.behaviours.directives import Directive, parse_directive, parse_number


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ho so #sim status=0x58#", Directive(status=0x58)),
        ("#sim status=ESME_ROK# Ho so", Directive(status=0)),
        ("#sim receipt=UNDELIV; error=042; delay=3#", Directive(state="UNDELIV", error="042", delay_s=3.0)),
        ("#sim latency=2.5;drop=answer#", Directive(latency_s=2.5, drop="answer")),
        ("#sim cut#", Directive(cut=True)),
        ("#sim early; twice#", Directive(ways=frozenset({"early", "twice"}))),
        ("#sim charge=insufficient_balance#", Directive(outcome="insufficient_balance")),
        ("#sim #", Directive()),
        ("#sim status=0x58", None),
        ("Ho so so #12", None),
    ],
)
def test_directives_in_a_text(text: str, expected: Directive | None) -> None:
    assert parse_directive(text) == expected


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("#sim staus=1#", "'staus=1' is not known; known are status=…"),
        ("#sim status=abc#", "'abc' is not a command_status"),
        ("#sim receipt=LOST#", "'LOST' is not one of ACCEPTD"),
        ("#sim delay=-1#", "'-1' is not a number of seconds"),
        ("#sim drop=all#", "'all' is not one of answer, receipt, request"),
        ("#sim charge=free#", "'free' is not one of"),
    ],
)
def test_what_is_wrong_with_a_directive(text: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault.split(";")[0].replace("(", r"\(")):
        parse_directive(text)


@given(st.text(max_size=60))
def test_any_text_is_a_directive_or_none_or_says_why(text: str) -> None:
    try:
        assert isinstance(parse_directive(f"#sim {text}#"), Directive | None)
    except ValueError as error:
        assert str(error)  # noqa: PT017


@pytest.mark.parametrize(
    ("digits", "expected"),
    [
        ("100088", Directive(status=88)),
        ("200005", Directive(state="UNDELIV")),
        ("300060", Directive(delay_s=60.0)),
        ("400002", Directive(latency_s=2.0)),
        ("500001", Directive(drop="answer")),
        ("500006", Directive(ways=frozenset({"twice"}))),
        ("600003", Directive(outcome="insufficient_balance")),
    ],
)
def test_directives_in_a_number(digits: str, expected: Directive) -> None:
    assert parse_number(digits) == expected


@pytest.mark.parametrize("digits", ["", "9", "200099", "500077", "600077", "1x"])
def test_numbers_that_are_no_directive(digits: str) -> None:
    with pytest.raises(ValueError, match="is no directive"):
        parse_number(digits)


def test_a_text_refuses_itself_and_only_itself() -> None:
    rig = Rig()
    esme = rig.bound()
    assert esme.submitted(b"#sim status=0x58# x").command_status == 0x58
    assert esme.submitted(b"x").command_status == 0
    assert [entry.get("refused_by") for entry in rig.record("submit")] == ["directive", None]


def test_a_text_may_ask_for_success_where_the_settings_refuse() -> None:
    rig = Rig(statuses={"weights": {"ESME_RSYSERR": 1}})
    esme = rig.bound()
    assert esme.submitted(b"x").command_status == 8
    assert esme.submitted(b"#sim status=0#").command_status == 0


def test_limits_hold_whatever_a_text_says() -> None:
    rig = Rig(tps=1)
    esme = rig.bound()
    esme.submitted()
    assert esme.submitted(b"#sim status=0#").command_status == 0x58


@pytest.mark.parametrize("data_coding", [0, 8])
def test_a_text_chooses_its_receipt(data_coding: int) -> None:
    rig = Rig(receipts={"delay": 60, "lost": 1.0})
    esme = rig.bound()
    text = "#sim receipt=UNDELIV; error=042; delay=3; twice#"
    octets = text.encode("utf-16-be") if data_coding else text.encode()
    esme.submitted(octets, data_coding=data_coding)
    rig.advance(2.9)
    assert esme.delivered() == []
    rig.advance(0.3)
    parsed = [parse_receipt(receipt) for receipt in esme.delivered()]
    assert [(one.stat, one.error) for one in parsed if one] == [("UNDELIV", "042")] * 2


@pytest.mark.parametrize("what", ["answer", "request", "receipt"])
def test_a_text_that_drops(what: str) -> None:
    rig = Rig(receipts={"delay": 0.1})
    esme = rig.bound()
    number = esme.submit(f"#sim drop={what}#".encode())
    rig.advance(1)
    assert esme.unanswered(number) == (what != "receipt")
    assert len(rig.inbox()) == (what != "request")
    assert len(esme.delivered()) == (what == "answer")


def test_a_text_that_cuts_the_link() -> None:
    rig = Rig()
    esme = rig.bound()
    esme.submit(b"#sim cut#")
    assert esme.closed
    assert rig.account.counters.links_cut == 1


def test_a_text_that_is_answered_late() -> None:
    rig = Rig(latency=60)
    esme = rig.bound()
    number = esme.submit(b"#sim latency=2#")
    rig.advance(1.9)
    assert esme.unanswered(number)
    rig.advance(0.2)
    assert isinstance(esme.response(number), SubmitSmResp)


def test_a_directive_in_the_first_part_rules_all_parts() -> None:
    rig = Rig()
    esme = rig.bound()

    def submit(text: str, reference: int) -> list[int]:
        statuses = []
        for part in segment(text, "gsm7", form="udh8", reference=reference):
            pdu = SubmitSm(
                source_addr="MotcuaSMS",
                destination_addr=HANDSET,
                esm_class=part.esm_class_bits,
                short_message=part.short_message,
            )
            statuses.append(esme.response(esme.send(pdu)).command_status)
        return statuses

    assert submit("#sim status=0x45#" + "x" * 400, 7) == [0x45] * 3
    assert submit("x" * 400, 7) == [0, 0, 0]  # the same reference again


def test_numbers_as_directives_are_off_unless_they_are_given_a_prefix() -> None:
    assert Rig().bound().submitted(destination_addr="84999100088").command_status == 0
    rig = Rig(directives={"number_prefix": "84999"})
    esme = rig.bound()
    assert esme.submitted(destination_addr="84999100088").command_status == 88
    assert esme.submitted(destination_addr=HANDSET).command_status == 0


def test_texts_are_only_texts_when_that_is_wanted() -> None:
    assert Rig(directives={"text": False}).bound().submitted(b"#sim status=0x58#").command_status == 0


def test_a_directive_that_is_not_understood_is_told_and_changes_nothing() -> None:
    rig = Rig()
    assert rig.bound().submitted(b"#sim receipt=LOST#").command_status == 0
    assert "'LOST' is not one of" in rig.record("submit")[0]["directive_fault"]


@pytest.mark.parametrize(
    ("outcome", "status", "balance"),
    [("insufficient_balance", 0x0405, 5000), ("charged", 0, 4000), ("unknown", 0, 5000), ("not_charged", 0, 5000)],
)
def test_a_reply_that_orders_the_outcome_of_its_charge(outcome: str, status: int, balance: int) -> None:
    charging: dict[str, Any] = {"decision_tlv": {"tag": 0x1401}, "balance_vnd": 5000}
    rig = Rig(charging=charging)
    esme = rig.bound()
    from simulator.mo import MoRequest

    rig.simulator.send_mo(MoRequest(HANDSET, "8083", "MCKH 1"))
    esme.read()
    assert esme.submitted(f"#sim charge={outcome}#".encode(), source_addr="8083").command_status == status
    assert rig.account.charging.balance(HANDSET) == balance
    assert rig.record("submit")[0]["charge"]["outcome"] == outcome
