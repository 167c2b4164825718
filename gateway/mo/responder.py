"""A recorded query, answered: limits, lookup within the deadline, one reply with its decision.

The reply deadline of the service counts from the receipt of the MO. Of it, ``queries.reply_margin_s`` is kept for recording
and submitting the reply, and the rest is the time of the lookup. What cannot be found in that time gets the
temporary-failure reply; what is found too late is told, and not charged.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

import structlog
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.internet.interfaces import IReactorTime

from gateway.clock import Clock
from gateway.db import Database
from gateway.dossiers.federation import LookupAnswer
from gateway.errors import GatewayError, StoreError, TemplateError
from gateway.gather import Gather, one_items_fault
from gateway.mo.charging.profiles import Charging
from gateway.mo.replies import Replies, reply_kind
from gateway.mo.services import Services
from gateway.model import Dossier, NewMessage, QueryResult, ReplyKind
from gateway.settings import QueryServiceSettings, QuerySettings
from gateway.store.answers import ReplyTo, ignore_txn, reply_mos_txn
from gateway.store.inbox import RecordedMo

log = structlog.get_logger()

#: The most replies put into the outbox in one transaction: it must not hold the store's writer for long.
BATCH_LIMIT = 200
#: receipt code, seconds → what the federation of agencies' databases knows of it by then.
Lookup = Callable[[str, float], Deferred[LookupAnswer]]


@dataclass(frozen=True, slots=True)
class _Finding:
    """What is to be answered."""

    kind: ReplyKind
    dossier: Dossier | None = None
    found_in: str | None = None
    seen_at: datetime | None = None  # the polled state answered, true at this time
    lookup_ms: int | None = None


class Responder:
    """Answers queries that stand in the store. Whoever calls it twice for one query, it replies once."""

    def __init__(
        self,
        reactor: IReactorTime,
        db: Database,
        clock: Clock,
        settings: QuerySettings,
        services: Services,
        charging: Charging,
        lookup: Lookup,
        replies: Replies,
        wake: Callable[[str], None] | None = None,
        forward: Callable[[RecordedMo], Awaitable[None]] | None = None,
    ) -> None:
        self._forward = forward
        self._reactor = reactor
        self._db = db
        self._clock = clock
        self._queries = settings
        self._services = services
        self._charging = charging
        self._lookup = lookup
        self._replies = replies
        self._wake = wake
        # What is found while a transaction runs is answered together in the next one.
        self._answers: Gather[ReplyTo, bool] = Gather(
            lambda replies: db.run("reply_mos", reply_mos_txn, replies, clock.now()),
            lambda: BATCH_LIMIT,
            splits=one_items_fault,
        )
        self._open: set[int] = set()  # queries that this node is answering

    @property
    def open_queries(self) -> int:
        """How many queries are being answered now."""
        return len(self._open)

    def is_open(self, mo_id: int) -> bool:
        """Whether this query is being answered now."""
        return mo_id in self._open

    async def answer(self, recorded: RecordedMo) -> None:
        """Answer an open query, or ignore it when its sender is over a limit. Does nothing for one that is being answered."""
        if recorded.mo_id in self._open:
            return
        self._open.add(recorded.mo_id)
        try:
            reason = self._over_limit(recorded)
            if self._forward is not None and self._services.is_foreign(recorded.service, recorded.result):
                await self._forward(recorded)
            elif reason:
                await self._ignore(recorded, reason)
            else:
                await self._reply(recorded, await self._find(recorded))
        except StoreError as error:
            # It stays RECEIVED; the upkeep takes it up when the store is back.
            log.error("mo_reply_not_recorded", mo=recorded.mo_id, reason=str(error))
        finally:
            self._open.discard(recorded.mo_id)

    def _over_limit(self, recorded: RecordedMo) -> str:
        """Why no reply goes out at all; the first one over the daily limit is told so, and the first of a burst."""
        if recorded.sender_today > self._queries.per_sender_per_day + 1:
            return "too_many"
        if recorded.sender_burst > self._queries.burst_per_sender_per_minute + 1:
            return "too_fast"
        if recorded.result is not QueryResult.OK and recorded.sender_errors > self._queries.errors_per_sender_per_hour:
            return "too_many_errors"
        return ""

    async def _ignore(self, recorded: RecordedMo, reason: str) -> None:
        if await self._db.run("ignore_mo", ignore_txn, recorded.mo_id, reason, self._clock.now()):
            log.info("mo_ignored", mo=recorded.mo_id, reason=reason, source_addr=recorded.mo.source_addr)

    async def _find(self, recorded: RecordedMo) -> _Finding:
        if recorded.sender_today > self._queries.per_sender_per_day:
            return _Finding(ReplyKind.TOO_MANY)
        if recorded.sender_burst > self._queries.burst_per_sender_per_minute:
            return _Finding(ReplyKind.TEMPORARY_FAILURE)
        if recorded.result is not QueryResult.OK:
            return _Finding(ReplyKind.BAD_SYNTAX)
        budget_s = self._deadline_s(recorded) - self._queries.reply_margin_s - self._age_s(recorded)
        if budget_s <= 0:
            log.warning("mo_too_late_to_look_up", mo=recorded.mo_id, age_s=round(self._age_s(recorded), 1))
            return _Finding(ReplyKind.TEMPORARY_FAILURE)
        started = self._clock.now()
        try:
            found = await self._lookup(recorded.code, budget_s).addTimeout(budget_s, self._reactor)
        except (GatewayError, DeferredTimeout, CancelledError) as error:
            reason = str(error) if isinstance(error, GatewayError) else "timeout"
            log.warning("mo_lookup_failed", mo=recorded.mo_id, code=recorded.code, reason=reason)
            return _Finding(ReplyKind.TEMPORARY_FAILURE, lookup_ms=self._ms_since(started))
        except Exception:
            # The edge to the agencies' databases: whatever is wrong there, the citizen gets an answer in time.
            log.exception("mo_lookup_failed", mo=recorded.mo_id, code=recorded.code)
            return _Finding(ReplyKind.TEMPORARY_FAILURE, lookup_ms=self._ms_since(started))
        took_ms = self._ms_since(started)
        if found.dossier is not None:
            return _Finding(
                reply_kind(found.dossier, self._queries), found.dossier, found.found_in, found.seen_at, took_ms
            )
        kind = ReplyKind.UNKNOWN_CODE if found.complete else ReplyKind.TEMPORARY_FAILURE
        return _Finding(kind, lookup_ms=took_ms)

    async def _reply(self, recorded: RecordedMo, finding: _Finding) -> None:
        late = self._age_s(recorded) > self._deadline_s(recorded)
        try:
            reply = self._message(recorded, finding, late)
        except TemplateError as error:
            # The text of this dossier cannot be made: the citizen is told to try again, and an official must look.
            log.error("mo_reply_not_made", mo=recorded.mo_id, template=finding.kind.value, reason=str(error))
            finding = _Finding(ReplyKind.TEMPORARY_FAILURE, found_in=finding.found_in, lookup_ms=finding.lookup_ms)
            reply = self._message(recorded, finding, late)
        decision = self._charging.decide(recorded.mo.route, finding.kind, late=late)
        reason = f"{finding.kind.value}{' late' if late else ''}"
        answer = ReplyTo(recorded.mo_id, reply, finding.kind, decision, reason, finding.found_in, finding.lookup_ms)
        replied = await self._answers.add(answer)
        if not replied:
            log.info("mo_replied_elsewhere", mo=recorded.mo_id)
            return
        log.info(
            "mo_replied",
            mo=recorded.mo_id,
            code=recorded.code,
            result=finding.kind.value,
            found_in=finding.found_in,
            seen_at=finding.seen_at.isoformat() if finding.seen_at else None,
            ms=finding.lookup_ms,
            decision=decision.value,
            late=late,
        )
        if self._wake is not None:
            self._wake(recorded.mo.route)

    def _message(self, recorded: RecordedMo, finding: _Finding, late: bool) -> NewMessage:
        return self._replies.message(
            recorded,
            finding.kind,
            finding.dossier,
            self._charging.decide(recorded.mo.route, finding.kind, late=late),
            service=self._service(recorded),
            business_now=self._clock.business_now(),
        )

    def _service(self, recorded: RecordedMo) -> QueryServiceSettings | None:
        return self._services.by_name(recorded.service)

    def _deadline_s(self, recorded: RecordedMo) -> float:
        service = self._service(recorded)
        return service.reply_deadline_s if service else self._services.longest_deadline_s

    def _age_s(self, recorded: RecordedMo) -> float:
        return (self._clock.now() - recorded.mo.received_at).total_seconds()

    def _ms_since(self, started: datetime) -> int:
        return round((self._clock.now() - started).total_seconds() * 1000)
