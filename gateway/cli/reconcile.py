"""``motcua-gateway reconcile``: the ledger against operators' files (đối soát)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from sqlalchemy.engine import Engine

from gateway.cli import cli, config_option, load_or_exit
from gateway.clock import VIETNAM
from gateway.db import make_engine
from gateway.errors import ConfigError, GatewayError, StoreError
from gateway.mo.charging.reconcile.export import export as export_file
from gateway.mo.charging.reconcile.importing import Importer
from gateway.mo.charging.reconcile.report import Report, as_csv, as_json, as_table
from gateway.mo.charging.reconcile.run import Reconciler, settle
from gateway.mo.services import Services
from gateway.settings import FileFormat, GatewaySettings
from gateway.store import migrate
from gateway.store.reconciliation import Run, items, run_txn, totals_txn

#: Cases that the table shows; CSV and JSON have all.
_SHOWN = 20

operator_option = click.option("--operator", "route", required=True, help="The operator's name in the configuration.")
since_option = click.option("--from", "since", type=click.DateTime(["%Y-%m-%d"]), help="First day, in Vietnam.")
until_option = click.option("--to", "until", type=click.DateTime(["%Y-%m-%d"]), help="Day after the last one.")


@cli.group()
def reconcile() -> None:
    """Compare the charge ledger with an operator's file, month by month."""


@reconcile.command("import")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--format", "form", required=True, help="A name under charging.reconciliation.formats, or a shipped one.")
@operator_option
@click.option("--accept-bad-lines", is_flag=True, help="Import the good lines although others cannot be read.")
@config_option
def import_file(file: Path, form: str, route: str, accept_bad_lines: bool, config_path: Path) -> None:
    """Read an operator's FILE into the store: whole, once, or not at all."""
    settings = load_or_exit(config_path)
    layout = _format(settings, form)
    _known(settings, route)
    with _store(settings) as engine, _bar(f"Reading {file.name}") as bar:
        size = file.stat().st_size if file.is_file() else 0
        importer = Importer(engine, route, form, layout, settings.charging, datetime.now(UTC))
        done = importer.run(file, accept_bad_lines=accept_bad_lines, progress=lambda octets: bar(octets, size))
    for line, why in done.bad:
        click.echo(f"{file.name}:{line}: {why}", err=True)
    if done.bad_lines > len(done.bad):
        click.echo(f"… and {done.bad_lines - len(done.bad):,} more bad lines", err=True)
    if done.already:
        click.echo(f"{file.name}: imported before as file {done.file_id} ({done.rows:,} rows); nothing to do")
    elif done.file_id is None:
        click.echo(
            f"{file.name}: nothing imported: {done.bad_lines:,} bad line{'s' if done.bad_lines > 1 else ''}. "
            "Ask the operator for a corrected file, correct --format, or add --accept-bad-lines",
            err=True,
        )
        raise SystemExit(1)
    else:
        left = f", {done.bad_lines:,} bad lines left out" if done.bad_lines else ""
        click.echo(f"{file.name}: file {done.file_id}, {done.rows:,} rows imported{left}")


@reconcile.command("run")
@operator_option
@since_option
@until_option
@click.option("--tolerance-s", type=float, default=None, help="Default: charging.reconciliation.tolerance_s.")
@click.option("--settle", "do_settle", is_flag=True, help="Write the operator's outcome where the ledger has none yet.")
@config_option
def run_reconciliation(
    route: str,
    since: datetime | None,
    until: datetime | None,
    tolerance_s: float | None,
    do_settle: bool,
    config_path: Path,
) -> None:
    """Compare a period (by default the days that the imported files cover), and show what was found."""
    settings = load_or_exit(config_path)
    _known(settings, route)
    now = datetime.now(UTC)
    tolerance_s = settings.charging.reconciliation.tolerance_s if tolerance_s is None else tolerance_s
    with _store(settings) as engine:
        reconciler = Reconciler(engine, route, Services(settings.queries), tolerance_s, now)
        with _bar(f"Comparing {route}") as bar:
            number = reconciler.run(_local(since), _local(until), bar)
        _show(engine, _run(engine, number, None), "table", full=False)
        if do_settle:
            with engine.connect() as conn:
                found = list(items(conn, number))
            click.echo(f"{settle(engine, found, now):,} open ledger rows settled by the operator's outcome")


