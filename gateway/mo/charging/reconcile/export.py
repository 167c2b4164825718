"""Our own file in an operator's format: what the province sends to the operator, or keeps beside its bill.

It is written under a temporary name in the same folder, and renamed when it is whole: a reader never finds half a file.
Queries without an outcome are left out and counted: a bill cannot hold them.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TextIO

from sqlalchemy.engine import Engine

from gateway.errors import GatewayError
from gateway.mo.charging.reconcile.layout import Layout, OurEntry
from gateway.mo.services import Services
from gateway.model import ChargeState
from gateway.settings import FileFormat
from gateway.store.reconciliation import ledger_entries

_FREE = {ChargeState.INSUFFICIENT_BALANCE.value: ChargeState.NOT_CHARGED.value}
_SETTLED = frozenset({"charged", "not_charged", "refunded"})
_REPORT_EVERY = 10_000
#: As a new file of the user would have it: the rename must not leave a file that only its owner can read.
_MODE = 0o644


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written."""

    rows: int
    amount_vnd: int  # the prices of the written rows together
    left_out: dict[str, int]  # by state: not in such a file, or without an outcome


def export(
    engine: Engine,
    route: str,
    form: FileFormat,
    services: Services,
    since: datetime,
    until: datetime,
    out: Path,
    progress: Callable[[int], None] = lambda rows: None,
) -> Exported:
    """Write the ledger of a period. Blocks.

    Raises:
        GatewayError: the file cannot be written.
    """
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{out.name}.", suffix=".part", dir=out.parent or Path())
    except OSError as error:
        raise GatewayError(f"{out} cannot be written: {error.strerror}") from error
    try:
        ends = {"\n": "\n", "\r\n": "\r\n"}[form.line_end]
        with os.fdopen(handle, "w", encoding=form.encoding, errors="replace", newline=ends) as stream:
            exported = _write(engine, route, Layout(form), form, services, since, until, stream, progress)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, _MODE)
        os.replace(temporary, out)
    except OSError as error:
        raise GatewayError(f"{out} cannot be written: {error.strerror}") from error
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
    return exported


def _write(
    engine: Engine,
    route: str,
    layout: Layout,
    form: FileFormat,
    services: Services,
    since: datetime,
    until: datetime,
    stream: TextIO,
    progress: Callable[[int], None],
) -> Exported:
    rows = amount_vnd = 0
    left_out: Counter[str] = Counter()
    if form.header:
        stream.write(layout.titles() + "\n")
    with engine.connect() as conn:
        for done, row in enumerate(ledger_entries(conn, route, since, until), 1):
            if done % _REPORT_EVERY == 0:
                progress(done)
            outcome = row.state if row.state in _SETTLED else _FREE.get(row.state, "")
            if not outcome or not (layout.wants(outcome) or (outcome := _same_money(outcome, layout))):
                left_out[row.state] += 1
                continue
            service = services.by_name(row.service)
            stream.write(
                layout.write(
                    OurEntry(
                        number=row.source_addr,
                        shortcode=services.shortcode(row.destination_addr),
                        text=row.text,
                        keyword=service.keyword if service else "",
                        smsc_message_id=row.smsc_message_id,
                        received_at=row.received_at,
                        replied_at=row.replied_at,
                        outcome=outcome,
                        amount_vnd=row.amount_vnd,
                        parts=row.parts,
                    )
                )
                + "\n"
            )
            rows += 1
            amount_vnd += row.amount_vnd
    return Exported(rows, amount_vnd, dict(left_out))


def _same_money(outcome: str, layout: Layout) -> str:
    """A format with charge and refund only has "not charged" among its refunds: flag 0, the citizen pays nothing."""
    return "refunded" if outcome == "not_charged" and layout.wants("refunded") and layout.wants("charged") else ""
