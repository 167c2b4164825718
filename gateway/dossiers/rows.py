"""From a row of the contract view to a dossier, or to a bad row with its reason. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from gateway.dossiers import contract
from gateway.dossiers.statuses import StatusMap
from gateway.dossiers.values import BadValue, to_bool, to_code, to_date, to_datetime, to_text
from gateway.model import Dossier
from gateway.settings import SourceSettings
from gateway.store.decisions import BadRow, SourceRow

#: Reasons of bad rows; the column that is at fault stands in the detail.
BAD_VALUE = "bad_value"
UNMAPPED_STATUS = "unmapped_status"
NO_UPDATED_AT = "no_updated_at"
DUPLICATE_CODE = "duplicate_code"


@dataclass(frozen=True, slots=True)
class RowReader:
    """Reads the rows of one source. ``read`` takes contract column → raw value."""

    source: str
    zone: ZoneInfo
    statuses: StatusMap
    needs_updated_at: bool  # the view is read by updated_at, so that a row without it would be missed later

    @classmethod
    def of(cls, source: str, settings: SourceSettings, *, needs_updated_at: bool) -> RowReader:
        statuses = StatusMap(settings.status_profiles, settings.statuses, settings.result_steps)
        return cls(source, ZoneInfo(settings.time_zone), statuses, needs_updated_at)

    def read(self, row: Mapping[Any, object]) -> SourceRow | BadRow:
        """One row. Never raises for what the row holds."""
        dossier = self.dossier(row)
        return dossier if isinstance(dossier, BadRow) else SourceRow(dossier, row_hash(dossier))

    def dossier(self, row: Mapping[Any, object]) -> Dossier | BadRow:
        """As :meth:`read`, without the digest by which changes are found."""
        try:
            code = to_code("receipt_code", row["receipt_code"])
        except BadValue as error:
            return BadRow(_best_code(row["receipt_code"]), BAD_VALUE, str(error))
        try:
            return self._dossier(code, row)
        except BadValue as error:
            return BadRow(code, BAD_VALUE, str(error))

    def _dossier(self, code: str, row: Mapping[Any, object]) -> Dossier | BadRow:
        def text(name: str) -> str:
            return to_text(name, row.get(name))

        def moment(name: str, *, end_of_day: bool = False) -> datetime | None:
            return to_datetime(name, row.get(name), self.zone, end_of_day=end_of_day)

        status, step = text("status"), text("step_name")
        state, contradiction = self.statuses.state(status, step)
        if state is None:
            return BadRow(code, UNMAPPED_STATUS, status)
        updated_at = moment("updated_at")
        if updated_at is None and self.needs_updated_at:
            return BadRow(code, NO_UPDATED_AT, "the row would be missed when it changes")
        return Dossier(
            source=self.source,
            receipt_code=code,
            agency_code=text("agency_code"),
            agency_name=text("agency_name"),
            state=state,
            status_raw=status,
            step_name=step,
            at_one_stop_shop=to_bool("at_one_stop_shop", row.get("at_one_stop_shop")),
            clock_stopped=to_bool("clock_stopped", row.get("clock_stopped")),
            updated_at=updated_at,
            procedure_code=text("procedure_code"),
            procedure_name=text("procedure_name"),
            phone_raw=text("phone"),
            phone_recorded_at=to_date("phone_recorded_at", row.get("phone_recorded_at"), self.zone),
            received_at=moment("received_at"),
            due_at=moment("due_at", end_of_day=True),
            finished_at=moment("finished_at"),
            return_by_post=to_bool("return_by_post", row.get("return_by_post")),
            extra=tuple((name, value) for name in contract.EXTRA if (value := text(name))),
            contradiction=contradiction,
        )


def row_hash(dossier: Dossier) -> str:
    """A digest of everything that the gateway keeps of a row, but for ``updated_at``: a touched row has not changed."""
    fields = (
        dossier.agency_code,
        dossier.agency_name,
        dossier.state.value,
        dossier.status_raw,
        dossier.step_name,
        "1" if dossier.at_one_stop_shop else "0",
        "1" if dossier.clock_stopped else "0",
        dossier.procedure_code,
        dossier.procedure_name,
        dossier.phone_raw,
        str(dossier.phone_recorded_at),
        str(dossier.received_at),
        str(dossier.due_at),
        str(dossier.finished_at),
        "1" if dossier.return_by_post else "0",
        *(f"{name}={value}" for name, value in dossier.extra),
    )
    return hashlib.blake2b("\x1f".join(fields).encode(), digest_size=16).hexdigest()


def _best_code(value: object) -> str:
    """Something by which an official finds a row whose code cannot be read."""
    return str(value)[:80] if value is not None else ""
