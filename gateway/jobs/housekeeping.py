"""What time does to messages: each in its turn, in small steps, on every node.

Every step is a guarded change in the store, so it does no harm that all nodes take it, at any moment and again. A step that
found as much as it may take at once is repeated at once; one that failed is tried again in its next turn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

import structlog
from twisted.internet.defer import Deferred, DeferredList, succeed
from twisted.python.failure import Failure

from gateway.clock import Clock
from gateway.db import Database
from gateway.errors import StoreError
from gateway.jobs.calendar import after_night
from gateway.jobs.retention import RetentionJob
from gateway.mt.hooks import ReplyHooks
from gateway.mt.receipts import REMATCH_WINDOW, ReceiptsTold, log_recorded, rematch_txn
from gateway.settings import GatewaySettings
from gateway.smpp.ports import DelayedCall, ReactorTime
from gateway.store import claims, doubt, night, nodes, outbox, waiting

log = structlog.get_logger()

#: Rows in one step: some milliseconds of the writer's time.
LIMIT = 1000
#: A claim is a stray when the sender does not know of it after this: far longer than any transaction takes.
STRAY_AFTER = timedelta(seconds=30)
#: Dead nodes stay in the list for a day.
DEAD_NODE = timedelta(days=1)


class Sending(Protocol):
    """The part of :class:`gateway.mt.service.MtService` that housekeeping needs."""

    @property
    def hooks(self) -> ReplyHooks: ...

    @property
    def in_hand(self) -> frozenset[int]: ...

    def wake(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Step:
    """Something to be done again and again. ``run`` fires with how many rows it changed."""

    name: str
    every_s: float
    run: Callable[[], Deferred[int]]


class Housekeeping:
    """Runs the steps, each at its own pace. ``stop`` waits for those under way."""

    def __init__(
        self,
        reactor: ReactorTime,
        clock: Clock,
        db: Database,
        settings: GatewaySettings,
        node: str,
        sending: Sending,
    ) -> None:
        """``node``: the claimant, as :attr:`gateway.mt.lease.NodeLease.node`."""
        self._node = node
        self._reactor = reactor
        self._clock = clock
        self._db = db
        self._settings = settings
        self._sending = sending
        self._calls: dict[str, DelayedCall] = {}
        self._under_way: dict[str, Deferred[None]] = {}
        self._stopped = False
        self._retention = RetentionJob(
            reactor, clock, db, settings.retention, node=settings.node, lease_s=settings.lease_s
        )
        self.steps = (
            Step("keep_for_morning", 1.0, self._keep_for_morning),
            Step("promote_held", 1.0, self._promote),
            Step("expire_pending", 5.0, self._expire),
            Step("lapse_leases", settings.lease_s / 4, self._lapse),
            Step("rematch_receipts", 2.0, self._rematch),
            Step("resend_doubtful", 5.0, self._resend),
            Step("release_strays", 15.0, self._release_strays),
            Step("close_doubtful", 60.0, self._close_doubtful),
            Step("close_unreceipted", 60.0, self._close_unreceipted),
            Step("orphan_receipts", 60.0, self._orphan),
            Step("purge", 600.0, self._purge),
        )

    def start(self) -> None:
        """Take every step once, soon, and then at its pace. What must stay for the morning, before anything can leave."""
        for step in self.steps:
            self._schedule(step, 0.0 if step.name == "keep_for_morning" else min(step.every_s, 1.0))
        self._retention.start()

    def stop(self) -> Deferred[Any]:
        """Begin nothing more; fires when the steps under way have ended."""
        self._stopped = True
        for call in self._calls.values():
            if call.active():
                call.cancel()
        return DeferredList([self._retention.stop(), *self._under_way.values()])

    def _schedule(self, step: Step, delay_s: float) -> None:
        if not self._stopped:
            self._calls[step.name] = self._reactor.callLater(delay_s, self._take, step)

    def _take(self, step: Step) -> None:
        ended: Deferred[None] = Deferred()
        self._under_way[step.name] = ended
        try:
            done = step.run()
        except Exception:  # noqa: BLE001 - the job runner's edge: a step that fails must not end the others
            done = Deferred()
            done.errback()
        done.addBoth(self._taken, step)
        done.addBoth(lambda _: ended.callback(None))

    def _taken(self, result: int | Failure, step: Step) -> None:
        del self._under_way[step.name]
        delay_s = step.every_s
        if isinstance(result, Failure):
            if result.check(StoreError):
                log.warning("housekeeping_failed", step=step.name, reason=result.getErrorMessage())
            else:
                log.error("housekeeping_failed", step=step.name, failure=result.getTraceback())
        elif result >= LIMIT:
            delay_s = 0.0
        self._schedule(step, delay_s)

    # -- steps ----------------------------------------------------------------------------------------------------

    def _ago(self, seconds: float) -> datetime:
        return self._clock.now() - timedelta(seconds=seconds)

    def _morning(self) -> datetime | None:
        """In the night its end, in business time; None by day."""
        business_now = self._clock.business_now()
        end = after_night(business_now, self._settings.notices.night)
        return None if end == business_now else end

    def _keep_for_morning(self) -> Deferred[int]:
        """In the night, what could not leave before it waits until its end."""
        morning = self._morning()
        if morning is None:
            return succeed(0)
        done = self._db.run("keep_for_morning", night.keep_for_morning_txn, morning, self._clock.now(), LIMIT)

        def told(count: int) -> int:
            if count:
                log.info("kept_for_morning", count=count)
            return count

        return done.addCallback(told)

    def _promote(self) -> Deferred[int]:
        """Held messages whose time has come go into the queue."""
        done = self._db.run(
            "promote_held", outbox.promote_held_txn, self._clock.business_now(), self._clock.now(), LIMIT
        )
        return done.addCallback(self._wake_if_any)

    def _wake_if_any(self, count: int) -> int:
        if count:
            self._sending.wake()
        return count

    def _expire(self) -> Deferred[int]:
        """What could not leave in its validity ends."""
        done = self._db.run(
            "expire_pending", outbox.expire_pending_txn, self._clock.business_now(), self._clock.now(), LIMIT
        )
        return done.addCallback(_told, "messages_expired")

    def _lapse(self) -> Deferred[int]:
        """What dead nodes had claimed is in doubt."""
        done = self._db.run("lapse_leases", nodes.lapse_leases_txn, self._clock.now(), self._node)

        def lapsed(count: int) -> int:
            if count:
                log.warning("leases_lapsed", messages=count)
            return 0  # all of them at once: nothing is left to repeat

        return done.addCallback(lapsed)

    def _rematch(self) -> Deferred[int]:
        """Receipts that wait are tried again."""
        now, hooks = self._clock.now(), self._sending.hooks
        done = self._db.run("rematch_receipts", rematch_txn, now, now - REMATCH_WINDOW, LIMIT, hooks)

        def told(result: ReceiptsTold) -> int:
            log_recorded(result.recorded)
            if result.told:
                hooks.committed(result.told)
            return 0  # those that match nothing would be found again at once

        return done.addCallback(told)

    def _resend(self) -> Deferred[int]:
        """Notices in doubt for long are sent once more, by day."""
        if self._settings.doubt.notices != "resend_once" or self._morning() is not None:
            return succeed(0)
        done: Deferred[list[int]] = self._db.run(
            "resend_doubtful",
            doubt.resend_doubtful_txn,
            self._ago(self._settings.doubt.wait_s),
            self._clock.business_now(),
            self._clock.now(),
            LIMIT,
        )
        return done.addCallback(_told, "possible_duplicates_queued").addCallback(self._wake_if_any)

    def _release_strays(self) -> Deferred[int]:
        """Claims of ours whose commit was answered by a lost connection go back."""
        now = self._clock.now()
        done = self._db.run(
            "release_strays",
            claims.release_strays_txn,
            self._node,
            self._sending.in_hand,
            now - STRAY_AFTER,
            now,
        )

        def released(count: int) -> int:
            if count:
                log.warning("lost_claims_released", messages=count)
            return self._wake_if_any(count)

        return done.addCallback(released)

    def _close_doubtful(self) -> Deferred[int]:
        """What stayed in doubt ends."""
        before = self._ago(self._settings.retention.receipt_wait_s)
        done = self._db.run("close_doubtful", doubt.close_doubtful_txn, before, self._clock.now(), LIMIT)
        return done.addCallback(_told, "doubtful_messages_closed")

    def _close_unreceipted(self) -> Deferred[int]:
        """What was accepted and never got a final receipt ends."""
        before = self._ago(self._settings.retention.receipt_wait_s)
        done = self._db.run("close_unreceipted", doubt.close_unreceipted_txn, before, self._clock.now(), LIMIT)
        return done.addCallback(_told, "unreceipted_messages_closed")

    def _orphan(self) -> Deferred[int]:
        """Receipts that nothing matched are given up."""
        before = self._ago(self._settings.retention.waiting_receipt_s)
        done = self._db.run("orphan_receipts", waiting.orphan_receipts_txn, before, LIMIT)

        def orphaned(count: int) -> int:
            if count:
                log.warning("receipt_orphaned", count=count)
            return count

        return done.addCallback(orphaned)

    def _purge(self) -> Deferred[int]:
        """Orphaned receipts and dead nodes are deleted. What is kept for months is retention's (gateway.jobs.retention)."""
        orphans_before = self._ago(self._settings.retention.orphan_receipt_s)
        done = self._db.run("purge", _purge_txn, orphans_before, self._clock.now())

        def purged(count: int) -> int:
            if count:
                log.info("purged", rows=count)
            return count

        return done.addCallback(purged)


def _purge_txn(conn: Any, orphans_before: datetime, now: datetime) -> int:
    purged = waiting.purge_orphans_txn(conn, orphans_before, LIMIT)
    return purged + nodes.forget_nodes_txn(conn, now, now - DEAD_NODE)


def _told(ids: list[int], event: str) -> int:
    if ids:
        log.info(event, count=len(ids), first=ids[0])
    return len(ids)
