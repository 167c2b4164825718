"""``motcua-gateway preview``: what would be sent and why, what would not and why not. Sends and writes nothing."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.cli import cli, config_option, load_or_exit
from gateway.cli.numbers import allow_full, full_option, shown
from gateway.clock import VIETNAM
from gateway.db import make_engine
from gateway.dossiers.connect import make_source_engine
from gateway.dossiers.phone import judge_phone
from gateway.jobs.calendar import WorkCalendar
from gateway.jobs.notices import Composer
from gateway.jobs.preview import Line, Preview, Previewer, in_words
from gateway.jobs.rules import RuleBook
from gateway.mt.router import Router
from gateway.settings import GatewaySettings, SourceSettings
from gateway.store import migrate
from gateway.templates.registry import Registry


@cli.command()
@config_option
@click.option(
    "--at", "at_text", default=None, help="Business time, '2026-03-03 17:30' (Vietnamese time); default: now."
)
@click.option("--source", "names", multiple=True, help="Only this source; may be given several times.")
@click.option("--code", default=None, help="Only the dossier of this receipt code.")
@click.option("--limit", type=click.IntRange(0), default=200, show_default=True, help="Lines shown; all are counted.")
@click.option("--text", "with_text", is_flag=True, help="Show the texts, too.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@full_option
def preview(
    config_path: Path,
    at_text: str | None,
    names: tuple[str, ...],
    code: str | None,
    limit: int,
    with_text: bool,
    as_json: bool,
    full: bool,
) -> None:
    """List what would be sent and why, and what would not and why not, without sending.

    Judges the outbox as it waits, changes in the agencies' views that were not polled yet, dossiers of the last day of which
    nothing was announced, and the apologies of the evening.
    """
    settings = load_or_exit(config_path)
    allow_full(settings, "preview", full)
    unknown = [name for name in names if name not in settings.sources]
    if unknown:
        raise click.UsageError(f"there is no source '{unknown[0]}'; known: {', '.join(settings.sources) or 'none'}")
    chosen = {name: settings.sources[name] for name in names or settings.sources}
    found = Preview(
        moment(at_text, settings), limit=limit if code is None else sys.maxsize, with_history=code is not None
    )
    fill_preview(found, settings, chosen)
    if code is not None:
        found.lines = [line for line in found.lines if line.receipt_code == code]
    if as_json:
        click.echo(json.dumps(_json(found, full), ensure_ascii=False))
    else:
        _print(found, full, with_text, code)


def moment(text: str | None, settings: GatewaySettings) -> datetime:
    """The business time that is asked about, aware."""
    if text is None:
        from gateway.app.prepare import make_clock  # knows the configured clock

        return make_clock(settings).business_now()
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError as error:
        raise click.UsageError(f"--at: '{text}' is no time. Write '2026-03-03 17:30'") from error
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=VIETNAM)


def fill_preview(result: Preview, settings: GatewaySettings, chosen: dict[str, SourceSettings]) -> None:
    """Judge the sources, reading only."""
    book = RuleBook(settings.notices, settings.agencies)
    registry = Registry.load()
    compose = Composer(settings.notices, settings.agencies, registry, judge_phone, Router(settings.operators).route)
    with ExitStack() as stack:
        store = _store(settings.store.url, stack)
        previewer = Previewer(store, book, compose, WorkCalendar(settings.notices.holidays), result)
        previewer.outbox(chosen)
        for name, source in chosen.items():
            try:
                engine = make_source_engine(
                    source.url,
                    connections=1,
                    connect_timeout_s=source.connect_timeout_s,
                    statement_timeout_s=source.poll_timeout_s,
                )
            except (sa.exc.ArgumentError, ModuleNotFoundError) as error:
                result.failed[name] = f"its URL cannot be used: {error}"
                continue
            stack.callback(engine.dispose)
            previewer.source(name, source, engine)


def _store(url: str, stack: ExitStack) -> Connection | None:
    """The gateway's own database, read only; None when there is none yet."""
    if sa.make_url(url).get_backend_name() == "sqlite":
        path = sa.make_url(url).database
        if path and path != ":memory:" and not Path(path).exists():
            return None
    if migrate.current(url) is None:
        return None
    engine = make_engine(url, readers=1, read_only=True)
    stack.callback(engine.dispose)
    return stack.enter_context(engine.connect())


def _json(found: Preview, full: bool) -> dict[str, Any]:
    return {
        "at": found.at.astimezone(VIETNAM).isoformat(),
        "would_send": [_line_json(line, full) for line in found.lines if line.sent],
        "would_not_send": [_line_json(line, full) for line in found.lines if not line.sent],
        "counts": {
            "would_send": _counts(found.made),
            "would_not_send": _counts(found.not_made),
            "cancelled": _counts(found.cancelled),
            "conflicts": dict(found.conflicts),
            "bad_rows": _counts(found.bad_rows),
        },
        "failed_sources": found.failed,
    }


def _counts(counter: Any) -> list[dict[str, object]]:
    return [{"what": first, "why": second, "number": number} for (first, second), number in counter.items()]


def _line_json(line: Line, full: bool) -> dict[str, object]:
    return {
        "origin": line.origin,
        "source": line.source,
        "code": line.receipt_code,
        "agency": line.agency_code,
        "kind": line.kind.value,
        "reason": line.reason,
        "at": line.at.astimezone(VIETNAM).isoformat() if line.at else None,
        "number": shown(line.destination_addr, full),
        "route": line.route,
        "segments": line.parts,
        "text": line.text,
    }


def _print(found: Preview, full: bool, with_text: bool, code: str | None) -> None:
    click.echo(f"Preview for {found.at.astimezone(VIETNAM):%Y-%m-%d %H:%M} (nothing is sent)")
    for sent, title in ((True, "Would be sent"), (False, "Would not be sent")):
        lines = [line for line in found.lines if line.sent is sent]
        if lines:
            click.echo(f"\n{title}:")
        for line in lines:
            click.echo("  " + _line_text(line, full))
            if with_text and line.text:
                click.echo(f"      {line.text}")
    if code is not None:
        if not found.lines:
            click.echo(f"\nNothing is called for by dossier {code}, or it is not known.")
    else:
        _print_counts(found)
    for name, why in found.failed.items():
        click.echo(f"\nSource {name} cannot be read: {why}")


def _line_text(line: Line, full: bool) -> str:
    head = f"{line.source} {line.receipt_code} [{line.agency_code}] {line.kind.value}"
    if not line.sent:
        return f"{head}: {in_words(line.reason)}"
    when = f"{line.at.astimezone(VIETNAM):%d/%m %H:%M}" if line.at else ""
    return f"{head}: {when} to {shown(line.destination_addr, full)} by {line.route}, {line.parts} SMS: {line.reason}"


def _print_counts(found: Preview) -> None:
    click.echo("\nIn all:")
    for title, counter in (("sent", found.made), ("not sent", found.not_made), ("taken back", found.cancelled)):
        for (kind, why), number in sorted(counter.items()):
            reason = in_words(why) if title == "not sent" else why
            click.echo(f"  {title:<10} {number:>6}  {kind} ({reason})")
    for what, number in sorted(found.conflicts.items()):
        click.echo(f"  conflict   {number:>6}  {what}")
    for (name, why), number in sorted(found.bad_rows.items()):
        click.echo(f"  bad row    {number:>6}  {name}: {why}")
    if not (found.made or found.not_made or found.cancelled or found.conflicts or found.bad_rows):
        click.echo("  nothing")
