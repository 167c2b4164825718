"""Columns and types of a view, compared with the contract."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.dossiers.contract import BY_NAME, ColumnType, Presence
from gateway.dossiers.reading import ViewShape
from gateway.dossiers.survey.findings import Level, Survey

_GUIDE = "docs/provincial-database.md"
_NUMERIC = (sa.types.Integer, sa.types.Numeric)
_TEXT = (sa.types.String,)


def types_txn(conn: Connection, shape: ViewShape) -> dict[str, sa.types.TypeEngine[object]]:
    """Contract column → its type, for those whose type the database tells."""
    found = sa.inspect(conn).get_columns(shape.table.name, schema=shape.table.schema)
    by_name = {str(column["name"]).casefold(): column["type"] for column in found}
    told = {name: by_name[own.casefold()] for name, own in shape.columns.items() if own.casefold() in by_name}
    # SQLite knows no type of a column that the view computes.
    return {name: kind for name, kind in told.items() if not isinstance(kind, sa.types.NullType)}


def judge_types(result: Survey, types: Mapping[str, sa.types.TypeEngine[object]]) -> None:
    """Types that lose something, or that the gateway has to guess from."""
    for name, kind in types.items():
        column = BY_NAME[name]
        shown = result.types[name] = _name(kind)
        if column.type is ColumnType.CODE and isinstance(kind, _NUMERIC):
            result.add(
                Level.FAULT,
                f"columns.{name}",
                f"the column has the type {shown}: leading zeros of receipt codes are lost",
                "Store the code as text; a cast in the view cannot bring the zeros back",
            )
        elif name == "phone" and isinstance(kind, _NUMERIC):
            result.add(
                Level.WARNING,
                f"columns.{name}",
                f"the column has the type {shown}: the 0 of every number is lost, and so is what is typed around it",
                "Store telephone numbers as text",
            )
        elif column.type is ColumnType.DATETIME and isinstance(kind, sa.types.Date) and name != "due_at":
            result.add(
                Level.FAULT if name == "updated_at" else Level.WARNING,
                f"columns.{name}",
                f"the column has the type {shown}, a day without a time",
                "Give it date and time: the gateway reads what changed since the last second",
            )
        elif name == "updated_at" and shown.upper() in ("DATETIME", "SMALLDATETIME") and _is_mssql(kind):
            result.add(
                Level.FAULT,
                f"columns.{name}",
                f"the column has the type {shown}, which SQL Server rounds to 1/300 s: a poll would not get on",
                "Make it datetime2: CAST(… AS datetime2) in the view, better in the table",
            )
        elif shown.upper() in ("CHAR", "VARCHAR", "TEXT") and _is_mssql(kind) and column.type is ColumnType.TEXT:
            result.add(
                Level.WARNING,
                f"columns.{name}",
                f"the column has the type {shown}, which holds no Vietnamese letters on SQL Server",
                "Make it nvarchar in the table",
            )


def judge_presence(result: Survey, present: Sequence[str]) -> None:
    """Columns that are not there and would be of use."""
    for column in BY_NAME.values():
        if column.name in result.columns:
            continue
        if column.presence is Presence.RECOMMENDED:
            result.add(
                Level.WARNING,
                "columns",
                f"the view has no column '{column.name}': the whole view is compared at every poll",
                f"Add it, with an index; {_GUIDE} shows a trigger that keeps it",
            )
        elif near := difflib.get_close_matches(column.name, list(present), 1, 0.85):
            result.add(
                Level.NOTE,
                f"columns.{column.name}",
                f"the view has no column '{column.name}', but one named '{near[0]}'",
                f"If it is meant, map it: {column.name}: {near[0]}",
            )


def _name(kind: sa.types.TypeEngine[object]) -> str:
    return str(getattr(kind, "__visit_name__", "") or type(kind).__name__)


def _is_mssql(kind: object) -> bool:
    return "mssql" in type(kind).__module__ or getattr(kind, "collation", None) not in (None, "")
