"""The operator's side of charging, by submit_sm against MO that came before. Row S9 of the conformance list."""

from __future__ import annotations

from typing import Any

import pytest
from simulator_rig import Esme, Rig

from gateway.smpp.pdu import SubmitSmResp, Tlv, tlv_str
from simulator.mo import MoRequest

HANDSET = "84905123456"
TLVS = {"decision_tlv": {"tag": 0x1401}, "link_tlv": {"tag": 0x1402}}
STATUSES = {"insufficient_balance": 0x0401, "no_mo": 0x0407, "charged_before": 0x0408}


class Bench:
    """A charging account with one ESME."""

    def __init__(self, **charging: Any) -> None:
        self.rig = Rig(charging={**TLVS, "statuses": STATUSES, "balance_vnd": 5000, **charging})
        self.esme: Esme = self.rig.bound()

    def mo(self, phone: str = HANDSET, text: str = "MCKH 0101701234") -> str:
        """A handset asks; the id as the ESME sees it."""
        before = len(self.esme.delivered())
        self.rig.simulator.send_mo(MoRequest(phone, "8083", text))
        self.esme.read()
        fresh = self.esme.delivered()[before:]
        return tlv_str(fresh[0], 0x001E) or "" if fresh else ""

    def reply(self, mo_id: str, decision: str, phone: str = HANDSET, **fields: Any) -> SubmitSmResp:
        tlvs = (Tlv(0x1401, decision.encode() + b"\0"), Tlv(0x1402, mo_id.encode() + b"\0"))
        return self.esme.submitted(
            b"Ho so dung han", **{"source_addr": "8083", "destination_addr": phone, "tlvs": tlvs, **fields}
        )

    @property
    def balance(self) -> int:
        balance: int = self.rig.account.charging.balance(HANDSET)
        return balance

    @property
    def outcomes(self) -> list[tuple[str, str, int]]:
        return [(entry.decision, entry.outcome, entry.amount_vnd) for entry in self.rig.account.charging.entries]


@pytest.mark.parametrize(
    ("decision", "outcome", "amount", "balance"),
    [("1", "charged", 1000, 4000), ("0", "not_charged", 0, 5000), ("2", "refunded", 0, 5000)],
)
def test_s9_the_decision_is_carried_out(decision: str, outcome: str, amount: int, balance: int) -> None:
    bench = Bench()
    assert bench.reply(bench.mo(), decision).command_status == 0
    assert [(done, moved) for _, done, moved in bench.outcomes] == [(outcome, amount)]
    assert bench.balance == balance
    charge = bench.rig.record("submit")[-1]["charge"]
    assert (charge["outcome"], charge["balance_vnd"]) == (outcome, balance)


def test_s9_a_refund_gives_back_what_was_taken() -> None:
    bench = Bench()
    mo_id = bench.mo()
    bench.reply(mo_id, "1")
    bench.reply(mo_id, "2")
    assert bench.outcomes == [("charge", "charged", 1000), ("refund", "refunded", -1000)]
    assert bench.balance == 5000


def test_s9_insufficient_balance_is_refused_and_not_delivered() -> None:
    bench = Bench(balances={HANDSET: 999})
    response = bench.reply(bench.mo(), "1")
    assert (response.command_status, response.message_id) == (0x0401, "")
    bench.rig.advance(3)
    assert bench.rig.inbox() == []
    assert bench.balance == 999
    assert bench.reply(bench.mo(), "0").command_status == 0  # what costs nothing passes


def test_s9_some_operators_deliver_a_reply_that_nobody_pays() -> None:
    bench = Bench(balances={HANDSET: 0}, deliver_refused=True)
    assert bench.reply(bench.mo(), "1").command_status == 0x0401
    bench.rig.advance(3)
    assert len(bench.rig.inbox()) == 1


def test_s9_a_second_charge_of_one_mo_is_told_and_not_taken() -> None:
    bench = Bench()
    mo_id = bench.mo()
    statuses = [bench.reply(mo_id, "1").command_status for _ in range(2)]
    assert statuses == [0, 0x0408]
    assert bench.balance == 4000
    assert [outcome for _, outcome, _ in bench.outcomes] == ["charged", "charged_before"]


@pytest.mark.parametrize("link", ["unknown", ""])
def test_s9_a_reply_without_its_mo(link: str) -> None:
    bench = Bench()
    bench.mo()
    assert bench.reply(link, "1").command_status == 0x0407
    assert bench.balance == 5000


