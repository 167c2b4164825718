"""The store's side of one operator's lane: outcomes gather here and are recorded, in one transaction with the next claim.

While a transaction runs, the next outcomes gather: the busier the store, the larger the batches. Outcomes are never dropped:
when the store refuses they are kept and tried again, and meanwhile nothing is claimed, so they stay few.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import structlog
from twisted.python.failure import Failure

from gateway.clock import Clock
from gateway.db import Database
from gateway.errors import StaleStateError, StoreError
from gateway.model import MessageState, SubmitOutcome
from gateway.mt.cycle import CycleRequest, CycleResult, cycle_txn
from gateway.mt.hooks import ReplyHooks
from gateway.smpp.ports import DelayedCall, ReactorTime
from gateway.store.claims import Claim

log = structlog.get_logger()

#: Wait after a transaction that the store refused, in seconds.
STORE_RETRY_S = 1.0
#: The most outcomes in one transaction: it must not hold the store's writer for long.
BATCH_LIMIT = 2000


class Recorder:
    """Records outcomes and claims messages for one operator.

    Args:
        node: the claimant, see :func:`gateway.store.nodes.node_id`.
        on_claim: gets what was claimed, after the commit; called after every transaction.
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
    ) -> None:
        self.busy = False
        self._reactor = reactor
        self._clock = clock
        self._db = db
        self._route = route
        self._node = node
        self._hooks = hooks
        self._on_claim = on_claim
        self._log = log.bind(route=route)
        self._outcomes: list[SubmitOutcome] = []
        self._in_store: tuple[SubmitOutcome, ...] = ()
        self._apart: deque[tuple[SubmitOutcome, ...]] = deque()
        self._given_up: set[int] = set()
        self._retry_call: DelayedCall | None = None

    def add(self, outcome: SubmitOutcome) -> None:
        """Keep an outcome for the next transaction."""
        self._outcomes.append(outcome)

    @property
    def idle(self) -> bool:
        """Whether everything is recorded."""
        return not (self.busy or self._outcomes or self._apart)

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
        if self.busy or waits or not (limit_parts > 0 or self._outcomes or self._apart):
            return False
        if self._apart:
            self._in_store, limit_parts = self._apart.popleft(), 0
        elif len(self._outcomes) > BATCH_LIMIT:
            self._in_store, self._outcomes = tuple(self._outcomes[:BATCH_LIMIT]), self._outcomes[BATCH_LIMIT:]
        else:
            self._in_store, self._outcomes = tuple(self._outcomes), []
        self.busy = True
        request = CycleRequest(
            self._route, self._node, self._in_store, limit_parts, self._clock.now(), self._clock.business_now()
        )
        done = self._db.run("mt_cycle", cycle_txn, request, self._hooks)
        done.addCallbacks(self._committed, self._failed, callbackArgs=(limit_parts,), errbackArgs=(limit_parts,))
        return limit_parts > 0

    def _committed(self, result: CycleResult, limit_parts: int) -> None:
        self.busy = False
        self._in_store = ()
        for change in result.recorded.changes:
            if change.after is MessageState.REJECTED:
                self._log.info("message_rejected", message=change.message_id, reason=change.reason)
            elif change.after is MessageState.UNKNOWN:
                self._log.warning("message_in_doubt", message=change.message_id, reason=change.reason)
        for message_id in result.recorded.stale:
            self._log.info("outcome_too_late", message=message_id)
        for message_id in result.claim.expired:
            self._log.info("message_expired", message=message_id)
        if result.told:
            self._hooks.committed(result.told)
        self._on_claim(result.claim, limit_parts)

    def _failed(self, failure: Failure, limit_parts: int) -> None:
        self.busy = False
        batch, self._in_store = self._in_store, ()
        if failure.check(StoreError) and not failure.check(StaleStateError):
            self._log.warning("outcomes_not_recorded", waiting=len(batch), reason=failure.getErrorMessage())
            self._outcomes[:0] = batch
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