@reconcile.command("report")
@click.option("--run", "number", type=int, default=None, help="Default: the latest.")
@click.option("--operator", "route", default=None)
@click.option("--format", "form", type=click.Choice(["table", "csv", "json"]), default="table", show_default=True)
@click.option("--json", "as_json_too", is_flag=True, help="The same as --format json.")
@click.option("--full", is_flag=True, help="Show telephone numbers in full: for the operator, not for a report.")
@config_option
def report(number: int | None, route: str | None, form: str, as_json_too: bool, full: bool, config_path: Path) -> None:
    """Show what a comparison found: counts, sums and shares, and each case."""
    with _store(load_or_exit(config_path)) as engine:
        _show(engine, _run(engine, number, route), "json" if as_json_too else form, full=full)


@reconcile.command("export")
@click.argument("out", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--format", "form", required=True, help="A name under charging.reconciliation.formats, or a shipped one.")
@operator_option
@click.option("--from", "since", type=click.DateTime(["%Y-%m-%d"]), required=True, help="First day, in Vietnam.")
@click.option("--to", "until", type=click.DateTime(["%Y-%m-%d"]), required=True, help="Day after the last one.")
@config_option
def export(out: Path, form: str, route: str, since: datetime, until: datetime, config_path: Path) -> None:
    """Write our own file in an operator's format to OUT."""
    settings = load_or_exit(config_path)
    layout = _format(settings, form)
    _known(settings, route)
    first, last = since.replace(tzinfo=VIETNAM), until.replace(tzinfo=VIETNAM)
    with _store(settings) as engine:
        done = export_file(engine, route, layout, Services(settings.queries), first, last, out)
    click.echo(f"{out}: {done.rows:,} rows, {done.amount_vnd:,} VND")
    for state, count in sorted(done.left_out.items()):
        click.echo(f"  left out: {count:,} {state}")


def _format(settings: GatewaySettings, name: str) -> FileFormat:
    formats = settings.charging.reconciliation.formats
    if name not in formats:
        raise click.UsageError(f"there is no format '{name}'; known: {', '.join(sorted(formats))}")
    return formats[name]


def _known(settings: GatewaySettings, route: str) -> None:
    if route not in settings.operators:
        raise click.UsageError(f"there is no operator '{route}'; known: {', '.join(sorted(settings.operators))}")


def _local(day: datetime | None) -> datetime | None:
    return None if day is None else day.replace(tzinfo=VIETNAM)


def _run(engine: Engine, number: int | None, route: str | None) -> Run:
    with engine.connect() as conn:
        run = run_txn(conn, number, route)
    if run is None:
        raise GatewayError("there is no such comparison. Run 'motcua-gateway reconcile run' first")
    return run


def _show(engine: Engine, run: Run, form: str, *, full: bool) -> None:
    with engine.connect() as conn:
        shown = Report.of(run, totals_txn(conn, run.id))
        if form == "csv":
            lines = as_csv(items(conn, run.id), full=full)
        elif form == "json":
            click.echo("".join(as_json(shown, items(conn, run.id), full=full)))
            return
        else:
            differing = shown.rows - shown.totals[0].rows
            lines = as_table(shown, items(conn, run.id, _SHOWN), differing - _SHOWN, full=full)
        for line in lines:
            click.echo(line)


@contextmanager
def _store(settings: GatewaySettings) -> Iterator[Engine]:
    url = settings.store.url
    if not migrate.is_current(url):
        raise ConfigError("store.url", "the store has not this program's schema", "Run 'motcua-gateway db upgrade'")
    engine = make_engine(url, readers=2)
    try:
        yield engine
    except OSError as error:
        raise StoreError(str(error)) from error
    finally:
        engine.dispose()


class _Bar:
    """Shows how far a long work is, on standard error, where a person looks on."""

    def __init__(self, progress: Progress, title: str) -> None:
        self._progress = progress
        self._task = progress.add_task(title, total=None)

    def __call__(self, done: int, of_all: int) -> None:
        self._progress.update(self._task, completed=min(done, of_all), total=of_all)


@contextmanager
def _bar(title: str) -> Iterator[_Bar]:
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield _Bar(progress, title)
