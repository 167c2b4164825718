"""Operators' files and what comparing them with the ledger found. Streams are sorted by (number, time) as code points sort.

An import writes in small transactions, so that the daemon's writes never wait long; its file counts only from
:func:`finish_import_txn` on, which is one statement. Whatever a broken import left is removed by the next one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.model import MessageKind, MoState
from gateway.store.schema import (
    charge,
    message,
    mo,
    operator_bad_line,
    operator_file,
    operator_row,
    reconcile_item,
    reconcile_run,
    reconcile_total,
)
from gateway.store.sql import insert_rows, plain_datetime

IMPORTING, IMPORTED = "importing", "imported"
RUNNING, DONE = "running", "done"
_FETCH = 5000

_ROW_COLUMNS = (
    "file_id",
    "line",
    "number",
    "shortcode",
    "text",
    "smsc_message_id",
    "received_at",
    "outcome",
    "amount_vnd",
)


@dataclass(frozen=True, slots=True)
class OperatorFile:
    """A file as the store knows it."""

    id: int
    route: str
    format: str
    name: str
    state: str
    rows: int
    bad_lines: int
    first_at: datetime | None
    last_at: datetime | None
    touched_at: datetime
    lists: str


@dataclass(frozen=True, slots=True)
class Run:
    """One comparison."""

    id: int
    route: str
    since: datetime
    until: datetime
    tolerance_s: float
    state: str
    started_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class KindTotal:
    """How many queries of a kind, and the money charged by each side."""

    kind: str
    rows: int
    ours_vnd: int
    theirs_vnd: int


@dataclass(frozen=True, slots=True)
class Item:
    """A query on which the two sides do not agree."""

    kind: str
    number: str
    at: datetime
    text: str
    smsc_message_id: str
    mo_id: int | None = None
    ours: str | None = None
    ours_vnd: int | None = None
    file_id: int | None = None
    line: int | None = None
    theirs: str | None = None
    theirs_vnd: int | None = None


# -- files ------------------------------------------------------------------------------------------------------------


def file_by_digest_txn(conn: Connection, route: str, digest: str) -> OperatorFile | None:
    """The file with this content, imported or on its way."""
    query = sa.select(operator_file).where(operator_file.c.route == route, operator_file.c.digest == digest)
    row = conn.execute(query).first()
    return None if row is None else _file(row)


def files_txn(conn: Connection, route: str) -> list[OperatorFile]:
    """All imported files of an operator, oldest first."""
    query = sa.select(operator_file).where(operator_file.c.route == route, operator_file.c.state == IMPORTED)
    return [_file(row) for row in conn.execute(query.order_by(operator_file.c.id)).all()]


def begin_import_txn(
    conn: Connection, route: str, form: str, name: str, digest: str, lists: str, now: datetime
) -> int | None:
    """A new file that does not count yet; None when one with this content is there."""
    if file_by_digest_txn(conn, route, digest) is not None:
        return None
    values = {"route": route, "format": form, "name": name, "digest": digest, "lists": lists, "touched_at": now}
    insert = operator_file.insert().values(**values, state=IMPORTING).returning(operator_file.c.id)
    number: int = conn.execute(insert).scalar_one()
    return number


def add_rows_txn(conn: Connection, file_id: int, rows: Sequence[tuple[Any, ...]], now: datetime) -> None:
    """Rows of a file that is being imported, as (line, number, shortcode, text, id, received_at, outcome, amount)."""
    dialect = conn.dialect.name
    insert_rows(
        conn,
        operator_row,
        _ROW_COLUMNS,
        [(file_id, *row[:5], plain_datetime(dialect, row[5]), *row[6:]) for row in rows],
    )
    conn.execute(operator_file.update().where(operator_file.c.id == file_id).values(touched_at=now))


def finish_import_txn(
    conn: Connection,
    file_id: int,
    rows: int,
    bad: Sequence[tuple[int, str]],
    bad_lines: int,
    first_at: datetime | None,
    last_at: datetime | None,
    now: datetime,
) -> None:
    """From now on the file counts."""
    if bad:
        conn.execute(
            operator_bad_line.insert(), [{"file_id": file_id, "line": line, "reason": why} for line, why in bad]
        )
    conn.execute(
        operator_file.update()
        .where(operator_file.c.id == file_id, operator_file.c.state == IMPORTING)
        .values(state=IMPORTED, rows=rows, bad_lines=bad_lines, first_at=first_at, last_at=last_at, touched_at=now)
    )


def drop_rows_txn(conn: Connection, file_id: int, limit: int) -> int:
    """Remove some rows of a file that does not count; 0 when it is gone altogether."""
    lines = sa.select(operator_row.c.line).where(operator_row.c.file_id == file_id).limit(limit)
    dropped = conn.execute(
        sa.delete(operator_row).where(operator_row.c.file_id == file_id, operator_row.c.line.in_(lines))
    ).rowcount
    if dropped == 0:
        conn.execute(sa.delete(operator_file).where(operator_file.c.id == file_id, operator_file.c.state == IMPORTING))
    return dropped


# -- the two streams --------------------------------------------------------------------------------------------------


def our_rows(conn: Connection, route: str, since: datetime, until: datetime) -> Iterator[Any]:
    """The ledger of a period with its queries."""
    query = (
        sa.select(
            mo.c.source_addr,
            mo.c.received_at,
            mo.c.id,
            charge.c.state,
            charge.c.amount_vnd,
            mo.c.smsc_message_id,
            mo.c.text,
            mo.c.destination_addr,
            (mo.c.state == MoState.REPLIED.value).label("replied"),
        )
        .join(charge, charge.c.mo_id == mo.c.id)
        .where(charge.c.route == route, mo.c.received_at >= since, mo.c.received_at < until)
        .order_by(_as_code_points(conn, mo.c.source_addr), mo.c.received_at)
    )
    yield from conn.execution_options(stream_results=True).execute(query).yield_per(_FETCH)


def their_rows(conn: Connection, file_ids: Sequence[int], since: datetime, until: datetime) -> Iterator[Any]:
    """The lines of a period in these files."""
    query = (
        sa.select(
            operator_row.c.number,
            operator_row.c.received_at,
            operator_row.c.file_id,
            operator_row.c.line,
            operator_row.c.outcome,
            operator_row.c.amount_vnd,
            operator_row.c.smsc_message_id,
            operator_row.c.text,
            operator_row.c.shortcode,
        )
        .where(
            operator_row.c.file_id.in_(list(file_ids)),
            operator_row.c.received_at >= since,
            operator_row.c.received_at < until,
        )
        .order_by(_as_code_points(conn, operator_row.c.number), operator_row.c.received_at)
    )
    yield from conn.execution_options(stream_results=True).execute(query).yield_per(_FETCH)


def ledger_entries(conn: Connection, route: str, since: datetime, until: datetime) -> Iterator[Any]:
    """The answered queries of a period with their replies, in the order in which they came: for exported files."""
    query = (
        sa.select(
            mo.c.source_addr,
            mo.c.destination_addr,
            mo.c.text,
            mo.c.service,
            mo.c.smsc_message_id,
            mo.c.received_at,
            mo.c.replied_at,
            charge.c.state,
            charge.c.amount_vnd,
            message.c.parts,
        )
        .join(charge, charge.c.mo_id == mo.c.id)
        .join(message, sa.and_(message.c.mo_id == mo.c.id, message.c.kind == MessageKind.MO_REPLY.value))
        .where(charge.c.route == route, mo.c.received_at >= since, mo.c.received_at < until)
        .order_by(mo.c.received_at, mo.c.id)
    )
    yield from conn.execution_options(stream_results=True).execute(query).yield_per(_FETCH)


def count_txn(conn: Connection, route: str, file_ids: Sequence[int], since: datetime, until: datetime) -> int:
    """How many rows both streams hold, for the progress bar."""
    ours = (
        sa.select(sa.func.count())
        .select_from(charge)
        .where(charge.c.route == route, charge.c.created_at >= since, charge.c.created_at < until)
    )
    theirs = sa.select(sa.func.coalesce(sa.func.sum(operator_file.c.rows), 0)).where(
        operator_file.c.id.in_(list(file_ids))
    )
    return int(conn.execute(ours).scalar_one()) + int(conn.execute(theirs).scalar_one())


# -- runs -------------------------------------------------------------------------------------------------------------


def begin_run_txn(
    conn: Connection, route: str, since: datetime, until: datetime, tolerance_s: float, now: datetime
) -> int:
    """A new run. What an earlier one of the same period found is superseded and removed."""
    same = sa.select(reconcile_run.c.id).where(
        reconcile_run.c.route == route, reconcile_run.c.since == since, reconcile_run.c.until == until
    )
    for number in list(conn.execute(same).scalars()):
        for table in (reconcile_item, reconcile_total):
            conn.execute(sa.delete(table).where(table.c.run_id == number))
        conn.execute(sa.delete(reconcile_run).where(reconcile_run.c.id == number))
    values = {"route": route, "since": since, "until": until, "tolerance_s": tolerance_s, "started_at": now}
    number = conn.execute(
        reconcile_run.insert().values(**values, state=RUNNING).returning(reconcile_run.c.id)
    ).scalar_one()
    return int(number)


def add_items_txn(conn: Connection, run_id: int, items: Sequence[Item]) -> None:
    """Keep what does not agree."""
    if items:
        conn.execute(
            reconcile_item.insert(),
            [{"run_id": run_id, **{name: getattr(item, name) for name in Item.__slots__}} for item in items],
        )


def same_id_pairs_txn(conn: Connection, run_id: int) -> list[tuple[int, int]]:
    """Items of only ours and only theirs that carry the same id all the same: the operator writes the number another way."""
    one, other = reconcile_item.alias("one"), reconcile_item.alias("other")
    query = (
        sa.select(one.c.id, other.c.id)
        .join(other, sa.and_(other.c.run_id == run_id, other.c.smsc_message_id == one.c.smsc_message_id))
        .where(
            one.c.run_id == run_id,
            one.c.kind == "only_ours",
            other.c.kind == "only_theirs",
            one.c.smsc_message_id != "",
        )
        .order_by(one.c.id, other.c.id)
    )
    return [(ours, theirs) for ours, theirs in conn.execute(query).all()]


def items_by_id_txn(conn: Connection, ids: Sequence[int]) -> Mapping[int, Item]:
    """Items by their ids."""
    query = sa.select(reconcile_item).where(reconcile_item.c.id.in_(list(ids)))
    return {row.id: _item(row) for row in conn.execute(query).all()}


def drop_items_txn(conn: Connection, ids: Sequence[int]) -> None:
    """Items that turned out to be pairs."""
    conn.execute(sa.delete(reconcile_item).where(reconcile_item.c.id.in_(list(ids))))


def finish_run_txn(conn: Connection, run_id: int, totals: Sequence[KindTotal], now: datetime) -> None:
    """The run is complete."""
    conn.execute(
        reconcile_total.insert(),
        [
            {
                "run_id": run_id,
                "kind": total.kind,
                "rows": total.rows,
                "ours_vnd": total.ours_vnd,
                "theirs_vnd": total.theirs_vnd,
            }
            for total in totals
        ],
    )
    conn.execute(reconcile_run.update().where(reconcile_run.c.id == run_id).values(state=DONE, finished_at=now))


def run_txn(conn: Connection, run_id: int | None, route: str | None) -> Run | None:
    """A run by its number, or the latest complete one (of an operator)."""
    query = sa.select(reconcile_run).where(reconcile_run.c.state == DONE)
    if run_id is not None:
        query = query.where(reconcile_run.c.id == run_id)
    if route is not None:
        query = query.where(reconcile_run.c.route == route)
    row = conn.execute(query.order_by(reconcile_run.c.id.desc()).limit(1)).first()
    if row is None:
        return None
    return Run(row.id, row.route, row.since, row.until, row.tolerance_s, row.state, row.started_at, row.finished_at)


def totals_txn(conn: Connection, run_id: int) -> list[KindTotal]:
    """What a run counted."""
    query = sa.select(reconcile_total).where(reconcile_total.c.run_id == run_id)
    return [KindTotal(row.kind, row.rows, row.ours_vnd, row.theirs_vnd) for row in conn.execute(query).all()]


def items(conn: Connection, run_id: int, limit: int | None = None) -> Iterator[Item]:
    """What a run found, by kind, then time."""
    query = (
        sa.select(reconcile_item)
        .where(reconcile_item.c.run_id == run_id)
        .order_by(reconcile_item.c.kind, reconcile_item.c.at, reconcile_item.c.id)
        .limit(limit)
    )
    for row in conn.execution_options(stream_results=True).execute(query).yield_per(_FETCH):
        yield _item(row)


def _as_code_points(conn: Connection, column: sa.Column[Any]) -> sa.ColumnElement[Any]:
    return sa.collate(column, "C") if conn.dialect.name == "postgresql" else column.expression


def _file(row: Any) -> OperatorFile:
    return OperatorFile(
        row.id,
        row.route,
        row.format,
        row.name,
        row.state,
        row.rows,
        row.bad_lines,
        row.first_at,
        row.last_at,
        row.touched_at,
        row.lists,
    )


def _item(row: Any) -> Item:
    return Item(**{name: getattr(row, name) for name in Item.__slots__})
