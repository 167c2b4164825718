"""An operator's file into the store: whole, once, or not at all.

The file is read twice: for its digest, by which a second import of the same content is recognised, and line by line. Rows
are written in small transactions beside the daemon's, and count only when the last one is in. A bad line stops the writing,
not the reading: all bad lines are told at once, and nothing is left of the file, unless the caller accepts to do without them.
"""

from __future__ import annotations

import codecs
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from io import BufferedReader
from pathlib import Path
from typing import Any

from sqlalchemy.engine import Engine

from gateway.clock import VIETNAM
from gateway.errors import GatewayError
from gateway.mo.charging.reconcile.layout import BadLine, Layout
from gateway.mo.charging.tariff import price_vnd
from gateway.settings import ChargingSettings, FileFormat
from gateway.store.reconciliation import (
    IMPORTED,
    add_rows_txn,
    begin_import_txn,
    drop_rows_txn,
    file_by_digest_txn,
    finish_import_txn,
)

#: Rows in one transaction: some 50 ms of the writer.
CHUNK_ROWS = 10_000
#: Bad lines that are kept with their reasons; the others are counted.
MOST_BAD_LINES = 1000
#: An import without a sign of life for so long is broken: its process died.
BROKEN_AFTER = timedelta(seconds=60)

#: Told the octets read so far.
Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of a file."""

    file_id: int | None  # None: nothing was imported, because of the bad lines
    rows: int
    bad: tuple[tuple[int, str], ...]  # (line, why), the first MOST_BAD_LINES
    bad_lines: int
    already: bool = False  # the same content was imported before; nothing was done


class Importer:
    """Imports files of one operator."""

    def __init__(
        self, engine: Engine, route: str, name: str, form: FileFormat, charging: ChargingSettings, now: datetime
    ) -> None:
        self._engine = engine
        self._route = route
        self._name = name
        self._form = form
        self._layout = Layout(form)
        self._charging = charging
        self._now = now
        self._prices: dict[tuple[str, Any], int] = {}

    def run(self, path: Path, *, accept_bad_lines: bool = False, progress: Progress = lambda octets: None) -> Imported:
        """Import a file. Blocks.

        Raises:
            GatewayError: it cannot be read, or is being imported by another process now.
        """
        try:
            with path.open("rb") as stream:
                return self._run(stream, path.name, accept_bad_lines, progress)
        except OSError as error:
            raise GatewayError(f"{path} cannot be read: {error.strerror}") from error

    def _run(self, stream: BufferedReader, file_name: str, accept: bool, progress: Progress) -> Imported:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
        with self._writing() as conn:
            known = file_by_digest_txn(conn, self._route, digest)
        if known is not None and known.state == IMPORTED:
            return Imported(known.id, known.rows, (), known.bad_lines, already=True)
        if known is not None:
            if self._now - known.touched_at < BROKEN_AFTER:
                raise GatewayError(f"{file_name} is being imported by another process. Wait a minute, and try again")
            self._remove(known.id)
        with self._writing() as conn:
            file_id = begin_import_txn(conn, self._route, self._name, file_name, digest, self._form.lists, self._now)
        if file_id is None:
            raise GatewayError(f"{file_name} is being imported by another process")
        stream.seek(0)
        try:
            return self._fill(file_id, stream, accept, progress)
        except BaseException:
            self._remove(file_id)
            raise

    def _fill(self, file_id: int, stream: BufferedReader, accept: bool, progress: Progress) -> Imported:
        chunk: list[tuple[Any, ...]] = []
        bad: list[tuple[int, str]] = []
        bad_lines = rows = octets = 0
        first_at: datetime | None = None
        last_at: datetime | None = None
        for number, raw in self._lines(stream):
            octets += len(raw)
            try:
                row = self._layout.read(_decoded(raw, self._form.encoding))
            except BadLine as error:
                bad_lines += 1
                if len(bad) < MOST_BAD_LINES:
                    bad.append((number, str(error)))
                continue
            if bad_lines and not accept:
                continue
            amount_vnd = row.amount_vnd if row.amount_vnd is not None else self._price(row.shortcode, row.received_at)
            chunk.append((number, *row[:6], amount_vnd))
            first_at = row.received_at if first_at is None or row.received_at < first_at else first_at
            last_at = row.received_at if last_at is None or row.received_at > last_at else last_at
            if len(chunk) >= CHUNK_ROWS:
                rows += self._write(file_id, chunk)
                progress(octets)
        if bad_lines and not accept:
            self._remove(file_id)
            return Imported(None, 0, tuple(bad), bad_lines)
        rows += self._write(file_id, chunk)
        with self._writing() as conn:
            finish_import_txn(conn, file_id, rows, bad, bad_lines, first_at, last_at, self._now)
        progress(octets)
        return Imported(file_id, rows, tuple(bad), bad_lines)

    def _lines(self, stream: BufferedReader) -> Iterator[tuple[int, bytes]]:
        """Numbered lines without their ends; blank ones and the titles are left out."""
        for number, raw in enumerate(stream, 1):
            if number == 1:
                raw = raw.removeprefix(codecs.BOM_UTF8)
                if self._form.header:
                    continue
            if raw.strip():
                yield number, raw.rstrip(b"\r\n")

    def _write(self, file_id: int, chunk: list[tuple[Any, ...]]) -> int:
        with self._writing() as conn:
            add_rows_txn(conn, file_id, chunk, self._now)
        written = len(chunk)
        chunk.clear()
        return written

    def _remove(self, file_id: int) -> None:
        left = 1
        while left:
            with self._writing() as conn:
                left = drop_rows_txn(conn, file_id, CHUNK_ROWS)

    def _price(self, shortcode: str, at: datetime) -> int:
        """A file without prices is priced by our tariff."""
        day = at.astimezone(VIETNAM).date()
        if (found := self._prices.get((shortcode, day))) is None:
            found = self._prices[shortcode, day] = price_vnd(self._charging.tariff, shortcode, day) or 0
        return found

    def _writing(self) -> Any:
        return self._engine.execution_options(motcua_write=True).begin()


def _decoded(raw: bytes, encoding: str) -> str:
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        raise BadLine(f"octet {error.start + 1} is not {encoding}") from error
