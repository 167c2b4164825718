"""The outbox as the tests of its life see it: short words for what sender, receiver and housekeeping do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from inline_db import InlineDatabase
from messages import NOW, new_message

from gateway.model import IncomingReceipt, MessageState, SubmitOutcome
from gateway.store import claims, nodes, outbox, outcomes, receipts
from gateway.store.claims import Claim
from gateway.store.outcomes import Recorded
from gateway.store.receipts import ReceiptsRecorded
from gateway.store.schema import message, message_part, waiting_receipt

NODE = "node-1/a"
LEASE = timedelta(seconds=20)


@dataclass(frozen=True)
class Seen:
    """A message's row, as far as tests look."""

    state: str
    reason: str
    node: str | None
    attempts: int
    possible_duplicate: bool
    accepted_at: datetime | None
    not_before: datetime


class Outbox:
    """One store and the time."""

    def __init__(self, db: InlineDatabase) -> None:
        self.db = db
        self.now = NOW

    def later(self, **duration: float) -> datetime:
        self.now += timedelta(**duration)
        return self.now

    def add(self, *codes: str, **changes: Any) -> list[int]:
        items = [new_message(code, **{"state": MessageState.QUEUED, **changes}) for code in codes]
        ids = self.db.do(outbox.insert_messages_txn, items, self.now)
        return [number for number in ids if number is not None]

    def claim(self, limit_parts: int = 100, node: str = NODE, route: str = "viettel") -> Claim:
        return self.db.do(
            claims.claim_txn, route=route, node=node, limit_parts=limit_parts, now=self.now, business_now=self.now
        )

    def sent(self, *codes: str, **changes: Any) -> list[int]:
        """Messages that have been claimed."""
        ids = self.add(*codes, **changes)
        assert [item.id for item in self.claim().messages] == ids
        return ids

    def record(self, *results: SubmitOutcome, node: str = NODE) -> Recorded:
        return self.db.do(outcomes.record_outcomes_txn, node, results, self.now)

    def receive(self, *items: IncomingReceipt) -> ReceiptsRecorded:
        return self.db.do(receipts.record_receipts_txn, items, self.now)

    def rematch(self, **changes: Any) -> ReceiptsRecorded:
        return self.db.do(receipts.rematch_waiting_txn, self.now, self.now - timedelta(seconds=60), 100, **changes)

    def lapse(self) -> int:
        return self.db.do(nodes.lapse_leases_txn, self.now)

    def see(self, message_id: int) -> Seen:
        row = self.db.do(lambda conn: conn.execute(sa.select(message).where(message.c.id == message_id)).one())
        return Seen(
            row.state, row.reason, row.node, row.attempts, row.possible_duplicate, row.accepted_at, row.not_before
        )

    def state(self, message_id: int) -> str:
        return self.see(message_id).state

    def parts(self, message_id: int) -> dict[int, str]:
        query = sa.select(message_part.c.part, message_part.c.state).where(message_part.c.message_id == message_id)
        return self.db.do(lambda conn: {row.part: row.state for row in conn.execute(query)})

    def part(self, message_id: int, part: int = 1) -> Any:
        query = sa.select(message_part).where(message_part.c.message_id == message_id, message_part.c.part == part)
        return self.db.do(lambda conn: conn.execute(query).one())

    def waiting(self) -> list[tuple[str, str]]:
        query = sa.select(waiting_receipt.c.smsc_message_id, waiting_receipt.c.status).order_by(waiting_receipt.c.id)
        return self.db.do(lambda conn: [(number, status) for number, status in conn.execute(query)])
