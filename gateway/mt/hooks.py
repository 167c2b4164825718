"""Where charging joins the sender: replies to MOs are decorated, and their outcomes reach the ledger in the same transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.engine import Connection

from gateway.model import ClaimedMessage, SettledPart, SubmitOutcome
from gateway.settings import BindSettings
from gateway.smpp.pdu import SubmitSm


def _undecorated(message: ClaimedMessage, bind: BindSettings, pdu: SubmitSm) -> SubmitSm:
    return pdu


def _nothing(conn: Connection, what: Sequence[object], now: datetime) -> Sequence[object]:
    return ()


def _unheard(told: Sequence[object]) -> None:
    return None


@dataclass(frozen=True, slots=True)
class ReplyHooks:
    """What is done with replies besides sending them. The defaults do nothing.

    The two ``_txn`` run inside the transaction that records the same facts in the outbox, so neither is ever told without
    the other; what they return is given to ``committed`` after the commit (for logs).
    """

    #: The submit_sm of a reply, before it leaves.
    decorate: Callable[[ClaimedMessage, BindSettings, SubmitSm], SubmitSm] = _undecorated
    #: Outcomes of replies' submits, those that count.
    outcome_txn: Callable[[Connection, Sequence[SubmitOutcome], datetime], Sequence[object]] = _nothing
    #: Final receipts of replies.
    receipt_txn: Callable[[Connection, Sequence[SettledPart], datetime], Sequence[object]] = _nothing
    committed: Callable[[Sequence[object]], None] = _unheard

    def settled_txn(self, conn: Connection, settled: Sequence[SettledPart], now: datetime) -> Sequence[object]:
        """Pass on the final receipts of replies; those of notices concern nobody."""
        replies = [part for part in settled if part.mo_id is not None]
        return self.receipt_txn(conn, replies, now) if replies else ()
