"""What a change of a dossier's state leads to: notices, cancellations, conflicts. Pure.

Only the dossier's state counts (F16): there is no other way into the outbox. The words used here:

*Called for*: each state calls for at most one kind of notice (:func:`called_for`).
*Entry*: the dossier comes into a state that calls for a kind it did not call for before. Entries are numbered per
    dossier, and the number is the notice's occasion; with the outbox's unique key nothing is announced twice.
*Repeated entry*: the dossier comes back to what was announced already, after an absence shorter than
    ``notices.reannounce_after_s``. It is listed, not announced. When the earlier notice never left (cancelled in its
    hold, rejected for its number), the citizen has heard nothing, and the entry counts as a new one.
*History*: what a source shows that is older than the start of announcing. It is recorded, not announced.
*Further request*: a dossier that waits for papers gets another supplement request; that is announced as an entry is.

The settings that count are those of the day (:meth:`RuleBook.on`). docs/notices.md has the whole table.
The file is long because it is that one table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from gateway.jobs.calendar import after_night, at_vietnam_time, vietnam_day
from gateway.jobs.supervision import WORDS, is_true, released_no, supervise
from gateway.model import Dossier, DossierState, MessageKind, MessageState
from gateway.settings import AgencySettings, NoticeSettings
from gateway.settings_notices import in_charge
from gateway.store.decisions import (
    NEVER_LEFT,
    PENDING,
    Cancel,
    Conflict,
    ConflictKind,
    Decision,
    NoticeInfo,
    NoticePlan,
    Skip,
    StoredDossier,
)

_RESULT = (MessageKind.RESULT_READY, MessageKind.RESULT_BY_POST)
_SUPPLEMENT = (MessageKind.SUPPLEMENT_NEEDED, MessageKind.ONLINE_SUPPLEMENT, MessageKind.ORIGINALS_WANTED)
#: Everything that a dossier's end takes back.
_ALL_NOTICES = tuple(kind for kind in MessageKind if kind not in (MessageKind.MO_REPLY, MessageKind.SUPERVISION_NOTICE))
#: Notices that must say why (F49).
_WITH_REASON = (MessageKind.ONLINE_REFUSED, MessageKind.ONLINE_SUPPLEMENT)
#: That a dossier was received stays true when the work goes on.
_UNDOES_RECEIPT = frozenset({DossierState.REGISTERED, DossierState.NOT_ACCEPTED})
_DEFAULT_NOTICES = NoticeSettings()
_DEFAULT_AGENCY = AgencySettings()


@dataclass(frozen=True, slots=True)
class RuleBook:
    """The settings that the rules read."""

    notices: NoticeSettings
    agencies: Mapping[str, AgencySettings]

    def on(self, at: datetime) -> NoticeSettings:
        """The settings in force at a moment, dated rule sets laid over (F33, F45)."""
        return self.notices.on(vietnam_day(at))

    def active(self, agency_code: str, day: date) -> bool:
        """Whether an agency's dossiers are notified on that day (F18)."""
        agency = in_charge(self.agencies, agency_code, day)
        if agency is None:
            return self.notices.on(day).agencies_default_active
        return (agency.active_from is None or agency.active_from <= day) and (
            agency.active_to is None or day <= agency.active_to
        )

    def same_day(self, dossier: Dossier, day: date) -> bool:
        """Whether the dossier is exempt as received and due on one calendar day (F02, F13), by the rules of ``day``."""
        agency = in_charge(self.agencies, dossier.agency_code, day) or _DEFAULT_AGENCY
        exempt = self.notices.on(day).same_day_exempt if agency.same_day_exempt is None else agency.same_day_exempt
        if not exempt or dossier.received_at is None or dossier.due_at is None:
            return False
        return vietnam_day(dossier.received_at) == vietnam_day(dossier.due_at)


@dataclass(frozen=True, slots=True)
class Moment:
    """When and in which circumstances a row is judged."""

    business_now: datetime
    announce_from: datetime
    first_read: bool  # the source has never been read to its end


