"""Rows for people and programs: table, csv, json, xlsx."""

from __future__ import annotations

import csv
import io
import json
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from gateway.clock import VIETNAM

FORMATS = ("table", "csv", "json", "xlsx")
Cell = str | int | float | None
#: A cell of a spreadsheet that begins like this would be run as a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
#: Columns of a table on a screen are cut at this; the other formats never are.
_WIDEST = 44


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its key for programs, its title for officials."""

    key: str
    title: str


def write(
    columns: Sequence[Column],
    rows: Iterable[Mapping[str, Any]],
    form: str,
    output: Path | None,
    title: str,
) -> None:
    """Write the rows to a file, or to standard output.

    Raises:
        click.UsageError: a spreadsheet without a file's name, or without openpyxl.
    """
    if form == "xlsx":
        _xlsx(columns, rows, output, title)
        return
    if form == "csv":
        # Excel takes a file for Windows-1252 unless a byte order mark says otherwise: Vietnamese would be lost.
        with _opened(output, "utf-8-sig") as stream:
            _csv(columns, rows, stream)
    elif form == "json":
        with _opened(output, "utf-8") as stream:
            values = [{column.key: _plain(row.get(column.key)) for column in columns} for row in rows]
            stream.write(json.dumps(values, ensure_ascii=False, indent=1) + "\n")
    else:
        with _opened(output, "utf-8") as stream:
            stream.write(as_table(columns, list(rows)) + "\n")


def as_table(columns: Sequence[Column], rows: Sequence[Mapping[str, Any]]) -> str:
    """Aligned text, numbers to the right."""
    cells = [[_shown(row.get(column.key)) for column in columns] for row in rows]
    widths = [
        min(_WIDEST, max([_width(column.title), *(_width(line[at]) for line in cells)]))
        for at, column in enumerate(columns)
    ]
    right = [
        bool(rows) and all(isinstance(row.get(column.key), (int, float, type(None))) for row in rows)
        for column in columns
    ]
    lines = [[column.title for column in columns], ["-" * width for width in widths], *cells]
    text = "\n".join(
        "  ".join(
            _fit(cell, width, to_right) for cell, width, to_right in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in lines
    )
    return text if rows else text + "\n(không có dữ liệu)"


def _csv(columns: Sequence[Column], rows: Iterable[Mapping[str, Any]], stream: io.TextIOBase | Any) -> None:
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([column.title for column in columns])
    for row in rows:
        writer.writerow([_harmless(_plain(row.get(column.key))) for column in columns])


def _xlsx(columns: Sequence[Column], rows: Iterable[Mapping[str, Any]], output: Path | None, title: str) -> None:
    if output is None:
        raise click.UsageError("--format xlsx needs --output FILE")
    try:
        from openpyxl import Workbook
        from openpyxl.cell import WriteOnlyCell
        from openpyxl.styles import Font
    except ModuleNotFoundError as error:
        raise click.UsageError("--format xlsx needs openpyxl: pip install 'motcua-gateway[xlsx]'") from error
    book = Workbook(write_only=True)
    sheet = book.create_sheet(title[:31])
    sheet.freeze_panes = "A2"
    heads = []
    for at, column in enumerate(columns):
        cell = WriteOnlyCell(sheet, value=column.title)
        cell.font = Font(bold=True)
        heads.append(cell)
        sheet.column_dimensions[chr(ord("A") + at)].width = max(12, len(column.title) + 2)
    sheet.append(heads)
    for row in rows:
        cells = []
        for column in columns:
            value = _plain(row.get(column.key))
            cell = WriteOnlyCell(sheet, value=value)
            if isinstance(value, str):
                cell.data_type = "s"  # never a formula
            cells.append(cell)
        sheet.append(cells)
    book.save(output)


class _opened:
    """A file, or standard output, which stays open."""

    def __init__(self, output: Path | None, encoding: str) -> None:
        self._output, self._encoding = output, encoding
        self._stream: Any = None

    def __enter__(self) -> Any:
        if self._output is None:
            return sys.stdout
        self._stream = self._output.open("w", encoding=self._encoding, newline="")
        return self._stream

    def __exit__(self, *_: object) -> None:
        if self._stream is not None:
            self._stream.close()


def _plain(value: Any) -> Cell:
    if isinstance(value, datetime):
        return value.astimezone(VIETNAM).strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, Mapping):
        return "; ".join(f"{key}: {number}" for key, number in sorted(value.items(), key=lambda item: -item[1]))
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if value is None or isinstance(value, (int, float, str)):
        return value
    return str(value)


def _harmless(cell: Cell) -> Cell:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell


def _shown(value: Any) -> str:
    cell = _plain(value)
    if cell is None:
        return "-"
    if isinstance(cell, bool):
        return "x" if cell else ""
    return f"{cell:,}".replace(",", ".") if isinstance(cell, int) else str(cell)


def _width(text: str) -> int:
    return sum(not unicodedata.combining(letter) for letter in unicodedata.normalize("NFC", text))


def _fit(text: str, width: int, to_right: bool) -> str:
    if _width(text) > width:
        text = text[: width - 1] + "…"
    padding = " " * (width - _width(text))
    return padding + text if to_right else text + padding
