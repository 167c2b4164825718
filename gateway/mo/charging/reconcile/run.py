"""A period of the ledger against an operator's lines: two sorted streams, merged; what does not agree is kept.

A query at the edge of a period may lie on its other side by the operator's clock. So both streams are read wider by the
tolerance: a pair counts in the period of our time, and what has no partner counts only when it lies inside by its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy.engine import Engine

from gateway.clock import VIETNAM
from gateway.errors import GatewayError
from gateway.mo.charging.reconcile.layout import plain_text
from gateway.mo.charging.reconcile.matching import Ours, Pair, Theirs, match
from gateway.mo.services import Services
from gateway.model import ChargeState
from gateway.store.ledger import can_move, charge_txn, move_txn
from gateway.store.reconciliation import (
    Item,
    KindTotal,
    OperatorFile,
    add_items_txn,
    begin_run_txn,
    count_txn,
    drop_items_txn,
    files_txn,
    finish_run_txn,
    items_by_id_txn,
    our_rows,
    same_id_pairs_txn,
    their_rows,
)

_ITEMS_CHUNK = 2000
_REPORT_EVERY = 10_000
#: The operator tells the outcome of these; ours is none yet.
_OPEN = frozenset({ChargeState.PENDING, ChargeState.DECIDED, ChargeState.SENT, ChargeState.UNKNOWN})
_FREE = frozenset({ChargeState.NOT_CHARGED, ChargeState.REFUNDED, ChargeState.INSUFFICIENT_BALANCE})

#: Told how many rows of both sides are done, and how many there are.
Progress = Callable[[int, int], None]


class Kind(StrEnum):
    """How a query stands between the two."""

    MATCHED = "matched"
    ONLY_OURS = "only_ours"
    ONLY_THEIRS = "only_theirs"
    DIFFERENT_AMOUNT = "different_amount"
    DIFFERENT_OUTCOME = "different_outcome"


class Reconciler:
    """Compares one operator's files with the ledger."""

    def __init__(self, engine: Engine, route: str, services: Services, tolerance_s: float, now: datetime) -> None:
        self._engine = engine
        self._route = route
        self._services = services
        self._tolerance_s = tolerance_s
        self._now = now
        self._totals = {kind: [0, 0, 0] for kind in Kind}
        self._items: list[Item] = []
        self._run_id = 0
        self._since = self._until = 0.0
        self._lists: dict[int, str] = {}
        self._expected = _FREE | _OPEN | {ChargeState.CHARGED}

    def run(
        self, since: datetime | None, until: datetime | None, progress: Progress = lambda done, all_rows: None
    ) -> int:
        """Compare a period, by default the days that the files cover; returns the run's number. Blocks.

        Raises:
            GatewayError: there is no file to compare with.
        """
        with self._engine.connect() as conn:
            files = files_txn(conn, self._route)
        since, until = period(files, since, until, self._route)
        self._choose(files)
        self._since, self._until = since.timestamp(), until.timestamp()
        with self._writing() as conn:
            self._run_id = begin_run_txn(conn, self._route, since, until, self._tolerance_s, self._now)
        wider = timedelta(seconds=self._tolerance_s)
        ids = [file.id for file in files]
        with self._engine.connect() as one, self._engine.connect() as other:
            all_rows = count_txn(one, self._route, ids, since - wider, until + wider)
            ours = self._ours(our_rows(one, self._route, since - wider, until + wider))
            theirs = map(_theirs, their_rows(other, ids, since - wider, until + wider))
            for done, pair in enumerate(self._counted(match(ours, theirs, self._tolerance_s), progress, all_rows)):
                self._judge(pair)
                if done % _REPORT_EVERY == 0 and len(self._items) >= _ITEMS_CHUNK:
                    self._flush()
        self._flush()
        self._pair_by_id()
        totals = [KindTotal(kind.value, *values) for kind, values in self._totals.items()]
        with self._writing() as conn:
            finish_run_txn(conn, self._run_id, totals, self._now)
        return self._run_id

    def _choose(self, files: Sequence[OperatorFile]) -> None:
        """What the files would hold of ours: where all of them list only refunds, nothing else is missed in them."""
        lists = {file.lists for file in files}
        if lists == {"refunds"}:
            self._expected = frozenset({ChargeState.REFUNDED})
        elif lists == {"charges"}:
            self._expected = frozenset({ChargeState.CHARGED})

    def _ours(self, rows: Iterable[Any]) -> Iterator[Ours]:
        shortcodes: dict[str, str] = {}
        expected = {state.value for state in self._expected}
        for number, received_at, mo_id, state, amount_vnd, smsc_id, text, destination, replied in rows:
            shortcode = shortcodes.get(destination)
            if shortcode is None:
                shortcode = shortcodes[destination] = self._services.shortcode(destination)
            yield Ours(
                number,
                received_at.timestamp(),
                mo_id,
                state,
                amount_vnd,
                smsc_id,
                plain_text(text),
                shortcode,
                bool(replied) and state in expected,
            )

    def _counted(self, pairs: Iterable[Pair], progress: Progress, all_rows: int) -> Iterator[Pair]:
        done = told = 0
        for pair in pairs:
            done += 2 if pair[0] is not None and pair[1] is not None else 1
            if done - told >= _REPORT_EVERY:
                told = done
                progress(done, all_rows)
            yield pair
        progress(all_rows, all_rows)

    def _judge(self, pair: Pair) -> None:
        own, line = pair
        at = own.at if own is not None else line.at if line is not None else 0.0
        if not self._since <= at < self._until:
            return
        kind = _kind(own, line)
        if kind is Kind.ONLY_OURS and own is not None and not own.expected:
            return
        totals = self._totals[kind]
        totals[0] += 1
        if own is not None and own.state == ChargeState.CHARGED.value:
            totals[1] += own.amount_vnd
        if line is not None and line.outcome == ChargeState.CHARGED.value:
            totals[2] += line.amount_vnd
        if kind is not Kind.MATCHED:
            self._items.append(_item(kind, own, line, at))

    def _flush(self) -> None:
        for start in range(0, len(self._items), _ITEMS_CHUNK):
            with self._writing() as conn:
                add_items_txn(conn, self._run_id, self._items[start : start + _ITEMS_CHUNK])
        self._items.clear()

    def _pair_by_id(self) -> None:
        """Ids that agree although the numbers do not (written another way, or hidden)."""
        with self._writing() as conn:
            found = same_id_pairs_txn(conn, self._run_id)
            used: set[int] = set()
            for ours_id, theirs_id in found:
                if ours_id in used or theirs_id in used:
                    continue
                used |= {ours_id, theirs_id}
                both = items_by_id_txn(conn, [ours_id, theirs_id])
                own, line = both[ours_id], both[theirs_id]
                self._take_back(own, line)
                joined = replace(
                    own, file_id=line.file_id, line=line.line, theirs=line.theirs, theirs_vnd=line.theirs_vnd
                )
                kind = _kind_of(own.ours or "", line.theirs or "", own.ours_vnd or 0, line.theirs_vnd or 0)
                totals = self._totals[kind]
                totals[0] += 1
                totals[1] += (own.ours_vnd or 0) if own.ours == ChargeState.CHARGED.value else 0
                totals[2] += (line.theirs_vnd or 0) if line.theirs == ChargeState.CHARGED.value else 0
                drop_items_txn(conn, [ours_id, theirs_id])
                if kind is not Kind.MATCHED:
                    add_items_txn(conn, self._run_id, [replace(joined, kind=kind.value)])

    def _take_back(self, own: Item, line: Item) -> None:
        ours, theirs = self._totals[Kind.ONLY_OURS], self._totals[Kind.ONLY_THEIRS]
        ours[0] -= 1
        ours[1] -= (own.ours_vnd or 0) if own.ours == ChargeState.CHARGED.value else 0
        theirs[0] -= 1
        theirs[2] -= (line.theirs_vnd or 0) if line.theirs == ChargeState.CHARGED.value else 0

    def _writing(self) -> Any:
        return self._engine.execution_options(motcua_write=True).begin()


