"""The apology at 17:30 (F06): one daily job for each source.

A run reads the source once more, so that a result that came in the last minute is not apologised for, then walks through
the dossiers due the next day, page by page, each page in its own short transaction. It may be run again from its beginning: the
outbox takes one apology per dossier and due date.

A source that cannot be read, and was not read for ``apology.fresh_s``, is put off and tried again until ``apology.until``: its
results may be ready by now. The other sources do not wait for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

import structlog

from gateway.clock import VIETNAM, Clock
from gateway.db import Database
from gateway.jobs.calendar import WorkCalendar, at_vietnam_time, vietnam_day
from gateway.jobs.poll_log import log_applied
from gateway.jobs.poller import Poller, PollResult
from gateway.jobs.rules import RuleBook, decide_apology
from gateway.jobs.scheduler import DailyJob, RetryLater
from gateway.model import MessageState
from gateway.store import dossiers, sources
from gateway.store.decisions import Compose, NoticePlan, Skip, StoredDossier

log = structlog.get_logger()


@dataclass(slots=True)
class _Totals:
    seen: int = 0
    made: int = 0
    rejected: int = 0
    repeated: int = 0
    skipped: Counter[str] = field(default_factory=Counter)

    def add(self, page: dossiers.ApologyPage) -> None:
        self.seen += page.seen
        rejected = sum(notice.state is MessageState.REJECTED for notice in page.applied.notices)
        self.made += len(page.applied.notices) - rejected
        self.rejected += rejected
        self.repeated += page.applied.repeated
        for (_, reason), count in page.applied.skipped.items():
            self.skipped[reason] += count

    def line(self) -> str:
        parts = [f"dossiers={self.seen}", f"made={self.made}", f"rejected={self.rejected}"]
        if self.repeated:
            parts.append(f"made_before={self.repeated}")
        return " ".join(parts + [f"{reason}={count}" for reason, count in sorted(self.skipped.items())])


class Apology:
    """The job of one source."""

    def __init__(
        self,
        clock: Clock,
        store: Database,
        poller: Poller,
        book: RuleBook,
        compose: Compose,
        calendar: WorkCalendar,
        wake: Callable[[], None],
    ) -> None:
        """``wake`` is called after each page that has put messages into the outbox."""
        self._clock, self._store, self._poller = clock, store, poller
        self._book, self._compose, self._calendar, self._wake = book, compose, calendar, wake

    def daily(self) -> DailyJob:
        """The job for the scheduler."""
        settings = self._book.notices.apology
        return DailyJob(f"apology:{self._poller.name}", settings.at, settings.until, self.run)

    async def run(self, scheduled_for: datetime) -> str:
        """Make the apologies of one evening. Raises RetryLater when the source's state is not known well enough."""
        await self._refresh()
        today = vietnam_day(scheduled_for)
        totals = _Totals()
        for day in due_days(today, self._book.on(scheduled_for).apology.horizon, self._calendar):
            await self._apologise(day, scheduled_for, totals)
        return totals.line()

    async def _apologise(self, due: date, scheduled_for: datetime, totals: _Totals) -> None:
        """All dossiers due on one day, as long as the evening lasts."""
        until = at_vietnam_time(vietnam_day(scheduled_for), self._book.notices.apology.until)
        code: str | None = ""
        while code is not None:
            now = self._clock.business_now()
            if not scheduled_for <= now < until:
                raise RetryLater(
                    f"broken off at {now.astimezone(VIETNAM):%H:%M} after {code or 'nothing'}: {totals.line()}"
                )
            page = await self._page(due, code, now)
            totals.add(page)
            log_applied(self._poller.name, page.applied)
            if any(notice.state is MessageState.QUEUED for notice in page.applied.notices):
                self._wake()
            code = page.last_code

    async def _refresh(self) -> None:
        """Read the source as it is now, or be sure that it was read a short while ago."""
        result = await self._poller.poll_now()
        if result is PollResult.READ:
            return
        if result is PollResult.STOPPED:
            raise RetryLater("the daemon stops")
        cursor = await self._store.read("source_cursor", sources.cursor_txn, self._poller.name)
        times = [self._poller.last_success_at, cursor.last_success_at if cursor else None]
        seen_at = max((time for time in times if time is not None), default=None)
        fresh = timedelta(seconds=self._book.notices.apology.fresh_s)
        if seen_at is None or self._clock.now() - seen_at > fresh:
            when = seen_at.astimezone(VIETNAM).isoformat(timespec="seconds") if seen_at else "never"
            reason = self._poller.last_error or (cursor.last_error if cursor else "") or "polled by another node"
            raise RetryLater(f"source {self._poller.name} was last read {when}: {reason}")

    async def _page(self, due: date, code: str, now: datetime) -> dossiers.ApologyPage:
        def plan(stored: StoredDossier) -> NoticePlan | Skip:
            return decide_apology(stored.dossier, due, self._book, now)

        return await self._store.run(
            "apologise",
            dossiers.apologise_page_txn,
            self._poller.name,
            due,
            code,
            plan,
            self._compose,
            self._clock.now(),
        )


def due_days(today: date, horizon: str, calendar: WorkCalendar) -> list[date]:
    """The due dates that an evening's run apologises for.

    With ``next_working_day`` the days off before that day are included: nobody is at the counter to keep their promise.
    """
    last = calendar.next_working_day(today) if horizon == "next_working_day" else today + timedelta(days=1)
    return [today + timedelta(days=distance) for distance in range(1, (last - today).days + 1)]
