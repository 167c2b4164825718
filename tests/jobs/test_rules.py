"""The decision table of notices: state × event → notice. docs/decisions tells why."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.clock import VIETNAM
from gateway.jobs.calendar import in_night
from gateway.jobs.rules import Moment, RuleBook, called_for, decide, decide_apology
from gateway.model import Dossier, DossierState, MessageKind, MessageState
from gateway.settings import AgencySettings, NoticeSettings
from gateway.store.decisions import (
    ConflictKind,
    Decision,
    NoticeInfo,
    NoticePlan,
    Skip,
    StoredDossier,
)

S, K, M = DossierState, MessageKind, MessageState
NOW = datetime(2026, 3, 3, 3, 0, tzinfo=UTC)  # ten in the morning
START = datetime(2026, 3, 1, 0, 0, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def local(hour: int, minute: int = 0, day: int = 3) -> datetime:
    return datetime(2026, 3, day, hour, minute, tzinfo=VIETNAM)


def a_dossier(state: DossierState = S.PROCESSING, **changes: Any) -> Dossier:
    values: dict[str, Any] = {
        "source": "ks",
        "receipt_code": "0101701234",
        "agency_code": "KS",
        "agency_name": "UBND huyện Khánh Sơn",
        "state": state,
        "status_raw": state.value,
        "step_name": "Thẩm định",
        "at_one_stop_shop": False,
        "clock_stopped": False,
        "updated_at": NOW,
        "phone_raw": "0905123456",
        "received_at": datetime(2026, 2, 20, 1, 0, tzinfo=UTC),
        "due_at": datetime(2026, 3, 4, 10, 0, tzinfo=UTC),
    }
    return Dossier(**{**values, **changes})


SUPPLEMENT = a_dossier(S.AWAITING_SUPPLEMENT, at_one_stop_shop=True)


def stored(dossier: Dossier, **changes: Any) -> StoredDossier:
    values: dict[str, Any] = {"row_hash": "x", "due_on": None, "seen_at": NOW, "state_since": NOW - DAY}
    return StoredDossier(dossier, **{**values, **changes})


def info(kind: MessageKind, state: MessageState, occasion: str = "1", reason: str = "", message: int = 7) -> NoticeInfo:
    return NoticeInfo(message, kind, occasion, state, reason)


def judge(
    old: StoredDossier | None,
    new: Dossier,
    *infos: NoticeInfo,
    now: datetime = NOW,
    agencies: dict[str, AgencySettings] | None = None,
    announce_from: datetime = START,
    first_read: bool = False,
    **notices: Any,
) -> Decision:
    book = RuleBook(NoticeSettings(**notices), agencies or {})
    return decide(old, new, infos, book, Moment(now, announce_from, first_read))


def kinds(decision: Decision) -> list[tuple[MessageKind, str]]:
    return [(plan.kind, plan.occasion) for plan in decision.notices]


def skips(decision: Decision) -> list[Skip]:
    return list(decision.skips)


# --- entering ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [S.REGISTERED, S.RECEIVED, S.PROCESSING, S.AWAITING_PAYMENT])
def test_f04_entering_result_return_announces_the_result(state: DossierState) -> None:
    decision = judge(stored(a_dossier(state)), a_dossier(S.RESULT_READY))
    assert kinds(decision) == [(K.RESULT_READY, "1")]
    assert (decision.result_entries, decision.state_since) == (1, NOW)


def test_staying_there_announces_nothing() -> None:
    old = stored(a_dossier(S.RESULT_READY), result_entries=1)
    decision = judge(old, a_dossier(S.RESULT_READY, step_name="Trả kết quả"), info(K.RESULT_READY, M.DELIVERED))
    assert decision.notices == decision.cancels == decision.conflicts == ()
    assert (decision.result_entries, decision.state_since) == (1, NOW - DAY)


@pytest.mark.parametrize(
    ("before", "after", "announced"),
    [
        (a_dossier(), a_dossier(S.AWAITING_SUPPLEMENT), False),
        (a_dossier(), SUPPLEMENT, True),
        (a_dossier(S.AWAITING_SUPPLEMENT), SUPPLEMENT, True),  # the state came first, then the counter
        (a_dossier(at_one_stop_shop=True), SUPPLEMENT, True),  # the counter came first, then the state
        (a_dossier(), a_dossier(at_one_stop_shop=True), False),
    ],
)
def test_f05_a_supplement_needs_both_the_state_and_the_one_stop_shop(
    before: Dossier, after: Dossier, announced: bool
) -> None:
    assert kinds(judge(stored(before), after)) == ([(K.SUPPLEMENT_NEEDED, "1")] if announced else [])


def test_a_dossier_seen_for_the_first_time_in_an_announced_state_is_announced() -> None:
    assert kinds(judge(None, a_dossier(S.RESULT_READY))) == [(K.RESULT_READY, "1")]


@pytest.mark.parametrize(
    "state", [S.REGISTERED, S.RECEIVED, S.PROCESSING, S.NOT_ACCEPTED, S.STOPPED, S.RETURNED, S.WITHDRAWN]
)
def test_other_states_announce_nothing(state: DossierState) -> None:
    assert kinds(judge(stored(a_dossier(S.AWAITING_PAYMENT)), a_dossier(state))) == []


# --- hold and night -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("now", "not_before", "reason"),
    [
        (local(10), local(10, 10), "hold"),
        (local(20, 49), local(20, 59), "hold"),
        (local(20, 50), local(7, 0, 4), "night"),  # the hold's end falls into the night
        (local(21, 0), local(7, 0, 4), "night"),
        (local(23, 59), local(7, 0, 4), "night"),
        (local(0, 1), local(7, 0), "night"),
        (local(6, 49), local(7, 0), "night"),
        (local(6, 55), local(7, 5), "hold"),
    ],
)
def test_hold_and_night(now: datetime, not_before: datetime, reason: str) -> None:
    plan = judge(stored(a_dossier()), a_dossier(S.RESULT_READY), now=now).notices[0]
    assert (plan.state, plan.reason, plan.not_before) == (M.HELD, reason, not_before)
    assert plan.expires_at == not_before + timedelta(days=2)


def test_without_a_hold_a_notice_leaves_at_once_by_day() -> None:
    plan = judge(stored(a_dossier()), a_dossier(S.RESULT_READY), hold_s=0).notices[0]
    assert (plan.state, plan.reason, plan.not_before) == (M.QUEUED, "", NOW)


def test_without_a_night_a_notice_waits_for_its_hold_only() -> None:
    plan = judge(stored(a_dossier()), a_dossier(S.RESULT_READY), now=local(23), night=None).notices[0]
    assert (plan.reason, plan.not_before) == ("hold", local(23, 10))


@given(st.datetimes(min_value=datetime(2026, 1, 1), max_value=datetime(2026, 12, 31)), st.floats(0, 86_400))  # noqa: DTZ001
def test_no_notice_leaves_at_night_nor_before_its_hold(moment: datetime, hold_s: float) -> None:
    now = moment.replace(tzinfo=UTC)
    plan = judge(stored(a_dossier()), a_dossier(S.RESULT_READY), now=now, hold_s=hold_s).notices[0]
    assert not in_night(plan.not_before, NoticeSettings().night)
    assert plan.not_before >= now + timedelta(seconds=hold_s)
    assert plan.not_before < now + timedelta(seconds=hold_s) + timedelta(hours=10, seconds=1)


# --- leaving --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("after", [S.PROCESSING, S.RECEIVED, S.AWAITING_SUPPLEMENT, S.AWAITING_PAYMENT, S.STOPPED])
def test_f23_a_state_that_reverts_in_the_hold_cancels_its_notice(after: DossierState) -> None:
    old = stored(a_dossier(S.RESULT_READY), result_entries=1)
    decision = judge(old, a_dossier(after), info(K.RESULT_READY, M.HELD))
    assert (K.RESULT_READY,) in [cancel.kinds for cancel in decision.cancels]
    assert decision.conflicts == ()  # the store lists what it has really cancelled
    assert decision.result_left_at == NOW


@pytest.mark.parametrize("told", [M.SENDING, M.ACCEPTED, M.DELIVERED, M.UNKNOWN, M.UNDELIVERED])
def test_f24_a_result_that_is_taken_back_after_sending_is_a_conflict(told: MessageState) -> None:
    old = stored(a_dossier(S.RESULT_READY), result_entries=1)
    decision = judge(old, SUPPLEMENT, info(K.RESULT_READY, told))
    assert [(c.what, c.message_id) for c in decision.conflicts] == [(ConflictKind.CONTRADICTED_AFTER_SENDING, 7)]
    assert kinds(decision) == [(K.SUPPLEMENT_NEEDED, "1")]


@pytest.mark.parametrize("told", [M.CANCELLED, M.REJECTED])
def test_what_was_never_told_is_not_contradicted(told: MessageState) -> None:
    old = stored(a_dossier(S.RESULT_READY), result_entries=1)
    assert judge(old, a_dossier(), info(K.RESULT_READY, told)).conflicts == ()


@pytest.mark.parametrize("end", [S.RETURNED, S.WITHDRAWN])
def test_handing_over_and_withdrawal_cancel_everything_and_contradict_nothing(end: DossierState) -> None:
    for before in (a_dossier(S.RESULT_READY), SUPPLEMENT, a_dossier()):
        decision = judge(stored(before, result_entries=1), a_dossier(end), info(K.RESULT_READY, M.ACCEPTED))
        assert len(decision.cancels) == 1
        assert {K.RESULT_READY, K.SUPPLEMENT_NEEDED, K.APOLOGY_DUE_TOMORROW} <= set(decision.cancels[0].kinds)
        assert K.MO_REPLY not in decision.cancels[0].kinds
        assert decision.cancels[0].reason == end.value
        assert decision.conflicts == decision.notices == ()


def test_a_result_overtakes_an_apology_that_has_not_left() -> None:
    decision = judge(
        stored(a_dossier()), a_dossier(S.RESULT_READY), info(K.APOLOGY_DUE_TOMORROW, M.QUEUED, "2026-03-04")
    )
    assert [(c.kinds, c.reason) for c in decision.cancels] == [((K.APOLOGY_DUE_TOMORROW,), "overtaken")]
    assert kinds(decision) == [(K.RESULT_READY, "1")]  # F07


@pytest.mark.parametrize(
    ("changes", "reason"), [({"due_at": NOW + 3 * DAY}, "due_changed"), ({"clock_stopped": True}, "clock_stopped")]
)
def test_a_new_promise_or_a_stopped_clock_takes_an_apology_back(changes: dict[str, Any], reason: str) -> None:
    decision = judge(stored(a_dossier()), a_dossier(**changes))
    assert [(c.kinds, c.reason) for c in decision.cancels] == [((K.APOLOGY_DUE_TOMORROW,), reason)]


def test_a_supplement_that_was_told_and_met_is_no_conflict() -> None:
    old = stored(SUPPLEMENT, supplement_entries=1)
    decision = judge(old, a_dossier(), info(K.SUPPLEMENT_NEEDED, M.DELIVERED))
    assert decision.conflicts == ()
    assert decision.supplement_left_at == NOW


# --- coming back ----------------------------------------------------------------------------------------------------


def returning(told: MessageState, away: timedelta, **notices: Any) -> Decision:
    old = stored(a_dossier(), result_entries=1, result_left_at=NOW - away)
    return judge(old, a_dossier(S.RESULT_READY), info(K.RESULT_READY, told), **notices)


def test_coming_back_after_a_cancelled_notice_is_announced() -> None:
    assert kinds(returning(M.CANCELLED, MINUTE)) == [(K.RESULT_READY, "2")]


def test_coming_back_after_a_rejected_number_is_announced() -> None:
    assert kinds(returning(M.REJECTED, MINUTE)) == [(K.RESULT_READY, "2")]


@pytest.mark.parametrize("told", [M.SENDING, M.ACCEPTED, M.DELIVERED, M.UNKNOWN])
def test_coming_back_soon_after_telling_is_listed_and_not_announced(told: MessageState) -> None:
    decision = returning(told, 23 * HOUR)
    assert decision.notices == ()
    assert [c.what for c in decision.conflicts] == [ConflictKind.REPEATED_ENTRY]
    assert decision.result_entries == 1
    assert skips(decision) == [Skip(K.RESULT_READY, "repeated_entry")]


def test_coming_back_after_a_long_time_is_announced_again() -> None:
    assert kinds(returning(M.DELIVERED, 24 * HOUR)) == [(K.RESULT_READY, "2")]
    assert kinds(returning(M.DELIVERED, MINUTE, reannounce_after_s=30)) == [(K.RESULT_READY, "2")]


def test_a_notice_that_expired_before_it_left_has_told_nothing() -> None:
    old = stored(a_dossier(), result_entries=1, result_left_at=NOW - MINUTE)
    unsent = info(K.RESULT_READY, M.EXPIRED, reason="validity")
    assert kinds(judge(old, a_dossier(S.RESULT_READY), unsent)) == [(K.RESULT_READY, "2")]
    at_the_smsc = info(K.RESULT_READY, M.EXPIRED, reason="receipt")
    assert kinds(judge(old, a_dossier(S.RESULT_READY), at_the_smsc)) == []


def test_a_second_supplement_request_later_is_announced() -> None:
    old = stored(a_dossier(), supplement_entries=1, supplement_left_at=NOW - 5 * DAY)
    assert kinds(judge(old, SUPPLEMENT, info(K.SUPPLEMENT_NEEDED, M.DELIVERED))) == [(K.SUPPLEMENT_NEEDED, "2")]


# --- corrected numbers ----------------------------------------------------------------------------------------------


def corrected(told: MessageState, reason: str = "", **notices: Any) -> Decision:
    old = stored(a_dossier(S.RESULT_READY, phone_raw="02583822382"), result_entries=1)
    return judge(old, a_dossier(S.RESULT_READY), info(K.RESULT_READY, told, reason=reason), **notices)


def test_a_corrected_number_makes_a_rejected_notice_again() -> None:
    decision = corrected(M.REJECTED, "phone:LANDLINE")
    assert kinds(decision) == [(K.RESULT_READY, "2")]
    assert kinds(corrected(M.REJECTED, "phone:LANDLINE", announce_corrected_number=False)) == []


@pytest.mark.parametrize("told", [M.HELD, M.QUEUED])
def test_a_notice_that_has_not_left_follows_the_number(told: MessageState) -> None:
    decision = corrected(told)
    assert [(c.kinds, c.reason) for c in decision.cancels] == [((K.RESULT_READY,), "number_changed")]
    assert kinds(decision) == [(K.RESULT_READY, "2")]


@pytest.mark.parametrize(("told", "reason"), [(M.DELIVERED, ""), (M.ACCEPTED, ""), (M.REJECTED, "status:11")])
def test_a_number_changed_afterwards_sends_nothing_again(told: MessageState, reason: str) -> None:
    assert kinds(corrected(told, reason)) == []


# --- who is notified ------------------------------------------------------------------------------------------------


def test_f02_same_day_dossiers_are_exempt() -> None:
    same_day = {"received_at": local(8), "due_at": local(16)}
    decision = judge(stored(a_dossier(**same_day)), a_dossier(S.RESULT_READY, **same_day))
    assert skips(decision) == [Skip(K.RESULT_READY, "same_day")]
    assert kinds(judge(None, a_dossier(S.RESULT_READY, **same_day), same_day_exempt=False)) == [(K.RESULT_READY, "1")]


def test_the_same_day_is_one_of_vietnam() -> None:
    late_and_early = {"received_at": local(23, 30, day=2), "due_at": local(0, 30)}  # one day in UTC, two in Vietnam
    assert kinds(judge(None, a_dossier(S.RESULT_READY, **late_and_early))) == [(K.RESULT_READY, "1")]


@pytest.mark.parametrize(("general", "own", "told"), [(True, False, True), (False, True, False), (True, None, False)])
def test_f13_an_agency_may_switch_the_exemption(general: bool, own: bool | None, told: bool) -> None:
    same_day = a_dossier(S.RESULT_READY, received_at=local(8), due_at=local(16))
    decision = judge(None, same_day, agencies={"KS": AgencySettings(same_day_exempt=own)}, same_day_exempt=general)
    assert bool(decision.notices) is told


@pytest.mark.parametrize(
    ("start", "end", "default", "told"),
    [
        (None, None, False, True),  # listed
        (date(2026, 3, 3), None, True, True),
        (date(2026, 3, 4), None, True, False),
        (None, date(2026, 3, 3), True, True),
        (None, date(2026, 3, 2), True, False),
    ],
)
def test_f18_only_activated_agencies_are_notified(
    start: date | None, end: date | None, default: bool, told: bool
) -> None:
    agencies = {"KS": AgencySettings(active_from=start, active_to=end)}
    decision = judge(None, a_dossier(S.RESULT_READY), agencies=agencies, agencies_default_active=default)
    assert bool(decision.notices) is told


def test_agencies_that_are_not_listed_follow_the_default() -> None:
    assert judge(None, a_dossier(S.RESULT_READY)).notices
    assert skips(judge(None, a_dossier(S.RESULT_READY), agencies_default_active=False)) == [
        Skip(K.RESULT_READY, "agency_inactive")
    ]


def test_f30_a_result_by_post_asks_nobody_to_come() -> None:
    by_post = a_dossier(S.RESULT_READY, return_by_post=True)
    assert skips(judge(stored(a_dossier()), by_post)) == [Skip(K.RESULT_BY_POST, "by_post")]
    assert kinds(judge(stored(a_dossier()), by_post, enabled=tuple(K))) == [(K.RESULT_BY_POST, "1")]


def test_a_result_that_goes_by_post_after_all_takes_its_invitation_back() -> None:
    old = stored(a_dossier(S.RESULT_READY), result_entries=1)
    decision = judge(old, a_dossier(S.RESULT_READY, return_by_post=True), info(K.RESULT_READY, M.HELD))
    assert [(c.kinds, c.reason) for c in decision.cancels] == [((K.RESULT_READY,), "by_post")]


def test_a_result_to_be_fetched_after_all_is_announced() -> None:
    old = stored(a_dossier(S.RESULT_READY, return_by_post=True), result_entries=1)
    assert kinds(judge(old, a_dossier(S.RESULT_READY))) == [(K.RESULT_READY, "2")]


def test_the_other_notices_are_off_by_default_and_told_once() -> None:
    for state, kind in ((S.AWAITING_PAYMENT, K.FINANCIAL_OBLIGATION), (S.RECEIVED, K.RECEIPT_ISSUED)):
        new = a_dossier(state)
        assert called_for(new) is kind
        assert skips(judge(stored(a_dossier()), new)) == [Skip(kind, "disabled")]
        assert kinds(judge(stored(a_dossier()), new, enabled=(kind,))) == [(kind, "1")]


def test_only_an_online_file_is_refused_by_message() -> None:
    assert called_for(a_dossier(S.NOT_ACCEPTED)) is None
    assert called_for(a_dossier(S.NOT_ACCEPTED, extra=(("channel", "portal"),))) is K.ONLINE_REFUSED


# --- history --------------------------------------------------------------------------------------------------------


def test_the_first_reading_announces_no_history() -> None:
    old_result = a_dossier(S.RESULT_READY, updated_at=START - DAY)
    decision = judge(None, old_result, first_read=True)
    assert skips(decision) == [Skip(K.RESULT_READY, "history")]
    assert decision.result_entries == 1


def test_what_changes_while_the_first_reading_goes_on_is_announced() -> None:
    assert kinds(judge(None, a_dossier(S.RESULT_READY, updated_at=START + MINUTE), first_read=True)) != []


def test_a_change_that_we_saw_is_new_whatever_the_sources_clock_says() -> None:
    assert kinds(judge(stored(a_dossier()), a_dossier(S.RESULT_READY, updated_at=START - HOUR))) != []


def test_an_old_result_that_was_only_touched_is_history() -> None:
    touched = a_dossier(S.RESULT_READY, updated_at=NOW, finished_at=START - 30 * DAY)
    assert skips(judge(None, touched)) == [Skip(K.RESULT_READY, "history")]


def test_before_the_day_of_announcing_nothing_is_announced() -> None:
    later = NOW + DAY
    assert skips(judge(stored(a_dossier()), a_dossier(S.RESULT_READY), announce_from=later)) == [
        Skip(K.RESULT_READY, "history")
    ]


@pytest.mark.parametrize(
    ("received_at", "first_read", "told"),
    [(NOW, False, True), (START - DAY, False, False), (NOW, True, False), (None, False, False)],
)
def test_a_view_without_updated_at_announces_what_came_after_the_first_reading(
    received_at: datetime | None, first_read: bool, told: bool
) -> None:
    row = a_dossier(S.RESULT_READY, updated_at=None, received_at=received_at)
    assert bool(judge(None, row, first_read=first_read).notices) is told


# --- contradictions ------------------------------------------------------------------------------------------------


def test_a_row_that_contradicts_itself_is_listed_once() -> None:
    odd = a_dossier(S.AWAITING_SUPPLEMENT, at_one_stop_shop=True, contradiction="status 'Chờ bổ sung' at …")
    decision = judge(stored(a_dossier()), odd)
    assert [c.what for c in decision.conflicts] == [ConflictKind.STATUS_CONTRADICTS_STEP]
    assert kinds(decision) == [(K.SUPPLEMENT_NEEDED, "1")]
    assert (
        judge(
            stored(odd, supplement_entries=1),
            a_dossier(
                S.AWAITING_SUPPLEMENT, at_one_stop_shop=True, contradiction=odd.contradiction, agency_name="Khác"
            ),
        ).conflicts
        == ()
    )


# --- apology --------------------------------------------------------------------------------------------------------


EVENING = local(17, 30)


def apology(dossier: Dossier, now: datetime = EVENING, agencies: Any = None, **notices: Any) -> NoticePlan | Skip:
    return decide_apology(dossier, date(2026, 3, 4), RuleBook(NoticeSettings(**notices), agencies or {}), now)


@pytest.mark.parametrize("state", [S.REGISTERED, S.RECEIVED, S.PROCESSING, S.AWAITING_SUPPLEMENT, S.AWAITING_PAYMENT])
def test_f06_a_dossier_without_a_result_is_apologised_for(state: DossierState) -> None:
    plan = apology(a_dossier(state))
    assert plan == NoticePlan(K.APOLOGY_DUE_TOMORROW, "2026-03-04", M.QUEUED, "", EVENING, local(20))


@pytest.mark.parametrize("state", [S.RESULT_READY, S.RETURNED, S.WITHDRAWN, S.STOPPED, S.NOT_ACCEPTED])
def test_an_ended_dossier_is_not(state: DossierState) -> None:
    assert apology(a_dossier(state)) == Skip(K.APOLOGY_DUE_TOMORROW, "ended")


def test_why_a_dossier_is_left_out() -> None:
    def why(*args: Any, **kwargs: Any) -> str:
        plan = apology(*args, **kwargs)
        assert isinstance(plan, Skip)
        return plan.reason

    assert why(a_dossier(clock_stopped=True)) == "clock_stopped"
    assert why(a_dossier(received_at=local(8, day=4))) == "same_day"
    assert why(a_dossier(), agencies={"KS": AgencySettings(active_to=date(2026, 3, 2))}) == "agency_inactive"
    assert why(a_dossier(), enabled=(K.RESULT_READY,)) == "disabled"
    stopped_too = apology(a_dossier(clock_stopped=True), apology={"include_clock_stopped": True})
    assert isinstance(stopped_too, NoticePlan)


# --- laws -----------------------------------------------------------------------------------------------------------

_dossiers = st.builds(
    a_dossier,
    st.sampled_from(DossierState),
    at_one_stop_shop=st.booleans(),
    return_by_post=st.booleans(),
    phone_raw=st.sampled_from(["0905123456", "02583822382"]),
)


@given(st.lists(st.tuples(_dossiers, st.sampled_from([M.HELD, M.DELIVERED, M.REJECTED])), max_size=12))
def test_in_any_history_no_occasion_is_announced_twice_and_no_state_uncalled_for(
    history: list[tuple[Dossier, MessageState]],
) -> None:
    old: StoredDossier | None = None
    infos: list[NoticeInfo] = []
    told: set[tuple[MessageKind, str]] = set()
    now = NOW
    for number, (dossier, outcome) in enumerate(history):
        now += 13 * HOUR
        decision = judge(old, dossier, *infos, now=now, enabled=tuple(K))
        for cancel in decision.cancels:
            infos = [
                NoticeInfo(i.message_id, i.kind, i.occasion, M.CANCELLED, cancel.reason)
                if i.kind in cancel.kinds and i.state is M.HELD
                else i
                for i in infos
            ]
        for plan in decision.notices:
            assert plan.kind is called_for(dossier)
            once = (K.FINANCIAL_OBLIGATION, K.RECEIPT_ISSUED, K.ONLINE_REFUSED)
            if plan.kind not in once:
                assert (plan.kind, plan.occasion) not in told
            told.add((plan.kind, plan.occasion))
            infos.append(NoticeInfo(number, plan.kind, plan.occasion, outcome, "phone:LANDLINE"))
        pending = {i.kind for i in infos if i.state is M.HELD}
        # That a dossier was received stays true while the work goes on.
        undone = dossier.state in (S.REGISTERED, S.NOT_ACCEPTED)
        assert pending <= {called_for(dossier)} | (set() if undone else {K.RECEIPT_ISSUED})
        old = StoredDossier(
            dossier,
            "",
            None,
            now,
            decision.state_since,
            decision.result_entries,
            decision.supplement_entries,
            decision.result_left_at,
            decision.supplement_left_at,
        )
