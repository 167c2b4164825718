"""Queries (MO) in the store: recorded with their ledger row before they are acknowledged, each once.

:func:`record_mos_txn` is one transaction for invariant 4 (persist before acknowledging): MOs and their charges. An MO's
``dedupe_key`` is unique, so whatever the SMSC repeats finds the first copy. What ends an MO is in
:mod:`gateway.store.answers`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from itertools import groupby
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Row

from gateway.errors import StaleStateError
from gateway.model import IncomingMo, MoState, QueryResult
from gateway.store.ledger import NewCharge
from gateway.store.ledger_batch import Opened, open_charges_txn
from gateway.store.schema import mo
from gateway.store.sql import in_list, insert_rows, plain_datetime


@dataclass(frozen=True, slots=True)
class Admission:
    """An MO with everything that the receiver knows of it before it is recorded."""

    mo: IncomingMo  # its dedupe_key holds the time bucket of the receipt
    earlier_key: str  # the dedupe_key of a copy received one time bucket earlier
    repeat_since: datetime  # an earlier copy is the same MO when it was received at or after this
    service: str | None
    result: QueryResult
    code: str
    ignore_reason: str  # "" when it is to be answered
    profile: str
    amount_vnd: int
    link: str | None
    lapses_at: datetime | None
    day_start: datetime  # start of the sender's daily count
    hour_start: datetime  # start of the sender's count of errors
    burst_start: datetime | None = None  # start of the count of what the sender sends at once; None: not counted


@dataclass(frozen=True, slots=True)
class RecordedMo:
    """An MO in the store that is to be answered, or a repetition of one."""

    mo_id: int
    fresh: bool  # False: the SMSC sent it before
    state: MoState
    mo: IncomingMo
    service: str | None
    result: QueryResult
    code: str
    sender_today: int  # answered MOs of this sender since day_start, this one included
    sender_errors: int  # of them, those that were no query, since hour_start
    sender_burst: int = 0  # all MOs of this sender since burst_start, answered or not, up to this one


def record_mo_txn(conn: Connection, admission: Admission) -> RecordedMo:
    """Record an MO and open its ledger row, or count a repetition of one that is here already."""
    return record_mos_txn(conn, [admission])[0]


def record_mos_txn(conn: Connection, admissions: Sequence[Admission]) -> list[RecordedMo]:
    """Record MOs in the order in which they came, as :func:`record_mo_txn` does one after the other; few statements for all.

    A repetition may be of an MO that stands in the same list.
    """
    recorded: list[RecordedMo] = []
    for _, one_day in groupby(admissions, lambda admission: admission.day_start):
        recorded += _record_txn(conn, list(one_day))
    return recorded


def _record_txn(conn: Connection, admissions: Sequence[Admission]) -> list[RecordedMo]:
    """MOs of one Vietnamese day: one count of what their senders sent before serves all."""
    known = _known_txn(conn, admissions)
    first: dict[str, Admission] = {}  # by key: MOs that are new
    copies: list[Admission | None] = []  # what each repeats of those before it; one that comes after it does not count
    for admission in admissions:
        repeated = admission.mo.dedupe_key in known or _copy_of(admission, known) is not None
        copy = _fresh_copy_of(admission, first)
        copies.append(copy)
        if not repeated and copy is None:
            first[admission.mo.dedupe_key] = admission
    counts = _Counts(conn, list(first.values()))
    ids = _insert_mos_txn(conn, list(first.values()))
    _open_charges_txn(conn, [(ids[key], admission) for key, admission in first.items() if key in ids])
    recorded: list[RecordedMo] = []
    for admission, of_fresh in zip(admissions, copies, strict=True):
        key = admission.mo.dedupe_key
        if first.get(key) is admission and key in ids:
            today, errors, burst = counts.of_next(admission)
            state = MoState.IGNORED if admission.ignore_reason else MoState.RECEIVED
            asked = (admission.service, admission.result, admission.code)
            recorded.append(RecordedMo(ids[key], True, state, admission.mo, *asked, today, errors, burst))
            continue
        recorded.append(_repeated_txn(conn, admission, known, of_fresh))
    return recorded


@dataclass(frozen=True, slots=True)
class _Known:
    """An MO that the store has already, as far as a copy of it asks."""

    mo_id: int
    received_at: datetime


def _known_txn(conn: Connection, admissions: Sequence[Admission]) -> dict[str, _Known]:
    """By dedupe_key: what is here under the keys of these MOs."""
    keys = [key for admission in admissions for key in (admission.mo.dedupe_key, admission.earlier_key)]
    rows = conn.execute(_select_known(conn.dialect.name), {"keys": keys})
    return {key: _Known(mo_id, received_at) for mo_id, key, received_at in rows}


@cache
def _select_known(dialect: str) -> sa.Select[Any]:
    return sa.select(mo.c.id, mo.c.dedupe_key, mo.c.received_at).where(in_list(dialect, mo.c.dedupe_key, "keys"))


def _copy_of(admission: Admission, known: Mapping[str, _Known]) -> int | None:
    """The newest MO of the store of which this is a repetition."""
    candidates = (known.get(admission.mo.dedupe_key), known.get(admission.earlier_key))
    copies = [found.mo_id for found in candidates if found and found.received_at >= admission.repeat_since]
    return max(copies, default=None)


def _fresh_copy_of(admission: Admission, first: Mapping[str, Admission]) -> Admission | None:
    """The MO of the same list of which this is a repetition."""
    same = first.get(admission.mo.dedupe_key)
    earlier = first.get(admission.earlier_key)
    if same is None and earlier is not None and earlier.mo.received_at >= admission.repeat_since:
        return earlier
    return same


def _repeated_txn(
    conn: Connection, admission: Admission, known: Mapping[str, _Known], of_fresh: Admission | None
) -> RecordedMo:
    key = admission.mo.dedupe_key if of_fresh is None else of_fresh.mo.dedupe_key
    copy = _copy_of(admission, known) if of_fresh is None else None
    query = sa.select(mo).where(mo.c.dedupe_key == key if copy is None else mo.c.id == copy)
    repeated = conn.execute(query).first()
    if repeated is None:
        raise StaleStateError("a query was refused as repeated, but its first copy is not there")
    conn.execute(mo.update().where(mo.c.id == repeated.id).values(repeats=mo.c.repeats + 1))
    return _with_counts_txn(conn, repeated, admission.day_start, admission.hour_start, fresh=False)


def open_mos_txn(
    conn: Connection, received_before: datetime, day_start: datetime, hour_start: datetime, limit: int = 500
) -> list[RecordedMo]:
    """MOs that are recorded and not answered: what a crash left, oldest first."""
    query = (
        sa.select(mo)
        # A literal, so that the partial index ix_mo_open serves.
        .where(mo.c.state == sa.literal_column(f"'{MoState.RECEIVED.value}'"), mo.c.received_at < received_before)
        .order_by(mo.c.received_at, mo.c.id)
        .limit(limit)
    )
    rows = conn.execute(query).all()
    return [_with_counts_txn(conn, row, day_start, hour_start, fresh=True) for row in rows]


def sender_counts_txn(
    conn: Connection, mo_id: int, source_addr: str, day_start: datetime, hour_start: datetime
) -> tuple[int, int]:
    """How many MOs of a sender were or will be answered, up to this one: (since day_start, errors since hour_start).

    Ignored ones do not count: another service's customer is not limited by us, and the counts stay bounded.
    """
    error = sa.case((sa.and_(mo.c.result != QueryResult.OK.value, mo.c.received_at >= hour_start), 1), else_=0)
    of_today = sa.case((mo.c.received_at >= day_start, 1), else_=0)
    query = sa.select(sa.func.coalesce(sa.func.sum(of_today), 0), sa.func.coalesce(sa.func.sum(error), 0)).where(
        mo.c.source_addr == source_addr,
        mo.c.received_at >= min(day_start, hour_start),  # just after midnight the hour reaches into yesterday
        mo.c.state != MoState.IGNORED.value,
        mo.c.id <= mo_id,
    )
    today, errors = conn.execute(query).one()
    return int(today), int(errors)


class _Counts:
    """What the senders of new MOs sent before, counted on as their MOs are taken in order."""

    def __init__(self, conn: Connection, new: Sequence[Admission]) -> None:
        self._counts: dict[str, list[int]] = {}  # sender → today, errors, burst
        if not new:
            return
        last = max(new, key=lambda admission: admission.mo.received_at)
        burst_start = last.burst_start or last.mo.received_at
        starts = {"day": last.day_start, "hour": last.hour_start, "burst": burst_start}
        senders = sorted({admission.mo.source_addr for admission in new})
        # Just after midnight the hour, or the minute, reaches into yesterday.
        values = {**starts, "senders": senders, "since": min(starts.values())}
        for sender, today, errors, burst in conn.execute(_count_statement(conn.dialect.name), values):
            self._counts[sender] = [int(today), int(errors), int(burst)]

    def of_next(self, admission: Admission) -> tuple[int, int, int]:
        """Count a new MO of its sender: (since day_start, errors since hour_start, all since burst_start), it included."""
        counts = self._counts.setdefault(admission.mo.source_addr, [0, 0, 0])
        counts[2] += 1
        burst = 0 if admission.burst_start is None else counts[2]
        if admission.ignore_reason:
            return 0, 0, burst
        counts[0] += admission.mo.received_at >= admission.day_start
        counts[1] += admission.result is not QueryResult.OK and admission.mo.received_at >= admission.hour_start
        return counts[0], counts[1], burst


@cache
def _count_statement(dialect: str) -> sa.Select[Any]:
    def since(name: str) -> sa.ColumnElement[bool]:
        return mo.c.received_at >= sa.bindparam(name, type_=mo.c.received_at.type)

    def number(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
        return sa.func.sum(sa.case((condition, 1), else_=0))

    answered = mo.c.state != MoState.IGNORED.value
    return (
        sa.select(
            mo.c.source_addr,
            number(sa.and_(answered, since("day"))),
            number(sa.and_(answered, since("hour"), mo.c.result != QueryResult.OK.value)),
            number(since("burst")),
        )
        .where(in_list(dialect, mo.c.source_addr, "senders"), since("since"))
        .group_by(mo.c.source_addr)
    )


_MO = (
    "dedupe_key",
    "route",
    "bind",
    "smsc_message_id",
    "source_addr",
    "destination_addr",
    "text",
    "octets",
    "data_coding",
    "received_at",
    "state",
    "reason",
    "service",
    "result",
    "code",
)


def _insert_mos_txn(conn: Connection, new: Sequence[Admission]) -> dict[str, int]:
    """Insert MOs; dedupe_key → id. One whose key another node has inserted meanwhile is left out."""
    if not new:
        return {}
    dialect = conn.dialect.name
    rows = [_mo_row(dialect, admission) for admission in new]
    if dialect == "postgresql":
        statement, values = _insert_missing(conn, rows)
        return {key: mo_id for mo_id, key in conn.exec_driver_sql(statement, values)}
    insert_rows(conn, mo, _MO, rows)  # SQLite has one writer: nobody can have come between
    keys = [admission.mo.dedupe_key for admission in new]
    return {key: mo_id for mo_id, key, _ in conn.execute(_select_known(dialect), {"keys": keys})}


def _mo_row(dialect: str, admission: Admission) -> tuple[Any, ...]:
    new = admission.mo
    return (
        new.dedupe_key,
        new.route,
        new.bind,
        new.smsc_message_id,
        new.source_addr,
        new.destination_addr,
        new.text,
        new.octets,
        new.data_coding,
        plain_datetime(dialect, new.received_at),
        (MoState.IGNORED if admission.ignore_reason else MoState.RECEIVED).value,
        admission.ignore_reason,
        admission.service,
        admission.result.value,
        admission.code,
    )


def _insert_missing(conn: Connection, rows: Sequence[tuple[Any, ...]]) -> tuple[str, tuple[Any, ...]]:
    types = [mo.c[name].type.compile(dialect=conn.dialect) for name in _MO]
    arrays = ", ".join(f"%s::{kind}[]" for kind in types)
    columns = ", ".join(_MO)
    text = (
        f"INSERT INTO mo ({columns}) SELECT * FROM unnest({arrays}) "
        "ON CONFLICT (dedupe_key) DO NOTHING RETURNING id, dedupe_key"
    )
    return text, tuple(list(values) for values in zip(*rows, strict=True))


def _open_charges_txn(conn: Connection, new: Sequence[tuple[int, Admission]]) -> None:
    open_charges_txn(
        conn,
        [
            Opened(
                NewCharge(
                    mo_id,
                    admission.mo.route,
                    admission.profile,
                    admission.amount_vnd,
                    admission.link,
                    admission.lapses_at,
                ),
                admission.mo.received_at,
                admission.ignore_reason,
            )
            for mo_id, admission in new
        ],
    )


def insert_ignoring(conn: Connection, table: sa.Table) -> sqlite.Insert | postgresql.Insert:
    """An INSERT that can say ON CONFLICT."""
    return postgresql.insert(table) if conn.dialect.name == "postgresql" else sqlite.insert(table)


def _with_counts_txn(
    conn: Connection, row: Row[Any], day_start: datetime, hour_start: datetime, *, fresh: bool
) -> RecordedMo:
    today, errors = sender_counts_txn(conn, row.id, row.source_addr, day_start, hour_start)
    return RecordedMo(
        row.id,
        fresh,
        MoState(row.state),
        IncomingMo(
            row.route,
            row.bind,
            row.source_addr,
            row.destination_addr,
            row.text,
            bytes(row.octets),
            row.data_coding,
            row.smsc_message_id,
            row.received_at,
            row.dedupe_key,
        ),
        row.service,
        QueryResult(row.result),
        row.code or "",
        today,
        errors,
    )
