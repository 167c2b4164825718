"""docs/notices.md, "The table": every state × event → notice, cell by cell, and the page itself."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from agency_database import a_dossier

from gateway.jobs.rules import Moment, RuleBook, called_for, decide, decide_apology
from gateway.model import Dossier, DossierState, MessageKind, MessageState
from gateway.settings import AgencySettings, NoticeSettings
from gateway.store.decisions import ConflictKind, Decision, NoticeInfo, NoticePlan, Skip, StoredDossier

S, K, M = DossierState, MessageKind, MessageState
NOW = datetime(2026, 3, 3, 3, 0, tzinfo=UTC)
DOC = (Path(__file__).parents[2] / "docs" / "notices.md").read_text(encoding="utf-8")

#: The events of the page: what else the row says when the dossier comes into the state.
EVENTS: dict[str, dict[str, Any]] = {
    "counter": {},
    "at the one-stop shop": {"at_one_stop_shop": True},
    "by post": {"return_by_post": True},
    "online": {"extra": (("channel", "portal"),)},
    "online, with reason": {"extra": (("channel", "portal"), ("reason", "thiếu bản sao"))},
    "online, clock stopped for originals": {
        "clock_stopped": True,
        "extra": (("channel", "portal"), ("reason", "thiếu bản gốc"), ("originals_wanted", "1")),
    },
    "payment notified": {"extra": (("payment_requested", "true"),)},
}


def the_table() -> dict[tuple[str, str], str]:
    """(state, event) → cell, as the page has it."""
    [block] = re.findall(r"<!-- decision table -->\n(.*?)\n\n", DOC, re.DOTALL)
    head, _, *lines = [[cell.strip(" *`") for cell in line.strip("|").split("|")] for line in block.splitlines()]
    return {(state, event): cell for state, *cells in lines for event, cell in zip(head[1:], cells, strict=True)}


TABLE = the_table()


def test_the_page_has_every_state_and_every_event() -> None:
    assert set(TABLE) == {(state.value, event) for state in S for event in EVENTS}


def judge(old: Dossier | None, new: Dossier, *infos: NoticeInfo, **notices: Any) -> Decision:
    book = RuleBook(NoticeSettings(**{"enabled": tuple(K), **notices}), {})
    stored = StoredDossier(old, "x", None, NOW, NOW) if old else None
    return decide(stored, new, infos, book, Moment(NOW, NOW - timedelta(days=2), first_read=False))


@pytest.mark.parametrize(("state", "event"), sorted(TABLE))
def test_each_cell_with_every_kind_enabled(state: str, event: str) -> None:
    before = S.STOPPED if state != "stopped" else S.PROCESSING
    decision = judge(a_dossier(state=before), a_dossier(state=S(state), **EVENTS[event]))
    assert ", ".join(plan.kind.value for plan in decision.notices) == TABLE[state, event].replace("—", "")


@pytest.mark.parametrize(("state", "event"), sorted(TABLE))
def test_each_cell_with_the_kinds_that_are_on_by_default(state: str, event: str) -> None:
    decision = judge(
        a_dossier(state=S.PROCESSING if state == "stopped" else S.STOPPED),
        a_dossier(state=S(state), **EVENTS[event]),
        enabled=NoticeSettings().enabled,
    )
    made = [plan.kind for plan in decision.notices]
    wanted = TABLE[state, event].replace("—", "")
    assert [kind.value for kind in made] == ([wanted] if wanted in ("result_ready", "supplement_needed") else [])
    if wanted and not made:
        assert [skip.reason for skip in decision.skips] == ["by_post" if wanted == "result_by_post" else "disabled"]


@pytest.mark.parametrize(("state", "event"), sorted(TABLE))
def test_staying_in_a_cell_announces_nothing_again(state: str, event: str) -> None:
    row = a_dossier(state=S(state), **EVENTS[event])
    told = [NoticeInfo(1, kind, "1", M.DELIVERED, "") for kind in K]
    assert judge(row, replace(row, step_name="Bước khác"), *told).notices == ()


@pytest.mark.parametrize("state", list(S))
def test_the_apologys_row(state: DossierState) -> None:
    book = RuleBook(NoticeSettings(), {})
    for stopped in (False, True):
        made = decide_apology(a_dossier(state=state, clock_stopped=stopped), date(2026, 3, 4), book, NOW)
        assert isinstance(made, Skip if state.ended or stopped else NoticePlan)


# --- triggers ------------------------------------------------------------------------------------------------------


def online(state: DossierState, reason: str = "thiếu bản sao", **changes: Any) -> Dossier:
    return a_dossier(state=state, extra=(("channel", "portal"), *((("reason", reason),) if reason else ())), **changes)


def test_f49_a_refusal_without_reason_is_not_sent_until_the_reason_comes() -> None:
    silent = online(S.NOT_ACCEPTED, "")
    assert judge(online(S.REGISTERED, ""), silent).skips == (Skip(K.ONLINE_REFUSED, "reason_missing"),)
    assert [plan.kind for plan in judge(silent, online(S.NOT_ACCEPTED)).notices] == [K.ONLINE_REFUSED]
    lax = {"online": {"require_reason": False}}
    assert [plan.kind for plan in judge(online(S.REGISTERED, ""), silent, **lax).notices] == [K.ONLINE_REFUSED]


def test_f46_channels_are_settings() -> None:
    row = a_dossier(state=S.NOT_ACCEPTED, extra=(("channel", "Hue-S"), ("reason", "x")))
    assert called_for(row) is K.ONLINE_REFUSED
    assert called_for(row, NoticeSettings.model_validate({"online": {"channels": ["portal"]}})) is None


def test_f31_originals_are_wanted_by_the_status_word_too_and_only_while_the_clock_is_stopped() -> None:
    changes = {"status_raw": "Dừng tính bổ sung hồ sơ"}
    assert called_for(online(S.AWAITING_SUPPLEMENT, clock_stopped=True, **changes)) is K.ORIGINALS_WANTED
    assert called_for(online(S.AWAITING_SUPPLEMENT, **changes)) is K.ONLINE_SUPPLEMENT
    # switched off, the dossier at the one-stop shop is announced as any other supplement is
    at_shop = online(S.AWAITING_SUPPLEMENT, clock_stopped=True, at_one_stop_shop=True, **changes)
    assert called_for(at_shop) is K.SUPPLEMENT_NEEDED
    assert called_for(at_shop, NoticeSettings(enabled=tuple(K))) is K.ORIGINALS_WANTED
    # complete: the work goes on at once, and what waits is taken back
    waiting = NoticeInfo(1, K.ORIGINALS_WANTED, "1", M.HELD, "hold")
    assert [(c.kinds, c.reason) for c in judge(at_shop, online(S.PROCESSING), waiting).cancels] == [
        ((K.ORIGINALS_WANTED,), "reverted")
    ]


def test_f32_the_payment_is_told_before_the_clock_stops() -> None:
    asked = a_dossier(extra=(("payment_requested", "1"),))
    [plan] = judge(a_dossier(), asked).notices
    told = NoticeInfo(1, plan.kind, plan.occasion, M.ACCEPTED, "")
    stopped = a_dossier(state=S.AWAITING_PAYMENT, clock_stopped=True)
    after = judge(asked, stopped, told)
    assert (after.notices, after.conflicts) == ((), ())
    # the other order is told all the same, and listed
    late = judge(a_dossier(clock_stopped=True), stopped)
    assert [plan.kind for plan in late.notices] == [K.FINANCIAL_OBLIGATION]
    assert [conflict.what for conflict in late.conflicts] == [ConflictKind.CLOCK_STOPPED_FIRST]


def test_f47_a_receipt_stays_true_while_the_work_goes_on() -> None:
    received = a_dossier(state=S.RECEIVED)
    waiting = NoticeInfo(1, K.RECEIPT_ISSUED, "1", M.HELD, "hold")
    assert judge(received, a_dossier(), waiting).cancels == ()
    for undone in (S.REGISTERED, S.NOT_ACCEPTED):
        assert (K.RECEIPT_ISSUED,) in [c.kinds for c in judge(received, a_dossier(state=undone), waiting).cancels]


def test_a_further_supplement_request_is_announced_though_the_state_stands() -> None:
    first = a_dossier(state=S.AWAITING_SUPPLEMENT, at_one_stop_shop=True, extra=(("supplement_no", "1"),))
    second = replace(first, extra=(("supplement_no", "2"),))
    told = NoticeInfo(1, K.SUPPLEMENT_NEEDED, "1", M.DELIVERED, "")
    assert [plan.kind for plan in judge(first, second, told).notices] == [K.SUPPLEMENT_NEEDED]
    assert judge(second, replace(second, step_name="x"), told).notices == ()


# --- dated rules and names -----------------------------------------------------------------------------------------


def test_f33_a_rule_set_holds_on_its_days_only() -> None:
    rules = [
        {"name": "2964/UBND-KSTT", "from": "2026-03-01", "to": "2026-03-15", "hold_s": 0, "enabled": ["result_by_post"]}
    ]
    book = RuleBook(NoticeSettings.model_validate({"rule_sets": rules}), {})
    row = StoredDossier(a_dossier(), "x", None, NOW, NOW)

    def kinds(day: int, **changes: Any) -> list[tuple[str, str]]:
        at = datetime(2026, 3, day, 3, 0, tzinfo=UTC)
        new = a_dossier(state=S.RESULT_READY, **changes)
        decision = decide(row, new, (), book, Moment(at, NOW - timedelta(days=30), first_read=False))
        return [(plan.kind.value, plan.state.value) for plan in decision.notices]

    assert kinds(15) == []
    assert kinds(15, return_by_post=True) == [("result_by_post", "queued")]
    assert kinds(16) == [("result_ready", "held")]
    assert kinds(16, return_by_post=True) == []


def test_the_successor_of_an_agency_counts_from_its_day() -> None:
    agencies = {
        "KS": AgencySettings.model_validate({"succeeded_by": {"agency": "XKS", "from": "2026-03-04"}}),
        "XKS": AgencySettings.model_validate({"active_from": "2026-04-01"}),
        "A": AgencySettings.model_validate({"succeeded_by": {"agency": "B"}}),
        "B": AgencySettings.model_validate({"succeeded_by": {"agency": "A"}}),
    }
    book = RuleBook(NoticeSettings(), agencies)
    assert [book.active("KS", date(2026, month, day)) for month, day in ((3, 3), (3, 4), (4, 1))] == [True, False, True]
    assert book.active("A", date(2026, 1, 1))  # a circle in the configuration ends