def calls_for(dossier: Dossier, notices: NoticeSettings = _DEFAULT_NOTICES) -> tuple[MessageKind, ...]:
    """The kinds of notice that a dossier's state calls for, the fittest first; at most one of them is made."""
    state, extra = dossier.state, dict(dossier.extra)
    if state is DossierState.RESULT_READY:
        return (MessageKind.RESULT_BY_POST if dossier.return_by_post else MessageKind.RESULT_READY,)
    if state is DossierState.AWAITING_SUPPLEMENT:
        return _papers_wanted(dossier, notices)
    if state is DossierState.AWAITING_PAYMENT:
        return (MessageKind.FINANCIAL_OBLIGATION,)
    if state is DossierState.PROCESSING and is_true(extra.get("payment_requested", "")):
        return (MessageKind.FINANCIAL_OBLIGATION,)  # before the clock is stopped for it (F32)
    if state is DossierState.RECEIVED:
        return (MessageKind.RECEIPT_ISSUED,)
    if is_online(dossier, notices):
        if state is DossierState.NOT_ACCEPTED:
            return (MessageKind.ONLINE_REFUSED,)
        if state is DossierState.REGISTERED and extra.get("reason"):
            return (MessageKind.ONLINE_SUPPLEMENT,)
    return ()


def _papers_wanted(dossier: Dossier, notices: NoticeSettings) -> tuple[MessageKind, ...]:
    online = is_online(dossier, notices)
    found = []
    if online and dossier.clock_stopped and _wants_originals(dossier, notices):
        found.append(MessageKind.ORIGINALS_WANTED)
    if dossier.at_one_stop_shop:
        found.append(MessageKind.SUPPLEMENT_NEEDED)
    elif online and not found:
        found.append(MessageKind.ONLINE_SUPPLEMENT)
    return tuple(found)


def _wants_originals(dossier: Dossier, notices: NoticeSettings) -> bool:
    words = {" ".join(word.split()).casefold() for word in notices.online.originals_statuses}
    named = " ".join(dossier.status_raw.split()).casefold() in words
    return named or is_true(dict(dossier.extra).get("originals_wanted", ""))


def is_online(dossier: Dossier, notices: NoticeSettings = _DEFAULT_NOTICES) -> bool:
    """Whether a dossier came in as an online file."""
    channel = " ".join(dict(dossier.extra).get("channel", "").split()).casefold()
    return channel in {word.casefold() for word in notices.online.channels}


def called_for(dossier: Dossier, notices: NoticeSettings = _DEFAULT_NOTICES) -> MessageKind | None:
    """The kind of notice that a dossier's state calls for: the fittest that is enabled, else the last, which is not made."""
    kinds = calls_for(dossier, notices)
    return next((kind for kind in kinds if kind in notices.enabled), kinds[-1] if kinds else None)


def decide(
    old: StoredDossier | None, new: Dossier, infos: Sequence[NoticeInfo], book: RuleBook, moment: Moment
) -> Decision:
    """Judge one changed row.

    Args:
        old: the dossier as last seen; None when it is seen for the first time.
        new: the dossier as its row says now.
        infos: the dossier's earlier notices, in any order.
    """
    return _Judgement(old, new, infos, book, moment).decision()


