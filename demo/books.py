"""A read-only look into the gateway's own store: what it says became of everything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from gateway.db import make_engine
from gateway.model import ChargeState, MessageKind, MessageState, PartState
from gateway.store.schema import charge, dossier, job_run, message, message_part, mo, source_cursor, state_conflict

#: The gateway still has something to do with these.
UNFINISHED = (
    MessageState.HELD,
    MessageState.QUEUED,
    MessageState.SENDING,
    MessageState.UNKNOWN,
    MessageState.ACCEPTED,
)


@dataclass(frozen=True, slots=True)
class BookedMessage:
    """One row of the outbox."""

    id: int
    source: str
    code: str
    kind: MessageKind
    state: MessageState
    reason: str
    agency_name: str
    text: str
    parts: int
    source_addr: str
    destination_addr: str
    possible_duplicate: bool
    accepted: bool
    left: bool  # at least one part went over a link
    mo_id: int | None


@dataclass(frozen=True, slots=True)
class BookedQuery:
    """One query with its ledger row."""

    id: int
    source_addr: str
    text: str
    result: str
    reply_kind: str
    found_in: str
    charge_state: ChargeState
    amount_vnd: int
    smsc_message_id: str


@dataclass(slots=True)
class AgencyTotals:
    """What was due of one agency, and what became of it."""

    due: int = 0
    sent: int = 0
    accepted: int = 0
    delivered: int = 0
    undelivered: int = 0
    cancelled: int = 0
    rejected: Counter[str] = field(default_factory=Counter)


class Books:
    """Opens the store; every call reads it as it is at that moment."""

    def __init__(self, path: Path) -> None:
        self._engine = make_engine(f"sqlite:///{path}", readers=1, read_only=True)

    def close(self) -> None:
        self._engine.dispose()

    def sources_read(self) -> int:
        """Sources whose first poll has succeeded."""
        query = sa.select(sa.func.count()).where(source_cursor.c.last_success_at.is_not(None))
        return self._number(query)

    def dossier_states(self) -> dict[tuple[str, str], str]:
        """(source, code): the state that the poller saw last."""
        columns = (dossier.c.source, dossier.c.receipt_code, dossier.c.state)
        with self._engine.connect() as connection:
            return {(source, code): state for source, code, state in connection.execute(sa.select(*columns))}

    def message_states(self, kinds: tuple[MessageKind, ...] = tuple(MessageKind)) -> Counter[MessageState]:
        query = sa.select(message.c.state, sa.func.count()).where(message.c.kind.in_(kinds)).group_by(message.c.state)
        with self._engine.connect() as connection:
            return Counter({MessageState(state): number for state, number in connection.execute(query)})

    def unfinished(self) -> int:
        """Messages that are not final yet."""
        states = self.message_states()
        return sum(states[state] for state in UNFINISHED)

    def open_queries(self) -> int:
        """Queries without a reply, or whose charge has no outcome yet."""
        query = (
            sa.select(sa.func.count())
            .select_from(mo.join(charge, charge.c.mo_id == mo.c.id))
            .where(
                (mo.c.state == "received")
                | charge.c.state.in_([ChargeState.PENDING, ChargeState.DECIDED, ChargeState.SENT])
            )
        )
        return self._number(query)

    def query_count(self) -> int:
        return self._number(sa.select(sa.func.count()).select_from(mo))

    def apology_runs(self) -> list[str]:
        """States of the apology job's runs."""
        with self._engine.connect() as connection:
            return list(connection.execute(sa.select(job_run.c.state).where(job_run.c.job.like("%apolog%"))).scalars())

    def messages(self) -> list[BookedMessage]:
        """The whole outbox."""
        went = message_part.c.state != PartState.PENDING
        submitted = sa.select(message_part.c.message_id).where(went).distinct().subquery()
        query = (
            sa.select(message, submitted.c.message_id.label("submitted"))
            .select_from(message.outerjoin(submitted, submitted.c.message_id == message.c.id))
            .order_by(message.c.id)
        )
        with self._engine.connect() as connection:
            return [_message(row) for row in connection.execute(query).mappings()]

    def queries(self) -> list[BookedQuery]:
        """Every query, with its charge."""
        query = (
            sa.select(mo, charge.c.state.label("charge_state"), charge.c.amount_vnd)
            .select_from(mo.outerjoin(charge, charge.c.mo_id == mo.c.id))
            .order_by(mo.c.id)
        )
        with self._engine.connect() as connection:
            return [_query(row) for row in connection.execute(query).mappings()]

    def conflicts(self) -> Counter[str]:
        """State conflicts by what they are."""
        query = sa.select(state_conflict.c.what, sa.func.count()).group_by(state_conflict.c.what)
        with self._engine.connect() as connection:
            return Counter(dict(connection.execute(query).tuples().all()))

    def _number(self, query: sa.Select[Any]) -> int:
        with self._engine.connect() as connection:
            return int(connection.execute(query).scalar_one())


def totals_by_agency(messages: list[BookedMessage]) -> dict[str, AgencyTotals]:
    """Notices of each agency, counted."""
    totals: dict[str, AgencyTotals] = {}
    for each in messages:
        if each.kind is MessageKind.MO_REPLY:
            continue
        agency = totals.setdefault(each.agency_name, AgencyTotals())
        if each.state is MessageState.CANCELLED:
            agency.cancelled += 1
            continue
        agency.due += 1
        agency.sent += each.left
        agency.accepted += each.accepted
        agency.delivered += each.state is MessageState.DELIVERED
        agency.undelivered += each.state is MessageState.UNDELIVERED
        if each.state is MessageState.REJECTED:
            agency.rejected[each.reason.removeprefix("phone:")] += 1
    return totals


def _message(row: Mapping[Any, Any]) -> BookedMessage:
    mo_id = row["mo_id"]
    return BookedMessage(
        id=int(str(row["id"])),
        source=str(row["source"]),
        code=str(row["receipt_code"]),
        kind=MessageKind(str(row["kind"])),
        state=MessageState(str(row["state"])),
        reason=str(row["reason"]),
        agency_name=str(row["agency_name"]),
        text=str(row["text"]),
        parts=int(str(row["parts"])),
        source_addr=str(row["source_addr"]),
        destination_addr=str(row["destination_addr"]),
        possible_duplicate=bool(row["possible_duplicate"]),
        accepted=row["accepted_at"] is not None,
        left=row["submitted"] is not None,
        mo_id=None if mo_id is None else int(str(mo_id)),
    )


def _query(row: Mapping[Any, Any]) -> BookedQuery:
    return BookedQuery(
        id=int(str(row["id"])),
        source_addr=str(row["source_addr"]),
        text=str(row["text"]),
        result=str(row["result"] or ""),
        reply_kind=str(row["reply_kind"] or ""),
        found_in=str(row["found_in"] or ""),
        charge_state=ChargeState(str(row["charge_state"] or "pending")),
        amount_vnd=int(str(row["amount_vnd"] or 0)),
        smsc_message_id=str(row["smsc_message_id"]),
    )
