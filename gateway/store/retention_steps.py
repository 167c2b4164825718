"""The steps of retention, one for each table that holds personal data or grows: what is looked at, what is due, what is done.

An open message, a query that is not answered or whose charge is not settled, and a dossier that may still call for a notice are
never touched. The order of :data:`STEPS` is the order in which they run. The file is long because it is a list of tables.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from gateway.model import ChargeState, DossierState, MessageState, MoState
from gateway.settings_retention import RetentionSettings
from gateway.store import partitions
from gateway.store.retention import Page, Position, Step, is_replaced
from gateway.store.schema import (
    bad_row,
    charge,
    charge_journal,
    dossier,
    message,
    message_key,
    message_part,
    mo,
    mo_forward,
    operator_file,
    operator_row,
    part_key,
    portability,
    reconcile_item,
    state_conflict,
    supplement_violation,
)

Replace = Callable[[str], str]

_MESSAGE_ENDED = frozenset(state.value for state in MessageState if state.final)
_CHARGE_OPEN = frozenset(state.value for state in (ChargeState.PENDING, ChargeState.DECIDED, ChargeState.SENT))
_DOSSIER_ENDED = frozenset(state.value for state in DossierState if state.ended)
#: Ended, and no notice belongs to that state: a dossier that is read again, because its agency touched all of them, is silent.
_FORGETTABLE = frozenset(state.value for state in (DossierState.RETURNED, DossierState.WITHDRAWN, DossierState.STOPPED))
#: The only verdicts on a row.
_DUE, _DONE, _LATER, _YOUNG = "due", "done", "later", "young"


def _days(name: str) -> Callable[[RetentionSettings, datetime], datetime | None]:
    def before(rules: RetentionSettings, now: datetime) -> datetime | None:
        days: int | None = getattr(rules, name)
        return None if days is None else now - timedelta(days=days)

    return before


def _walk(
    query: sa.Select[Any],
    key: Sequence[sa.Column[Any]],
    judge: Callable[[Row[Any], datetime], str],
    *,
    ages_with_key: bool,
) -> Callable[[Connection, Position, datetime, int], Page]:
    """A step's ``find``: pages of ``query`` in the order of ``key``, each row judged.

    ``ages_with_key``: rows with later keys are younger (ids), so that a page whose last row is too young is the last, and the
    next pass can begin at the first row that was left. Otherwise every pass is a walk through the whole table.
    """

    def find(conn: Connection, position: Position, before: datetime, limit: int) -> Page:
        page = query.order_by(*key).limit(limit)
        if position:
            page = page.where(key[0] > position[0] if len(key) == 1 else sa.tuple_(*key) > sa.tuple_(*position))
        rows = conn.execute(page).all()
        verdicts = [judge(row, before) for row in rows]
        due = [row for row, verdict in zip(rows, verdicts, strict=True) if verdict == _DUE]
        over = len(rows) < limit or (ages_with_key and verdicts[-1] == _YOUNG)
        last = None if over else tuple(getattr(rows[-1], column.name) for column in key)
        if not ages_with_key:
            return Page(due, last, ())
        first = next((row.id for row, verdict in zip(rows, verdicts, strict=True) if verdict in (_LATER, _YOUNG)), None)
        return Page(due, last, None if first is None else (first - 1,))

    return find


# -- messages ----------------------------------------------------------------------------------------------------------


def _judge_message_text(row: Row[Any], before: datetime) -> str:
    if row.created_at >= before:
        return _YOUNG
    if row.state not in _MESSAGE_ENDED:
        return _LATER
    return _DONE if not row.text and is_replaced(row.destination_addr) else _DUE


def _anonymise_messages(conn: Connection, due: Sequence[Row[Any]], before: datetime, replace: Replace) -> int:
    statement = (
        sa.update(message)
        .where(message.c.id == sa.bindparam("number"))
        .values(text="", destination_addr=sa.bindparam("address"))
    )
    conn.execute(statement, [{"number": row.id, "address": replace(row.destination_addr)} for row in due])
    return len(due)


_KEYS = (message.c.id, message.c.source, message.c.receipt_code, message.c.kind, message.c.occasion)
_purgeable_messages = sa.select(*_KEYS, message.c.state, message.c.state_at, message.c.created_at)


def _find_old_messages(conn: Connection, position: Position, before: datetime, limit: int) -> Page:
    query = _purgeable_messages
    if conn.dialect.name == "postgresql":
        # Months go as a whole (_find_old_months); here is what an open message keeps from going with its month.
        query = query.where(message.c.id < partitions.first_id(before))
    return _walk(query, (message.c.id,), _judge_old_message, ages_with_key=True)(conn, position, before, limit)


def _judge_old_message(row: Row[Any], before: datetime) -> str:
    if row.created_at >= before:
        return _YOUNG
    return _DUE if row.state in _MESSAGE_ENDED and row.state_at < before else _LATER


def _purge_messages(conn: Connection, due: Sequence[Row[Any]], before: datetime, replace: Replace) -> int:
    _purge_beside(conn, due)
    conn.execute(sa.delete(message).where(message.c.id.in_([row.id for row in due])))
    return len(due)


def _purge_beside(conn: Connection, due: Sequence[Row[Any]]) -> None:
    """What belongs to messages in other tables. Their keys stay as long as their dossier is known (invariant 1)."""
    ids = [row.id for row in due]
    for table in (part_key, message_part):
        conn.execute(sa.delete(table).where(table.c.message_id.in_(ids)))
    names = ("source", "receipt_code", "kind", "occasion")
    known = sa.exists().where(
        dossier.c.source == message_key.c.source, dossier.c.receipt_code == message_key.c.receipt_code
    )
    same = [message_key.c[name] == sa.bindparam(f"{name}_") for name in names]
    conn.execute(
        sa.delete(message_key).where(*same, ~known), [{f"{name}_": getattr(row, name) for name in names} for row in due]
    )


def _find_old_months(conn: Connection, position: Position, before: datetime, limit: int) -> Page:
    """PostgreSQL: the messages of a partition in which all is over and old, then the partition itself.

    The position is (partition, id); the partition is due by its name when no message is left to look at.
    """
    names = [part.name for part in partitions.old_partitions_txn(conn, before)]
    if position and position[0] in names and position[1] is not None:
        name, after = position
    else:
        done = "" if not position else position[0]
        ready = [name for name in names if name > done and partitions.is_over_txn(conn, name, before)]
        if not ready:
            return Page()
        name, after = ready[0], -1
    table = sa.table(name, *[sa.column(column.name, column.type) for column in _KEYS])
    rows = conn.execute(sa.select(table).where(table.c.id > after).order_by(table.c.id).limit(limit)).all()
    return Page(rows, (name, rows[-1].id), ()) if rows else Page([name], (name, None), ())


def _purge_months(conn: Connection, due: Sequence[Any], before: datetime, replace: Replace) -> int:
    if isinstance(due[0], str):
        partitions.drop_txn(conn, due[0], before)
        return 0
    _purge_beside(conn, due)
    return len(due)


# -- queries, ledger, reconciliation -------------------------------------------------------------------------------------


_queries = (
    sa.select(mo.c.id, mo.c.source_addr, mo.c.text, mo.c.received_at, mo.c.state)
    .add_columns(charge.c.state.label("charge_state"), mo_forward.c.state.label("forward_state"))
    .select_from(mo.outerjoin(charge, charge.c.mo_id == mo.c.id).outerjoin(mo_forward, mo_forward.c.mo_id == mo.c.id))
)


def _judge_query(row: Row[Any], before: datetime) -> str:
    if row.received_at >= before:
        return _YOUNG
    is_open = row.state == MoState.RECEIVED.value or row.charge_state in _CHARGE_OPEN or row.forward_state == "pending"
    return _LATER if is_open else _DUE


def _judge_query_text(row: Row[Any], before: datetime) -> str:
    verdict = _judge_query(row, before)
    return _DONE if verdict == _DUE and not row.text and is_replaced(row.source_addr) else verdict


def _anonymise_queries(conn: Connection, due: Sequence[Row[Any]], before: datetime, replace: Replace) -> int:
    statement = (
        sa.update(mo)
        .where(mo.c.id == sa.bindparam("number"))
        # The key against repetitions holds the number, and no SMSC repeats a query after months.
        .values(text="", octets=b"", source_addr=sa.bindparam("address"), dedupe_key=sa.bindparam("key"))
    )
    rows = [{"number": row.id, "address": replace(row.source_addr), "key": f"anonymised:{row.id}"} for row in due]
    conn.execute(statement, rows)
    return len(due)


def _purge_queries(conn: Connection, due: Sequence[Row[Any]], before: datetime, replace: Replace) -> int:
    ids = [row.id for row in due]
    for table in (charge_journal, charge, mo_forward):
        conn.execute(sa.delete(table).where(table.c.mo_id.in_(ids)))
    conn.execute(sa.delete(mo).where(mo.c.id.in_(ids)))
    return len(due)


def _judge_difference(row: Row[Any], before: datetime) -> str:
    if row.at >= before:
        return _LATER  # ids follow the runs, not the times of their queries
    return _DONE if not row.text and is_replaced(row.number) else _DUE


def _anonymise_differences(conn: Connection, due: Sequence[Row[Any]], before: datetime, replace: Replace) -> int:
    statement = (
        sa.update(reconcile_item)
        .where(reconcile_item.c.id == sa.bindparam("row"))
        .values(text="", number=sa.bindparam("address"))
    )
    conn.execute(statement, [{"row": row.id, "address": replace(row.number)} for row in due])
    return len(due)


def _judge_operator_row(row: Row[Any], before: datetime) -> str:
    return _DUE if (row.last_at or row.touched_at) < before else _LATER


def _purge_operator_rows(conn: Connection, due: Sequence[Row[Any]], before: datetime, replace: Replace) -> int:
    same = (operator_row.c.file_id == sa.bindparam("file"), operator_row.c.line == sa.bindparam("number"))
    conn.execute(sa.delete(operator_row).where(*same), [{"file": row.file_id, "number": row.line} for row in due])
    return len(due)


# -- dossiers ------------------------------------------------------------------------------------------------------------


_dossiers = sa.select(dossier.c.source, dossier.c.receipt_code, dossier.c.state, dossier.c.seen_at, dossier.c.phone_raw)
_DOSSIER_KEY = (dossier.c.source, dossier.c.receipt_code)


def _judge_dossier_number(row: Row[Any], before: datetime) -> str:
    # The apology goes by what is stored here, so a dossier keeps its number until it has ended.
    return _DUE if row.state in _DOSSIER_ENDED and row.seen_at < before and row.phone_raw else _LATER


def _anonymise_dossiers(conn: Connection, due: Sequence[Row[Any]], before: datetime, replace: Replace) -> int:
    rows = _locked(conn, due, before)
    if rows:
        conn.execute(sa.update(dossier).where(*_same(dossier)).values(phone_raw="", phone_recorded_at=None), rows)
    return len(rows)


def _locked(conn: Connection, due: Sequence[Row[Any]], before: datetime) -> list[dict[str, Any]]:
    """Those that no poller has changed since, and changes until the transaction ends."""
    wanted = sa.tuple_(*_DOSSIER_KEY).in_([(row.source, row.receipt_code) for row in due])
    query = sa.select(*_DOSSIER_KEY).where(wanted, dossier.c.seen_at < before).order_by(*_DOSSIER_KEY)
    return [{"source_": source, "code": code} for source, code in conn.execute(query.with_for_update())]


def _same(table: sa.Table) -> tuple[sa.ColumnElement[bool], ...]:
    return table.c.source == sa.bindparam("source_"), table.c.receipt_code == sa.bindparam("code")


def _judge_old_dossier(row: Row[Any], before: datetime) -> str:
    return _DUE if row.state in _FORGETTABLE and row.seen_at < before else _LATER


def _find_old_dossiers(conn: Connection, position: Position, before: datetime, limit: int) -> Page:
    found = _walk(_dossiers, _DOSSIER_KEY, _judge_old_dossier, ages_with_key=False)(conn, position, before, limit)
    if not found.due:
        return found
    # One whose messages are still there waits for them: their keys go with the one of the two that goes last.
    by_source: dict[str, list[str]] = {}
    for row in found.due:
        by_source.setdefault(row.source, []).append(row.receipt_code)
    written = set()
    for source, codes in by_source.items():
        query = (
            sa.select(message_key.c.receipt_code)
            .join(message, message.c.id == message_key.c.message_id)
            .where(message_key.c.source == source, message_key.c.receipt_code.in_(codes))
        )
        written |= {(source, code) for (code,) in conn.execute(query)}
    due = [row for row in found.due if (row.source, row.receipt_code) not in written]
    return Page(due, found.position, found.left)


def _purge_dossiers(conn: Connection, due: Sequence[Row[Any]], before: datetime, replace: Replace) -> int:
    rows = _locked(conn, due, before)
    if rows:
        for table in (dossier, message_key, bad_row, supplement_violation):
            conn.execute(sa.delete(table).where(*_same(table)), rows)
    return len(rows)


_conflicts = sa.select(state_conflict.c.id, state_conflict.c.at)


def _judge_by_time(row: Row[Any], before: datetime) -> str:
    return _DUE if row.at < before else _YOUNG


def _purge_conflicts(conn: Connection, due: Sequence[Row[Any]], before: datetime, replace: Replace) -> int:
    conn.execute(sa.delete(state_conflict).where(state_conflict.c.id.in_([row.id for row in due])))
    return len(due)


def _judge_ported(row: Row[Any], before: datetime) -> str:
    return _DUE if row.learned_at < before else _LATER


def _purge_ported(conn: Connection, due: Sequence[Row[Any]], before: datetime, replace: Replace) -> int:
    conn.execute(sa.delete(portability).where(portability.c.number.in_([row.number for row in due])))
    return len(due)


_message_texts = sa.select(
    message.c.id, message.c.state, message.c.created_at, message.c.text, message.c.destination_addr
)
_differences = sa.select(reconcile_item.c.id, reconcile_item.c.at, reconcile_item.c.number, reconcile_item.c.text)
_operator_rows = sa.select(
    operator_row.c.file_id, operator_row.c.line, operator_file.c.last_at, operator_file.c.touched_at
).join(operator_file, operator_file.c.id == operator_row.c.file_id)

STEPS = (
    Step(
        "anonymise_messages",
        "messages that have ended: number and text",
        _days("anonymise_days"),
        _walk(_message_texts, (message.c.id,), _judge_message_text, ages_with_key=True),
        _anonymise_messages,
    ),
    Step(
        "anonymise_dossiers",
        "dossiers that have ended: number",
        _days("anonymise_days"),
        _walk(_dossiers, _DOSSIER_KEY, _judge_dossier_number, ages_with_key=False),
        _anonymise_dossiers,
    ),
    Step(
        "anonymise_queries",
        "queries that are settled: number and text",
        _days("query_anonymise_days"),
        _walk(_queries, (mo.c.id,), _judge_query_text, ages_with_key=True),
        _anonymise_queries,
    ),
    Step(
        "anonymise_differences",
        "differences of reconciliations: number and text",
        _days("query_anonymise_days"),
        _walk(_differences, (reconcile_item.c.id,), _judge_difference, ages_with_key=True),
        _anonymise_differences,
    ),
    Step(
        "purge_operator_rows",
        "rows of operators' files",
        _days("query_anonymise_days"),
        _walk(_operator_rows, (operator_row.c.file_id, operator_row.c.line), _judge_operator_row, ages_with_key=False),
        _purge_operator_rows,
    ),
    Step(
        "purge_months",
        "months of messages, as a whole (PostgreSQL)",
        _days("message_days"),
        _find_old_months,
        _purge_months,
    ),
    Step(
        "purge_messages",
        "messages that have ended, one by one",
        _days("message_days"),
        _find_old_messages,
        _purge_messages,
    ),
    Step("purge_dossiers", "dossiers that are over", _days("dossier_days"), _find_old_dossiers, _purge_dossiers),
    Step(
        "purge_conflicts",
        "state conflicts",
        _days("dossier_days"),
        _walk(_conflicts, (state_conflict.c.id,), _judge_by_time, ages_with_key=True),
        _purge_conflicts,
    ),
    Step(
        "purge_queries",
        "queries with their ledger rows",
        _days("ledger_days"),
        _walk(_queries, (mo.c.id,), _judge_query, ages_with_key=True),
        _purge_queries,
    ),
    Step(
        "purge_ported",
        "what is known of ported numbers",
        _days("ported_days"),
        _walk(sa.select(portability), (portability.c.number,), _judge_ported, ages_with_key=False),
        _purge_ported,
    ),
)
