"""Reading the contract view: what it looks like, a page of it, one dossier. Run on a source's own threads.

Pages are read by key, never by offset: ``(updated_at, receipt_code)`` after the last row of the page before, so that rows
that change meanwhile move to the end and are met again, and a hundred thousand rows with one ``updated_at`` are read page
by page. A view without a usable ``updated_at`` is read by ``receipt_code``, as a whole, every time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.dossiers import contract
from gateway.dossiers.connect import limited
from gateway.dossiers.rows import DUPLICATE_CODE, NO_UPDATED_AT, RowReader, row_hash
from gateway.dossiers.timestyle import TimeStyle, style_of
from gateway.dossiers.values import BadValue, to_datetime, to_text
from gateway.errors import SourceError
from gateway.model import Dossier
from gateway.settings import SourceSettings
from gateway.store.decisions import BadRow, SourceRow

#: Rows without updated_at are listed, not read: more than this of them say no more than the first.
_NULL_ROWS = 200
#: Two rows for one receipt code are an ambiguity; more say no more.
_LOOKUP_ROWS = 4
#: The most codes in one question: past some dozens the statement's overhead is no longer what costs.
LOOKUP_CODES = 64


class UnreadableDossier(SourceError):
    """An agency's database holds the dossier, but its row cannot be read."""


@dataclass(frozen=True, slots=True)
class ViewShape:
    """What one source's view looks like."""

    table: sa.TableClause
    columns: dict[str, str]  # contract name → name in the view
    style: TimeStyle | None  # None: read as a whole, compared by hash
    reader: RowReader

    @property
    def incremental(self) -> bool:
        return self.style is not None

    def column(self, name: str) -> sa.ColumnClause[Any]:
        found: sa.ColumnClause[Any] = self.table.c[self.columns[name]]
        return found

    def select(self) -> sa.Select[Any]:
        return sa.select(*(self.column(name).label(name) for name in self.columns))


@dataclass(frozen=True, slots=True)
class From:
    """A poll begins at this time, rows of exactly this time included."""

    updated_at: datetime | None = None  # None: at the beginning


@dataclass(frozen=True, slots=True)
class Next:
    """A page begins after this row; the values are the driver's own, untouched."""

    updated_at: object
    code: object


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest row of a page that is not dated in the future."""

    at: datetime
    receipt_code: str
    after: Next


@dataclass(frozen=True, slots=True)
class PollBatch:
    """A page of the view."""

    rows: tuple[SourceRow, ...]
    bad: tuple[BadRow, ...]
    read: int  # rows of the view
    next: Next | None  # None: the view is read to its end
    incremental: bool
    newest: Newest | None = None
    future: int = 0  # rows dated in the future


def shape_txn(conn: Connection, source: str, settings: SourceSettings) -> ViewShape:
    """Look at the view: its columns, and how it writes time.

    Raises:
        SourceError: a required column is missing.
        sqlalchemy.exc.SQLAlchemyError: there is no such view, or it cannot be read.
    """
    schema, _, name = settings.view.rpartition(".")
    with limited(conn, settings.poll_timeout_s):
        present = present_columns_txn(conn, settings)
        columns, missing = contract.resolve(settings.columns, present)
        if missing:
            raise missing_columns(source, settings, missing)
        table = sa.table(name, *(sa.column(column) for column in columns.values()), schema=schema or None)
        style = None
        if "updated_at" in columns:
            updated_at = table.c[columns["updated_at"]]
            sample = conn.execute(sa.select(updated_at).where(updated_at.is_not(None)).limit(1)).scalar()
            style = style_of(sample, ZoneInfo(settings.time_zone))
    return ViewShape(table, columns, style, RowReader.of(source, settings, needs_updated_at=style is not None))


def present_columns_txn(conn: Connection, settings: SourceSettings) -> list[str]:
    """The names of the view's columns, as the database gives them."""
    schema, _, name = settings.view.rpartition(".")
    bare = sa.table(name, schema=schema or None)
    return list(conn.execute(sa.select(sa.text("*")).select_from(bare).where(sa.text("1 = 0"))).keys())


