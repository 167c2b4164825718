"""The demonstration's check must fail when something is lost, doubled, wrong or unfinished."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from typing import Any

import pytest

from demo.agencies import CaseFile, Procedure, Stage
from demo.books import BookedMessage, BookedQuery
from demo.check import check
from demo.counter import Expected
from demo.people import Applicant
from demo.record import Record
from gateway.clock import VIETNAM
from gateway.model import ChargeState, MessageKind, MessageState

NOON = datetime(2026, 3, 4, 12, tzinfo=VIETNAM)
NUMBER = "84905123456"


def a_file(code: str, mobile: str = NUMBER, reason: str = "") -> CaseFile:
    applicant = Applicant("Nguyễn Văn A", mobile or None, date(2026, 3, 1), mobile, reason)
    return CaseFile(code, "ready", applicant, Procedure("1", "x"), NOON, NOON, Stage.PROCESSING)


def a_message(**changes: Any) -> BookedMessage:
    message = BookedMessage(
        id=1,
        source="a",
        code="0101700001",
        kind=MessageKind.RESULT_READY,
        state=MessageState.DELIVERED,
        reason="",
        agency_name="A",
        text="TB: 0101700001 da co",
        parts=1,
        source_addr="MotcuaSMS",
        destination_addr=NUMBER,
        possible_duplicate=False,
        accepted=True,
        left=True,
        mo_id=None,
    )
    return replace(message, **changes)


REJECTED = a_message(
    id=2, code="0101700002", state=MessageState.REJECTED, reason="phone:MISSING", destination_addr="", accepted=False
)
REPLY = a_message(
    id=3, source="mo", code="1", kind=MessageKind.MO_REPLY, source_addr="8083", text="Ho so", mo_id=1, agency_name=""
)
EXPECTED = [
    Expected("a", a_file("0101700001"), MessageKind.RESULT_READY),
    Expected("a", a_file("0101700002", "", "MISSING"), MessageKind.RESULT_READY),
]
QUERY = BookedQuery(1, NUMBER, "MCKH 0101700001", "OK", "status", "a", ChargeState.CHARGED, 1000, "mo-1")


def a_submit(text: str, source: str = "MotcuaSMS", **changes: Any) -> dict[str, Any]:
    entry = {"event": "submit", "source": source, "destination": NUMBER, "text": text, "udh": None, "status": 0}
    return {**entry, "outcome": "answered", **changes}


CHARGE = {"mo_id": "mo-1", "outcome": "charged", "amount_vnd": 1000}
MO = {"event": "mo", "message_id": "mo-1", "source": NUMBER, "text": "MCKH 0101700001"}
GOOD = [a_submit("TB: 0101700001 da co"), a_submit("Ho so", "8083", charge=CHARGE), MO]


def problems(
    messages: list[BookedMessage] | None = None,
    entries: list[dict[str, Any]] | None = None,
    queries: list[BookedQuery] | None = None,
) -> list[str]:
    findings = check(
        EXPECTED,
        [a_message(), REJECTED, REPLY] if messages is None else messages,
        [QUERY] if queries is None else queries,
        Record(GOOD if entries is None else entries),
    )
    return [problem for finding in findings for problem in finding.problems]


def test_a_good_day_has_no_problems() -> None:
    assert problems() == []


def test_a_notice_that_was_never_made() -> None:
    found = problems([REJECTED, REPLY], [GOOD[1], MO])
    assert found == ["result_ready of 0101700001 (ready): made 0 times"]


def test_a_notice_made_twice() -> None:
    assert any("made 2 times" in problem for problem in problems([a_message(), a_message(id=9), REJECTED, REPLY]))


def test_a_notice_to_a_wrong_number() -> None:
    other = {**GOOD[0], "destination": "84900000001"}
    found = problems([a_message(destination_addr="84900000001"), REJECTED, REPLY], [other, *GOOD[1:]])
    assert found == [
        "result_ready of 0101700001 (ready): delivered to '84900000001', not to 84905123456",
    ]


def test_a_wrong_reason_of_rejection() -> None:
    found = problems([a_message(), replace(REJECTED, reason="phone:LANDLINE"), REPLY])
    assert len(found) == 1
    assert "is MISSING" in found[0]


def test_a_notice_that_was_taken_back_must_not_leave() -> None:
    mistake = Expected("a", a_file("0101700003"), MessageKind.RESULT_READY, taken_back=True)
    cancelled = a_message(id=5, code="0101700003", state=MessageState.CANCELLED, accepted=False, left=False)
    good = [a_message(), REJECTED, REPLY, cancelled]
    assert [finding.problems for finding in check([*EXPECTED, mistake], good, [QUERY], Record(GOOD))] == [()] * 6
    left = a_message(id=5, code="0101700003", text="TB: 0101700003 da co")
    entries = [*GOOD, a_submit(left.text)]
    findings = check([*EXPECTED, mistake], [a_message(), REJECTED, REPLY, left], [QUERY], Record(entries))
    assert findings[0].problems == ("result_ready of 0101700003 (ready): delivered, but it was taken back in time",)


def test_a_notice_that_nobody_waits_for() -> None:
    extra = a_message(id=9, code="0101700099", text="TB: 0101700099 da co")
    found = problems([a_message(), REJECTED, REPLY, extra], [*GOOD, a_submit(extra.text)])
    assert found == ["result_ready of 0101700099: delivered"]


@pytest.mark.parametrize("state", ["held", "queued", "sending", "accepted", "unknown"])
def test_a_message_that_has_not_ended(state: str) -> None:
    found = problems([a_message(state=MessageState(state)), REJECTED, REPLY])
    assert any(f"is still {state}" in problem for problem in found)


def test_a_lost_message() -> None:
    assert problems(entries=GOOD[1:]) == [
        "1 × to 84905123456 from MotcuaSMS: “TB: 0101700001 da co” is not with the operator"
    ]


def test_a_message_sent_twice() -> None:
    assert problems(entries=[GOOD[0], *GOOD]) == [
        "1 × to 84905123456 from MotcuaSMS: “TB: 0101700001 da co” was taken by the operator too often"
    ]


def test_refused_and_dropped_submits_are_not_taken() -> None:
    refused = a_submit("TB: 0101700001 da co", status=0x58)
    dropped = a_submit("TB: 0101700001 da co", outcome="request_dropped")
    assert problems(entries=[refused, dropped, *GOOD]) == []


def test_a_part_that_is_missing() -> None:
    long = a_message(text="AB", parts=2)
    one = a_submit("A", udh=[7, 2, 1])
    two = a_submit("B", udh=[7, 2, 2])
    assert problems([long, REJECTED, REPLY], [one, two, *GOOD[1:]]) == []
    found = problems([long, REJECTED, REPLY], [one, *GOOD[1:]])
    assert any("“AB” is not with the operator" in problem for problem in found)
    assert any("(parts [1] of 2 only)" in problem for problem in found)
    assert any("too often" in problem for problem in problems([long, REJECTED, REPLY], [one, two, one, two, *GOOD[1:]]))


def test_a_query_that_was_forgotten_or_answered_twice() -> None:
    second = {**MO, "message_id": "mo-2"}
    assert any("booked 0 times" in problem for problem in problems(entries=[*GOOD, second]))
    twice = replace(REPLY, id=9)
    assert any("2 replies" in problem for problem in problems([a_message(), REJECTED, REPLY, twice]))


def test_a_charge_that_the_operator_booked_otherwise() -> None:
    found = problems(queries=[replace(QUERY, charge_state=ChargeState.REFUNDED)])
    assert found == ["query 1 “MCKH 0101700001”: refunded in our ledger, charged with the operator"]
