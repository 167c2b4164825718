"""``motcua-gateway report``: dossiers against notices, telephone numbers, state conflicts, coverage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import click
from sqlalchemy.engine import Connection

from gateway.cli import cli, config_option, load_or_exit
from gateway.cli.numbers import allow_full, full_option, shown
from gateway.cli.tables import FORMATS, Column, write
from gateway.clock import VIETNAM
from gateway.db import make_engine
from gateway.dossiers.quality import Quality, judge_fields
from gateway.errors import StoreError
from gateway.jobs.calendar import at_vietnam_time
from gateway.settings import GatewaySettings
from gateway.store import migrate, reports
from gateway.store.reports import Scope

F = TypeVar("F", bound=Callable[..., Any])

AGENCY, AGENCY_NAME = Column("agency_code", "Mã cơ quan"), Column("agency_name", "Cơ quan")
PROCEDURE, PROCEDURE_NAME = Column("procedure_code", "Mã TTHC"), Column("procedure_name", "Thủ tục")


@cli.group()
def report() -> None:
    """Reports of a period, by agency and procedure. Numbers are masked unless --full."""


def _common(command: F) -> F:
    """The options that all reports share."""
    for option in reversed(
        [
            config_option,
            click.option("--from", "start", required=True, metavar="DATE", help="First day, 2026-03-01."),
            click.option("--to", "end", default=None, metavar="DATE", help="Last day; default: today."),
            click.option("--agency", default=None, help="Only the agency of this code."),
            click.option("--procedure", default=None, help="Only the procedure of this code."),
            click.option("--format", "form", type=click.Choice(FORMATS), default="table", show_default=True),
            click.option(
                "--output", type=click.Path(path_type=Path, dir_okay=False), default=None, help="Default: print."
            ),
        ]
    ):
        command = option(command)
    return command


def _scope(start: str, end: str | None, agency: str | None, procedure: str | None) -> Scope:
    first, last = _day("--from", start), _day("--to", end) if end else datetime.now(VIETNAM).date()
    if last < first:
        raise click.UsageError(f"--to {last} is before --from {first}")
    midnight = datetime.min.time()
    return Scope(
        at_vietnam_time(first, midnight), at_vietnam_time(last + timedelta(days=1), midnight), agency, procedure
    )


def _day(option: str, text: str) -> date:
    for form in ("%Y-%m-%d", "%d/%m/%Y"):
        try:
            return datetime.strptime(text, form).replace(tzinfo=VIETNAM).date()
        except ValueError:
            continue
    raise click.UsageError(f"{option}: '{text}' is no day. Write 2026-03-01 or 01/03/2026")


@contextmanager
def _store(settings: GatewaySettings) -> Iterator[Connection]:
    url = settings.store.url
    if not migrate.is_current(url):
        raise StoreError("the store has no tables of this version. Run 'motcua-gateway db upgrade', or check store.url")
    engine = make_engine(url, readers=1, read_only=True)
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


@report.command("notices")
@_common
@click.option("--kind", default=None, help="Only notices of this kind, such as result_ready.")
@click.option("--by", type=click.Choice(["procedure", "agency"]), default="procedure", show_default=True)
def report_notices(
    config_path: Path,
    start: str,
    end: str | None,
    agency: str | None,
    procedure: str | None,
    form: str,
    output: Path | None,
    kind: str | None,
    by: str,
) -> None:
    """Dossiers received and resolved against notices due, sent, accepted, delivered, failed; segments and cost."""
    settings = load_or_exit(config_path)
    prices = {route: operator.price_per_part_vnd for route, operator in settings.operators.items()}
    with _store(settings) as conn:
        rows = reports.notices_txn(conn, _scope(start, end, agency, procedure), prices, kind)
    if by == "agency":
        rows = reports.by_agency(rows)
    names = [AGENCY, AGENCY_NAME, *([PROCEDURE, PROCEDURE_NAME] if by == "procedure" else [])]
    columns = [
        *names,
        Column("received", "Tiếp nhận"),
        Column("resolved", "Giải quyết"),
        Column("due", "Tin phải gửi"),
        Column("cancelled", "Thu hồi"),
        Column("blocked", "Bị chặn"),
        Column("waiting", "Đang chờ"),
        Column("sent", "Đã gửi"),
        Column("accepted", "Nhà mạng nhận"),
        Column("delivered", "Đến máy"),
        Column("failed", "Không thành công"),
        Column("reasons", "Lý do"),
        Column("segments", "Số SMS"),
        Column("cost_vnd", "Chi phí (đồng)"),
    ]
    write(columns, [asdict(row) for row in [*rows, reports.total(rows)]] if rows else [], form, output, "Tin nhắn")


@report.command("coverage")
@_common
def report_coverage(
    config_path: Path,
    start: str,
    end: str | None,
    agency: str | None,
    procedure: str | None,
    form: str,
    output: Path | None,
) -> None:
    """Of the resolved dossiers: how many citizens were told, and why the others were not."""
    settings = load_or_exit(config_path)
    with _store(settings) as conn:
        rows = reports.coverage_txn(conn, _scope(start, end, agency, procedure))
    columns = [
        AGENCY,
        AGENCY_NAME,
        PROCEDURE,
        PROCEDURE_NAME,
        Column("resolved", "Giải quyết"),
        Column("announced", "Có thông báo"),
        Column("accepted", "Nhà mạng nhận"),
        Column("delivered", "Đến máy"),
        Column("bad_number", "Sai số ĐT"),
        Column("silent", "Không thông báo"),
        Column("percent", "Tỷ lệ %"),
    ]
    values = [{**asdict(row), "percent": round(100 * row.accepted / row.resolved, 1)} for row in rows]
    write(columns, values, form, output, "Tỷ lệ thông báo")


@report.command("numbers")
@_common
@click.option(
    "--detail",
    is_flag=True,
    help="One line per dossier whose number is to be corrected, for the agency to work through.",
)
@full_option
def report_numbers(
    config_path: Path,
    start: str,
    end: str | None,
    agency: str | None,
    procedure: str | None,
    form: str,
    output: Path | None,
    detail: bool,
    full: bool,
) -> None:
    """Telephone numbers of the dossiers received: missing, landline, wrong, ambiguous, by agency."""
    settings = load_or_exit(config_path)
    allow_full(settings, "report numbers", full)
    scope = _scope(start, end, agency, procedure)
    with _store(settings) as conn:
        judged = judge_fields(reports.number_fields_txn(conn, scope))
        if detail:
            write(_DETAIL, _details(judged, full), form, output, "Số điện thoại")
        else:
            write(_SUMMARY, _summaries(judged), form, output, "Số điện thoại")


_DETAIL = [
    AGENCY,
    AGENCY_NAME,
    PROCEDURE,
    Column("receipt_code", "Mã số biên nhận"),
    Column("phone", "Số điện thoại"),
    Column("reason", "Mã lý do"),
    Column("words", "Lý do"),
    Column("flags", "Ghi chú"),
]
_SUMMARY = [
    AGENCY,
    AGENCY_NAME,
    Column("total", "Hồ sơ"),
    Column("good", "Gửi được"),
    Column("missing", "Thiếu số"),
    Column("landline", "Số bàn"),
    Column("wrong", "Sai số"),
    Column("ambiguous", "Không chắc"),
    Column("percent", "Không gửi được %"),
    Column("reasons", "Lý do"),
    Column("flags", "Ghi chú"),
]


def _details(judged: Iterable[Quality], full: bool) -> Iterator[Mapping[str, Any]]:
    for item in judged:
        if item.group == "good":
            continue
        yield {
            "agency_code": item.field.agency_code,
            "agency_name": item.field.agency_name,
            "procedure_code": item.field.procedure_code,
            "receipt_code": item.field.receipt_code,
            "phone": shown(item.field.phone_raw, full),
            "reason": item.verdict.reason or "",
            "words": item.words,
            "flags": ", ".join(item.verdict.flags),
        }


def _summaries(judged: Iterable[Quality]) -> Iterator[Mapping[str, Any]]:
    names: dict[str, str] = {}
    groups: dict[str, Counter[str]] = {}
    reasons: dict[str, Counter[str]] = {}
    flags: dict[str, Counter[str]] = {}
    for item in judged:
        code = item.field.agency_code
        names[code] = item.field.agency_name
        groups.setdefault(code, Counter())[item.group] += 1
        reasons.setdefault(code, Counter()).update([item.verdict.reason] if item.verdict.reason else [])
        flags.setdefault(code, Counter()).update(item.verdict.flags)
    for code in sorted(groups):
        found = groups[code]
        unreachable = found["missing"] + found["landline"] + found["wrong"]
        yield {
            "agency_code": code,
            "agency_name": names[code],
            "total": found.total(),
            **{group: found[group] for group in ("good", "missing", "landline", "wrong", "ambiguous")},
            "percent": round(100 * unreachable / found.total(), 1),
            "reasons": dict(reasons[code]),
            "flags": dict(flags[code]),
        }


@report.command("conflicts")
@_common
@click.option("--summary", is_flag=True, help="Only how many of each, by agency.")
def report_conflicts(
    config_path: Path,
    start: str,
    end: str | None,
    agency: str | None,
    procedure: str | None,
    form: str,
    output: Path | None,
    summary: bool,
) -> None:
    """State conflicts: notices taken back, contradicted after they were sent, repeated, statuses against steps."""
    settings = load_or_exit(config_path)
    with _store(settings) as conn:
        rows = reports.conflicts_txn(conn, _scope(start, end, agency, procedure))
    if summary:
        counted = Counter((row.agency_code, row.what, row.kind) for row in rows)
        columns = [AGENCY, Column("what", "Mâu thuẫn"), Column("kind", "Loại tin"), Column("number", "Số lượng")]
        values = [
            {"agency_code": code, "what": what, "kind": kind, "number": number}
            for (code, what, kind), number in sorted(counted.items())
        ]
        write(columns, values, form, output, "Mâu thuẫn")
        return
    columns = [
        Column("at", "Thời điểm"),
        AGENCY,
        Column("source", "Nguồn"),
        Column("receipt_code", "Mã số biên nhận"),
        Column("kind", "Loại tin"),
        Column("what", "Mâu thuẫn"),
        Column("detail", "Chi tiết"),
    ]
    write(columns, [asdict(row) for row in rows], form, output, "Mâu thuẫn")


@report.command("violations")
@_common
def report_violations(
    config_path: Path,
    start: str,
    end: str | None,
    agency: str | None,
    procedure: str | None,
    form: str,
    output: Path | None,
) -> None:
    """Supplement requests that broke the rules (notices.supervision)."""
    settings = load_or_exit(config_path)
    with _store(settings) as conn:
        rows = reports.violations_txn(conn, _scope(start, end, agency, procedure))
    columns = [
        Column("at", "Thời điểm"),
        AGENCY,
        PROCEDURE,
        Column("receipt_code", "Mã số biên nhận"),
        Column("request_no", "Lần yêu cầu"),
        Column("what", "Vi phạm"),
        Column("detail", "Chi tiết"),
        Column("told", "Số người được báo"),
        Column("released_at", "Cho phép lại lúc"),
    ]
    write(columns, [asdict(row) for row in rows], form, output, "Vi phạm")