def missing_columns(source: str, settings: SourceSettings, missing: Sequence[str]) -> SourceError:
    """The one fault that a view with missing columns is."""
    wanted = ", ".join(
        f"'{name}'" + (f" (mapped to '{settings.columns[name]}')" if name in settings.columns else "")
        for name in missing
    )
    plural = "s" if len(missing) > 1 else ""
    return SourceError(
        source,
        f"the view {settings.view} has no column{plural} {wanted}",
        f"Add to the view what docs/provincial-database.md describes, or map under sources.{source}.columns",
    )


def page_query(shape: ViewShape, start: From | Next, limit: int) -> sa.Select[Any]:
    """The question for one page, in the view's order."""
    code = shape.column("receipt_code")
    query = shape.select()
    if shape.style is not None:
        query = query.where(_after(shape, start)).order_by(shape.column("updated_at"), code)
    else:
        if isinstance(start, Next):
            query = query.where(code > _bind(start.code))
        query = query.order_by(code)
    return query.limit(limit)


def page_txn(
    conn: Connection, shape: ViewShape, start: From | Next, limit: int, not_after: datetime, timeout_s: float
) -> PollBatch:
    """One page of the view in order.

    Args:
        not_after: rows dated later are read, but do not count as ``newest``: a clock that is wrong once must not hide
            every later change.
    """
    with limited(conn, timeout_s):
        names = tuple(shape.columns)
        # Plain dicts: SQLAlchemy's mappings pay for each optional column that a view has not.
        raw = [dict(zip(names, row, strict=True)) for row in conn.execute(page_query(shape, start, limit))]
    rows, bad, newest, future = _judge(shape, raw, not_after)
    following = None
    if len(raw) == limit:
        following = Next(raw[-1].get("updated_at"), raw[-1]["receipt_code"])
        if following == start:
            raise SourceError(
                shape.reader.source,
                f"the view does not go on after receipt code {following.code!r}: its order is not that of its comparison",
                "Give updated_at the precision that it is compared in; see docs/provincial-database.md",
            )
    return PollBatch(rows, bad, len(raw), following, shape.incremental, newest, future)


def _after(shape: ViewShape, start: From | Next) -> sa.ColumnElement[bool]:
    updated_at, code = shape.column("updated_at"), shape.column("receipt_code")
    if isinstance(start, Next):
        # Written so that an index on updated_at alone serves as well as one on both.
        after, last = _bind(start.updated_at), _bind(start.code)
        return sa.and_(updated_at >= after, sa.or_(updated_at > after, code > last))
    if start.updated_at is None or shape.style is None:
        return updated_at.is_not(None)
    return updated_at >= _bind(shape.style.bound(start.updated_at))


def _bind(value: object) -> sa.BindParameter[Any]:
    """A value in the driver's own type: converting it could change its order."""
    return sa.bindparam(None, value, type_=sa.types.NullType(), unique=True)


def _judge(
    shape: ViewShape, raw: Sequence[Mapping[str, Any]], not_after: datetime
) -> tuple[tuple[SourceRow, ...], tuple[BadRow, ...], Newest | None, int]:
    good: dict[str, SourceRow] = {}
    bad: list[BadRow] = []
    twice: set[str] = set()
    newest: Newest | None = None
    future = 0
    for row in raw:
        read = shape.reader.read(row)
        at = _updated_at(shape, row)
        if at is not None and at <= not_after:
            after = Next(row["updated_at"], row["receipt_code"])
            newest = Newest(at, to_text("receipt_code", row["receipt_code"]), after)
        elif at is not None:
            future += 1
        if isinstance(read, BadRow):
            bad.append(read)
            continue
        code = read.dossier.receipt_code
        other = good.get(code)
        if other is not None and other.row_hash != read.row_hash:
            bad.append(BadRow(code, DUPLICATE_CODE, "the view has several different rows of this code"))
            if other.dossier.updated_at == read.dossier.updated_at:
                twice.add(code)  # neither is the newer: to choose would be to guess
        good[code] = read  # rows come in order of updated_at: the later one counts
    return tuple(row for code, row in good.items() if code not in twice), tuple(bad), newest, future


