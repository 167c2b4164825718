"""Delivery receipts, matched to parts and recorded.

A receipt looks for its part in this order, and the first that answers wins:

1. by the id that it names, in every spelling that the bind's rules allow (``IncomingReceipt.id_keys``), the unlikely ones
   only with the same handset;
2. among messages in doubt to the same handset (invariant 3): by user_message_reference, or by destination and time;
3. else it waits (:mod:`gateway.store.waiting`): its submit_sm_resp may be on the way (invariant 5).

The second way is a guess, so it is narrow: nothing to that handset may be under way, and the message must be unknown. By time
alone nobody can say which of several parts a receipt speaks of. So these wait until there is one for every part in doubt:
then all of them were taken, whichever is whose. With fewer, the part that the SMSC never took might be called delivered.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.model import IncomingReceipt, MessageState, PartState, SettledPart, StateChange
from gateway.store.batch import MessageBatch, PartRow, id_key, means
from gateway.store.rollup import PART_FINAL, TAKEN
from gateway.store.schema import message, message_part, part_key, waiting_receipt
from gateway.store.singles import deliver_singles_txn
from gateway.store.sql import in_list
from gateway.store.states import state_is
from gateway.store.waiting import IS_WAITING, drop_receipts_txn, keep_receipts_txn, take_receipts_txn, waiting_since_txn

#: How far the clocks of gateway and SMSC may differ when a receipt is matched by time.
CLOCK_TOLERANCE = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class ReceiptsRecorded:
    """What a batch of receipts changed."""

    others: tuple[StateChange, ...]  # all changes but those of ``delivered``
    settled: tuple[SettledPart, ...]
    matched: int
    repeated: int  # told nothing new
    in_doubt: tuple[int, ...]  # messages whose lost answer a receipt replaced
    waiting: int
    delivered: tuple[
        int, ...
    ] = ()  # the usual: messages of one part, accepted → delivered; nothing more is to be told of them

    @property
    def changes(self) -> tuple[StateChange, ...]:
        """All changes. Thousands a second: who only looks for failures looks at ``others``."""
        before, after = MessageState.ACCEPTED, MessageState.DELIVERED
        return (*(StateChange(number, before, after, "", None) for number in self.delivered), *self.others)


def user_message_reference(message_id: int, part: int) -> int:
    """The user_message_reference of one part: 12 bits of the message's id, 4 of the part (SMPP 3.4 §5.3.2.17: 16 bits)."""
    return (message_id & 0xFFF) << 4 | (part & 0xF)


def record_receipts_txn(conn: Connection, receipts: Sequence[IncomingReceipt], now: datetime) -> ReceiptsRecorded:
    """Record receipts, oldest first. Repetitions are recognised and ignored; intermediate ones are never final."""
    recorded, unmatched = _match(conn, receipts, now)
    keep_receipts_txn(conn, unmatched, now)
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
    delivered, rest = _deliver_singles(conn, receipts, now)
    batch = MessageBatch(conn, now)
    found = _find_by_key(conn, batch, rest) if rest else {}
    unmatched: list[IncomingReceipt] = []
    matched = repeated = 0
    for receipt in rest:
        parts = _parts_by_key(batch, found, receipt)
        if not parts:
            unmatched.append(receipt)
            continue
        matched += 1
        news = [batch.apply_receipt(part, receipt) for part in parts]
        repeated += not any(news)
    in_doubt, unmatched = _match_doubt(conn, batch, unmatched)
    others = batch.flush()
    matched += len(delivered) + len(in_doubt)
    recorded = ReceiptsRecorded(
        others, tuple(batch.settled), matched, repeated, tuple(in_doubt), len(unmatched), tuple(delivered)
    )
    return recorded, unmatched