class _Judgement:
    """One call of :func:`decide`."""

    def __init__(
        self, old: StoredDossier | None, new: Dossier, infos: Sequence[NoticeInfo], book: RuleBook, moment: Moment
    ) -> None:
        self.old, self.new, self.infos, self.book, self.moment = old, new, infos, book, moment
        self.now = moment.business_now
        self.settings = book.on(self.now)
        self.before = called_for(old.dossier, self.settings) if old else None
        self.after = called_for(new, self.settings)
        self.result_entries = old.result_entries if old else 0
        self.supplement_entries = old.supplement_entries if old else 0
        self.result_left_at = old.result_left_at if old else None
        self.supplement_left_at = old.supplement_left_at if old else None
        self.notices: list[NoticePlan] = []
        self.cancels: list[Cancel] = []
        self.conflicts: list[Conflict] = []
        self.skips: list[Skip] = []
        self.supervised = supervise(old, new, self.settings.supervision, judge=not self._history())

    def decision(self) -> Decision:
        self._left()
        self._overtaken()
        if self.after is not None and self.after != self.before:
            self._entered(self.after)
        elif self.after is not None:
            self._stayed(self.after)
        self._contradiction()
        self._tell_contacts()
        changed = self.old is None or self.old.dossier.state != self.new.state
        return Decision(
            state_since=self.now if self.old is None or changed else self.old.state_since,
            result_entries=self.result_entries,
            supplement_entries=self.supplement_entries,
            result_left_at=self.result_left_at,
            supplement_left_at=self.supplement_left_at,
            requests=self.supervised.requests,
            violation=self.supervised.violation,
            released_no=released_no(self.new),
            notices=tuple(self.notices),
            cancels=tuple(self.cancels),
            conflicts=tuple(self.conflicts),
            skips=tuple(self.skips),
        )

    # -- leaving ------------------------------------------------------------------------------------------------

    def _left(self) -> None:
        """The announced state is left: what waits is cancelled; what was told may have become wrong."""
        if self.before is None or self.before == self.after:
            return
        if self.before in _RESULT:
            self.result_left_at = self.now
        elif self.before in _SUPPLEMENT:
            self.supplement_left_at = self.now
        if self.new.state.cancels_notices:
            return  # _overtaken cancels everything; handing over or withdrawing contradicts nothing
        if self.before is MessageKind.RECEIPT_ISSUED:
            return  # see _overtaken
        contradicts = self.before in _RESULT
        reason = "by_post" if self.after is MessageKind.RESULT_BY_POST else "reverted"
        self.cancels.append(Cancel((self.before,), reason, contradicts))
        told = self._last(self.before)
        if contradicts and told is not None and not _never_left(told) and told.state not in PENDING:
            detail = f"now {self.new.state.value} ({self.new.status_raw}), step '{self.new.step_name}'"
            self.conflicts.append(
                Conflict(self.before, ConflictKind.CONTRADICTED_AFTER_SENDING, detail, told.message_id)
            )

    def _overtaken(self) -> None:
        """Pending notices that the new state or the new due date makes wrong, whatever the dossier left."""
        if self.old is None:
            return
        was, now = self.old.dossier, self.new
        if now.state in _UNDOES_RECEIPT and was.state not in _UNDOES_RECEIPT:
            self.cancels.append(Cancel((MessageKind.RECEIPT_ISSUED,), "reverted", contradicts=False))
        if now.state.cancels_notices and not was.state.cancels_notices:
            self.cancels.append(Cancel(_ALL_NOTICES, now.state.value, contradicts=False))
        elif now.state.ended and not was.state.ended:
            self.cancels.append(Cancel((MessageKind.APOLOGY_DUE_TOMORROW,), "overtaken", contradicts=False))
        elif now.due_at != was.due_at:
            self.cancels.append(Cancel((MessageKind.APOLOGY_DUE_TOMORROW,), "due_changed", contradicts=False))
        elif now.clock_stopped and not was.clock_stopped:
            self.cancels.append(Cancel((MessageKind.APOLOGY_DUE_TOMORROW,), "clock_stopped", contradicts=False))

    # -- entering -----------------------------------------------------------------------------------------------

    def _entered(self, kind: MessageKind, *, further: bool = False) -> None:
        told = self._last(kind)
        repeated = told is not None and not _never_left(told) and self._away(kind) < self._reannounce_after()
        if told is not None and repeated and not further and not self._is_further_request(kind):
            detail = f"announced on occasion {told.occasion}, away for {int(self._away(kind).total_seconds())} s"
            self.conflicts.append(Conflict(kind, ConflictKind.REPEATED_ENTRY, detail, told.message_id))
            self.skips.append(Skip(kind, "repeated_entry"))
            return
        self._announce(kind)
        old = self.old.dossier if self.old else None
        if (
            kind is MessageKind.FINANCIAL_OBLIGATION
            and self.notices
            and old
            and old.clock_stopped
            and self.new.clock_stopped
        ):
            detail = f"the clock was stopped at '{old.status_raw}' before the citizen was told"
            self.conflicts.append(Conflict(kind, ConflictKind.CLOCK_STOPPED_FIRST, detail))

    def _announce(self, kind: MessageKind) -> None:
        occasion = self._next_occasion(kind)
        reason = self._why_not(kind)
        if reason:
            self.skips.append(Skip(kind, reason))
        else:
            self.notices.append(self._plan(kind, occasion))

    def _stayed(self, kind: MessageKind) -> None:
        """The dossier calls for what it called for before: what else may have changed."""
        assert self.old is not None
        told = self._last(kind)
        released = told is not None and told.state is MessageState.BLOCKED and not self.supervised.blocked
        if self._is_further_request(kind) and not self._history():
            self.cancels.append(Cancel((kind,), "further_request", contradicts=False))
            self._entered(kind, further=True)
        elif (told is None and self._reason_came(kind)) or released:
            self._announce(kind)
        else:
            self._number_changed(kind)

    def _is_further_request(self, kind: MessageKind) -> bool:
        """Another supplement request than the one before: by its number, or as supervision finds."""
        if self.old is None or kind not in _SUPPLEMENT:
            return False
        return self.supervised.again or _request_no(self.new) > _request_no(self.old.dossier) > 0

    def _reason_came(self, kind: MessageKind) -> bool:
        assert self.old is not None
        return kind in _WITH_REASON and bool(_reason(self.new)) and not _reason(self.old.dossier)

    def _tell_contacts(self) -> None:
        """Tell the agency's contacts of a request that breaks the rules (F43)."""
        request, rules = self.supervised.violation, self.settings.supervision
        agency = in_charge(self.book.agencies, self.new.agency_code, vietnam_day(self.now))
        if request is None or agency is None or not rules.tell_contacts:
            return
        kind = MessageKind.SUPERVISION_NOTICE
        what = ", ".join(WORDS.get(word, word) for word in request.violations)
        for at, contact in enumerate(agency.contacts, start=1):
            plan = self._plan(kind, f"{request.number}.{len(request.violations)}.{at}", hold=False)
            values = (("Lần yêu cầu", str(request.number)), ("Vi phạm", what))
            self.notices.append(replace(plan, number=contact, values=values))

    def _number_changed(self, kind: MessageKind) -> None:
        """The state stands and the agency corrected the number: a notice must not go to the old one."""
        assert self.old is not None
        told = self._last(kind)
        if self.old.dossier.phone_raw == self.new.phone_raw or told is None or kind not in (*_RESULT, *_SUPPLEMENT):
            return
        pending = told.state in PENDING
        refused = told.state is MessageState.REJECTED and told.reason.startswith("phone:")
        if pending:
            self.cancels.append(Cancel((kind,), "number_changed", contradicts=False))
        if pending or (refused and self.settings.announce_corrected_number):
            self._announce(kind)

    def _contradiction(self) -> None:
        """The row says two things at once (F24): listed when it comes up, not at every later change."""
        same = self.old is not None and (self.old.dossier.status_raw, self.old.dossier.step_name) == (
            self.new.status_raw,
            self.new.step_name,
        )
        if not self.new.contradiction or same or self._history():
            return
        kind = self.after or MessageKind.SUPPLEMENT_NEEDED
        self.conflicts.append(Conflict(kind, ConflictKind.STATUS_CONTRADICTS_STEP, self.new.contradiction))

    # -- parts --------------------------------------------------------------------------------------------------

    def _why_not(self, kind: MessageKind) -> str:
        """Why a notice that the state calls for is not made; "" when it is."""
        if kind not in self.settings.enabled:
            return "by_post" if kind is MessageKind.RESULT_BY_POST else "disabled"
        if self._history():
            return "history"
        today = vietnam_day(self.now)
        if not self.book.active(self.new.agency_code, today):
            return "agency_inactive"
        if self.book.same_day(self.new, today):
            return "same_day"
        if kind in _WITH_REASON and self.settings.online.require_reason and not _reason(self.new):
            return "reason_missing"
        return ""

    def _history(self) -> bool:
        """Older than the start of announcing.

        A change that we saw happen is new by our own clock, whatever the source's clock says. A dossier seen for the
        first time is judged by what its row says of itself.
        """
        start, row = self.moment.announce_from, self.new
        touched = row.updated_at is not None and row.updated_at >= start
        if self.old is not None:
            return not touched and self.now < start
        if row.finished_at is not None and vietnam_day(row.finished_at) < vietnam_day(start):
            return True  # a row that was only touched
        if row.updated_at is not None:
            return not touched
        came = row.finished_at or row.received_at
        return self.moment.first_read or came is None or vietnam_day(came) < vietnam_day(start)

    def _plan(self, kind: MessageKind, occasion: str, *, hold: bool = True) -> NoticePlan:
        settings = self.settings
        hold_s = settings.hold_s if hold else 0.0
        held_until = self.now + timedelta(seconds=hold_s)
        not_before = after_night(held_until, settings.night)
        reason = "night" if not_before != held_until else "hold" if hold_s else ""
        state = MessageState.HELD if not_before > self.now else MessageState.QUEUED
        if self.supervised.blocked and kind in _SUPPLEMENT:
            state, reason = MessageState.BLOCKED, "supervision"
        expires_at = not_before + timedelta(seconds=settings.validity_s)
        return NoticePlan(kind, occasion, state, reason, not_before, expires_at)

    def _next_occasion(self, kind: MessageKind) -> str:
        if kind in _RESULT:
            self.result_entries += 1
            return str(self.result_entries)
        if kind in _SUPPLEMENT:
            self.supplement_entries += 1
            return str(self.supplement_entries)
        return "1"  # the other kinds are told once in a dossier's life

    def _last(self, kind: MessageKind) -> NoticeInfo | None:
        """The notice of the latest occasion of this kind."""
        return max((info for info in self.infos if info.kind is kind), key=lambda info: info.message_id, default=None)

    def _away(self, kind: MessageKind) -> timedelta:
        left_at = self.result_left_at if kind in _RESULT else self.supplement_left_at if kind in _SUPPLEMENT else None
        return self.now - left_at if left_at is not None else timedelta(0)

    def _reannounce_after(self) -> timedelta:
        return timedelta(seconds=self.settings.reannounce_after_s)


