"""How long the gateway's two questions take, and whether an index answers them.

A time alone says little: a small table is fast without an index, and a server with everything in memory is fast until the province
is connected. So the database is asked for its plan, where it tells one to an account that may only read a view.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.dossiers import reading
from gateway.dossiers.connect import limited
from gateway.dossiers.reading import From, ViewShape
from gateway.dossiers.survey.findings import Level, Survey, Timing
from gateway.settings import SourceSettings

#: Without a plan, a question that takes longer than this is taken to scan.
SLOW_MS = 200.0
#: A code that no agency gives: looking for it costs what an index costs, or a scan.
_NOWHERE = "motcua-gateway-no-such-code"

POLL = "what changed"
LOOKUP = "one dossier"
_BEHIND = {POLL: ("updated_at", "receipt_code"), LOOKUP: ("receipt_code",)}


def time_question_txn(
    conn: Connection, shape: ViewShape, question: str, settings: SourceSettings, now: datetime
) -> Timing:
    """Ask one of the two questions as the daemon does, and ask for its plan."""
    query = reading.lookup_query(shape, _NOWHERE) if question == LOOKUP else _poll_query(shape, now, settings)
    with limited(conn, settings.poll_timeout_s):
        conn.execute(query).all()  # the first run pays for parsing and cold pages
        began = time.perf_counter()
        conn.execute(query).all()
        ms = (time.perf_counter() - began) * 1000
    return Timing(question, round(ms, 2), None)


def plan_txn(conn: Connection, shape: ViewShape, timing: Timing, settings: SourceSettings, now: datetime) -> Timing:
    """The same with what the database says of its plan. Raises the driver's error where it does not tell."""
    explain = _EXPLAIN.get(conn.dialect.name)
    if explain is None or (timing.question == POLL and not shape.incremental):
        return timing
    lookup = timing.question == LOOKUP
    query = reading.lookup_query(shape, _NOWHERE) if lookup else _poll_query(shape, now, settings)
    indexed, plan = explain(conn, query)
    return Timing(timing.question, timing.ms, indexed, plan)


def judge_timing(result: Survey, timing: Timing, incremental: bool) -> None:
    """Say which index is missing."""
    result.timings.append(timing)
    behind = ", ".join(result.columns.get(name, name) for name in _BEHIND[timing.question] if name in result.columns)
    if timing.question == POLL and not incremental:
        return  # said already: the view is compared as a whole
    key = "view"
    if timing.indexed is False:
        result.add(
            Level.FAULT,
            key,
            f"no index answers the question '{timing.question}' ({timing.ms:.1f} ms for the rows there are now): {timing.plan}",
            f"Create an index on ({behind}) in the table behind the view, and give the columns to the view without casts",
        )
    elif timing.indexed is None and timing.ms > SLOW_MS:
        result.add(
            Level.WARNING,
            key,
            f"the question '{timing.question}' took {timing.ms:.0f} ms, and this account may not see the plan",
            f"Make sure of an index on ({behind}) in the table behind the view",
        )


def _poll_query(shape: ViewShape, now: datetime, settings: SourceSettings) -> sa.Select[Any]:
    """What a quiet source is asked every few seconds."""
    return reading.page_query(shape, From(now), settings.poll_batch)


def _compiled(conn: Connection, query: sa.Select[Any]) -> tuple[str, Any]:
    """The statement as its driver takes it, to be put behind EXPLAIN."""
    compiled = query.compile(dialect=conn.dialect, compile_kwargs={"render_postcompile": True})
    parameters = compiled.construct_params()
    if compiled.positional:
        return str(compiled), tuple(parameters[name] for name in compiled.positiontup or ())
    return str(compiled), parameters


def _sqlite(conn: Connection, query: sa.Select[Any]) -> tuple[bool | None, str]:
    text, parameters = _compiled(conn, query)
    lines = [str(row[3]) for row in conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", parameters)]
    return not any(line.startswith("SCAN") for line in lines), "; ".join(lines)


def _postgresql(conn: Connection, query: sa.Select[Any]) -> tuple[bool | None, str]:
    # A small table is read as a whole even where there is an index; so reading as a whole is made dear for this question.
    conn.exec_driver_sql("SET LOCAL enable_seqscan = off")
    text, parameters = _compiled(conn, query)
    [answer] = conn.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {text}", parameters).scalars()
    plan = answer if isinstance(answer, list) else json.loads(answer)
    nodes = list(_nodes(plan[0]["Plan"]))
    scans = [node.get("Relation Name", "?") for node in nodes if node["Node Type"] == "Seq Scan"]
    shown = "; ".join(
        f"{node['Node Type']} {node.get('Index Name', node.get('Relation Name', ''))}".strip() for node in nodes
    )
    filtered = [node for node in nodes if node["Node Type"].startswith("Index") and "Index Cond" not in node]
    return not scans and not filtered, shown


def _nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *(node for child in plan.get("Plans", ()) for node in _nodes(child))]


def _mysql(conn: Connection, query: sa.Select[Any]) -> tuple[bool | None, str]:
    text, parameters = _compiled(conn, query)
    rows = conn.exec_driver_sql(f"EXPLAIN {text}", parameters).mappings().all()
    scans = [row for row in rows if row["type"] in ("ALL", "index") and not row["possible_keys"]]
    shown = "; ".join(f"{row['table']}: {row['type']} {row['key'] or row['Extra'] or ''}".strip() for row in rows)
    return not scans, shown


_EXPLAIN: dict[str, Callable[[Connection, sa.Select[Any]], tuple[bool | None, str]]] = {
    "sqlite": _sqlite,
    "postgresql": _postgresql,
    "mysql": _mysql,
    "mariadb": _mysql,
}