def test_s9_a_link_to_somebody_elses_mo_charges_nobody() -> None:
    bench = Bench()
    mo_id = bench.mo(phone="84911111111")
    assert bench.reply(mo_id, "1").command_status == 0x0407
    assert [entry.amount_vnd for entry in bench.rig.account.charging.entries] == [0]


def test_s9_without_a_link_the_newest_mo_of_the_handset_is_meant() -> None:
    bench = Bench(link_tlv=None)
    bench.mo()
    newest = bench.mo()
    bench.reply("", "1", tlvs=(Tlv(0x1401, b"1\0"),))
    assert [entry.mo_id for entry in bench.rig.account.charging.entries] == [newest]


def test_s9_the_decision_in_service_type() -> None:
    bench = Bench(decision_tlv=None, decision_service_type=True)
    bench.reply(bench.mo(), "ignored", service_type="0")
    assert [outcome for _, outcome, _ in bench.outcomes] == ["not_charged"]


@pytest.mark.parametrize("octets", [b"\x01", b"\x00\x01"])
def test_s9_the_decision_as_an_integer(octets: bytes) -> None:
    bench = Bench(decision_tlv={"tag": 0x060B, "type": "integer"}, link_tlv=None)
    bench.mo()
    bench.reply("", "", tlvs=(Tlv(0x060B, octets),))
    assert [outcome for _, outcome, _ in bench.outcomes] == ["charged"]


def test_s9_charged_when_the_handset_sends_and_given_back() -> None:
    bench = Bench(charge_at="mo")
    mo_id = bench.mo()
    assert bench.balance == 4000
    assert bench.reply(mo_id, "1").command_status == 0
    assert bench.balance == 4000
    bench.reply(bench.mo(), "0")
    bench.reply(bench.mo(), "2")
    assert bench.balance == 4000
    assert [(outcome, amount) for _, outcome, amount in bench.outcomes] == [
        ("charged", 1000),
        ("charged", 0),
        ("charged", 1000),
        ("not_charged", -1000),
        ("charged", 1000),
        ("refunded", -1000),
    ]


def test_s9_an_mo_that_nobody_can_pay_is_not_taken() -> None:
    bench = Bench(charge_at="mo", balances={HANDSET: 0})
    mo = bench.rig.simulator.send_mo(MoRequest(HANDSET, "8083", "MCKH 1"))
    assert (mo.state, mo.settled) == ("not_charged", True)
    assert bench.esme.read() == []


def test_s9_outcomes_by_handset_whatever_the_balance() -> None:
    bench = Bench(rules=[{"destination": "^84905", "outcome": "insufficient_balance"}])
    assert bench.reply(bench.mo(), "1").command_status == 0x0401
    bench.rig.account.charging.set_balance("84911111111", 0)
    assert bench.reply(bench.mo(phone="84911111111"), "1", phone="84911111111").command_status == 0x0401


def test_s9_the_parts_of_a_long_reply_are_one_charge() -> None:
    bench = Bench()
    mo_id = bench.mo()
    for part in (1, 2, 3):
        header = bytes([5, 0, 3, 77, 3, part])
        tlvs = (Tlv(0x1401, b"1\0"), Tlv(0x1402, mo_id.encode() + b"\0"))
        response = bench.esme.submitted(
            header + b"x", source_addr="8083", destination_addr=HANDSET, tlvs=tlvs, esm_class=0x40
        )
        assert response.command_status == 0
    assert bench.balance == 4000
    assert len(bench.outcomes) == 1


def test_s9_a_long_mo_may_be_named_by_any_of_its_parts() -> None:
    bench = Bench()
    bench.mo(text="MCKH 0101701234 " * 20)
    ids = [tlv_str(pdu, 0x001E) or "" for pdu in bench.esme.delivered()]
    assert len(ids) == 3
    assert bench.reply(ids[-1], "1").command_status == 0
    assert bench.reply(ids[0], "1").command_status == 0x0408


def test_messages_of_other_senders_are_not_charged() -> None:
    bench = Bench()
    assert bench.esme.submitted().command_status == 0
    assert bench.outcomes == []
    assert "charge" not in bench.rig.record("submit")[-1]


def test_a_reply_that_was_throttled_has_not_been_judged() -> None:
    from simulator.behaviours.faults import ActiveFault, FaultKind

    bench = Bench()
    mo_id = bench.mo()
    bench.rig.account.order(ActiveFault(FaultKind.THROTTLE, None, 1))
    assert bench.reply(mo_id, "1").command_status == 0x58
    assert bench.outcomes == []
    assert bench.reply(mo_id, "1").command_status == 0
