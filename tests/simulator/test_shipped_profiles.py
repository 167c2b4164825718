"""Each shipped charging profile against the simulator, with every outcome: ledger and operator's books must agree."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from charging_world import BAD_SYNTAX, FOUND, World
from inline_db import InlineDatabase
from simulator_rig import HANDSET

from gateway.smpp.pdu import Tlv, tlv
from gateway.store.ledger import ledger_totals_txn

STATUSES = {"insufficient_balance": 0x0405, "no_mo": 0x0407, "charged_before": 0x0408}
#: What the operator's engineer would set up for each profile. A subaddress and billing_identification begin with an octet
#: of their own; the simulator reads octets as Latin-1.
OPERATORS: dict[str, dict[str, Any]] = {
    "service_type": {"decision_service_type": True},
    "tlv": {"decision_tlv": {"tag": 0x1401}, "link_tlv": {"tag": 0x1402}},
    "subaddress": {
        "decision_tlv": {"tag": 0x0202, "type": "octets"},
        "decision_values": {"\xa01": "charge", "\xa00": "no_charge", "\xa02": "refund"},
    },
    "smpp5-billing": {
        "decision_tlv": {"tag": 0x060B, "type": "octets"},
        "decision_values": {"\x801": "charge", "\x800": "no_charge", "\x802": "refund"},
    },
}
WRITING = sorted(OPERATORS)
#: ESME_RINVDSTADR: no try will pass.
REFUSING = {"statuses": {"rules": [{"destination": "^84905", "status": 0x0B}]}}


@pytest.fixture
def db(sqlite_store_url: str) -> Iterator[InlineDatabase]:
    database = InlineDatabase(sqlite_store_url)
    yield database
    totals = database.do(ledger_totals_txn)
    assert totals.balanced
    database.close()


def world(db: InlineDatabase, profile: str, **changes: Any) -> World:
    operator = {**OPERATORS.get(profile, {}), "statuses": STATUSES, "balance_vnd": 5000, **changes.pop("operator", {})}
    return World(db, profile, operator, **changes)


def settled(scene: World) -> str:
    """After the answer, and where the operator tells later, after the receipt."""
    scene.pump()
    if scene.state == "sent":
        scene.receipts_come()
        scene.pump()
    return scene.state


@pytest.mark.parametrize("profile", ["none", *WRITING])
def test_charged(db: InlineDatabase, profile: str) -> None:
    scene = world(db, profile)
    scene.ask()
    assert settled(scene) == "charged"
    assert (scene.booked, scene.balance) == (["charged"], 4000)
    [reply] = scene.story.replies
    assert reply.decision == "charge"


@pytest.mark.parametrize("profile", WRITING)
def test_not_charged(db: InlineDatabase, profile: str) -> None:
    scene = world(db, profile)
    scene.ask(BAD_SYNTAX)
    assert settled(scene) == "not_charged"
    assert (scene.booked, scene.balance) == (["not_charged"], 5000)


@pytest.mark.parametrize("profile", WRITING)
def test_insufficient_balance(db: InlineDatabase, profile: str) -> None:
    scene = world(db, profile, operator={"balances": {HANDSET: 999}})
    scene.ask()
    assert settled(scene) == "insufficient_balance"
    assert (scene.booked, scene.balance) == (["insufficient_balance"], 999)


@pytest.mark.parametrize(("error", "expected"), [("021", "insufficient_balance"), ("023", "not_charged")])
@pytest.mark.parametrize("form", ["text", "tlv"])
def test_smpp5_billing_reads_the_outcome_from_the_receipt(
    db: InlineDatabase, error: str, expected: str, form: str
) -> None:
    rules = [{"destination": "^84905", "state": "UNDELIV", "error": error}]
    scene = world(db, "smpp5-billing", account={"receipts": {"rules": rules, "form": form}})
    scene.ask()
    scene.pump()
    assert scene.state == "sent"
    scene.receipts_come()
    assert scene.state == expected


@pytest.mark.parametrize("profile", ["none", *WRITING])
def test_refused(db: InlineDatabase, profile: str) -> None:
    """The citizen has no answer: whatever was taken is to be given back."""
    scene = world(db, profile, account=REFUSING)
    scene.ask()
    assert settled(scene) == "refunded"
    assert scene.story.charge is not None
    assert scene.story.charge.outcome_raw == "0x0000000B"


@pytest.mark.parametrize("profile", ["none", *WRITING])
def test_no_answer(db: InlineDatabase, profile: str) -> None:
    scene = world(db, profile)
    scene.ask()
    scene.lose_answer()
    scene.pump()
    assert scene.state == "unknown"


@pytest.mark.parametrize("profile", ["none", *WRITING])
def test_no_answer_and_then_the_receipt(db: InlineDatabase, profile: str) -> None:
    scene = world(db, profile)
    scene.ask()
    scene.lose_answer()
    scene.receipts_come()
    assert scene.state == "charged"


@pytest.mark.parametrize("profile", ["none", *WRITING])
def test_the_answer_after_the_receipt(db: InlineDatabase, profile: str) -> None:
    scene = world(db, profile)
    scene.ask()
    scene.receipts_come()
    assert scene.state == "decided"  # the receipt waits: nothing tells yet whose it is
    assert settled(scene) == "charged"
    assert scene.booked == ["charged"]


@pytest.mark.parametrize("profile", ["none", *WRITING])
def test_an_answer_that_comes_late(db: InlineDatabase, profile: str) -> None:
    scene = world(db, profile)
    scene.ask()
    lost = scene.lose_answer()
    scene.pump()
    assert scene.state == "unknown"
    scene.late_answer(lost)
    scene.receipts_come()
    assert scene.state == "charged"


@pytest.mark.parametrize("profile", WRITING)
def test_refund_accepted(db: InlineDatabase, profile: str) -> None:
    scene = world(db, profile, overrides={"charged_on": "mo"}, operator={"charge_at": "mo"})
    scene.ask(BAD_SYNTAX)
    assert settled(scene) == "refunded"
    assert (scene.booked, scene.balance) == (["charged", "refunded"], 5000)


@pytest.mark.parametrize("profile", WRITING)
def test_refund_refused(db: InlineDatabase, profile: str) -> None:
    scene = world(db, profile, overrides={"charged_on": "mo"}, operator={"charge_at": "mo"}, account=REFUSING)
    scene.ask(BAD_SYNTAX)
    assert settled(scene) == "charged"
    assert scene.balance == 4000  # the books say the same
    assert scene.db.do(ledger_totals_txn).charged_vnd == 1000


def test_the_link_by_user_message_reference(db: InlineDatabase) -> None:
    """A short id of the operator goes where the standard has a reference; one that does not fit goes without."""
    scene = world(
        db,
        "tlv",
        overrides={"link_tlv": {"tag": 0x0204, "type": "integer", "octets": 2}},
        operator={"link_tlv": {"tag": 0x0204, "type": "integer"}},
        bind={"send_user_message_reference": False},
        account={"message_ids": {"form": "decimal", "start": 77}},
    )
    scene.ask()
    [(_, pdu)] = scene.client.sent
    link = scene.story.smsc_message_id
    assert tlv(pdu, 0x0204) == int(link).to_bytes(2, "big")
    assert settled(scene) == "charged"


@pytest.mark.parametrize(
    ("tlvs", "status", "expected"),
    [
        ((Tlv(0x1410, b"NOBAL\0"),), 0, "insufficient_balance"),
        ((Tlv(0x1410, b"FREE\0"),), 0, "not_charged"),
        ((Tlv(0x1410, b"NOBAL\0"),), 0x45, "insufficient_balance"),  # the TLV is more precise than ESME_RSUBMITFAIL
        ((Tlv(0x1410, b"?\0"),), 0, "charged"),
        ((Tlv(0x0423, b"\x03\x00\x21"),), 0, "insufficient_balance"),
        ((Tlv(0x0423, b"\x01\x00\x21"),), 0, "charged"),  # another network's code
        ((Tlv(0x0423, b"\x03"),), 0, "charged"),
        ((), 0, "charged"),
    ],
)
def test_the_outcome_in_tlvs_of_the_response(
    db: InlineDatabase, tlvs: tuple[Tlv, ...], status: int, expected: str
) -> None:
    scene = world(
        db,
        "tlv",
        overrides={
            "outcome_tlv": {"tag": 0x1410},
            "outcome_tlv_values": {"NOBAL": "insufficient_balance", "FREE": "not_charged"},
            "outcome_network_errors": {"3:33": "insufficient_balance"},
        },
    )
    scene.ask(FOUND)
    scene.client.answer(status, tlvs=tlvs)
    scene._numbers.clear()
    scene.pump()
    assert scene.state == expected
