"""Messages and their parts, loaded and locked together, changed in memory, written back in few statements.

What happens to messages after the claim arrives by the hundred: outcomes of submits, receipts. Each transaction loads
the messages concerned once, applies what happened in order, and writes one UPDATE for each group of messages that go
the same way, one INSERT for all new parts, one UPDATE for all changed ones.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.errors import StaleStateError
from gateway.model import IncomingReceipt, MessageState, PartState, SettledPart, StateChange
from gateway.smpp.receipt import id_keys
from gateway.store.rollup import PART_FINAL, roll_up
from gateway.store.schema import message, message_part

_MESSAGES = (
    sa.select(message.c.id, message.c.state, message.c.parts, message.c.route, message.c.node, message.c.mo_id)
    .add_columns(message.c.destination_addr, message.c.attempts, message.c.accepted_at, message.c.created_at)
    .where(message.c.id.in_(sa.bindparam("ids", expanding=True)))
    .order_by(message.c.id)  # one order everywhere: two nodes do not wait for each other in a circle
)
_PARTS = sa.select(message_part).where(message_part.c.message_id.in_(sa.bindparam("ids", expanding=True)))
_INSERT_PARTS = sa.insert(message_part)
#: What a receipt changes. Not the id: an UPDATE that names an indexed column pays for the index.
_RECEIPT_COLUMNS = ("state", "reason", "final_at", "receipt_stat", "receipt_error")


def _update_parts(names: Iterable[str]) -> sa.Update:
    columns = [message_part.c[name] for name in names]
    return (
        sa.update(message_part)
        .where(message_part.c.message_id == sa.bindparam("message"), message_part.c.part == sa.bindparam("number"))
        .values({column: sa.bindparam(f"new_{column.name}", type_=column.type) for column in columns})
    )


_UPDATE_PARTS = {
    True: _update_parts(column.name for column in message_part.c if not column.primary_key),
    False: _update_parts(_RECEIPT_COLUMNS),
}


def id_key(smsc_message_id: str) -> str | None:
    """The one key under which a part is stored; receipts are looked for under every spelling that it may have."""
    keys = id_keys(smsc_message_id, "as_given", "response")
    return keys[0] if keys else None


@dataclass(slots=True)
class MessageRow:
    """What the rules need of a message. Mutable inside one transaction only."""

    id: int
    state: MessageState
    total: int
    route: str
    node: str | None
    mo_id: int | None
    destination_addr: str
    attempts: int
    accepted_at: datetime | None
    created_at: datetime
    before: MessageState
    reason: str = ""
    returned: bool = False
    retry_at: datetime | None = None


@dataclass(slots=True)
class PartRow:
    """A part with an outcome. Mutable inside one transaction only."""

    message_id: int
    part: int
    state: PartState
    reason: str
    bind: str
    route: str
    smsc_message_id: str | None
    id_key: str | None
    command_status: int | None
    answered_at: datetime | None
    final_at: datetime | None = None
    receipt_stat: str | None = None
    receipt_error: str | None = None
    stored: bool = False
    changed: bool = False
    changed_id: bool = False

    def values(self) -> dict[str, Any]:
        return {
            "message_id": self.message_id,
            "part": self.part,
            "state": self.state.value,
            "reason": self.reason,
            "bind": self.bind,
            "route": self.route,
            "smsc_message_id": self.smsc_message_id,
            "id_key": self.id_key,
            "command_status": self.command_status,
            "answered_at": self.answered_at,
            "final_at": self.final_at,
            "receipt_stat": self.receipt_stat,
            "receipt_error": self.receipt_error,
        }


class MessageBatch:
    """The messages that one transaction changes."""

    def __init__(self, conn: Connection, now: datetime) -> None:
        self._conn = conn
        self._now = now
        self.messages: dict[int, MessageRow] = {}
        self.parts: dict[int, dict[int, PartRow]] = {}
        self.settled: list[SettledPart] = []

    def load(self, ids: Iterable[int], *, parts_of_all: bool = True) -> None:
        """Lock and read these messages and their parts.

        ``parts_of_all=False`` leaves out what cannot have a row: the single part of a message that is sent for the
        first time.
        """
        missing = sorted(set(ids) - self.messages.keys())
        if not missing:
            return
        query = _MESSAGES if self._conn.dialect.name == "sqlite" else _MESSAGES.with_for_update()
        with_parts: list[int] = []
        rows = self._conn.execute(query, {"ids": missing})
        for number, state, total, route, node, mo_id, addr, attempts, accepted, created in rows:
            current = MessageState(state)
            self.messages[number] = MessageRow(
                number, current, total, route, node, mo_id, addr, attempts, accepted, created, current
            )
            self.parts[number] = {}
            if parts_of_all or total > 1 or attempts > 1 or current is not MessageState.SENDING:
                with_parts.append(number)
        if with_parts:
            for row in self._conn.execute(_PARTS, {"ids": with_parts}).mappings():
                values = {**row, "state": PartState(row["state"])}
                self.parts[row["message_id"]][row["part"]] = PartRow(**values, stored=True)

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
            part.state = receipt.state
            part.final_at = receipt.received_at
            part.receipt_stat, part.receipt_error = receipt.stat, receipt.error
            self.settled.append(
                SettledPart(
                    part.message_id,
                    part.part,
                    self.messages[part.message_id].mo_id,
                    receipt.state,
                    receipt.stat,
                    receipt.error,
                )
            )
            if receipt.state is not PartState.DELIVERED:
                part.reason = f"receipt:{receipt.stat}" + (f":{receipt.error}" if receipt.error else "")
        part.changed = True
        return True

    def flush(self) -> tuple[StateChange, ...]:
        """Write parts and messages back. Returns the messages that changed their state."""
        self._write_parts()
        changes: list[StateChange] = []
        groups: dict[tuple[MessageState, str, datetime | None, MessageState, bool], list[int]] = {}
        for row in self.messages.values():
            parts = self.parts[row.id]
            states = [part.state for part in parts.values()]
            later = row.retry_at is not None
            after = roll_up(row.state, row.total, states, returned=row.returned, later=later)
            if after is row.before:
                continue
            reason = _reason(after, row, parts.values())
            first_accept = row.accepted_at is None and len(parts) == row.total and _all_taken(parts.values())
            retry_at = row.retry_at if after is MessageState.HELD else None
            groups.setdefault((after, reason, retry_at, row.before, first_accept), []).append(row.id)
            changes.append(StateChange(row.id, row.before, after, reason, row.mo_id))
        for (after, reason, retry_at, before, first_accept), ids in groups.items():
            self._move(ids, before, after, reason, retry_at, first_accept)
        return tuple(changes)

    def _write_parts(self) -> None:
        changed = [part for parts in self.parts.values() for part in parts.values() if part.changed]
        new = [part.values() for part in changed if not part.stored]
        if new:
            self._conn.execute(_INSERT_PARTS, new)
        for with_id, statement in _UPDATE_PARTS.items():
            old = [_renamed(part.values()) for part in changed if part.stored and part.changed_id is with_id]
            if old:
                self._conn.execute(statement, old)

    def _move(
        self,
        ids: list[int],
        before: MessageState,
        after: MessageState,
        reason: str,
        retry_at: datetime | None,
        first_accept: bool,
    ) -> None:
        values: dict[str, Any] = {"state": after.value, "reason": reason, "state_at": self._now}
        if after is not MessageState.UNKNOWN:
            values["node"] = None
        if first_accept:
            values["accepted_at"] = self._now
        if retry_at is not None:
            values["not_before"] = retry_at
        moved = self._conn.execute(
            sa.update(message).where(message.c.id.in_(ids), message.c.state == before.value).values(values)
        ).rowcount
        if moved != len(ids):  # the rows are locked: only a fault of ours can lead here
            raise StaleStateError(f"{len(ids) - moved} messages were not {before.value} when they became {after.value}")


def _renamed(values: dict[str, Any]) -> dict[str, Any]:
    """As the UPDATE's bound values, which may not be called as columns are."""
    keys = {"message": values.pop("message_id"), "number": values.pop("part")}
    return keys | {f"new_{name}": value for name, value in values.items()}


def _all_taken(parts: Iterable[PartRow]) -> bool:
    return all(part.state not in (PartState.REJECTED, PartState.UNKNOWN) for part in parts)


def _reason(after: MessageState, row: MessageRow, parts: Iterable[PartRow]) -> str:
    """Why the message is where it goes: the failed part's reason, or the sender's."""
    if after in (MessageState.ACCEPTED, MessageState.DELIVERED):
        return ""
    if after.final or after is MessageState.UNKNOWN:
        wanted = PartState.UNKNOWN if after is MessageState.UNKNOWN else PartState(after.value)
        reasons = [part.reason for part in sorted(parts, key=lambda part: part.part) if part.state is wanted]
        return next((reason for reason in reasons if reason), row.reason)
    return row.reason
