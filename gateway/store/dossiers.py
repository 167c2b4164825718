"""Dossiers as the poller last saw them. Their state and the notices it causes are one transaction (invariant 1).

Every function runs inside the caller's transaction.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.model import Dossier, DossierState, MessageKind, MessageState
from gateway.store import sources
from gateway.store.decisions import (
    PENDING,
    BadRow,
    Cancel,
    Compose,
    Conflict,
    ConflictKind,
    Decide,
    Decision,
    NoticeInfo,
    NoticePlan,
    Skip,
    SourceRow,
    StoredDossier,
)
from gateway.store.dossier_rows import UPDATE, from_row, to_row
from gateway.store.outbox import cancel_notices_txn, insert_messages_txn
from gateway.store.portability import ported_routes_txn
from gateway.store.schema import (
    dossier,
    message,
    message_key,
    state_conflict,
    supplement_violation,
)

T = TypeVar("T")

#: Codes in one IN list: far below the least limit on bound values (SQLite before 3.32: 999).
_CHUNK = 500
#: A page of the apology's list. Its texts are made inside the transaction, so it stays short for those who wait behind it.
APOLOGY_PAGE = 100


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows read from one source, and how far it is read with them."""

    source: str
    node: str
    lease_until: datetime  # the right to poll is renewed with every batch
    rows: Sequence[SourceRow]  # no receipt_code twice
    bad: Sequence[BadRow] = ()
    cursor: sources.Position | None = None  # None: the cursor stays
    still_bad: frozenset[str] = frozenset()  # codes of this page that stand on the list of bad rows for a reason


@dataclass(frozen=True, slots=True)
class CreatedNotice:
    """A message that has come into the outbox."""

    message_id: int
    receipt_code: str
    kind: MessageKind
    state: MessageState
    reason: str
    route: str


@dataclass(slots=True)
class Applied:
    """What a batch has changed."""

    added: int = 0
    changed: int = 0
    notices: list[CreatedNotice] = field(default_factory=list)
    cancelled: list[tuple[int, MessageKind, str]] = field(default_factory=list)  # message, kind, reason
    conflicts: int = 0
    skipped: Counter[tuple[MessageKind, str]] = field(default_factory=Counter)
    repeated: int = 0  # notices that the outbox had already


def differing_txn(conn: Connection, source: str, rows: Sequence[SourceRow]) -> list[SourceRow]:
    """Those rows that are new or differ from what is stored. For readers: spares a transaction when nothing changed."""
    differing: list[SourceRow] = []
    for chunk in _chunks(rows):
        codes = [row.dossier.receipt_code for row in chunk]
        known = conn.execute(
            sa.select(dossier.c.receipt_code, dossier.c.row_hash).where(
                dossier.c.source == source, dossier.c.receipt_code.in_(codes)
            )
        )
        hashes: dict[str, str] = {row.receipt_code: row.row_hash for row in known}
        differing.extend(row for row in chunk if hashes.get(row.dossier.receipt_code) != row.row_hash)
    return differing


def apply_rows_txn(conn: Connection, batch: Batch, decide: Decide, compose: Compose, now: datetime) -> Applied:
    """Record the rows, the notices that they cause and the cursor, all or nothing.

    Raises:
        StaleStateError: another node polls this source now; its rows may be newer than these.
    """
    sources.hold_txn(conn, batch.source, batch.node, now, batch.lease_until)
    applied = Applied()
    for chunk in _chunks(batch.rows):
        _apply_chunk(conn, batch.source, chunk, decide, compose, now, applied)
        codes = {row.dossier.receipt_code for row in chunk} - batch.still_bad
        sources.heal_txn(conn, batch.source, sorted(codes))
    sources.bad_rows_txn(conn, batch.source, batch.bad, now)
    if batch.cursor is not None:
        sources.advance_txn(conn, batch.source, batch.cursor)
    return applied


