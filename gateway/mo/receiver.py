"""Queries, from the PDU to the reply in the outbox.

The life of a query::

    deliver_sm ─▶ classify ─▶ commit (MO + ledger row) ─▶ deliver_sm_resp ─▶ limits ─▶ look up ─▶ commit (reply + decision)
                     │              │ store down: ESME_RX_T_APPN, so that the SMSC tries again
                     └ not a query: ESME_ROK, and nothing else

What comes after the acknowledgement survives a crash, because the MO stands in the store as RECEIVED: :meth:`Receiver.start`
takes up what was left, and the upkeep takes up what another node left or what a fault of the store interrupted. Whoever
answers, :func:`gateway.store.answers.reply_mos_txn` lets only one reply through. A query whose deadline has passed gets the
temporary-failure reply, and is never charged.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from typing import Any

import structlog
from twisted.internet.defer import Deferred, DeferredList, ensureDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure

from gateway.clock import Clock
from gateway.db import Database
from gateway.errors import StoreError
from gateway.gather import Gather, one_items_fault
from gateway.mo.charging.profiles import Charging, log_settled
from gateway.mo.classify import not_a_query
from gateway.mo.forward import Forwarder, Post
from gateway.mo.intake import Intake, day_start, hour_start
from gateway.mo.replies import Replies
from gateway.mo.responder import Lookup, Responder
from gateway.mo.services import Services
from gateway.model import MoState
from gateway.settings import BindSettings, GatewaySettings
from gateway.smpp.constants import CommandStatus, status_name
from gateway.smpp.errors import SmppError
from gateway.smpp.pdu import DataSm, DeliverSm
from gateway.smpp.text import parse_concatenation
from gateway.store.inbox import Admission, RecordedMo, open_mos_txn, record_mos_txn
from gateway.store.mo_parts import record_part_txn, sweep_parts_txn

log = structlog.get_logger()

#: How often the ledger is looked after; also the precision with which a late reply loses its charge.
UPKEEP_INTERVAL_S = 1.0
#: Parts and forgotten queries are looked for at every so many upkeeps.
SWEEP_EVERY = 5
#: The most queries recorded in one transaction: it must not hold the store's writer for long.
BATCH_LIMIT = 200
#: Past its deadline by this much, an open query is nobody's work any more: its node died or its store failed.
FORGOTTEN_AFTER_S = 5.0

Answer = Callable[[int], None]


class Receiver:
    """Takes every incoming message that is no receipt, and sees to it that each query gets one reply."""

    def __init__(
        self,
        reactor: IReactorTime,
        db: Database,
        clock: Clock,
        settings: GatewaySettings,
        charging: Charging,
        lookup: Lookup,
        replies: Replies,
        wake: Callable[[str], None] | None = None,
        post: Post | None = None,
    ) -> None:
        """Nothing runs before :meth:`start`, but messages may come.

        Args:
            wake: told the route of a reply that was put into the outbox, so that it leaves at once.
            post: how a webhook is called; by default with Twisted's HTTP agent.
        """
        self._db = db
        self._clock = clock
        self._assembly_timeout_s = settings.queries.assembly_timeout_s
        self._outcome_wait = timedelta(seconds=settings.doubt.wait_s)
        self._charging = charging
        self._services = Services(settings.queries)
        self._intake = Intake(settings, self._services, charging)
        to = settings.queries.forward
        self._forwarder = None if to is None else Forwarder(reactor, db, clock, settings.queries, to, wake, post)
        self._responder = Responder(
            reactor,
            db,
            clock,
            settings.queries,
            self._services,
            charging,
            lookup,
            replies,
            wake,
            None if self._forwarder is None else self._forwarder.forward,
        )
        # Those that come while a transaction runs are recorded together in the next one.
        self._arrivals: Gather[Admission, RecordedMo] = Gather(
            lambda admissions: db.run("record_mos", record_mos_txn, admissions),
            lambda: BATCH_LIMIT,
            splits=one_items_fault,
        )
        self._own = frozenset(address.upper() for address in (settings.notices.brandname, *self._services.shortcodes))
        self._tasks: set[Deferred[None]] = set()
        self._upkeeps = 0
        self._upkeep = LoopingCall(self._look_after)
        self._upkeep.clock = reactor

    # -- life ---------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Take up what a crash left, and look after parts, forgotten queries and the ledger from now on."""
        self._do("take_up", self._take_up(self._clock.now()))
        self._upkeep.start(UPKEEP_INTERVAL_S, now=False)
        if self._forwarder is not None:
            self._forwarder.start()

    def stop(self) -> Deferred[Any]:
        """Fires when the queries at hand have their replies, at the latest when their deadlines have passed."""
        if self._upkeep.running:
            self._upkeep.stop()
        if self._forwarder is not None:
            self._forwarder.stop()
        return DeferredList(list(self._tasks))

    @property
    def open_queries(self) -> int:
        """How many queries this node is answering now."""
        return self._responder.open_queries

    # -- receiving ----------------------------------------------------------------------------------------------

    def on_deliver(self, route: str, bind: BindSettings, pdu: DeliverSm | DataSm, answer: Answer) -> None:
        """Take a deliver_sm or data_sm that the link's owner did not take for a receipt.

        Args:
            answer: sends the response with this command_status; called once, after the commit.
        """
        reason = not_a_query(pdu, self._own)
        if reason is not None:
            log.info(
                "deliver_ignored",
                bind=bind.name,
                reason=reason.value,
                esm_class=pdu.esm_class,
                source_addr=pdu.source_addr,
                destination_addr=pdu.destination_addr,
            )
            _say(answer, CommandStatus.ESME_ROK, bind.name)
            return
        now = self._clock.now()
        place = parse_concatenation(pdu)
        recorded: Deferred[RecordedMo | None]
        if place is None:
            admission = self._intake.whole(route, bind, pdu, now)
            recorded = self._arrivals.add(admission).addCallback(lambda whole: whole)
        else:
            part = self._intake.part(route, bind, pdu, place, now)
            log.info("mo_part_received", bind=bind.name, source_addr=part.source_addr, part=part.part, total=part.total)
            timeout_s = self._assembly_timeout_s
            committed = self._db.run("record_mo_part", record_part_txn, part, timeout_s, self._intake.join)
            recorded = committed.addCallback(lambda result: result.recorded)
        self._do("mo", self._receive(recorded, bind.name, answer))

    async def _receive(self, commit: Deferred[RecordedMo | None], bind: str, answer: Answer) -> None:
        try:
            recorded = await commit
        except StoreError as error:
            log.error("mo_not_recorded", bind=bind, reason=str(error))
            _say(answer, CommandStatus.ESME_RX_T_APPN, bind)
            return
        except Exception:
            _say(answer, CommandStatus.ESME_RX_T_APPN, bind)  # the SMSC may try again; the fault itself is logged below
            raise
        _say(answer, CommandStatus.ESME_ROK, bind)
        if recorded is not None:
            await self._recorded(recorded)

    async def _recorded(self, recorded: RecordedMo) -> None:
        log.info(
            "mo_received" if recorded.fresh else "mo_repeated",
            mo=recorded.mo_id,
            bind=recorded.mo.bind,
            source_addr=recorded.mo.source_addr,
            destination_addr=recorded.mo.destination_addr,
            service=recorded.service,
            result=recorded.result.value,
            code=recorded.code,
            state=recorded.state.value,
        )
        # A repeated one is still open when the result of its commit was lost: the SMSC's repetition takes it up.
        if recorded.state is MoState.RECEIVED:
            await self._responder.answer(recorded)

    # -- upkeep -------------------------------------------------------------------------------------------------

    async def _take_up(self, received_before: datetime) -> None:
        """Answer what is open: after a crash, after a fault of the store, after another node's end."""
        now = self._clock.now()
        left = await self._db.read("open_mos", open_mos_txn, received_before, day_start(now), hour_start(now))
        for recorded in left:
            if not self._responder.is_open(recorded.mo_id):
                age_s = (now - recorded.mo.received_at).total_seconds()
                log.warning("mo_taken_up", mo=recorded.mo_id, age_s=round(age_s, 1))
                self._do("mo", self._responder.answer(recorded))

    def _look_after(self) -> Deferred[None]:
        self._upkeeps += 1
        return self._do("upkeep", self._keep(sweep=self._upkeeps % SWEEP_EVERY == 0))

    async def _keep(self, *, sweep: bool) -> None:
        now = self._clock.now()
        late = now + timedelta(seconds=UPKEEP_INTERVAL_S)  # what becomes late before the next look
        settled = await self._db.run(
            "ledger_upkeep", self._charging.upkeep_txn, now, late_at=late, sent_before=now - self._outcome_wait
        )
        log_settled(settled)
        if sweep:
            patience = timedelta(seconds=self._services.longest_deadline_s + FORGOTTEN_AFTER_S)
            await self._take_up(now - patience)
            await self._sweep_parts(now)

    async def _sweep_parts(self, now: datetime) -> None:
        join, join_incomplete = self._intake.join, self._intake.join_incomplete
        swept = await self._db.run(
            "sweep_mo_parts", sweep_parts_txn, now, self._assembly_timeout_s, join, join_incomplete
        )
        for recorded in swept:
            log.warning("mo_parts_incomplete", mo=recorded.mo_id, source_addr=recorded.mo.source_addr)
            self._do("mo", self._recorded(recorded))

    def _do(self, what: str, work: Coroutine[Any, Any, None]) -> Deferred[None]:
        """Run a coroutine to its end; what it does not handle is logged. The Deferred never fails."""
        task = ensureDeferred(work)
        task.addErrback(lambda failure: _log_failure(what, failure))
        if not task.called:
            self._tasks.add(task)
            task.addBoth(lambda _: self._tasks.discard(task))
        return task


def _say(answer: Answer, status: CommandStatus, bind: str) -> None:
    try:
        answer(status)
    except SmppError as error:
        # The link went meanwhile; the SMSC will send it again, and it will be known.
        log.warning("deliver_sm_resp_not_sent", bind=bind, status=status_name(status), reason=str(error))


def _log_failure(what: str, failure: Failure) -> None:
    if failure.check(StoreError):
        log.error("mo_store_failed", task=what, reason=str(failure.value))
    else:
        log.error("mo_task_failed", task=what, exc_info=(failure.type, failure.value, failure.getTracebackObject()))