def _deliver_singles(
    conn: Connection, receipts: Sequence[IncomingReceipt], now: datetime
) -> tuple[list[int], Sequence[IncomingReceipt]]:
    """Record by the set what goes the usual way. Returns the messages delivered, and the receipts that are left, in their order.

    A receipt whose id others of this batch name, too, is left: they speak in their order.
    """
    told = Counter([receipt.id_keys[0] for receipt in receipts if receipt.id_keys])
    repeated = len(told) < len(receipts)
    by_route: dict[str, list[int]] = {}
    for at, receipt in enumerate(receipts):
        alone = receipt.id_keys and not (repeated and told[receipt.id_keys[0]] > 1)
        if alone and receipt.state is PartState.DELIVERED:
            by_route.setdefault(receipt.route, []).append(at)
    delivered: list[int] = []
    done: set[int] = set()
    for route, places in by_route.items():
        taken, messages = deliver_singles_txn(conn, route, [receipts[at] for at in places], now)
        done.update([places[at] for at in taken])
        delivered += messages
    if not done:
        return delivered, receipts
    return delivered, [receipt for at, receipt in enumerate(receipts) if at not in done]


# -- by id -------------------------------------------------------------------------------------------------------------


#: (route, id key) → the parts that have it, each with its handset
Found = dict[tuple[str, str], list[tuple[PartRow, str]]]


def _find_by_key(conn: Connection, batch: MessageBatch, receipts: Sequence[IncomingReceipt]) -> Found:
    """Load the messages that the receipts may speak of, with all their parts.

    Nearly all receipts find their part under the first spelling of their id; only what is left looks further.
    """
    found: Found = {}
    for first in (True, False):
        wanted: dict[str, set[str]] = {}
        for receipt in receipts:
            route, keys = receipt.route, receipt.id_keys
            if keys and (first or (route, keys[0]) not in found):
                wanted.setdefault(route, set()).update(keys[:1] if first else keys)
        for route, spellings in wanted.items():
            for further in (False,) if first else (False, True):
                open_ = [key for key in spellings if (route, key) not in found]
                _find(conn, batch, route, open_, found, further=further)
    batch.load_parts([row.id for row in batch.messages.values() if row.total > 1])
    return found


def _find(
    conn: Connection, batch: MessageBatch, route: str, keys: Collection[str], found: Found, *, further: bool
) -> None:
    query = _select_by_key(conn.dialect.name, further)
    messages, add, add_part = batch.messages, batch.add, batch.add_part
    for key, handset, number, state, total, node, mo_id, attempts, part, part_state, part_key_ in conn.execute(
        query, {"route_": route, "keys": keys}
    ):
        if number not in messages:
            add((number, state, total, route, node, mo_id, attempts))
        row = add_part((number, part, part_state, part_key_, ""))
        found.setdefault((route, key), []).append((row, handset))


@cache
def _select_by_key(dialect: str, further: bool) -> sa.Select[Any]:
    """A part with its message, by the part's id; or by a further id that it got."""
    table = part_key if further else message_part
    of_message, of_part = message.c, message_part.c
    query = (
        sa.select(table.c.id_key, of_message.destination_addr, of_message.id, of_message.state, of_message.parts)
        .add_columns(of_message.node, of_message.mo_id, of_message.attempts)
        .add_columns(of_part.part, of_part.state, of_part.id_key)
        .select_from(table)
        .join(message, of_message.id == table.c.message_id)
        .where(table.c.route == sa.bindparam("route_"), in_list(dialect, table.c.id_key, "keys"))
    )
    if further:
        query = query.join(
            message_part, sa.and_(of_part.message_id == table.c.message_id, of_part.part == table.c.part)
        )
    if dialect == "postgresql":
        query = query.order_by(of_message.id).with_for_update(of=message)
    return query


def _parts_by_key(batch: MessageBatch, found: Found, receipt: IncomingReceipt) -> Sequence[PartRow]:
    """The parts that a receipt speaks of: one; or all of a message that left in one submit (message_payload)."""
    for key in receipt.id_keys:
        parts = [item for item in found.get((receipt.route, key), ()) if means(receipt, key, item[1])]
        if len(parts) > 1:
            # SMSCs use their ids again after some time: the handset tells them apart, else the newest open one is meant.
            chosen = max(
                parts,
                key=lambda item: (
                    item[1] == receipt.destination_addr,
                    not batch.messages[item[0].message_id].state.final,
                    item[0].message_id,
                ),
            )[0].message_id
            return [part for part, _ in parts if part.message_id == chosen]
        if parts:
            return [parts[0][0]]
    return ()


# -- in doubt ----------------------------------------------------------------------------------------------------------


