"""SQL that the two databases spell differently.

``column IN (a list of any length)`` with one bound value: the statement's text stays the same, so that SQLAlchemy compiles
it once and the driver prepares it once, however long the list is. SQLite takes a JSON array, PostgreSQL an array.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.engine import Connection, Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine


class _ListOf(TypeDecorator[list[Any]]):
    """A list as one bound value."""

    impl = sa.Text
    cache_ok = True

    def __init__(self, item: type[sa.BigInteger] | type[sa.Text]) -> None:
        super().__init__()
        self.item = item

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(ARRAY(self.item()) if dialect.name == "postgresql" else sa.Text())

    def process_bind_param(self, value: Iterable[Any] | None, dialect: Dialect) -> Any:
        values = list(value or ())
        return values if dialect.name == "postgresql" else json.dumps(values)


def in_list(dialect: str, column: sa.ColumnElement[Any], name: str) -> sa.ColumnElement[bool]:
    """``column`` is in the list that is bound under ``name``: of numbers or of texts, as the column is."""
    item = sa.BigInteger if isinstance(column.type, sa.Integer) else sa.Text
    values = sa.bindparam(name, type_=_ListOf(item))
    if dialect == "postgresql":
        return column == sa.any_(values)
    return column.in_(sa.select(sa.func.json_each(values).table_valued("value").c.value))


def insert_rows(conn: Connection, table: sa.Table, names: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
    """Insert plain rows with as little work for each as the driver allows.

    ``rows`` hold what the driver takes: no enums; datetimes only through :func:`plain_datetime`.
    """
    if not rows:
        return
    columns = ", ".join(names)
    if conn.dialect.name == "postgresql":
        types = [table.c[name].type.compile(dialect=conn.dialect) for name in names]
        arrays = ", ".join(f"%s::{kind}[]" for kind in types)
        text = f"INSERT INTO {table.name} ({columns}) SELECT * FROM unnest({arrays})"
        conn.exec_driver_sql(text, tuple(list(values) for values in zip(*rows, strict=True)))
    else:
        marks = ", ".join("?" * len(names))
        conn.exec_driver_sql(f"INSERT INTO {table.name} ({columns}) VALUES ({marks})", rows)


def array_text(values: Sequence[Any]) -> Any:
    """A list of numbers, texts without control characters, or None as PostgreSQL writes an array, for ``%s::bigint[]`` and the like.

    The driver's own way matches a pattern for each text, in Python. A list that needs escapes is left to it.
    """
    text = json.dumps(values, ensure_ascii=False)
    return list(values) if "\\" in text else f"{{{text[1:-1]}}}"


def plain_datetime(dialect: str, value: datetime | None) -> datetime | str | None:
    """A datetime as :class:`gateway.store.schema.UtcDateTime` has it stored, for statements past SQLAlchemy's types."""
    if value is None or dialect == "postgresql":
        return value
    return value.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")
