"""One turn of an operator's messages through the store: what became of the last ones, and the next ones, in one transaction."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.engine import Connection

from gateway.model import SubmitOutcome
from gateway.mt.hooks import ReplyHooks
from gateway.store.claims import Claim, claim_txn
from gateway.store.outcomes import Recorded, record_outcomes_txn

_NOTHING_RECORDED = Recorded((), (), (), ())


@dataclass(frozen=True, slots=True)
class CycleRequest:
    """What the sender wants of the store."""

    route: str
    node: str
    outcomes: tuple[SubmitOutcome, ...]
    limit_parts: int  # 0: claim nothing
    now: datetime
    business_now: datetime


@dataclass(frozen=True, slots=True)
class CycleResult:
    """What it got."""

    recorded: Recorded
    claim: Claim
    told: tuple[object, ...]  # by the hooks, for after the commit


def cycle_txn(conn: Connection, request: CycleRequest, hooks: ReplyHooks) -> CycleResult:
    """Record outcomes, tell the ledger of replies, claim the next messages."""
    recorded = _NOTHING_RECORDED
    told: list[object] = []
    if request.outcomes:
        recorded = record_outcomes_txn(conn, request.node, request.outcomes, request.now)
        if recorded.reply_outcomes:
            told += hooks.outcome_txn(conn, recorded.reply_outcomes, request.now)
        told += hooks.settled_txn(conn, recorded.settled, request.now)
    claim = claim_txn(
        conn,
        route=request.route,
        node=request.node,
        limit_parts=request.limit_parts,
        now=request.now,
        business_now=request.business_now,
    )
    return CycleResult(recorded, claim, tuple(told))
