"""What became of submits, recorded: the answers to submit_sm, their absence, and messages given back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.model import MessageState, PartState, SettledPart, StateChange, SubmitOutcome
from gateway.store.batch import MessageBatch, MessageRow, PartRow, id_key, means
from gateway.store.rollup import TAKEN
from gateway.store.schema import message, part_key
from gateway.store.singles import Keyed, accept_singles_txn, is_single_accept
from gateway.store.waiting import any_waiting_txn, drop_receipts_txn, take_receipts_txn, waiting_by_key_txn


@dataclass(frozen=True, slots=True)
class Recorded:
    """What recording changed."""

    others: tuple[StateChange, ...]  # all changes but those of ``accepted``
    settled: tuple[SettledPart, ...]  # by receipts that had come before their submit_sm_resp
    reply_outcomes: tuple[SubmitOutcome, ...]  # those that count and are of answers to an MO
    stale: tuple[int, ...]  # messages whose outcome came too late to count: another node has them, or they are gone
    accepted: tuple[
        int, ...
    ] = ()  # the usual: messages of one part, sending → accepted; nothing more is to be told of them

    @property
    def changes(self) -> tuple[StateChange, ...]:
        """All changes. Thousands a second: who only looks for failures looks at ``others``."""
        before, after = MessageState.SENDING, MessageState.ACCEPTED
        return (*(StateChange(number, before, after, "", None) for number in self.accepted), *self.others)


def record_outcomes_txn(conn: Connection, node: str, outcomes: Sequence[SubmitOutcome], now: datetime) -> Recorded:
    """Record outcomes of submits that ``node`` made, oldest first.

    ACCEPTED counts whenever it comes: it also settles a message that has become unknown since (invariant 3) or waits to
    be sent again. The other states count only as long as the message is this node's: a node that lost its lease must
    not disturb the node that has the message now.

    Receipts that came before are matched here (invariant 5). Recording the same outcome again changes nothing.
    """
    singles = _singles(outcomes)
    accepted = accept_singles_txn(conn, node, singles, now)
    left = [outcome for outcome in outcomes if outcome.message_id not in accepted] if accepted else outcomes
    batch = MessageBatch(conn, now)
    batch.load((outcome.message_id for outcome in left), first_attempts_have_no_parts=True)
    stale: list[int] = []
    replies: list[SubmitOutcome] = []
    second_ids: list[dict[str, object]] = []
    for outcome in left:
        row = batch.messages.get(outcome.message_id)
        if row is None or not _apply(batch, row, outcome, node, second_ids):
            stale.append(outcome.message_id)
        elif row.mo_id is not None:
            replies.append(outcome)
    early = [(accepted[one.message_id], key, one.message_id) for one, key in singles if one.message_id in accepted]
    _match_early(conn, batch, early)
    if second_ids:
        _insert_keys(conn, second_ids)
    others = batch.flush()
    if batch.messages.keys() & accepted.keys():  # ended at once by an early receipt: as one change
        others = tuple(
            change._replace(before=MessageState.SENDING)
            if accepted.pop(change.message_id, None) is not None
            else change
            for change in others
        )
    return Recorded(others, tuple(batch.settled), tuple(replies), tuple(stale), tuple(accepted))


def _singles(outcomes: Sequence[SubmitOutcome]) -> list[Keyed]:
    """The outcomes that may be recorded by the set, with the keys of their ids: no other is of the same message."""
    told = Counter([outcome.message_id for outcome in outcomes])
    repeated = len(told) < len(outcomes)
    keyed = [
        (outcome, id_key(outcome.smsc_message_id))
        for outcome in outcomes
        if is_single_accept(outcome) and not (repeated and told[outcome.message_id] > 1)
    ]
    return [(outcome, key) for outcome, key in keyed if key is not None]


def _apply(
    batch: MessageBatch, row: MessageRow, outcome: SubmitOutcome, node: str, second_ids: list[dict[str, object]]
) -> bool:
    mine = row.node == node and row.state in (MessageState.SENDING, MessageState.UNKNOWN)
    existing = batch.parts[row.id].get(outcome.part)
    if outcome.state is PartState.PENDING:
        if mine:
            row.returned, row.reason, row.retry_at = True, outcome.reason, outcome.retry_at
            row.untried = outcome.command_status is None
            if existing is not None and existing.state is PartState.UNKNOWN and outcome.bind:
                # The late answer says that the SMSC did not take it after all: nothing is in doubt. (Without a bind the whole
                # message is given back, for parts that never left; those in doubt stay so.)
                existing.state, existing.reason, existing.changed = PartState.PENDING, outcome.reason, True
        return mine
    if existing is not None and (existing.state in TAKEN or existing.state is PartState.REJECTED):
        return _apply_again(row.route, existing, outcome, second_ids)
    if outcome.state is not PartState.ACCEPTED and not mine:
        return False
    batch.put(
        PartRow(
            row.id,
            outcome.part,
            outcome.state,
            id_key(outcome.smsc_message_id),
            outcome.reason,
            outcome.bind,
            outcome.smsc_message_id or None,
            outcome.command_status,
            outcome.at,
        )
    )
    return True


def _apply_again(route: str, existing: PartRow, outcome: SubmitOutcome, second_ids: list[dict[str, object]]) -> bool:
    """A part that has its answer got another: a repeated submit was accepted too, or the same outcome is told again."""
    key = id_key(outcome.smsc_message_id)
    if outcome.state is not PartState.ACCEPTED:
        return False
    if key is None or key == existing.id_key:
        return True
    if existing.id_key is None:
        existing.smsc_message_id, existing.id_key = outcome.smsc_message_id, key
        existing.changed = existing.changed_id = True
    else:
        second_ids.append({"route": route, "id_key": key, "message_id": existing.message_id, "part": existing.part})
    return True


def _insert_keys(conn: Connection, rows: list[dict[str, object]]) -> None:
    for row in rows:
        same = [part_key.c[name] == value for name, value in row.items()]
        if conn.execute(sa.select(part_key.c.part).where(*same)).first() is None:
            conn.execute(sa.insert(part_key), row)


def _match_early(conn: Connection, batch: MessageBatch, singles: Sequence[tuple[str, str, int]]) -> None:
    """Let receipts that came before their answers speak of the parts accepted now.

    ``singles``: route, key and message of what :func:`accept_singles_txn` recorded; only those meant are read.
    """
    if not any_waiting_txn(conn):
        return
    fresh: dict[str, dict[str, list[tuple[int, int]]]] = {}
    for number, parts in batch.parts.items():
        for part in parts.values():
            if part.changed_id and part.id_key is not None and part.state is PartState.ACCEPTED:
                by_key = fresh.setdefault(batch.messages[number].route, {})
                by_key.setdefault(part.id_key, []).append((number, part.part))
    for route, key, number in singles:
        fresh.setdefault(route, {}).setdefault(key, []).append((number, 1))
    used: list[int] = []
    for route, by_key in fresh.items():
        waiting = waiting_by_key_txn(conn, route, list(by_key))
        receipts = take_receipts_txn(conn, [number for numbers in waiting.values() for number in numbers])
        concerned = [number for key in waiting for number, _ in by_key[key]]
        batch.load(concerned)
        handsets = _handsets(conn, concerned)
        for key, numbers in waiting.items():
            for number in numbers:
                receipt = receipts.get(number)  # None: another node has it in hand
                if receipt is None:
                    continue
                meant = [(owner, part) for owner, part in by_key[key] if means(receipt, key, handsets[owner])]
                for owner, part_number in meant:
                    batch.apply_receipt(batch.parts[owner][part_number], receipt)
                if meant:
                    used.append(number)
    drop_receipts_txn(conn, used)


def _handsets(conn: Connection, ids: Sequence[int]) -> dict[int, str]:
    if not ids:
        return {}
    query = sa.select(message.c.id, message.c.destination_addr).where(message.c.id.in_(sorted(set(ids))))
    return {row.id: row.destination_addr for row in conn.execute(query)}
