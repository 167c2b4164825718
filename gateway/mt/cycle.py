"""One turn of an operator's messages through the store: outcomes, receipts and the next claim, in one transaction.

Outcomes come first: a receipt that came after its submit_sm_resp finds its part, though both are recorded together.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.engine import Connection

from gateway.model import IncomingReceipt, SubmitOutcome
from gateway.mt.hooks import ReplyHooks
from gateway.store.claims import Claim, claim_txn, release_strays_txn
from gateway.store.outcomes import Recorded, record_outcomes_txn
from gateway.store.portability import reroute_txn
from gateway.store.receipts import ReceiptsRecorded, record_receipts_txn

_NO_OUTCOMES = Recorded((), (), (), ())
_NO_RECEIPTS = ReceiptsRecorded((), (), 0, 0, (), 0)


@dataclass(frozen=True, slots=True)
class CycleRequest:
    """What the sender wants of the store."""

    route: str
    node: str
    outcomes: tuple[SubmitOutcome, ...]
    receipts: tuple[IncomingReceipt, ...]
    limit_parts: int  # 0: claim nothing
    now: datetime
    business_now: datetime
    in_hand: frozenset[int] | None = None  # after a claim without an answer: what the lane knows of, the rest goes back


@dataclass(frozen=True, slots=True)
class CycleResult:
    """What it got."""

    recorded: Recorded
    receipts: ReceiptsRecorded
    claim: Claim
    told: tuple[object, ...]  # by the hooks, for after the commit


def cycle_txn(conn: Connection, request: CycleRequest, hooks: ReplyHooks) -> CycleResult:
    """Record outcomes and receipts, tell the ledger of replies, claim the next messages."""
    recorded, receipts = _NO_OUTCOMES, _NO_RECEIPTS
    told: list[object] = []
    if request.outcomes:
        recorded = record_outcomes_txn(conn, request.node, request.outcomes, request.now)
        reroute_txn(conn, request.route, request.outcomes, request.now)
        if recorded.reply_outcomes:
            told += hooks.outcome_txn(conn, recorded.reply_outcomes, request.now)
        told += hooks.settled_txn(conn, recorded.settled, request.now)
    if request.receipts:
        receipts = record_receipts_txn(conn, request.receipts, request.now)
        told += hooks.settled_txn(conn, receipts.settled, request.now)
    if request.in_hand is not None:
        release_strays_txn(conn, request.node, request.in_hand, request.now, request.now, route=request.route)
    claim = claim_txn(
        conn,
        route=request.route,
        node=request.node,
        limit_parts=request.limit_parts,
        now=request.now,
        business_now=request.business_now,
    )
    return CycleResult(recorded, receipts, claim, tuple(told))
