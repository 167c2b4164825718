"""One poller per source: reads what changed, records it with its notices, and remembers how far it has read.

A poll reads from a low-water mark to the end of the view, page by page, and applies each page in one transaction with the
cursor. Where it begins:

* A row's ``updated_at`` is set before its transaction is committed, so rows may come to light behind the newest one read.
  Therefore the last ``poll_overlap_s`` are read again, and compared; what has not changed costs a comparison.
* Once that time has passed without anything newer, all such rows must have come to light, and a quiet source costs one
  empty index probe.
* A row dated in the future does not move the mark: one wrong clock must not hide every later change. It is read again
  at each poll until its time has come.

A source that fails is asked again after a growing pause; going down and coming up are logged once each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol

import structlog
from twisted.internet.defer import Deferred, DeferredLock

from gateway.clock import Clock
from gateway.db import Database
from gateway.dossiers.reading import From, Newest, Next, PollBatch
from gateway.errors import GatewayError, SourceError, StaleStateError, StoreError
from gateway.jobs.poll_log import BadRows, log_applied
from gateway.jobs.rules import Moment, RuleBook, decide
from gateway.model import Dossier, MessageState
from gateway.settings import SourceSettings
from gateway.store import dossiers, sources
from gateway.store.decisions import BadRow, Compose, Decision, NoticeInfo, SourceRow, StoredDossier

log = structlog.get_logger()

#: Columns that are written to the second or so need some overlap whatever the configuration says.
MIN_OVERLAP_S = 2.0
#: The longest pause after failures in a row.
MAX_BACKOFF_S = 60.0
#: A poll takes at most this share of a source's time: a view that is compared as a whole, or a huge overlap, is read less often.
BUSY_SHARE = 0.5
#: How often rows without updated_at are looked for. They need a scan in most databases.
NULL_SCAN_S = 3600.0
#: How often a source that another node polls is looked at in one lease: a dead node's is taken over soon after its lease.
LOOKS_IN_A_LEASE = 4


class PollerReactor(Protocol):
    def seconds(self) -> float: ...

    def callLater(self, delay: float, callable: Callable[..., Any], *args: object, **kwargs: object) -> Any: ...


class PolledSource(Protocol):
    """What a poller needs of a :class:`gateway.dossiers.source.Source`."""

    @property
    def name(self) -> str: ...

    @property
    def settings(self) -> SourceSettings: ...

    @property
    def resolution_s(self) -> float: ...

    def poll(self, start: From | Next, not_after: datetime) -> Deferred[PollBatch]: ...

    def rows_without_time(self) -> Deferred[list[BadRow]]: ...


class PollResult(StrEnum):
    READ = "read"  # to its end
    ELSEWHERE = "elsewhere"  # another node polls this source
    FAILED = "failed"  # the source or the store
    STOPPED = "stopped"


@dataclass(slots=True)
class PollCounts:
    """Totals since the start of the daemon; the health page shows them."""

    polls: int = 0
    failures: int = 0
    rows: int = 0  # read, with those read again
    changed: int = 0
    bad: int = 0  # listed anew
    notices: int = 0
    cancelled: int = 0
    conflicts: int = 0


@dataclass(slots=True)
class _Mark:
    """How far the source is read, and since when nothing newer has come."""

    position: sources.Position | None = None  # as stored
    newest: Newest | None = None  # the same in the driver's own values, once this life of the daemon has met it
    met_s: float = 0.0
    read_to_end_s: float = 0.0  # start of the last poll that came to the end

    def start(self, overlap_s: float) -> From | Next:
        """Where the next poll begins."""
        if self.newest is None:
            return From(self.position.updated_at - timedelta(seconds=overlap_s)) if self.position else From()
        # What was visible to the last poll: everything older than its start, less the overlap.
        left_s = overlap_s - max(0.0, self.read_to_end_s - self.met_s)
        return self.newest.after if left_s <= 0 else From(self.newest.at - timedelta(seconds=left_s))

    def moved(self, newest: Newest | None, now_s: float) -> sources.Position | None:
        """Take a page's newest row into account; the position to store when it has changed.

        Codes of one ``updated_at`` are compared as Python does. A database may order them otherwise; then some rows are
        read again, and none is missed.
        """
        if newest is None:
            return None
        position = sources.Position(newest.at, newest.receipt_code)
        if self.position is not None:
            if (position.updated_at, position.receipt_code) < (self.position.updated_at, self.position.receipt_code):
                return None
            if position == self.position and self.newest is not None:
                return None
        moved = position != self.position
        self.newest, self.met_s, self.position = newest, now_s, position
        return position if moved else None


class Poller:
    """Keeps one source's dossiers up to date in the store. ``start`` it; ``stop`` waits for what is under way."""

    def __init__(
        self,
        reactor: PollerReactor,
        clock: Clock,
        store: Database,
        source: PolledSource,
        book: RuleBook,
        compose: Compose,
        *,
        node: str,
        lease_s: float,
        wake: Callable[[], None],
    ) -> None:
        """``wake`` is called when a poll has put messages into the outbox that may leave at once."""
        self._reactor, self._clock, self._store, self._source = reactor, clock, store, source
        self._book, self._compose, self._wake = book, compose, wake
        self._node = node
        self._lease = timedelta(seconds=max(lease_s, 3 * source.settings.poll_interval_s))
        self._cursor: sources.Cursor | None = None
        self._lease_until = self._renew_at = datetime.min.replace(tzinfo=UTC)
        self._mark = _Mark()
        self._bad = BadRows(source.name)
        self._lock = DeferredLock()
        self._timer: Any = None
        self._reading: Deferred[PollBatch] | None = None
        self._elsewhere = False
        self._stopping = False
        self._failures = 0
        self._null_scan_at_s = reactor.seconds()
        self._future_logged = False
        self.counts = PollCounts()
        self.last_error = ""
        self.last_success_at: datetime | None = None  # system time

    # -- life ---------------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        return self._source.name

    @property
    def down(self) -> bool:
        """The last poll failed."""
        return self._failures > 0

    def start(self) -> None:
        """Poll now, and from now on."""
        self._stopping = False
        self._tick()

    def stop(self) -> Deferred[None]:
        """No further poll. Fires when the one under way has ended and the source is free for another node."""
        self._stopping = True
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        if self._reading is not None:
            self._reading.cancel()  # an agency's database that hangs does not hold up a stop
        return self._lock.run(lambda: Deferred.fromCoroutine(self._release()))

    def poll_now(self) -> Deferred[PollResult]:
        """Read the source as it is now: a poll that begins after this call, behind one under way. Never fails."""
        return self._lock.run(lambda: Deferred.fromCoroutine(self._poll()))

    def _tick(self) -> None:
        began_s = self._reactor.seconds()

        def again(_: object) -> None:
            if not self._stopping:
                self._timer = self._reactor.callLater(self._pause_s(self._reactor.seconds() - began_s), self._tick)

        self.poll_now().addCallback(again)

    def _pause_s(self, took_s: float) -> float:
        interval_s = self._source.settings.poll_interval_s
        if self._elsewhere:
            return max(interval_s, self._lease.total_seconds() / LOOKS_IN_A_LEASE)
        if self._failures:
            return min(interval_s * 2.0 ** min(self._failures, 10), max(MAX_BACKOFF_S, interval_s))
        return max(interval_s, took_s * (1 / BUSY_SHARE - 1))

    async def _release(self) -> None:
        if self._cursor is None:
            return
        self._cursor = None
        try:
            await self._store.run("release_source", sources.release_txn, self.name, self._node)
        except StoreError as error:  # its lease runs out by itself
            log.warning("source_not_released", source=self.name, error=str(error))

    # -- one poll -----------------------------------------------------------------------------------------------

    async def _poll(self) -> PollResult:
        self.counts.polls += 1
        try:
            if self._stopping:
                return PollResult.STOPPED
            self._elsewhere = not await self._acquire()
            if self._elsewhere:
                return PollResult.ELSEWHERE
            if not await self._read_to_end():
                return PollResult.STOPPED
            await self._succeeded()
            await self._list_rows_without_time()
            return PollResult.READ
        except StaleStateError as error:
            self._cursor = None
            log.warning("source_taken_over", source=self.name, error=str(error))
            return PollResult.ELSEWHERE
        except SourceError as error:
            if self._stopping:
                return PollResult.STOPPED
            await self._source_failed(error)
        except StoreError as error:
            self.counts.failures += 1
            log.error("poll_not_recorded", source=self.name, error=str(error))
        except Exception as error:  # the edge of a job: the next poll tries again
            self.counts.failures += 1
            self._failures += 1
            self.last_error = repr(error)
            log.exception("poll_crashed", source=self.name)
        return PollResult.FAILED

    async def _acquire(self) -> bool:
        now = self._clock.now()
        if self._cursor is not None and now < self._lease_until:
            return True
        first = self._source.settings.announce_from or self._clock.business_now()
        self._cursor = await self._store.run(
            "acquire_source", sources.acquire_txn, self.name, self._node, now, now + self._lease, first
        )
        if self._cursor is None:
            return False
        self._leased(now)
        if self._cursor.position != self._mark.position:
            self._mark = _Mark(self._cursor.position)
        self.last_success_at = self._cursor.last_success_at
        return True

    def _leased(self, now: datetime) -> None:
        self._lease_until, self._renew_at = now + self._lease, now + self._lease / 2

    async def _read_to_end(self) -> bool:
        """Read and record page after page. False when the daemon stops in between."""
        began_s = self._reactor.seconds()
        not_after = max(self._clock.now(), self._clock.business_now())
        overlap_s = max(self._source.settings.poll_overlap_s, MIN_OVERLAP_S, 2 * self._source.resolution_s)
        start: From | Next | None = self._mark.start(overlap_s)
        future = 0
        while start is not None:
            if self._stopping:
                return False
            self._reading = self._source.poll(start, not_after)
            batch = await self._reading
            await self._apply(batch)
            future += batch.future
            start = batch.next
        self._mark.read_to_end_s = began_s
        self._note_future(future)
        return True

    async def _apply(self, batch: PollBatch) -> None:
        self.counts.rows += batch.read
        position = self._mark.moved(batch.newest, self._reactor.seconds())
        rows = await self._store.read("compare_dossiers", dossiers.differing_txn, self.name, batch.rows)
        still_bad = frozenset(row.receipt_code for row in batch.bad)
        rows += self._bad.healed(batch.rows, rows, still_bad)
        bad = self._bad.new(batch.bad)
        if rows or bad or position is not None:
            await self._record(rows, bad, position, still_bad)

    async def _record(
        self,
        rows: Sequence[SourceRow],
        bad: Sequence[BadRow],
        position: sources.Position | None = None,
        still_bad: frozenset[str] = frozenset(),
    ) -> None:
        assert self._cursor is not None
        now = self._clock.now()
        moment = Moment(
            business_now=self._clock.business_now(),
            announce_from=self._source.settings.announce_from or self._cursor.announce_from,
            first_read=self.last_success_at is None,
        )

        def judge(old: StoredDossier | None, new: Dossier, infos: Sequence[NoticeInfo]) -> Decision:
            return decide(old, new, infos, self._book, moment)

        batch = dossiers.Batch(self.name, self._node, now + self._lease, rows, bad, position, still_bad)
        try:
            applied = await self._store.run("apply_dossiers", dossiers.apply_rows_txn, batch, judge, self._compose, now)
        except GatewayError:
            # The mark and the memory are ahead of the store: read it again from what is stored.
            self._cursor, self._mark = None, _Mark()
            self._bad.forget(bad)
            raise
        self._leased(now)
        self.counts.changed += applied.added + applied.changed
        self.counts.bad += len(bad)
        self.counts.notices += len(applied.notices)
        self.counts.cancelled += len(applied.cancelled)
        self.counts.conflicts += applied.conflicts
        log_applied(self.name, applied)
        if any(notice.state is MessageState.QUEUED for notice in applied.notices):
            self._wake()

    async def _succeeded(self) -> None:
        now = self._clock.now()
        if self._failures or self.last_success_at is None or now >= self._renew_at:
            mine = await self._store.run(
                "source_read", sources.succeeded_txn, self.name, self._node, now, now + self._lease
            )
            if not mine:
                raise StaleStateError(f"source {self.name} is polled by another node now, not by {self._node}")
            self._leased(now)
        if self.last_success_at is None:
            log.info("source_first_read", source=self.name, dossiers=self.counts.changed, bad=self.counts.bad)
        if self._failures:
            log.info("source_up", source=self.name, after_failures=self._failures)
        self._failures, self.last_error, self.last_success_at = 0, "", now

    async def _source_failed(self, error: SourceError) -> None:
        self.counts.failures += 1
        self._failures += 1
        if error.what == self.last_error:
            return
        self.last_error = error.what
        log.error("source_down", source=self.name, error=error.what, remedy=error.remedy)
        try:
            await self._store.run("source_failed", sources.failed_txn, self.name, self._node, error.what)
        except StoreError as store_error:
            log.warning("source_failure_not_recorded", source=self.name, error=str(store_error))

    async def _list_rows_without_time(self) -> None:
        if self._reactor.seconds() < self._null_scan_at_s:
            return
        self._null_scan_at_s = self._reactor.seconds() + NULL_SCAN_S
        bad = self._bad.new(await self._source.rows_without_time())
        if bad:
            await self._record((), bad)

    def _note_future(self, rows: int) -> None:
        if rows and not self._future_logged:
            log.warning(
                "rows_dated_in_the_future", source=self.name, rows=rows, remedy="check time_zone and the clocks"
            )
        self._future_logged = rows > 0