def _apply_chunk(
    conn: Connection,
    source: str,
    rows: Sequence[SourceRow],
    decide: Decide,
    compose: Compose,
    now: datetime,
    applied: Applied,
) -> None:
    codes = [row.dossier.receipt_code for row in rows]
    stored = stored_txn(conn, source, codes)
    infos = infos_txn(conn, source, list(stored))
    new_rows: list[dict[str, Any]] = []
    changed_rows: list[dict[str, Any]] = []
    planned: list[tuple[Dossier, NoticePlan]] = []
    conflicts: list[dict[str, Any]] = []
    for row in rows:
        new, code = row.dossier, row.dossier.receipt_code
        old = stored.get(code)
        if old is not None and old.row_hash == row.row_hash:
            continue
        decision = decide(old, new, infos.get(code, ()))
        values = to_row(row, decision, now)
        if old is None:
            new_rows.append({**values, "first_seen_at": now})
        else:
            changed_rows.append({f"b_{key}": value for key, value in values.items()})
        for cancel in decision.cancels:
            conflicts += _cancel_txn(conn, new, cancel, infos.get(code, ()), now, applied)
        conflicts += [_conflict_row(new, conflict, now) for conflict in decision.conflicts]
        planned += [(new, plan) for plan in decision.notices]
        if decision.violation is not None or (decision.released_no and decision.requests):
            _supervise_txn(conn, new, decision, now)
        applied.skipped.update((skip.kind, skip.reason) for skip in decision.skips)
    if new_rows:
        conn.execute(sa.insert(dossier), new_rows)
    if changed_rows:
        conn.execute(UPDATE, changed_rows)
    if conflicts:
        conn.execute(sa.insert(state_conflict), conflicts)
    _announce_txn(conn, planned, compose, now, applied)
    applied.added += len(new_rows)
    applied.changed += len(changed_rows)
    applied.conflicts += len(conflicts)


def _supervise_txn(conn: Connection, new: Dossier, decision: Decision, now: datetime) -> None:
    """Record a violation of the rules for supplement requests, and those that a supervisor has released."""
    table = supplement_violation
    mine = (table.c.source == new.source, table.c.receipt_code == new.receipt_code)
    found = decision.violation
    if found is not None:
        what, told = ", ".join(found.violations), sum(bool(plan.number) for plan in decision.notices)
        values = {"what": what, "detail": dict(new.extra).get("reason", "")[:300], "at": now, "told": told}
        known = conn.execute(sa.update(table).where(*mine, table.c.request_no == found.number).values(**values))
        if not known.rowcount:
            row = {"source": new.source, "receipt_code": new.receipt_code, "request_no": found.number}
            codes = {"agency_code": new.agency_code, "procedure_code": new.procedure_code}
            conn.execute(sa.insert(table).values(**row, **codes, **values))
    if decision.released_no:
        conn.execute(
            sa.update(table)
            .where(*mine, table.c.request_no <= decision.released_no, table.c.released_at.is_(None))
            .values(released_at=now)
        )


def _announce_txn(
    conn: Connection,
    planned: Sequence[tuple[Dossier, NoticePlan]],
    compose: Compose,
    now: datetime,
    applied: Applied,
) -> None:
    """Make the messages and put them into the outbox; a number that was ported goes to the operator that has it now."""
    if not planned:
        return
    messages = [compose(item, plan, None) for item, plan in planned]
    numbers = {item.destination_addr for item in messages if item.destination_addr}
    ported = ported_routes_txn(conn, numbers) if numbers else {}
    if ported:
        messages = [
            compose(item, plan, ported[made.destination_addr]) if made.destination_addr in ported else made
            for (item, plan), made in zip(planned, messages, strict=True)
        ]
    for item, message_id in zip(messages, insert_messages_txn(conn, messages, now), strict=True):
        if message_id is None:
            applied.repeated += 1
        else:
            applied.notices.append(
                CreatedNotice(message_id, item.receipt_code, item.kind, item.state, item.reason, item.route)
            )


def _cancel_txn(
    conn: Connection, new: Dossier, cancel: Cancel, infos: Sequence[NoticeInfo], now: datetime, applied: Applied
) -> list[dict[str, Any]]:
    pending = [info for info in infos if info.kind in cancel.kinds and info.state in PENDING]
    if not pending:
        return []
    done = cancel_notices_txn(conn, new.source, new.receipt_code, cancel.kinds, cancel.reason, now)
    taken_back = {message_id for message_id, _ in done}
    applied.cancelled += [(message_id, kind, cancel.reason) for message_id, kind in done]
    detail = f"{cancel.reason}: now {new.state.value} ({new.status_raw}), step '{new.step_name}'"
    conflicts = [Conflict(kind, ConflictKind.CANCELLED_IN_HOLD, detail, message_id) for message_id, kind in done]
    if cancel.contradicts:  # the sender was faster
        conflicts += [
            Conflict(info.kind, ConflictKind.CONTRADICTED_AFTER_SENDING, detail, info.message_id)
            for info in pending
            if info.message_id not in taken_back
        ]
    return [_conflict_row(new, conflict, now) for conflict in conflicts]


