"""query_sm, cancel_sm, replace_sm, submit_multi, transaction mode, scheduled and expiring messages."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulator_rig import HANDSET, START, Esme, Rig

from gateway.smpp.fields import DistributionList, SmeAddress
from gateway.smpp.pdu import (
    CancelSm,
    CancelSmResp,
    DataSm,
    DataSmResp,
    QuerySm,
    QuerySmResp,
    ReplaceSm,
    ReplaceSmResp,
    SubmitMulti,
    SubmitMultiResp,
    SubmitSmResp,
    Tlv,
    tlv,
    tlv_int,
)
from gateway.smpp.receipt import parse_receipt
from simulator.smpp_time import format_absolute, format_relative, parse_time

SENDER = "MotcuaSMS"
STATES = {"SCHEDULED": 0, "ENROUTE": 1, "DELIVRD": 2, "EXPIRED": 3, "DELETED": 4, "UNDELIV": 5}


def query(esme: Esme, message_id: str, source_addr: str = SENDER) -> QuerySmResp:
    answer = esme.response(esme.send(QuerySm(message_id=message_id, source_addr=source_addr)))
    assert isinstance(answer, QuerySmResp)
    return answer


def cancel(esme: Esme, message_id: str = "", **fields: Any) -> int:
    answer = esme.response(esme.send(CancelSm(message_id=message_id, **{"source_addr": SENDER, **fields})))
    assert isinstance(answer, CancelSmResp)
    return answer.command_status


def replace(esme: Esme, message_id: str, text: bytes, **fields: Any) -> int:
    values = {"source_addr": SENDER, "registered_delivery": 1, "short_message": text, **fields}
    answer = esme.response(esme.send(ReplaceSm(message_id=message_id, **values)))
    assert isinstance(answer, ReplaceSmResp)
    return answer.command_status


def stats(esme: Esme) -> list[str]:
    return [receipt.stat for receipt in map(parse_receipt, esme.delivered()) if receipt is not None]


def test_query_sm_follows_a_message_to_its_end() -> None:
    rig = Rig(receipts={"delay": 2.0, "weights": {"UNDELIV": 1}, "errors": {"UNDELIV": "034"}})
    esme = rig.bound()
    message_id = esme.submitted().message_id
    under_way = query(esme, message_id)
    assert (under_way.command_status, under_way.message_state, under_way.final_date) == (0, STATES["ENROUTE"], "")
    rig.advance(2.1)
    ended = query(esme, message_id)
    assert (ended.message_id, ended.message_state, ended.error_code) == (message_id, STATES["UNDELIV"], 34)
    assert parse_time(ended.final_date, 0) == pytest.approx(START + 2, abs=0.2)


def test_query_sm_of_what_is_not_ones_own() -> None:
    rig = Rig()
    one, other = rig.bound(system_id="one"), rig.bound(system_id="other")
    message_id = one.submitted().message_id
    assert query(one, message_id).command_status == 0
    assert query(one, message_id, "8083").command_status == 0x67
    assert query(other, message_id).command_status == 0x0C
    assert query(one, "nonsense").command_status == 0x0C


def test_only_the_newest_messages_are_remembered() -> None:
    rig = Rig({"messages": {"kept": 3}})
    esme = rig.bound()
    ids = [esme.submitted().message_id for _ in range(5)]
    assert [query(esme, one).command_status for one in ids] == [0x0C, 0x0C, 0, 0, 0]


def test_cancel_sm_deletes_what_is_under_way_and_its_receipt_says_so() -> None:
    rig = Rig(receipts={"delay": 2.0})
    esme = rig.bound()
    message_id = esme.submitted().message_id
    assert cancel(esme, message_id, source_addr="8083") == 0x11
    assert cancel(esme, message_id) == 0
    assert query(esme, message_id).message_state == STATES["DELETED"]
    rig.advance(5)
    assert rig.inbox() == []
    assert stats(esme) == ["DELETED"]
    assert cancel(esme, message_id) == 0x11
    assert cancel(esme, "nonsense") == 0x0C
    assert rig.account.delivery.under_way == 0


def test_cancel_sm_without_an_id_takes_all_of_one_handset() -> None:
    rig = Rig(receipts={"delay": 2.0})
    esme = rig.bound()
    for number in (HANDSET, HANDSET, "84912345678"):
        esme.submitted(destination_addr=number)
    assert cancel(esme, destination_addr=HANDSET) == 0
    assert cancel(esme, destination_addr=HANDSET) == 0x11
    rig.advance(3)
    assert sorted(stats(esme)) == ["DELETED", "DELETED", "DELIVRD"]


def test_replace_sm_changes_the_text_while_there_is_time() -> None:
    rig = Rig(receipts={"delay": 2.0})
    esme = rig.bound()
    message_id = esme.submitted(b"Ho so da xong").message_id
    rig.advance(1.5)
    assert replace(esme, message_id, b"Ho so chua xong") == 0
    assert replace(esme, message_id, b"x", schedule_delivery_time="soon") == 0x61
    assert replace(esme, message_id, b"x", validity_period="never") == 0x62
    assert replace(esme, "nonsense", b"x") == 0x0C
    rig.advance(1.5)
    assert rig.inbox() == []  # its way began anew
    rig.advance(1)
    assert [message.text for message in rig.inbox()] == ["Ho so chua xong"]
    assert replace(esme, message_id, b"too late") == 0x13
    assert stats(esme) == ["DELIVRD"]


def test_replace_if_present_flag_takes_the_place_of_the_newest_one() -> None:
    rig = Rig(receipts={"delay": 2.0})
    esme = rig.bound()
    esme.submitted(b"one")
    esme.submitted(b"two")
    esme.submitted(b"three", replace_if_present_flag=1)
    rig.advance(3)
    assert [message.text for message in rig.inbox()] == ["one", "three"]
    assert sorted(stats(esme)) == ["DELETED", "DELIVRD", "DELIVRD"]


def test_validity_period_ends_a_message_that_waits_longer() -> None:
    rig = Rig(receipts={"delay": 100, "errors": {"EXPIRED": "009"}})
    esme = rig.bound()
    response = esme.submitted(validity_period=format_relative(5))
    rig.advance(4.9)
    assert query(esme, response.message_id).message_state == STATES["ENROUTE"]
    rig.advance(0.2)
    ended = query(esme, response.message_id)
    assert (ended.message_state, ended.error_code) == (STATES["EXPIRED"], 9)
    assert stats(esme) == ["EXPIRED"]
    assert rig.inbox() == []


@pytest.mark.parametrize("pdu", ["submit_sm", "data_sm"])
def test_a_handset_that_is_off_until_the_message_expires(pdu: str) -> None:
    rig = Rig(receipts={"unreachable": ["^84912"], "validity_s": 3600})
    esme = rig.bound()
    if pdu == "submit_sm":
        esme.submitted(destination_addr="84912345678")
    else:
        life = Tlv(0x0017, (60).to_bytes(4, "big"))
        text = Tlv(0x0424, b"x")
        esme.send(DataSm(source_addr=SENDER, destination_addr="84912345678", registered_delivery=1, tlvs=(life, text)))
    esme.submitted()
    rig.advance(59, step_s=1)
    assert stats(esme) == ["DELIVRD"]
    rig.advance(2, step_s=1)
    assert stats(esme) == (["DELIVRD"] if pdu == "submit_sm" else ["DELIVRD", "EXPIRED"])
    rig.advance(3600, step_s=10)
    assert stats(esme) == ["DELIVRD", "EXPIRED"]


def test_schedule_delivery_time() -> None:
    rig = Rig(receipts={"delay": 1})
    esme = rig.bound()
    message_id = esme.submitted(schedule_delivery_time=format_absolute(START + 60)).message_id
    assert query(esme, message_id).message_state == STATES["SCHEDULED"]
    rig.advance(60, step_s=1)
    assert query(esme, message_id).message_state == STATES["ENROUTE"]
    rig.advance(2)
    assert query(esme, message_id).message_state == STATES["DELIVRD"]


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"schedule_delivery_time": "tomorrow"}, 0x61),
        ({"validity_period": "991399000000000+"}, 0x62),
        ({"validity_period": format_absolute(START - 1)}, 0x62),
        ({"validity_period": format_absolute(START + 5), "schedule_delivery_time": format_absolute(START + 9)}, 0x62),
        ({"validity_period": format_relative(1)}, 0),
    ],
)
def test_times_that_make_no_sense(fields: dict[str, str], status: int) -> None:
    assert Rig().bound().submitted(**fields).command_status == status


@given(st.integers(0, 31 * 86_400 - 1), st.integers(946_684_800, 4_102_444_799))
def test_times_survive_their_two_forms(seconds: int, at: int) -> None:
    assert parse_time(format_relative(seconds), 1000.0) == 1000.0 + seconds
    assert parse_time(format_absolute(at), 0) == at


def test_an_absolute_time_has_its_own_offset() -> None:
    assert parse_time("260105150000028+", 0) == START  # 15:00 at UTC+7


def test_submit_multi_judges_each_destination_and_shares_one_id() -> None:
    rig = Rig(
        statuses={"rules": [{"destination": "^8499", "status": "ESME_RINVDSTADR"}]},
        distribution_lists={"staff": ["84901111111", "84902222222"]},
        receipts={"delay": 1},
    )
    esme = rig.bound()
    to = (SmeAddress(1, 1, HANDSET), SmeAddress(1, 1, "84991234567"), DistributionList("staff"), DistributionList("?"))
    number = esme.send(
        SubmitMulti(source_addr=SENDER, dest_address=to, registered_delivery=1, short_message=b"Hop luc 8 gio")
    )
    answer = esme.response(number)
    assert isinstance(answer, SubmitMultiResp)
    assert answer.command_status == 0
    failed = {(one.destination_addr, one.error_status_code) for one in answer.unsuccess_sme}
    assert failed == {("84991234567", 0x0B), ("?", 0x34)}
    assert query(esme, answer.message_id).command_status == 0x67  # many states under one id
    rig.advance(1.5)
    receipts = esme.delivered()
    assert {receipt.source_addr for receipt in receipts} == {HANDSET, "84901111111", "84902222222"}
    assert {parsed.message_id for parsed in map(parse_receipt, receipts) if parsed} == {answer.message_id}
    for handset in (HANDSET, "84901111111", "84902222222"):
        assert [message.text for message in rig.inbox(handset)] == ["Hop luc 8 gio"]
    assert len(rig.record("submit")) == 4


def test_submit_multi_may_be_cancelled_and_may_fail_altogether() -> None:
    rig = Rig(statuses={"rules": [{"destination": "^8499", "status": "ESME_RINVDSTADR"}]}, receipts={"delay": 5})
    esme = rig.bound()
    two = (SmeAddress(1, 1, HANDSET), SmeAddress(1, 1, "84901111111"))
    answer = esme.response(esme.send(SubmitMulti(source_addr=SENDER, dest_address=two, short_message=b"x")))
    assert cancel(esme, answer.message_id) == 0  # type: ignore[union-attr]
    rig.advance(6)
    assert rig.inbox() == []
    bad = (SmeAddress(1, 1, "84991234567"),)
    answer = esme.response(esme.send(SubmitMulti(source_addr=SENDER, dest_address=bad, short_message=b"x")))
    assert answer.command_status == 0x45
    answer = esme.response(esme.send(SubmitMulti(source_addr=SENDER, short_message=b"x")))
    assert answer.command_status == 0x33


@pytest.mark.parametrize(("state", "status"), [("DELIVRD", 0), ("UNDELIV", 0xFE)])
def test_transaction_mode_answers_with_the_end(state: str, status: int) -> None:
    rig = Rig(receipts={"delay": 2, "weights": {state: 1}})
    esme = rig.bound()
    text = Tlv(0x0424, b"Co hen luc 8 gio")
    number = esme.send(DataSm(source_addr=SENDER, destination_addr=HANDSET, esm_class=2, tlvs=(text,)))
    other = esme.submit(esm_class=2)
    rig.advance(1.9)
    assert esme.unanswered(number)
    rig.advance(0.2)
    answer, submitted = esme.response(number), esme.response(other)
    assert isinstance(answer, DataSmResp)
    assert isinstance(submitted, SubmitSmResp)
    assert answer.command_status == submitted.command_status == status
    assert tlv_int(answer, 0x0425) == (None if status == 0 else 2)
    assert bool(submitted.message_id) == (status == 0)


def test_datagram_mode_has_no_receipt() -> None:
    rig = Rig(receipts={"delay": 0.1})
    esme = rig.bound()
    esme.submitted(esm_class=1)
    rig.advance(1)
    assert esme.delivered() == []
    assert len(rig.inbox()) == 1


def test_congestion_state_grows_with_the_use_of_the_licence() -> None:
    rig = Rig(tps=10, congestion_state=True)
    esme = rig.bound(interface_version=0x50)
    said = [tlv_int(esme.submitted(), 0x0428) for _ in range(11)]
    assert said == [10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 100]
    old = rig.bound(interface_version=0x33)
    assert tlv(old.submitted(), 0x0428) is None
