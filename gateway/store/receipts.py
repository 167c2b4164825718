"""Delivery receipts, matched to parts and recorded.

A receipt looks for its part in this order, and the first that answers wins:

1. by the id that it names, in every spelling that the bind's rules allow (``IncomingReceipt.id_keys``);
2. among messages in doubt to the same handset (invariant 3): by user_message_reference, or by destination and time;
3. else it waits (:mod:`gateway.store.waiting`): its submit_sm_resp may be on the way (invariant 5).

The second way is a guess, so it is narrow: nothing to that handset may be under way, and the message must be unknown.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.model import IncomingReceipt, MessageState, PartState, SettledPart, StateChange
from gateway.store.batch import MessageBatch, PartRow, id_key
from gateway.store.rollup import PART_FINAL, TAKEN
from gateway.store.schema import message, message_part, part_key, waiting_receipt
from gateway.store.states import state_is
from gateway.store.waiting import IS_WAITING, drop_receipts_txn, keep_receipts_txn, take_receipts_txn, waiting_since_txn

#: How far the clocks of gateway and SMSC may differ when a receipt is matched by time.
CLOCK_TOLERANCE = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class ReceiptsRecorded:
    """What a batch of receipts changed."""

    changes: tuple[StateChange, ...]
    settled: tuple[SettledPart, ...]
    matched: int
    repeated: int  # told nothing new
    in_doubt: tuple[int, ...]  # messages whose lost answer a receipt replaced
    waiting: int


def user_message_reference(message_id: int, part: int) -> int:
    """The user_message_reference of one part: 12 bits of the message's id, 4 of the part (SMPP 3.4 §5.3.2.17: 16 bits)."""
    return (message_id & 0xFFF) << 4 | (part & 0xF)


def record_receipts_txn(conn: Connection, receipts: Sequence[IncomingReceipt], now: datetime) -> ReceiptsRecorded:
    """Record receipts, oldest first. Repetitions are recognised and ignored; intermediate ones are never final."""
    recorded, unmatched = _match(conn, receipts, now)
    keep_receipts_txn(conn, unmatched)
    return recorded


def rematch_waiting_txn(
    conn: Connection, now: datetime, since: datetime, limit: int, skip_younger_than: timedelta = timedelta(0)
) -> ReceiptsRecorded:
    """Try waiting receipts again: those received at or after ``since``, and any whose handset has a message in doubt.

    Two nodes that record a submit_sm_resp and its receipt in the same moment do not see each other's row; and a message
    may come into doubt after its receipt.
    """
    doubtful = (
        sa.select(waiting_receipt.c.id)
        .select_from(waiting_receipt)
        .join(message, message.c.destination_addr == waiting_receipt.c.destination_addr)
        .where(
            IS_WAITING,
            state_is(MessageState.UNKNOWN),
            message.c.route == waiting_receipt.c.route,
            waiting_receipt.c.received_at <= now - skip_younger_than,
        )
        .order_by(waiting_receipt.c.id)
        .limit(limit)
    )
    ids = {number for (number,) in conn.execute(doubtful)} | set(waiting_since_txn(conn, since, limit))
    waiting = take_receipts_txn(conn, ids)
    recorded, unmatched = _match(conn, list(waiting.values()), now)
    left = {id(receipt) for receipt in unmatched}
    drop_receipts_txn(conn, [number for number, receipt in waiting.items() if id(receipt) not in left])
    return recorded


def _match(
    conn: Connection, receipts: Sequence[IncomingReceipt], now: datetime
) -> tuple[ReceiptsRecorded, list[IncomingReceipt]]:
    batch = MessageBatch(conn, now)
    found = _find_by_key(conn, receipts)
    batch.load(number for places in found.values() for number, _ in places)
    unmatched: list[IncomingReceipt] = []
    matched = repeated = 0
    for receipt in receipts:
        parts = _parts_by_key(batch, found, receipt)
        if not parts:
            unmatched.append(receipt)
            continue
        matched += 1
        news = [batch.apply_receipt(part, receipt) for part in parts]
        repeated += not any(news)
    in_doubt, unmatched = _match_doubt(conn, batch, unmatched)
    changes = batch.flush()
    recorded = ReceiptsRecorded(
        changes, tuple(batch.settled), matched + len(in_doubt), repeated, tuple(in_doubt), len(unmatched)
    )
    return recorded, unmatched


# -- by id -------------------------------------------------------------------------------------------------------------


