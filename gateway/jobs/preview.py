"""What would be sent and why, and what would not and why not, without sending: ``motcua-gateway preview``.

The same rules, texts and numbers as in the daemon, asked for a moment of one's choice, over the store and the agencies' views as they
are now. Nothing is written: a change that the daemon has not polled yet is judged here and forgotten.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from gateway.dossiers import reading
from gateway.dossiers.faults import explain
from gateway.dossiers.reading import From, Next
from gateway.errors import SourceError
from gateway.jobs.apology import due_days
from gateway.jobs.calendar import WorkCalendar, at_vietnam_time, vietnam_day
from gateway.jobs.poller import MIN_OVERLAP_S
from gateway.jobs.rules import Moment, RuleBook, called_for, decide, decide_apology
from gateway.model import Dossier, MessageKind, MessageState, NewMessage
from gateway.settings import SourceSettings
from gateway.store import dossiers, sources
from gateway.store.decisions import PENDING, Compose, Decision, NoticeInfo, NoticePlan, Skip, StoredDossier
from gateway.store.portability import ported_routes_txn
from gateway.store.schema import message as message_table

#: Dossiers of one day that are judged at a time.
_PAGE = 500
#: How far back an explanation is given for dossiers of which nothing was announced.
RECENT = timedelta(days=1)
_RECENT_ROWS = 5000


@dataclass(frozen=True, slots=True)
class Line:
    """One notice that would be sent, or would not."""

    origin: str  # "outbox", "change" (not polled yet), "recent" (polled), "apology"
    source: str
    receipt_code: str
    agency_code: str
    kind: MessageKind
    sent: bool
    reason: str  # why it is made, or why it is not
    at: datetime | None = None  # when it would leave
    destination_addr: str = ""
    route: str = ""
    parts: int = 0
    text: str = ""


@dataclass(slots=True)
class Preview:
    """Everything that the moment would bring."""

    at: datetime
    lines: list[Line] = field(default_factory=list)
    made: Counter[tuple[str, str]] = field(default_factory=Counter)  # (kind, origin)
    not_made: Counter[tuple[str, str]] = field(default_factory=Counter)  # (kind, reason)
    cancelled: Counter[tuple[str, str]] = field(default_factory=Counter)  # (kind, reason): waiting, and taken back
    conflicts: Counter[str] = field(default_factory=Counter)
    bad_rows: Counter[tuple[str, str]] = field(default_factory=Counter)  # (source, reason)
    failed: dict[str, str] = field(default_factory=dict)  # source → why it cannot be read
    limit: int = 200  # lines that are kept of those that are sent, and of those that are not; the counts go on
    with_history: bool = False  # keep a line for each dossier that is only taken note of
    _kept: Counter[bool] = field(default_factory=Counter)

    def add(self, line: Line) -> None:
        if line.sent:
            self.made[line.kind.value, line.origin] += 1
        else:
            self.not_made[line.kind.value, line.reason] += 1
        if self._kept[line.sent] < self.limit and (line.reason != "history" or self.with_history):
            self.lines.append(line)
            self._kept[line.sent] += 1


class Previewer:
    """Judges the sources one after the other. Blocks."""

    def __init__(
        self,
        store: Connection | None,
        book: RuleBook,
        compose: Compose,
        calendar: WorkCalendar,
        result: Preview,
    ) -> None:
        """``store`` None: there is no store yet, so everything is met for the first time."""
        self._store, self._book, self._compose, self._calendar = store, book, compose, calendar
        self._result = result

    def outbox(self, names: Collection[str]) -> None:
        """Notices of these sources that are made already and wait."""
        if self._store is None:
            return
        for line in waiting_txn(self._store, self._result.at):
            if line.source in names:
                self._result.add(line)

    def source(self, name: str, settings: SourceSettings, engine: Engine) -> None:
        """Changes of one source that were not polled yet, then its apologies of the evening."""
        changed: dict[str, Dossier] = {}
        try:
            with engine.connect() as conn:
                self._changes(conn, name, settings, changed)
        except SourceError as error:
            self._result.failed[name] = f"{error.what}. {error.remedy}"
        except (sa.exc.SQLAlchemyError, OSError) as error:
            said = explain(name, settings, error)
            self._result.failed[name] = f"{said.what}. {said.remedy}"
        self._silent(name, settings, changed)
        self._apologies(name, changed)

    def _silent(self, name: str, settings: SourceSettings, changed: Mapping[str, Dossier]) -> None:
        """Dossiers that came into an announced state a short while ago, and of which nothing was announced."""
        if self._store is None:
            return
        at = self._result.at
        cursor = sources.cursor_txn(self._store, name)
        announce_from = settings.announce_from or (cursor.announce_from if cursor else at)
        entered = dossiers.entered_since_txn(self._store, name, at - RECENT, _RECENT_ROWS)
        _, infos = self._known(name, [item.dossier.receipt_code for item in entered])
        for item in entered:
            code = item.dossier.receipt_code
            kind = called_for(item.dossier, self._book.on(at))
            if kind is None or code in changed or any(info.kind is kind for info in infos.get(code, ())):
                continue
            decision = decide(None, item.dossier, (), self._book, Moment(at, announce_from, first_read=False))
            for skip in decision.skips:
                self._result.add(_not_made("recent", item.dossier, skip))
            for plan in decision.notices:
                self._result.add(_not_made("recent", item.dossier, Skip(plan.kind, "not_then")))

    # -- changes ------------------------------------------------------------------------------------------------

    def _changes(self, conn: Connection, name: str, settings: SourceSettings, changed: dict[str, Dossier]) -> None:
        at = self._result.at
        cursor = sources.cursor_txn(self._store, name) if self._store is not None else None
        moment = Moment(
            business_now=at,
            announce_from=settings.announce_from or (cursor.announce_from if cursor else at),
            first_read=cursor is None or cursor.last_success_at is None,
        )
        shape = reading.shape_txn(conn, name, settings)
        overlap = timedelta(seconds=max(settings.poll_overlap_s, MIN_OVERLAP_S))
        start: From | Next | None = From(cursor.position.updated_at - overlap if cursor and cursor.position else None)
        while start is not None:
            batch = reading.page_txn(conn, shape, start, settings.poll_batch, at, settings.poll_timeout_s)
            self._result.bad_rows.update((name, row.reason) for row in batch.bad)
            known, infos = self._known(name, [row.dossier.receipt_code for row in batch.rows])
            for row in batch.rows:
                old = known.get(row.dossier.receipt_code)
                if old is not None and old.row_hash == row.row_hash:
                    continue
                changed[row.dossier.receipt_code] = row.dossier
                told = infos.get(row.dossier.receipt_code, ())
                self._judged(row.dossier, told, decide(old, row.dossier, told, self._book, moment))
            start = batch.next

    def _known(
        self, source: str, codes: Sequence[str]
    ) -> tuple[Mapping[str, StoredDossier], Mapping[str, Sequence[NoticeInfo]]]:
        if self._store is None or not codes:
            return {}, {}
        known = dossiers.stored_txn(self._store, source, codes)
        return known, dossiers.infos_txn(self._store, source, list(known))

    def _judged(self, new: Dossier, told: Sequence[NoticeInfo], decision: Decision) -> None:
        for cancel in decision.cancels:
            for info in told:
                if info.kind in cancel.kinds and info.state in PENDING:
                    self._result.cancelled[info.kind.value, cancel.reason] += 1
        self._result.conflicts.update(conflict.what.value for conflict in decision.conflicts)
        for plan in decision.notices:
            self._result.add(self._line("change", new, plan))
        for skip in decision.skips:
            self._result.add(_not_made("change", new, skip))

    # -- apologies ----------------------------------------------------------------------------------------------

    def _apologies(self, name: str, changed: Mapping[str, Dossier]) -> None:
        evening = apology_evening(self._result.at, self._book)
        horizon = self._book.on(evening).apology.horizon
        for due in due_days(vietnam_day(evening), horizon, self._calendar):
            for item, told in self._due(name, due, changed):
                plan = decide_apology(item, due, self._book, evening)
                if isinstance(plan, Skip):
                    self._result.add(_not_made("apology", item, plan))
                elif any(info.kind is plan.kind and info.occasion == plan.occasion for info in told):
                    self._result.add(_not_made("apology", item, Skip(plan.kind, "made_already")))
                else:
                    self._result.add(self._line("apology", item, plan))

    def _due(
        self, name: str, due: date, changed: Mapping[str, Dossier]
    ) -> Iterator[tuple[Dossier, Sequence[NoticeInfo]]]:
        """Dossiers due on a day and not ended, as the view says now."""
        for page in self._stored_due(name, due):
            _, infos = self._known(name, list(page))
            yield from ((item, infos.get(code, ())) for code, item in page.items() if code not in changed)
        for code, item in changed.items():
            if item.due_at is not None and vietnam_day(item.due_at) == due and not item.state.ended:
                _, infos = self._known(name, [code])
                yield item, infos.get(code, ())

    def _stored_due(self, name: str, due: date) -> Iterator[dict[str, Dossier]]:
        if self._store is None:
            return
        after = ""
        while True:
            found = dossiers.due_txn(self._store, name, due, after, _PAGE)
            yield {item.dossier.receipt_code: item.dossier for item in found}
            if len(found) < _PAGE:
                return
            after = found[-1].dossier.receipt_code

    # -- messages -----------------------------------------------------------------------------------------------

    def _line(self, origin: str, item: Dossier, plan: NoticePlan) -> Line:
        made = self._compose(item, plan, None)
        if made.destination_addr and self._store is not None:
            ported = ported_routes_txn(self._store, [made.destination_addr])
            if ported:
                made = self._compose(item, plan, ported[made.destination_addr])
        return message_line(origin, made)


def message_line(origin: str, made: NewMessage) -> Line:
    sent = made.state in (*PENDING, MessageState.SENDING)
    return Line(
        origin,
        made.source,
        made.receipt_code,
        made.agency_code,
        made.kind,
        sent,
        made.reason if not sent else _why(made.kind, made.reason),
        made.not_before if sent else None,
        made.destination_addr,
        made.route,
        made.parts,
        made.text,
    )


def apology_evening(at: datetime, book: RuleBook) -> datetime:
    """The run of the apology job that a moment looks forward to: today's, until it is over."""
    settings = book.notices.apology
    day = vietnam_day(at)
    if at > at_vietnam_time(day, settings.until):
        day += timedelta(days=1)
    return max(at_vietnam_time(day, settings.at), at) if vietnam_day(at) == day else at_vietnam_time(day, settings.at)


