"""What the tests of retention share: old rows, and the steps taken to their end."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from inline_db import InlineDatabase

from gateway.settings_retention import RetentionSettings
from gateway.store.retention import Step, advance_txn
from gateway.store.retention_steps import STEPS
from gateway.store.schema import dossier, metadata

KEY = "a secret of enough length"


def rules(**changes: Any) -> RetentionSettings:
    return RetentionSettings.model_validate({"number_key": KEY, **changes})


def step(name: str) -> Step:
    return next(one for one in STEPS if one.name == name)


def take(db: InlineDatabase, name: str, now: datetime, kept: RetentionSettings | None = None) -> tuple[int, int]:
    """A pass of one step, to its end: (rows changed, transactions)."""
    for transactions in range(1, 1000):
        progress = db.do(advance_txn, step(name), kept or rules(), now)
        if progress.finished_at is not None:
            return progress.changed, transactions
    raise AssertionError(f"{name} does not end")


def take_all(db: InlineDatabase, now: datetime, kept: RetentionSettings | None = None) -> dict[str, int]:
    """All steps, in their order: what each changed."""
    changed = {one.name: take(db, one.name, now, kept)[0] for one in STEPS}
    return {name: rows for name, rows in changed.items() if rows}


def rows(db: InlineDatabase, table: str, *columns: str) -> list[tuple[Any, ...]]:
    wanted = [metadata.tables[table].c[name] for name in columns]
    return db.do(lambda conn: [tuple(row) for row in conn.execute(sa.select(*wanted).order_by(*wanted))])


def add_dossier(db: InlineDatabase, code: str, state: str, at: datetime, source: str = "qn") -> None:
    values = {
        "source": source,
        "receipt_code": code,
        "agency_code": "QN",
        "agency_name": "UBND",
        "procedure_code": "",
        "procedure_name": "",
        "state": state,
        "status_raw": "x",
        "step_name": "x",
        "at_one_stop_shop": True,
        "clock_stopped": False,
        "return_by_post": False,
        "phone_raw": "0905 123 456",
        "row_hash": "h",
        "first_seen_at": at,
        "seen_at": at,
        "state_since": at,
    }
    db.do(lambda conn: conn.execute(dossier.insert().values(values)))