def decide_apology(dossier: Dossier, due_on: date, book: RuleBook, business_now: datetime) -> NoticePlan | Skip:
    """Whether to apologise for a dossier that will miss its promised date (F06).

    The caller has selected dossiers by ``due_on``. The occasion is the due date: once per dossier and due date. No hold and
    no night: the job runs by day, and what could not leave until ``apology.until`` expires.
    """
    today = vietnam_day(business_now)
    notices = book.on(business_now)
    settings, kind = notices.apology, MessageKind.APOLOGY_DUE_TOMORROW
    if kind not in notices.enabled or not settings.enabled:
        return Skip(kind, "disabled")
    if dossier.state.ended:
        return Skip(kind, "ended")
    if dossier.clock_stopped and not settings.include_clock_stopped:
        return Skip(kind, "clock_stopped")
    if not book.active(dossier.agency_code, today):
        return Skip(kind, "agency_inactive")
    if book.same_day(dossier, today):
        return Skip(kind, "same_day")
    expires_at = at_vietnam_time(today, book.notices.apology.until)
    return NoticePlan(kind, due_on.isoformat(), MessageState.QUEUED, "", business_now, expires_at)


def _never_left(info: NoticeInfo) -> bool:
    return info.state in NEVER_LEFT or (info.state is MessageState.EXPIRED and info.reason == "validity")


def _reason(dossier: Dossier) -> str:
    return dict(dossier.extra).get("reason", "").strip()


def _request_no(dossier: Dossier) -> int:
    text = dict(dossier.extra).get("supplement_no", "")
    return int(text) if text.isdecimal() else 0
