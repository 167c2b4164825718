"""What supervising offices ask for: dossiers against notices, numbers, conflicts (F14, F22, F26, F28).

Periods are half open, ``[start, end)``. Dossiers count by ``received_at`` and ``finished_at`` of their rows, messages by the time at
which they were made; each question reads its period by an index, grouped in the database.

Words: a notice is *due* when the rules called for it, whether it could leave or not; *sent* when it went to an operator; *accepted*
when the operator took every part of it; *delivered* when a receipt said so. Vietnamese operators' receipts often mean "accepted by
the SMSC" only, so the last two stand apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.model import DossierState, MessageKind, MessageState
from gateway.store.schema import dossier, message, message_key, state_conflict, supplement_violation

_RESULTS = (MessageKind.RESULT_READY.value, MessageKind.RESULT_BY_POST.value)
_RESOLVED = (DossierState.RESULT_READY.value, DossierState.RETURNED.value)
_FAILED = (MessageState.REJECTED, MessageState.UNDELIVERED, MessageState.EXPIRED)
_WAITING = (MessageState.HELD, MessageState.QUEUED, MessageState.SENDING, MessageState.UNKNOWN)
#: Rows fetched at a time where a period's dossiers are walked through.
_FETCH = 2000


@dataclass(frozen=True, slots=True)
class Scope:
    """What a report is about."""

    start: datetime
    end: datetime
    agency: str | None = None  # code
    procedure: str | None = None  # code

    def of(self, table: sa.Table) -> list[sa.ColumnElement[bool]]:
        """Conditions on a table's agency and procedure."""
        found: list[sa.ColumnElement[bool]] = []
        if self.agency is not None:
            found.append(table.c.agency_code == self.agency)
        if self.procedure is not None and "procedure_code" in table.c:
            found.append(table.c.procedure_code == self.procedure)
        return found

    def within(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
        return sa.and_(column >= self.start, column < self.end)


@dataclass(slots=True)
class NoticesRow:
    """One agency's procedure: dossiers against notices (F14, F26, F28)."""

    agency_code: str
    procedure_code: str
    agency_name: str = ""
    procedure_name: str = ""
    received: int = 0
    resolved: int = 0
    due: int = 0
    cancelled: int = 0  # taken back before they left
    blocked: int = 0
    waiting: int = 0
    sent: int = 0
    accepted: int = 0
    delivered: int = 0
    failed: int = 0
    reasons: dict[str, int] = field(default_factory=dict)  # of the failed ones
    segments: int = 0  # accepted by the operator
    cost_vnd: float | None = 0.0  # None: an operator's price is not configured


def notices_txn(
    conn: Connection, scope: Scope, prices: Mapping[str, float | None], kind: str | None = None
) -> list[NoticesRow]:
    """Dossiers and notices of a period, per agency and procedure.

    Args:
        prices: operator → what one segment costs, in VND; None: not known.
        kind: only notices of this kind.
    """
    rows: dict[tuple[str, str], NoticesRow] = {}

    def row(agency: str, procedure: str) -> NoticesRow:
        return rows.setdefault((agency, procedure), NoticesRow(agency, procedure))

    for found in conn.execute(_dossiers(scope, scope.within(dossier.c.received_at))):
        _named(row(found.agency_code, found.procedure_code), found).received = found.number
    for found in conn.execute(_dossiers(scope, resolved_within(scope))):
        _named(row(found.agency_code, found.procedure_code), found).resolved = found.number
    for found in conn.execute(_messages(scope, kind)):
        _count(row(found.agency_code, found.procedure_code), found, prices)
    return [rows[key] for key in sorted(rows)]


def by_agency(rows: Iterable[NoticesRow]) -> list[NoticesRow]:
    """The same rows, one for each agency."""
    found: dict[str, NoticesRow] = {}
    for row in rows:
        _add(found.setdefault(row.agency_code, NoticesRow(row.agency_code, "", row.agency_name)), row)
    return list(found.values())


def total(rows: Iterable[NoticesRow]) -> NoticesRow:
    """The sum of the rows."""
    whole = NoticesRow("", "", "Tổng cộng")
    for row in rows:
        _add(whole, row)
    return whole


_SUMMED = (
    "received",
    "resolved",
    "due",
    "cancelled",
    "blocked",
    "waiting",
    "sent",
    "accepted",
    "delivered",
    "failed",
    "segments",
)


def _add(whole: NoticesRow, row: NoticesRow) -> None:
    for name in _SUMMED:
        setattr(whole, name, getattr(whole, name) + getattr(row, name))
    for reason, number in row.reasons.items():
        whole.reasons[reason] = whole.reasons.get(reason, 0) + number
    whole.cost_vnd = None if whole.cost_vnd is None or row.cost_vnd is None else whole.cost_vnd + row.cost_vnd


def resolved_within(scope: Scope) -> sa.ColumnElement[bool]:
    """Dossiers whose result came in the period; where the view does not say when, the day on which we saw it."""
    unsaid = sa.and_(
        dossier.c.finished_at.is_(None),
        dossier.c.state.in_(_RESOLVED),
        scope.within(dossier.c.state_since),
    )
    return sa.or_(scope.within(dossier.c.finished_at), unsaid)


def _dossiers(scope: Scope, condition: sa.ColumnElement[bool]) -> sa.Select[Any]:
    return (
        sa.select(
            dossier.c.agency_code,
            dossier.c.procedure_code,
            sa.func.max(dossier.c.agency_name).label("agency_name"),
            sa.func.max(dossier.c.procedure_name).label("procedure_name"),
            sa.func.count().label("number"),
        )
        .where(condition, *scope.of(dossier))
        .group_by(dossier.c.agency_code, dossier.c.procedure_code)
    )


def _messages(scope: Scope, kind: str | None) -> sa.Select[Any]:
    accepted = message.c.accepted_at.is_not(None).label("accepted")
    tried = (message.c.attempts > 0).label("tried")
    columns = (message.c.agency_code, message.c.procedure_code, message.c.state, message.c.reason, message.c.route)
    query = (
        sa.select(
            *columns,
            accepted,
            tried,
            sa.func.max(message.c.agency_name).label("agency_name"),
            sa.func.count().label("number"),
            sa.func.sum(message.c.parts).label("parts"),
        )
        .where(scope.within(message.c.created_at), message.c.kind != MessageKind.MO_REPLY.value, *scope.of(message))
        .group_by(*columns, accepted, tried)
    )
    return query if kind is None else query.where(message.c.kind == kind)


def _named(row: NoticesRow, found: sa.Row[Any]) -> NoticesRow:
    row.agency_name, row.procedure_name = (
        found.agency_name or row.agency_name,
        found.procedure_name or row.procedure_name,
    )
    return row


def _count(row: NoticesRow, found: sa.Row[Any], prices: Mapping[str, float | None]) -> None:
    state = MessageState(found.state)
    row.agency_name = row.agency_name or found.agency_name
    row.due += found.number
    if state is MessageState.CANCELLED:
        row.cancelled += found.number
    elif state is MessageState.BLOCKED:
        row.blocked += found.number
    elif state in _WAITING:
        row.waiting += found.number
    elif state is MessageState.DELIVERED:
        row.delivered += found.number
    elif state in _FAILED:
        row.failed += found.number
        reason = reason_of(state, found.reason)
        row.reasons[reason] = row.reasons.get(reason, 0) + found.number
    if found.accepted or (found.tried and state is not MessageState.CANCELLED and state not in _WAITING):
        row.sent += found.number
    if found.accepted:
        row.accepted += found.number
        row.segments += found.parts
        price = prices.get(found.route)
        row.cost_vnd = None if price is None or row.cost_vnd is None else row.cost_vnd + found.parts * price


def reason_of(state: MessageState, reason: str) -> str:
    """A failure's reason as reports count it: the text of a template's fault would make a line of its own each time."""
    if reason.startswith("template:"):
        return "template"
    return reason or state.value


@dataclass(slots=True)
class CoverageRow:
    """One agency's procedure: of the resolved dossiers, how many citizens were told (F26)."""

    agency_code: str
    procedure_code: str
    agency_name: str = ""
    procedure_name: str = ""
    resolved: int = 0
    announced: int = 0  # a result notice was made
    accepted: int = 0
    delivered: int = 0
    bad_number: int = 0  # announced, and no number that it could go to
    silent: int = 0  # no notice was called for: same day, history, agency not active, by the post


def coverage_txn(conn: Connection, scope: Scope) -> list[CoverageRow]:
    """Resolved dossiers of a period, and what became of their result notices."""

    def told(*conditions: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
        found = sa.exists().where(
            message_key.c.source == dossier.c.source,
            message_key.c.receipt_code == dossier.c.receipt_code,
            message_key.c.kind.in_(_RESULTS),
            message.c.id == message_key.c.message_id,
            *conditions,
        )
        return sa.func.sum(sa.case((found, 1), else_=0))

    accepted = message.c.accepted_at.is_not(None)
    bad = sa.and_(message.c.state == MessageState.REJECTED.value, message.c.reason.like("phone:%"))
    query = (
        sa.select(
            dossier.c.agency_code,
            dossier.c.procedure_code,
            sa.func.max(dossier.c.agency_name).label("agency_name"),
            sa.func.max(dossier.c.procedure_name).label("procedure_name"),
            sa.func.count().label("resolved"),
            told().label("announced"),
            told(accepted).label("accepted"),
            told(message.c.state == MessageState.DELIVERED.value).label("delivered"),
            told(bad).label("bad_number"),
        )
        .where(resolved_within(scope), *scope.of(dossier))
        .group_by(dossier.c.agency_code, dossier.c.procedure_code)
        .order_by(dossier.c.agency_code, dossier.c.procedure_code)
    )
    return [
        CoverageRow(
            row.agency_code,
            row.procedure_code,
            row.agency_name,
            row.procedure_name,
            row.resolved,
            row.announced,
            row.accepted,
            row.delivered,
            row.bad_number,
            row.resolved - row.announced,
        )
        for row in conn.execute(query)
    ]


@dataclass(frozen=True, slots=True)
class NumberField:
    """The telephone field of one dossier."""

    source: str
    receipt_code: str
    agency_code: str
    agency_name: str
    procedure_code: str
    phone_raw: str
    phone_recorded_at: date | None
    received_at: datetime | None


def number_fields_txn(conn: Connection, scope: Scope) -> Iterator[NumberField]:
    """The telephone fields of the dossiers received in a period, one after the other; memory stays bounded."""
    columns = [dossier.c[name] for name in NumberField.__dataclass_fields__]
    query = (
        sa.select(*columns)
        .where(scope.within(dossier.c.received_at), *scope.of(dossier))
        .order_by(dossier.c.agency_code, dossier.c.receipt_code)
    )
    result = conn.execution_options(yield_per=_FETCH).execute(query)
    for row in result:
        yield NumberField(*row)


@dataclass(frozen=True, slots=True)
class ConflictRow:
    """One state conflict (F23, F24), or one violation of the rules for supplement requests (F43)."""

    at: datetime
    agency_code: str
    source: str
    receipt_code: str
    kind: str
    what: str
    detail: str
    message_id: int | None = None


def conflicts_txn(conn: Connection, scope: Scope) -> list[ConflictRow]:
    """The state conflicts of a period, in order."""
    table = state_conflict.c
    query = (
        sa.select(
            table.at,
            table.agency_code,
            table.source,
            table.receipt_code,
            table.kind,
            table.what,
            table.detail,
            table.message_id,
        )
        .where(scope.within(table.at), *_conflict_scope(scope))
        .order_by(table.at, table.id)
    )
    return [ConflictRow(*row) for row in conn.execute(query)]


def _conflict_scope(scope: Scope) -> list[sa.ColumnElement[bool]]:
    found = scope.of(state_conflict)
    if scope.procedure is not None:
        found.append(
            sa.exists().where(
                dossier.c.source == state_conflict.c.source,
                dossier.c.receipt_code == state_conflict.c.receipt_code,
                dossier.c.procedure_code == scope.procedure,
            )
        )
    return found


@dataclass(frozen=True, slots=True)
class ViolationRow:
    """A supplement request that broke the rules."""

    at: datetime
    agency_code: str
    source: str
    receipt_code: str
    procedure_code: str
    request_no: int
    what: str
    detail: str
    told: int  # contacts
    released_at: datetime | None


def violations_txn(conn: Connection, scope: Scope) -> list[ViolationRow]:
    """Violations of a period, in order."""
    columns = [supplement_violation.c[name] for name in ViolationRow.__dataclass_fields__]
    query = (
        sa.select(*columns)
        .where(scope.within(supplement_violation.c.at), *scope.of(supplement_violation))
        .order_by(supplement_violation.c.at, supplement_violation.c.id)
    )
    return [ViolationRow(*row) for row in conn.execute(query)]
