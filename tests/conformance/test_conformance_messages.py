"""Conformance C1 … C20 where the store takes part: a row of the outbox, octets on a wire, and what the row says after."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from inline_db import InlineDatabase
from mt_rig import operator_settings
from wire_rig import WireRig, wire_rig

from gateway.model import MessageState
from gateway.settings import StatusAction
from gateway.smpp.constants import CommandStatus, TlvTag
from gateway.smpp.pdu import DataSm, DeliverSm, Tlv, make_tlv
from gateway.smpp.text import Assembler, count_parts, decode_text, parse_concatenation, user_data
from gateway.store import waiting

S = CommandStatus
RECEIPT = 0x04
#: An extension character (two septets) and a surrogate pair (two units), so placed that each border falls inside one.
AT_THE_BORDER = {
    "gsm7": ("a" * 152 + "€") * 10,
    "ucs2": ("ộ" * 66 + "😀") * 10,
}
PER_PART = {"gsm7": 153, "ucs2": 67}


@pytest.fixture
def db(sqlite_store_url: str) -> Any:
    database = InlineDatabase(sqlite_store_url)
    yield database
    database.close()


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch, db: InlineDatabase) -> Any:
    def made(*binds: dict[str, Any], smsc: Any = None, **changes: Any) -> WireRig:
        return wire_rig(monkeypatch, db, operator_settings(*binds, **changes), smsc)

    return made


def receipt(message_id: str, stat: str = "DELIVRD", *, dates: str = "2603031000", **changes: Any) -> DeliverSm:
    text = f"id:{message_id} sub:001 dlvrd:001 submit date:{dates} done date:{dates} stat:{stat} err:000 text:Ho so"
    values: dict[str, Any] = {"source_addr": "84905123456", "esm_class": RECEIPT, "short_message": text.encode()}
    return DeliverSm(**{**values, **changes})


# C1, C5, C6, C7, C8


def test_c1_no_tlvs_to_a_peer_of_33_also_for_long_messages(make: Any) -> None:
    rig = make({"interface_version": 0x33, "long_message": "sar", "tlvs": {"billing": {"tag": 0x1401, "value": "x"}}})
    rig.add("1", text="x" * 400, parts=3)
    assert len(rig.smsc.submits) == 3
    assert {pdu.tlvs for pdu in rig.smsc.submits} == {()}


@pytest.mark.parametrize("window", [1, 10, 100])
def test_c5_the_window_is_kept_full_and_never_exceeded(make: Any, window: int) -> None:
    rig = make(
        {"window": window, "response_timeout_s": 600, "enquire_link_interval_s": 3600}, licence_parts_per_s=100_000
    )
    ids = rig.add(*[str(number) for number in range(2 * window + 1)])
    seen = []
    while rig.smsc.open:
        seen.append(len(rig.smsc.open))
        rig.smsc.answer()
        rig.turn(0.05)
    assert max(seen) == window
    assert seen.count(window) >= window
    assert rig.states(ids) == ["accepted"] * len(ids)


@pytest.mark.parametrize("status", [S.ESME_RTHROTTLED, S.ESME_RMSGQFUL])
def test_c6_a_throttled_bind_pauses_keeps_the_order_and_counts_no_failure(make: Any, status: CommandStatus) -> None:
    rig = make({"window": 3}, licence_parts_per_s=50)
    ids = rig.add(*[str(number) for number in range(6)])
    rig.turn(0.2)
    first = len(rig.smsc.submits)
    for _ in range(first):
        rig.smsc.answer(status)
    rig.turn(0.5)
    assert len(rig.smsc.submits) == first, "the bind pauses"
    rig.smsc.at_once = True
    rig.turn(6.0)
    texts = [user_data(pdu).decode() for pdu in rig.smsc.submits[first:]]
    assert texts == [f"Ho so {number} da co ket qua" for number in range(6)]
    assert rig.states(ids) == ["accepted"] * 6
    assert [rig.box.see(number).reason for number in ids] == [""] * 6


def test_c6_congestion_state_slows_down_and_the_message_counts(make: Any) -> None:
    rig = make({"interface_version": 0x50})
    (number,) = rig.add("1")
    rig.smsc.answer(tlvs=(make_tlv(TlvTag.CONGESTION_STATE, 95),))
    rig.turn(0.05)
    assert rig.box.state(number) == "accepted"
    assert rig.link.status()[0].throttled


@pytest.mark.parametrize(
    ("status", "action", "state"),
    [
        (S.ESME_RINVDSTADR, None, "rejected"),
        (S.ESME_RSYSERR, None, "held"),
        (0x0400, None, "rejected"),
        (0x04FF, StatusAction.DELAY, "held"),
        (0xDEADBEEF, None, "rejected"),
        (0xDEADBEEF, StatusAction.DELAY, "held"),
    ],
)
def test_c7_the_policy_is_by_bind_and_status_and_the_number_is_kept(
    make: Any, status: int, action: StatusAction | None, state: str
) -> None:
    rules = {} if action is None else {int(status): action}
    rig = make({"status_actions": rules})
    (number,) = rig.add("1")
    rig.smsc.answer(status)
    rig.turn(0.05)
    assert rig.box.state(number) == state
    if state == "rejected":
        assert rig.box.part(number).command_status == status


def test_c8_no_answer_is_unknown_then_settled_by_the_late_one(make: Any) -> None:
    rig = make({"response_timeout_s": 2.0, "enquire_link_interval_s": 60})
    (number,) = rig.add("1")
    rig.turn(2.5)
    assert rig.box.state(number) == "unknown"
    session, request = rig.smsc.open[0]
    rig.smsc.answer(message_id="late-1")
    rig.turn(0.1)
    assert (rig.box.state(number), rig.box.part(number).smsc_message_id) == ("accepted", "late-1")
    session.write_raw(bytes.fromhex("0000001180000004000000000000ffff00"))  # twice, and to nothing
    rig.turn(0.1)
    assert session.bound
    assert request.sequence_number != 0xFFFF


# C9


@pytest.mark.parametrize("parts", [2, 3, 10])
@pytest.mark.parametrize("coding", ["gsm7", "ucs2"])
@pytest.mark.parametrize("form", ["udh8", "udh16", "sar", "payload"])
def test_c9_long_messages_arrive_whole_with_an_id_and_a_receipt_for_each_part(
    make: Any, form: str, coding: str, parts: int
) -> None:
    text = AT_THE_BORDER[coding][: (PER_PART[coding] - 1) * parts - 3]
    assert count_parts(text, coding) == parts
    rig = make({"long_message": form, "window": 20})
    (number,) = rig.add("1", text=text, coding=coding, parts=parts)
    sent = list(rig.smsc.submits)
    assert len(sent) == (1 if form == "payload" else parts)
    assert {pdu.registered_delivery for pdu in sent} == {1}
    assert received(sent) == text
    ids = [rig.smsc.answer() for _ in sent]
    rig.turn(0.1)
    assert rig.box.state(number) == "accepted"
    for given in reversed(ids):
        assert rig.box.state(number) == "accepted"
        rig.deliver(receipt(given))
    assert rig.box.state(number) == "delivered"
    assert set(rig.box.parts(number).values()) == {"delivered"}


def received(pdus: list[Any]) -> str:
    """The text as a handset shows it. Each part is decoded alone: a character cut in two would not come back."""
    assembler, whole = Assembler(), None
    for pdu in reversed(pdus):
        part = parse_concatenation(pdu)
        if part is None:
            [alone] = pdus
            return decode_text(user_data(alone), alone.data_coding) or ""
        whole = assembler.add("one", pdu.source_addr, pdu.destination_addr, part, pdu.data_coding, 0.0) or whole
    assert whole is not None
    texts = [decode_text(part.octets, part.data_coding) for part in whole]
    assert None not in texts
    return "".join(text or "" for text in texts)


# C10


@pytest.mark.parametrize(
    ("told", "state"),
    [
        (receipt("{id}"), "delivered"),
        (receipt("{id}", dates="260303100059"), "delivered"),
        (receipt("{id}", "UNDELIV"), "undelivered"),
        (receipt("{id}", "DELETED"), "undelivered"),
        (receipt("{id}", "EXPIRED"), "expired"),
        (receipt("{id}", "REJECTD"), "rejected"),
        (receipt("{id}", "ENROUTE"), "accepted"),
        (receipt("{id}", "ACCEPTD"), "accepted"),
        (receipt("{id}", "WHATEVER"), "accepted"),
        (receipt("{id}", "DELIVRD", esm_class=0x20), "accepted"),  # intermediate notification
        (DeliverSm(source_addr="84905123456", esm_class=RECEIPT, short_message=b"id:{id} stat:DELIVRD"), "delivered"),
        (
            DeliverSm(source_addr="84905123456", esm_class=RECEIPT, tlvs=(Tlv(0x1E, b"{id}\0"), Tlv(0x427, b"\2"))),
            "delivered",
        ),
        (
            DeliverSm(source_addr="84905123456", esm_class=RECEIPT, tlvs=(Tlv(0x1E, b"{id}\0"), Tlv(0x427, b"\6"))),
            "accepted",
        ),
        (receipt("other", "UNDELIV", tlvs=(Tlv(0x1E, b"{id}\0"), Tlv(0x427, b"\2"))), "delivered"),
        (
            DataSm(source_addr="84905123456", esm_class=RECEIPT, tlvs=(Tlv(0x1E, b"{id}\0"), Tlv(0x427, b"\5"))),
            "undelivered",
        ),
    ],
)
def test_c10_receipts_in_every_form(make: Any, told: Any, state: str) -> None:
    rig = make()
    (number,) = rig.add("1")
    given = rig.smsc.answer(message_id="9f3a-1")
    rig.turn(0.05)
    tlvs = tuple(one._replace(value=one.value.replace(b"{id}", given.encode())) for one in told.tlvs)
    changes: dict[str, Any] = {"tlvs": tlvs}
    if isinstance(told, DeliverSm):
        changes["short_message"] = told.short_message.replace(b"{id}", given.encode())
    rig.deliver(told._replace(**changes), "r")
    assert rig.box.state(number) == state
    assert rig.smsc.delivered == [("r", 0)]


@pytest.mark.parametrize(
    ("id_base", "in_response", "in_receipt"),
    [
        ("response_hex", "1A2B", "6699"),
        ("response_hex", "00001a2b", "0000006699"),
        ("receipt_hex", "6699", "1A2B"),
        ("either", "1a2b", "6699"),
        ("as_given", "0042", "0042"),
        ("either", "3f6a9c1e-0000-4c11-9a00-0123456789ab", "3F6A9C1E-0000-4C11-9A00-0123456789AB"),
        ("either", "9223372036854775809", "9223372036854775809"),
        ("response_hex", "FFFFFFFFFFFFFFFFFF", str(0xFFFFFFFFFFFFFFFFFF)),
    ],
)
def test_c10_ids_in_two_spellings(make: Any, id_base: str, in_response: str, in_receipt: str) -> None:
    rig = make({"receipts": {"id_base": id_base}})
    (number,) = rig.add("1")
    rig.smsc.answer(message_id=in_response)
    rig.turn(0.05)
    rig.deliver(receipt(in_receipt))
    assert (rig.box.state(number), rig.box.part(number).smsc_message_id) == ("delivered", in_response)


def test_c10_without_the_esm_class_bit_by_the_setting_of_the_bind_only(make: Any) -> None:
    rig = make({"receipts": {"recognise_without_esm_class": True}})
    (number,) = rig.add("1")
    given = rig.smsc.answer()
    rig.turn(0.05)
    rig.deliver(receipt(given, esm_class=0))
    assert (rig.box.state(number), rig.queries) == ("delivered", [])


def test_c10_without_the_setting_such_a_text_is_a_citizens(make: Any) -> None:
    rig = make()
    (number,) = rig.add("1")
    given = rig.smsc.answer()
    rig.turn(0.05)
    rig.deliver(receipt(given, esm_class=0))
    assert (rig.box.state(number), len(rig.queries)) == ("accepted", 1)


# C11


def test_c11_a_receipt_before_its_response_is_kept_and_matched(make: Any) -> None:
    rig = make()
    (number,) = rig.add("1")
    rig.deliver(receipt("id-1"), "early")
    assert (rig.box.state(number), rig.smsc.delivered) == ("sending", [("early", 0)])
    assert rig.smsc.answer() == "id-1"
    rig.turn(0.1)
    assert (rig.box.state(number), rig.box.waiting()) == ("delivered", [])


def test_c11_a_receipt_after_a_restart_and_twice(make: Any, db: InlineDatabase) -> None:
    rig = make()
    (number,) = rig.add("1")
    given = rig.smsc.answer()
    rig.turn(0.1)
    rig.lane.stop()
    rig.boot()
    rig.start()
    rig.turn()
    rig.deliver(receipt(given), 1)
    rig.deliver(receipt(given, "UNDELIV"), 2)
    assert rig.box.state(number) == "delivered", "the first final one counts"
    assert rig.smsc.delivered == [(1, 0), (2, 0)]


def test_c11_a_receipt_for_nothing_we_sent_is_an_orphan(make: Any) -> None:
    rig = make()
    rig.deliver(receipt("nobody's"), "o")
    assert rig.smsc.delivered == [("o", 0)]
    assert [number for number, _status in rig.box.waiting()] == ["nobody's"]
    later = rig.box.later(hours=30)
    assert rig.db.do(waiting.orphan_receipts_txn, later - timedelta(hours=24), 10) == 1
    assert rig.box.waiting() == [("nobody's", "orphan")]
    assert rig.db.do(waiting.purge_orphans_txn, later, 10) == 1
    assert rig.box.waiting() == []


# C3, C17, C19, C20


def test_c3_a_peer_that_falls_silent_leaves_the_open_submits_unknown(make: Any) -> None:
    rig = make({"enquire_link_interval_s": 5, "response_timeout_s": 60, "reconnect_min_s": 0.5})
    (number,) = rig.add("1")
    rig.network.link.dead = True
    rig.turn(200)
    assert rig.box.state(number) == "unknown"
    assert len(rig.smsc.binds) >= 2, "and the link was opened again"


def test_c19_two_binds_share_the_load_and_one_takes_over_within_a_second(make: Any) -> None:
    rig = make({"window": 2}, {"window": 2, "host": "smsc2"}, licence_parts_per_s=100)
    rig.add("1", "2", "3", "4")
    assert {session for session, _ in rig.smsc.open} == set(rig.smsc.sessions)
    for _ in range(4):
        rig.smsc.answer()
    rig.turn(0.1)
    rig.network.links[0].cut()
    ids = rig.add("5", "6")
    rig.turn(0.4)
    assert len(rig.smsc.open) == 2
    assert rig.states(ids) == ["sending"] * 2
    assert sum(client.bound for client in rig.clients.values()) == 1
    rig.turn(2.0)
    assert sum(client.bound for client in rig.clients.values()) == 2, "fail back"


@pytest.mark.parametrize(
    ("source", "bind", "ton_npi"),
    [
        ("MotcuaSMS", {}, (5, 0)),
        ("8083", {}, (3, 0)),
        ("8083", {"source_ton_shortcode": 6, "source_npi_shortcode": 1}, (6, 1)),
        ("MotcuaSMS", {"source_ton_alphanumeric": 5, "source_npi_alphanumeric": 1}, (5, 1)),
    ],
)
def test_c20_addresses_as_the_bind_says(make: Any, source: str, bind: dict[str, Any], ton_npi: tuple[int, int]) -> None:
    rig = make(bind)
    rig.add("1", source_addr=source)
    [pdu] = rig.smsc.submits
    assert (pdu.source_addr, pdu.source_addr_ton, pdu.source_addr_npi) == (source, *ton_npi)
    assert (pdu.destination_addr, pdu.dest_addr_ton, pdu.dest_addr_npi) == ("84905123456", 1, 1)


def test_every_message_ends_with_its_state(make: Any) -> None:
    """A mixture of the above on one bind: nothing is forgotten."""
    rig = make({"window": 50})
    ids = rig.add(*[str(number) for number in range(40)])
    rig.turn(0.5)
    for index in range(40):
        rig.smsc.answer(0 if index % 4 else S.ESME_RINVDSTADR)
    rig.turn(0.1)
    for given in [f"id-{index + 1}" for index in range(40) if index % 4]:
        rig.deliver(receipt(given))
    assert {state: rig.states(ids).count(state) for state in set(rig.states(ids))} == {
        MessageState.DELIVERED.value: 30,
        MessageState.REJECTED.value: 10,
    }