def _conflict_row(new: Dossier, conflict: Conflict, now: datetime) -> dict[str, Any]:
    return {
        "source": new.source,
        "receipt_code": new.receipt_code,
        "agency_code": new.agency_code,
        "kind": conflict.kind.value,
        "message_id": conflict.message_id,
        "what": conflict.what.value,
        "detail": conflict.detail,
        "at": now,
    }


# --- the apology job ----------------------------------------------------------------------------------------------


#: (stored dossier) → the notice, or why there is none. Pure; may be called twice.
PlanApology = Callable[[StoredDossier], NoticePlan | Skip]


@dataclass(frozen=True, slots=True)
class ApologyPage:
    """What one page of the apology's list has led to."""

    seen: int
    applied: Applied
    last_code: str | None  # None: the list is at its end


def apologise_page_txn(
    conn: Connection,
    source: str,
    due: date,
    after_code: str,
    plan: PlanApology,
    compose: Compose,
    now: datetime,
) -> ApologyPage:
    """Make the apologies of one page of dossiers due on one day.

    The dossiers' states are read in the transaction that inserts the notices: none is made for a result that a poll has
    just recorded.
    """
    found = due_txn(conn, source, due, after_code, APOLOGY_PAGE)
    applied = Applied()
    planned: list[tuple[Dossier, NoticePlan]] = []
    for stored in found:
        notice = plan(stored)
        if isinstance(notice, Skip):
            applied.skipped[notice.kind, notice.reason] += 1
        else:
            planned.append((stored.dossier, notice))
    _announce_txn(conn, planned, compose, now, applied)
    last = found[-1].dossier.receipt_code if len(found) == APOLOGY_PAGE else None
    return ApologyPage(len(found), applied, last)


def due_txn(conn: Connection, source: str, due: date, after_code: str, limit: int) -> list[StoredDossier]:
    """Dossiers due on one day that have not ended, in order of their codes."""
    ended = [state.value for state in DossierState if state.ended]
    found = conn.execute(
        sa.select(dossier)
        .where(
            dossier.c.source == source,
            dossier.c.due_on == due,
            dossier.c.receipt_code > after_code,
            dossier.c.state.not_in(ended),
        )
        .order_by(dossier.c.receipt_code)
        .limit(limit)
    )
    return [from_row(row) for row in found]


# --- reading ------------------------------------------------------------------------------------------------------


def stored_txn(conn: Connection, source: str, codes: Sequence[str]) -> dict[str, StoredDossier]:
    """The dossiers of one source that are known, by receipt code."""
    found: dict[str, StoredDossier] = {}
    for chunk in _chunks(codes):
        for row in conn.execute(
            sa.select(dossier).where(dossier.c.source == source, dossier.c.receipt_code.in_(chunk))
        ):
            found[row.receipt_code] = from_row(row)
    return found


def entered_since_txn(conn: Connection, source: str, since: datetime, limit: int) -> list[StoredDossier]:
    """Dossiers that came into their present state since then (business time), the newest first. For previews: it scans."""
    found = conn.execute(
        sa.select(dossier)
        .where(dossier.c.source == source, dossier.c.state_since >= since)
        .order_by(dossier.c.state_since.desc())
        .limit(limit)
    )
    return [from_row(row) for row in found]


def infos_txn(conn: Connection, source: str, codes: Sequence[str]) -> dict[str, list[NoticeInfo]]:
    """The notices that were made for these dossiers, by receipt code."""
    infos: dict[str, list[NoticeInfo]] = {}
    for chunk in _chunks(codes):
        for row in conn.execute(
            sa.select(
                message.c.id,
                message.c.receipt_code,
                message.c.kind,
                message.c.occasion,
                message.c.state,
                message.c.reason,
            )
            .join(message_key, message_key.c.message_id == message.c.id)
            .where(message_key.c.source == source, message_key.c.receipt_code.in_(chunk))
        ):
            infos.setdefault(row.receipt_code, []).append(
                NoticeInfo(row.id, MessageKind(row.kind), row.occasion, MessageState(row.state), row.reason)
            )
    return infos


def _chunks(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), _CHUNK):
        yield items[start : start + _CHUNK]
