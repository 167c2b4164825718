"""What a run found: for people as a table, for a spreadsheet as CSV, for programs as JSON.

Telephone numbers are masked unless the caller asks for them: an operator needs them to look a case up, a report does not.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from io import StringIO
from typing import Any

from gateway.clock import VIETNAM
from gateway.log import mask_number
from gateway.mo.charging.reconcile.run import Kind
from gateway.store.reconciliation import Item, KindTotal, Run

TITLES = {
    Kind.MATCHED: "matched (khớp)",
    Kind.ONLY_OURS: "only ours (chỉ có ở cổng)",
    Kind.ONLY_THEIRS: "only theirs (chỉ có ở nhà mạng)",
    Kind.DIFFERENT_AMOUNT: "different amount (khác số tiền)",
    Kind.DIFFERENT_OUTCOME: "different outcome (khác kết quả)",
}
_COLUMNS = (
    "kind",
    "received",
    "number",
    "text",
    "smsc_message_id",
    "query",
    "ours",
    "ours_vnd",
    "file",
    "line",
    "theirs",
    "theirs_vnd",
)


@dataclass(frozen=True, slots=True)
class Report:
    """A run and what it counted, with shares in percent."""

    run: Run
    totals: tuple[KindTotal, ...]  # one for each kind, in the order of Kind

    @classmethod
    def of(cls, run: Run, totals: Sequence[KindTotal]) -> Report:
        """Kinds that did not occur count zero."""
        found = {total.kind: total for total in totals}
        return cls(run, tuple(found.get(kind.value, KindTotal(kind.value, 0, 0, 0)) for kind in Kind))

    @property
    def rows(self) -> int:
        """Queries of either side."""
        return sum(total.rows for total in self.totals)

    @property
    def ours_vnd(self) -> int:
        """Money charged by our ledger."""
        return sum(total.ours_vnd for total in self.totals)

    @property
    def theirs_vnd(self) -> int:
        """Money charged by the operator's files."""
        return sum(total.theirs_vnd for total in self.totals)

    def share(self, total: KindTotal) -> float:
        """Percent of all queries; 0 when there are none."""
        return 100 * total.rows / self.rows if self.rows else 0.0

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "run": self.run.id,
            "operator": self.run.route,
            "since": self.run.since.astimezone(VIETNAM).isoformat(),
            "until": self.run.until.astimezone(VIETNAM).isoformat(),
            "tolerance_s": self.run.tolerance_s,
            "rows": self.rows,
            "ours_vnd": self.ours_vnd,
            "theirs_vnd": self.theirs_vnd,
            "difference_vnd": self.ours_vnd - self.theirs_vnd,
            "kinds": {
                total.kind: {
                    "rows": total.rows,
                    "share_percent": round(self.share(total), 4),
                    "ours_vnd": total.ours_vnd,
                    "theirs_vnd": total.theirs_vnd,
                }
                for total in self.totals
            },
        }


def as_table(report: Report, items: Iterable[Item], more: int, *, full: bool) -> Iterator[str]:
    """Lines of text: the counts, and the first cases."""
    run = report.run
    yield f"Reconciliation {run.id} of {run.route}: {_day(run.since)} to {_day(run.until)} (not included)"
    yield f"Tolerance {run.tolerance_s:.0f} s. Sums are VND charged by each side."
    yield ""
    yield f"{'':<34}{'queries':>12}{'share':>10}{'ours':>16}{'theirs':>16}"
    for total in report.totals:
        share = f"{report.share(total):.2f} %"
        title = TITLES[Kind(total.kind)]
        yield f"{title:<34}{total.rows:>12,}{share:>10}{total.ours_vnd:>16,}{total.theirs_vnd:>16,}"
    yield f"{'total':<34}{report.rows:>12,}{'':>10}{report.ours_vnd:>16,}{report.theirs_vnd:>16,}"
    yield f"{'difference (ours - theirs)':<34}{'':>22}{report.ours_vnd - report.theirs_vnd:>16,}"
    first = True
    for item in items:
        if first:
            yield ""
        first = False
        yield _sentence(item, full)
    if more > 0:
        yield f"… and {more:,} more: --format csv lists all"


def as_json(report: Report, items: Iterable[Item], *, full: bool) -> Iterator[str]:
    """One JSON object, written piece by piece: its list of cases may be long."""
    head = json.dumps(report.as_dict(), ensure_ascii=False)
    yield head[:-1] + ', "items": ['
    before = ""
    for item in items:
        yield before + json.dumps(dict(zip(_COLUMNS, _cells(item, full), strict=True)), ensure_ascii=False)
        before = ", "
    yield "]}"


def as_csv(items: Iterable[Item], *, full: bool) -> Iterator[str]:
    """One line for each case, with a line of titles."""
    yield _csv_line(_COLUMNS)
    for item in items:
        yield _csv_line(["" if cell is None else cell for cell in _cells(item, full)])


def _csv_line(cells: Iterable[object]) -> str:
    out = StringIO()
    csv.writer(out, lineterminator="").writerow(cells)
    return out.getvalue()


def _cells(item: Item, full: bool) -> tuple[object, ...]:
    return (
        item.kind,
        _moment(item.at),
        item.number if full else mask_number(item.number),
        item.text,
        item.smsc_message_id,
        item.mo_id,
        item.ours,
        item.ours_vnd,
        item.file_id,
        item.line,
        item.theirs,
        item.theirs_vnd,
    )


def _sentence(item: Item, full: bool) -> str:
    number = item.number if full else mask_number(item.number)
    sides = []
    if item.mo_id is not None:
        sides.append(f"query {item.mo_id}: {item.ours} {item.ours_vnd:,}")
    if item.line is not None:
        sides.append(f"file {item.file_id} line {item.line}: {item.theirs} {item.theirs_vnd:,}")
    return f"{item.kind:<18}{_moment(item.at)}  {number}  {item.text[:40]:<40}  {' | '.join(sides)}"


def _day(at: datetime) -> str:
    local = at.astimezone(VIETNAM)
    return f"{local:%Y-%m-%d}" if (local.hour, local.minute, local.second) == (0, 0, 0) else f"{local:%Y-%m-%d %H:%M}"


def _moment(at: datetime) -> str:
    return f"{at.astimezone(VIETNAM):%Y-%m-%d %H:%M:%S}"
