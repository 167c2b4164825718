"""One daemon: its parts built, joined, started in order, and drained in the opposite one.

sources ─▶ pollers ─┐                        ┌─▶ lanes ─▶ binds
                    ├─▶ store (the Database) ─┤
scheduler (17:30) ──┘                        └◀─ receiver ◀─ binds
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from typing import Any

import structlog
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from gateway import __version__
from gateway.app.endpoints import Endpoints
from gateway.app.trace_socket import TraceSocket
from gateway.app.tracing import Tracing
from gateway.clock import Clock
from gateway.db import Database
from gateway.dossiers.federation import Federation
from gateway.dossiers.phone import judge_phone
from gateway.dossiers.polled import Polled
from gateway.dossiers.source import Source
from gateway.errors import ConfigError
from gateway.jobs.apology import Apology
from gateway.jobs.calendar import WorkCalendar
from gateway.jobs.housekeeping import Housekeeping
from gateway.jobs.notices import Composer
from gateway.jobs.poller import Poller
from gateway.jobs.rules import RuleBook
from gateway.jobs.scheduler import Scheduler
from gateway.mo.charging.profiles import Charging, log_settled
from gateway.mo.charging.validate import charging_warnings
from gateway.mo.receiver import Receiver
from gateway.mo.replies import Replies
from gateway.mt.hooks import ReplyHooks
from gateway.mt.lease import NodeLease
from gateway.mt.router import Router
from gateway.mt.service import MtService
from gateway.settings import GatewaySettings
from gateway.templates.registry import Registry

log = structlog.get_logger()


class Gateway:
    """The whole daemon, for one reactor."""

    def __init__(
        self, reactor: Any, settings: GatewaySettings, clock: Clock, rng: random.Random, db: Database | None = None
    ) -> None:
        """Builds everything; nothing runs before :meth:`start`. ``db``: the store, opened already (tests)."""
        self._reactor, self._settings, self._clock = reactor, settings, clock
        self._give_up: Callable[[str], None] = lambda _reason: None
        self.db = db or Database(reactor, settings.store.url, readers=settings.store.readers)
        self.sources = self._make_sources()
        registry = self._make_registry()
        self.lease = NodeLease(
            reactor,
            clock,
            self.db,
            settings.node,
            uuid.UUID(int=rng.getrandbits(128)).hex,
            settings.lease_s,
            self._lost,
        )
        charging = Charging(settings.charging, settings.operators)
        self.tracing = Tracing(settings, lambda: clock.now().timestamp())
        self.trace_socket = TraceSocket(reactor, self.tracing, settings.trace_socket)
        self.endpoints = Endpoints(reactor, self.tracing.watch)
        self.mt = MtService(
            reactor,
            clock,
            self.db,
            settings,
            self.lease,
            ReplyHooks(charging.decorate, charging.outcome_txn, charging.receipt_txn, log_settled),
            lambda route, bind, pdu, answer: self.receiver.on_deliver(route, bind, pdu, answer),
            self.endpoints,
            rng,
        )
        federation = Federation(reactor, self.sources, Polled(self.db).seen)
        self.receiver = Receiver(
            reactor, self.db, clock, settings, charging, federation.lookup, Replies(registry, settings), self.mt.wake
        )
        self.pollers, self.scheduler = self._make_jobs(registry)
        self.housekeeping = Housekeeping(reactor, clock, self.db, settings, self.lease.node, self.mt)

    def _make_registry(self) -> Registry:
        return Registry.load()

    def _make_sources(self) -> list[Source]:
        made = []
        for name, source in self._settings.sources.items():
            try:
                made.append(Source(self._reactor, name, source))
            except ConfigError as fault:
                # The other agencies' citizens are served all the same.
                log.error("source_not_usable", source=name, path=fault.path, what=fault.what, remedy=fault.remedy)
        return made

    def _make_jobs(self, registry: Registry) -> tuple[list[Poller], Scheduler]:
        settings = self._settings
        book = RuleBook(settings.notices, settings.agencies)
        router = Router(settings.operators)
        compose = Composer(settings.notices, settings.agencies, registry, judge_phone, router.route)
        pollers = [
            Poller(
                self._reactor,
                self._clock,
                self.db,
                source,
                book,
                compose,
                wake=self.mt.wake,
                node=settings.node,
                lease_s=settings.lease_s,
            )
            for source in self.sources
        ]
        calendar = WorkCalendar(settings.notices.holidays)
        daily = [
            Apology(self._clock, self.db, poller, book, compose, calendar, self.mt.wake).daily()
            for poller in pollers
            if settings.notices.apology.enabled
        ]
        return pollers, Scheduler(
            self._reactor, self._clock, self.db, daily, node=settings.node, lease_s=settings.lease_s
        )

    async def start(self, give_up: Callable[[str], None]) -> None:
        """Take the node's lease, bind, poll. Fails with StoreError when the store cannot be reached.

        Args:
            give_up: told why when another daemon has taken this node's name.
        """
        self._give_up = give_up
        for warning in charging_warnings(self._settings, self._clock.now()):
            log.warning("charging_warning", what=warning)
        await self.trace_socket.start()
        await self.mt.start()
        self.receiver.start()
        self.housekeeping.start()
        for poller in self.pollers:
            poller.start()
        self.scheduler.start()
        log.info(
            "gateway_started",
            version=__version__,
            node=self._settings.node,
            operators=len(self._settings.operators),
            sources=len(self.sources),
            store=self.db.backend,
        )

    async def stop(self) -> None:
        """Drain: no new work, wait for open answers, commit, unbind, close. Bounded by ``drain_timeout_s``."""
        log.info("gateway_stopping", drain_timeout_s=self._settings.drain_timeout_s)
        await self._within(
            DeferredList([self.scheduler.stop(), *(poller.stop() for poller in self.pollers)], consumeErrors=True)
        )
        await self._within(self.receiver.stop())
        await self._within(self.housekeeping.stop())
        await self.mt.drain(self._settings.drain_timeout_s)
        await self._within(DeferredList([self.endpoints.stop(), self.trace_socket.stop()], consumeErrors=True))
        self.tracing.close()
        for source in self.sources:
            source.close()
        self.db.close()
        log.info("gateway_stopped")

    async def _within(self, work: Deferred[Any]) -> None:
        """Wait for a part, but not longer than the drain may take: a stop must end."""
        await within(work, self._settings.drain_timeout_s, self._reactor)

    def _lost(self, reason: str) -> None:
        self._give_up(reason)


def within(work: Deferred[Any], seconds: float, reactor: IReactorTime) -> Deferred[None]:
    """Fires when ``work`` has ended, at the latest after ``seconds``; never fails.

    Work that takes longer is not cancelled: a commit that is under way would look like one that failed, though it is carried out.
    """
    waiter: Deferred[None] = Deferred()
    work.addErrback(lambda failure: log.warning("drain_incomplete", reason=failure.getErrorMessage()))
    work.addBoth(lambda _: None if waiter.called else waiter.callback(None))

    def too_long(_: Failure) -> None:
        log.warning("drain_incomplete", reason=f"not ended after {seconds} s")

    return waiter.addTimeout(seconds, reactor).addErrback(too_long)
