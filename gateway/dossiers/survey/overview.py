"""All questions put to one source, each on a connection of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Concatenate, ParamSpec, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from gateway.dossiers import contract, reading
from gateway.dossiers.connect import limited, make_source_engine
from gateway.dossiers.faults import explain
from gateway.dossiers.reading import ViewShape
from gateway.dossiers.statuses import StatusMap
from gateway.dossiers.survey import columns, sample, speed
from gateway.dossiers.survey.findings import Level, Survey
from gateway.dossiers.values import to_text
from gateway.errors import SourceError
from gateway.model import DossierState
from gateway.settings import AgencySettings, SourceSettings

P = ParamSpec("P")
T = TypeVar("T")

#: Rows that are read and judged; the newest, where the view says which these are.
SAMPLE_ROWS = 1000
#: Status words of one view. A view with more has put something else into the column.
_WORDS = 200
#: Duplicate codes that are counted; more say no more.
_DUPLICATES = 1000


def survey(
    name: str,
    settings: SourceSettings,
    agencies: Mapping[str, AgencySettings],
    now: datetime,
    sample_rows: int = SAMPLE_ROWS,
) -> Survey:
    """Look one source over. Blocks; every question is limited by ``poll_timeout_s``.

    Never raises for what the database is or does: that is a finding.
    """
    result = Survey(name, settings.view)
    for fault in contract.mapping_faults(name, settings.columns):
        result.add(Level.FAULT, fault.path.removeprefix(f"sources.{name}."), fault.what, fault.remedy)
    if result.faults:
        return result
    try:
        engine = make_source_engine(
            settings.url,
            connections=1,
            connect_timeout_s=settings.connect_timeout_s,
            statement_timeout_s=settings.poll_timeout_s,
        )
    except (sa.exc.ArgumentError, ModuleNotFoundError) as error:
        remedy = "Write a SQLAlchemy URL and install its driver, see docs/provincial-database.md"
        result.add(Level.FAULT, "url", f"cannot be used: {error}", remedy)
        return result
    try:
        _Overview(engine, result, settings, agencies, now, sample_rows).run()
    finally:
        engine.dispose()
    return result


class _Overview:
    def __init__(
        self,
        engine: Engine,
        result: Survey,
        settings: SourceSettings,
        agencies: Mapping[str, AgencySettings],
        now: datetime,
        sample_rows: int,
    ) -> None:
        self.engine, self.result, self.settings = engine, result, settings
        self.agencies, self.now, self.sample_rows = agencies, now, sample_rows

    def run(self) -> None:
        try:
            with self.engine.connect() as conn:
                present = reading.present_columns_txn(conn, self.settings)
                shape = reading.shape_txn(conn, self.result.source, self.settings)
        except SourceError as error:
            columns.judge_presence(self.result, present)
            self.result.add(Level.FAULT, "columns", error.what, error.remedy)
            return
        except (sa.exc.SQLAlchemyError, OSError) as error:
            said = explain(self.result.source, self.settings, error)
            self.result.add(Level.FAULT, "", said.what, said.remedy)
            return
        self.result.columns, self.result.incremental = dict(shape.columns), shape.incremental
        columns.judge_presence(self.result, present)
        types = self._ask("the types of the columns", columns.types_txn, shape)
        if types:
            columns.judge_types(self.result, types)
        rows = self._ask("the newest rows", _sample_txn, shape, self.sample_rows, self.settings)
        if rows is not None:
            if not rows:
                self.result.add(
                    Level.WARNING, "view", "the view has no rows", "Check its conditions, or wait for the first dossier"
                )
            sample.judge_sample(self.result, shape, rows, self.settings, self.now)
            self._agencies()
        self._whole_view(shape)
        for question in (speed.POLL, speed.LOOKUP):
            self._timing(shape, question)

    def _ask(
        self, what: str, fn_txn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T | None:
        """One question; None with a finding when it fails."""
        try:
            with self.engine.connect() as conn, limited(conn, self.settings.poll_timeout_s):
                return fn_txn(conn, *args, **kwargs)
        except (sa.exc.SQLAlchemyError, OSError) as error:
            said = explain(self.result.source, self.settings, error)
            self.result.add(Level.WARNING, "", f"could not find out {what}: {said.what}", said.remedy)
            return None

    def _whole_view(self, shape: ViewShape) -> None:
        words = self._ask("the status words of the whole view", _words_txn, shape)
        if words is not None:
            self.result.words = words
            self._judge_words(words)
        twice = self._ask("whether codes stand twice", _duplicates_txn, shape)
        if twice:
            self.result.add(
                Level.FAULT,
                "view",
                f"{len(twice)}{'+' if len(twice) == _DUPLICATES else ''} receipt codes stand in several rows, such as {twice[0]}",
                "Make the view give one row for each dossier",
            )
        self.result.rows = self._ask("the number of rows", _count_txn, shape)
        if shape.incremental:
            without = self._ask(
                "rows without updated_at", reading.rows_without_time_txn, shape, self.settings.poll_timeout_s
            )
            if without:
                self.result.add(
                    Level.FAULT,
                    "columns.updated_at",
                    f"{len(without)} or more rows have no updated_at, such as dossier {without[0].receipt_code}: they are not read",
                    "Fill it; a default and a trigger keep it filled",
                )

    def _judge_words(self, words: Mapping[str, int]) -> None:
        known = StatusMap(self.settings.status_profiles, self.settings.statuses, self.settings.result_steps)
        states = ", ".join(state.value for state in DossierState)
        for word, count in words.items():
            state = known.state(word, "")[0]
            if state is not None:
                self.result.states[word] = state.value
                continue
            self.result.add(
                Level.FAULT,
                "statuses",
                f"the status word '{word}' is not mapped; {count} row{'s' if count > 1 else ''} skipped",
                f"Add '{word}': with one of {states}",
            )

    def _agencies(self) -> None:
        """Agencies of the sample that the configuration does not know, when it lists agencies at all."""
        unknown = [code for code in self.result.agencies if code not in self.agencies]
        if self.agencies and unknown:
            self.result.add(
                Level.NOTE,
                "view",
                f"{len(unknown)} agencies of the sample stand not under 'agencies', such as '{unknown[0]}'",
                "They follow notices.agencies_default_active; list them to activate them by date",
            )

    def _timing(self, shape: ViewShape, question: str) -> None:
        timing = self._ask(
            f"how long '{question}' takes", speed.time_question_txn, shape, question, self.settings, self.now
        )
        if timing is None:
            return
        try:
            with self.engine.connect() as conn:
                timing = speed.plan_txn(conn, shape, timing, self.settings, self.now)
        except sa.exc.SQLAlchemyError:
            # MySQL tells no plan of a view to an account that may only read it. The time has to do.
            self.result.add(
                Level.NOTE,
                "view",
                f"this account may not see how the question '{question}' is answered",
                "Look at EXPLAIN with an account that may; docs/provincial-database.md has the questions",
            )
        speed.judge_timing(self.result, timing, shape.incremental)


def _sample_txn(conn: Connection, shape: ViewShape, limit: int, settings: SourceSettings) -> list[sa.RowMapping]:
    query = shape.select().limit(limit)
    if "updated_at" in shape.columns:
        query = query.order_by(shape.column("updated_at").desc())
    return list(conn.execute(query).mappings())


def _words_txn(conn: Connection, shape: ViewShape) -> dict[str, int]:
    status = shape.column("status")
    number = sa.func.count()
    rows = conn.execute(sa.select(status, number).group_by(status).order_by(number.desc()).limit(_WORDS)).all()
    return {to_text("status", raw): int(count) for raw, count in rows}


def _duplicates_txn(conn: Connection, shape: ViewShape) -> list[str]:
    code = shape.column("receipt_code")
    query = sa.select(code).group_by(code).having(sa.func.count() > 1).limit(_DUPLICATES)
    return [to_text("receipt_code", raw) for raw in conn.execute(query).scalars()]


def _count_txn(conn: Connection, shape: ViewShape) -> int:
    return int(conn.execute(sa.select(sa.func.count()).select_from(shape.table)).scalar_one())
