"""Dossiers as last polled, by their codes: what answers a citizen when an agency's database does not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.model import Dossier
from gateway.store.dossier_rows import from_row
from gateway.store.schema import bad_row, dossier, source_cursor
from gateway.store.sql import in_list


@dataclass(frozen=True, slots=True)
class SeenDossier:
    """A dossier as last polled, with the time for which that is known to be true."""

    dossier: Dossier
    seen_at: datetime


def seen_by_codes_txn(conn: Connection, receipt_codes: Sequence[str]) -> list[list[SeenDossier]]:
    """For each code, in order: every source's dossier of it, as last polled, in order of the sources' names."""
    found: dict[str, list[SeenDossier]] = {}
    for row in conn.execute(_select_seen(conn.dialect.name), {"codes": list(dict.fromkeys(receipt_codes))}):
        # What a later poll could not read may have changed since: then only the last good reading is certain.
        certain = row.unreadable or row.last_success_at is None
        seen_at = row.seen_at if certain else max(row.seen_at, row.last_success_at)
        found.setdefault(row.receipt_code, []).append(SeenDossier(from_row(row).dossier, seen_at))
    return [found.get(code, []) for code in receipt_codes]


@cache
def _select_seen(dialect: str) -> sa.Select[Any]:
    joined = dossier.outerjoin(source_cursor, source_cursor.c.source == dossier.c.source)
    unreadable = (
        sa.select(bad_row.c.reason)
        .where(bad_row.c.source == dossier.c.source, bad_row.c.receipt_code == dossier.c.receipt_code)
        .exists()
    )
    return (
        sa.select(dossier, source_cursor.c.last_success_at, unreadable.label("unreadable"))
        .select_from(joined)
        .where(in_list(dialect, dossier.c.receipt_code, "codes"))
        .order_by(dossier.c.source)
    )