def _find_by_key(conn: Connection, receipts: Iterable[IncomingReceipt]) -> dict[tuple[str, str], list[tuple[int, int]]]:
    """(route, id key) → the parts (message id, part) that have it."""
    wanted: dict[str, set[str]] = {}
    for receipt in receipts:
        wanted.setdefault(receipt.route, set()).update(receipt.id_keys)
    found: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for route, keys in wanted.items():
        if not keys:
            continue
        for table in (message_part, part_key):
            query = sa.select(table.c.id_key, table.c.message_id, table.c.part).where(
                table.c.route == route, table.c.id_key.in_(sorted(keys))
            )
            for key, message_id, part in conn.execute(query):
                found.setdefault((route, key), []).append((message_id, part))
            keys -= {key for key in keys if (route, key) in found}
            if not keys:
                break
    return found


def _parts_by_key(
    batch: MessageBatch, found: dict[tuple[str, str], list[tuple[int, int]]], receipt: IncomingReceipt
) -> list[PartRow]:
    """The parts that a receipt speaks of: one; or all of a message that left in one submit (message_payload)."""
    for key in receipt.id_keys:
        places = [place for place in found.get((receipt.route, key), ()) if place[0] in batch.messages]
        if not places:
            continue

        def rank(place: tuple[int, int]) -> tuple[bool, bool, int]:
            # SMSCs use their ids again after some time: the handset tells them apart, else the newest is meant.
            row = batch.messages[place[0]]
            same = not receipt.destination_addr or row.destination_addr == receipt.destination_addr
            return same, not row.state.final, row.id

        chosen = max(places, key=rank)[0]
        parts = batch.parts[chosen]
        return [parts[part] for number, part in places if number == chosen and part in parts]
    return []


# -- in doubt ----------------------------------------------------------------------------------------------------------


def _match_doubt(
    conn: Connection, batch: MessageBatch, receipts: Sequence[IncomingReceipt]
) -> tuple[list[int], list[IncomingReceipt]]:
    """Settle messages in doubt by receipts whose id nobody told us. Returns the messages, and the receipts left."""
    addresses = {receipt.destination_addr for receipt in receipts if receipt.destination_addr}
    candidates = _unknown_to(conn, addresses)
    if not candidates:
        return [], list(receipts)
    batch.load(number for numbers in candidates.values() for number in numbers)
    settled: list[int] = []
    left: list[IncomingReceipt] = []
    for receipt in receipts:
        part = _doubtful_part(batch, candidates.get((receipt.route, receipt.destination_addr), []), receipt)
        if part is None:
            left.append(receipt)
            continue
        part.smsc_message_id = receipt.smsc_message_id or None
        part.id_key = id_key(receipt.smsc_message_id)
        part.changed_id = True
        batch.parts[part.message_id][part.part] = part
        batch.apply_receipt(part, receipt)
        settled.append(part.message_id)
    return settled, left


def _unknown_to(conn: Connection, addresses: Collection[str]) -> dict[tuple[str, str], list[int]]:
    """(route, handset) → its messages in doubt, oldest first; none while another message to it is under way."""
    if not addresses:
        return {}
    query = sa.select(message.c.id, message.c.route, message.c.destination_addr).where(
        state_is(MessageState.UNKNOWN), message.c.destination_addr.in_(sorted(addresses))
    )
    candidates: dict[tuple[str, str], list[int]] = {}
    for number, route, address in conn.execute(query.order_by(message.c.id)):
        candidates.setdefault((route, address), []).append(number)
    if not candidates:
        return {}
    under_way = sa.select(message.c.route, message.c.destination_addr).where(
        state_is(MessageState.SENDING), message.c.destination_addr.in_(sorted({address for _, address in candidates}))
    )
    for route, address in conn.execute(under_way):
        candidates.pop((route, address), None)
    return candidates


def _doubtful_part(batch: MessageBatch, candidates: Sequence[int], receipt: IncomingReceipt) -> PartRow | None:
    for number in candidates:
        row = batch.messages[number]
        if row.state is not MessageState.UNKNOWN:
            continue
        for part_number in range(1, row.total + 1):
            part = batch.parts[number].get(part_number)
            if part is not None and (part.state in PART_FINAL or part.state in TAKEN):
                continue
            reference = receipt.user_message_reference
            if reference is not None and reference != user_message_reference(number, part_number):
                continue
            too_early = receipt.done_at is not None and receipt.done_at < row.created_at - CLOCK_TOLERANCE
            if reference is None and too_early:
                continue
            return part or PartRow(
                number, part_number, PartState.UNKNOWN, "", receipt.bind, row.route, None, None, None, None
            )
    return None
