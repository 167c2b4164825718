"""The judge convicts: each law on evidence that was doctored to break it. A judge that never does proves nothing."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from judge import Evidence, Row, doubt_budget, judge, load, save

PHONE, SENDER = "84905000001", "MotcuaSMS"


def message(number: int, code: str, **changes: Any) -> Row:
    row = {
        "id": number,
        "receipt_code": code,
        "kind": "result_ready",
        "state": "delivered",
        "reason": "",
        "text": f"Ho so {code} da co ket qua",
        "parts": 1,
        "source_addr": SENDER,
        "destination_addr": PHONE,
        "possible_duplicate": False,
        "mo_id": None,
    }
    return row | changes


def part(number: int, part_number: int, smsc_message_id: str | None, state: str = "delivered") -> Row:
    usual = {"state": state, "smsc_message_id": smsc_message_id, "command_status": 0}
    return {"message_id": number, "part": part_number, **usual}


def submit(smsc_message_id: str, text: str, udh: list[int] | None = None, **changes: Any) -> Row:
    entry = {
        "event": "submit",
        "source": SENDER,
        "destination": PHONE,
        "text": text,
        "udh": udh,
        "message_id": smsc_message_id,
        "status": 0,
        "outcome": "answered",
    }
    return entry | changes


def receipt(smsc_message_id: str, stat: str = "DELIVRD") -> Row:
    return {"event": "receipt", "message_id": smsc_message_id, "stat": stat, "outcome": "answered", "status": 0}


def life(**changes: Any) -> Row:
    usual = {"killed": False, "exit_status": 0, "started": True, "in_doubt": 0, "claimed_at_end": None, "events": []}
    return usual | changes


def sound() -> Evidence:
    """A run in which all went well: a short notice, one in two parts that was sent twice after a SIGKILL and is marked, a
    query with its reply, and a notice to a landline."""
    reply = {"source": "8083", "destination": "84906000001"}
    charge = {"mo_id": "900", "decision": "charge", "outcome": "charged"}
    return Evidence(
        window=4,
        response_timeout_s=2.0,
        record=[
            submit("100", "Ho so A da co ket qua"),
            submit("101", "Ho so B ", [2, 2, 1]),
            submit("102", "can bo sung", [2, 2, 2]),
            submit("103", "Ho so B ", [2, 2, 1]),
            submit("104", "dang o buoc Tham dinh", **reply, charge=charge),
            *(receipt(number) for number in ("100", "101", "102", "103", "104")),
            {"event": "mo", "message_id": "900", "status": 0, "source": "84906000001"},
        ],
        messages=[
            message(1, "A"),
            message(2, "B", parts=2, possible_duplicate=True, text="Ho so B can bo sung"),
            message(3, "900", kind="mo_reply", text="dang o buoc Tham dinh", mo_id=1, source_addr="8083")
            | {"destination_addr": "84906000001"},
            message(4, "C", state="rejected", reason="phone:LANDLINE", destination_addr=""),
        ],
        parts=[part(1, 1, "100"), part(2, 1, "101"), part(2, 2, "102"), part(3, 1, "104")],
        part_keys=[{"message_id": 2, "part": 1, "id_key": "103"}],
        waiting_receipts=[],
        mos=[{"id": 1, "smsc_message_id": "900", "state": "replied", "reason": ""}],
        mo_parts=[],
        charges=[{"mo_id": 1, "state": "charged", "amount_vnd": 1000}],
        journal=[{"mo_id": 1, "amount_vnd": 0}, {"mo_id": 1, "amount_vnd": 1000}],
        dossiers=["A", "B", "C"],
        inserted=[],
        queries=[{"number": "84906000001", "ids": ["900"]}],
        strikes=[{"kind": "kill", "seconds": 0.5, "count": 0}],
        lives=[life(killed=True, exit_status=-9, claimed_at_end=5), life()],
    )


def test_a_sound_run_is_acquitted() -> None:
    verdict = judge(sound())
    assert verdict.violations == ()
    assert verdict.counts["messages"] == 4
    assert verdict.counts["kills"] == 1
    assert (verdict.counts["lost"], verdict.counts["doubled"], verdict.counts["marked"]) == (0, 1, 1)


def test_evidence_can_be_judged_again(tmp_path: Path) -> None:
    save(sound(), tmp_path / "evidence.json")
    assert load(tmp_path / "evidence.json") == sound()


def without(event: str, smsc_message_id: str) -> Callable[[Evidence], None]:
    def doctor(evidence: Evidence) -> None:
        kept = [entry for entry in evidence.record if (entry["event"], entry["message_id"]) != (event, smsc_message_id)]
        assert len(kept) < len(evidence.record)
        evidence.record[:] = kept

    return doctor


def changed(rows: str, at: int, **changes: Any) -> Callable[[Evidence], None]:
    return lambda evidence: getattr(evidence, rows)[at].update(changes)


def added(rows: str, row: Row | str) -> Callable[[Evidence], None]:
    return lambda evidence: getattr(evidence, rows).append(deepcopy(row))


def removed(rows: str, at: int) -> Callable[[Evidence], None]:
    def doctor(evidence: Evidence) -> None:
        del getattr(evidence, rows)[at]

    return doctor


BOOKED_TWICE = submit("", "x", source="8083", destination="84906000001") | {
    "charge": {"mo_id": "900", "decision": "charge", "outcome": "charged_before"}
}
REPLY_AGAIN = submit("105", "dang o buoc Tham dinh", source="8083", destination="84906000001")
FAULT = {"event": "outcome_given_up", "level": "error"}

CRIMES: dict[str, tuple[str, Callable[[Evidence], None]]] = {
    "it does not settle": ("everything comes to rest", added("unsettled", "queued: 3")),
    "the daemon ends by itself": ("the daemon lives", changed("lives", 1, exit_status=1)),
    "its log tells of a fault": ("no fault of the program", changed("lives", 1, events=[FAULT])),
    "a message stays": ("every message ends", changed("messages", 0, state="queued")),
    "an end without a reason": ("with a reason", changed("messages", 3, reason="")),
    "a dossier without a message": ("announced once", added("dossiers", "Z")),
    "a message that was inserted is gone": ("announced once", added("inserted", "Z")),
    "a dossier announced twice": ("announced once", added("messages", message(9, "C", state="cancelled", reason="x"))),
    "a submit of nobody's": ("nothing that is not in the store", added("record", submit("200", "Xin chao"))),
    "delivered, and the SMSC never took it": ("nothing lost", without("submit", "100")),
    "delivered, and the SMSC has one of two parts": ("nothing lost", without("submit", "102")),
    "delivered, and no receipt ever said so": ("nothing lost", without("receipt", "100")),
    "delivered, and the receipt said otherwise": ("nothing lost", changed("record", 5, stat="UNDELIV")),
    "given up in doubt without a second attempt": (
        "nothing lost", changed("messages", 0, state="undelivered", reason="in_doubt"),
    ),
    "cancelled, and the SMSC has it": (
        "cancelled ones never leave", changed("messages", 0, state="cancelled", reason="reverted"),
    ),
    "taken, and the store does not know": ("the store knows", changed("parts", 0, smsc_message_id=None)),
    "an id that the SMSC never gave": ("ids are the SMSC's", changed("parts", 0, smsc_message_id="999")),
    "an id of another message": ("ids are the SMSC's", changed("parts", 0, smsc_message_id="102")),
    "doubled and not marked": ("doubled only what is marked", changed("messages", 1, possible_duplicate=False)),
    "sent three times": ("sent again once", added("record", submit("105", "Ho so B ", [2, 2, 1]))),
    "a reply sent twice": ("replies are never sent again", added("record", REPLY_AGAIN)),
    "more marked than the window": ("no more than the window", lambda evidence: evidence.strikes.clear()),
    "more in hand than the window": ("one window in doubt", changed("lives", 0, claimed_at_end=6)),
    "a receipt was answered and is not there": ("receipts are kept", added("record", receipt("777"))),
    "a receipt was answered and changed nothing": ("receipts are kept", changed("parts", 0, state="accepted")),
    "an MO was acknowledged and is not there": ("acknowledged means kept", removed("mos", 0)),
    "an MO was recorded twice": (
        "one record per query", added("mos", {"id": 2, "smsc_message_id": "900", "state": "ignored", "reason": "x"}),
    ),
    "an MO of nobody's": (
        "no query that nobody sent", added("mos", {"id": 2, "smsc_message_id": "901", "state": "ignored", "reason": "x"}),
    ),
    "a query without a reply": ("one reply per query", removed("messages", 2)),
    "a query that is still open": ("one reply per query", changed("mos", 0, state="received")),
    "a query without a charge": ("one charge per query", removed("charges", 0)),
    "a query with two charges": (
        "one charge per query", added("charges", {"mo_id": 1, "state": "not_charged", "amount_vnd": 0}),
    ),
    "a charge that stays open": ("every charge ends", changed("charges", 0, state="decided")),
    "the operator charged, the ledger says no": ("ledger and operator agree", changed("charges", 0, state="refunded")),
    "the ledger charged, the operator did not": (
        "ledger and operator agree", changed("record", 4, charge={"mo_id": "900", "outcome": "not_charged"}),
    ),
    "unknown, though the reply was delivered": ("unknown only in doubt", changed("charges", 0, state="unknown")),
    "the operator booked twice": ("one charge per query", added("record", BOOKED_TWICE)),
    "the operator booked a reply without a query": (
        "no reply without a query", changed("record", 4, charge={"mo_id": "", "outcome": "no_mo"}),
    ),
    "the journal tells another sum": ("the ledger balances", removed("journal", 1)),
}  # fmt: skip


@pytest.mark.parametrize("crime", CRIMES)
def test_the_judge_convicts(crime: str) -> None:
    law, doctor = CRIMES[crime]
    evidence = sound()
    doctor(evidence)
    assert any(violation.startswith(law) for violation in judge(evidence).violations), judge(evidence).violations


def test_a_store_that_cannot_be_reached_is_no_fault_of_the_program() -> None:
    evidence = sound()
    evidence.lives.insert(0, life(exit_status=1, started=False, events=[{"event": "gateway_gives_up"}]))
    evidence.lives[-1]["events"] = [{"event": "mo_not_recorded"}]
    assert judge(evidence).violations == ()


def test_a_reply_in_doubt_leaves_its_charge_unknown() -> None:
    evidence = sound()
    evidence.messages[2] |= {"state": "undelivered", "reason": "in_doubt"}
    evidence.charges[0] |= {"state": "unknown"}
    evidence.journal.pop()
    assert judge(evidence).violations == ()


def test_parts_of_one_message_may_be_mixed_up_only_where_receipts_name_no_part() -> None:
    evidence = sound()
    evidence.record.remove(next(entry for entry in evidence.record if entry["message_id"] == "103"))
    evidence.record.remove(next(entry for entry in evidence.record if entry["message_id"] == "103"))
    evidence.part_keys.clear()
    evidence.messages[1]["possible_duplicate"] = False
    assert judge(evidence).violations == ()
    evidence.parts[1] |= {"smsc_message_id": "102", "command_status": None}
    evidence.parts[2] |= {"smsc_message_id": "101", "command_status": None}
    assert len(judge(evidence).violations) == 4
    evidence.references = False
    assert judge(evidence).violations == ()
    evidence.parts[1] |= {"command_status": 0}
    assert any(violation.startswith("ids are the SMSC's") for violation in judge(evidence).violations)


def test_the_budget_grows_with_what_was_struck() -> None:
    evidence = sound()
    strikes = {
        "kill": 5, "kill_starting": 10, "cut": 5, "congestion": 0, "lost_answers": 3, "half_open": 15, "store_stopped": 5,
    }  # fmt: skip
    for kind, budget in strikes.items():
        evidence.strikes = [{"kind": kind, "seconds": 3.0, "count": 3}]
        assert doubt_budget(evidence) == budget, kind
