"""Receipts: their forms, bases, times; early, lost, doubled, held, after a reconnect. Row S7 of the conformance list."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from simulator_rig import HANDSET, START, Rig

from gateway.smpp.pdu import DataSm, DeliverSm, SubmitSmResp, Tlv, tlv, tlv_int, tlv_str
from gateway.smpp.receipt import is_receipt, parse_receipt
from gateway.smpp.receipt_ids import id_keys
from simulator.behaviours.faults import ActiveFault, FaultKind


def run_one(rig: Rig, **submit: Any) -> tuple[SubmitSmResp, list[DeliverSm | DataSm]]:
    esme = rig.bound()
    response = esme.submitted(**submit)
    rig.advance(3)
    return response, esme.delivered()


@pytest.mark.parametrize("form", ["text", "tlv", "both"])
@pytest.mark.parametrize("pdu", ["deliver_sm", "data_sm"])
def test_every_form_says_the_same(form: str, pdu: str) -> None:
    rig = Rig(receipts={"form": form, "pdu": pdu, "weights": {"UNDELIV": 1}})
    response, receipts = run_one(rig, tlvs=(Tlv(0x0204, b"\x01\x02"),))
    assert len(receipts) == 1
    receipt = receipts[0]
    assert isinstance(receipt, DataSm if pdu == "data_sm" else DeliverSm)
    assert is_receipt(receipt)
    assert (receipt.source_addr, receipt.destination_addr) == (HANDSET, "MotcuaSMS")
    assert (receipt.source_addr_ton, receipt.dest_addr_ton) == (1, 5)
    parsed = parse_receipt(receipt)
    assert parsed is not None
    assert (parsed.message_id, parsed.stat, parsed.final) == (response.message_id, "UNDELIV", True)
    if form == "text":
        assert parsed.error == "001"
        assert tlv(receipt, 0x001E) is None
    else:
        assert tlv_str(receipt, 0x001E) == response.message_id
        assert tlv_int(receipt, 0x0427) == 5
        assert tlv(receipt, 0x0423) == b"\x03\x00\x01"
        assert tlv_int(receipt, 0x0204) == 0x0102


@pytest.mark.parametrize(("time_format", "digits"), [("minutes", 10), ("seconds", 12)])
def test_the_dates_are_of_the_configured_zone(time_format: str, digits: int) -> None:
    rig = Rig(receipts={"form": "text", "time_format": time_format, "utc_offset_hours": 7, "delay": 2})
    _, (receipt,) = run_one(rig)
    assert isinstance(receipt, DeliverSm)
    text = receipt.short_message.decode()
    done = text.split("done date:")[1].split()[0]
    zone = timezone(timedelta(hours=7))
    assert len(done) == digits
    assert done == datetime.fromtimestamp(START + 2, zone).strftime("%y%m%d%H%M%S")[:digits]
    assert text.startswith("id:")
    assert text.endswith("text:Xin chao")


@pytest.mark.parametrize(
    ("form", "id_form", "base"),
    [
        ("hex", "decimal", "response_hex"),
        ("decimal", "hex", "receipt_hex"),
        ("hex_upper", "decimal", "response_hex"),
        ("uuid", "as_given", "as_given"),
        ("zero_padded", "decimal", "either"),
    ],
)
def test_s7_hex_in_the_response_and_decimal_in_the_receipt(form: str, id_form: str, base: Any) -> None:
    rig = Rig(message_ids={"form": form, "digits": 20, "start": 3_735_928_559}, receipts={"id_form": id_form})
    response, (receipt,) = run_one(rig)
    parsed = parse_receipt(receipt)
    assert parsed is not None
    if id_form != "as_given":
        assert parsed.message_id != response.message_id
    keys = set(id_keys(response.message_id, base, role="response"))
    assert keys & set(id_keys(parsed.message_id, base, role="receipt"))


def test_s7_a_receipt_before_its_response() -> None:
    rig = Rig(receipts={"early": 1.0, "early_by_s": 0.3})
    esme = rig.bound()
    number = esme.submit()
    assert len(esme.delivered()) == 1
    assert esme.unanswered(number)
    rig.advance(0.4)
    response = esme.response(number)
    assert isinstance(response, SubmitSmResp)
    parsed = parse_receipt(esme.delivered()[0])
    assert parsed is not None
    assert parsed.message_id == response.message_id
    assert len(rig.inbox()) == 1


def test_s7_lost_and_doubled_receipts_are_noted() -> None:
    rig = Rig(receipts={"lost": 0.3, "doubled": 0.3})
    esme = rig.bound()
    for _ in range(100):
        esme.submitted()
    rig.advance(3)
    outcomes = Counter(entry["outcome"] for entry in rig.record("receipt"))
    answered = Counter(entry["message_id"] for entry in rig.record("receipt") if entry["outcome"] == "answered")
    assert 15 < outcomes["lost"] < 45
    assert len(esme.delivered()) == outcomes["answered"]
    assert 10 < sum(count == 2 for count in answered.values()) < 45
    assert outcomes["lost"] + len(answered) == 100
    assert len(rig.inbox()) == 100  # the handset has every one of them


def test_s7_the_same_seed_repeats_the_same_run() -> None:
    def run(seed: int) -> list[tuple[str, str, float]]:
        rig = Rig(
            {"seed": seed},
            receipts={"weights": {"DELIVRD": 1, "UNDELIV": 1}, "delay": {"uniform": [0, 2]}, "lost": 0.1},
            message_ids={"form": "uuid"},
        )
        esme = rig.bound()
        for _ in range(40):
            esme.submitted()
        rig.advance(3)
        return [(entry["message_id"], entry["stat"], entry["at"]) for entry in rig.record("receipt")]

    assert run(5) == run(5)
    assert run(5) != run(6)


def test_s7_receipts_wait_for_the_next_bind() -> None:
    rig = Rig(receipts={"delay": 1.0})
    first = rig.bound()
    first.submitted()
    first.lose()
    rig.advance(5)
    assert rig.account.waiting() == 1
    second = rig.bound()
    assert len(second.read() + second.delivered()) >= 1
    assert rig.account.waiting() == 0


def test_an_unanswered_receipt_is_sent_again_on_the_next_bind() -> None:
    rig = Rig(receipts={"delay": 0.1})
    first = rig.bound()
    first.answer_with = None
    first.submitted()
    rig.advance(0.5)
    assert len(first.delivered()) == 1
    first.lose()
    second = rig.bound()
    rig.advance(0.5)
    assert second.delivered() == [first.delivered()[0]._replace(sequence_number=second.delivered()[0].sequence_number)]
    assert [(entry["attempts"], entry["status"]) for entry in rig.record("receipt")] == [(2, 0)]


def test_receipts_go_to_the_system_id_that_submitted() -> None:
    rig = Rig({"accounts": {"any": {"receipts": {"delay": 0.1}}}})
    one, other = rig.bound(system_id="one"), rig.bound(system_id="other")
    one.submitted()
    rig.advance(0.5)
    assert (len(one.delivered()), len(other.delivered())) == (1, 0)


@pytest.mark.parametrize(
    ("registered_delivery", "state", "expected"),
    [(0, "DELIVRD", 0), (1, "DELIVRD", 1), (1, "UNDELIV", 1), (2, "DELIVRD", 0), (2, "UNDELIV", 1), (3, "UNDELIV", 0)],
)
def test_receipts_only_as_registered_delivery_asks(registered_delivery: int, state: str, expected: int) -> None:
    rig = Rig(receipts={"weights": {state: 1}})
    _, receipts = run_one(rig, registered_delivery=registered_delivery)
    assert len(receipts) == expected
    assert len(rig.inbox()) == (state == "DELIVRD")


def test_an_intermediate_notification_comes_first_and_is_not_final() -> None:
    rig = Rig(receipts={"intermediate": 1.0, "delay": 2.0})
    _, receipts = run_one(rig, registered_delivery=0x11)
    parsed = [parse_receipt(receipt) for receipt in receipts]
    assert [(one.stat, one.final) for one in parsed if one] == [("ENROUTE", False), ("DELIVRD", True)]
    assert receipts[0].esm_class == 0x20


def test_a_receipt_that_only_its_text_tells() -> None:
    rig = Rig(receipts={"esm_class_bit": False, "form": "text"})
    _, (receipt,) = run_one(rig)
    assert receipt.esm_class == 0
    assert is_receipt(receipt, recognise_without_esm_class=True)


def test_an_esme_of_smpp_33_gets_no_tlvs_and_no_data_sm() -> None:
    rig = Rig(receipts={"form": "tlv", "pdu": "data_sm", "delay": 0.1})
    esme = rig.bound(interface_version=0x33)
    response = esme.submitted()
    rig.advance(0.5)
    (receipt,) = esme.delivered()
    assert isinstance(receipt, DeliverSm)
    assert receipt.tlvs == ()
    parsed = parse_receipt(receipt)
    assert parsed is not None
    assert parsed.message_id == response.message_id


def test_receipts_lost_and_held_on_demand() -> None:
    rig = Rig(receipts={"delay": 0.1})
    esme = rig.bound()
    rig.account.order(ActiveFault(FaultKind.HOLD_RECEIPTS, rig.reactor.seconds() + 2.0, None))
    esme.submitted()
    rig.advance(1.9)
    assert esme.delivered() == []
    rig.advance(0.5)
    assert len(esme.delivered()) == 1
    rig.account.order(ActiveFault(FaultKind.LOSE_RECEIPTS, None, None))
    esme.submitted()
    rig.advance(1)
    assert len(esme.delivered()) == 1
    assert [entry["outcome"] for entry in rig.record("receipt")] == ["answered", "lost"]


def ids_in(pdus: list[DeliverSm | DataSm]) -> list[str]:
    return [parsed.message_id for parsed in map(parse_receipt, pdus) if parsed is not None]


def test_s7_a_reordered_receipt_follows_a_later_one() -> None:
    rig = Rig(receipts={"reordered": 0.3, "delay": 0.1, "reordered_within_s": 2.0})
    esme = rig.bound()
    ids = []
    for _ in range(60):
        ids.append(esme.submitted().message_id)
        rig.advance(0.1)
    rig.advance(3)
    received = ids_in(esme.delivered())
    assert sorted(received) == sorted(ids)
    assert received != ids
    assert sum(one != other for one, other in zip(received, ids, strict=True)) > 10


def test_s7_a_reordered_receipt_that_no_other_follows_comes_in_time() -> None:
    rig = Rig(receipts={"reordered": 1.0, "delay": 0.1, "reordered_within_s": 2.0})
    esme = rig.bound()
    esme.submitted()
    rig.advance(2.0)
    assert esme.delivered() == []
    assert rig.account.waiting() == 1
    rig.advance(0.2)
    assert len(esme.delivered()) == 1


def test_s7_receipts_that_wait_for_a_new_bind() -> None:
    rig = Rig(receipts={"after_reconnect": 1.0, "delay": 0.1})
    first = rig.bound()
    first.submitted()
    rig.advance(5)
    assert first.delivered() == []
    assert rig.account.waiting() == 1
    first.lose()
    second = rig.bound()
    rig.advance(0.1)
    assert len(second.delivered()) == 1
    assert rig.account.waiting() == 0


def test_receipts_wait_for_a_bind_on_demand() -> None:
    rig = Rig(receipts={"delay": 0.1})
    esme = rig.bound()
    rig.account.order(ActiveFault(FaultKind.RECEIPTS_AFTER_BIND, None, None))
    esme.submitted()
    rig.advance(2)
    assert esme.delivered() == []
    rig.account.clear_faults()
    other = rig.bound()
    rig.advance(0.1)
    assert len(esme.delivered()) + len(other.delivered()) == 1


def test_a_receipt_in_other_words() -> None:
    rig = Rig(
        receipts={
            "form": "both",
            "text_template": "id:{id} submitdate:{submit} donedate:{done} stat:{stat} err:{err}",
            "stat_words": {"DELIVRD": "DELIVERED"},
            "time_format": "seconds",
            "delay": 1,
        }
    )
    response, (receipt,) = run_one(rig)
    assert isinstance(receipt, DeliverSm)
    words = f"id:{response.message_id} submitdate:260105150000 donedate:260105150001 stat:DELIVERED err:000"
    assert receipt.short_message.decode() == words
    assert tlv_int(receipt, 0x0427) == 2
    parsed = parse_receipt(receipt)
    assert parsed is not None
    assert (parsed.stat, parsed.final) == ("DELIVERED", True)