def waiting_txn(conn: Connection, at: datetime) -> Iterator[Line]:
    """Notices in the outbox that have not left."""
    table = message_table.c
    rows = conn.execute(
        sa.select(message_table)
        .where(
            table.state.in_([MessageState.HELD.value, MessageState.QUEUED.value]),
            table.kind != MessageKind.MO_REPLY.value,
        )
        .order_by(table.not_before, table.id)
    )
    for row in rows:
        yield Line(
            "outbox",
            row.source,
            row.receipt_code,
            row.agency_code,
            MessageKind(row.kind),
            True,
            _why(MessageKind(row.kind), row.reason),
            max(row.not_before, at),
            row.destination_addr,
            row.route,
            row.parts,
            row.text,
        )


def _not_made(origin: str, item: Dossier, skip: Skip) -> Line:
    return Line(origin, item.source, item.receipt_code, item.agency_code, skip.kind, False, skip.reason)


def _why(kind: MessageKind, waits: str) -> str:
    return f"{WHY[kind]}; waits: {waits}" if waits else WHY[kind]


#: Why a notice of a kind is made.
WHY: dict[MessageKind, str] = {
    MessageKind.RESULT_READY: "the result is at the counter",
    MessageKind.SUPPLEMENT_NEEDED: "papers are missing and the dossier is at the one-stop shop",
    MessageKind.APOLOGY_DUE_TOMORROW: "due the next day and not ready",
    MessageKind.MO_REPLY: "a citizen asked",
    MessageKind.ONLINE_REFUSED: "an online file was refused",
    MessageKind.ONLINE_SUPPLEMENT: "an online file is to be completed",
    MessageKind.FINANCIAL_OBLIGATION: "a financial obligation is to be met",
    MessageKind.ORIGINALS_WANTED: "the clock is stopped for paper originals",
    MessageKind.RESULT_BY_POST: "the result goes by the post",
    MessageKind.RECEIPT_ISSUED: "the dossier was received",
    MessageKind.SUPERVISION_NOTICE: "a supplement request broke the rules",
}

