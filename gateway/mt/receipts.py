"""Delivery receipts on their way into the store: decoded, gathered, recorded, and only then acknowledged (invariant 4)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy.engine import Connection
from twisted.python.failure import Failure

from gateway.clock import Clock
from gateway.db import Database
from gateway.errors import StoreError
from gateway.model import IncomingReceipt, MessageState, PartState
from gateway.mt.hooks import ReplyHooks
from gateway.settings import BindSettings
from gateway.smpp.constants import CommandStatus, MessageStateCode
from gateway.smpp.pdu import DataSm, DeliverSm
from gateway.smpp.receipt import IdBase, id_keys, parse_receipt
from gateway.store.receipts import ReceiptsRecorded, record_receipts_txn, rematch_waiting_txn

log = structlog.get_logger()

#: The most receipts in one transaction.
BATCH_LIMIT = 1000
#: The most receipts that may wait for the store; past them the SMSC is asked to try again. Bounds memory.
WAITING_LIMIT = 10_000
#: How long a receipt that waits is tried again by its id: two nodes may record answer and receipt in the same moment.
REMATCH_WINDOW = timedelta(seconds=60)

#: message_state (SMPP 3.4 §5.2.28, 5.0 §4.7.15) → ours. What is not here is intermediate, or unknown to us: never final.
_STATES: dict[int, PartState] = {
    MessageStateCode.DELIVERED: PartState.DELIVERED,
    MessageStateCode.EXPIRED: PartState.EXPIRED,
    MessageStateCode.DELETED: PartState.UNDELIVERED,
    MessageStateCode.UNDELIVERABLE: PartState.UNDELIVERED,
    MessageStateCode.UNKNOWN: PartState.UNDELIVERED,
    MessageStateCode.REJECTED: PartState.REJECTED,
    MessageStateCode.SKIPPED: PartState.UNDELIVERED,
}


def read_receipt(
    route: str, bind: BindSettings, pdu: DeliverSm | DataSm, received_at: datetime
) -> IncomingReceipt | None:
    """Decode a receipt by the bind's rules; None when it names neither a message nor a state."""
    rules = bind.receipts
    found = parse_receipt(pdu, prefer=rules.prefer, utc_offset_hours=rules.utc_offset_hours)
    if found is None:
        return None
    state = None if found.state is None or not found.final else _STATES.get(found.state)
    return IncomingReceipt(
        route,
        bind.name,
        found.message_id,
        candidate_keys(found.message_id, rules.id_base),
        state,
        found.stat,
        found.error,
        international(pdu.source_addr),
        found.user_message_reference,
        found.done_date,
        received_at,
    )


def candidate_keys(message_id: str, id_base: IdBase) -> tuple[str, ...]:
    """The stored keys that a receipt's id may mean, the likeliest first.

    A part is stored under one spelling, that of its submit_sm_resp; so a receipt looks for every spelling that the bind's
    ``id_base`` allows: as given, its decimal number in hexadecimal (``response_hex``), its hexadecimal number in decimal
    (``receipt_hex``).
    """
    keys: list[str] = []
    for key in id_keys(message_id, id_base, "receipt"):
        base, _, number = key.rpartition(":")
        if base == "response_hex":
            key = f"{int(number):x}"
        elif base == "receipt_hex":
            key = number
        if key not in keys:
            keys.append(key)
    return tuple(keys)


def international(address: str) -> str:
    """A handset's address as the store has it: SMSCs write +84…, 84… and 0…."""
    digits = address.strip().removeprefix("+")
    return f"84{digits[1:]}" if digits.startswith("0") and not digits.startswith("00") else digits.removeprefix("00")


@dataclass(frozen=True, slots=True)
class ReceiptsTold:
    """What a batch changed, and what the hooks say of it after the commit."""

    recorded: ReceiptsRecorded
    told: tuple[object, ...]


def record_txn(conn: Connection, receipts: Sequence[IncomingReceipt], now: datetime, hooks: ReplyHooks) -> ReceiptsTold:
    """Record receipts, and tell the ledger of replies' in the same transaction."""
    recorded = record_receipts_txn(conn, receipts, now)
    return ReceiptsTold(recorded, tuple(hooks.settled_txn(conn, recorded.settled, now)))


def rematch_txn(conn: Connection, now: datetime, since: datetime, limit: int, hooks: ReplyHooks) -> ReceiptsTold:
    """Try waiting receipts again, and tell the ledger of replies' in the same transaction."""
    recorded = rematch_waiting_txn(conn, now, since, limit)
    return ReceiptsTold(recorded, tuple(hooks.settled_txn(conn, recorded.settled, now)))


Answer = Callable[[int], None]


class ReceiptRecorder:
    """Records receipts of all operators in batches, and answers each after the commit."""

    def __init__(self, clock: Clock, db: Database, hooks: ReplyHooks) -> None:
        self._clock = clock
        self._db = db
        self._hooks = hooks
        self._waiting: list[tuple[IncomingReceipt, Answer]] = []
        self._busy = False
        self._full = False

    @property
    def idle(self) -> bool:
        """Whether every receipt is in the store."""
        return not (self._busy or self._waiting)

    def add(self, receipt: IncomingReceipt, answer: Answer) -> None:
        """Record a receipt; ``answer`` gets the command_status of its deliver_sm_resp after the commit."""
        if len(self._waiting) >= WAITING_LIMIT:
            if not self._full:
                self._full = True
                log.warning("receipts_refused", waiting=len(self._waiting))
            answer(CommandStatus.ESME_RX_T_APPN)
            return
        self._waiting.append((receipt, answer))
        self._run()

    def _run(self) -> None:
        if self._busy or not self._waiting:
            return
        batch, self._waiting = self._waiting[:BATCH_LIMIT], self._waiting[BATCH_LIMIT:]
        self._full = False
        self._busy = True
        done = self._db.run("receipts", record_txn, [receipt for receipt, _ in batch], self._clock.now(), self._hooks)
        done.addCallbacks(self._committed, self._failed, callbackArgs=(batch,), errbackArgs=(batch,))

    def _committed(self, result: ReceiptsTold, batch: list[tuple[IncomingReceipt, Answer]]) -> None:
        self._busy = False
        for _, answer in batch:
            answer(CommandStatus.ESME_ROK)
        log_recorded(result.recorded)
        if result.told:
            self._hooks.committed(result.told)
        self._run()

    def _failed(self, failure: Failure, batch: list[tuple[IncomingReceipt, Answer]]) -> None:
        """The store is away, or one of them is a fault of ours: the SMSC keeps them and tries again."""
        self._busy = False
        if failure.check(StoreError):
            log.warning("receipts_not_recorded", count=len(batch), reason=failure.getErrorMessage())
        else:
            log.error("receipts_failed", count=len(batch), failure=failure.getTraceback())
        for _, answer in batch:
            answer(CommandStatus.ESME_RX_T_APPN)
        self._run()


def log_recorded(recorded: ReceiptsRecorded) -> None:
    """What an engineer asks about: failed deliveries and doubts that ended."""
    for change in recorded.changes:
        if change.after is not MessageState.DELIVERED and change.after.final:
            log.info("message_failed", message=change.message_id, state=change.after.value, reason=change.reason)
    for message_id in recorded.in_doubt:
        log.info("doubt_settled_by_receipt", message=message_id)
    if recorded.waiting:
        log.debug("receipts_wait", count=recorded.waiting)
