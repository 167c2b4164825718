"""What grows old: anonymised, then deleted, in small transactions while the gateway runs. docs/retention.md tells it to officials.

Work is divided into steps (:mod:`gateway.store.retention_steps`), each over one table. A step walks through its table in the
order of its key, one page in a transaction: it looks at some rows, changes those that are due, and writes down where it
is (table retention_step) in the same transaction. So it may be interrupted anywhere, and goes on there. A pass ends with the first row
that is too young; the next pass begins at the first row that the last one had to leave as it was.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.log import mask_number
from gateway.settings_retention import RetentionSettings
from gateway.store.schema import retention_step

#: The key of the last row that was looked at; () before the first one. JSON in the store.
Position = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows, looked at."""

    due: Sequence[Any] = ()  # what ``Step.apply`` is to change
    position: Position | None = None  # where the next page begins; None: the pass is over
    #: The position before the first row that was left though its time will come; None: there was none.
    left: Position | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """Something that time does to one table."""

    name: str
    what: str  # for people
    #: Rows older than this are due; None: the configuration says that nothing is.
    before: Callable[[RetentionSettings, datetime], datetime | None]
    #: (connection, position, before, how many rows to look at); changes nothing.
    find: Callable[[Connection, Position, datetime, int], Page]
    #: (connection, page.due, before, how a number is replaced); returns how many rows it changed.
    apply: Callable[[Connection, Sequence[Any], datetime, Callable[[str], str]], int]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a step has come."""

    step: str
    changed: int  # in this pass, or in the last one
    started_at: datetime
    stepped_at: datetime
    finished_at: datetime | None  # None: under way


def advance_txn(conn: Connection, step: Step, rules: RetentionSettings, now: datetime) -> Progress:
    """Do one page of a step. ``finished_at`` of what is returned says whether the pass has ended with it."""
    before = step.before(rules, now)
    # Locked: a run by hand may go on beside the daemon's.
    query = sa.select(retention_step).where(retention_step.c.step == step.name).with_for_update()
    row = conn.execute(query).one_or_none()
    fresh = row is None or row.finished_at is not None
    begin = _position(row.begin_at) if row is not None else ()
    at, left = (begin, None) if row is None or fresh else _under_way(row.position, begin)
    page = Page() if before is None else step.find(conn, at, before, rules.rows)
    changed = step.apply(conn, page.due, before, replacement(rules.number_key)) if page.due and before else 0
    left = page.left if left is None else left
    changed += 0 if fresh or row is None else row.changed
    progress = Progress(
        step.name, changed, now if fresh or row is None else row.started_at, now, None if page.position else now
    )
    values: dict[str, Any] = {
        "position": "" if page.position is None else json.dumps([page.position, left]),
        "changed": progress.changed,
        "started_at": progress.started_at,
        "stepped_at": progress.stepped_at,
        "finished_at": progress.finished_at,
    }
    if page.position is None:
        # All that was passed is done: the next pass need not look at it again.
        values["begin_at"] = json.dumps(at if left is None else left)
    if row is None:
        conn.execute(sa.insert(retention_step).values(step=step.name, **values))
    else:
        conn.execute(sa.update(retention_step).where(retention_step.c.step == step.name).values(**values))
    return progress


def preview_txn(
    conn: Connection, step: Step, rules: RetentionSettings, now: datetime, position: Position | None
) -> tuple[int, Position | None]:
    """What a page would change, without changing it: (rows, where the next page begins). ``None`` begins a pass."""
    before = step.before(rules, now)
    if before is None:
        return 0, None
    if position is None:
        row = conn.execute(sa.select(retention_step).where(retention_step.c.step == step.name)).one_or_none()
        begin = _position(row.begin_at) if row is not None else ()
        position = begin if row is None or row.finished_at is not None else _under_way(row.position, begin)[0]
    page = step.find(conn, position, before, rules.rows)
    return sum(not isinstance(row, str) for row in page.due), page.position  # a text names a table


def progress_txn(conn: Connection) -> dict[str, Progress]:
    """Every step that has ever run, by name."""
    rows = conn.execute(sa.select(retention_step))
    return {row.step: Progress(row.step, row.changed, row.started_at, row.stepped_at, row.finished_at) for row in rows}


def _position(text: str) -> Position:
    return tuple(json.loads(text)) if text else ()


def _under_way(text: str, begin: Position) -> tuple[Position, Position | None]:
    if not text:
        return begin, None
    at, left = json.loads(text)
    return tuple(at), None if left is None else tuple(left)


# -- numbers -----------------------------------------------------------------------------------------------------------


def replacement(key: str) -> Callable[[str], str]:
    """How a telephone number is replaced: by a keyed hash, the same for the same number; without a key masked.

    A hash without a key would be no protection: there are few enough numbers to try them all.
    """

    def replace(number: str) -> str:
        if not number or is_replaced(number):
            return number
        if not key:
            return mask_number(number)
        return "#" + hmac.new(key.encode(), number.encode(), hashlib.sha256).hexdigest()[:24]

    return replace


def is_replaced(number: str) -> bool:
    """Whether what stands here is no telephone number any more, or never was one."""
    return number.startswith("#") or "***" in number or mask_number(number) == number