def _updated_at(shape: ViewShape, row: Mapping[str, Any]) -> datetime | None:
    if shape.style is None:
        return None
    try:
        return to_datetime("updated_at", row["updated_at"], shape.reader.zone)
    except BadValue:
        return None


def rows_without_time_txn(conn: Connection, shape: ViewShape, timeout_s: float) -> list[BadRow]:
    """Rows that an incremental poll never meets, since they have no ``updated_at``."""
    if shape.style is None:
        return []
    query = sa.select(shape.column("receipt_code")).where(shape.column("updated_at").is_(None)).limit(_NULL_ROWS)
    with limited(conn, timeout_s):
        codes = conn.execute(query).scalars().all()
    detail = "updated_at is NULL: the row is not read, its changes would be missed"
    return [BadRow(to_text("receipt_code", code), NO_UPDATED_AT, detail) for code in codes]


def lookup_query(shape: ViewShape, code: str) -> sa.Select[Any]:
    """The question for one dossier."""
    return shape.select().where(shape.column("receipt_code") == _bind(code)).limit(_LOOKUP_ROWS)


#: What a view says of a receipt code: its dossiers, several when it has several different rows of it; or that its row is
#: there and cannot be read.
Found = list[Dossier] | UnreadableDossier


class Asking:
    """The question for dossiers by their codes, of one or of many at once; made once for a view, asked from its threads."""

    def __init__(self, shape: ViewShape) -> None:
        self.shape = shape
        reader = shape.reader
        self._reader = RowReader(reader.source, reader.zone, reader.statuses, needs_updated_at=False)
        # The driver's own type, as in every question: converting a code could change what it equals.
        codes = sa.bindparam("codes", type_=sa.types.NullType(), expanding=True)
        self._query = shape.select().where(shape.column("receipt_code").in_(codes)).limit(_LOOKUP_ROWS * LOOKUP_CODES)
        self._names = tuple(shape.columns)

    def lookup_txn(self, conn: Connection, codes: Sequence[str], timeout_s: float) -> list[Found]:
        """What the view says of each code, in order. ``timeout_s`` is for all of them together."""
        with limited(conn, timeout_s):
            if len(codes) > 1 and (found := self._many_txn(conn, codes)) is not None:
                return [found.get(code, []) for code in codes]
            return [self._found(conn.execute(lookup_query(self.shape, code)).all()) for code in codes]

    def _many_txn(self, conn: Connection, codes: Sequence[str]) -> dict[str, Found] | None:
        """All in one question; None when the answer does not tell for certain which row answers which code.

        That is so when the database holds a code equal to another spelling of it (blanks, upper and lower case), and when
        there are so many rows of one code that others may have been cut off.
        """
        rows = conn.execute(self._query, {"codes": list(dict.fromkeys(codes))}).all()
        asked = set(codes)
        by_code: dict[str, list[Sequence[Any]]] = {}
        place = self._names.index("receipt_code")
        for row in rows:
            code = row[place]
            if not isinstance(code, str) or code not in asked:
                return None
            by_code.setdefault(code, []).append(row)
        if len(rows) >= _LOOKUP_ROWS * LOOKUP_CODES:
            return None
        return {code: self._found(of_code) for code, of_code in by_code.items()}

    def _found(self, rows: Sequence[Sequence[Any]]) -> Found:
        found: dict[str, Dossier] = {}
        for row in rows:
            read = self._reader.dossier(dict(zip(self._names, row, strict=True)))
            if isinstance(read, BadRow):
                return UnreadableDossier(
                    self._reader.source,
                    f"dossier {read.receipt_code} cannot be read: {read.reason}, {read.detail}",
                    "Correct the row or the mapping; docs/provincial-database.md lists what is accepted",
                )
            found[row_hash(read) if len(rows) > 1 else ""] = read
        return list(found.values())
