"""Dossiers and views for the tests of sources, rules and pollers."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from inline_db import InlineDatabase, _NoThreads
from sqlalchemy.engine import Engine

from gateway.db import Database
from gateway.model import Dossier, DossierState

NO_THREADS = _NoThreads()

#: A working day, ten in the morning in Vietnam.
NOW = datetime(2026, 3, 3, 3, 0, tzinfo=UTC)

#: One row of the contract view, as an agency's software writes it.
ROW: dict[str, Any] = {
    "receipt_code": "0101701234",
    "agency_code": "KS",
    "agency_name": "UBND huyện Khánh Sơn",
    "status": "Đang xử lý",
    "step_name": "Thẩm định",
    "at_one_stop_shop": 0,
    "clock_stopped": 0,
    "phone": "0905123456",
    "received_at": "2026-02-20 08:00:00",
    "due_at": "2026-03-04 17:00:00",
    "updated_at": "2026-03-03 09:00:00",
    "procedure_code": "1.004203",
    "procedure_name": "Cấp đổi giấy chứng nhận",
    "phone_recorded_at": "2026-02-20",
    "finished_at": None,
    "return_by_post": 0,
}


def a_dossier(**changes: Any) -> Dossier:
    """A dossier in work; name what is to differ."""
    values: dict[str, Any] = {
        "source": "ks",
        "receipt_code": "0101701234",
        "agency_code": "KS",
        "agency_name": "UBND huyện Khánh Sơn",
        "state": DossierState.PROCESSING,
        "status_raw": "Đang xử lý",
        "step_name": "Thẩm định",
        "at_one_stop_shop": False,
        "clock_stopped": False,
        "updated_at": NOW,
        "phone_raw": "0905123456",
        "received_at": datetime(2026, 2, 20, 1, 0, tzinfo=UTC),
        "due_at": datetime(2026, 3, 4, 10, 0, tzinfo=UTC),
    }
    return Dossier(**{**values, **changes})


class AgencyDatabase:
    """A SQLite database with the contract view, as an agency's software would keep it."""

    def __init__(self, path: Path, columns: Mapping[str, str] | None = None, view: str = "") -> None:
        self.path = path
        declared = columns or dict.fromkeys(ROW, "TEXT")
        with self._open() as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            names = ", ".join(f'"{name}" {kind}' for name, kind in declared.items())
            connection.execute(f"CREATE TABLE dossiers ({names})")
            connection.execute(view or "CREATE VIEW v_motcua_dossier AS SELECT * FROM dossiers")

    @property
    def url(self) -> str:
        return f"sqlite:///{self.path}"

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.path)) as connection:
            connection.execute("PRAGMA synchronous = OFF")  # nobody pulls the plug in a test
            with connection:
                yield connection

    def execute(self, statement: str, *values: object) -> None:
        with self._open() as connection:
            connection.execute(statement, values)

    def add(self, **changes: Any) -> None:
        """A row like ROW, but for the changes."""
        self.add_many([changes])

    def add_many(self, rows: list[dict[str, Any]]) -> None:
        full = [{**ROW, **changes} for changes in rows]
        names = list(full[0])
        quoted = ", ".join(f'"{name}"' for name in names)
        marks = ", ".join("?" for _ in names)
        with self._open() as connection:
            connection.executemany(
                f"INSERT INTO dossiers ({quoted}) VALUES ({marks})", [[row[name] for name in names] for row in full]
            )

    def change(self, code: str, **changes: Any) -> None:
        """Change a row; name ``updated_at`` too, as an agency's software does."""
        sets = ", ".join(f'"{name}" = ?' for name in changes)
        self.execute(f"UPDATE dossiers SET {sets} WHERE receipt_code = ?", *changes.values(), code)


#: Every InlineSourceDatabase of this run, the newest last: tests hold and break them.
opened: list[InlineSourceDatabase] = []


class InlineSourceDatabase(InlineDatabase):
    """An agency's database whose functions run at once, in the calling thread."""

    def __init__(self, engine: Engine, _readers: int) -> None:
        Database.__init__(self, NO_THREADS, "", engine=engine, threads=False)
        self.broken = False
        self.held: list[Callable[[], None]] | None = None
        self.calls: list[str] = []
        opened.append(self)