def settle(engine: Engine, found: Iterable[Item], now: datetime) -> int:
    """Write the operator's outcome into ledger rows that have none yet (unknown, sent). Returns how many."""
    settled = 0
    for item in found:
        if item.mo_id is None or item.theirs is None or item.ours not in (ChargeState.UNKNOWN, ChargeState.SENT):
            continue
        with engine.execution_options(motcua_write=True).begin() as conn:
            row = charge_txn(conn, item.mo_id, for_update=True)
            if row is None or row.state.value != item.ours or not can_move(row.state, ChargeState(item.theirs)):
                continue
            reason = f"reconciliation: file {item.file_id} line {item.line}"
            move_txn(conn, item.mo_id, ChargeState(item.theirs), now, reason=reason, from_state=row.state)
            settled += 1
    return settled


def period(
    files: Sequence[OperatorFile], since: datetime | None, until: datetime | None, route: str
) -> tuple[datetime, datetime]:
    """The days in Vietnam that the files cover, where none are given.

    Raises:
        GatewayError: there is no file, or it has no lines.
    """
    firsts = [file.first_at for file in files if file.first_at is not None]
    lasts = [file.last_at for file in files if file.last_at is not None]
    if not firsts or not lasts:
        raise GatewayError(
            f"no file of {route} with any line was imported. Run 'motcua-gateway reconcile import' first"
        )
    if since is None:
        since = _midnight(min(firsts))
    if until is None:
        until = _midnight(max(lasts)) + timedelta(days=1)
    return since.astimezone(UTC), until.astimezone(UTC)


