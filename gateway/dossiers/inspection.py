"""Looking a source over before anything depends on it: ``motcua-gateway check``."""

from __future__ import annotations

from collections import Counter

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.dossiers import reading
from gateway.dossiers.connect import limited
from gateway.dossiers.rows import BAD_VALUE, UNMAPPED_STATUS
from gateway.dossiers.statuses import StatusMap
from gateway.dossiers.values import to_text
from gateway.errors import ConfigError, SourceError
from gateway.model import DossierState
from gateway.settings import SourceSettings
from gateway.store.decisions import BadRow

#: Rows that are read and judged; the newest, where the view says which these are.
SAMPLE_ROWS = 1000
#: Status words of one view. A view with more has put something else into the column.
_WORDS = 200
_GUIDE = "docs/provincial-database.md"


def faults_txn(conn: Connection, source: str, settings: SourceSettings) -> list[ConfigError]:
    """Everything that is wrong with a source's view, one fault for each thing that is to be corrected.

    Raises:
        sqlalchemy.exc.SQLAlchemyError: the database or the view cannot be read at all.
    """
    try:
        shape = reading.shape_txn(conn, source, settings)
    except SourceError as error:
        return [ConfigError(f"sources.{source}.columns", error.what, error.remedy)]
    with limited(conn, settings.poll_timeout_s):
        return [*_words(conn, source, settings, shape), *_sample(conn, source, settings, shape)]


def _words(conn: Connection, source: str, settings: SourceSettings, shape: reading.ViewShape) -> list[ConfigError]:
    """Status words that nobody has mapped, over the whole view."""
    status = shape.column("status")
    counted = conn.execute(sa.select(status, sa.func.count()).group_by(status).limit(_WORDS)).all()
    known = StatusMap(settings.status_profiles, settings.statuses, settings.result_steps)
    states = ", ".join(state.value for state in DossierState)
    return [
        ConfigError(
            f"sources.{source}.statuses",
            f"the status word '{word}' is not mapped; {count} row{'s' if count > 1 else ''} skipped",
            f"Add '{word}': with one of {states}",
        )
        for word, count in ((to_text("status", raw), int(number)) for raw, number in counted)
        if known.state(word, "")[0] is None
    ]


def _sample(conn: Connection, source: str, settings: SourceSettings, shape: reading.ViewShape) -> list[ConfigError]:
    """Values that cannot be read, in the newest rows; one fault for each column."""
    query = shape.select().limit(SAMPLE_ROWS)
    if "updated_at" in shape.columns:
        query = query.order_by(shape.column("updated_at").desc())
    rows = conn.execute(query).mappings().all()
    judged = [shape.reader.read(row) for row in rows]
    bad = [row for row in judged if isinstance(row, BadRow) and row.reason != UNMAPPED_STATUS]
    by_column: dict[str, list[BadRow]] = {}
    for row in bad:
        column = row.detail.partition(":")[0] if row.reason == BAD_VALUE else "updated_at"
        by_column.setdefault(column, []).append(row)
    faults = [
        ConfigError(
            f"sources.{source}.columns.{column}",
            f"{len(found)} of the newest {len(rows)} rows cannot be read, such as dossier "
            f"{found[0].receipt_code}: {found[0].detail}",
            f"Correct the view or the rows; {_GUIDE} lists what is accepted",
        )
        for column, found in by_column.items()
    ]
    codes = Counter(to_text("receipt_code", row["receipt_code"]) for row in rows)
    twice = sorted(code for code, count in codes.items() if count > 1)
    if twice:
        faults.append(
            ConfigError(
                f"sources.{source}.view",
                f"{len(twice)} receipt codes stand in several rows, such as {twice[0]}",
                "Make the view give one row for each dossier",
            )
        )
    return faults
