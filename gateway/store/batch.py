"""Messages and their parts, loaded and locked together, changed in memory, written back in few statements.

What happens to messages after the claim arrives by the hundred: outcomes of submits, receipts. Each transaction loads
the messages concerned once, applies what happened in order, and writes one UPDATE for each group of messages that go
the same way, one INSERT for all new parts, one UPDATE for each group of parts with the same receipt.

This is where most of the gateway's work is done, thousands of times a second, so it works on plain tuples where that is
as clear.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.errors import StaleStateError
from gateway.model import IncomingReceipt, MessageState, PartState, SettledPart, StateChange
from gateway.smpp.receipt import id_keys
from gateway.store.rollup import PART_FINAL, roll_up
from gateway.store.schema import message, message_part
from gateway.store.sql import in_list, insert_rows, plain_datetime

_MESSAGE_STATES = {state.value: state for state in MessageState}
_PART_STATES = {state.value: state for state in PartState}

MESSAGE_COLUMNS = (
    message.c.id,
    message.c.state,
    message.c.parts,
    message.c.route,
    message.c.node,
    message.c.mo_id,
    message.c.attempts,
)
PART_COLUMNS = (
    message_part.c.message_id,
    message_part.c.part,
    message_part.c.state,
    message_part.c.id_key,
    message_part.c.reason,
)
_NEW_PART = (
    "message_id",
    "part",
    "state",
    "id_key",
    "reason",
    "bind",
    "route",
    "smsc_message_id",
    "command_status",
    "answered_at",
    "final_at",
    "receipt_stat",
    "receipt_error",
)


def id_key(smsc_message_id: str) -> str | None:
    """The one key under which a part is stored; receipts are looked for under every spelling that it may have."""
    keys = id_keys(smsc_message_id, "as_given", "response")
    return keys[0] if keys else None


def means(receipt: IncomingReceipt, key: str, destination_addr: str) -> bool:
    """Whether a receipt that found a part under ``key`` speaks of it.

    The first of its spellings is taken at its word. The others are guesses at the base of a number, and numbers that SMSCs
    count up are each other's guesses: 658 read as hexadecimal is another message's 292. They need the same handset.
    """
    return key == receipt.id_keys[0] or receipt.destination_addr == destination_addr


@dataclass(slots=True)
class MessageRow:
    """What the rules need of a message. Mutable inside one transaction only."""

    id: int
    state: MessageState
    total: int
    route: str
    node: str | None
    mo_id: int | None
    attempts: int
    reason: str = ""
    returned: bool = False
    untried: bool = False  # returned without the SMSC's having been asked: the claim does not count as an attempt
    retry_at: datetime | None = None


@dataclass(slots=True)
class PartRow:
    """A part with an outcome. Mutable inside one transaction only.

    The fields after id_key are what this transaction adds; what is stored of them is not read, and stays when None.
    """

    message_id: int
    part: int
    state: PartState
    id_key: str | None
    reason: str = ""
    bind: str | None = None
    smsc_message_id: str | None = None
    command_status: int | None = None
    answered_at: datetime | None = None
    receipt: IncomingReceipt | None = None
    stored: bool = False
    changed: bool = False
    changed_id: bool = False


class MessageBatch:
    """The messages that one transaction changes."""

    def __init__(self, conn: Connection, now: datetime) -> None:
        self._conn = conn
        self._now = now
        self.dialect = conn.dialect.name
        self.messages: dict[int, MessageRow] = {}
        self.parts: dict[int, dict[int, PartRow]] = {}
        self.settled: list[SettledPart] = []

    # -- reading --------------------------------------------------------------------------------------------------

    def load(self, ids: Iterable[int], *, first_attempts_have_no_parts: bool = False) -> None:
        """Lock and read these messages and their parts.

        ``first_attempts_have_no_parts`` saves a look where there cannot be a row: at the single part of a message that
        is being sent for the first time.
        """
        missing = list(set(ids) - self.messages.keys())
        if not missing:
            return
        with_parts: list[int] = []
        for values in self._conn.execute(_select_messages(self.dialect), {"ids": missing}):
            row = self.add(values)
            fresh = row.total == 1 and row.attempts == 1 and row.state is MessageState.SENDING
            if not (fresh and first_attempts_have_no_parts):
                with_parts.append(row.id)
        self.load_parts(with_parts)

    def load_parts(self, ids: Sequence[int]) -> None:
        """Read all parts of messages that are here."""
        if ids:
            for values in self._conn.execute(_select_parts(self.dialect), {"ids": ids}):
                self.add_part(values)

    def add(self, values: Sequence[Any]) -> MessageRow:
        """Take a message as read in MESSAGE_COLUMNS."""
        number, state, total, route, node, mo_id, attempts = values
        row = MessageRow(number, _MESSAGE_STATES[state], total, route, node, mo_id, attempts)
        self.messages[number] = row
        self.parts[number] = {}
        return row

    def add_part(self, values: Sequence[Any]) -> PartRow:
        """Take a part as read in PART_COLUMNS, of a message that is here."""
        number, part, state, key, reason = values
        row = self.parts[number].get(part)
        if row is None:
            row = PartRow(number, part, _PART_STATES[state], key, reason)
            row.stored = True
            self.parts[number][part] = row
        elif not row.changed:
            row.state = _PART_STATES[state]  # read again under the message's lock
        return row

    # -- changing -------------------------------------------------------------------------------------------------

    def put(self, part: PartRow) -> None:
        """Add a part, or replace the one that is there."""
        parts = self.parts[part.message_id]
        existing = parts.get(part.part)
        part.stored = existing is not None and existing.stored
        part.changed = part.changed_id = True
        parts[part.part] = part

    def apply_receipt(self, part: PartRow, receipt: IncomingReceipt) -> bool:
        """Let a receipt speak of one part. False: it tells nothing new (repeated, or intermediate)."""
        if part.state in PART_FINAL:
            return False
        if receipt.state is None:
            # Intermediate, never final; but it shows that the SMSC has a part whose answer was lost.
            if part.state is PartState.ACCEPTED:
                return False
            part.state = PartState.ACCEPTED
        else:
            part.state, part.receipt = receipt.state, receipt
            if receipt.state is not PartState.DELIVERED:
                part.reason = f"receipt:{receipt.stat}" + (f":{receipt.error}" if receipt.error else "")
            mo_id = self.messages[part.message_id].mo_id
            if mo_id is not None:
                self.settled.append(
                    SettledPart(part.message_id, part.part, mo_id, receipt.state, receipt.stat, receipt.error)
                )
        part.changed = True
        return True

    # -- writing --------------------------------------------------------------------------------------------------

    def flush(self) -> tuple[StateChange, ...]:
        """Write parts and messages back. Returns the messages that changed their state."""
        self._write_parts()
        changes: list[StateChange] = []
        groups: dict[tuple[Any, ...], list[int]] = {}
        for row in self.messages.values():
            parts = self.parts[row.id].values()
            states = [part.state for part in parts if part.state is not PartState.PENDING]
            after = roll_up(row.state, row.total, states, returned=row.returned, later=row.retry_at is not None)
            if after is row.state:
                continue
            reason = "" if after in _GOOD else _reason(after, row, parts)
            accepted = row.state is not MessageState.ACCEPTED and _all_taken(states, row.total)
            retry_at = row.retry_at if after is MessageState.HELD else None
            groups.setdefault((row.state, after, reason, accepted, row.untried, retry_at), []).append(row.id)
            changes.append(StateChange(row.id, row.state, after, reason, row.mo_id))
        for (before, after, reason, accepted, untried, retry_at), ids in groups.items():
            self._move(ids, before, after, reason, accepted, untried, retry_at)
        return tuple(changes)

    def _write_parts(self) -> None:
        new: list[tuple[Any, ...]] = []
        now = plain_datetime(self.dialect, self._now)
        by_receipt: dict[tuple[Any, ...], list[int]] = {}
        for parts in self.parts.values():
            for part in parts.values():
                if not part.changed:
                    continue
                stat, error = (part.receipt.stat, part.receipt.error) if part.receipt else (None, None)
                if not part.stored:
                    new.append(self._new_part(part, now, stat, error))
                elif part.changed_id:
                    self._conn.execute(_UPDATE_PART, self._old_part(part, stat, error))
                else:
                    key = (part.part, part.state.value, part.reason, stat, error, part.receipt is not None)
                    by_receipt.setdefault(key, []).append(part.message_id)
        insert_rows(self._conn, message_part, _NEW_PART, new)
        for (number, state, reason, stat, error, final), ids in by_receipt.items():
            values = {"number": number, "state_": state, "reason_": reason, "stat": stat, "error": error, "ids": ids}
            final_at = self._now if final else None
            self._conn.execute(_update_by_receipt(self.dialect), {**values, "final": final_at})

    def _new_part(self, part: PartRow, now: Any, stat: str | None, error: str | None) -> tuple[Any, ...]:
        return (
            part.message_id,
            part.part,
            part.state.value,
            part.id_key,
            part.reason,
            part.bind or "",
            self.messages[part.message_id].route,
            part.smsc_message_id,
            part.command_status,
            now if part.answered_at is None else plain_datetime(self.dialect, part.answered_at),
            now if part.receipt else None,
            stat,
            error,
        )

    def _old_part(self, part: PartRow, stat: str | None, error: str | None) -> dict[str, Any]:
        return {
            "message": part.message_id,
            "number": part.part,
            "state_": part.state.value,
            "reason_": part.reason,
            "bind_": part.bind,
            "smsc_id": part.smsc_message_id,
            "key": part.id_key,
            "status": part.command_status,
            "answered": part.answered_at or (None if part.command_status is None else self._now),
            "final": self._now if part.receipt else None,
            "stat": stat,
            "error": error,
        }

    def _move(
        self,
        ids: list[int],
        before: MessageState,
        after: MessageState,
        reason: str,
        accepted: bool,
        untried: bool,
        retry_at: datetime | None,
    ) -> None:
        values = {"ids": ids, "before": before.value, "after": after.value, "reason_": reason, "now_": self._now}
        kept = after is MessageState.UNKNOWN
        statement = _move_statement(self.dialect, kept, accepted, untried and not kept, retry_at is not None)
        moved = self._conn.execute(statement, values | ({} if retry_at is None else {"retry_at": retry_at})).rowcount
        if moved != len(ids):  # the rows are locked: only a fault of ours can lead here
            raise StaleStateError(f"{len(ids) - moved} messages were not {before.value} when they became {after.value}")


# -- statements, each built once for each dialect ----------------------------------------------------------------------


@cache
def _select_messages(dialect: str) -> sa.Select[Any]:
    # One order everywhere: two nodes do not wait for each other in a circle. SQLite has one writer.
    query = sa.select(*MESSAGE_COLUMNS).where(in_list(dialect, message.c.id, "ids"))
    return query.order_by(message.c.id).with_for_update() if dialect == "postgresql" else query


@cache
def _select_parts(dialect: str) -> sa.Select[Any]:
    return sa.select(*PART_COLUMNS).where(in_list(dialect, message_part.c.message_id, "ids"))


@cache
def _update_by_receipt(dialect: str) -> sa.Update:
    """What a receipt changes. Not the id: an UPDATE that names an indexed column pays for the index."""
    return (
        sa.update(message_part)
        .where(message_part.c.part == sa.bindparam("number"), in_list(dialect, message_part.c.message_id, "ids"))
        .values(
            state=sa.bindparam("state_"),
            reason=sa.bindparam("reason_"),
            final_at=sa.bindparam("final"),
            receipt_stat=sa.bindparam("stat"),
            receipt_error=sa.bindparam("error"),
        )
    )


def _keep(column: sa.Column[Any], name: str) -> sa.ColumnElement[Any]:
    """A new value, or the stored one when there is none."""
    return sa.func.coalesce(sa.bindparam(name, type_=column.type), column)


_UPDATE_PART = (
    sa.update(message_part)
    .where(message_part.c.message_id == sa.bindparam("message"), message_part.c.part == sa.bindparam("number"))
    .values(
        state=sa.bindparam("state_"),
        reason=sa.bindparam("reason_"),
        bind=_keep(message_part.c.bind, "bind_"),
        smsc_message_id=_keep(message_part.c.smsc_message_id, "smsc_id"),
        id_key=_keep(message_part.c.id_key, "key"),
        command_status=_keep(message_part.c.command_status, "status"),
        answered_at=_keep(message_part.c.answered_at, "answered"),
        final_at=_keep(message_part.c.final_at, "final"),
        receipt_stat=_keep(message_part.c.receipt_stat, "stat"),
        receipt_error=_keep(message_part.c.receipt_error, "error"),
    )
)


@cache
def _move_statement(dialect: str, keeps_node: bool, accepted: bool, untried: bool, retried: bool) -> sa.Update:
    values: dict[str, Any] = {
        "state": sa.bindparam("after"),
        "reason": sa.bindparam("reason_"),
        "state_at": sa.bindparam("now_"),
    }
    if not keeps_node:
        values["node"] = None
    if accepted:
        now = sa.bindparam("now_", type_=message.c.accepted_at.type)
        values["accepted_at"] = sa.func.coalesce(message.c.accepted_at, now)
    if untried:
        values["attempts"] = message.c.attempts - 1
    if retried:
        values["not_before"] = sa.bindparam("retry_at")
    return (
        sa.update(message)
        .where(in_list(dialect, message.c.id, "ids"), message.c.state == sa.bindparam("before"))
        .values(values)
    )


#: States that need no reason.
_GOOD = (MessageState.ACCEPTED, MessageState.DELIVERED)


def _all_taken(states: Sequence[PartState], total: int) -> bool:
    return len(states) == total and PartState.UNKNOWN not in states and PartState.REJECTED not in states


def _reason(after: MessageState, row: MessageRow, parts: Iterable[PartRow]) -> str:
    """Why the message is where it goes: the failed part's reason, or the sender's."""
    if after.final or after is MessageState.UNKNOWN:
        wanted = PartState.UNKNOWN if after is MessageState.UNKNOWN else PartState(after.value)
        reasons = [part.reason for part in sorted(parts, key=lambda part: part.part) if part.state is wanted]
        return next((reason for reason in reasons if reason), row.reason)
    return row.reason