def _match_doubt(
    conn: Connection, batch: MessageBatch, receipts: Sequence[IncomingReceipt]
) -> tuple[list[int], list[IncomingReceipt]]:
    """Settle messages in doubt by receipts whose id nobody told us. Returns the messages, and the receipts left."""
    candidates = _unknown_to(conn, {receipt.destination_addr for receipt in receipts if receipt.destination_addr})
    if not candidates:
        return [], list(receipts)
    batch.load(number for numbers in candidates.values() for number, _ in numbers)
    settled: list[int] = []
    left: list[IncomingReceipt] = []
    told = _told_by_time(batch, candidates, receipts)
    by_id: dict[tuple[str, str], PartRow] = {}
    for receipt in receipts:
        named = receipt.route, receipt.smsc_message_id
        if receipt.smsc_message_id and named in by_id:  # told twice, or first as under way and then as delivered
            batch.apply_receipt(by_id[named], receipt)
            continue
        handset = receipt.route, receipt.destination_addr
        sure = receipt.user_message_reference is not None or handset in told
        part = _doubtful_part(batch, candidates.get(handset, []), receipt) if sure else None
        if part is None:
            left.append(receipt)
            continue
        part.smsc_message_id = receipt.smsc_message_id or None
        part.id_key = id_key(receipt.smsc_message_id)
        part.changed_id = True
        batch.parts[part.message_id][part.part] = part
        batch.apply_receipt(part, receipt)
        by_id[named] = part
        settled.append(part.message_id)
    return settled, left


def _told_by_time(
    batch: MessageBatch,
    candidates: Mapping[tuple[str, str], Sequence[tuple[int, datetime]]],
    receipts: Sequence[IncomingReceipt],
) -> set[tuple[str, str]]:
    """The handsets of which there are as many receipts without a reference as parts in doubt."""
    ids: dict[tuple[str, str], set[str]] = {}
    for receipt in receipts:
        handset = receipt.route, receipt.destination_addr
        since = [created_at for _, created_at in candidates.get(handset, ())]
        if receipt.user_message_reference is None and since and not _too_early(receipt, min(since)):
            ids.setdefault(handset, set()).add(receipt.smsc_message_id)
    return {
        handset
        for handset, told in ids.items()
        if len(told) >= sum(_open_parts(batch, number) for number, _ in candidates[handset])
    }


def _open_parts(batch: MessageBatch, number: int) -> int:
    taken = [part for part in batch.parts[number].values() if part.state in PART_FINAL or part.state in TAKEN]
    return batch.messages[number].total - len(taken)


def _too_early(receipt: IncomingReceipt, created_at: datetime) -> bool:
    return receipt.done_at is not None and receipt.done_at < created_at - CLOCK_TOLERANCE


def _unknown_to(conn: Connection, addresses: Collection[str]) -> dict[tuple[str, str], list[tuple[int, datetime]]]:
    """(route, handset) → its messages in doubt, oldest first, and since when they exist.

    None while another message to the handset is under way: the receipt may be of that one.
    """
    if not addresses:
        return {}
    query = sa.select(message.c.id, message.c.route, message.c.destination_addr, message.c.created_at).where(
        state_is(MessageState.UNKNOWN), message.c.destination_addr.in_(sorted(addresses))
    )
    candidates: dict[tuple[str, str], list[tuple[int, datetime]]] = {}
    for number, route, address, created_at in conn.execute(query.order_by(message.c.id)):
        candidates.setdefault((route, address), []).append((number, created_at))
    if not candidates:
        return {}
    under_way = sa.select(message.c.route, message.c.destination_addr).where(
        state_is(MessageState.SENDING), message.c.destination_addr.in_(sorted({address for _, address in candidates}))
    )
    for route, address in conn.execute(under_way):
        candidates.pop((route, address), None)
    return candidates


def _doubtful_part(
    batch: MessageBatch, candidates: Sequence[tuple[int, datetime]], receipt: IncomingReceipt
) -> PartRow | None:
    for number, created_at in candidates:
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
            if reference is None and _too_early(receipt, created_at):
                continue
            return part or PartRow(number, part_number, PartState.UNKNOWN, None, "", receipt.bind)
    return None
