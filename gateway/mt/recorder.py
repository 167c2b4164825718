"""The store's side of one operator's lane: outcomes and receipts gather here, and are recorded with the next claim.

While a transaction runs, the next ones gather: the busier the store, the larger the batches. Outcomes are never dropped:
when the store refuses they are kept and tried again, and meanwhile nothing is claimed, so they stay few. Receipts are
acknowledged after the commit (invariant 4); when the store refuses, the SMSC is asked to try them again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import structlog
from twisted.python.failure import Failure

from gateway.clock import Clock
from gateway.db import Database
from gateway.errors import StaleStateError, StoreError
from gateway.model import IncomingReceipt, MessageState, SubmitOutcome
from gateway.mt.cycle import CycleRequest, CycleResult, cycle_txn
from gateway.mt.hooks import ReplyHooks
from gateway.mt.receipts import log_recorded
from gateway.smpp.constants import CommandStatus
from gateway.smpp.ports import DelayedCall, ReactorTime
from gateway.store.claims import Claim

log = structlog.get_logger()

#: Wait after a transaction that the store refused, in seconds.
STORE_RETRY_S = 1.0
#: The most outcomes and the most receipts in one transaction: it must not hold the store's writer for long.
BATCH_LIMIT = 2000
#: The most receipts that may wait for the store; past them the SMSC is asked to try again. Bounds memory.
WAITING_LIMIT = 10_000
#: How a receipt of one part ends a message while others may be in hand.
_FAILED = (MessageState.UNDELIVERED, MessageState.EXPIRED, MessageState.REJECTED)

#: How to answer a receipt, with a command_status.
Answer = Callable[[int], None]


class Recorder:
    """Records outcomes and receipts, and claims messages, for one operator.

    Args:
        node: the claimant, see :func:`gateway.store.nodes.node_id`.
        on_claim: gets what was claimed, after the commit; called after every transaction.
        on_failed: gets the messages that receipts have ended as failures, after the commit.
        in_hand: every message that the lane knows of.
    """

    def __init__(
        self,
        reactor: ReactorTime,
        clock: Clock,
        db: Database,
        route: str,
        node: str,
        hooks: ReplyHooks,
        on_claim: Callable[[Claim, int], None],
        on_failed: Callable[[int], None],
        in_hand: Callable[[], frozenset[int]],
    ) -> None:
        self.busy = False
        self._reactor = reactor
        self._clock = clock
        self._db = db
        self._route = route
        self._node = node
        self._hooks = hooks
        self._on_claim = on_claim
        self._on_failed = on_failed
        self._in_hand = in_hand
        self._claim_unanswered = False  # the store may have claimed for us what we do not know of
        self._log = log.bind(route=route)
        self._outcomes: list[SubmitOutcome] = []
        self._in_store: tuple[SubmitOutcome, ...] = ()
        self._receipts: list[tuple[IncomingReceipt, Answer]] = []
        self._receipts_in_store: list[tuple[IncomingReceipt, Answer]] = []
        self._refusing = False
        self._apart: deque[tuple[SubmitOutcome, ...]] = deque()
        self._given_up: set[int] = set()
        self._retry_call: DelayedCall | None = None

    def add(self, outcome: SubmitOutcome) -> None:
        """Keep an outcome for the next transaction."""
        self._outcomes.append(outcome)

    def add_receipt(self, receipt: IncomingReceipt, answer: Answer) -> None:
        """Keep a receipt for the next transaction; ``answer`` gets its command_status after the commit."""
        if len(self._receipts) < WAITING_LIMIT:
            self._receipts.append((receipt, answer))
            return
        if not self._refusing:
            self._refusing = True
            self._log.warning("receipts_refused", waiting=len(self._receipts))
        answer(CommandStatus.ESME_RX_T_APPN)

    @property
    def idle(self) -> bool:
        """Whether everything is recorded."""
        return not (self.busy or self._outcomes or self._receipts or self._apart)

    @property
    def behind(self) -> bool:
        """Whether more has come than one transaction takes: then nothing more is claimed. What is sent comes back twice, as
        an answer and as a receipt, and a sender that only sends would pile up receipts.
        """
        return len(self._receipts) > BATCH_LIMIT or len(self._outcomes) > BATCH_LIMIT

    @property
    def message_ids(self) -> set[int]:
        """Messages with an outcome that may not be in the store yet."""
        apart = [outcome.message_id for batch in self._apart for outcome in batch]
        return {outcome.message_id for outcome in (*self._outcomes, *self._in_store)} | self._given_up | set(apart)

    def stop(self) -> None:
        """No more tries."""
        if self._retry_call is not None and self._retry_call.active():
            self._retry_call.cancel()

    def run(self, limit_parts: int) -> bool:
        """Start a transaction if there is anything to do and none is running. Whether it claims."""
        waits = self._retry_call is not None and self._retry_call.active()
        if self.busy or waits or not (limit_parts > 0 or self._outcomes or self._receipts or self._apart):
            return False
        if self._apart:
            self._in_store, limit_parts = self._apart.popleft(), 0
        else:
            self._in_store, self._outcomes = tuple(self._outcomes[:BATCH_LIMIT]), self._outcomes[BATCH_LIMIT:]
            if not self._outcomes:  # else a receipt might be recorded before its answer
                self._receipts_in_store = self._receipts[:BATCH_LIMIT]
                self._receipts = self._receipts[BATCH_LIMIT:]
                self._refusing = False
        self.busy = True
        request = CycleRequest(
            self._route,
            self._node,
            self._in_store,
            tuple([receipt for receipt, _ in self._receipts_in_store]),
            limit_parts,
            self._clock.now(),
            self._clock.business_now(),
            self._in_hand() if self._claim_unanswered and limit_parts > 0 else None,
        )
        done = self._db.run("mt_cycle", cycle_txn, request, self._hooks)
        done.addCallbacks(self._committed, self._failed, callbackArgs=(limit_parts,), errbackArgs=(limit_parts,))
        return limit_parts > 0

    def _committed(self, result: CycleResult, limit_parts: int) -> None:
        self.busy = False
        self._in_store = ()
        self._claim_unanswered = self._claim_unanswered and limit_parts <= 0
        self._answer_receipts(CommandStatus.ESME_ROK)
        self._log_result(result)
        for change in (*result.recorded.others, *result.receipts.others):
            if change.after in _FAILED:
                self._on_failed(change.message_id)
        if result.told:
            self._hooks.committed(result.told)
        self._on_claim(result.claim, limit_parts)

    def _answer_receipts(self, status: int) -> None:
        answered, self._receipts_in_store = self._receipts_in_store, []
        for _, answer in answered:
            answer(status)

    def _log_result(self, result: CycleResult) -> None:
        for change in result.recorded.others:
            if change.after is MessageState.REJECTED:
                self._log.info("message_rejected", message=change.message_id, reason=change.reason)
            elif change.after is MessageState.UNKNOWN:
                self._log.warning("message_in_doubt", message=change.message_id, reason=change.reason)
        for message_id in result.recorded.stale:
            self._log.info("outcome_too_late", message=message_id)
        for message_id in result.claim.expired:
            self._log.info("message_expired", message=message_id)
        log_recorded(result.receipts)

    def _failed(self, failure: Failure, limit_parts: int) -> None:
        self.busy = False
        batch, self._in_store = self._in_store, ()
        self._claim_unanswered = self._claim_unanswered or limit_parts > 0
        receipts = len(self._receipts_in_store)
        self._answer_receipts(CommandStatus.ESME_RX_T_APPN)
        if failure.check(StoreError) and not failure.check(StaleStateError):
            self._log.warning("not_recorded", outcomes=len(batch), receipts=receipts, reason=failure.getErrorMessage())
            self._outcomes[:0] = batch
        elif receipts:
            # The fault may be in a receipt. The outcomes go without them first; the SMSC brings them again.
            self._log.error("receipts_not_recorded", receipts=receipts, failure=failure.getTraceback())
            self._apart.extendleft([batch] if batch else [])
        elif len(batch) > 1:
            # A fault of ours in one of them must not hold up the others: find it by halves.
            half = len(batch) // 2
            self._apart.extendleft((batch[half:], batch[:half]))
        elif batch:
            # It stays claimed, and becomes unknown when this node starts again.
            self._log.error("outcome_given_up", message=batch[0].message_id, failure=failure.getTraceback())
            self._given_up.add(batch[0].message_id)
        else:
            self._log.error("claim_failed", failure=failure.getTraceback())
        self._retry_call = self._reactor.callLater(STORE_RETRY_S, self._on_claim, Claim((), ()), limit_parts)