#: Why a notice is not made, in words; reasons with a colon (phone:, route:, template:) say it themselves.
WHY_NOT: dict[str, str] = {
    "disabled": "this kind of notice is off (notices.enabled)",
    "by_post": "the result goes by the post: nobody is asked to come (notices.enabled: result_by_post tells it)",
    "history": "it happened before announcing began (sources.NAME.announce_from)",
    "agency_inactive": "the agency is not activated on this day (agencies.CODE.active_from)",
    "reason_missing": "the view gives no reason, and the notice must state one (notices.online.require_reason)",
    "same_day": "received and due on one day (notices.same_day_exempt)",
    "repeated_entry": "announced already, and away for too short a time (notices.reannounce_after_s)",
    "clock_stopped": "the clock is stopped: it cannot be late (notices.apology.include_clock_stopped)",
    "made_already": "made already for this due date",
    "not_then": "the rules did not call for it when it came into this state; the settings have changed since",
    "ended": "the dossier has ended",
    "supervision": "an earlier supplement request broke the rules: a supervisor has to release it",
}


def in_words(reason: str) -> str:
    """A reason that a person understands."""
    if reason.startswith("phone:"):
        return f"no notice can go to its number: {reason.removeprefix('phone:')}"
    if reason.startswith("route:"):
        return f"no operator takes numbers of {reason.removeprefix('route:')}"
    if reason.startswith("template:"):
        return f"its text cannot be made: {reason.removeprefix('template:')}"
    return WHY_NOT.get(reason, reason)
