"""``motcua-gateway source``: look an agency's database over, and write a first mapping from it."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path

import click
import sqlalchemy as sa

from gateway.cli import cli, config_option, load_or_exit
from gateway.dossiers.connect import make_source_engine
from gateway.dossiers.contract import VIEW
from gateway.dossiers.faults import explain
from gateway.dossiers.survey import Survey, draft, survey
from gateway.settings import SourceSettings


@cli.group("source")
def source_group() -> None:
    """Agencies' databases."""


@source_group.command("check")
@click.argument("names", nargs=-1)
@config_option
@click.option(
    "--sample", type=click.IntRange(1, 100_000), default=1000, show_default=True, help="Newest rows to judge."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per source.")
def source_check(names: tuple[str, ...], config_path: Path, sample: int, as_json: bool) -> None:
    """Look the sources NAMES over (default: all): columns, types, words, numbers, codes, times, encodings, speed.

    Only reads. Exit status 1 when there are faults; warnings and notes do not count.
    """
    settings = load_or_exit(config_path)
    unknown = [name for name in names if name not in settings.sources]
    if unknown:
        known = ", ".join(settings.sources) or "none"
        raise click.UsageError(f"there is no source '{unknown[0]}' in {config_path}; known: {known}")
    from gateway.app.prepare import make_clock  # knows the configured clock

    now = make_clock(settings).business_now()
    faults = 0
    for name in names or tuple(settings.sources):
        found = survey(name, settings.sources[name], settings.agencies, now, sample)
        click.echo(json.dumps(asdict(found), ensure_ascii=False) if as_json else _text(found))
        faults += found.faults
    if faults:
        raise SystemExit(1)


def _text(found: Survey) -> str:
    lines = [f"source {found.source}, view {found.view}"]

    def line(title: str, text: object) -> None:
        if text not in ("", None, {}):
            lines.append(f"  {title:<12} {text}")

    def counts(values: dict[str, int], most: int = 12) -> str:
        shown = [f"{name} {count}" for name, count in list(values.items())[:most]]
        return ", ".join(shown) + (f", and {len(values) - most} more" if len(values) > most else "")

    if found.columns:
        renamed = [f"{name} = {own}" for name, own in found.columns.items() if name != own.casefold()]
        line("columns", f"{len(found.columns)} of the contract" + (f" ({', '.join(renamed)})" if renamed else ""))
        line("types", ", ".join(f"{name} {kind}" for name, kind in found.types.items()))
        line("reading", "incremental by updated_at" if found.incremental else "the whole view at every poll")
        line(
            "rows", f"{found.rows if found.rows is not None else '?'}, of which the newest {found.sampled} were judged"
        )
        line("newest", found.newest)
        line(
            "words",
            ", ".join(f"{word} {n} → {found.states.get(word, 'NOT MAPPED')}" for word, n in found.words.items()),
        )
        line("agencies", counts(found.agencies))
        line("numbers", counts(found.numbers))
        line("flags", counts(found.flags))
        line("encodings", counts(found.encodings))
        for timing in found.timings:
            index = {True: "by index", False: "NO INDEX", None: "plan not shown"}[timing.indexed]
            line("time", f"{timing.question}: {timing.ms:.1f} ms, {index}")
    lines += [f"  {finding}" for finding in found.findings]
    warnings = len(found.findings) - found.faults
    lines.append(
        f"  {found.faults} fault{'' if found.faults == 1 else 's'}, {warnings} other remark{'' if warnings == 1 else 's'}"
    )
    return "\n".join(lines)


@source_group.command("init")
@click.argument("target", metavar="URL|NAME")
@click.option("--view", default=None, help=f"Name of the view; default: {VIEW}, or as configured.")
@click.option("--name", default=None, help="Name of the source; default: that of the database.")
@click.option(
    "--config", "config_path", type=click.Path(path_type=Path), default=None, help="Where NAME is configured."
)
def source_init(target: str, view: str | None, name: str | None, config_path: Path | None) -> None:
    """Write a starting mapping from the view itself, to standard output.

    URL is a SQLAlchemy URL with a read-only account; NAME a source of the configuration. Guesses are marked as such.
    """
    if "://" in target:
        settings = _settings(target, view)
        name = name or _name_of(target)
    else:
        configured = load_or_exit(config_path or Path("config/gateway.yaml")).sources
        if target not in configured:
            known = ", ".join(configured) or "none"
            raise click.UsageError(f"'{target}' is neither a URL nor a source of the configuration; known: {known}")
        settings = configured[target].model_copy(update={"view": view} if view else {})
        name = name or target
    try:
        engine = make_source_engine(
            settings.url,
            connections=1,
            connect_timeout_s=settings.connect_timeout_s,
            statement_timeout_s=settings.poll_timeout_s,
        )
    except (sa.exc.ArgumentError, ModuleNotFoundError) as error:
        raise click.UsageError(f"the URL cannot be used: {error}") from error
    try:
        click.echo(draft(engine, name, settings, _env(name)), nl=False)
    except (sa.exc.SQLAlchemyError, OSError) as error:
        raise explain(name, settings, error) from error
    finally:
        engine.dispose()


def _settings(url: str, view: str | None) -> SourceSettings:
    values = {"url": url} | ({"view": view} if view else {})
    try:
        return SourceSettings.model_validate(values)
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def _name_of(url: str) -> str:
    try:
        database = sa.make_url(url).database or "agency"
    except sa.exc.ArgumentError as error:
        raise click.UsageError(f"the URL cannot be used: {error}") from error
    return re.sub(r"\W+", "_", Path(database).stem).strip("_") or "agency"


def _env(name: str) -> str:
    return "MOTCUA_" + re.sub(r"\W+", "_", name).upper() + "_URL"