def _midnight(at: datetime) -> datetime:
    return datetime.combine(at.astimezone(VIETNAM).date(), time(0), VIETNAM)


def _theirs(row: Any) -> Theirs:
    number, received_at, file_id, line, outcome, amount_vnd, smsc_id, text, shortcode = row
    return Theirs(number, received_at.timestamp(), file_id, line, outcome, amount_vnd, smsc_id, text, shortcode)


def _kind(own: Ours | None, line: Theirs | None) -> Kind:
    if own is None:
        return Kind.ONLY_THEIRS
    if line is None:
        return Kind.ONLY_OURS
    return _kind_of(own.state, line.outcome, own.amount_vnd, line.amount_vnd)


def _kind_of(state: str, outcome: str, ours_vnd: int, theirs_vnd: int) -> Kind:
    """Who paid is compared, not the words: not charged, refunded and no balance are the same money."""
    charged = ChargeState.CHARGED.value
    agree = state == charged if outcome == charged else ChargeState(state) in _FREE
    if not agree:
        return Kind.DIFFERENT_OUTCOME
    return Kind.MATCHED if ours_vnd == theirs_vnd else Kind.DIFFERENT_AMOUNT


def _item(kind: Kind, own: Ours | None, line: Theirs | None, at: float) -> Item:
    of_number = own.number if own is not None else line.number if line is not None else ""
    text = own.text if own is not None else line.text if line is not None else ""
    smsc_id = own.smsc_message_id if own is not None else line.smsc_message_id if line is not None else ""
    return Item(
        kind=kind.value,
        number=of_number,
        at=datetime.fromtimestamp(at, UTC),
        text=text[:100],
        smsc_message_id=smsc_id,
        mo_id=None if own is None else own.mo_id,
        ours=None if own is None else own.state,
        ours_vnd=None if own is None else own.amount_vnd,
        file_id=None if line is None else line.file_id,
        line=None if line is None else line.line,
        theirs=None if line is None else line.outcome,
        theirs_vnd=None if line is None else line.amount_vnd,
    )
