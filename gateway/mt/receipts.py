"""Delivery receipts: decoded by the rules of their bind, and what is told of them once they are in the store."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy.engine import Connection

from gateway.model import IncomingReceipt, MessageState, PartState
from gateway.mt.hooks import ReplyHooks
from gateway.settings import BindSettings
from gateway.smpp.constants import MessageStateCode
from gateway.smpp.pdu import DataSm, DeliverSm
from gateway.smpp.receipt import IdBase, id_keys, parse_receipt
from gateway.store.receipts import ReceiptsRecorded, rematch_waiting_txn

log = structlog.get_logger()

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


def read_receipt(route: str, bind: BindSettings, pdu: DeliverSm | DataSm) -> IncomingReceipt | None:
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
    )


def candidate_keys(message_id: str, id_base: IdBase) -> tuple[str, ...]:
    """The stored keys that a receipt's id may mean, the likeliest first.

    A part is stored under one spelling, that of its submit_sm_resp; so a receipt looks for every spelling that the bind's
    ``id_base`` allows: as given, its decimal number in hexadecimal (``response_hex``), its hexadecimal number in decimal
    (``receipt_hex``).
    """
    return id_keys(message_id, id_base, "receipt")


def international(address: str) -> str:
    """A handset's address as the store has it: SMSCs write +84…, 84… and 0…."""
    digits = address.strip().removeprefix("+")
    return f"84{digits[1:]}" if digits.startswith("0") and not digits.startswith("00") else digits.removeprefix("00")


@dataclass(frozen=True, slots=True)
class ReceiptsTold:
    """What a batch changed, and what the hooks say of it after the commit."""

    recorded: ReceiptsRecorded
    told: tuple[object, ...]


def rematch_txn(conn: Connection, now: datetime, since: datetime, limit: int, hooks: ReplyHooks) -> ReceiptsTold:
    """Try waiting receipts again, and tell the ledger of replies' in the same transaction."""
    recorded = rematch_waiting_txn(conn, now, since, limit)
    return ReceiptsTold(recorded, tuple(hooks.settled_txn(conn, recorded.settled, now)))


def log_recorded(recorded: ReceiptsRecorded) -> None:
    """What an engineer asks about: failed deliveries and doubts that ended."""
    for change in recorded.others:
        if change.after is not MessageState.DELIVERED and change.after.final:
            log.info("message_failed", message=change.message_id, state=change.after.value, reason=change.reason)
    for message_id in recorded.in_doubt:
        log.info("doubt_settled_by_receipt", message=message_id)
    if recorded.waiting:
        log.debug("receipts_wait", count=recorded.waiting)
