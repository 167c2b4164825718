"""The table ``dossier``, row by row: from a decision to its columns and back."""

from __future__ import annotations

import json
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Row

from gateway.clock import VIETNAM
from gateway.model import Dossier, DossierState
from gateway.store.decisions import Decision, SourceRow, StoredDossier, SupplementRequest
from gateway.store.schema import dossier


def due_on(due_at: datetime | None) -> date | None:
    """The calendar day in Vietnam: what the apology asks by."""
    return due_at.astimezone(VIETNAM).date() if due_at else None


def to_row(row: SourceRow, decision: Decision, now: datetime) -> dict[str, Any]:
    new = row.dossier
    return {
        "source": new.source,
        "receipt_code": new.receipt_code,
        "agency_code": new.agency_code,
        "agency_name": new.agency_name,
        "procedure_code": new.procedure_code,
        "procedure_name": new.procedure_name,
        "state": new.state.value,
        "status_raw": new.status_raw,
        "step_name": new.step_name,
        "at_one_stop_shop": new.at_one_stop_shop,
        "clock_stopped": new.clock_stopped,
        "return_by_post": new.return_by_post,
        "phone_raw": new.phone_raw,
        "phone_recorded_at": new.phone_recorded_at,
        "received_at": new.received_at,
        "due_at": new.due_at,
        "due_on": due_on(new.due_at),
        "finished_at": new.finished_at,
        "updated_at": new.updated_at,
        "extra": json.dumps(dict(new.extra), ensure_ascii=False) if new.extra else "",
        "row_hash": row.row_hash,
        "seen_at": now,
        "state_since": decision.state_since,
        "result_entries": decision.result_entries,
        "supplement_entries": decision.supplement_entries,
        "result_left_at": decision.result_left_at,
        "supplement_left_at": decision.supplement_left_at,
        "requests": requests_text(decision.requests),
    }


def requests_text(requests: tuple[SupplementRequest, ...]) -> str:
    """Supplement requests as they are stored."""
    if not requests:
        return ""
    return json.dumps(
        [[item.number, item.reason, item.components, item.signed, item.violations] for item in requests],
        ensure_ascii=False,
    )


def requests_of(text: str) -> tuple[SupplementRequest, ...]:
    """The same back."""
    return tuple(
        SupplementRequest(number, reason, tuple(components), signed, tuple(violations))
        for number, reason, components, signed, violations in json.loads(text)
    )


_KEY = ("source", "receipt_code")
#: For ``executemany``: values under ``b_`` + column name.
UPDATE = (
    sa.update(dossier)
    .where(dossier.c.source == sa.bindparam("b_source"), dossier.c.receipt_code == sa.bindparam("b_receipt_code"))
    .values(
        {
            column.name: sa.bindparam(f"b_{column.name}")
            for column in dossier.c
            if column.name not in (*_KEY, "first_seen_at")
        }
    )
)


def from_row(row: Row[Any]) -> StoredDossier:
    return StoredDossier(
        dossier=Dossier(
            source=row.source,
            receipt_code=row.receipt_code,
            agency_code=row.agency_code,
            agency_name=row.agency_name,
            state=DossierState(row.state),
            status_raw=row.status_raw,
            step_name=row.step_name,
            at_one_stop_shop=row.at_one_stop_shop,
            clock_stopped=row.clock_stopped,
            updated_at=row.updated_at,
            procedure_code=row.procedure_code,
            procedure_name=row.procedure_name,
            phone_raw=row.phone_raw,
            phone_recorded_at=row.phone_recorded_at,
            received_at=row.received_at,
            due_at=row.due_at,
            finished_at=row.finished_at,
            return_by_post=row.return_by_post,
            extra=tuple(json.loads(row.extra).items()) if row.extra else (),
        ),
        row_hash=row.row_hash,
        due_on=row.due_on,
        seen_at=row.seen_at,
        state_since=row.state_since,
        result_entries=row.result_entries,
        supplement_entries=row.supplement_entries,
        result_left_at=row.result_left_at,
        supplement_left_at=row.supplement_left_at,
        requests=requests_of(row.requests) if row.requests else (),
    )
